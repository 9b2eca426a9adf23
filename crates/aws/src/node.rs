//! A value between the wire and the typed structures.
//!
//! Parsers build it by a schema, validation reads it, the generated code turns it into structures and back. A structure's
//! node has exactly as many members as its schema, in the same order.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use time::OffsetDateTime;

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Absent, or `null`.
    Null,
    Boolean(bool),
    Integer(i64),
    Double(f64),
    String(String),
    Blob(Bytes),
    /// A blob that still lies in the request's buffer.
    Span(Range<usize>),
    Timestamp(OffsetDateTime),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
    Structure(Vec<Node>),
}

impl Node {
    /// The members of a structure, to be taken one after another.
    pub(crate) fn into_members(self) -> Option<Members> {
        match self {
            Node::Structure(members) => Some(Members(members.into_iter())),
            _ => None,
        }
    }

    /// Turns spans into blobs that share the buffer.
    pub(crate) fn resolve_spans(&mut self, buffer: &Bytes) {
        match self {
            Node::Span(range) => *self = Node::Blob(buffer.slice(range.clone())),
            Node::List(items) | Node::Structure(items) => items.iter_mut().for_each(|item| item.resolve_spans(buffer)),
            Node::Map(entries) => entries.iter_mut().for_each(|(_, value)| value.resolve_spans(buffer)),
            _ => {}
        }
    }
}

/// The members of a structure in the schema's order.
pub(crate) struct Members(std::vec::IntoIter<Node>);

impl Members {
    /// The next member, if it is there.
    pub(crate) fn take<T: FromNode>(&mut self) -> Option<T> {
        self.0.next().and_then(T::from_node)
    }
}

/// What a node turns into. `None` for `null` and for another kind of node, which a schema's parser does not build.
pub(crate) trait FromNode: Sized {
    fn from_node(node: Node) -> Option<Self>;
}

/// What turns into a node.
pub(crate) trait IntoNode {
    fn into_node(self) -> Node;
}

macro_rules! scalar {
    ($type:ty, $variant:ident) => {
        impl FromNode for $type {
            fn from_node(node: Node) -> Option<Self> {
                match node {
                    Node::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }

        impl IntoNode for $type {
            fn into_node(self) -> Node {
                Node::$variant(self)
            }
        }
    };
}

scalar!(bool, Boolean);
scalar!(i64, Integer);
scalar!(f64, Double);
scalar!(String, String);
scalar!(Bytes, Blob);
scalar!(OffsetDateTime, Timestamp);

impl FromNode for i32 {
    fn from_node(node: Node) -> Option<Self> {
        i64::from_node(node).and_then(|value| value.try_into().ok())
    }
}

impl IntoNode for i32 {
    fn into_node(self) -> Node {
        Node::Integer(self.into())
    }
}

impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::List(items) => Some(items.into_iter().filter_map(T::from_node).collect()),
            _ => None,
        }
    }
}

impl<T: IntoNode> IntoNode for Vec<T> {
    fn into_node(self) -> Node {
        Node::List(self.into_iter().map(T::into_node).collect())
    }
}

impl<T: FromNode> FromNode for BTreeMap<String, T> {
    fn from_node(node: Node) -> Option<Self> {
        match node {
            Node::Map(entries) => {
                let entries =
                    entries.into_iter().filter_map(|(key, value)| T::from_node(value).map(|value| (key, value)));
                Some(entries.collect())
            }
            _ => None,
        }
    }
}

impl<T: IntoNode> IntoNode for BTreeMap<String, T> {
    fn into_node(self) -> Node {
        Node::Map(self.into_iter().map(|(key, value)| (key, value.into_node())).collect())
    }
}

impl<T: IntoNode> IntoNode for Option<T> {
    fn into_node(self) -> Node {
        self.map_or(Node::Null, T::into_node)
    }
}

/// Stands for a sensitive value in `Debug`.
pub(crate) struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*** Sensitive Data Redacted ***")
    }
}
