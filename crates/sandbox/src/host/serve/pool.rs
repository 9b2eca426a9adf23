//! Keeping sandboxes and `/tmp` file systems ready ahead of demand.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use super::{CONTROL, Launcher, MEMORY, PIDFD, Sizes};
use crate::child;
use crate::config::USER_IDS_PER_SANDBOX;
use crate::host::cgroup::Cgroup;
use crate::host::scratch::{Made, Scratch, Task};
use crate::host::slot::{Slot, Stage};
use crate::sys;
use crate::wire::{self, Event, Failure, Step};

/// How many `/tmp` file systems of each size in use are kept ready.
const SCRATCH_READY: usize = 2;
/// Of how many sizes; the one longest unused is given up.
const SCRATCH_SIZES: usize = 8;

/// What the launcher has of a process that it forked: its end of the conversation, the event counter, the process.
type Forked = (OwnedFd, OwnedFd, OwnedFd);

impl Launcher {
    pub(super) fn on_scratch(&mut self) {
        match wire::receive::<Made>(&self.scratch) {
            Ok(Some((made, fds))) => {
                let sizes = self.sizes.entry(made.bytes).or_default();
                sizes.asked_for = sizes.asked_for.saturating_sub(1);
                let mut fds = fds.into_iter();
                match (fds.next(), fds.next(), made.failure) {
                    (Some(mount), Some(root), _) => sizes.ready.push(Scratch { mount, root }),
                    (_, _, Some(failure)) => self.scratch_failed(made.bytes, failure),
                    _ => {}
                }
                self.start_waiting();
            }
            Ok(None) | Err(_) => {
                let _ = epoll::delete(&self.epoll, &self.scratch);
                self.log(true, "the process that prepares /tmp is gone; restart Bojagi".to_owned());
                while let Some((id, _)) = self.waiting.pop_front() {
                    let failure = Failure { step: "prepare /tmp".into(), errno: libc::EPIPE, exec: false };
                    self.tell(&Event::NotLaunched { id, failure }, &[]);
                }
            }
        }
    }

    fn scratch_failed(&mut self, bytes: u64, failure: Failure) {
        let position = self.waiting.iter().position(|(_, spec)| spec.limits.tmp_bytes == bytes);
        match position.and_then(|at| self.waiting.remove(at)) {
            Some((id, _)) => self.tell(&Event::NotLaunched { id, failure }, &[]),
            None => {
                self.sizes.remove(&bytes);
                let error = io::Error::from_raw_os_error(failure.errno);
                self.log(true, format!("cannot prepare a /tmp of {bytes} bytes: {}: {error}", failure.step));
            }
        }
    }

