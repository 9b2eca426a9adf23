//! Failures as the query protocol's services, IAM and STS, spell them.

use bojagi_aws::ErrorReply;
use bojagi_aws::sigv4::Dialect;
use bojagi_model::ErrorKind;

use super::{Failure, reply};

/// Code, message and status of a failure.
pub fn error_reply(failure: &Failure) -> ErrorReply<'_> {
    match failure {
        Failure::Domain(error) => domain(error.kind(), failure),
        Failure::Wire(error) => ErrorReply::from(error),
        Failure::Signature(error) => error.reply(Dialect::Query),
        Failure::Foreign(_) => reply("AccessDenied", 403, failure),
        Failure::TooLarge { .. } => reply("RequestEntityTooLarge", 413, failure),
        Failure::Body(_) => reply("RequestTimeout", 408, failure),
        Failure::BadRequest(_) => reply("MalformedInput", 400, failure),
        Failure::UnknownOperation { .. } => reply("InvalidAction", 400, failure),
        Failure::UnknownService(_) => reply("NotImplementedException", 501, failure),
        Failure::Panicked(_) | Failure::Identity(_) => reply("ServiceFailure", 500, failure),
    }
}

fn domain(kind: ErrorKind, failure: &Failure) -> ErrorReply<'_> {
    let (code, status) = match kind {
        ErrorKind::InvalidParameterValue | ErrorKind::Validation | ErrorKind::InvalidRequestContent => {
            ("ValidationError", 400)
        }
        ErrorKind::NoSuchEntity | ErrorKind::ResourceNotFound => ("NoSuchEntity", 404),
        ErrorKind::EntityAlreadyExists | ErrorKind::ResourceConflict => ("EntityAlreadyExists", 409),
        ErrorKind::DeleteConflict => ("DeleteConflict", 409),
        ErrorKind::MalformedPolicyDocument => ("MalformedPolicyDocument", 400),
        ErrorKind::PreconditionFailed => ("ConcurrentModification", 409),
        ErrorKind::CodeStorageExceeded => ("LimitExceeded", 409),
        ErrorKind::RequestTooLarge | ErrorKind::RequestEntityTooLarge => ("RequestEntityTooLarge", 413),
        ErrorKind::TooManyRequests(_) => ("Throttling", 400),
        ErrorKind::AccessDenied => ("AccessDenied", 403),
        ErrorKind::NotSupported => ("NotImplementedException", 501),
        ErrorKind::ResourceNotReady | ErrorKind::InvalidRuntime | ErrorKind::InvalidZipFile | ErrorKind::Service => {
            ("ServiceFailure", 500)
        }
    };
    reply(code, status, failure)
}
