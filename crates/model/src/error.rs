//! The one domain error: what went wrong, in AWS's words, without any protocol's spelling of it.
//!
//! Each front door turns the kind into its own code, status and body, exhaustively. The message is what a client
//! may read. The source is for the log, where the whole chain is written once, where the request ends.

use std::error::Error as StdError;
use std::fmt;

/// What kind of failure this is. Named after the Lambda API's exceptions where one exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A parameter's value is not acceptable (Lambda: `InvalidParameterValueException`, 400).
    InvalidParameterValue,
    /// A modelled constraint is violated (Lambda: `ValidationException`, 400).
    Validation,
    /// The request body is not what its content type says (Lambda: `InvalidRequestContentException`, 400).
    InvalidRequestContent,
    /// The resource does not exist (Lambda: `ResourceNotFoundException`, 404).
    ResourceNotFound,
    /// The resource exists already, or its state forbids the operation (Lambda: `ResourceConflictException`, 409).
    ResourceConflict,
    /// The resource is still being made ready (Lambda: `ResourceNotReadyException`, 502).
    ResourceNotReady,
    /// The revision id does not match (Lambda: `PreconditionFailedException`, 412).
    PreconditionFailed,
    /// Code storage of the account is used up (Lambda: `CodeStorageExceededException`, 400).
    CodeStorageExceeded,
    /// The request is larger than the operation accepts (Lambda: `RequestTooLargeException`, 413).
    RequestTooLarge,
    /// A .zip archive in the request is larger than Lambda accepts (Lambda: `RequestEntityTooLargeException`, 413).
    RequestEntityTooLarge,
    /// Concurrency or rate is used up (Lambda: `TooManyRequestsException`, 429).
    TooManyRequests(ThrottleReason),
    /// The caller may not do this (403).
    AccessDenied,
    /// The runtime named is unknown to this installation or cannot be had (Lambda: `InvalidRuntimeException`, 502).
    InvalidRuntime,
    /// A .zip archive cannot be read (Lambda: `InvalidZipFileException`, 502, or `InvalidParameterValueException`).
    InvalidZipFile,
    /// The operation is part of the service and Bojagi does not support it (501 where a protocol has no better word).
    NotSupported,
    /// The machine cannot run this now: resources, kernel features, disk (Lambda: `ServiceException`, 500).
    Service,
    /// IAM: the entity exists already (`EntityAlreadyExists`, 409).
    EntityAlreadyExists,
    /// IAM: the entity does not exist (`NoSuchEntity`, 404).
    NoSuchEntity,
    /// IAM: the entity still has subordinate entities (`DeleteConflict`, 409).
    DeleteConflict,
    /// IAM: the policy document cannot be parsed (`MalformedPolicyDocument`, 400).
    MalformedPolicyDocument,
}

/// The `Reason` member of Lambda's `TooManyRequestsException`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    /// All of the account's concurrency is in use.
    ConcurrentInvocationLimitExceeded,
    /// All of the function's reserved concurrency is in use.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// The caller asks too often.
    CallerRateLimitExceeded,
    /// The function is invoked too often.
    FunctionInvocationRateLimitExceeded,
}

impl ThrottleReason {
    /// The value as the Lambda API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::CallerRateLimitExceeded => "CallerRateLimitExceeded",
            Self::FunctionInvocationRateLimitExceeded => "FunctionInvocationRateLimitExceeded",
        }
    }
}

/// A failure with a name, a message for the client, and a cause for the log.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// A result whose error is the domain's.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure that the client caused or must hear of, in AWS's words where AWS has words for it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), source: None }
    }

    /// The same with the cause that the operator will read in the log. The client never sees it.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        self.source = Some(source.into());
        self
    }

    /// A failure of this machine rather than of the request: `ServiceException` with AWS's message, and the cause for
    /// the log.
    pub fn service(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Service, "An internal service exception occurred.").with_source(source)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the client may read.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