    pub(super) fn ask_scratch(&self, task: &Task, fds: &[BorrowedFd<'_>]) {
        // When that process is gone, so are its mounts; the loop has told the server.
        let _ = wire::send(&self.scratch, task, fds);
    }

    /// Asks at once for what waiting launches lack; what only refills the pool is a chore.
    pub(super) fn refill_for_waiting(&mut self) {
        while self.preparing + self.prepared.len() < self.waiting.len() && !self.preparing_fails {
            self.prepare_one();
        }
        let mut wanted: HashMap<u64, usize> = HashMap::new();
        for (_, spec) in &self.waiting {
            *wanted.entry(spec.limits.tmp_bytes).or_default() += 1;
        }
        for (bytes, wanted) in wanted {
            self.ask_for_scratch(bytes, wanted);
        }
    }

    fn ask_for_scratch(&mut self, bytes: u64, wanted: usize) {
        let sizes = self.sizes.entry(bytes).or_default();
        let lacking = wanted.saturating_sub(sizes.ready.len() + sizes.asked_for);
        sizes.asked_for += lacking;
        for _ in 0..lacking {
            self.ask_scratch(&Task::Make { bytes }, &[]);
        }
    }

    /// A size whose file systems run short, while no launch waits.
    fn short_size(&self) -> Option<u64> {
        let short = |sizes: &Sizes| sizes.ready.len() + sizes.asked_for < SCRATCH_READY;
        self.sizes.iter().find(|(_, sizes)| short(sizes)).map(|(bytes, _)| *bytes)
    }

    fn pool_is_short(&self) -> bool {
        !self.preparing_fails && self.preparing + self.prepared.len() < self.config.pool_size
    }

    pub(super) fn has_chores(&self) -> bool {
        self.pool_is_short() || self.short_size().is_some() || self.sizes.len() > SCRATCH_SIZES
    }

    /// Whether the next launch would have to wait.
    pub(super) fn is_at_a_loss(&self) -> bool {
        self.prepared.is_empty() || self.sizes.values().any(|sizes| sizes.ready.is_empty() && sizes.asked_for == 0)
    }

    /// One thing that can wait.
    pub(super) fn do_chore(&mut self) {
        self.dead_groups.retain(|group| group.remove().is_err());
        if self.pool_is_short() {
            self.prepare_one();
        } else if let Some(bytes) = self.short_size() {
            self.ask_for_scratch(bytes, SCRATCH_READY);
        } else if self.sizes.len() > SCRATCH_SIZES {
            let oldest = self.sizes.iter().min_by_key(|(_, sizes)| sizes.last_used).map(|(bytes, _)| *bytes);
            if let Some(sizes) = oldest.and_then(|bytes| self.sizes.remove(&bytes)) {
                sizes.ready.iter().for_each(|scratch| self.ask_scratch(&Task::Erase, &[scratch.root.as_fd()]));
            }
        } else if !self.swept {
            let birth = format!("{:x}-", self.birth);
            self.swept = self.cgroups.sweep(|name| name.starts_with(&birth)) == 0;
        }
    }

    /// Forks a process that prepares itself.
    fn prepare_one(&mut self) {
        if let Err(failure) = self.try_prepare() {
            self.preparing_failed(failure);
        }
    }

    fn try_prepare(&mut self) -> Result<(), Failure> {
        let full = || Failure { step: "find a free range of user ids".into(), errno: libc::EAGAIN, exec: false };
        let index = self.indexes.take().ok_or_else(full)?;
        let slot_id = self.next_slot;
        self.next_slot += 1;
        let cgroup = match self.cgroups.create(&format!("{:x}-{slot_id}", self.birth)) {
            Ok(cgroup) => cgroup,
            Err(failure) => {
                self.indexes.give_back(index);
                return Err(failure);
            }
        };
        let forked = cgroup.watch_out_of_memory().and_then(|memory_watch| {
            let (control, ending, pidfd) = self.fork_into(index, slot_id, &cgroup)?;
            Ok((memory_watch, control, ending, pidfd))
        });
        let (memory_watch, control, ending, pidfd) = match forked {
            Ok(forked) => forked,
            Err(failure) => {
                self.indexes.give_back(index);
                self.dead_groups.push(cgroup);
                return Err(failure);
            }
        };
        let slot = Slot {
            stage: Stage::Preparing,
            pidfd,
            runtime: None,
            ending,
            control: Some(control),
            sockets: Vec::new(),
            cgroup,
            index,
            tmp: None,
            memory_watch,
            out_of_memory: false,
        };
        let watched = self.watch_slot(slot_id, &slot).step("watch a prepared process");
        if watched.is_err() {
            // It ends when its conversation does; there is no more to be done without events.
            let _ = pidfd_send_signal(&slot.pidfd, Signal::KILL);
            let _ = waitid(WaitId::PidFd(slot.pidfd.as_fd()), WaitIdOptions::EXITED);
            self.indexes.give_back(index);
            self.dead_groups.push(slot.cgroup);
            return watched;
        }
        self.slots.insert(slot_id, slot);
        self.preparing += 1;
        Ok(())
    }

    fn watch_slot(&self, slot_id: u64, slot: &Slot) -> rustix::io::Result<()> {
        if let Some(control) = &slot.control {
            self.watch(control, 4 * slot_id + CONTROL)?;
        }
        if let Some(watch) = &slot.memory_watch {
            self.watch(watch, 4 * slot_id + MEMORY)?;
        }
        self.watch(&slot.pidfd, 4 * slot_id + PIDFD)
    }

    fn watch(&self, fd: &OwnedFd, data: u64) -> rustix::io::Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(data), epoll::EventFlags::IN)
    }

    fn fork_into(&self, index: u32, slot_id: u64, cgroup: &Cgroup) -> Result<Forked, Failure> {
        let (control, theirs) = wire::socket_pair().step("make a socket")?;
        let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
        let ending = rustix::event::eventfd(0, flags).step("make an event counter")?;
        let uplink = match self.gateway.as_ref().map(|gateway| gateway.uplink(index, slot_id)) {
            None => None,
            Some((gateway, uplink)) => Some((gateway.try_clone_to_owned().step("open the gateway")?, uplink)),
        };
        let birthplace = cgroup.open_for_birth().step("open the control group")?;
        let cloned = sys::clone_process(libc::CLONE_NEWPID, birthplace.as_ref().map(AsFd::as_fd)).step("fork")?;
        match cloned {
            sys::Cloned::Parent { pidfd, .. } => Ok((control, ending, pidfd)),
            sys::Cloned::Child => child::run(child::Plan {
                control: theirs,
                ending,
                stage: self.stage.clone(),
                cgroups: cgroup.to_join(),
                first_user: self.config.user_id_base + index * USER_IDS_PER_SANDBOX,
                uplink,
                filters: &self.filters,
            }),
        }
    }
}
