//! Failures as Lambda spells them. Status and shape of modelled codes come from the service's model.

use bojagi_aws::ErrorReply;
use bojagi_aws::sigv4::Dialect;
use bojagi_model::ErrorKind;

use super::{Failure, reply};

/// Code, message, status and members of a failure.
pub fn error_reply(failure: &Failure) -> ErrorReply<'_> {
    match failure {
        Failure::Domain(error) => domain(error.kind(), failure),
        Failure::Wire(error) => ErrorReply::from(error),
        Failure::Signature(error) => error.reply(Dialect::Json),
        Failure::Foreign(_) => reply("AccessDeniedException", 403, failure),
        Failure::TooLarge { .. } => reply("RequestEntityTooLargeException", 413, failure),
        Failure::Body(_) => reply("RequestTimeoutException", 408, failure),
        Failure::BadRequest(_) => reply("BadRequestException", 400, failure),
        Failure::UnknownOperation { .. } => reply("UnknownOperationException", 404, failure),
        // Of the 5xx the one that the SDKs do not retry.
        Failure::UnknownService(_) => reply("NotImplementedException", 501, failure),
        Failure::Panicked(_) | Failure::Identity(_) => reply("ServiceException", 500, failure),
    }
}

fn domain(kind: ErrorKind, failure: &Failure) -> ErrorReply<'_> {
    let (code, status) = match kind {
        ErrorKind::InvalidParameterValue => ("InvalidParameterValueException", 400),
        ErrorKind::Validation => ("ValidationException", 400),
        ErrorKind::InvalidRequestContent => ("InvalidRequestContentException", 400),
        ErrorKind::ResourceNotFound | ErrorKind::NoSuchEntity => ("ResourceNotFoundException", 404),
        ErrorKind::ResourceConflict | ErrorKind::EntityAlreadyExists | ErrorKind::DeleteConflict => {
            ("ResourceConflictException", 409)
        }
        ErrorKind::ResourceNotReady => ("ResourceNotReadyException", 502),
        ErrorKind::PreconditionFailed => ("PreconditionFailedException", 412),
        ErrorKind::CodeStorageExceeded => ("CodeStorageExceededException", 400),
        ErrorKind::RequestTooLarge => ("RequestTooLargeException", 413),
        ErrorKind::RequestEntityTooLarge => ("RequestEntityTooLargeException", 413),
        ErrorKind::TooManyRequests(reason) => {
            return reply("TooManyRequestsException", 429, failure).with_extra("Reason", reason.as_str());
        }
        ErrorKind::AccessDenied => ("AccessDeniedException", 403),
        ErrorKind::InvalidRuntime => ("InvalidRuntimeException", 502),
        ErrorKind::InvalidZipFile => ("InvalidZipFileException", 502),
        ErrorKind::MalformedPolicyDocument => ("InvalidParameterValueException", 400),
        // Of the 5xx the one that the SDKs do not retry.
        ErrorKind::NotSupported => ("NotImplementedException", 501),
        ErrorKind::Service => ("ServiceException", 500),
    };
    reply(code, status, failure)
}
