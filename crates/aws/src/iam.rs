//! AWS Identity and Access Management, version 2010-05-08: query protocol. Generated from the service's model, but for these few functions.

use bytes::Bytes;
use http::Response;

use crate::query::{self, Form};
use crate::{ErrorReply, WireError, xml};

include!(concat!(env!("OUT_DIR"), "/iam.rs"));

/// The operation that the form's `Action` and `Version` name.
///
/// # Errors
///
/// [`WireError::MissingAction`] and [`WireError::InvalidAction`].
pub fn route(form: &Form) -> Result<Operation, WireError> {
    query::route(&SERVICE, form).map(|index| Operation::ALL[index])
}

/// The request of `operation`, parsed and validated.
///
/// # Errors
///
/// What is wrong with the request, and [`WireError::NotSupported`].
pub fn parse(operation: Operation, form: &Form) -> Result<Input, WireError> {
    let node = query::parse(&SERVICE, operation.schema(), form)?;
    input_from_node(operation, node).ok_or(WireError::NotSupported { operation: operation.name() })
}

impl Output {
    /// The HTTP answer: status, headers and XML.
    pub fn into_response(self, request_id: &str) -> Response<Bytes> {
        let (operation, node) = output_into_node(self);
        xml::respond(&SERVICE, operation.schema(), &node, request_id)
    }
}

/// An error with the status that the model gives its code.
pub fn error_response(error: &ErrorReply<'_>, request_id: &str) -> Response<Bytes> {
    xml::error_response(&SERVICE, error, request_id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pattern_compiles() {
        for pattern in super::schemas::PATTERNS {
            assert!(pattern.compile().is_ok(), "{}", pattern.shown);
        }
    }
}
