//! From a spec to the function's process: one straight line that ends in `execve`.

use std::convert::Infallible;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use rustix::process::{Resource, Rlimit};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::prepare::{Prepared, UPLINK};
use super::privileges;
use super::seccomp::Filters;
use crate::config::{SANDBOX_GROUP, SANDBOX_USER};
use crate::netlink::Netlink;
use crate::sys;
use crate::wire::{Failure, Start, Step};

/// Returns only when a step failed.
pub(super) fn enter(
    prepared: Prepared,
    start: &Start,
    fds: Vec<OwnedFd>,
    filters: &Filters,
) -> Result<Infallible, Failure> {
    let program = Program::read(start)?;
    let mut fds = fds.into_iter();
    let (Some(output), Some(root), Some(tmp)) = (fds.next(), fds.next(), fds.next()) else {
        return Err(Failure { step: "receive the descriptors".into(), errno: libc::EBADMSG, exec: false });
    };
    if start.disconnect {
        Netlink::open().and_then(|network| network.delete(UPLINK)).step("disconnect from the outside")?;
    }
    // The host's side has these now; the listeners must not survive into the function.
    drop(prepared.sockets);

    attach(root, "/root", "/")?;
    rustix::process::chdir("/root").step("enter the root")?;
    rustix::process::pivot_root(".", ".").step("change the root")?;
    // Paths now begin at the new root, so that its symbolic links lead nowhere else; the old one is still there to be moved from.
    attach(prepared.proc, "/proc", "/proc")?;
    attach(prepared.dev, "/dev", "/dev")?;
    attach(tmp, "/tmp", "/tmp")?;
    attach(prepared.hosts, "/etc/hosts", "/etc/hosts")?;
    attach(prepared.resolv_conf, "/etc/resolv.conf", "/etc/resolv.conf")?;
    for (path, mount) in start.mounts.iter().zip(fds) {
        attach(mount, path, &path.to_string_lossy())?;
    }
    unmount(".", UnmountFlags::DETACH).step("let go of the old root")?;

    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).step("open /dev/null")?;
    sys::copy_fd_to(null.as_fd(), 0).step("connect standard input")?;
    sys::copy_fd_to(output.as_fd(), 1).step("connect standard output")?;
    sys::copy_fd_to(output.as_fd(), 2).step("connect standard error")?;
    sys::close_on_exec_from(3).step("mark descriptors to be closed")?;
    rustix::process::setsid().step("start a session")?;
    sys::reset_signals().step("reset signals")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    limit(Resource::Nofile, u64::from(start.file_descriptors)).step("limit descriptors")?;
    limit(Resource::Core, 0).step("forbid core dumps")?;
    limit(Resource::Memlock, 64 << 10).step("limit locked memory")?;

    move_into_thread_name_spaces(prepared.user_namespace.as_fd(), ThreadNameSpaceType::USER)
        .step("enter the user namespace")?;
    privileges::drop_to(SANDBOX_USER, SANDBOX_GROUP)?;
    rustix::process::chdir(&start.process.working_directory)
        .step_with(|| format!("enter the working directory {}", start.process.working_directory.display()))?;
    seccompiler::apply_filter(&filters.refused_last)
        .map_err(std::io::Error::other)
        .step("load the last system call filter")?;
    let error = sys::execute(&program.path, &program.arguments, &program.environment);
    let step = start.process.command.first().cloned().unwrap_or_default();
    Err(Failure { step, errno: error.raw_os_error().unwrap_or(libc::EINVAL), exec: true })
}

fn attach(mount: OwnedFd, at: impl AsRef<Path>, name: &str) -> Result<(), Failure> {
    move_mount(mount, "", CWD, at.as_ref(), MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .step_with(|| format!("mount {name}"))
}

fn limit(resource: Resource, most: u64) -> rustix::io::Result<()> {
    rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })
}

/// The arguments of `execve`.
struct Program {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Program {
    fn read(start: &Start) -> Result<Self, Failure> {
        let text = |text: &str| CString::new(text).map_err(std::io::Error::from).step("read the command");
        let arguments = start.process.command.iter().map(|word| text(word)).collect::<Result<Vec<_>, _>>()?;
        let environment = start.process.environment.iter().map(|(name, value)| text(&format!("{name}={value}")));
        let environment = environment.collect::<Result<Vec<_>, _>>()?;
        let path = arguments.first().cloned().ok_or_else(|| Failure {
            step: "read the command".into(),
            errno: libc::EINVAL,
            exec: false,
        })?;
        Ok(Self { path, arguments, environment })
    }
}
