//! The joints between crates that may not know each other.

use std::sync::Arc;

use bojagi_engine::{LogEvent, LogOrigin, LogSink};
use bojagi_store::logs::{LogGroup, LogRecord, LogStore};

/// The engine's log lines go to the store's segment files.
pub struct Logs(pub Arc<LogStore>);

impl LogSink for Logs {
    fn append(&self, origin: &Arc<LogOrigin>, events: Vec<LogEvent>) {
        let group =
            LogGroup { account: origin.arn.account, region: origin.arn.region.clone(), name: origin.group.clone() };
        let record = |event: LogEvent| LogRecord {
            timestamp_ms: event.timestamp_ms,
            stream: origin.stream.clone(),
            message: event.line,
        };
        self.0.append(group, events.into_iter().map(record).collect());
    }
}
