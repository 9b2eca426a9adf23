//! Starting an environment: from a deployable to a sandbox whose listeners are served.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bojagi_model::identity::Credentials;
use bojagi_model::limits::Limits;
use bojagi_sandbox::{LaunchError, Launcher, Network, Process, Sandbox, SandboxSpec};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dns::Forwarder;
use super::failure::Failure;
use super::log::{EnvironmentLog, Output};
use super::state::{Event, State};
use super::variables::{Sources, variables};
use super::{Environment, Home, Shared, accept};
use crate::config::EndpointServer;
use crate::deployable::Deployable;
use crate::runtime_api;

/// AWS: "at 1,769 MB, a function has the equivalent of one vCPU".
const MIB_PER_CPU: u32 = 1_769;
/// The share of CPU while an environment initialises, in thousandths: AWS lets small functions use more then than while they serve.
const INIT_CPU_MILLIS: u32 = 2_000;
/// Connections of an environment to Bojagi's own endpoint at once.
const ENDPOINT_CONNECTIONS: usize = 256;

/// What an environment is made of.
pub struct Start {
    /// What it runs.
    pub deployable: Arc<Deployable>,
    /// Its number.
    pub serial: u64,
    /// Its log.
    pub log: Arc<EnvironmentLog>,
    /// Its share of the machine's memory.
    pub memory: Arc<OwnedSemaphorePermit>,
    /// Where it lives.
    pub home: Weak<dyn Home>,
    /// Credentials of its execution role.
    pub credentials: Credentials,
    /// The services Bojagi serves.
    pub endpoint_services: Vec<String>,
    /// The limits in force.
    pub limits: Limits,
    /// What it can reach.
    pub network: Network,
    /// Where its names are resolved.
    pub resolvers: Arc<[SocketAddr]>,
    /// Serves Bojagi's own endpoint.
    pub endpoint: Arc<dyn EndpointServer>,
    /// Owns its tasks.
    pub tasks: TaskTracker,
}

/// Why an environment did not start.
#[derive(Debug)]
pub enum StartError {
    /// The function is to blame.
    Function(Failure),
    /// The machine is.
    Machine(LaunchError),
}

/// A started environment that has not initialised yet.
pub struct Started {
    /// It.
    pub environment: Arc<Environment>,
    initialised: oneshot::Receiver<Result<(), Failure>>,
}

impl Start {
    /// Starts the sandbox and everything that serves it.
    ///
    /// # Errors
    /// [`StartError`], with nothing left behind.
    pub async fn run(self, launcher: &dyn Launcher) -> Result<Started, StartError> {
        if self.deployable.command.is_empty() {
            let reason = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
            return Err(StartError::Function(Failure::InvalidEntrypoint(reason.to_owned())));
        }
        let sandbox = launcher.launch(self.spec()).await.map_err(launch_error)?;
        let unserved = |source| StartError::Machine(LaunchError::Setup { step: "serve a sandbox".to_owned(), source });
        let (initialised, receiver) = oneshot::channel();
        let (environment, listeners) = self.assemble(sandbox, initialised).map_err(unserved)?;
        let life = live(Arc::clone(&environment), listeners, &self);
        self.tasks.spawn(life);
        Ok(Started { environment, initialised: receiver })
    }

    fn spec(&self) -> SandboxSpec {
        let configuration = &self.deployable.function.configuration;
        let environment = variables(&Sources {
            function: &self.deployable.function,
            runtime_environment: &self.deployable.runtime_environment,
            credentials: &self.credentials,
            log_stream: self.log.stream(),
            endpoint_services: &self.endpoint_services,
        });
        SandboxSpec {
            root: self.deployable.root.clone(),
            mounts: self.deployable.mounts.clone(),
            process: Process {
                command: self.deployable.command.clone(),
                environment,
                working_directory: "/var/task".into(),
            },
            limits: bojagi_sandbox::Limits {
                memory_bytes: u64::from(configuration.memory_mib) << 20,
                cpu_millis: cpu_millis(configuration.memory_mib).max(INIT_CPU_MILLIS),
                processes: self.limits.processes,
                file_descriptors: self.limits.file_descriptors,
                tmp_bytes: u64::from(configuration.ephemeral_storage_mib) << 20,
            },
            network: self.network,
        }
    }

