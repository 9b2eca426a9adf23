//! The log of one environment: what its processes write and what Lambda says about them, in order.
//!
//! What always holds: a function that writes without end neither stalls itself nor takes memory; all that it wrote before it answered is
//! in the log before the END line.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use time::OffsetDateTime;
use tokio::net::unix::pipe;

use super::log_lines::Line;
use crate::config::{LogEvent, LogOrigin, LogSink};

/// The longest line kept in one piece; CloudWatch Logs' figure for an event, in bytes.
const LINE_BYTES: usize = 256 * 1024;
/// What `LogType=Tail` returns, in bytes.
const TAIL_BYTES: usize = 4096;
/// What one look into the pipe reads, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// What is read after an answer before the END line is written, in bytes: more than a pipe holds, unless something keeps writing.
const DRAIN_BYTES: usize = 1024 * 1024;

/// The log of one environment.
pub struct EnvironmentLog {
    origin: Arc<LogOrigin>,
    sink: Arc<dyn LogSink>,
    json: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A line whose end has not been read yet.
    partial: BytesMut,
    /// The end of what was logged since the current invocation began.
    tail: VecDeque<u8>,
}

impl State {
    fn line(&mut self, line: Bytes, timestamp_ms: i64, events: &mut Vec<LogEvent>) {
        let newline = std::iter::once(&b'\n');
        let keep = &line[line.len().saturating_sub(TAIL_BYTES)..];
        self.tail.extend(keep.iter().chain(newline));
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        events.push(LogEvent { timestamp_ms, line });
    }

    fn output(&mut self, mut bytes: &[u8], timestamp_ms: i64, events: &mut Vec<LogEvent>) {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let line = if self.partial.is_empty() {
                Bytes::copy_from_slice(&bytes[..at])
            } else {
                self.partial.extend_from_slice(&bytes[..at]);
                self.partial.split().freeze()
            };
            self.line(line, timestamp_ms, events);
            bytes = &bytes[at + 1..];
        }
        self.partial.extend_from_slice(bytes);
        while self.partial.len() >= LINE_BYTES {
            let line = self.partial.split_to(LINE_BYTES).freeze();
            self.line(line, timestamp_ms, events);
        }
    }

    fn flush(&mut self, timestamp_ms: i64, events: &mut Vec<LogEvent>) {
        if !self.partial.is_empty() {
            let line = self.partial.split().freeze();
            self.line(line, timestamp_ms, events);
        }
    }
}

impl EnvironmentLog {
    /// The log of a new environment. `json` selects the format of Lambda's own lines.
    pub fn new(origin: LogOrigin, sink: Arc<dyn LogSink>, json: bool) -> EnvironmentLog {
        EnvironmentLog { origin: Arc::new(origin), sink, json, state: Mutex::default() }
    }

