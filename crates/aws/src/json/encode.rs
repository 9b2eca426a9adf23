//! From nodes to JSON, by schema. Absent members are left out.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::node::Node;
use crate::schema::{Kind, Location, Shape, Structure};

/// Writes the members that travel in the body.
pub(crate) fn encode_structure(target: &mut Vec<u8>, structure: &Structure, members: &[Node]) {
    target.push(b'{');
    let mut first = true;
    for (member, node) in structure.members.iter().zip(members) {
        let Location::Body(name) = member.location else { continue };
        if *node == Node::Null {
            continue;
        }
        separate(target, &mut first);
        encode_string(target, name);
        target.push(b':');
        encode(target, member.shape, node);
    }
    target.push(b'}');
}

fn encode(target: &mut Vec<u8>, shape: &Shape, node: &Node) {
    let mut first = true;
    match (&shape.kind, node) {
        (Kind::Structure(structure), Node::Structure(members)) => encode_structure(target, structure, members),
        (Kind::List { member, .. }, Node::List(items)) => {
            target.push(b'[');
            for item in items {
                separate(target, &mut first);
                encode(target, member, item);
            }
            target.push(b']');
        }
        (Kind::Map { value: shape, .. }, Node::Map(entries)) => {
            target.push(b'{');
            for (key, value) in entries {
                separate(target, &mut first);
                encode_string(target, key);
                target.push(b':');
                encode(target, shape, value);
            }
            target.push(b'}');
        }
        (_, Node::String(text)) => encode_string(target, text),
        (_, Node::Boolean(value)) => put(target, format_args!("{value}")),
        (_, Node::Integer(value)) => put(target, format_args!("{value}")),
        (_, Node::Double(value)) if value.is_finite() => put(target, format_args!("{value:?}")),
        (_, Node::Blob(bytes)) => encode_string(target, &STANDARD.encode(bytes)),
        (_, Node::Timestamp(time)) if time.nanosecond() == 0 => put(target, format_args!("{}", time.unix_timestamp())),
        (_, Node::Timestamp(time)) => put(target, format_args!("{:.3}", time.unix_timestamp_nanos() as f64 / 1e9)),
        _ => target.extend_from_slice(b"null"),
    }
}

fn separate(target: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::take(first) {
        target.push(b',');
    }
}

/// A JSON string with its quotes.
pub(crate) fn encode_string(target: &mut Vec<u8>, text: &str) {
    target.push(b'"');
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => Some("\\\""),
            b'\\' => Some("\\\\"),
            b'\n' => Some("\\n"),
            b'\r' => Some("\\r"),
            b'\t' => Some("\\t"),
            0..0x20 => None,
            _ => continue,
        };
        target.extend_from_slice(&text.as_bytes()[plain..index]);
        plain = index + 1;
        match escape {
            Some(escape) => target.extend_from_slice(escape.as_bytes()),
            None => put(target, format_args!("\\u{byte:04x}")),
        }
    }
    target.extend_from_slice(&text.as_bytes()[plain..]);
    target.push(b'"');
}

/// Writing to a vector cannot fail.
fn put(target: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    target.write_fmt(text).unwrap_or_default();
}
