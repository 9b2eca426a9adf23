//! A launcher without privileges and without isolation, for tests of the layers above. Never for code that is not trusted.
//!
//! Two flavours: [`SimulatedLauncher::in_process`], where the test itself plays the process inside, and
//! [`SimulatedLauncher::processes`], which starts ordinary child processes. Listeners are on 127.0.0.1, at ports that the kernel
//! chooses; where the environment of the process names the service address, the real one is written instead.

use std::io::PipeWriter;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::launcher::{Exit, LaunchError, Launcher, Sandbox, SandboxControl};
use crate::spec::{CodeImageForm, ENDPOINT_PORT, RUNTIME_API_PORT, SERVICE_ADDRESS, SandboxSpec};

/// Starts simulated sandboxes.
#[derive(Debug)]
pub struct SimulatedLauncher {
    started: Option<mpsc::UnboundedSender<SimulatedProcess>>,
    next_id: AtomicU64,
    failures: Mutex<Vec<LaunchError>>,
    forgotten: Mutex<Vec<String>>,
    tasks: TaskTracker,
}

/// What stands for the process of a sandbox of [`SimulatedLauncher::in_process`]. Dropping it is an exit with status 0.
#[derive(Debug)]
pub struct SimulatedProcess {
    /// What was asked for.
    pub spec: SandboxSpec,
    /// The sandbox's id.
    pub id: u64,
    /// Where the Runtime API is served.
    pub runtime_api: SocketAddr,
    /// Where the endpoint is served.
    pub endpoint: SocketAddr,
    /// Where DNS is served over UDP.
    pub dns_udp: SocketAddr,
    /// Where DNS is served over TCP.
    pub dns_tcp: SocketAddr,
    /// Standard output and standard error.
    pub output: PipeWriter,
    state: Arc<State>,
}

/// What the process and its handle share.
#[derive(Debug)]
struct State {
    exit: watch::Sender<Option<Exit>>,
    terminated: watch::Sender<bool>,
    frozen: watch::Sender<bool>,
    cpu_millis: watch::Sender<u32>,
}

impl State {
    fn new(cpu_millis: u32) -> Arc<Self> {
        Arc::new(Self {
            exit: watch::Sender::new(None),
            terminated: watch::Sender::new(false),
            frozen: watch::Sender::new(false),
            cpu_millis: watch::Sender::new(cpu_millis),
        })
    }

    /// The first end counts.
    fn end(&self, exit: Exit) {
        self.exit.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(exit);
            }
            first
        });
    }
}

/// Waits until `receiver` holds a value that `done` accepts. The sender lives in the state that the caller holds.
async fn until<T: Clone>(sender: &watch::Sender<T>, done: impl Fn(&T) -> bool) -> Option<T> {
    sender.subscribe().wait_for(|value| done(value)).await.ok().map(|value| value.clone())
}

const KILLED: Exit = Exit { status: None, signal: Some(libc::SIGKILL), out_of_memory: false };

impl SimulatedProcess {
    /// Ends the process; only its first end counts.
    pub fn exit(&self, exit: Exit) {
        self.state.end(exit);
    }

    /// Resolves when the process has ended, by [`Self::exit`] or because it was killed.
    pub async fn ended(&self) -> Exit {
        until(&self.state.exit, Option::is_some).await.flatten().unwrap_or(KILLED)
    }

    /// Resolves when SIGTERM was sent to it.
    pub async fn terminated(&self) {
        until(&self.state.terminated, |sent| *sent).await;
    }

    /// Whether it is frozen now.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        *self.state.frozen.borrow()
    }

    /// Its share of CPU now, in thousandths.
    #[must_use]
    pub fn cpu_millis(&self) -> u32 {
        *self.state.cpu_millis.borrow()
    }
}

impl Drop for SimulatedProcess {
    fn drop(&mut self) {
        self.state.end(Exit { status: Some(0), signal: None, out_of_memory: false });
    }
}

/// The listeners of one sandbox.
struct Listeners {
    runtime_api: TcpListener,
    endpoint: TcpListener,
    dns_udp: UdpSocket,
    dns_tcp: TcpListener,
}

impl Listeners {
    fn open() -> std::io::Result<Self> {
        let tcp = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(listener)
        };
        let dns_udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        dns_udp.set_nonblocking(true)?;
        Ok(Self { runtime_api: tcp()?, endpoint: tcp()?, dns_udp, dns_tcp: tcp()? })
    }
}