    /// Its log stream's name.
    pub fn stream(&self) -> &str {
        &self.origin.stream
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends lines of Lambda's, after what the function has written so far.
    pub fn lines(&self, lines: &[Line<'_>]) {
        let mut state = self.lock();
        let mut events = Vec::with_capacity(lines.len() + 1);
        self.append(&mut state, lines, &mut events);
        self.deliver(events);
    }

    /// Begins an invocation: what was written before it comes before its START line, and into its tail only if it belongs to it.
    pub fn begin(&self, output: &Output, cold: bool, line: &Line<'_>) {
        let mut state = self.lock();
        let mut events = Vec::with_capacity(1);
        output.drain(&mut state, &mut events);
        state.flush(milliseconds(OffsetDateTime::now_utc()), &mut events);
        if !cold {
            state.tail.clear();
        }
        self.append(&mut state, std::slice::from_ref(line), &mut events);
        self.deliver(events);
    }

    /// Reads what is left of `output`, appends the lines of an invocation's end, and returns the invocation's tail.
    pub fn finish(&self, output: Option<&Output>, lines: &[Line<'_>]) -> Vec<u8> {
        let mut state = self.lock();
        let mut events = Vec::with_capacity(lines.len());
        if let Some(output) = output {
            output.drain(&mut state, &mut events);
        }
        self.append(&mut state, lines, &mut events);
        self.deliver(events);
        std::mem::take(&mut state.tail).into()
    }

    /// Reads what is left of `output`, whose writers have ended.
    pub fn drain(&self, output: &Output) {
        let mut state = self.lock();
        let mut events = Vec::new();
        output.drain(&mut state, &mut events);
        self.append(&mut state, &[], &mut events);
        self.deliver(events);
    }

    fn append(&self, state: &mut State, lines: &[Line<'_>], events: &mut Vec<LogEvent>) {
        let now = OffsetDateTime::now_utc();
        let timestamp_ms = milliseconds(now);
        state.flush(timestamp_ms, events);
        for line in lines {
            let rendered = if self.json { line.json(now) } else { line.text(now) };
            for text in rendered {
                state.line(Bytes::from(text), timestamp_ms, events);
            }
        }
    }

    fn deliver(&self, events: Vec<LogEvent>) {
        if !events.is_empty() {
            self.sink.append(&self.origin, events);
        }
    }
}

fn milliseconds(now: OffsetDateTime) -> i64 {
    (now.unix_timestamp_nanos() / 1_000_000) as i64
}

/// The pipe that an environment's processes write to.
pub struct Output(pipe::Receiver);

impl Output {
    /// Takes the reading end. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// When the descriptor is no pipe or cannot be registered.
    pub fn new(descriptor: OwnedFd) -> io::Result<Output> {
        pipe::Receiver::from_owned_fd(descriptor).map(Output)
    }

    /// Reads until nothing is there, past Tokio's own notion of readiness, which may lag behind an answer that came by another way.
    fn drain(&self, state: &mut State, events: &mut Vec<LogEvent>) {
        let mut buffer = [0; READ_BYTES];
        let mut total = 0;
        while total < DRAIN_BYTES {
            match rustix::io::read(self.0.as_fd(), &mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    total += count;
                    state.output(&buffer[..count], milliseconds(OffsetDateTime::now_utc()), events);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }

    /// Moves output to the log until every writer has ended.
    pub async fn pump(&self, log: &EnvironmentLog) {
        while let Ok(()) = self.0.readable().await {
            match self.take(log) {
                Ok(0) => return,
                Ok(_) => tokio::task::yield_now().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    tracing::warn!(%error, stream = log.stream(), "the output of an environment cannot be read");
                    return;
                }
            }
        }
    }

    fn take(&self, log: &EnvironmentLog) -> io::Result<usize> {
        let mut state = log.lock();
        let mut buffer = [0; READ_BYTES];
        let count = self.0.try_read(&mut buffer)?;
        let mut events = Vec::new();
        let timestamp_ms = milliseconds(OffsetDateTime::now_utc());
        if count == 0 {
            state.flush(timestamp_ms, &mut events);
        }
        state.output(&buffer[..count], timestamp_ms, &mut events);
        log.deliver(events);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::environment::fixtures::{self, Collected};

    fn log(collected: &Arc<Collected>) -> EnvironmentLog {
        EnvironmentLog::new(fixtures::origin(), Arc::clone(collected) as Arc<dyn LogSink>, false)
    }

    #[tokio::test]
    async fn everything_written_before_the_end_is_before_the_end_line() {
        let (reader, writer) = io::pipe().unwrap();
        let collected = Arc::new(Collected::default());
        let log = log(&collected);
        let output = Output::new(OwnedFd::from(reader)).unwrap();
        let id = uuid::Uuid::nil();
        log.lines(&[Line::Start { request_id: id, version: "$LATEST" }]);
        (&writer).write_all(b"one\ntwo\nno newline").unwrap();
        let tail = log.finish(Some(&output), &[Line::End { request_id: id }]);
        let expected = format!("START RequestId: {id} Version: $LATEST\none\ntwo\nno newline\nEND RequestId: {id}\n");
        assert_eq!(String::from_utf8(tail).unwrap(), expected);
        assert_eq!(collected.text(), expected);
    }

    #[tokio::test]
    async fn the_tail_is_the_last_four_kilobytes() {
        let (reader, writer) = io::pipe().unwrap();
        let collected = Arc::new(Collected::default());
        let log = log(&collected);
        let output = Output::new(OwnedFd::from(reader)).unwrap();
        (&writer).write_all(&vec![b'x'; 5000]).unwrap();
        (&writer).write_all(b"\nlast\n").unwrap();
        let tail = log.finish(Some(&output), &[]);
        assert_eq!(tail.len(), 4096);
        assert!(tail.ends_with(b"xxx\nlast\n"));
        assert!(log.finish(Some(&output), &[]).is_empty());
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_and_the_pump_ends_with_the_writer() {
        let (reader, writer) = io::pipe().unwrap();
        let collected = Arc::new(Collected::default());
        let log = log(&collected);
        let output = Output::new(OwnedFd::from(reader)).unwrap();
        let thread = std::thread::spawn(move || {
            let mut writer = writer;
            writer.write_all(&vec![b'x'; LINE_BYTES + 10]).unwrap();
        });
        output.pump(&log).await;
        thread.join().unwrap();
        let lengths: Vec<usize> = collected.lines().iter().map(|line| line.len()).collect();
        assert_eq!(lengths, [LINE_BYTES, 10]);
    }
}
