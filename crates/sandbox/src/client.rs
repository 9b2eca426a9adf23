//! The server's side of the conversation with the launcher process.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{WaitId, WaitIdOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::host::cgroup::{CPU_PERIOD_US, cpu_quota_us};
use crate::launcher::{Exit, LaunchError, Launcher, Sandbox, SandboxControl};
use crate::spec::SandboxSpec;
use crate::start::LauncherProcess;
use crate::sys;
use crate::wire::{self, Event, LauncherInfo, Request};

/// What a sandbox whose launcher is gone came to: the kernel killed it.
const KILLED: Exit = Exit { status: None, signal: Some(libc::SIGKILL), out_of_memory: false };
/// How often a version 1 freezer is asked whether it is done; it is after the first or second time.
const MOST_FREEZER_READS: usize = 1000;

/// Starts sandboxes by way of the launcher process. Dropping it ends the launcher and every sandbox.
pub struct LauncherClient {
    shared: Arc<Shared>,
    pidfd: OwnedFd,
    info: LauncherInfo,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

struct Shared {
    socket: AsyncFd<OwnedFd>,
    /// Messages for which the socket had no room.
    queue: mpsc::UnboundedSender<Vec<u8>>,
    next_id: AtomicU64,
    state: Mutex<State>,
    cgroup_version: u8,
}

#[derive(Default)]
struct State {
    launches: HashMap<u64, oneshot::Sender<Result<Sandbox, LaunchError>>>,
    forgets: HashMap<u64, oneshot::Sender<()>>,
    exits: HashMap<u64, watch::Sender<Option<Exit>>>,
    gone: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends now, or has the task send when there is room.
    fn send(&self, request: &Request) -> Result<(), LaunchError> {
        let bytes = serde_json::to_vec(request).map_err(|error| LaunchError::Setup {
            step: "write down the request".to_owned(),
            source: io::Error::from(error),
        })?;
        match self.socket.try_io(Interest::WRITABLE, |socket| wire::send_bytes(socket, &bytes, &[])) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.queue.send(bytes).map_err(|_| LaunchError::Gone)
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(LaunchError::Gone),
            Err(source) => Err(LaunchError::Setup { step: "ask the launcher".to_owned(), source }),
        }
    }

    /// [`Self::send`] where nobody waits for the outcome: a launcher that is gone has ended everything already.
    fn send_or_log(&self, request: &Request) {
        if let Err(error) = self.send(request) {
            tracing::debug!(%error, ?request, "the launcher was not told");
        }
    }

