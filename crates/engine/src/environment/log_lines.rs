//! The lines that Lambda itself writes into a function's log, in AWS's text and JSON formats.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;
use uuid::Uuid;

use super::failure::Failure;

/// `2026-01-02T03:04:05.678Z`.
const TIMESTAMP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// When an initialisation happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the invocation.
    Init,
    /// Within it, because the first failed.
    Invoke,
}

impl Phase {
    fn as_str(self) -> &'static str {
        match self {
            Phase::Init => "init",
            Phase::Invoke => "invoke",
        }
    }
}

/// What the REPORT line says.
#[derive(Clone, Debug, PartialEq)]
pub struct Report<'a> {
    /// The invocation.
    pub request_id: Uuid,
    /// From handing over the event to the answer.
    pub duration: Duration,
    /// `MemorySize`.
    pub memory_mib: u32,
    /// The peak so far, in MiB.
    pub max_memory_used_mib: u64,
    /// The Init phase before it, for the first invocation of an environment.
    pub init: Option<Duration>,
    /// How it failed.
    pub failure: Option<&'a Failure>,
}

/// A line of Lambda's.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    /// An environment starts.
    InitStart {
        /// The runtime's identifier.
        runtime: &'a str,
        /// The base image, as an ARN.
        runtime_version_arn: &'a str,
    },
    /// An initialisation failed.
    InitReport {
        /// How long it took.
        duration: Duration,
        /// When it happened.
        phase: Phase,
        /// How it failed.
        failure: &'a Failure,
    },
    /// An invocation starts.
    Start {
        /// The invocation.
        request_id: Uuid,
        /// The function's version.
        version: &'a str,
    },
    /// What went wrong, when the function could not say it.
    Fault {
        /// The invocation.
        request_id: Uuid,
        /// How it failed.
        failure: &'a Failure,
    },
    /// An invocation ends.
    End {
        /// The invocation.
        request_id: Uuid,
    },
    /// What an invocation took.
    Report(Report<'a>),
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

impl Report<'_> {
    /// Since August 2025 the Init phase is billed as well. In milliseconds, rounded up.
    pub fn billed_ms(&self) -> u64 {
        milliseconds(self.duration + self.init.unwrap_or_default()).ceil() as u64
    }

    fn status(&self) -> &'static str {
        match self.failure {
            None => "success",
            Some(Failure::TimedOut { .. }) => "timeout",
            Some(_) => "error",
        }
    }

    fn text(&self) -> String {
        let mut line = format!(
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t",
            self.request_id,
            milliseconds(self.duration),
            self.billed_ms(),
            self.memory_mib,
            self.max_memory_used_mib
        );
        if let Some(init) = self.init {
            line.push_str(&format!("Init Duration: {:.2} ms\t", milliseconds(init)));
        }
        match self.failure.filter(|_| !self.was_raised()) {
            None => {}
            Some(Failure::TimedOut { .. }) => line.push_str("Status: timeout"),
            Some(failure) => line.push_str(&format!("Status: error\tError Type: {}", failure.error_type())),
        }
        line
    }

    /// An error that the handler raised is an answer like any other; one that its initialisation reported is not.
    fn was_raised(&self) -> bool {
        matches!(self.failure, Some(Failure::Reported { error_type, .. }) if !error_type.starts_with("Runtime."))
    }

    fn record(&self) -> Value {
        let rounded = |duration| (milliseconds(duration) * 1000.0).round() / 1000.0;
        let mut metrics = json!({
            "durationMs": rounded(self.duration),
            "billedDurationMs": self.billed_ms(),
            "memorySizeMB": self.memory_mib,
            "maxMemoryUsedMB": self.max_memory_used_mib,
        });
        if let Some(init) = self.init {
            metrics["initDurationMs"] = json!(rounded(init));
        }
        let mut record = json!({ "requestId": self.request_id, "metrics": metrics, "status": self.status() });
        if let Some(failure) = self.failure.filter(|_| self.status() == "error") {
            record["errorType"] = json!(failure.error_type());
        }
        record
    }
}

