//! The engine: finds or starts an environment for each invocation.
//!
//! What always holds: an accepted invocation runs to its end, whatever becomes of the caller; an environment that cannot take an
//! invocation costs the caller nothing but time.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bojagi_model::{Error, ErrorKind, FunctionArn, Version};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::admission::{Concurrency, Memory, throttled};
use crate::config::{EngineConfig, Statistics};
use crate::deployable::Deployable;
use crate::environment::state::State;
use crate::environment::{Concluded, Environment, Home, Timing};
use crate::invocation::{FunctionError, Invocation, Outcome};
use crate::pools::{Checkout, Parked, Pools};

/// How long an environment that has answered is waited for before another is started: a runtime asks for the next event in microseconds.
const RETURN_GRACE: Duration = Duration::from_millis(100);
/// How many environments may turn out to be gone under one invocation before the caller hears of it.
const ATTEMPTS: usize = 8;

/// The data plane of one machine.
pub struct Engine {
    core: Arc<Core>,
}

/// What invocations and environments share.
pub(crate) struct Core {
    pub(crate) config: EngineConfig,
    pub(crate) resolvers: Arc<[SocketAddr]>,
    pools: Mutex<Pools>,
    memory: Memory,
    concurrency: Concurrency,
    serials: AtomicU64,
    counters: Counters,
    invocations: TaskTracker,
    pub(crate) tasks: TaskTracker,
    stopping: CancellationToken,
}

#[derive(Default)]
struct Counters {
    warm: AtomicU64,
    cold: AtomicU64,
    throttled: AtomicU64,
    evicted: AtomicU64,
}

/// What an invocation runs in.
enum Found {
    Warm(Arc<Environment>),
    Room(Arc<OwnedSemaphorePermit>),
}

impl Engine {
    /// An engine without environments. Must be called within a Tokio runtime.
    pub fn new(config: EngineConfig) -> Arc<Engine> {
        let core = Arc::new(Core {
            resolvers: config.resolvers.clone().into(),
            memory: Memory::new(config.memory_budget_bytes),
            config,
            pools: Mutex::default(),
            concurrency: Concurrency::default(),
            serials: AtomicU64::new(1),
            counters: Counters::default(),
            invocations: TaskTracker::new(),
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        });
        core.tasks.spawn(expire(Arc::downgrade(&core), core.config.idle_timeout, core.stopping.clone()));
        Arc::new(Engine { core })
    }

    /// Runs one invocation to its end. Dropping the future does not end the invocation, as a client that goes away does not on AWS.
    ///
    /// # Errors
    /// `TooManyRequests` when concurrency or memory is used up; `Service` when this machine cannot run it.
    pub async fn invoke(&self, deployable: Arc<Deployable>, invocation: Invocation) -> Result<Outcome, Error> {
        let core = &self.core;
        if core.stopping.is_cancelled() {
            return Err(shutting_down());
        }
        let limit = core.config.limits.concurrent_executions;
        let execution =
            core.concurrency.enter(&deployable.function.arn, limit).inspect_err(|_| core.count_throttle())?;
        let running = {
            let core = Arc::clone(core);
            async move {
                let outcome = core.run(deployable, Arc::new(invocation)).await;
                drop(execution);
                outcome
            }
        };
        let running = Box::pin(core.invocations.track_future(running));
        Detaching { running: Some(running), tasks: core.invocations.clone(), handle: Handle::current() }.await
    }

    /// Ends environments of other revisions than `keep_revision` of this version, each as soon as it serves no invocation. None: of all.
    pub fn retire(&self, arn: &FunctionArn, version: Version, keep_revision: Option<Uuid>) {
        let retired = self.core.pools().retire(arn, version, keep_revision);
        for environment in retired {
            environment.stop();
        }
    }

    /// Digests (`sha256:…`) of the code images that live environments use.
    pub fn in_use(&self) -> BTreeSet<String> {
        let pools = self.core.pools();
        let images = pools.deployables().flat_map(|deployable| {
            deployable.root.iter().chain(deployable.mounts.iter().flat_map(|mount| &mount.images))
        });
        images.map(|image| image.digest.clone()).collect()
    }

