//! From a name and a qualifier to what the engine runs, from memory.

use std::sync::Arc;

use bojagi_engine::{Deployable, Outcome};
use bojagi_model::{Error, Result};
use bytes::Bytes;

use crate::functions::Target;
use crate::{Caller, Control};

/// `Invoke` with `InvocationType=RequestResponse`.
#[derive(Clone, Debug)]
pub struct Invoke {
    /// `FunctionName` and `Qualifier`.
    pub target: Target,
    /// The event.
    pub payload: Bytes,
    /// `X-Amz-Client-Context`, decoded to JSON text.
    pub client_context: Option<String>,
    /// `X-Amzn-Trace-Id`.
    pub trace_id: Option<String>,
    /// `LogType=Tail`.
    pub log_tail: bool,
}

impl Control {
    /// Finds what the target names, ready to run. No store call when it was found before and has not changed since.
    ///
    /// # Errors
    /// No such function; it is not ready (409); its base image is not there.
    pub async fn resolve(&self, _caller: &Caller, _target: &Target) -> Result<Arc<Deployable>> {
        Err(Error::service("not there yet"))
    }

    /// `InvocationType=DryRun`: whether the caller could invoke it.
    ///
    /// # Errors
    /// No such function.
    pub async fn invoke_dry_run(&self, _caller: &Caller, _target: &Target) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// Runs it and waits for the answer.
    ///
    /// # Errors
    /// Those of [`Control::resolve`], and the engine's when it cannot be run. A failure in the function is an outcome.
    pub async fn invoke(&self, _caller: &Caller, _command: Invoke) -> Result<Outcome> {
        Err(Error::service("not there yet"))
    }
}
