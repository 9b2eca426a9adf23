//! The sandbox's init: process 1 inside, so that the function's runtime is not.
//!
//! The kernel shields the first process of a PID namespace from signals: a runtime in that place could neither abort nor kill itself, and
//! would inherit every orphan. This one collects orphans, waits for the runtime, tells the launcher how that ended, and ends, upon which
//! the kernel ends whatever is left inside.
//!
//! What always holds once [`run`] has let the runtime go on: it has no privilege, a user of its own (the sandbox's user 0, whom the
//! function cannot become), a single descriptor, to which it writes once, and a filter that lets it do just this. It reads nothing that comes
//! from the function, and its memory and descriptors can be looked at by nobody inside: it belongs to another user, cannot be dumped, and
//! is of the host's user namespace.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::process::{DumpableBehavior, Pid, WaitOptions, WaitStatus, set_dumpable_behavior};

use super::privileges;
use crate::sys;
use crate::wire::{self, Failure, FromChild, Step};

/// What `ps` shows inside.
const NAME: &CStr = c"init";
/// What the init needs.
pub(super) struct Init<'a> {
    /// Process 2.
    pub(super) runtime: Pid,
    /// The host's id of the sandbox's user 0.
    pub(super) user: u32,
    /// For a failure; closed before the runtime goes on.
    pub(super) control: OwnedFd,
    /// An event counter: takes the one [`Ending`].
    pub(super) ending: OwnedFd,
    /// The runtime waits for a byte from here.
    pub(super) shielded: OwnedFd,
    /// Compiled from [`super::seccomp`].
    pub(super) filter: &'a seccompiler::BpfProgram,
}

/// Never returns.
pub(super) fn run(init: Init<'_>) -> ! {
    let Init { runtime, user, control, ending, shielded, filter } = init;
    // Everything else that the launcher and the preparation have open is the runtime's, or nobody's.
    let Ok([ending, shielded, control]) = super::keep_only([ending, shielded, control], 0) else { sys::exit_now(1) };
    if let Err(failure) = shield(user, filter) {
        // Nobody is left to be told when this fails. The kernel ends the runtime, which still waits, with this process.
        let _ = wire::send(&control, &FromChild::Failed(failure), &[]);
        sys::exit_now(1)
    }
    drop(control);
    if rustix::io::write(&shielded, &[1]).is_err() {
        sys::exit_now(1)
    }
    drop(shielded);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == runtime => {
                // The launcher reads it after this process's end; without it, it takes the runtime for killed.
                let _ = rustix::io::write(&ending, &Ending::of(status).encode().to_ne_bytes());
                sys::exit_now(0)
            }
            // An orphan. Nobody waits for it.
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => sys::exit_now(1),
        }
    }
}

/// Gives up every privilege.
fn shield(user: u32, filter: &seccompiler::BpfProgram) -> Result<(), Failure> {
    rustix::thread::set_name(NAME).step("name init")?;
    privileges::drop_to(user, user)?;
    // After the change of user, which sets it to what the host's administrator chose.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("hide init")?;
    rustix::thread::set_no_new_privs(true).step("forbid new privileges")?;
    seccompiler::apply_filter(filter).map_err(std::io::Error::other).step("load init's system call filter")
}

/// How a runtime ended, as it travels through an event counter: a number that is never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Signalled(u8),
}

impl Ending {
    fn of(status: WaitStatus) -> Self {
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        match status.terminating_signal() {
            Some(signal) => Self::Signalled(byte(signal)),
            None => Self::Exited(byte(status.exit_status().unwrap_or(0))),
        }
    }

    fn encode(self) -> u64 {
        match self {
            Self::Exited(status) => 0x100 | u64::from(status),
            Self::Signalled(signal) => 0x200 | u64::from(signal),
        }
    }

    /// None for anything but what [`run`] writes.
    fn decode(number: u64) -> Option<Self> {
        let low = u8::try_from(number & 0xff).ok()?;
        match number >> 8 {
            1 => Some(Self::Exited(low)),
            2 => Some(Self::Signalled(low)),
            _ => None,
        }
    }

    /// Reads what the init of a sandbox that has ended wrote; None when it was killed before it could. The counter does not block.
    pub(crate) fn read(counter: &OwnedFd) -> Option<Self> {
        let mut bytes = [0; 8];
        let length = rustix::io::read(counter, &mut bytes).ok()?;
        if length == bytes.len() { Self::decode(u64::from_ne_bytes(bytes)) } else { None }
    }

    pub(crate) fn exit_status(self) -> Option<i32> {
        if let Self::Exited(status) = self { Some(status.into()) } else { None }
    }

    pub(crate) fn signal(self) -> Option<i32> {
        if let Self::Signalled(signal) = self { Some(signal.into()) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::Ending;

    #[test]
    fn every_ending_arrives_as_it_was() {
        for byte in 0..=u8::MAX {
            for ending in [Ending::Exited(byte), Ending::Signalled(byte)] {
                assert_ne!(ending.encode(), 0);
                assert_eq!(Ending::decode(ending.encode()), Some(ending));
            }
        }
        assert_eq!([0, 1, 0x300, u64::MAX].map(Ending::decode), [None; 4]);
    }

    #[test]
    fn an_empty_counter_says_nothing() {
        let flags = rustix::event::EventfdFlags::NONBLOCK | rustix::event::EventfdFlags::CLOEXEC;
        let counter = rustix::event::eventfd(0, flags).unwrap();
        assert_eq!(Ending::read(&counter), None);
        rustix::io::write(&counter, &Ending::Exited(3).encode().to_ne_bytes()).unwrap();
        assert_eq!(Ending::read(&counter), Some(Ending::Exited(3)));
    }
}
