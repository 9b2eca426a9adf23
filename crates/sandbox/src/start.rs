//! Starting the launcher process, and being it.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::process::Resource;

use crate::config::LauncherConfig;
use crate::host::cgroup_layout::{self, Placement, SERVER_LEAF};
use crate::sys;
use crate::wire::{self, Event, LauncherInfo, Request};

/// The hidden first argument of the process that is to be the launcher; the second is its socket's number.
pub const LAUNCHER_ARGUMENT: &str = "launcher";
/// The number that the launcher's socket has.
const LAUNCHER_FD: RawFd = 3;

/// Why the launcher did not start. Each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not root.
    #[error("Sandboxes need root: run Bojagi as root or with sudo.")]
    NotPrivileged,
    /// A system call on the way failed.
    #[error("Cannot {step}.")]
    System {
        /// What was tried.
        step: &'static str,
        /// The system call's error.
        source: io::Error,
    },
    /// The launcher says why it cannot work here and what to do.
    #[error("{0}")]
    Unusable(String),
    /// It ended without saying anything.
    #[error("The launcher process ended while it started.")]
    Ended,
}

/// A started launcher process. Dropping it ends it, with everything it started.
#[derive(Debug)]
pub struct LauncherProcess {
    pub(crate) socket: OwnedFd,
    pub(crate) pidfd: OwnedFd,
    pub(crate) pid: u32,
    pub(crate) info: LauncherInfo,
}

impl LauncherProcess {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it found on this machine.
    #[must_use]
    pub fn info(&self) -> &LauncherInfo {
        &self.info
    }
}

/// Starts the launcher. To be called in `main` before the async runtime exists.
///
/// # Errors
/// [`StartError`]; its text is for the operator.
pub fn start(mut config: LauncherConfig) -> Result<LauncherProcess, StartError> {
    let system = |step| move |source| StartError::System { step, source };
    if !rustix::process::geteuid().is_root() {
        return Err(StartError::NotPrivileged);
    }
    std::fs::create_dir_all(&config.data_dir).map_err(system("make the data directory"))?;
    config.data_dir = config.data_dir.canonicalize().map_err(system("find the data directory"))?;
    config.placement = take_own_leaf().map_err(system("move into a control group of its own"))?;
    let executable = config.executable.clone().unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
    let (socket, theirs) = wire::socket_pair().map_err(system("make a socket"))?;
    let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from).map_err(system("read the program's name"));
    let program = text(executable.as_os_str().as_bytes())?;
    let arguments = [text(b"bojagi")?, text(LAUNCHER_ARGUMENT.as_bytes())?, text(LAUNCHER_FD.to_string().as_bytes())?];
    let environment = [text(b"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")?];
    let flags = libc::CLONE_NEWPID | libc::CLONE_NEWNS;
    // Between here and `execute` the child only makes system calls, in case there is a second thread after all.
    let (pid, pidfd) = match sys::clone_process(flags, None).map_err(system("start the launcher process"))? {
        sys::Cloned::Parent { pid, pidfd } => (pid, pidfd),
        sys::Cloned::Child => {
            let placed = sys::copy_fd_to(theirs.as_fd(), LAUNCHER_FD).and_then(|()| sys::close_from(4));
            if placed.is_ok() {
                let _ = sys::execute(&program, &arguments, &environment);
            }
            sys::exit_now(127)
        }
    };
    drop(theirs);
    wire::send(&socket, &Request::Configure(config), &[]).map_err(system("speak to the launcher"))?;
    let info = match wire::receive::<Event>(&socket).map_err(system("hear from the launcher"))? {
        Some((Event::Ready(info), _)) => info,
        Some((Event::Unusable { sentence }, _)) => return Err(StartError::Unusable(sentence)),
        _ => return Err(StartError::Ended),
    };
    Ok(LauncherProcess { socket, pidfd, pid: pid.cast_unsigned(), info })
}

/// With cgroup version 2, a group that distributes controllers holds no processes: where this process has a group of its own, it moves
/// into a leaf of it, and the sandboxes' groups go beside.
fn take_own_leaf() -> io::Result<Placement> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let controllers =
        |root: &std::path::Path| std::fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    let Some(root) = cgroup_layout::Hierarchies::parse(&mounts).v2_with_controllers(controllers) else {
        return Ok(Placement::Top);
    };
    let text = std::fs::read_to_string("/proc/self/cgroup")?;
    let own = cgroup_layout::own_path(&text);
    let directory = own.map(|own| root.join(own.trim_start_matches('/'))).unwrap_or_else(|| root.clone());
    let processes = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default().lines().count();
    let placement = cgroup_layout::choose(own, processes, &controllers(&directory));
    if let Placement::Inside(_) = placement {
        let leaf = directory.join(SERVER_LEAF);
        match std::fs::create_dir(&leaf) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => crate::host::cgroup::write(&leaf.join("cgroup.procs"), "0")?,
        }
    }
    Ok(placement)
}

/// Becomes the launcher, and never returns, if this process was started as one. To be called first of all in `main`.
pub fn run_if_launcher() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some(LAUNCHER_ARGUMENT) {
        return;
    }
    if let Some(fd) = arguments.next().and_then(|fd| fd.parse().ok())
        && arguments.next().is_none()
    {
        launcher_main(fd);
    }
}

/// The launcher process: serves the server on socket `fd` until that is gone.
pub fn launcher_main(fd: RawFd) -> ! {
    let Ok(socket) = sys::adopt_fd(fd) else { sys::exit_now(2) };
    // Away from the server's terminal: its ^C is for the server, which then lets go of the launcher.
    if rustix::process::setsid().is_err() || raise_descriptor_limit().is_err() {
        sys::exit_now(2);
    }
    crate::host::run(socket);
    sys::exit_now(0)
}

/// Raises the number of descriptors this process may open to the most that is allowed, and returns it. Each sandbox takes nine.
///
/// # Errors
/// The kernel's.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(Resource::Nofile, limit)?;
    Ok(limit.current.unwrap_or(u64::MAX))
}
