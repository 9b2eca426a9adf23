//! How an invocation or an initialisation fails inside the function, and what AWS says of each.
//!
//! Every failure has an error type, a document for the caller and, where the function itself has not said it already, lines for the log.

use std::time::Duration;

use bojagi_sandbox::Exit;
use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

/// A failure inside the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It did not answer within its `Timeout`.
    TimedOut {
        /// The timeout.
        after: Duration,
    },
    /// The initialisation took longer than the Init phase may. Never told to a caller: the initialisation is tried again.
    InitTimedOut,
    /// Its process ended.
    Exited(Exit),
    /// Its process could not be started; the reason as AWS words it.
    InvalidEntrypoint(String),
    /// It reported an error itself, which goes to the caller as it is.
    Reported {
        /// `Lambda-Runtime-Function-Error-Type`.
        error_type: String,
        /// The document it reported.
        payload: Bytes,
    },
    /// Its answer is larger than Lambda accepts.
    ResponseTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The connection ended in the middle of its answer.
    Truncated,
    /// Its answer named a response mode that there is not.
    InvalidResponseMode,
}

impl Failure {
    /// The `errorType`, which is also the `Error Type` in the log.
    pub fn error_type(&self) -> &str {
        match self {
            Failure::TimedOut { .. } | Failure::InitTimedOut => "Sandbox.Timedout",
            Failure::Exited(exit) if exit.out_of_memory => "Runtime.OutOfMemory",
            Failure::Exited(_) => "Runtime.ExitError",
            Failure::InvalidEntrypoint(_) => "Runtime.InvalidEntrypoint",
            Failure::Reported { error_type, .. } => error_type,
            Failure::ResponseTooLarge { .. } => "Function.ResponseSizeTooLarge",
            Failure::Truncated => "Runtime.TruncatedResponse",
            Failure::InvalidResponseMode => "Runtime.InvalidResponseModeHeader",
        }
    }

    /// The document for the caller.
    pub fn payload(&self, request_id: Uuid) -> Bytes {
        if let Failure::Reported { payload, .. } = self {
            return payload.clone();
        }
        let document = json!({ "errorType": self.error_type(), "errorMessage": self.message(request_id) });
        Bytes::from(document.to_string())
    }

    /// The `errorMessage`.
    pub fn message(&self, request_id: Uuid) -> String {
        match self {
            Failure::ResponseTooLarge { limit_bytes } => {
                format!("Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes).")
            }
            _ => format!("RequestId: {request_id} Error: {}", self.reason()),
        }
    }

    /// The message without the request.
    fn reason(&self) -> String {
        match self {
            Failure::TimedOut { after } => format!("Task timed out after {:.2} seconds", after.as_secs_f64()),
            Failure::InitTimedOut => "Init timed out".to_owned(),
            Failure::Exited(exit) => exit_reason(*exit),
            Failure::InvalidEntrypoint(reason) => reason.clone(),
            Failure::Reported { error_type, .. } => error_type.clone(),
            Failure::ResponseTooLarge { .. } => "Response payload size exceeded".to_owned(),
            Failure::Truncated => "The runtime's response was truncated".to_owned(),
            Failure::InvalidResponseMode => "Invalid function response mode".to_owned(),
        }
    }

    /// Whether Lambda, rather than the function, has to put it into the log.
    pub fn is_logged(&self) -> bool {
        !matches!(self, Failure::Reported { .. } | Failure::TimedOut { .. } | Failure::InitTimedOut)
    }

    /// The error type a runtime gave, if it has the form that Lambda accepts, `Runtime.Name` or `Function.Name`.
    pub fn accepted_type(given: Option<&str>, otherwise: &str) -> String {
        let well_formed = |text: &&str| {
            text.strip_prefix("Runtime.").or_else(|| text.strip_prefix("Function.")).is_some_and(|name| {
                name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|c| c.is_ascii_alphabetic())
            })
        };
        given.filter(well_formed).unwrap_or(otherwise).to_owned()
    }
}

fn exit_reason(exit: Exit) -> String {
    match (exit.status, exit.signal) {
        (_, Some(signal)) => format!("Runtime exited with error: signal: {}", signal_name(signal)),
        (Some(0) | None, None) => "Runtime exited without providing a reason".to_owned(),
        (Some(status), None) => format!("Runtime exited with error: exit status {status}"),
    }
}

/// Signals by the names that Go gives them, which AWS's messages carry.
fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_awss() {
        let exit = |status, signal, out_of_memory| Failure::Exited(Exit { status, signal, out_of_memory });
        let table = [
            (
                Failure::TimedOut { after: Duration::from_secs(1) },
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Task timed out after 1.00 seconds"}"#,
            ),
            (
                exit(Some(127), None, false),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited with error: exit status 127"}"#,
            ),
            (
                exit(Some(0), None, false),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited without providing a reason"}"#,
            ),
            (
                exit(None, Some(11), false),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited with error: signal: segmentation fault"}"#,
            ),
            (
                exit(None, Some(9), true),
                r#"{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Runtime exited with error: signal: killed"}"#,
            ),
            (
                Failure::InvalidEntrypoint(
                    "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned(),
                ),
                r#"{"errorType":"Runtime.InvalidEntrypoint","errorMessage":"RequestId: 00000000-0000-0000-0000-000000000007 Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"}"#,
            ),
            (
                Failure::ResponseTooLarge { limit_bytes: 6_291_556 },
                r#"{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes)."}"#,
            ),
            (
                Failure::Reported {
                    error_type: "Function.Unknown".to_owned(),
                    payload: Bytes::from_static(b"{\"its\":\"own\"}"),
                },
                r#"{"its":"own"}"#,
            ),
        ];
        for (failure, expected) in table {
            assert_eq!(failure.payload(Uuid::from_u128(7)), expected.as_bytes(), "{failure:?}");
        }
    }

    #[test]
    fn error_types_of_runtimes_are_taken_when_well_formed() {
        let table = [
            (Some("Runtime.ImportModuleError"), "Runtime.ImportModuleError"),
            (Some("Function.Mine"), "Function.Mine"),
            (Some("Function.mine"), "Runtime.Unknown"),
            (Some("Runtime."), "Runtime.Unknown"),
            (Some("ValueError"), "Runtime.Unknown"),
            (Some("Runtime.A\tStatus: success"), "Runtime.Unknown"),
            (None, "Runtime.Unknown"),
        ];
        for (given, expected) in table {
            assert_eq!(Failure::accepted_type(given, "Runtime.Unknown"), expected);
        }
    }
}
