//! One shape's own constraints: which a value breaks, how AWS words them, and how it shows the value (Java's `toString`).

use std::fmt::Write;

use crate::node::Node;
use crate::schema::{Kind, Shape};

/// The constraints of `shape` that `node` breaks. Those of members are not looked at.
pub(super) fn violations(shape: &Shape, node: &Node) -> Vec<String> {
    let mut broken = Vec::new();
    if let Some(size) = size(shape, node) {
        if shape.max.is_some_and(|max| size > max) {
            broken.extend(upper(shape));
        }
        if shape.min.is_some_and(|min| size < min) {
            broken.extend(lower(shape));
        }
    }
    if let Node::String(text) = node {
        if shape.pattern.is_some_and(|pattern| !pattern.matches(text)) {
            broken.extend(pattern(shape));
        }
        if !shape.values.is_empty() && !shape.values.contains(&text.as_str()) {
            broken.extend(enumeration(shape));
        }
    }
    broken
}

/// All constraints of `shape`, as they are listed where a list's or map's members break them.
pub(super) fn constraints(shape: &Shape, not_null: bool) -> Vec<String> {
    let own = [upper(shape), lower(shape), pattern(shape), enumeration(shape)];
    own.into_iter().flatten().chain(not_null.then(|| "Member must not be null".to_owned())).collect()
}

/// What the bounds apply to: a number's value, everything else's length. Strings count code points.
fn size(shape: &Shape, node: &Node) -> Option<f64> {
    if shape.min.is_none() && shape.max.is_none() {
        return None;
    }
    match node {
        Node::Integer(value) => Some(*value as f64),
        Node::Double(value) => Some(*value),
        Node::String(text) => Some(text.chars().count() as f64),
        Node::Blob(bytes) => Some(bytes.len() as f64),
        Node::List(items) => Some(items.len() as f64),
        Node::Map(entries) => Some(entries.len() as f64),
        _ => None,
    }
}

fn upper(shape: &Shape) -> Option<String> {
    shape.max.map(|max| format!("Member must have {} less than or equal to {}", measure(shape), bound(shape, max)))
}

fn lower(shape: &Shape) -> Option<String> {
    shape.min.map(|min| format!("Member must have {} greater than or equal to {}", measure(shape), bound(shape, min)))
}

fn pattern(shape: &Shape) -> Option<String> {
    shape.pattern.map(|pattern| format!("Member must satisfy regular expression pattern: {}", pattern.shown))
}

fn enumeration(shape: &Shape) -> Option<String> {
    let set = || format!("Member must satisfy enum value set: [{}]", shape.values.join(", "));
    (!shape.values.is_empty()).then(set)
}

fn measure(shape: &Shape) -> &'static str {
    if matches!(shape.kind, Kind::Integer | Kind::Long | Kind::Double) { "value" } else { "length" }
}

/// `1024`, and `1.0` for a double, as Java prints them.
fn bound(shape: &Shape, value: f64) -> String {
    if matches!(shape.kind, Kind::Double) { format!("{value:?}") } else { format!("{value}") }
}

/// The value as Java's `toString` has it: `[a, b]`, `{key=value}`, `Name(member=value, other=null)`.
pub(super) fn show(text: &mut String, shape: &Shape, node: &Node) {
    if shape.sensitive && *node != Node::Null {
        return text.push_str("***Sensitive Data Redacted***");
    }
    match (&shape.kind, node) {
        (_, Node::Null) => text.push_str("null"),
        (_, Node::String(value)) => text.push_str(value),
        (_, Node::Boolean(value)) => write!(text, "{value}").unwrap_or_default(),
        (_, Node::Integer(value)) => write!(text, "{value}").unwrap_or_default(),
        (_, Node::Double(value)) => write!(text, "{value:?}").unwrap_or_default(),
        (_, Node::Timestamp(value)) => write!(text, "{value}").unwrap_or_default(),
        (_, Node::Blob(bytes)) => {
            let length = bytes.len();
            write!(text, "java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]").unwrap_or_default();
        }
        (Kind::List { member, .. }, Node::List(items)) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index == 0 { "" } else { ", " });
                show(text, member, item);
            }
            text.push(']');
        }
        (Kind::Map { key, value, .. }, Node::Map(entries)) => {
            text.push('{');
            for (index, (name, item)) in entries.iter().enumerate() {
                let name = if key.sensitive { "***Sensitive Data Redacted***" } else { name };
                write!(text, "{}{name}=", if index == 0 { "" } else { ", " }).unwrap_or_default();
                show(text, value, item);
            }
            text.push('}');
        }
        (Kind::Structure(structure), Node::Structure(members)) => {
            write!(text, "{}(", structure.name).unwrap_or_default();
            for (index, (member, item)) in structure.members.iter().zip(members).enumerate() {
                write!(text, "{}{}=", if index == 0 { "" } else { ", " }, member.label).unwrap_or_default();
                show(text, member.shape, item);
            }
            text.push(')');
        }
        _ => {}
    }
}
