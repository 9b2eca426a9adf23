//! An execution environment: one sandbox with one runtime process tree, serving one invocation at a time.
//!
//! What always holds: every event that concerns it goes through the state machine of [`state`] under one lock; whoever takes the current
//! invocation out of it concludes it, once: writes the last log lines and answers the caller.

pub mod dns;
pub mod failure;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod log;
pub mod log_lines;
pub mod start;
pub mod state;
pub mod variables;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bojagi_sandbox::{Exit, SandboxControl};
use bytes::Bytes;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use self::failure::Failure;
use self::log::{EnvironmentLog, Output};
use self::log_lines::{Line, Report};
use self::state::{Event, Refused, State};
use crate::deployable::Deployable;
use crate::invocation::Invocation;
use crate::runtime_api::connection::Connection;

/// How long requests that a runtime made before its process ended are still read.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a listener that cannot accept is left alone: the host is short of descriptors, or the connection was gone at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The next connection, however long the host has no room for one.
pub async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "a connection inside an environment could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Where environments live: told when they can serve and when no longer.
pub trait Home: Send + Sync {
    /// The runtime waits for an event again.
    fn parked(&self, environment: &Arc<Environment>);
    /// The runtime does not wait any more, though it has no event.
    fn abandoned(&self, environment: &Environment);
    /// Its processes have ended.
    fn ended(&self, environment: &Environment);
}

/// When an invocation began, and what went before.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The begin of what counts as its duration.
    pub started: Instant,
    /// The Init phase, when the environment was started for it and succeeded at the first attempt.
    pub init: Option<Duration>,
    /// Whether the environment was started for it: then the log of its initialisation belongs to it.
    pub cold: bool,
}

/// What a runtime is handed.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The invocation.
    pub invocation: Arc<Invocation>,
    /// When it will be ended, in milliseconds since 1970.
    pub deadline_ms: u64,
}

/// What an invocation came to in an environment.
#[derive(Debug)]
pub enum Concluded {
    /// It ran.
    Done {
        /// The answer, or the error document.
        payload: Bytes,
        /// Whether it is the error document.
        failed: bool,
        /// The end of its log.
        tail: Vec<u8>,
    },
    /// The runtime never had it.
    Undelivered,
}

/// The invocation that is being served.
struct Current {
    invocation: Arc<Invocation>,
    timing: Timing,
    respond: oneshot::Sender<Concluded>,
}

struct Shared {
    state: State,
    /// The runtime's waiting request for the next event.
    parked: Option<(oneshot::Sender<Delivery>, Connection)>,
    current: Option<Current>,
    /// When its runtime last answered or stopped waiting.
    answered: Option<Instant>,
    /// Told how the initialisation went.
    initialised: Option<oneshot::Sender<Result<(), Failure>>>,
    /// Its share of the machine's memory.
    memory: Option<Arc<OwnedSemaphorePermit>>,
}

impl Shared {
    /// Every change of the state.
    fn step(&mut self, event: Event) -> Result<(), (Refused, State)> {
        self.state = self.state.on(event).map_err(|refused| (refused, self.state))?;
        if self.state == State::Answered {
            self.answered = Some(Instant::now());
        }
        Ok(())
    }
}

/// One execution environment. Dropping the last handle kills its sandbox.
pub struct Environment {
    serial: u64,
    deployable: Arc<Deployable>,
    log: Arc<EnvironmentLog>,
    output: Output,
    memory_peak: Option<File>,
    control: Arc<dyn SandboxControl>,
    home: Weak<dyn Home>,
    payload_bytes: u64,
    shared: Mutex<Shared>,
    /// Cancelled when its processes have ended.
    ended: CancellationToken,
    /// The runtime's connections.
    connections: TaskTracker,
}

/// Why there is no next event for a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEvent {
    /// It may not ask now.
    Refused(Refused, State),
    /// The environment is ending.
    Ended,
}

impl Environment {
    /// A number of its own.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// What it runs.
    pub fn deployable(&self) -> &Arc<Deployable> {
        &self.deployable
    }

    /// Where it is in its life.
    pub fn state(&self) -> State {
        self.lock().state
    }

