//! The cold path: starting an environment for an invocation, with the second attempt that Lambda makes.
//!
//! Source: AWS, "Lambda execution environment lifecycle": an initialisation that fails, or takes longer than the Init phase may, is tried
//! again within the invocation, where the function's timeout bounds it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bojagi_model::{Architecture, Error, ErrorKind, Function};
use time::OffsetDateTime;
use time::macros::format_description;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::LogOrigin;
use crate::deployable::Deployable;
use crate::engine::{Core, serve};
use crate::environment::failure::Failure;
use crate::environment::log::EnvironmentLog;
use crate::environment::log_lines::{Line, Phase, Report};
use crate::environment::start::{Start, StartError};
use crate::environment::{Environment, Home, Timing};
use crate::invocation::{FunctionError, Invocation, Outcome};

/// How an attempt to initialise failed.
struct Unready {
    failure: Failure,
    max_memory_used_mib: u64,
}

impl Core {
    /// Starts an environment and runs the invocation in it. None when it ended before it took the invocation.
    pub(crate) async fn start_and_serve(
        self: &Arc<Self>,
        deployable: &Arc<Deployable>,
        invocation: &Arc<Invocation>,
        memory: Arc<OwnedSemaphorePermit>,
    ) -> Result<Option<Outcome>, Error> {
        check_architecture(deployable.function.architecture)?;
        let log = Arc::new(self.log(deployable));
        let version_arn = runtime_version_arn(deployable);
        let runtime = &deployable.function.configuration.runtime;
        log.lines(&[Line::InitStart { runtime, runtime_version_arn: &version_arn }]);
        let started = Instant::now();
        let init_limit = Duration::from_millis(self.config.limits.init_ms);
        match self.initialise(deployable, &log, &memory, init_limit).await? {
            Ok(environment) => {
                let init = Some(started.elapsed());
                let timing = Timing { started: Instant::now(), init, cold: true };
                Ok(serve(&environment, invocation, timing).await)
            }
            Err(unready) => {
                let failure = &unready.failure;
                log.lines(&[Line::InitReport { duration: started.elapsed(), phase: Phase::Init, failure }]);
                self.second_attempt(deployable, invocation, &log, &memory).await
            }
        }
    }

    async fn second_attempt(
        self: &Arc<Self>,
        deployable: &Arc<Deployable>,
        invocation: &Arc<Invocation>,
        log: &Arc<EnvironmentLog>,
        memory: &Arc<OwnedSemaphorePermit>,
    ) -> Result<Option<Outcome>, Error> {
        let started = Instant::now();
        let limit = Duration::from_secs(deployable.function.configuration.timeout_seconds.into());
        match self.initialise(deployable, log, memory, limit).await? {
            Ok(environment) => {
                let timing = Timing { started, init: None, cold: true };
                Ok(serve(&environment, invocation, timing).await)
            }
            Err(mut unready) => {
                if unready.failure == Failure::InitTimedOut {
                    unready.failure = Failure::TimedOut { after: limit };
                }
                Ok(Some(never_ready(deployable, invocation, log, started.elapsed(), &unready)))
            }
        }
    }

    /// One attempt. On failure the sandbox is gone when this returns.
    async fn initialise(
        self: &Arc<Self>,
        deployable: &Arc<Deployable>,
        log: &Arc<EnvironmentLog>,
        memory: &Arc<OwnedSemaphorePermit>,
        limit: Duration,
    ) -> Result<Result<Arc<Environment>, Unready>, Error> {
        let serial = self.serial();
        self.pools().starting(serial, deployable);
        let begun = Instant::now();
        let started = match self.start(serial, deployable, log, memory).run(&*self.config.launcher).await {
            Ok(started) => started,
            Err(error) => {
                self.pools().not_started(serial);
                return match error {
                    StartError::Function(failure) => Ok(Err(Unready { failure, max_memory_used_mib: 0 })),
                    StartError::Machine(error) => Err(Error::service(error)),
                };
            }
        };
        let environment = Arc::clone(&started.environment);
        self.pools().started(&environment);
        match started.initialise(limit.saturating_sub(begun.elapsed())).await {
            Ok(environment) => Ok(Ok(environment)),
            Err(failure) => {
                let max_memory_used_mib = environment.max_memory_used_mib();
                environment.ended().await;
                Ok(Err(Unready { failure, max_memory_used_mib }))
            }
        }
    }

