//! Logs: append-only segment files, one directory a log group, bounded in size, on disk within a second.
//!
//! ```text
//! logs/111111111111/us-east-1/%2Faws%2Flambda%2Fname/
//!   00000001763834400000-0000.log       named by the time of its first line; at most `segment_bytes`
//!   00000001763834460000-0001.log       the newest is written to
//! ```
//!
//! A line of a segment: `MILLISECONDS<tab>STREAM<tab>MESSAGE<newline>`, where backslash, newline and carriage return of the message are
//! written `\\`, `\n`, `\r`; other bytes stand as they are. A line torn by a crash lacks its newline and is skipped when read; each
//! process begins segments of its own, so nothing is ever appended to a torn line.
//!
//! Appending never waits: lines go through a bounded queue, and when it is full they are dropped and counted. When the segments of all
//! groups together exceed the budget, the oldest go.

mod record;
mod segments;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bojagi_model::{AccountId, Region};
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{Result, StoreError};
use segments::Segments;

/// How long a line may be in memory only.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long lines are gathered before they are written together. Writing wakes a thread of its own; done for each append, that would
/// cost an invocation more than all else that the server does for it.
const GATHER: Duration = Duration::from_millis(10);

/// Most appends that one write takes.
const BATCH: usize = 4_096;

/// Bounds of the log store.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The directory.
    pub directory: PathBuf,
    /// A segment is ended when it is larger, in bytes.
    pub segment_bytes: u64,
    /// All segments together, in bytes.
    pub budget_bytes: u64,
    /// Appends that may wait to be written; more are dropped.
    pub queue: usize,
}

impl LogSettings {
    /// Segments of 4 MiB, a budget of 1 GiB, 16,384 appends in the queue.
    pub fn new(directory: PathBuf) -> LogSettings {
        LogSettings { directory, segment_bytes: 4 << 20, budget_bytes: 1 << 30, queue: 16_384 }
    }
}

/// A log group of an account in a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogGroup {
    /// Whose it is.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// Its name, such as `/aws/lambda/name`.
    pub name: String,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// When it was written, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The log stream.
    pub stream: String,
    /// The line as the function wrote it, without a newline at its end.
    pub message: Bytes,
}

enum Command {
    Append(LogGroup, Vec<LogRecord>),
    Tail(LogGroup, Option<String>, usize, oneshot::Sender<Result<Vec<LogRecord>>>),
    Reset(oneshot::Sender<Result<()>>),
}

/// Takes lines and gives them back.
pub struct LogStore {
    commands: mpsc::Sender<Command>,
    dropped: AtomicU64,
}

/// Writes what a [`LogStore`] takes.
pub struct LogWriter {
    commands: mpsc::Receiver<Command>,
    segments: Segments,
}

