//! One invocation: what goes in and what comes out.

use bytes::Bytes;

/// A synchronous invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The request id that the client sees, the function sees and the log names.
    pub request_id: uuid::Uuid,
    /// The event.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, decoded from base64 to JSON text.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`, passed along.
    pub trace_id: Option<String>,
    /// The ARN as invoked, with the qualifier the caller used.
    pub invoked_function_arn: String,
    /// Whether the last 4 KiB of the log go back to the caller.
    pub log_tail: bool,
}

/// The `X-Amz-Function-Error` of an invocation that reached the function and failed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// `Unhandled`.
    Unhandled,
}

/// What an invocation came to. A failure *in* the function is an outcome; a failure to run it is an [`bojagi_model::Error`].
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The function's answer, or the error document.
    pub payload: Bytes,
    /// Present when the function failed.
    pub function_error: Option<FunctionError>,
    /// The last 4 KiB of this invocation's log lines, when asked for.
    pub log_tail: Option<Vec<u8>>,
    /// The version that ran.
    pub executed_version: bojagi_model::Version,
}