impl Line<'_> {
    /// The lines in the text format.
    pub fn text(&self, now: OffsetDateTime) -> Vec<String> {
        let line = match self {
            Line::InitStart { runtime, runtime_version_arn } => {
                format!(
                    "INIT_START Runtime Version: {}\tRuntime Version ARN: {runtime_version_arn}",
                    versioned(runtime)
                )
            }
            Line::InitReport { duration, phase, failure } => {
                let head =
                    format!("INIT_REPORT Init Duration: {:.2} ms\tPhase: {}", milliseconds(*duration), phase.as_str());
                match failure {
                    Failure::TimedOut { .. } | Failure::InitTimedOut => format!("{head}\tStatus: timeout"),
                    _ => format!("{head}\tStatus: error\tError Type: {}", failure.error_type()),
                }
            }
            Line::Start { request_id, version } => format!("START RequestId: {request_id} Version: {version}"),
            Line::Fault { request_id, failure: Failure::TimedOut { after } } => {
                let stamp = timestamp(now);
                return vec![
                    format!("{stamp} {request_id} Task timed out after {:.2} seconds", after.as_secs_f64()),
                    String::new(),
                ];
            }
            Line::Fault { request_id, failure } if failure.is_logged() => {
                let message = match failure {
                    Failure::ResponseTooLarge { .. } => {
                        format!("RequestId: {request_id} Error: {}", failure.message(*request_id))
                    }
                    _ => failure.message(*request_id),
                };
                return vec![message, failure.error_type().to_owned()];
            }
            Line::Fault { .. } => return Vec::new(),
            Line::End { request_id } => format!("END RequestId: {request_id}"),
            Line::Report(report) => report.text(),
        };
        vec![line]
    }

    /// The lines in the JSON format (`LoggingConfig.LogFormat`), one event each.
    pub fn json(&self, now: OffsetDateTime) -> Vec<String> {
        let (kind, record) = match self {
            Line::InitStart { runtime, runtime_version_arn } => (
                "platform.initStart",
                json!({
                    "initializationType": "on-demand",
                    "phase": "init",
                    "runtimeVersion": versioned(runtime),
                    "runtimeVersionArn": runtime_version_arn,
                }),
            ),
            Line::InitReport { duration, phase, failure } => {
                let timed_out = matches!(failure, Failure::TimedOut { .. } | Failure::InitTimedOut);
                (
                    "platform.initReport",
                    json!({
                        "initializationType": "on-demand",
                        "phase": phase.as_str(),
                        "status": if timed_out { "timeout" } else { "error" },
                        "errorType": failure.error_type(),
                        "metrics": { "durationMs": milliseconds(*duration) },
                    }),
                )
            }
            Line::Start { request_id, version } => {
                ("platform.start", json!({ "requestId": request_id, "version": version }))
            }
            Line::Fault { .. } | Line::End { .. } => return Vec::new(),
            Line::Report(report) => ("platform.report", report.record()),
        };
        vec![json!({ "time": timestamp(now), "type": kind, "record": record }).to_string()]
    }
}

fn timestamp(now: OffsetDateTime) -> String {
    now.format(TIMESTAMP).unwrap_or_default()
}

