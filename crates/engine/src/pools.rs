//! Which environments there are, of which revision of which version, and which of them wait for an event.
//!
//! What always holds: an environment is handed out to one invocation at a time; the one used last is handed out first, so that those not
//! needed become old; an environment of a retired revision is never kept.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bojagi_model::{Function, FunctionArn, Version};
use tokio::sync::oneshot;
use tokio::time::Instant;
use uuid::Uuid;

use crate::deployable::Deployable;
use crate::environment::Environment;
use crate::environment::state::State;

/// All environments of one machine.
#[derive(Default)]
pub struct Pools {
    functions: HashMap<FunctionArn, Vec<Pool>>,
    /// The revision that was last said to be the one to keep.
    kept: HashMap<FunctionArn, HashMap<Version, Uuid>>,
    /// What is being started and has no environment yet.
    starting: HashMap<u64, Arc<Deployable>>,
}

/// The environments of one revision of one version.
struct Pool {
    version: Version,
    revision: Uuid,
    retired: bool,
    live: HashMap<u64, Arc<Environment>>,
    /// Those that wait for an event; the one used last is the last.
    idle: Vec<Idle>,
    /// Invocations that wait for one of them, in order.
    waiting: VecDeque<oneshot::Sender<Arc<Environment>>>,
}

struct Idle {
    environment: Arc<Environment>,
    since: Instant,
}

/// What there is for an invocation.
pub enum Checkout {
    /// An environment, which is the caller's now.
    Idle(Arc<Environment>),
    /// One has answered and will wait for the next event in a moment.
    Returning(oneshot::Receiver<Arc<Environment>>),
    /// Nothing.
    Nothing,
}

/// What became of an environment that waits for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// It has been handed to an invocation that waited for it, or is kept for the next.
    Kept,
    /// It is retired: the caller ends it.
    Retired,
    /// Others need its memory more: the caller ends it.
    Evicted,
}

impl Pool {
    fn is_empty(&self) -> bool {
        self.live.is_empty() && self.waiting.iter().all(oneshot::Sender::is_closed)
    }

    /// Those that have answered and will be idle in a moment, when none is idle. One that waits for an event and is not known to be idle
    /// has just asked for it.
    fn returning(&self) -> usize {
        let soon = |environment: &&Arc<Environment>| matches!(environment.state(), State::Answered | State::Idle);
        self.live.values().filter(soon).count()
    }

    fn wait(&mut self) -> oneshot::Receiver<Arc<Environment>> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.retain(|waiting| !waiting.is_closed());
        self.waiting.push_back(sender);
        receiver
    }
}

impl Pools {
    fn pool(&mut self, function: &Function) -> &mut Pool {
        let (version, revision) = (function.version, function.revision_id);
        if !self.functions.contains_key(&function.arn) {
            self.functions.insert(function.arn.clone(), Vec::new());
        }
        let kept = self.kept.get(&function.arn).and_then(|versions| versions.get(&version)).copied();
        let pools = self.functions.entry(function.arn.clone()).or_default();
        let at = pools.iter().position(|pool| pool.version == version && pool.revision == revision);
        let at = at.unwrap_or_else(|| {
            pools.push(Pool {
                version,
                revision,
                retired: kept.is_some_and(|kept| kept != revision),
                live: HashMap::new(),
                idle: Vec::new(),
                waiting: VecDeque::new(),
            });
            pools.len() - 1
        });
        &mut pools[at]
    }

    fn existing(&mut self, function: &Function) -> Option<&mut Pool> {
        let pools = self.functions.get_mut(&function.arn)?;
        pools.iter_mut().find(|pool| pool.version == function.version && pool.revision == function.revision_id)
    }

    fn tidy(&mut self, arn: &FunctionArn) {
        if let Some(pools) = self.functions.get_mut(arn) {
            pools.retain(|pool| !pool.is_empty());
            if pools.is_empty() {
                self.functions.remove(arn);
            }
        }
    }

    /// Takes an environment for an invocation.
    pub fn checkout(&mut self, function: &Function) -> Checkout {
        let Some(pool) = self.existing(function) else { return Checkout::Nothing };
        if let Some(idle) = pool.idle.pop() {
            return Checkout::Idle(idle.environment);
        }
        let wanted = pool.waiting.iter().filter(|waiting| !waiting.is_closed()).count();
        if pool.returning() > wanted { Checkout::Returning(pool.wait()) } else { Checkout::Nothing }
    }

    /// Takes an environment, or waits in line for one of any that there are or will be.
    pub fn checkout_or_wait(&mut self, function: &Function) -> Checkout {
        let pool = self.pool(function);
        match pool.idle.pop() {
            Some(idle) => Checkout::Idle(idle.environment),
            None => Checkout::Returning(pool.wait()),
        }
    }

    /// Notes that an environment is being started, so that its code images stay.
    pub fn starting(&mut self, serial: u64, deployable: &Arc<Deployable>) {
        self.starting.insert(serial, Arc::clone(deployable));
    }

