//! The structures: plain data, every member optional, and their way from and to a `Node`.

use std::fmt::Write;

use crate::model::{Model, Reference, Shape};
use crate::names::snake_case;
use crate::reach::{Direction, Reach};

pub fn emit(code: &mut String, model: &Model, reach: &Reach) {
    code.push_str(
        "/// The structures that the supported operations reach, as the service's model has them.\n///\n\
         /// Every member is optional. In a request, members that the model requires are there once it is parsed.\n\
         pub mod types {\n",
    );
    for (name, direction) in &reach.shapes {
        let shape = model.shape(name);
        if shape.kind == "structure" {
            emit_structure(code, model, name, shape, *direction);
        }
    }
    code.push_str("}\n");
}

fn emit_structure(code: &mut String, model: &Model, name: &str, shape: &Shape, direction: Direction) {
    let secret = shape.members.iter().any(|(_, member)| is_sensitive(model, &member.shape));
    let derives = if secret { "Clone, Default, PartialEq" } else { "Clone, Debug, Default, PartialEq" };
    writeln!(code, "/// `{name}` of the model.\n#[derive({derives})]\npub struct {name} {{").expect("fits");
    for (member, reference) in &shape.members {
        let required = if shape.required.contains(member) { ", required" } else { "" };
        let (kind, field) = (&model.shape(&reference.shape).kind, snake_case(member));
        let rust = rust_type(model, &reference.shape);
        writeln!(code, "/// `{member}`: {kind}{required}.\npub {field}: Option<{rust}>,").expect("fits");
    }
    code.push_str("}\n");
    if secret {
        emit_debug(code, model, name, shape);
    }
    if direction.input {
        let fields = shape.members.iter().map(|(member, _)| format!("{}: members.take(),\n", snake_case(member)));
        let (binding, fields) =
            (if shape.members.is_empty() { "_members" } else { "mut members" }, fields.collect::<String>());
        writeln!(
            code,
            "impl crate::node::FromNode for {name} {{\nfn from_node(node: crate::node::Node) -> Option<Self> {{\n\
             let {binding} = node.into_members()?;\nSome(Self {{\n{fields}}})\n}}\n}}"
        )
        .expect("a string takes it");
    }
    if direction.output {
        let fields = shape.members.iter().map(|(member, _)| format!("self.{}.into_node(),\n", snake_case(member)));
        let fields = fields.collect::<String>();
        writeln!(
            code,
            "impl crate::node::IntoNode for {name} {{\nfn into_node(self) -> crate::node::Node {{\n\
             crate::node::Node::Structure(vec![\n{fields}])\n}}\n}}"
        )
        .expect("a string takes it");
    }
}

/// `Debug` that never shows what the model calls sensitive.
fn emit_debug(code: &mut String, model: &Model, name: &str, shape: &Shape) {
    let mut fields = String::new();
    for (member, reference) in &shape.members {
        let field = snake_case(member);
        let label = field.trim_start_matches("r#");
        let value = match is_sensitive(model, &reference.shape) {
            true => format!("&self.{field}.as_ref().map(|_| crate::node::Redacted)"),
            false => format!("&self.{field}"),
        };
        write!(fields, ".field({label:?}, {value})").expect("a string takes it");
    }
    writeln!(
        code,
        "impl std::fmt::Debug for {name} {{\nfn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {{\n\
         f.debug_struct({name:?}){fields}.finish()\n}}\n}}"
    )
    .expect("a string takes it");
}

/// Whether the shape, or what a list or map of it holds, is sensitive. Structures hide their own members.
fn is_sensitive(model: &Model, name: &str) -> bool {
    let shape = model.shape(name);
    let inner = |reference: &Option<Reference>| {
        reference.as_ref().is_some_and(|reference| is_sensitive(model, &reference.shape))
    };
    shape.sensitive || inner(&shape.member) || inner(&shape.key) || inner(&shape.value)
}

fn rust_type(model: &Model, name: &str) -> String {
    let shape = model.shape(name);
    let inner = |reference: &Option<Reference>| {
        rust_type(model, &reference.as_ref().unwrap_or_else(|| panic!("{name} holds nothing")).shape)
    };
    match shape.kind.as_str() {
        "structure" => name.to_owned(),
        "list" => format!("Vec<{}>", inner(&shape.member)),
        "map" => format!("std::collections::BTreeMap<String, {}>", inner(&shape.value)),
        "string" => "String".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" => "i32".to_owned(),
        "long" => "i64".to_owned(),
        "double" => "f64".to_owned(),
        "blob" => "bytes::Bytes".to_owned(),
        "timestamp" => "time::OffsetDateTime".to_owned(),
        other => panic!("{name}: type {other} is not generated"),
    }
}