/// `python3.13` as the log spells it, `python:3.13`.
fn versioned(runtime: &str) -> String {
    match runtime.find(|c: char| c.is_ascii_digit() || c == '.') {
        Some(at) if at > 0 => format!("{}:{}", &runtime[..at], runtime[at..].trim_start_matches('.')),
        _ => runtime.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use bojagi_sandbox::Exit;
    use bytes::Bytes;

    use super::*;

    const ID: Uuid = Uuid::from_u128(7);

    fn text(line: &Line<'_>) -> String {
        line.text(time::macros::datetime!(2026-01-02 03:04:05.678 UTC)).join("\n")
    }

    fn report(duration: Duration, init: Option<Duration>, failure: Option<&Failure>) -> String {
        text(&Line::Report(Report {
            request_id: ID,
            duration,
            memory_mib: 128,
            max_memory_used_mib: 38,
            init,
            failure,
        }))
    }

    #[test]
    fn report_lines_are_awss() {
        let head = "REPORT RequestId: 00000000-0000-0000-0000-000000000007\t";
        let timeout = Failure::TimedOut { after: Duration::from_secs(3) };
        let memory = Failure::Exited(Exit { status: None, signal: Some(9), out_of_memory: true });
        let raised = Failure::Reported { error_type: "Function.Unknown".to_owned(), payload: Bytes::new() };
        let import = Failure::Reported { error_type: "Runtime.ImportModuleError".to_owned(), payload: Bytes::new() };
        let table = [
            (
                1_234,
                None,
                None,
                "Duration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\t",
            ),
            (
                2_370,
                Some(423_980),
                None,
                "Duration: 2.37 ms\tBilled Duration: 427 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\tInit Duration: 423.98 ms\t",
            ),
            (
                3_000_000,
                None,
                Some(&timeout),
                "Duration: 3000.00 ms\tBilled Duration: 3000 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\tStatus: timeout",
            ),
            (
                800_100,
                None,
                Some(&memory),
                "Duration: 800.10 ms\tBilled Duration: 801 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\tStatus: error\tError Type: Runtime.OutOfMemory",
            ),
            (
                1_000,
                None,
                Some(&raised),
                "Duration: 1.00 ms\tBilled Duration: 1 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\t",
            ),
            (
                98_710,
                None,
                Some(&import),
                "Duration: 98.71 ms\tBilled Duration: 99 ms\tMemory Size: 128 MB\tMax Memory Used: 38 MB\tStatus: error\tError Type: Runtime.ImportModuleError",
            ),
        ];
        for (micros, init, failure, expected) in table {
            let found = report(Duration::from_micros(micros), init.map(Duration::from_micros), failure);
            assert_eq!(found, format!("{head}{expected}"));
        }
    }

    #[test]
    fn other_lines_are_awss() {
        let exit = Failure::Exited(Exit { status: Some(106), signal: None, out_of_memory: false });
        let timeout = Failure::TimedOut { after: Duration::from_secs(1) };
        let id = "00000000-0000-0000-0000-000000000007";
        let table = [
            (
                Line::InitStart { runtime: "python3.13", runtime_version_arn: "arn:aws:lambda:us-east-1::runtime:0a" },
                "INIT_START Runtime Version: python:3.13\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:0a"
                    .to_owned(),
            ),
            (
                Line::InitReport {
                    duration: Duration::from_micros(10_008_620),
                    phase: Phase::Init,
                    failure: &Failure::InitTimedOut,
                },
                "INIT_REPORT Init Duration: 10008.62 ms\tPhase: init\tStatus: timeout".to_owned(),
            ),
            (
                Line::InitReport { duration: Duration::from_micros(19_270), phase: Phase::Invoke, failure: &exit },
                "INIT_REPORT Init Duration: 19.27 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.ExitError"
                    .to_owned(),
            ),
            (Line::Start { request_id: ID, version: "$LATEST" }, format!("START RequestId: {id} Version: $LATEST")),
            (
                Line::Fault { request_id: ID, failure: &exit },
                format!("RequestId: {id} Error: Runtime exited with error: exit status 106\nRuntime.ExitError"),
            ),
            (
                Line::Fault { request_id: ID, failure: &timeout },
                format!("2026-01-02T03:04:05.678Z {id} Task timed out after 1.00 seconds\n"),
            ),
            (Line::End { request_id: ID }, format!("END RequestId: {id}")),
        ];
        for (line, expected) in table {
            assert_eq!(text(&line), expected);
        }
    }

    #[test]
    fn runtimes_are_spelt_with_a_colon() {
        let table = [
            ("python3.13", "python:3.13"),
            ("nodejs22.x", "nodejs:22.x"),
            ("java21", "java:21"),
            ("provided.al2023", "provided:al2023"),
        ];
        for (runtime, expected) in table {
            assert_eq!(versioned(runtime), expected);
        }
    }

    #[test]
    fn the_json_format_has_awss_events() {
        let now = time::macros::datetime!(2026-01-02 03:04:05.678 UTC);
        let timeout = Failure::TimedOut { after: Duration::from_secs(1) };
        let line = Line::Report(Report {
            request_id: ID,
            duration: Duration::from_secs(1),
            memory_mib: 128,
            max_memory_used_mib: 3,
            init: None,
            failure: Some(&timeout),
        });
        assert_eq!(
            line.json(now),
            [
                r#"{"time":"2026-01-02T03:04:05.678Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000007","metrics":{"durationMs":1000.0,"billedDurationMs":1000,"memorySizeMB":128,"maxMemoryUsedMB":3},"status":"timeout"}}"#
            ]
        );
        assert!(Line::End { request_id: ID }.json(now).is_empty());
    }
}
