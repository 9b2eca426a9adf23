//! What the generator knows of a service, as statics. Parser, validator and writers walk over these; nothing here is
//! specific to one operation.

use std::sync::OnceLock;

use regex::Regex;

/// One service.
pub(crate) struct Service {
    pub api_version: &'static str,
    pub xml_namespace: &'static str,
    /// The error code of a constraint violation.
    pub validation_code: &'static str,
    /// Whether violations leave the offending value out of the message.
    pub hide_values: bool,
    pub operations: &'static [Operation],
    pub errors: &'static [ErrorShape],
}

/// One operation. `input` and `output` are there for supported operations only.
pub(crate) struct Operation {
    pub name: &'static str,
    pub method: &'static str,
    pub uri: &'static str,
    pub segments: &'static [Segment],
    /// Query parameters that the URI template demands, with the value demanded.
    pub query: &'static [(&'static str, &'static str)],
    pub status: u16,
    pub errors: &'static [&'static str],
    pub supported: bool,
    pub input: Option<&'static Structure>,
    pub output: Option<&'static Structure>,
    pub result_wrapper: Option<&'static str>,
}

/// One part of a URI template.
pub(crate) enum Segment {
    Literal(&'static str),
    Label(&'static str),
    /// Takes everything that is left, slashes included.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "a shape of URI template that no operation of these models has today")
    )]
    Greedy(&'static str),
}

/// A structure: its members in the model's order.
pub(crate) struct Structure {
    pub name: &'static str,
    /// The member that is the whole body.
    pub payload: Option<usize>,
    pub members: &'static [Member],
}

pub(crate) struct Member {
    /// As constraint violations spell it.
    pub label: &'static str,
    pub location: Location,
    pub required: bool,
    pub shape: &'static Shape,
}

/// Where a member travels, with its name there. Header names are lower case.
#[derive(PartialEq, Eq)]
pub(crate) enum Location {
    Body(&'static str),
    Uri(&'static str),
    Query(&'static str),
    Header(&'static str),
    /// Every header with this prefix, as a map.
    #[cfg_attr(not(test), expect(dead_code, reason = "a location that no member of these models has today"))]
    Headers(&'static str),
    StatusCode,
}

pub(crate) struct Shape {
    pub kind: Kind,
    pub sensitive: bool,
    /// Answers carry this string percent-encoded.
    pub url_encoded: bool,
    /// Of a number its value, of everything else its length.
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub pattern: Option<&'static Pattern>,
    /// The enum's values; empty where there is none or it is not a constraint.
    pub values: &'static [&'static str],
}

pub(crate) enum Kind {
    Structure(&'static Structure),
    List { member: &'static Shape, not_null: bool },
    Map { key: &'static Shape, value: &'static Shape, not_null: bool },
    String,
    Boolean,
    Integer,
    Long,
    Double,
    Blob,
    Timestamp,
}

/// A regular expression: as AWS shows it, and compiled when it is first needed.
pub(crate) struct Pattern {
    pub shown: &'static str,
    source: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub(crate) const fn new(shown: &'static str, source: &'static str) -> Pattern {
        Pattern { shown, source, compiled: OnceLock::new() }
    }

    /// Whether the whole of `text` matches. Every pattern of the models compiles: a test sees to it.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| Regex::new(self.source).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    #[cfg(test)]
    pub(crate) fn compile(&self) -> Result<Regex, regex::Error> {
        Regex::new(self.source)
    }
}

/// An error that the service's model has.
pub(crate) struct ErrorShape {
    pub code: &'static str,
    pub status: u16,
    /// How the message's member is spelt: `message` or `Message`.
    pub message: &'static str,
    pub has_type: bool,
    /// Other members, with the header they travel in, if any.
    pub extras: &'static [(&'static str, Option<&'static str>)],
}

impl Service {
    /// The modelled error with that code.
    pub(crate) fn error(&self, code: &str) -> Option<&'static ErrorShape> {
        self.errors.iter().find(|error| error.code == code)
    }
}
