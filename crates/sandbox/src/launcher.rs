//! The seam between the engine and whatever contains a sandbox.

use std::fs::File;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::spec::SandboxSpec;

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The command is not there (ENOENT), may not be executed (EACCES) or is no executable (ENOEXEC).
    #[error("cannot execute {command}")]
    Exec {
        /// The first word of the command.
        command: String,
        /// The system call's error.
        source: std::io::Error,
    },
    /// A step of making the sandbox failed.
    #[error("{step} failed")]
    Setup {
        /// The step, as a phrase: `mount /var/task`.
        step: String,
        /// The system call's error.
        source: std::io::Error,
    },
    /// The launcher process is gone.
    #[error("the launcher is gone")]
    Gone,
}

/// How a sandbox's command ended. When it ends, the sandbox's init does, and the kernel ends all others in the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Its exit status, when it exited.
    pub status: Option<i32>,
    /// The signal that ended it, when one did.
    pub signal: Option<i32>,
    /// Whether the memory limit ended a process of the sandbox.
    pub out_of_memory: bool,
}

/// Starts sandboxes.
pub trait Launcher: Send + Sync + 'static {
    /// Starts a sandbox; returns once its process has been executed.
    ///
    /// # Errors
    /// [`LaunchError`], after everything made for it has been taken down again.
    fn launch(&self, spec: SandboxSpec) -> BoxFuture<'_, Result<Sandbox, LaunchError>>;

    /// Unmounts code images that no sandbox uses, so that their files can be deleted.
    fn forget(&self, digests: Vec<String>) -> BoxFuture<'_, Result<(), LaunchError>>;
}

/// A started sandbox: the descriptors that the host's side serves, and the handle to control it. Dropping it kills the sandbox.
pub struct Sandbox {
    /// Standard output and standard error of all its processes, one pipe, so that their order is kept.
    pub output: OwnedFd,
    /// Listens inside on `169.254.100.1:9001`. Non-blocking.
    pub runtime_api: TcpListener,
    /// Listens inside on `169.254.100.1:4566`. Non-blocking.
    pub endpoint: TcpListener,
    /// Bound inside to `169.254.100.1:53`. Non-blocking.
    pub dns_udp: UdpSocket,
    /// Listens inside on `169.254.100.1:53`. Non-blocking.
    pub dns_tcp: TcpListener,
    /// Reading it from the start gives the peak of memory used so far, in bytes, as decimal text. None where the kernel has no such file.
    pub memory_peak: Option<File>,
    /// Handle to control it.
    pub control: Arc<dyn SandboxControl>,
}

/// Controls a started sandbox.
pub trait SandboxControl: Send + Sync {
    /// A number unique in the launcher's life; for logs.
    fn id(&self) -> u64;
    /// The command's process id on the host; for logs and tests. Inside it is process 2: process 1 is the sandbox's init.
    fn pid(&self) -> u32;
    /// Resolves when the command and everything else inside have ended. May be called by many and after the end.
    fn wait(&self) -> BoxFuture<'_, Exit>;
    /// Sends SIGTERM to the command's process.
    fn terminate(&self);
    /// SIGKILL to everything inside. Idempotent; everything of the sandbox is taken down and its `/tmp` erased.
    fn kill(&self);
    /// Stops every process inside from running, or lets them run again.
    ///
    /// # Errors
    /// The kernel's error, such as when the sandbox has ended.
    fn freeze(&self, frozen: bool) -> std::io::Result<()>;
    /// Changes the share of CPU, in thousandths of a CPU: an environment may use more while it starts than while it serves.
    ///
    /// # Errors
    /// The kernel's error, such as when the sandbox has ended.
    fn set_cpu(&self, cpu_millis: u32) -> std::io::Result<()>;
}