    fn assemble(
        &self,
        sandbox: Sandbox,
        initialised: oneshot::Sender<Result<(), Failure>>,
    ) -> std::io::Result<(Arc<Environment>, Listeners)> {
        let listeners = Listeners {
            runtime_api: TcpListener::from_std(sandbox.runtime_api)?,
            endpoint: TcpListener::from_std(sandbox.endpoint)?,
            dns_udp: UdpSocket::from_std(sandbox.dns_udp)?,
            dns_tcp: TcpListener::from_std(sandbox.dns_tcp)?,
        };
        let state = State::Starting.on(Event::Launched).map_err(std::io::Error::other)?;
        let environment = Environment {
            serial: self.serial,
            deployable: Arc::clone(&self.deployable),
            log: Arc::clone(&self.log),
            output: Output::new(sandbox.output)?,
            memory_peak: sandbox.memory_peak,
            control: sandbox.control,
            home: Weak::clone(&self.home),
            payload_bytes: self.limits.payload_bytes,
            shared: Mutex::new(Shared {
                state,
                parked: None,
                current: None,
                answered: None,
                initialised: Some(initialised),
                memory: Some(Arc::clone(&self.memory)),
            }),
            ended: CancellationToken::new(),
            connections: TaskTracker::new(),
        };
        Ok((Arc::new(environment), listeners))
    }
}

impl Started {
    /// Waits for the runtime's first request for an event, at most `limit`; beyond it the environment is ended.
    ///
    /// # Errors
    /// [`Failure`] when the initialisation failed. The environment is ending.
    pub async fn initialise(self, limit: Duration) -> Result<Arc<Environment>, Failure> {
        let environment = self.environment;
        let failure = match timeout(limit, self.initialised).await {
            Ok(Ok(Ok(()))) => {
                let memory_mib = environment.deployable.function.configuration.memory_mib;
                let cpu_millis = cpu_millis(memory_mib);
                if cpu_millis < INIT_CPU_MILLIS
                    && let Err(error) = environment.control.set_cpu(cpu_millis)
                {
                    tracing::debug!(%error, sandbox = environment.control.id(), "the share of CPU could not be changed");
                }
                return Ok(environment);
            }
            Ok(Ok(Err(failure))) => failure,
            // The environment was dropped with its task, which happens only when the runtime shuts down.
            Ok(Err(_)) | Err(_) => Failure::InitTimedOut,
        };
        environment.stop();
        Err(failure)
    }
}

/// The share of CPU that goes with a `MemorySize`, in thousandths.
fn cpu_millis(memory_mib: u32) -> u32 {
    memory_mib * 1_000 / MIB_PER_CPU
}

/// A launch error as the function's fault, worded as AWS does, or the machine's.
fn launch_error(error: LaunchError) -> StartError {
    match &error {
        LaunchError::Exec { command, source } => {
            let reason = match source.kind() {
                std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
                std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                _ if source.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
                    "exec format error".to_owned()
                }
                _ => source.to_string(),
            };
            StartError::Function(Failure::InvalidEntrypoint(format!("fork/exec {command}: {reason}")))
        }
        LaunchError::Setup { .. } | LaunchError::Gone => StartError::Machine(error),
    }
}

struct Listeners {
    runtime_api: TcpListener,
    endpoint: TcpListener,
    dns_udp: UdpSocket,
    dns_tcp: TcpListener,
}

/// The environment's task: serves its listeners and its output until its processes end.
fn live(environment: Arc<Environment>, listeners: Listeners, start: &Start) -> impl Future<Output = ()> + use<> {
    let forwarder = Forwarder {
        resolvers: match start.network {
            Network::Nat => Arc::clone(&start.resolvers),
            // A query that leaves the machine is a way out.
            Network::None => Arc::new([]),
        },
        tasks: start.tasks.clone(),
    };
    let (endpoint, tasks) = (Arc::clone(&start.endpoint), start.tasks.clone());
    async move {
        let serve = async {
            tokio::join!(
                runtime_api::serve(&environment, listeners.runtime_api),
                serve_endpoint(&environment, listeners.endpoint, endpoint, tasks),
                forwarder.serve(listeners.dns_udp, listeners.dns_tcp),
                environment.output.pump(&environment.log),
                std::future::pending::<()>(),
            )
        };
        let exit = tokio::select! {
            exit = environment.control.wait() => exit,
            _ = serve => return,
        };
        environment.exited(exit).await;
    }
}

async fn serve_endpoint(
    environment: &Arc<Environment>,
    listener: TcpListener,
    endpoint: Arc<dyn EndpointServer>,
    tasks: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(ENDPOINT_CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let connection = endpoint.serve(accept(&listener).await);
        let ended = environment.ended.clone();
        tasks.spawn(async move {
            tokio::select! {
                () = connection => {}
                () = ended.cancelled() => {}
            }
            drop(place);
        });
    }
}