    /// Notes that a start came to nothing.
    pub fn not_started(&mut self, serial: u64) {
        self.starting.remove(&serial);
    }

    /// Adds an environment, which belongs to the invocation it was started for.
    pub fn started(&mut self, environment: &Arc<Environment>) {
        self.starting.remove(&environment.serial());
        let pool = self.pool(&environment.deployable().function);
        pool.live.insert(environment.serial(), Arc::clone(environment));
    }

    /// An environment waits for an event.
    pub fn parked(&mut self, environment: &Arc<Environment>, now: Instant, memory_is_awaited: bool) -> Parked {
        let Some(pool) = self.existing(&environment.deployable().function) else { return Parked::Kept };
        if !pool.live.contains_key(&environment.serial()) {
            return Parked::Kept;
        }
        let mut handed = Arc::clone(environment);
        while let Some(waiting) = pool.waiting.pop_front() {
            match waiting.send(handed) {
                Ok(()) => return Parked::Kept,
                Err(returned) => handed = returned,
            }
        }
        if pool.retired {
            return Parked::Retired;
        }
        if memory_is_awaited {
            return Parked::Evicted;
        }
        pool.idle.retain(|idle| idle.environment.serial() != environment.serial());
        pool.idle.push(Idle { environment: handed, since: now });
        Parked::Kept
    }

    /// An environment does not wait any more.
    pub fn abandoned(&mut self, environment: &Environment) {
        if let Some(pool) = self.existing(&environment.deployable().function) {
            pool.idle.retain(|idle| idle.environment.serial() != environment.serial());
        }
    }

    /// An environment is no more.
    pub fn ended(&mut self, environment: &Environment) {
        let function = &environment.deployable().function;
        if let Some(pool) = self.existing(function) {
            pool.idle.retain(|idle| idle.environment.serial() != environment.serial());
            pool.live.remove(&environment.serial());
        }
        self.tidy(&function.arn);
    }

    /// Takes out the environments that have been idle, or have not come back, for longer than `limit`.
    pub fn expired(&mut self, now: Instant, limit: Duration) -> Vec<Arc<Environment>> {
        let old = |since: Instant| now.saturating_duration_since(since) >= limit;
        let mut expired = Vec::new();
        for pool in self.functions.values_mut().flatten() {
            expired.extend(pool.idle.extract_if(.., |idle| old(idle.since)).map(|idle| idle.environment));
            let stray = pool.live.values().filter(|environment| environment.answered_since().is_some_and(old));
            expired.extend(stray.cloned());
        }
        expired
    }

    /// Takes out idle environments, those used longest ago first, until `needed_mib` would be freed or none is left.
    pub fn evict(&mut self, needed_mib: u64) -> Vec<Arc<Environment>> {
        let size = |environment: &Environment| u64::from(environment.deployable().function.configuration.memory_mib);
        let idle = self.functions.values().flatten().flat_map(|pool| &pool.idle);
        let mut candidates: Vec<(Instant, u64, u64)> =
            idle.map(|idle| (idle.since, idle.environment.serial(), size(&idle.environment))).collect();
        candidates.sort_unstable();
        let mut freed_mib = 0;
        let mut victims = BTreeSet::new();
        for (_, serial, mib) in candidates {
            if freed_mib >= needed_mib {
                break;
            }
            freed_mib += mib;
            victims.insert(serial);
        }
        let pools = self.functions.values_mut().flatten();
        pools
            .flat_map(|pool| pool.idle.extract_if(.., |idle| victims.contains(&idle.environment.serial())))
            .map(|idle| idle.environment)
            .collect()
    }

    /// Keeps only one revision of a version; those idle of the others are taken out, the rest as soon as they would be idle.
    pub fn retire(&mut self, arn: &FunctionArn, version: Version, keep: Option<Uuid>) -> Vec<Arc<Environment>> {
        match keep {
            Some(revision) => {
                self.kept.entry(arn.clone()).or_default().insert(version, revision);
            }
            None => {
                if let Some(versions) = self.kept.get_mut(arn) {
                    versions.remove(&version);
                    if versions.is_empty() {
                        self.kept.remove(arn);
                    }
                }
            }
        }
        let mut retired = Vec::new();
        for pool in self.functions.get_mut(arn).into_iter().flatten() {
            if pool.version == version && Some(pool.revision) != keep {
                pool.retired = true;
                retired.extend(pool.idle.drain(..).map(|idle| idle.environment));
            }
        }
        retired
    }

    /// Every environment whose processes have not ended.
    pub fn live(&self) -> impl Iterator<Item = &Arc<Environment>> {
        self.functions.values().flatten().flat_map(|pool| pool.live.values())
    }

    /// Everything that runs or is being started.
    pub fn deployables(&self) -> impl Iterator<Item = &Arc<Deployable>> {
        self.live().map(|environment| environment.deployable()).chain(self.starting.values())
    }

    /// How many are being started and have no environment yet.
    pub fn starting_count(&self) -> usize {
        self.starting.len()
    }
}
