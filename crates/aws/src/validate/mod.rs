//! The modelled constraints, checked on a parsed request, with AWS's own messages.
//!
//! What is recorded from AWS and kept here: paths are in lower camel case (`vpcConfig.subnetIds`, `tags.1.member.key`);
//! a list of plain values and a map are shown whole, with all constraints of their members in one bracket; a sensitive
//! value is left out (`Value at 'environment.variables' …`), and IAM leaves every value out, and the enum's set with it.
//! Violations come in the model's order of members; of one member first the upper bound, then the lower, then the rest.

mod constraint;

use std::fmt::Write;

use crate::WireError;
use crate::node::Node;
use crate::schema::{Kind, Service, Shape, Structure};
use constraint::{constraints, show, violations};

/// Checks a request's members.
///
/// # Errors
///
/// [`WireError::Validation`] with all violations.
pub(crate) fn validate(service: &Service, structure: &Structure, members: &[Node]) -> Result<(), WireError> {
    let mut found = Found { hide_values: service.hide_values, messages: Vec::new() };
    found.structure("", structure, members);
    let count = found.messages.len();
    if count == 0 {
        return Ok(());
    }
    let plural = if count == 1 { "" } else { "s" };
    let message = format!("{count} validation error{plural} detected: {}", found.messages.join("; "));
    Err(WireError::Validation { code: service.validation_code, message })
}

struct Found {
    hide_values: bool,
    messages: Vec<String>,
}

impl Found {
    fn structure(&mut self, path: &str, structure: &Structure, members: &[Node]) {
        for (member, node) in structure.members.iter().zip(members) {
            if *node == Node::Null {
                if member.required {
                    self.messages.push(format!(
                        "Value null at '{path}{}' failed to satisfy constraint: Member must not be null",
                        member.label
                    ));
                }
                continue;
            }
            if is_free(member.shape) {
                continue;
            }
            self.value(&format!("{path}{}", member.label), member.shape, node);
        }
    }

    fn value(&mut self, path: &str, shape: &Shape, node: &Node) {
        for constraint in violations(shape, node) {
            let constraint = if self.hide_values { hide_set(constraint) } else { constraint };
            self.push(path, shape, node, &constraint);
        }
        match (&shape.kind, node) {
            (Kind::Structure(structure), Node::Structure(members)) => {
                self.structure(&format!("{path}."), structure, members);
            }
            (Kind::List { member, .. }, Node::List(items)) if is_composed(member) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| **item != Node::Null) {
                    self.value(&format!("{path}.{}.member", index + 1), member, item);
                }
            }
            (Kind::List { member, not_null }, Node::List(items)) => {
                let broken = |item: &Node| breaks(member, item, *not_null);
                if items.iter().any(broken) {
                    let bracket =
                        format!("Member must satisfy constraint: [{}]", constraints(member, *not_null).join(", "));
                    self.push(path, shape, node, &bracket);
                }
            }
            (Kind::Map { key, value, not_null }, Node::Map(entries)) => {
                self.map(path, shape, node, (key, value, *not_null), entries)
            }
            _ => {}
        }
    }

    fn map(
        &mut self,
        path: &str,
        shape: &Shape,
        node: &Node,
        parts: (&Shape, &Shape, bool),
        entries: &[(String, Node)],
    ) {
        let (key, value, not_null) = parts;
        if entries.iter().any(|(name, _)| !violations(key, &Node::String(name.clone())).is_empty()) {
            let bracket = format!("Map keys must satisfy constraint: [{}]", constraints(key, false).join(", "));
            self.push(path, shape, node, &bracket);
        }
        if is_composed(value) {
            for (name, item) in entries.iter().filter(|(_, item)| *item != Node::Null) {
                self.value(&format!("{path}.{name}.member"), value, item);
            }
        } else if entries.iter().any(|(_, item)| breaks(value, item, not_null)) {
            let bracket = format!("Map value must satisfy constraint: [{}]", constraints(value, not_null).join(", "));
            self.push(path, shape, node, &bracket);
        }
    }

    fn push(&mut self, path: &str, shape: &Shape, node: &Node, constraint: &str) {
        let mut message = String::from("Value ");
        if !self.hide_values && !shape.sensitive {
            message.push('\'');
            show(&mut message, shape, node);
            message.push_str("' ");
        }
        write!(message, "at '{path}' failed to satisfy constraint: {constraint}").unwrap_or_default();
        self.messages.push(message);
    }
}

/// Whether a list shows its members' violations one by one: members that have members.
fn is_composed(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. })
}

/// Whether nothing can be wrong with any value, which spares the large ones a look.
fn is_free(shape: &Shape) -> bool {
    let plain = !is_composed(shape);
    plain && shape.min.is_none() && shape.max.is_none() && shape.pattern.is_none() && shape.values.is_empty()
}

fn breaks(shape: &Shape, node: &Node, not_null: bool) -> bool {
    if *node == Node::Null { not_null } else { !violations(shape, node).is_empty() }
}

fn hide_set(constraint: String) -> String {
    match constraint.split_once(": [") {
        Some((enumeration, _)) if enumeration == "Member must satisfy enum value set" => enumeration.to_owned(),
        _ => constraint,
    }
}