    /// Sends what is queued and handles what arrives, until the launcher is gone.
    async fn converse(self: Arc<Self>, mut queue: mpsc::UnboundedReceiver<Vec<u8>>) {
        loop {
            tokio::select! {
                received = self.socket.async_io(Interest::READABLE, |socket| wire::receive::<Event>(socket)) => match received {
                    Ok(Some((event, fds))) => self.on_event(event, fds),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "cannot hear the launcher");
                        break;
                    },
                },
                Some(bytes) = queue.recv() => {
                    let sent = self.socket.async_io(Interest::WRITABLE, |socket| wire::send_bytes(socket, &bytes, &[])).await;
                    if let Err(error) = sent {
                        tracing::warn!(%error, "cannot speak to the launcher");
                    }
                },
            }
        }
        let state = &mut *self.state();
        state.gone = true;
        state.forgets.clear();
        for (_, launch) in state.launches.drain() {
            // A caller that has gone away has no use for the answer.
            let _ = launch.send(Err(LaunchError::Gone));
        }
        for (_, exit) in state.exits.drain() {
            exit.send_replace(Some(KILLED));
        }
    }

    fn on_event(self: &Arc<Self>, event: Event, fds: Vec<OwnedFd>) {
        match event {
            Event::Launched { id, memory_peak } => {
                let sandbox = self.sandbox(id, fds, memory_peak);
                if sandbox.is_err() {
                    self.send_or_log(&Request::Kill { id });
                }
                let launch = self.state().launches.remove(&id);
                match launch {
                    // A sandbox that nobody takes is dropped here, which kills it.
                    Some(launch) => drop(launch.send(sandbox)),
                    None => self.send_or_log(&Request::Kill { id }),
                }
            }
            Event::NotLaunched { id, failure } => {
                if let Some(launch) = self.state().launches.remove(&id) {
                    let _ = launch.send(Err(failure.into()));
                }
            }
            Event::Ended { id, status, signal, out_of_memory } => {
                if let Some(exit) = self.state().exits.remove(&id) {
                    exit.send_replace(Some(Exit { status, signal, out_of_memory }));
                }
            }
            Event::Forgotten { call } => {
                if let Some(forget) = self.state().forgets.remove(&call) {
                    let _ = forget.send(());
                }
            }
            Event::Log { warning: true, message } => tracing::warn!("{message}"),
            Event::Log { warning: false, message } => tracing::info!("{message}"),
            Event::Unusable { sentence } => tracing::error!("{sentence}"),
            Event::Ready(_) => {}
        }
    }

    /// Puts together what the launcher handed over: pidfd, output, Runtime API, endpoint, DNS over UDP and TCP, freezer, CPU, peak of memory.
    fn sandbox(self: &Arc<Self>, id: u64, fds: Vec<OwnedFd>, memory_peak: bool) -> Result<Sandbox, LaunchError> {
        let mut fds = fds.into_iter();
        let mut next = || {
            fds.next().ok_or_else(|| LaunchError::Setup {
                step: "receive the sandbox's descriptors".to_owned(),
                source: io::Error::from_raw_os_error(libc::EMFILE),
            })
        };
        let (pidfd, output) = (next()?, next()?);
        let (runtime_api, endpoint, dns_udp, dns_tcp) = (next()?, next()?, next()?, next()?);
        let (freezer, cpu) = (File::from(next()?), File::from(next()?));
        let memory_peak = if memory_peak { Some(File::from(next()?)) } else { None };
        let (sender, exit) = watch::channel(None);
        self.state().exits.insert(id, sender);
        let control = Control { id, pid: pid_of(&pidfd), shared: Arc::clone(self), exit, freezer, cpu };
        Ok(Sandbox {
            output,
            runtime_api: runtime_api.into(),
            endpoint: endpoint.into(),
            dns_udp: dns_udp.into(),
            dns_tcp: dns_tcp.into(),
            memory_peak,
            control: Arc::new(control),
        })
    }
}

/// The process id that a pidfd stands for, as this process sees it; 0 when it has ended.
fn pid_of(pidfd: &OwnedFd) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    line.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0)
}

impl LauncherClient {
    /// Takes over a started launcher. To be called inside the async runtime.
    ///
    /// # Errors
    /// When the runtime cannot watch the socket.
    pub fn new(process: LauncherProcess) -> io::Result<Arc<Self>> {
        rustix::io::ioctl_fionbio(&process.socket, true)?;
        let (queue, queued) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            socket: sys::watch_fd(process.socket, Interest::READABLE | Interest::WRITABLE)?,
            queue,
            next_id: AtomicU64::new(1),
            state: Mutex::default(),
            cgroup_version: process.info.cgroup_version,
        });
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let conversation = Arc::clone(&shared).converse(queued);
        tasks.spawn(cancel.clone().run_until_cancelled_owned(conversation));
        tasks.close();
        Ok(Arc::new(Self { shared, pidfd: process.pidfd, info: process.info, tasks, cancel }))
    }

    /// What the launcher found on this machine.
    #[must_use]
    pub fn info(&self) -> &LauncherInfo {
        &self.info
    }

    /// Resolves when the launcher process has ended, whoever ended it. With it every sandbox has.
    ///
    /// # Errors
    /// When the process cannot be watched.
    pub async fn ended(&self) -> io::Result<()> {
        let ended = sys::watch_fd(self.pidfd.try_clone()?, Interest::READABLE)?;
        drop(ended.readable().await?);
        Ok(())
    }

    /// Ends every sandbox and the launcher, and returns once everything of theirs is taken down.
    ///
    /// # Errors
    /// When the launcher's end cannot be waited for.
    pub async fn shutdown(&self) -> io::Result<()> {
        // One that is gone already has hung up itself.
        match rustix::net::shutdown(self.shared.socket.get_ref(), rustix::net::Shutdown::Both) {
            Ok(()) | Err(rustix::io::Errno::NOTCONN) => {}
            Err(error) => return Err(error.into()),
        }
        self.tasks.wait().await;
        self.ended().await?;
        match rustix::process::waitid(WaitId::PidFd(std::os::fd::AsFd::as_fd(&self.pidfd)), WaitIdOptions::EXITED) {
            // Somebody else was quicker to wait for it.
            Ok(_) | Err(rustix::io::Errno::CHILD) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for LauncherClient {
    fn drop(&mut self) {
        self.cancel.cancel();
        // The launcher leaves when it reads the end of the conversation; one that is gone already makes this fail.
        let _ = rustix::net::shutdown(self.shared.socket.get_ref(), rustix::net::Shutdown::Both);
    }
}

/// Takes back a launch whose caller has gone away.
struct GiveUp<'a> {
    shared: &'a Shared,
    id: u64,
    armed: bool,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.shared.send_or_log(&Request::Kill { id: self.id });
        }
    }
}

