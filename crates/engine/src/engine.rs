//! The engine: finds or starts an environment for each invocation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bojagi_model::{Error, FunctionArn, Version};
use uuid::Uuid;

use crate::config::{EngineConfig, Statistics};
use crate::deployable::Deployable;
use crate::invocation::{Invocation, Outcome};

/// The data plane of one machine.
pub struct Engine {
    config: EngineConfig,
}

impl Engine {
    /// An engine without environments. Must be called within a Tokio runtime.
    pub fn new(config: EngineConfig) -> Arc<Engine> {
        Arc::new(Engine { config })
    }

    /// Runs one invocation to its end. Dropping the future does not end the invocation, as a client that goes away does not on AWS.
    ///
    /// # Errors
    /// `TooManyRequests` when concurrency or memory is used up; `Service` when this machine cannot run it.
    pub async fn invoke(&self, _deployable: Arc<Deployable>, _invocation: Invocation) -> Result<Outcome, Error> {
        Err(Error::service("the engine has been shut down"))
    }

    /// Ends environments of other revisions than `keep_revision` of this version, each as soon as it serves no invocation. None: of all.
    pub fn retire(&self, _arn: &FunctionArn, _version: Version, _keep_revision: Option<Uuid>) {}

    /// Digests (`sha256:…`) of the code images that live environments use.
    pub fn in_use(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }

    /// What it is doing and has done.
    pub fn statistics(&self) -> Statistics {
        Statistics::default()
    }

    /// Refuses new invocations, waits for those under way at most `deadline`, then ends all environments.
    pub async fn shutdown(&self, _deadline: Duration) {
        let _ = &self.config;
    }
}
