//! What a sandbox's first process does before it becomes the function's: [`prepare`], ahead of demand, everything that is the same for all
//! sandboxes; [`enter`], once a spec is there, the rest, in one straight line that ends in `execve`.

mod enter;
mod prepare;
pub(crate) mod seccomp;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

pub(crate) use prepare::HOST_NAME;

use self::seccomp::Filters;
use crate::host::network::Uplink;
use crate::sys;
use crate::wire::{self, FromChild, Start};

/// What the launcher gives a process that it forks to become a sandbox.
pub(crate) struct Plan<'a> {
    /// Its end of the conversation.
    pub(crate) control: OwnedFd,
    /// The launcher's own file system, which becomes the first root; see [`crate::host::stage`].
    pub(crate) stage: PathBuf,
    /// `cgroup.procs` files to join.
    pub(crate) cgroups: Vec<PathBuf>,
    /// The first of the host user ids that are its own.
    pub(crate) first_user: u32,
    /// Its connection to the outside, if any.
    pub(crate) uplink: Option<(BorrowedFd<'a>, Uplink)>,
    /// The compiled filters.
    pub(crate) filters: &'a Filters,
}

/// Runs in the freshly forked process; never returns.
pub(crate) fn run(plan: Plan<'_>) -> ! {
    let Ok((control, gateway)) = keep_only(plan.control, plan.uplink.as_ref().map(|(gateway, _)| *gateway)) else {
        sys::exit_now(1)
    };
    let uplink = gateway.zip(plan.uplink.map(|(_, uplink)| uplink));
    let failure = match prepare::prepare(&plan.stage, &plan.cgroups, plan.first_user, uplink, plan.filters) {
        Err(failure) => failure,
        Ok(prepared) => {
            let sockets: Vec<BorrowedFd<'_>> = prepared.sockets.iter().map(AsFd::as_fd).collect();
            if wire::send(&control, &FromChild::Prepared, &sockets).is_err() {
                sys::exit_now(1);
            }
            match wire::receive::<Start>(&control) {
                Ok(Some((start, fds))) => enter::enter(prepared, &start, fds, plan.filters),
                // The launcher is gone or has no use for this process.
                _ => sys::exit_now(0),
            }
        }
    };
    // Nobody is left to be told when this fails.
    let _ = wire::send(&control, &FromChild::Failed(failure), &[]);
    sys::exit_now(1)
}

/// Closes every descriptor inherited from the launcher but these and the standard ones: another sandbox's must not live on here.
pub(crate) fn keep_only(
    control: OwnedFd,
    gateway: Option<BorrowedFd<'_>>,
) -> std::io::Result<(OwnedFd, Option<OwnedFd>)> {
    // First out of the way of the numbers they are to have.
    let high_control = rustix::io::fcntl_dupfd_cloexec(&control, 16)?;
    let high_gateway = gateway.map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, 16)).transpose()?;
    sys::copy_fd_to(high_control.as_fd(), 3)?;
    if let Some(gateway) = &high_gateway {
        sys::copy_fd_to(gateway.as_fd(), 4)?;
    }
    sys::close_from(if high_gateway.is_some() { 5 } else { 4 })?;
    // Their descriptors are closed, or belong to somebody else, by now.
    let present = high_gateway.is_some();
    std::mem::forget((control, high_control, high_gateway));
    let control = sys::adopt_fd(3)?;
    let gateway = if present { Some(sys::adopt_fd(4)?) } else { None };
    Ok((control, gateway))
}
