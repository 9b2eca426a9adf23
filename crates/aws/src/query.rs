//! The query protocol: a form names the operation as `Action`, and structures, lists and maps by paths such as
//! `Tags.member.1.Key` and `Attributes.entry.1.value`.

use std::borrow::Cow;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::error::WireError;
use crate::node::Node;
use crate::rest_json::pairs;
use crate::schema::{Kind, Location, Operation, Service, Shape, Structure};
use crate::validate::validate;

/// A request's parameters, from its query and its form.
#[derive(Clone, Debug, Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Reads them. Of a parameter that comes twice the first counts, and the query comes before the form.
    pub fn parse(query: &str, body: &[u8]) -> Form {
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        let mut parameters: Vec<_> = pairs(query.as_bytes()).chain(pairs(body)).map(owned).collect();
        parameters.sort_by(|left, right| left.0.cmp(&right.0));
        parameters.dedup_by(|later, earlier| later.0 == earlier.0);
        Form(parameters)
    }

    /// The parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        Parameters { all: &self.0, prefix: 0 }.get(name)
    }
}

/// The operation that the form's `Action` names.
pub(crate) fn route(service: &Service, form: &Form) -> Result<usize, WireError> {
    let action = form.get("Action").ok_or(WireError::MissingAction)?;
    let version = form.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
    let index = service.operations.binary_search_by(|operation| operation.name.cmp(action)).ok();
    let unknown = || WireError::InvalidAction { action: action.to_owned(), version: version.to_owned() };
    index.filter(|_| version == service.api_version).ok_or_else(unknown)
}

/// A request's members, validated.
pub(crate) fn parse(service: &Service, operation: &Operation, form: &Form) -> Result<Node, WireError> {
    let Some(structure) = operation.input else {
        let not_supported = WireError::NotSupported { operation: operation.name };
        return if operation.supported { Ok(Node::Structure(Vec::new())) } else { Err(not_supported) };
    };
    let members = read_structure(structure, Parameters { all: &form.0, prefix: 0 })?;
    validate(service, structure, &members)?;
    Ok(Node::Structure(members))
}

/// The sorted parameters that share a prefix, which is `prefix` bytes long and ends in a dot.
#[derive(Clone, Copy)]
struct Parameters<'a> {
    all: &'a [(String, String)],
    prefix: usize,
}

impl<'a> Parameters<'a> {
    fn name(&self, index: usize) -> &'a str {
        &self.all[index].0[self.prefix..]
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.all.binary_search_by(|(full, _)| full[self.prefix..].cmp(name)).ok()?;
        Some(&self.all[found].1)
    }

    /// Those below `name` and a dot.
    fn below(&self, name: &str) -> Parameters<'a> {
        let prefix = self.prefix;
        let start = self.all.partition_point(|(full, _)| before(&full[prefix..], name));
        let rest = &self.all[start..];
        let count = rest.partition_point(|(full, _)| is_below(&full[prefix..], name));
        Parameters { all: &rest[..count], prefix: prefix + name.len() + 1 }
    }

    /// The numbers that the next part of the names has, ascending. Gaps are legal; nothing is allocated for them.
    fn numbers(&self) -> Vec<(u32, &'a str)> {
        let parts = (0..self.all.len()).map(|index| {
            let name = self.name(index);
            name.split_once('.').map_or(name, |(part, _)| part)
        });
        let mut numbers: Vec<_> = parts.filter_map(|part| part.parse().ok().map(|number| (number, part))).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

/// Whether `full` sorts before everything that begins with `name` and a dot.
fn before(full: &str, name: &str) -> bool {
    full.bytes().lt(name.bytes().chain([b'.']))
}

fn is_below(full: &str, name: &str) -> bool {
    full.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

fn read_structure(structure: &Structure, parameters: Parameters<'_>) -> Result<Vec<Node>, WireError> {
    let read = |member: &crate::schema::Member| match member.location {
        Location::Body(name) => read_value(member.shape, parameters, name),
        _ => Ok(Node::Null),
    };
    structure.members.iter().map(read).collect()
}

fn read_value(shape: &Shape, parameters: Parameters<'_>, name: &str) -> Result<Node, WireError> {
    match &shape.kind {
        Kind::Structure(structure) => {
            let below = parameters.below(name);
            if below.all.is_empty() { Ok(Node::Null) } else { read_structure(structure, below).map(Node::Structure) }
        }
        Kind::List { member, .. } => {
            let items = parameters.below(name).below("member");
            let nodes = items.numbers().into_iter().map(|(_, part)| read_value(member, items, part));
            let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
            // `TagKeys=` stands for a list that is empty, as SDKs write it.
            let empty = nodes.is_empty() && parameters.get(name).is_none();
            Ok(if empty { Node::Null } else { Node::List(nodes) })
        }
        Kind::Map { value, .. } => {
            let entries = parameters.below(name).below("entry");
            let mut nodes = Vec::new();
            for (_, part) in entries.numbers() {
                let entry = entries.below(part);
                let key = entry.get("key").unwrap_or_default().to_owned();
                nodes.push((key, read_value(value, entry, "value")?));
            }
            Ok(if nodes.is_empty() { Node::Null } else { Node::Map(nodes) })
        }
        _ => parameters.get(name).map_or(Ok(Node::Null), |text| scalar(shape, name, text)),
    }
}

fn scalar(shape: &Shape, name: &str, text: &str) -> Result<Node, WireError> {
    let malformed = |wanted: &str| WireError::MalformedInput(format!("The value of {name} is not {wanted}."));
    match shape.kind {
        Kind::Integer => {
            text.parse::<i32>().map(|value| Node::Integer(value.into())).map_err(|_| malformed("an integer"))
        }
        Kind::Long => text.parse().map(Node::Integer).map_err(|_| malformed("an integer")),
        Kind::Double => text.parse().map(Node::Double).map_err(|_| malformed("a number")),
        Kind::Boolean => match text {
            "true" => Ok(Node::Boolean(true)),
            "false" => Ok(Node::Boolean(false)),
            _ => Err(malformed("a boolean")),
        },
        Kind::Timestamp => {
            OffsetDateTime::parse(text, &Rfc3339).map(Node::Timestamp).map_err(|_| malformed("a timestamp"))
        }
        Kind::Blob => {
            use base64::Engine;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.map(|bytes| Node::Blob(bytes.into())).map_err(|_| malformed("base64"))
        }
        _ => Ok(Node::String(text.to_owned())),
    }
}