impl Launcher for LauncherClient {
    fn launch(&self, spec: SandboxSpec) -> BoxFuture<'_, Result<Sandbox, LaunchError>> {
        async move {
            let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            {
                let mut state = self.shared.state();
                if state.gone {
                    return Err(LaunchError::Gone);
                }
                state.launches.insert(id, sender);
            }
            if let Err(error) = self.shared.send(&Request::Launch { id, spec }) {
                self.shared.state().launches.remove(&id);
                return Err(error);
            }
            let mut give_up = GiveUp { shared: &self.shared, id, armed: true };
            let launched = receiver.await.unwrap_or(Err(LaunchError::Gone));
            give_up.armed = false;
            launched
        }
        .boxed()
    }

    fn forget(&self, digests: Vec<String>) -> BoxFuture<'_, Result<(), LaunchError>> {
        async move {
            let call = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
            let (sender, receiver) = oneshot::channel();
            {
                let mut state = self.shared.state();
                if state.gone {
                    return Err(LaunchError::Gone);
                }
                state.forgets.insert(call, sender);
            }
            self.shared.send(&Request::Forget { call, digests })?;
            receiver.await.map_err(|_| LaunchError::Gone)
        }
        .boxed()
    }
}

struct Control {
    id: u64,
    pid: u32,
    shared: Arc<Shared>,
    exit: watch::Receiver<Option<Exit>>,
    freezer: File,
    cpu: File,
}

impl Control {
    /// The control group outlives its last process for a moment; callers are not to notice.
    fn running(&self) -> io::Result<()> {
        if self.exit.borrow().is_some() { Err(io::Error::from_raw_os_error(libc::ENODEV)) } else { Ok(()) }
    }
}

impl SandboxControl for Control {
    fn id(&self) -> u64 {
        self.id
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        let mut exit = self.exit.clone();
        // The sender is dropped only after it has sent, or with the whole conversation.
        async move { exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit).unwrap_or(KILLED) }.boxed()
    }

    fn terminate(&self) {
        if self.exit.borrow().is_none() {
            self.shared.send_or_log(&Request::Terminate { id: self.id });
        }
    }

    fn kill(&self) {
        if self.exit.borrow().is_none() {
            self.shared.send_or_log(&Request::Kill { id: self.id });
        }
    }

    fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.running()?;
        if self.shared.cgroup_version == 2 {
            return self.freezer.write_all_at(if frozen { b"1" } else { b"0" }, 0);
        }
        self.freezer.write_all_at(if frozen { b"FROZEN" } else { b"THAWED" }, 0)?;
        // Version 1 may need several looks until every task has stopped.
        let mut state = [0; 16];
        for _ in 0..if frozen { MOST_FREEZER_READS } else { 0 } {
            let length = self.freezer.read_at(&mut state, 0)?;
            if state[..length].starts_with(b"FROZEN") {
                break;
            }
        }
        Ok(())
    }

    fn set_cpu(&self, cpu_millis: u32) -> io::Result<()> {
        self.running()?;
        let quota = cpu_quota_us(cpu_millis);
        let line = if self.shared.cgroup_version == 2 { format!("{quota} {CPU_PERIOD_US}") } else { quota.to_string() };
        self.cpu.write_all_at(line.as_bytes(), 0)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.kill();
    }
}
