//! The schemas: statics that parser, validator and writer walk over.

use std::fmt::Write;

use crate::model::{Model, Reference, ServiceCorrections, Shape, ShapeCorrection};
use crate::names::{constant_case, message_case};
use crate::pattern::translate;
use crate::reach::Reach;

pub fn emit(code: &mut String, model: &Model, reach: &Reach, corrections: &ServiceCorrections) {
    code.push_str("mod schemas {\nuse crate::schema::{Kind, Location, Member, Pattern, Shape, Structure};\n");
    let none = ShapeCorrection::default();
    let held = reach.held(model);
    for name in reach.shapes.keys() {
        let shape = model.shape(name);
        if shape.kind == "structure" {
            emit_structure(code, name, shape);
        }
        if held.contains(name) {
            emit_shape(code, name, shape, corrections.shapes.get(name).unwrap_or(&none));
        }
    }
    let patterns = reach.shapes.keys().filter(|name| model.shape(name).pattern.is_some());
    let patterns: Vec<String> = patterns.map(|name| format!("&{}_PATTERN", constant_case(name))).collect();
    writeln!(code, "#[cfg(test)]\npub(super) static PATTERNS: &[&Pattern] = &[{}];\n}}", patterns.join(", "))
        .expect("fits");
}

fn emit_structure(code: &mut String, name: &str, shape: &Shape) {
    let payload = shape.payload.as_ref().and_then(|payload| shape.members.iter().position(|(name, _)| name == payload));
    writeln!(
        code,
        "pub(super) static {}_STRUCTURE: Structure = Structure {{ name: {name:?}, payload: {payload:?}, members: &[",
        constant_case(name)
    )
    .expect("a string takes it");
    for (member, reference) in &shape.members {
        writeln!(
            code,
            "Member {{ label: {:?}, location: {}, required: {}, shape: &{} }},",
            message_case(member),
            location(name, member, reference),
            shape.required.contains(member),
            constant_case(&reference.shape),
        )
        .expect("a string takes it");
    }
    code.push_str("] };\n");
}

fn location(structure: &str, member: &str, reference: &Reference) -> String {
    let name = reference.location_name.as_deref().unwrap_or(member);
    match reference.location.as_deref() {
        None => format!("Location::Body({name:?})"),
        Some("uri") => format!("Location::Uri({name:?})"),
        Some("querystring") => format!("Location::Query({name:?})"),
        Some("header") => format!("Location::Header({:?})", name.to_ascii_lowercase()),
        Some("headers") => format!("Location::Headers({:?})", name.to_ascii_lowercase()),
        Some("statusCode") => "Location::StatusCode".to_owned(),
        Some(other) => panic!("{structure}.{member}: location {other} is not generated"),
    }
}

fn emit_shape(code: &mut String, name: &str, shape: &Shape, correction: &ShapeCorrection) {
    let constant = constant_case(name);
    let not_null = !correction.nullable_members;
    let inner = |reference: &Option<Reference>| {
        constant_case(&reference.as_ref().unwrap_or_else(|| panic!("{name} holds nothing")).shape)
    };
    let kind = match shape.kind.as_str() {
        "structure" => format!("Structure(&{constant}_STRUCTURE)"),
        "list" => format!("List {{ member: &{}, not_null: {not_null} }}", inner(&shape.member)),
        "map" => {
            format!("Map {{ key: &{}, value: &{}, not_null: {not_null} }}", inner(&shape.key), inner(&shape.value))
        }
        "string" => "String".to_owned(),
        "boolean" => "Boolean".to_owned(),
        "integer" => "Integer".to_owned(),
        "long" => "Long".to_owned(),
        "double" => "Double".to_owned(),
        "blob" => "Blob".to_owned(),
        "timestamp" => "Timestamp".to_owned(),
        other => panic!("{name}: type {other} is not generated"),
    };
    let pattern = shape.pattern.as_ref().map(|pattern| {
        let shown = correction.shown_pattern.as_ref().unwrap_or(pattern);
        let regex = correction.regex.as_ref().map_or_else(|| translate(pattern), |regex| format!("^(?:{regex})$"));
        writeln!(code, "static {constant}_PATTERN: Pattern = Pattern::new({shown:?}, {regex:?});").expect("fits");
        format!("&{constant}_PATTERN")
    });
    let values = if correction.unchecked_enum { &[][..] } else { &shape.values[..] };
    writeln!(
        code,
        "pub(super) static {constant}: Shape = Shape {{ kind: Kind::{kind}, sensitive: {}, url_encoded: {}, min: {}, max: {}, \
         pattern: {}, values: &{values:?} }};",
        shape.sensitive,
        correction.url_encoded_output,
        bound(shape.min),
        bound(shape.max),
        pattern.map_or("None".to_owned(), |pattern| format!("Some({pattern})")),
    )
    .expect("a string takes it");
}

fn bound(value: Option<f64>) -> String {
    value.map_or("None".to_owned(), |value| format!("Some({value:?})"))
}
