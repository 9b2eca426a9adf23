//! Operations: the enum of all of them, their table, the inputs and outputs of the supported ones, and the errors.

use std::fmt::Write;

use crate::model::{Model, Operation, ServiceCorrections, Shape};
use crate::names::constant_case;
use crate::reach::Reach;

pub fn emit(code: &mut String, service: &str, model: &Model, reach: &Reach, corrections: &ServiceCorrections) {
    emit_enum(code, model);
    emit_table(code, model, reach);
    emit_inputs(code, model, reach);
    emit_outputs(code, model, reach);
    emit_errors(code, model);
    let metadata = &model.metadata;
    let known = matches!(metadata.protocol.as_str(), "rest-json" | "query");
    assert!(known, "{service}: protocol {} is not generated", metadata.protocol);
    writeln!(
        code,
        "pub(crate) static SERVICE: crate::schema::Service = crate::schema::Service {{ \
         api_version: {:?}, xml_namespace: {:?}, validation_code: {:?}, hide_values: {}, \
         operations: &OPERATIONS, errors: &ERRORS }};",
        metadata.api_version,
        metadata.xml_namespace.as_deref().unwrap_or_default(),
        corrections.validation_code,
        corrections.hide_values,
    )
    .expect("a string takes it");
}

fn emit_enum(code: &mut String, model: &Model) {
    let mut variants = String::new();
    for (name, operation) in &model.operations {
        let (method, uri) = (&operation.http.method, &operation.http.request_uri);
        writeln!(variants, "/// `{method} {uri}`\n{name},").expect("a string takes it");
    }
    let names: Vec<String> = model.operations.keys().map(|name| format!("Operation::{name}")).collect();
    let (count, names) = (names.len(), names.join(", "));
    writeln!(
        code,
        "/// Every operation of the service's model.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n\
         pub enum Operation {{\n{variants}}}\n\
         impl Operation {{\n/// All of them, by name.\npub const ALL: [Operation; {count}] = [{names}];\n\
         fn schema(self) -> &'static crate::schema::Operation {{ &OPERATIONS[self as usize] }}\n}}\n\
         crate::service::impl_operation!(Operation);"
    )
    .expect("a string takes it");
}

fn emit_table(code: &mut String, model: &Model, reach: &Reach) {
    writeln!(code, "static OPERATIONS: [crate::schema::Operation; {}] = [", model.operations.len()).expect("fits");
    for (name, operation) in &model.operations {
        let supported = reach.operations.contains(name);
        let structure = |reference: Option<&String>| match reference {
            Some(shape) if supported => format!("Some(&schemas::{}_STRUCTURE)", constant_case(shape)),
            _ => "None".to_owned(),
        };
        let errors: Vec<&String> = operation.errors.iter().map(|error| &error.shape).collect();
        let errors: Vec<String> =
            errors.iter().map(|name| format!("{:?}", error_code(name, model.shape(name)))).collect();
        let wrapper = operation.output.as_ref().and_then(|output| output.result_wrapper.as_ref());
        writeln!(
            code,
            "crate::schema::Operation {{ name: {name:?}, method: {:?}, uri: {:?}, segments: &[{}], query: &[{}], status: {}, \
             errors: &[{}], supported: {supported}, input: {}, output: {}, result_wrapper: {wrapper:?} }},",
            operation.http.method,
            operation.http.request_uri,
            segments(operation),
            query(operation),
            operation.http.response_code.unwrap_or(200),
            errors.join(", "),
            structure(operation.input.as_ref().map(|input| &input.shape)),
            structure(operation.output.as_ref().map(|output| &output.shape)),
        )
        .expect("a string takes it");
    }
    code.push_str("];\n");
}

fn segments(operation: &Operation) -> String {
    let path = operation.http.request_uri.split('?').next().unwrap_or_default();
    let segments = path.split('/').filter(|segment| !segment.is_empty()).map(|segment| {
        let label = segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}'));
        match label.map(|label| (label, label.strip_suffix('+'))) {
            Some((_, Some(greedy))) => format!("crate::schema::Segment::Greedy({greedy:?})"),
            Some((label, None)) => format!("crate::schema::Segment::Label({label:?})"),
            None => format!("crate::schema::Segment::Literal({segment:?})"),
        }
    });
    segments.collect::<Vec<_>>().join(", ")
}