    fn start(
        self: &Arc<Self>,
        serial: u64,
        deployable: &Arc<Deployable>,
        log: &Arc<EnvironmentLog>,
        memory: &Arc<OwnedSemaphorePermit>,
    ) -> Start {
        let home: Weak<dyn Home> = Arc::<Core>::downgrade(self);
        Start {
            deployable: Arc::clone(deployable),
            serial,
            log: Arc::clone(log),
            memory: Arc::clone(memory),
            home,
            credentials: self.config.credentials.credentials(&deployable.function),
            endpoint_services: self.config.endpoint_services.clone(),
            limits: self.config.limits.clone(),
            network: self.config.network,
            resolvers: Arc::clone(&self.resolvers),
            endpoint: Arc::clone(&self.config.endpoint),
            tasks: self.tasks.clone(),
        }
    }

    fn log(&self, deployable: &Deployable) -> EnvironmentLog {
        let function = &deployable.function;
        let logging = &function.configuration.logging;
        let origin = LogOrigin {
            arn: function.arn.clone(),
            group: logging.log_group.clone(),
            stream: log_stream(function, OffsetDateTime::now_utc()),
        };
        EnvironmentLog::new(origin, Arc::clone(&self.config.logs), logging.format == "JSON")
    }
}

/// The outcome of an invocation whose environment failed to initialise twice.
fn never_ready(
    deployable: &Deployable,
    invocation: &Invocation,
    log: &EnvironmentLog,
    duration: Duration,
    unready: &Unready,
) -> Outcome {
    let Unready { failure, max_memory_used_mib } = unready;
    let (request_id, version) = (invocation.request_id, deployable.function.version);
    let counted = if let Failure::TimedOut { after } = failure { *after } else { duration };
    let tail = log.finish(
        None,
        &[
            Line::InitReport { duration, phase: Phase::Invoke, failure },
            Line::Start { request_id, version: &version.to_string() },
            Line::Fault { request_id, failure },
            Line::End { request_id },
            Line::Report(Report {
                request_id,
                duration: counted,
                memory_mib: deployable.function.configuration.memory_mib,
                max_memory_used_mib: *max_memory_used_mib,
                init: None,
                failure: Some(failure),
            }),
        ],
    );
    Outcome {
        payload: failure.payload(request_id),
        function_error: Some(FunctionError::Unhandled),
        log_tail: invocation.log_tail.then_some(tail),
        executed_version: version,
    }
}

/// `YYYY/MM/DD/[$LATEST]<32 hex>`.
fn log_stream(function: &Function, now: OffsetDateTime) -> String {
    let day = now.format(format_description!("[year]/[month]/[day]")).unwrap_or_default();
    format!("{day}/[{}]{}", function.version, Uuid::new_v4().simple())
}

/// The base image, as AWS names the version of a runtime.
fn runtime_version_arn(deployable: &Deployable) -> String {
    let image = deployable.root.last().map_or("", |image| image.digest.trim_start_matches("sha256:"));
    format!("arn:aws:lambda:{}::runtime:{image}", deployable.function.arn.region)
}

/// Where the kernel lists the interpreters of foreign programs.
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// Refuses code for another architecture than this machine's, unless the kernel has an interpreter for it.
///
/// # Errors
/// It has none; the message names the cure.
pub fn check_architecture(wanted: Architecture) -> Result<(), Error> {
    let Some(here) = Architecture::of_this_machine() else { return Ok(()) };
    let interpreter = match wanted {
        Architecture::Arm64 => "qemu-aarch64",
        Architecture::X86_64 => "qemu-x86_64",
    };
    if wanted == here || std::path::Path::new(BINFMT).join(interpreter).exists() {
        return Ok(());
    }
    let message = format!(
        "The function's architecture is {wanted} and this machine's is {here}. To run it, install qemu-user-static (Debian, \
         Ubuntu: apt-get install qemu-user-static binfmt-support), or create the function for {here}."
    );
    Err(Error::new(ErrorKind::Service, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures;

    #[test]
    fn log_streams_are_named_as_on_aws() {
        let now = time::macros::datetime!(2026-01-02 03:04:05 UTC);
        let stream = log_stream(&fixtures::function("f"), now);
        let id = stream.strip_prefix("2026/01/02/[$LATEST]").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{stream}");
    }

    #[test]
    fn this_machines_own_architecture_runs() {
        let here = Architecture::of_this_machine().unwrap();
        assert!(check_architecture(here).is_ok());
    }
}
