//! AWS Lambda, version 2015-03-31: rest-json. Generated from the service's model, but for these few functions.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};

use crate::rest_json;
use crate::service::{Labels, Route};
use crate::{ErrorReply, WireError};

include!(concat!(env!("OUT_DIR"), "/lambda.rs"));

/// The operation that a request's method, path (as it came, percent-encoded) and query (without `?`) lead to. A slash at
/// the path's end is ignored, as some SDKs send `/2015-03-31/functions/`.
pub fn route<'a>(method: &str, path: &'a str, query: &str) -> Option<Route<'a, Operation>> {
    let (index, labels) = crate::service::route(&OPERATIONS, method, path, query)?;
    Some(Route { operation: Operation::ALL[index], labels })
}

/// The request of `operation`, parsed and validated. Blobs share the body's buffer: those in JSON are decoded within it,
/// Invoke's payload is it. Whether that payload is JSON is not looked at; see [`crate::json::check`].
///
/// # Errors
///
/// What is wrong with the request, and [`WireError::NotSupported`].
pub fn parse(
    operation: Operation,
    labels: &Labels<'_>,
    query: &str,
    headers: &HeaderMap,
    body: BytesMut,
) -> Result<Input, WireError> {
    let node = rest_json::parse(&SERVICE, operation.schema(), labels, query, headers, body)?;
    input_from_node(operation, node).ok_or(WireError::NotSupported { operation: operation.name() })
}

impl Output {
    /// The HTTP answer: status, headers and body.
    pub fn into_response(self, request_id: &str) -> Response<Bytes> {
        let (operation, node) = output_into_node(self);
        rest_json::respond(operation.schema(), node, request_id)
    }
}

/// An error with the status and the body that its modelled shape has.
pub fn error_response(error: &ErrorReply<'_>, request_id: &str) -> Response<Bytes> {
    rest_json::error_response(&SERVICE, error, request_id)
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