fn query(operation: &Operation) -> String {
    let query = operation.http.request_uri.split_once('?').map(|(_, query)| query).unwrap_or_default();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| format!("{:?}", pair.split_once('=').unwrap_or((pair, ""))));
    pairs.collect::<Vec<_>>().join(", ")
}

fn emit_inputs(code: &mut String, model: &Model, reach: &Reach) {
    let (mut variants, mut arms) = (String::new(), String::new());
    for name in &reach.operations {
        match &model.operations[name].input {
            Some(input) => {
                let shape = &input.shape;
                writeln!(variants, "/// A request of `{name}`.\n{name}(Box<types::{shape}>),").expect("fits");
                writeln!(arms, "Operation::{name} => Input::{name}(Box::new(FromNode::from_node(node)?)),")
                    .expect("fits");
            }
            None => {
                writeln!(variants, "/// A request of `{name}`, which has no members.\n{name},").expect("fits");
                writeln!(arms, "Operation::{name} => Input::{name},").expect("fits");
            }
        }
    }
    writeln!(
        code,
        "/// A parsed and validated request of a supported operation.\n#[derive(Clone, Debug, PartialEq)]\n\
         pub enum Input {{\n{variants}}}\n\
         fn input_from_node(operation: Operation, node: crate::node::Node) -> Option<Input> {{\n\
         use crate::node::FromNode;\nSome(match operation {{\n{arms}_ => return None,\n}})\n}}"
    )
    .expect("a string takes it");
}

fn emit_outputs(code: &mut String, model: &Model, reach: &Reach) {
    let (mut variants, mut arms) = (String::new(), String::new());
    for name in &reach.operations {
        match &model.operations[name].output {
            Some(output) => {
                let shape = &output.shape;
                writeln!(variants, "/// The answer of `{name}`.\n{name}(Box<types::{shape}>),").expect("fits");
                writeln!(arms, "Output::{name}(output) => (Operation::{name}, output.into_node()),").expect("fits");
            }
            None => {
                writeln!(variants, "/// The answer of `{name}`, which has no members.\n{name},").expect("fits");
                writeln!(arms, "Output::{name} => (Operation::{name}, crate::node::Node::Null),").expect("fits");
            }
        }
    }
    writeln!(
        code,
        "/// The answer of a supported operation.\n#[derive(Clone, Debug, PartialEq)]\npub enum Output {{\n{variants}}}\n\
         fn output_into_node(output: Output) -> (Operation, crate::node::Node) {{\n\
         use crate::node::IntoNode;\nmatch output {{\n{arms}}}\n}}"
    )
    .expect("a string takes it");
}

fn emit_errors(code: &mut String, model: &Model) {
    let errors: Vec<_> = model.shapes.iter().filter(|(_, shape)| shape.exception).collect();
    writeln!(code, "static ERRORS: [crate::schema::ErrorShape; {}] = [", errors.len()).expect("fits");
    for (name, shape) in errors {
        let is_message = |member: &str| member.eq_ignore_ascii_case("message");
        let message = shape.members.iter().map(|(name, _)| name).find(|name| is_message(name));
        let extras =
            shape.members.iter().filter(|(name, _)| !is_message(name) && name != "Type").map(|(name, member)| {
                let header =
                    (member.location.as_deref() == Some("header")).then_some(member.location_name.as_ref()).flatten();
                format!("({name:?}, {header:?})")
            });
        let status = shape.error.as_ref().and_then(|error| error.http_status_code);
        writeln!(
            code,
            "crate::schema::ErrorShape {{ code: {:?}, status: {}, message: {:?}, has_type: {}, extras: &[{}] }},",
            error_code(name, shape),
            status.unwrap_or(if shape.fault { 500 } else { 400 }),
            message.map_or("message", String::as_str),
            shape.members.iter().any(|(name, _)| name == "Type"),
            extras.collect::<Vec<_>>().join(", "),
        )
        .expect("a string takes it");
    }
    code.push_str("];\n");
}

/// The code that goes over the wire: the query protocol's differs from the shape's name.
fn error_code<'a>(name: &'a str, shape: &'a Shape) -> &'a str {
    shape.error.as_ref().and_then(|error| error.code.as_deref()).unwrap_or(name)
}
