//! Why a request could not be understood, and an error as a client gets it.

use std::borrow::Cow;

/// Why a request could not be turned into a typed input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Modelled constraints are violated. The message names all of them.
    #[error("{message}")]
    Validation {
        /// `ValidationException` or `ValidationError`, by service.
        code: &'static str,
        /// All violations, joined as AWS joins them.
        message: String,
    },
    /// The body is not JSON.
    #[error("Could not parse request body into json: {0}")]
    InvalidRequestContent(String),
    /// The body is JSON, or a form, and a value in it has the wrong type.
    #[error("{0}")]
    Serialization(String),
    /// The query protocol's `Action` is missing.
    #[error("Missing Action")]
    MissingAction,
    /// The service has no such operation.
    #[error("Could not find operation {action} for version {version}")]
    InvalidAction {
        /// What was asked for.
        action: String,
        /// The `Version` that came with it.
        version: String,
    },
    /// A form's value has the wrong type.
    #[error("{0}")]
    MalformedInput(String),
    /// The service has this operation and Bojagi does not support it.
    #[error("The operation {operation} is not supported by Bojagi.")]
    NotSupported {
        /// Its name.
        operation: &'static str,
    },
}

impl WireError {
    /// The error code of the answer.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Validation { code, .. } => code,
            Self::InvalidRequestContent(_) => "InvalidRequestContentException",
            Self::Serialization(_) => "SerializationException",
            Self::MissingAction => "MissingAction",
            Self::InvalidAction { .. } => "InvalidAction",
            Self::MalformedInput(_) => "MalformedInput",
            Self::NotSupported { .. } => "NotImplementedException",
        }
    }

    /// The HTTP status of the answer. 501 is one that SDKs do not retry.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotSupported { .. } => 501,
            _ => 400,
        }
    }
}

impl<'a> From<&'a WireError> for ErrorReply<'a> {
    fn from(error: &'a WireError) -> ErrorReply<'a> {
        ErrorReply::new(error.code(), error.to_string()).with_status(error.status())
    }
}

/// An error as a client gets it, before a protocol gives it its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// The code, for instance `ResourceNotFoundException`.
    pub code: &'a str,
    /// What the client may read.
    pub message: Cow<'a, str>,
    /// The HTTP status of a code that the service's model does not have; the model's wins. 400 unless given.
    pub status: Option<u16>,
    /// Other members of the modelled error by name, for instance `Reason` or `retryAfterSeconds`. Unmodelled ones are left out.
    pub extras: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> ErrorReply<'a> {
    /// A code and its message.
    pub fn new(code: &'a str, message: impl Into<Cow<'a, str>>) -> ErrorReply<'a> {
        ErrorReply { code, message: message.into(), status: None, extras: Vec::new() }
    }

    /// The HTTP status, should the model not know the code.
    pub fn with_status(mut self, status: u16) -> ErrorReply<'a> {
        self.status = Some(status);
        self
    }

    /// Another member of the modelled error.
    pub fn with_extra(mut self, member: &'a str, value: impl Into<Cow<'a, str>>) -> ErrorReply<'a> {
        self.extras.push((member, value.into()));
        self
    }
}