    /// Lets go of code images (`sha256:…`) that are about to be deleted and that no environment uses, so that their disk space comes back.
    /// Where that fails, it comes back when the launcher ends.
    pub async fn forget(&self, digests: Vec<String>) {
        if let Err(error) = self.core.config.launcher.forget(digests).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "deleted code images stay mounted");
        }
    }

    /// What it is doing and has done.
    pub fn statistics(&self) -> Statistics {
        let core = &self.core;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut statistics = Statistics {
            memory_bytes: core.memory.used_bytes(),
            warm: count(&core.counters.warm),
            cold: count(&core.counters.cold),
            throttled: count(&core.counters.throttled),
            evicted: count(&core.counters.evicted),
            ..Statistics::default()
        };
        let pools = core.pools();
        statistics.initialising = pools.starting_count();
        for environment in pools.live() {
            match environment.state() {
                State::Starting | State::Initialising | State::InitFailed => statistics.initialising += 1,
                State::Idle => statistics.idle += 1,
                State::Busy(_) | State::Answered => statistics.busy += 1,
                State::Stopping | State::Dead => {}
            }
        }
        statistics
    }

    /// Refuses new invocations, waits for those under way at most `deadline`, then ends all environments.
    pub async fn shutdown(&self, deadline: Duration) {
        let core = &self.core;
        core.stopping.cancel();
        core.invocations.close();
        if timeout(deadline, core.invocations.wait()).await.is_err() {
            tracing::warn!(left = core.invocations.len(), "invocations are ended unfinished");
        }
        core.stop_all();
        core.tasks.close();
        core.tasks.wait().await;
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.core.stopping.cancel();
        self.core.stop_all();
    }
}

fn shutting_down() -> Error {
    Error::new(ErrorKind::Service, "The server is shutting down.")
}

impl Core {
    pub(crate) fn pools(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }

    fn count_throttle(&self) {
        self.counters.throttled.fetch_add(1, Ordering::Relaxed);
    }

    fn stop_all(&self) {
        let live: Vec<Arc<Environment>> = self.pools().live().cloned().collect();
        for environment in live {
            environment.stop();
        }
    }

    async fn run(self: &Arc<Self>, deployable: Arc<Deployable>, invocation: Arc<Invocation>) -> Result<Outcome, Error> {
        for _ in 0..ATTEMPTS {
            let outcome = match self.find(&deployable).await? {
                Found::Warm(environment) => {
                    let timing = Timing { started: Instant::now(), init: None, cold: false };
                    let outcome = serve(&environment, &invocation, timing).await;
                    if outcome.is_some() {
                        self.counters.warm.fetch_add(1, Ordering::Relaxed);
                    }
                    outcome
                }
                Found::Room(memory) => {
                    self.counters.cold.fetch_add(1, Ordering::Relaxed);
                    self.start_and_serve(&deployable, &invocation, memory).await?
                }
            };
            if let Some(outcome) = outcome {
                return Ok(outcome);
            }
        }
        Err(Error::service(format!("{ATTEMPTS} environments ended before they took the invocation")))
    }

    /// Finds an environment, or room for one.
    async fn find(&self, deployable: &Deployable) -> Result<Found, Error> {
        let checkout = self.pools().checkout(&deployable.function);
        match checkout {
            Checkout::Idle(environment) => return Ok(Found::Warm(environment)),
            Checkout::Returning(mut returning) => {
                let returned = timeout(RETURN_GRACE, &mut returning).await;
                returning.close();
                if let Some(environment) = returned.ok().and_then(Result::ok).or_else(|| returning.try_recv().ok()) {
                    return Ok(Found::Warm(environment));
                }
            }
            Checkout::Nothing => {}
        }
        let memory_mib = deployable.function.configuration.memory_mib;
        self.memory.check(memory_mib)?;
        match self.memory.try_take(memory_mib) {
            Some(room) => Ok(Found::Room(Arc::new(room))),
            None => self.make_room(deployable, memory_mib).await,
        }
    }