impl SimulatedLauncher {
    /// A launcher whose sandboxes are handed to the test, which plays the processes inside.
    #[must_use]
    pub fn in_process() -> (Arc<Self>, mpsc::UnboundedReceiver<SimulatedProcess>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Arc::new(Self::new(Some(sender))), receiver)
    }

    /// A launcher whose sandboxes are ordinary child processes of this one. The command is looked for in the [`CodeImageForm::Directory`]
    /// images mounted at a prefix of its path, and on the host otherwise.
    #[must_use]
    pub fn processes() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    fn new(started: Option<mpsc::UnboundedSender<SimulatedProcess>>) -> Self {
        Self {
            started,
            next_id: AtomicU64::new(1),
            failures: Mutex::default(),
            forgotten: Mutex::default(),
            tasks: TaskTracker::new(),
        }
    }

    /// The next launch fails with `error`; several calls queue up.
    pub fn fail_next(&self, error: LaunchError) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
    }

    /// The digests that [`Launcher::forget`] was called with so far.
    #[must_use]
    pub fn forgotten(&self) -> Vec<String> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn start(&self, spec: SandboxSpec) -> Result<Sandbox, LaunchError> {
        {
            let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if !failures.is_empty() {
                return Err(failures.remove(0));
            }
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let setup = |step: &str| {
            let step = step.to_owned();
            move |source| LaunchError::Setup { step, source }
        };
        let listeners = Listeners::open().map_err(setup("open listeners"))?;
        let (reader, writer) = std::io::pipe().map_err(setup("make the output pipe"))?;
        let state = State::new(spec.limits.cpu_millis);
        let pid = match &self.started {
            Some(started) => {
                let address = |result: std::io::Result<SocketAddr>| result.map_err(setup("read an address"));
                let process = SimulatedProcess {
                    spec,
                    id,
                    runtime_api: address(listeners.runtime_api.local_addr())?,
                    endpoint: address(listeners.endpoint.local_addr())?,
                    dns_udp: address(listeners.dns_udp.local_addr())?,
                    dns_tcp: address(listeners.dns_tcp.local_addr())?,
                    output: writer,
                    state: Arc::clone(&state),
                };
                started.send(process).map_err(|_| LaunchError::Gone)?;
                None
            }
            None => Some(self.spawn(&spec, &listeners, writer, Arc::clone(&state))?),
        };
        Ok(Sandbox {
            output: OwnedFd::from(reader),
            runtime_api: listeners.runtime_api,
            endpoint: listeners.endpoint,
            dns_udp: listeners.dns_udp,
            dns_tcp: listeners.dns_tcp,
            memory_peak: None,
            control: Arc::new(SimulatedControl { id, pid, state }),
        })
    }

    /// Starts the command as a child process, in a process group of its own so that its children can be ended with it.
    fn spawn(
        &self,
        spec: &SandboxSpec,
        listeners: &Listeners,
        output: PipeWriter,
        state: Arc<State>,
    ) -> Result<i32, LaunchError> {
        let setup = |step: &str, source| LaunchError::Setup { step: step.to_owned(), source };
        let [program, arguments @ ..] = spec.process.command.as_slice() else {
            return Err(setup("read the command", std::io::ErrorKind::InvalidInput.into()));
        };
        let mut command = std::process::Command::new(on_host(spec, Path::new(program)));
        command.arg0(program).args(arguments).env_clear().current_dir(on_host(spec, &spec.process.working_directory));
        command.envs(environment(spec, listeners).map_err(|source| setup("read an address", source))?);
        let second = output.try_clone().map_err(|source| setup("make the output pipe", source))?;
        command.stdin(std::process::Stdio::null()).stdout(output).stderr(second).process_group(0);
        let mut child = tokio::process::Command::from(command)
            .spawn()
            .map_err(|source| LaunchError::Exec { command: program.clone(), source })?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(LaunchError::Gone)?;
        self.tasks.spawn(async move {
            let exit = match child.wait().await {
                Ok(status) => Exit { status: status.code(), signal: status.signal(), out_of_memory: false },
                Err(error) => {
                    tracing::warn!(%error, pid, "cannot wait for a simulated sandbox");
                    KILLED
                }
            };
            kill_group(pid, rustix::process::Signal::KILL);
            state.end(exit);
        });
        Ok(pid)
    }
}

/// `path` inside the sandbox, where it is on the host.
fn on_host(spec: &SandboxSpec, path: &Path) -> PathBuf {
    for mount in &spec.mounts {
        let Ok(rest) = path.strip_prefix(&mount.at) else { continue };
        let directories = mount.images.iter().rev().filter(|image| image.form == CodeImageForm::Directory);
        for image in directories {
            let candidate = if rest.as_os_str().is_empty() { image.path.clone() } else { image.path.join(rest) };
            if candidate.exists() {
                return candidate;
            }
        }
    }
    path.to_path_buf()
}

/// The environment with the service address and the mounted paths replaced by what is there without isolation.
fn environment(spec: &SandboxSpec, listeners: &Listeners) -> std::io::Result<Vec<(String, String)>> {
    let runtime_api = listeners.runtime_api.local_addr()?.to_string();
    let endpoint = listeners.endpoint.local_addr()?.to_string();
    let replaced = spec.process.environment.iter().map(|(name, value)| {
        let value = value
            .replace(&format!("{SERVICE_ADDRESS}:{RUNTIME_API_PORT}"), &runtime_api)
            .replace(&format!("{SERVICE_ADDRESS}:{ENDPOINT_PORT}"), &endpoint);
        let value = if name == "LAMBDA_TASK_ROOT" {
            on_host(spec, Path::new(&value)).to_string_lossy().into_owned()
        } else {
            value
        };
        (name.clone(), value)
    });
    Ok(replaced.collect())
}

