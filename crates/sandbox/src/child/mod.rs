//! What a sandbox's processes do before one of them becomes the function's: [`prepare`], ahead of demand, everything that is the same for
//! all sandboxes; [`enter`], once a spec is there, the rest, in one straight line that ends in `execve`.
//!
//! There are two. The first makes the namespaces, forks the second and becomes [`init`], the only thing of Bojagi's that runs inside while
//! the function does. The second prepares the rest, waits for its spec and becomes the runtime.

mod enter;
pub(crate) mod init;
mod prepare;
mod privileges;
pub(crate) mod seccomp;

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

pub(crate) use prepare::HOST_NAME;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use self::init::Init;
use self::seccomp::Filters;
use crate::host::network::Uplink;
use crate::sys;
use crate::wire::{self, Failure, FromChild, Start, Step};

/// What the launcher gives a process that it forks to become a sandbox.
pub(crate) struct Plan<'a> {
    /// Its end of the conversation.
    pub(crate) control: OwnedFd,
    /// The event counter that says in the end how the runtime ended; see [`init::Ending`].
    pub(crate) ending: OwnedFd,
    /// The launcher's own file system, which becomes the first root; see [`crate::host::stage`].
    pub(crate) stage: PathBuf,
    /// `cgroup.procs` files to join.
    pub(crate) cgroups: Vec<PathBuf>,
    /// The first of the host user ids that are its own.
    pub(crate) first_user: u32,
    /// Its connection to the outside, if any.
    pub(crate) uplink: Option<(OwnedFd, Uplink)>,
    /// The compiled filters.
    pub(crate) filters: &'a Filters,
}

/// Runs in the freshly forked process; never returns.
pub(crate) fn run(mut plan: Plan<'_>) -> ! {
    // Another sandbox's descriptors, which the launcher has open as well, must not live on here.
    let kept = match plan.uplink.take() {
        None => keep_only([plan.control, plan.ending], FIRST_KEPT).map(|[control, ending]| (control, ending, None)),
        Some((gateway, uplink)) => keep_only([plan.control, plan.ending, gateway], FIRST_KEPT)
            .map(|[control, ending, gateway]| (control, ending, Some((gateway, uplink)))),
    };
    let Ok((control, ending, uplink)) = kept else { sys::exit_now(1) };
    let surroundings = prepare::surroundings(&plan.stage, &plan.cgroups, uplink);
    let outcome = surroundings
        .and_then(|surroundings| become_runtime(surroundings, &control, ending, plan.first_user, plan.filters));
    match outcome {
        Ok(never) => match never {},
        // Nobody is left to be told when this fails.
        Err(failure) => drop(wire::send(&control, &FromChild::Failed(failure), &[])),
    }
    sys::exit_now(1)
}

/// Splits into init and what waits to become the runtime, and goes on as the latter.
fn become_runtime(
    surroundings: prepare::Surroundings,
    control: &OwnedFd,
    ending: OwnedFd,
    first_user: u32,
    filters: &Filters,
) -> Result<Infallible, Failure> {
    let (ready, shielded) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make a pipe")?;
    let step = "fork the runtime's process";
    match sys::clone_process(0, None).step(step)? {
        sys::Cloned::Parent { pid, .. } => {
            let Some(runtime) = Pid::from_raw(pid) else { sys::exit_now(1) };
            let control = rustix::io::dup(control).step(step)?;
            init::run(Init { runtime, user: first_user, control, ending, shielded, filter: &filters.init })
        }
        sys::Cloned::Child => drop((ending, shielded)),
    }
    let prepared = prepare::prepare(surroundings, first_user, filters)?;
    let own = pidfd_open(getpid(), PidfdFlags::empty()).step("open the runtime's process")?;
    // Init is beyond the function's reach before there is a function. Without it, nobody is here to read on.
    if rustix::io::read(&ready, &mut [0; 1]).step("wait for init")? == 0 {
        sys::exit_now(1)
    }
    let sockets = prepared.sockets.iter().map(AsFd::as_fd);
    let fds: Vec<BorrowedFd<'_>> = std::iter::once(own.as_fd()).chain(sockets).collect();
    wire::send(control, &FromChild::Prepared, &fds).step("speak to the launcher")?;
    match wire::receive::<Start>(control) {
        Ok(Some((start, fds))) => enter::enter(prepared, &start, fds, filters),
        // The launcher is gone or has no use for this process.
        _ => sys::exit_now(0),
    }
}

/// The number of the first descriptor that [`run`] keeps, after the standard ones.
const FIRST_KEPT: RawFd = 3;

/// Closes every descriptor from `first` on but these, which get the numbers from `first` on.
pub(crate) fn keep_only<const N: usize>(kept: [OwnedFd; N], first: RawFd) -> std::io::Result<[OwnedFd; N]> {
    // First out of the way of the numbers they are to have.
    let mut high = Vec::with_capacity(N);
    for fd in &kept {
        high.push(rustix::io::fcntl_dupfd_cloexec(fd, 16)?);
    }
    let mut target = first;
    for fd in &high {
        sys::copy_fd_to(fd.as_fd(), target)?;
        target += 1;
    }
    sys::close_from(target.cast_unsigned())?;
    // Their descriptors are closed, or belong to somebody else, by now.
    std::mem::forget((kept, high));
    let mut adopted = Vec::with_capacity(N);
    for number in first..target {
        adopted.push(sys::adopt_fd(number)?);
    }
    adopted.try_into().map_err(|_| std::io::ErrorKind::InvalidInput.into())
}