    /// Ends idle environments of others and waits, for memory or for an environment of the function's own, whichever is first.
    async fn make_room(&self, deployable: &Deployable, memory_mib: u32) -> Result<Found, Error> {
        let waiting = self.memory.wait();
        let checkout = self.pools().checkout_or_wait(&deployable.function);
        let mut own = match checkout {
            Checkout::Idle(environment) => return Ok(Found::Warm(environment)),
            Checkout::Returning(own) => own,
            Checkout::Nothing => return Err(throttled()),
        };
        let victims = self.pools().evict(self.memory.shortage_mib(memory_mib));
        self.counters.evicted.fetch_add(victims.len() as u64, Ordering::Relaxed);
        for environment in victims {
            environment.stop();
        }
        let found = tokio::select! {
            biased;
            Ok(environment) = &mut own => Some(Found::Warm(environment)),
            Some(room) = self.memory.take(memory_mib) => Some(Found::Room(Arc::new(room))),
            () = tokio::time::sleep(self.config.admission_wait) => None,
        };
        drop(waiting);
        own.close();
        match (found, own.try_recv()) {
            // An environment that came at the same moment must not be lost.
            (Some(Found::Room(_)) | None, Ok(environment)) => Ok(Found::Warm(environment)),
            (Some(found), _) => Ok(found),
            (None, Err(_)) => {
                self.count_throttle();
                Err(throttled())
            }
        }
    }
}

/// Runs an invocation in an environment. None when the environment did not take it.
pub(crate) async fn serve(
    environment: &Arc<Environment>,
    invocation: &Arc<Invocation>,
    timing: Timing,
) -> Option<Outcome> {
    let mut concluded = environment.assign(invocation, timing)?;
    let done = match timeout_at(timing.started + environment.timeout(), &mut concluded).await {
        Ok(done) => done,
        Err(_) => {
            environment.expire(invocation.request_id);
            concluded.await
        }
    };
    match done.ok()? {
        Concluded::Undelivered => None,
        Concluded::Done { payload, failed, tail } => Some(Outcome {
            payload,
            function_error: failed.then_some(FunctionError::Unhandled),
            log_tail: invocation.log_tail.then_some(tail),
            executed_version: environment.deployable().function.version,
        }),
    }
}

impl Home for Core {
    fn parked(&self, environment: &Arc<Environment>) {
        if self.stopping.is_cancelled() && self.invocations.is_empty() {
            return environment.stop();
        }
        let parked = self.pools().parked(environment, Instant::now(), self.memory.is_awaited());
        match parked {
            Parked::Kept => {}
            Parked::Retired => environment.stop(),
            Parked::Evicted => {
                self.counters.evicted.fetch_add(1, Ordering::Relaxed);
                environment.stop();
            }
        }
    }

    fn abandoned(&self, environment: &Environment) {
        self.pools().abandoned(environment);
    }

    fn ended(&self, environment: &Environment) {
        self.pools().ended(environment);
    }
}

/// Ends environments that have been idle for long.
async fn expire(core: Weak<Core>, limit: Duration, stopping: CancellationToken) {
    let period = (limit / 4).clamp(Duration::from_millis(10), Duration::from_secs(30));
    loop {
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = stopping.cancelled() => return,
        }
        let Some(core) = core.upgrade() else { return };
        let expired = core.pools().expired(Instant::now(), limit);
        for environment in expired {
            tracing::debug!(arn = %environment.deployable().function.arn, "an environment was idle for long");
            environment.stop();
        }
    }
}

/// A future that goes on by itself when it is dropped unfinished.
struct Detaching<F: Future + Send + 'static> {
    running: Option<Pin<Box<F>>>,
    tasks: TaskTracker,
    handle: Handle,
}

impl<F: Future + Send + 'static> Future for Detaching<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(running) = &mut self.running else { return Poll::Pending };
        let polled = running.as_mut().poll(context);
        if polled.is_ready() {
            self.running = None;
        }
        polled
    }
}

impl<F: Future + Send + 'static> Drop for Detaching<F> {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            self.tasks.spawn_on(
                async move {
                    running.await;
                },
                &self.handle,
            );
        }
    }
}