impl LogStore {
    /// Opens the directory. [`LogWriter::run`] must run beside the store.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(settings: LogSettings) -> Result<(LogStore, LogWriter)> {
        let (sender, commands) = mpsc::channel(settings.queue.max(1));
        let segments = Segments::open(settings)?;
        Ok((LogStore { commands: sender, dropped: AtomicU64::new(0) }, LogWriter { commands, segments }))
    }

    /// Appends lines, in order. Never waits: what the queue cannot take is dropped and counted.
    pub fn append(&self, group: LogGroup, records: Vec<LogRecord>) {
        let count = records.len() as u64;
        if self.commands.try_send(Command::Append(group, records)).is_err() {
            self.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// Lines dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// The last lines of a group, or of one of its streams, oldest first, with everything that was appended before the call.
    ///
    /// # Errors
    /// A segment cannot be read; the writer has ended.
    pub async fn tail(&self, group: LogGroup, stream: Option<String>, lines: usize) -> Result<Vec<LogRecord>> {
        self.ask(|answer| Command::Tail(group, stream, lines, answer)).await
    }

    /// Removes all logs of everybody.
    ///
    /// # Errors
    /// They cannot be removed; the writer has ended.
    pub async fn reset(&self) -> Result<()> {
        self.ask(Command::Reset).await
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T>>) -> Command) -> Result<T> {
        let ended = || StoreError::io("use", "the log store after its end")(std::io::ErrorKind::BrokenPipe.into());
        let (sender, answer) = oneshot::channel();
        self.commands.send(command(sender)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl LogWriter {
    /// Writes until `shutdown` is cancelled, then what is still in the queue, and syncs.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut timer = tokio::time::interval(SYNC_EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut batch = Vec::new();
            let (sync, last) = tokio::select! {
                count = self.commands.recv_many(&mut batch, BATCH) => {
                    self.gather(&mut batch, &shutdown).await;
                    (false, count == 0)
                }
                _ = timer.tick() => (true, false),
                () = shutdown.cancelled() => {
                    self.commands.close();
                    while let Ok(command) = self.commands.try_recv() {
                        batch.push(command);
                    }
                    (true, true)
                }
            };
            let mut segments = self.segments;
            let written = spawn_blocking(move || {
                carry_out(&mut segments, batch);
                if sync || last {
                    segments.sync();
                }
                segments
            });
            match written.await {
                Ok(segments) => self.segments = segments,
                Err(error) => {
                    tracing::error!(%error, "the log writer has ended: no more logs are kept");
                    return;
                }
            }
            if last {
                return;
            }
        }
    }

    /// Waits for more of the same, unless somebody waits for an answer or there is much already.
    async fn gather(&mut self, batch: &mut Vec<Command>, shutdown: &CancellationToken) {
        if batch.len() < BATCH / 2 && batch.iter().all(|command| matches!(command, Command::Append(..))) {
            let gathering = tokio::time::sleep(GATHER);
            // Cut short by the end only: a sender that finds nobody listening wakes nobody.
            tokio::select! {
                () = gathering => {}
                () = shutdown.cancelled() => {}
            }
            while batch.len() < BATCH
                && let Ok(command) = self.commands.try_recv()
            {
                batch.push(command);
            }
        }
    }
}

fn carry_out(segments: &mut Segments, batch: Vec<Command>) {
    for command in batch {
        match command {
            Command::Append(group, records) => {
                if let Err(error) = segments.append(&group, &records) {
                    let lines = records.len();
                    tracing::error!(
                        group = group.name,
                        lines,
                        error = &error as &dyn std::error::Error,
                        "logs are lost"
                    );
                }
            }
            // Who asked may have gone away; then nobody needs the answer.
            Command::Tail(group, stream, lines, answer) => {
                drop(answer.send(segments.tail(&group, stream.as_deref(), lines)));
            }
            Command::Reset(answer) => drop(answer.send(segments.reset())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> LogGroup {
        LogGroup { account: AccountId::DEVELOPMENT, region: "us-east-1".parse().unwrap(), name: name.to_owned() }
    }

    fn record(timestamp_ms: i64, message: &[u8]) -> LogRecord {
        LogRecord {
            timestamp_ms,
            stream: format!("2026/11/22/[$LATEST]{}", timestamp_ms % 2),
            message: Bytes::copy_from_slice(message),
        }
    }

    #[tokio::test]
    async fn lines_come_back_after_a_restart_and_torn_ones_are_skipped() {
        let directory = tempfile::tempdir().unwrap();
        let settings = LogSettings::new(directory.path().to_owned());
        let awkward: [&[u8]; 4] = [b"plain", b"two\nlines\r\\n", b"\xff\x00 not utf-8\ttab", b""];
        let expected: Vec<LogRecord> = (1..).zip(awkward).map(|(at, message)| record(at, message)).collect();
        for round in 1..=2 {
            let (store, writer) = LogStore::open(settings.clone()).unwrap();
            let shutdown = CancellationToken::new();
            let running = tokio::spawn(writer.run(shutdown.clone()));
            if round == 1 {
                store.append(group("/aws/lambda/a"), expected.clone());
                store.append(group("/aws/lambda/b"), vec![record(1, b"other")]);
            }
            assert_eq!(store.tail(group("/aws/lambda/a"), None, 10).await.unwrap(), expected);
            let stream = Some("2026/11/22/[$LATEST]0".to_owned());
            let even = store.tail(group("/aws/lambda/a"), stream, 1).await.unwrap();
            assert_eq!(even, [expected[3].clone()]);
            assert!(store.tail(group("/none"), None, 10).await.unwrap().is_empty());
            assert_eq!(store.dropped(), 0);
            shutdown.cancel();
            running.await.unwrap();
            if round == 1 {
                let home = directory.path().join("000000000000/us-east-1/%2Faws%2Flambda%2Fa");
                let segment = std::fs::read_dir(home).unwrap().next().unwrap().unwrap().path();
                let mut bytes = std::fs::read(&segment).unwrap();
                bytes.extend_from_slice(b"9\tstream\ttorn by a cra");
                std::fs::write(segment, bytes).unwrap();
            }
        }
    }

    #[tokio::test]
    async fn the_oldest_segments_go_when_the_budget_is_used_up() {
        let directory = tempfile::tempdir().unwrap();
        let settings =
            LogSettings { segment_bytes: 1_000, budget_bytes: 5_000, ..LogSettings::new(directory.path().to_owned()) };
        let (store, writer) = LogStore::open(settings).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(writer.run(shutdown.clone()));
        for at in 0..200 {
            store.append(group(&format!("g{}", at % 3)), vec![record(at, &[b'x'; 100])]);
        }
        let mut kept = 0;
        for name in ["g0", "g1", "g2"] {
            let lines = store.tail(group(name), None, 1_000).await.unwrap();
            assert!(lines.last().unwrap().timestamp_ms >= 197, "the newest lines stay");
            kept += lines.len();
        }
        assert!((10..50).contains(&kept), "{kept} lines of 200 kept");
        store.reset().await.unwrap();
        assert!(store.tail(group("g0"), None, 10).await.unwrap().is_empty());
        store.append(group("g0"), vec![record(1, b"after the reset")]);
        assert_eq!(store.tail(group("g0"), None, 10).await.unwrap().len(), 1);
        shutdown.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_flood_is_dropped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let settings = LogSettings { queue: 2, ..LogSettings::new(directory.path().to_owned()) };
        let (store, writer) = LogStore::open(settings).unwrap();
        for at in 0..5 {
            store.append(group("g"), vec![record(at, b"x"), record(at, b"y")]);
        }
        assert_eq!(store.dropped(), 6);
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        writer.run(shutdown).await;
        let (store, writer) = LogStore::open(LogSettings::new(directory.path().to_owned())).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(writer.run(shutdown.clone()));
        assert_eq!(store.tail(group("g"), None, 10).await.unwrap().len(), 4, "what was taken is written at the end");
        shutdown.cancel();
        running.await.unwrap();
    }
}