/// Signals a process group; one that has ended already is no error.
fn kill_group(pid: i32, signal: rustix::process::Signal) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid)
        && let Err(error) = rustix::process::kill_process_group(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(%error, ?pid, "cannot signal a simulated sandbox");
    }
}

impl Launcher for SimulatedLauncher {
    fn launch(&self, spec: SandboxSpec) -> BoxFuture<'_, Result<Sandbox, LaunchError>> {
        async move { self.start(spec) }.boxed()
    }

    fn forget(&self, digests: Vec<String>) -> BoxFuture<'_, Result<(), LaunchError>> {
        async move {
            self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).extend(digests);
            Ok(())
        }
        .boxed()
    }
}

/// The handle of a simulated sandbox.
struct SimulatedControl {
    id: u64,
    /// The process group, in the flavour with processes.
    pid: Option<i32>,
    state: Arc<State>,
}

impl SimulatedControl {
    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = self.pid
            && self.state.exit.borrow().is_none()
        {
            kill_group(pid, signal);
        }
    }

    fn running(&self) -> std::io::Result<()> {
        if self.state.exit.borrow().is_some() {
            return Err(std::io::Error::from_raw_os_error(libc::ENODEV));
        }
        Ok(())
    }
}

impl SandboxControl for SimulatedControl {
    fn id(&self) -> u64 {
        self.id
    }

    fn pid(&self) -> u32 {
        self.pid.and_then(|pid| u32::try_from(pid).ok()).unwrap_or_else(std::process::id)
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        async { until(&self.state.exit, Option::is_some).await.flatten().unwrap_or(KILLED) }.boxed()
    }

    fn terminate(&self) {
        self.state.terminated.send_replace(true);
        self.signal(rustix::process::Signal::TERM);
    }

    fn kill(&self) {
        match self.pid {
            Some(_) => self.signal(rustix::process::Signal::KILL),
            None => self.state.end(KILLED),
        }
    }

    fn freeze(&self, frozen: bool) -> std::io::Result<()> {
        self.running()?;
        self.signal(if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT });
        self.state.frozen.send_replace(frozen);
        Ok(())
    }

    fn set_cpu(&self, cpu_millis: u32) -> std::io::Result<()> {
        self.running()?;
        self.state.cpu_millis.send_replace(cpu_millis);
        Ok(())
    }
}

impl Drop for SimulatedControl {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::spec::{Limits, Network, Process};

    fn spec(command: &[&str]) -> SandboxSpec {
        SandboxSpec {
            root: Vec::new(),
            mounts: Vec::new(),
            process: Process {
                command: command.iter().map(|word| (*word).to_owned()).collect(),
                environment: vec![("AWS_LAMBDA_RUNTIME_API".into(), "169.254.100.1:9001".into())],
                working_directory: "/".into(),
            },
            limits: Limits {
                memory_bytes: 128 << 20,
                cpu_millis: 72,
                processes: 1024,
                file_descriptors: 1024,
                tmp_bytes: 512 << 20,
            },
            network: Network::None,
        }
    }

    #[tokio::test]
    async fn a_process_writes_exits_and_is_told_where_the_runtime_api_is() {
        let launcher = SimulatedLauncher::processes();
        let sandbox = launcher.launch(spec(&["/bin/sh", "-c", "echo $AWS_LAMBDA_RUNTIME_API; exit 3"])).await.unwrap();
        let exit = sandbox.control.wait().await;
        assert_eq!(exit, Exit { status: Some(3), signal: None, out_of_memory: false });
        let mut output = String::new();
        std::fs::File::from(sandbox.output).read_to_string(&mut output).unwrap();
        assert_eq!(output.trim(), sandbox.runtime_api.local_addr().unwrap().to_string());
        assert_eq!(sandbox.control.wait().await, exit);
        assert!(sandbox.control.freeze(true).is_err());
    }

    #[tokio::test]
    async fn kill_ends_a_process_and_a_missing_command_is_an_exec_error() {
        let launcher = SimulatedLauncher::processes();
        let sandbox = launcher.launch(spec(&["/bin/sh", "-c", "while :; do :; done"])).await.unwrap();
        sandbox.control.kill();
        assert_eq!(sandbox.control.wait().await, KILLED);
        let missing = launcher.launch(spec(&["/no/such/command"])).await;
        assert!(matches!(missing, Err(LaunchError::Exec { .. })));
    }

    #[tokio::test]
    async fn the_test_plays_the_process() {
        let (launcher, mut processes) = SimulatedLauncher::in_process();
        let sandbox = launcher.launch(spec(&["/var/task/bootstrap"])).await.unwrap();
        let mut process = processes.recv().await.unwrap();
        assert_eq!(process.runtime_api, sandbox.runtime_api.local_addr().unwrap());
        process.output.write_all(b"hello").unwrap();
        sandbox.control.freeze(true).unwrap();
        assert!(process.is_frozen());
        sandbox.control.set_cpu(500).unwrap();
        assert_eq!(process.cpu_millis(), 500);
        sandbox.control.terminate();
        process.terminated().await;
        drop(sandbox);
        assert_eq!(process.ended().await, KILLED);
    }
}
