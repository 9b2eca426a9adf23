//! Everything that can end a request without its operation's answer, and its form in each protocol.
//!
//! One file per protocol turns a [`Failure`] into that protocol's code and status, exhaustively. The client reads the code and the
//! message; causes go to the log.

pub mod query;
pub mod rest_json;

use bojagi_aws::sigv4::SignatureError;
use bojagi_aws::{ErrorReply, WireError};
use bojagi_model::Error;

use crate::body::BodyError;
use crate::hosts::Foreign;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The operation failed.
    #[error(transparent)]
    Domain(#[from] Error),
    /// The request is not what the service's model says.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// It cannot be told who asks.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It cannot be looked up who asks.
    #[error("An internal service exception occurred.")]
    Identity(#[source] Error),
    /// A web page may have sent it.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// The body is longer than the operation accepts.
    #[error("Request must be smaller than {limit} bytes for the {operation} operation")]
    TooLarge {
        /// In bytes.
        limit: u64,
        /// As AWS spells it in this message.
        operation: &'static str,
    },
    /// The body did not arrive.
    #[error("The request body could not be read.")]
    Body(#[from] BodyError),
    /// The headers contradict each other.
    #[error("{0}")]
    BadRequest(&'static str),
    /// The service has no operation at this method and path.
    #[error("The service {service} has no operation at {method} {path}.")]
    UnknownOperation {
        /// The service.
        service: &'static str,
        /// The method.
        method: String,
        /// The path.
        path: String,
    },
    /// The request is for a service that is not here.
    #[error("The service {0} is not served by Bojagi. It serves lambda, sts and iam.")]
    UnknownService(String),
    /// The operation ended in a defect of ours.
    #[error("An internal service exception occurred.")]
    Panicked(#[source] tokio::task::JoinError),
}

/// An error whose code the protocol's model may not know, hence with a status.
fn reply(code: &'static str, status: u16, failure: &Failure) -> ErrorReply<'static> {
    ErrorReply::new(code, failure.to_string()).with_status(status)
}