    /// Owns the runtime's connections.
    pub fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// The largest answer it may give, in bytes.
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    /// Resolves when its processes have ended.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_home(&self, tell: impl FnOnce(&dyn Home)) {
        if let Some(home) = self.home.upgrade() {
            tell(&*home);
        }
    }

    /// Ends it. What it serves is concluded when its processes have ended.
    pub fn stop(&self) {
        let mut shared = self.lock();
        if shared.step(Event::Stop).is_ok() {
            shared.parked = None;
            drop(shared);
            self.control.kill();
        }
    }

    /// Since when it has neither served nor waited for an invocation, though it has initialised.
    pub fn answered_since(&self) -> Option<Instant> {
        let shared = self.lock();
        shared.answered.filter(|_| shared.state == State::Answered)
    }

    /// Hands it an invocation. None when its runtime does not wait for one.
    pub fn assign(&self, invocation: &Arc<Invocation>, timing: Timing) -> Option<oneshot::Receiver<Concluded>> {
        let mut shared = self.lock();
        let (parked, _) = shared.parked.take_if(|(_, connection)| !connection.is_gone())?;
        shared.step(Event::Assigned(invocation.request_id)).ok()?;
        let version = self.deployable.function.version.to_string();
        let start = Line::Start { request_id: invocation.request_id, version: &version };
        self.log.begin(&self.output, timing.cold, &start);
        let deadline = timing.started + self.timeout();
        let left = deadline.saturating_duration_since(Instant::now());
        let deadline_ms = (OffsetDateTime::now_utc() + left).unix_timestamp_nanos() / 1_000_000;
        let (respond, concluded) = oneshot::channel();
        shared.current = Some(Current { invocation: Arc::clone(invocation), timing, respond });
        let delivery = Delivery { invocation: Arc::clone(invocation), deadline_ms: deadline_ms as u64 };
        if parked.send(delivery).is_err() {
            shared.current = None;
            drop(shared);
            self.stop();
            return None;
        }
        Some(concluded)
    }

    /// The function's timeout.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.deployable.function.configuration.timeout_seconds.into())
    }

    /// The timeout of an invocation has come: concludes it, unless that has happened, and ends the environment.
    pub fn expire(&self, request_id: Uuid) {
        let current = {
            let mut shared = self.lock();
            if shared.state != State::Busy(request_id) {
                return;
            }
            if shared.step(Event::Stop).is_err() {
                return;
            }
            shared.current.take()
        };
        self.control.kill();
        if let Some(current) = current {
            self.conclude(current, Err(Failure::TimedOut { after: self.timeout() }));
        }
    }

    /// The runtime asks for the next event: waits for it.
    ///
    /// # Errors
    /// [`NoEvent`] when it may not ask now, or the environment is ending.
    pub async fn next(self: &Arc<Self>, connection: &Connection) -> Result<Delivery, NoEvent> {
        let (parked, delivery) = oneshot::channel();
        let initialised = {
            let mut shared = self.lock();
            shared.step(Event::NextRequested).map_err(|(refused, state)| NoEvent::Refused(refused, state))?;
            shared.parked = Some((parked, connection.clone()));
            shared.initialised.take()
        };
        let mut waiting = Waiting { environment: self, delivery: Some(delivery) };
        match initialised {
            Some(initialised) => drop(initialised.send(Ok(()))),
            None => self.with_home(|home| home.parked(self)),
        }
        let received = match &mut waiting.delivery {
            Some(delivery) => tokio::select! {
                biased;
                received = delivery => received,
                () = connection.gone() => return Err(NoEvent::Ended),
            },
            None => return Err(NoEvent::Ended),
        };
        waiting.delivery = None;
        received.map_err(|_| NoEvent::Ended)
    }

    /// Whether the runtime may answer this invocation now.
    ///
    /// # Errors
    /// [`Refused`], and the state that refuses.
    pub fn may_respond(&self, request_id: Uuid) -> Result<(), (Refused, State)> {
        let state = self.state();
        state.on(Event::Responded(request_id)).map(drop).map_err(|refused| (refused, state))
    }

    /// The runtime answers an invocation.
    ///
    /// # Errors
    /// [`Refused`] when it does not serve that invocation (any more), and the state that refuses.
    pub fn respond(&self, request_id: Uuid, result: Result<Bytes, Failure>) -> Result<(), (Refused, State)> {
        let current = {
            let mut shared = self.lock();
            shared.step(Event::Responded(request_id))?;
            shared.current.take()
        };
        if let Some(current) = current {
            self.conclude(current, result);
        }
        Ok(())
    }

    /// The connection ended in the middle of an answer. If the process has ended, that is the reason to give.
    pub async fn truncated(&self, request_id: Uuid) {
        if timeout(LAST_WORDS, self.control.wait()).await.is_ok() {
            return;
        }
        if self.respond(request_id, Err(Failure::Truncated)).is_ok() {
            self.stop();
        }
    }

    /// The runtime reports that it cannot initialise.
    ///
    /// # Errors
    /// [`Refused`] when it is not initialising, and the state that refuses.
    pub fn init_error(&self, failure: Failure) -> Result<(), (Refused, State)> {
        let initialised = {
            let mut shared = self.lock();
            shared.step(Event::InitError)?;
            shared.initialised.take()
        };
        if let Some(initialised) = initialised {
            drop(initialised.send(Err(failure)));
        }
        Ok(())
    }

    /// Its processes have ended.
    async fn exited(&self, exit: Exit) {
        let speaking = matches!(self.state(), State::Busy(_) | State::Initialising);
        if speaking {
            self.connections.close();
            if timeout(LAST_WORDS, self.connections.wait()).await.is_err() {
                tracing::debug!(sandbox = self.control.id(), "connections outlive the process of their environment");
            }
        }
        let (current, initialised, memory) = {
            let mut shared = self.lock();
            if let Err((refused, _)) = shared.step(Event::Exited) {
                tracing::error!(%refused, sandbox = self.control.id(), "an environment ended against its own rules");
            }
            shared.parked = None;
            (shared.current.take(), shared.initialised.take(), shared.memory.take())
        };
        self.with_home(|home| home.ended(self));
        if let Some(current) = current {
            self.conclude(current, Err(Failure::Exited(exit)));
        } else {
            self.log.drain(&self.output);
        }
        drop(memory);
        if let Some(initialised) = initialised {
            drop(initialised.send(Err(Failure::Exited(exit))));
        }
        self.ended.cancel();
    }

    /// Writes the last lines of an invocation and answers its caller.
    fn conclude(&self, current: Current, result: Result<Bytes, Failure>) {
        let Current { invocation, timing, respond } = current;
        let duration = match &result {
            Err(Failure::TimedOut { after }) => *after,
            _ => timing.started.elapsed(),
        };
        let request_id = invocation.request_id;
        let failure = result.as_ref().err();
        let report = Line::Report(Report {
            request_id,
            duration,
            memory_mib: self.deployable.function.configuration.memory_mib,
            max_memory_used_mib: self.max_memory_used_mib(),
            init: timing.init,
            failure,
        });
        let end = Line::End { request_id };
        let tail = match failure {
            None => self.log.finish(Some(&self.output), &[end, report]),
            Some(failure) => self.log.finish(Some(&self.output), &[Line::Fault { request_id, failure }, end, report]),
        };
        let (payload, failed) = match result {
            Ok(payload) => (payload, false),
            Err(failure) => (failure.payload(request_id), true),
        };
        if respond.send(Concluded::Done { payload, failed, tail }).is_err() {
            tracing::debug!(%request_id, "nobody waits for the answer of an invocation any more");
        }
    }

    /// The peak of memory so far, in MiB, never more than the limit, at which the kernel counts differently than AWS.
    pub fn max_memory_used_mib(&self) -> u64 {
        let mut text = [0; 24];
        let bytes: u64 = self
            .memory_peak
            .as_ref()
            .and_then(|file| file.read_at(&mut text, 0).ok())
            .and_then(|length| std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok())
            .unwrap_or(0);
        bytes.div_ceil(1 << 20).min(self.deployable.function.configuration.memory_mib.into())
    }

    fn abandoned(&self, undelivered: bool) {
        let current = {
            let mut shared = self.lock();
            shared.parked = None;
            // Refused when it ended first, or was handed an invocation that then never left.
            let gone = shared.step(Event::NextAbandoned).is_err();
            shared.current.take_if(|_| gone && undelivered)
        };
        self.with_home(|home| home.abandoned(self));
        if let Some(current) = current {
            drop(current.respond.send(Concluded::Undelivered));
            self.stop();
        }
    }
}

/// A runtime's request for the next event. Dropped while it waits, the connection is gone.
struct Waiting<'a> {
    environment: &'a Arc<Environment>,
    delivery: Option<oneshot::Receiver<Delivery>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(mut delivery) = self.delivery.take() {
            delivery.close();
            self.environment.abandoned(delivery.try_recv().is_ok());
        }
    }
}
