//! The launcher's loop: requests, prepared processes, ends of sandboxes, and chores when there is nothing else to do.

mod pool;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::event::{Timespec, epoll};
use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::child::init::Ending;
use crate::child::seccomp::Filters;
use crate::config::{LauncherConfig, SANDBOX_GROUP, SANDBOX_USER, USER_IDS_PER_SANDBOX};
use crate::host::cgroup::{Cgroup, Layout};
use crate::host::images::Images;
use crate::host::network::Gateway;
use crate::host::scratch::{self, Scratch, Task};
use crate::host::slot::{Indexes, Slot, Stage};
use crate::spec::{Network, SandboxSpec};
use crate::wire::{self, Event, Failure, FromChild, Request, Start, Step};

/// What an epoll event is about: the two conversations, or a slot's descriptor: `4 * slot + …`.
const CLIENT: u64 = 0;
const SCRATCH: u64 = 1;
const CONTROL: u64 = 0;
const PIDFD: u64 = 1;
const MEMORY: u64 = 2;
/// SIGKILL.
const KILLED: u8 = 9;
/// How long nothing must have happened before the pool is refilled, while it still holds something: what was just launched needs the
/// CPUs more.
const QUIET: Timespec = Timespec { tv_sec: 0, tv_nsec: 15_000_000 };
/// How often the launcher tries to remove its control groups before it leaves.
const TAKE_DOWN_TRIES: usize = 50;
/// How often a control group that is still in use is tried again.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// The `/tmp` file systems of one size.
#[derive(Debug, Default)]
struct Sizes {
    ready: Vec<Scratch>,
    asked_for: usize,
    last_used: u64,
}

/// The launcher's state.
pub(super) struct Launcher {
    client: OwnedFd,
    config: LauncherConfig,
    stage: PathBuf,
    cgroups: Layout,
    gateway: Option<Gateway>,
    filters: Filters,
    scratch: OwnedFd,
    epoll: OwnedFd,
    images: Images,
    slots: HashMap<u64, Slot>,
    prepared: VecDeque<u64>,
    preparing: usize,
    waiting: VecDeque<(u64, SandboxSpec)>,
    sizes: HashMap<u64, Sizes>,
    indexes: Indexes,
    dead_groups: Vec<Cgroup>,
    /// Preparing failed: not tried again before the next launch.
    preparing_fails: bool,
    swept: bool,
    /// Sets the names of this launcher's control groups apart from an earlier one's.
    birth: u128,
    next_slot: u64,
    clock: u64,
}

impl Launcher {
    pub(super) fn new(
        client: OwnedFd,
        config: LauncherConfig,
        stage: PathBuf,
        cgroups: Layout,
        gateway: Option<Gateway>,
        filters: Filters,
        scratch: OwnedFd,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &client, epoll::EventData::new_u64(CLIENT), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &scratch, epoll::EventData::new_u64(SCRATCH), epoll::EventFlags::IN)?;
        let mut sizes: HashMap<u64, Sizes> = HashMap::new();
        for bytes in &config.tmp_sizes {
            sizes.insert(*bytes, Sizes::default());
        }
        let swept = cgroups.sweep(|_| false) == 0;
        let indexes = Indexes::new(config.user_id_ranges);
        let birth = SystemTime::now().duration_since(UNIX_EPOCH).map(|age| age.as_nanos()).unwrap_or_default();
        Ok(Self {
            images: Images::new(stage.join("images")),
            client,
            config,
            stage,
            cgroups,
            gateway,
            filters,
            scratch,
            epoll,
            slots: HashMap::new(),
            prepared: VecDeque::new(),
            preparing: 0,
            waiting: VecDeque::new(),
            sizes,
            indexes,
            dead_groups: Vec::new(),
            preparing_fails: false,
            swept,
            birth,
            next_slot: 1,
            clock: 0,
        })
    }

    pub(super) fn cgroup_version(&self) -> u8 {
        self.cgroups.version()
    }

    /// Serves until the server is gone.
    pub(super) fn serve(&mut self) {
        let mut space = [MaybeUninit::<epoll::Event>::uninit(); 64];
        loop {
            let timeout = if self.has_chores() {
                Some(if self.is_at_a_loss() { Timespec::default() } else { QUIET })
            } else if self.dead_groups.is_empty() && self.swept {
                None
            } else {
                Some(RETRY)
            };
            let events: Vec<u64> = match epoll::wait(&self.epoll, &mut space, timeout.as_ref()) {
                Ok((events, _)) => events.iter().map(|event| event.data.u64()).collect(),
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            if events.is_empty() {
                self.do_chore();
            }
            for event in events {
                match event {
                    CLIENT => match self.on_request() {
                        Ok(true) => {}
                        _ => return,
                    },
                    SCRATCH => self.on_scratch(),
                    other => match other % 4 {
                        CONTROL => self.on_control(other / 4),
                        PIDFD => self.on_end(other / 4),
                        _ => self.on_memory(other / 4),
                    },
                }
            }
        }
    }

    fn tell(&self, event: &Event, fds: &[BorrowedFd<'_>]) {
        // The loop reads the end of the conversation when the server is gone.
        let _ = wire::send(&self.client, event, fds);
    }

    fn log(&self, warning: bool, message: String) {
        self.tell(&Event::Log { warning, message }, &[]);
    }

    fn on_request(&mut self) -> io::Result<bool> {
        let Some((request, _)) = wire::receive::<Request>(&self.client)? else { return Ok(false) };
        match request {
            Request::Configure(_) => {}
            Request::Launch { id, spec } => {
                self.preparing_fails = false;
                self.waiting.push_back((id, spec));
                self.start_waiting();
            }
            Request::Kill { id } => self.signal(id, Signal::KILL),
            Request::Terminate { id } => self.signal(id, Signal::TERM),
            Request::Forget { call, digests } => {
                self.images.forget(&digests);
                self.tell(&Event::Forgotten { call }, &[]);
            }
        }
        Ok(true)
    }

    fn signal(&mut self, launch: u64, signal: Signal) {
        if signal == Signal::KILL
            && let Some(at) = self.waiting.iter().position(|(id, _)| *id == launch)
        {
            self.waiting.remove(at);
            let failure =
                Failure { step: "start a sandbox that was given up".into(), errno: libc::ECANCELED, exec: false };
            self.tell(&Event::NotLaunched { id: launch, failure }, &[]);
        }
        if let Some(slot) = self.slots.values().find(|slot| slot.launch() == Some(launch)) {
            let whom = if signal == Signal::TERM { slot.runtime.as_ref().unwrap_or(&slot.pidfd) } else { &slot.pidfd };
            // It may have ended just now, which is what was wanted.
            let _ = pidfd_send_signal(whom, signal);
            if signal == Signal::KILL {
                slot.cgroup.let_die();
            }
        }
    }

    /// Starts every waiting launch for which there is a prepared process and a `/tmp`, and asks for what the others lack.
    fn start_waiting(&mut self) {
        let mut at = 0;
        while at < self.waiting.len() {
            let bytes = self.waiting[at].1.limits.tmp_bytes;
            self.clock += 1;
            let sizes = self.sizes.entry(bytes).or_default();
            sizes.last_used = self.clock;
            if sizes.ready.is_empty() || self.prepared.is_empty() {
                at += 1;
                continue;
            }
            let (Some(scratch), Some(slot)) = (sizes.ready.pop(), self.prepared.pop_front()) else { break };
            let Some((launch, spec)) = self.waiting.remove(at) else { break };
            if let Err(failure) = self.start(launch, &spec, slot, scratch) {
                self.tell(&Event::NotLaunched { id: launch, failure }, &[]);
                // It is of no more use: its control group has limits, its conversation may have begun.
                if let Some(slot) = self.slots.get_mut(&slot) {
                    slot.stage = Stage::Preparing;
                    slot.control = None;
                    self.preparing += 1;
                    let _ = pidfd_send_signal(&slot.pidfd, Signal::KILL);
                }
            }
        }
        self.refill_for_waiting();
    }

    /// Hands a spec to a prepared process.
    fn start(&mut self, launch: u64, spec: &SandboxSpec, slot_id: u64, scratch: Scratch) -> Result<(), Failure> {
        let mut points: BTreeSet<(PathBuf, bool)> = ["/proc", "/dev", "/tmp"].map(|path| (path.into(), true)).into();
        points.extend(["/etc/hosts", "/etc/resolv.conf"].map(|path| (PathBuf::from(path), false)));
        points.extend(spec.mounts.iter().map(|mount| (mount.at.clone(), true)));
        let mut mounts = vec![self.images.mount_root(&spec.root, points)?];
        mounts.push(scratch.mount);
        for mount in &spec.mounts {
            mounts.push(self.images.mount(&mount.images)?);
        }
        let first_user = self.config.user_id_base;
        let Some(slot) = self.slots.get_mut(&slot_id) else {
            return Err(Failure { step: "find the prepared process".into(), errno: libc::ESRCH, exec: false });
        };
        let first_user = first_user + slot.index * USER_IDS_PER_SANDBOX;
        scratch::give_to(&scratch.root, first_user + SANDBOX_USER, first_user + SANDBOX_GROUP)?;
        slot.tmp = Some(scratch.root);
        slot.cgroup.limit(&spec.limits)?;
        let (output, writer) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).step("make the output pipe")?;
        let start = Start {
            process: spec.process.clone(),
            mounts: spec.mounts.iter().map(|mount| mount.at.clone()).collect(),
            file_descriptors: spec.limits.file_descriptors,
            disconnect: self.gateway.is_some() && spec.network == Network::None,
        };
        let fds: Vec<BorrowedFd<'_>> = std::iter::once(writer.as_fd()).chain(mounts.iter().map(AsFd::as_fd)).collect();
        let Some(control) = &slot.control else {
            return Err(Failure { step: "speak to the prepared process".into(), errno: libc::EPIPE, exec: false });
        };
        wire::send(control, &start, &fds).step("speak to the prepared process")?;
        slot.stage = Stage::Entering { launch, output };
        Ok(())
    }

    /// The process of a runtime said something, or has executed its command, which closes its end.
    fn on_control(&mut self, slot_id: u64) {
        let Some(slot) = self.slots.get_mut(&slot_id) else { return };
        let Some(control) = &slot.control else { return };
        match wire::receive::<FromChild>(control) {
            Ok(Some((FromChild::Prepared, fds))) => {
                let mut fds = fds.into_iter();
                slot.runtime = fds.next();
                slot.sockets = fds.collect();
                slot.stage = Stage::Prepared;
                self.preparing -= 1;
                self.prepared.push_back(slot_id);
                self.start_waiting();
            }
            Ok(Some((FromChild::Failed(failure), _))) => {
                slot.control = None;
                match std::mem::replace(&mut slot.stage, Stage::Preparing) {
                    Stage::Entering { launch, .. } => {
                        self.preparing += 1;
                        self.tell(&Event::NotLaunched { id: launch, failure }, &[]);
                    }
                    _ => self.preparing_failed(failure),
                }
            }
            Ok(None) | Err(_) => {
                slot.control = None;
                match slot.stage {
                    Stage::Entering { .. } => self.launched(slot_id),
                    Stage::Preparing => self.preparing_failed(Failure {
                        step: "learn why a process ended while it prepared a sandbox".into(),
                        errno: libc::ECHILD,
                        exec: false,
                    }),
                    Stage::Prepared | Stage::Running { .. } => {}
                }
            }
        }
    }

    /// The whole pool is at a loss: tells the launch that waits longest, and stops trying until the next one.
    fn preparing_failed(&mut self, failure: Failure) {
        self.preparing_fails = true;
        match self.waiting.pop_front() {
            Some((id, _)) => self.tell(&Event::NotLaunched { id, failure }, &[]),
            None => {
                let error = io::Error::from_raw_os_error(failure.errno);
                self.log(true, format!("cannot prepare a sandbox: {}: {error}", failure.step));
            }
        }
    }

    fn launched(&mut self, slot_id: u64) {
        let Some(slot) = self.slots.get_mut(&slot_id) else { return };
        let Stage::Entering { launch, output } = std::mem::replace(&mut slot.stage, Stage::Preparing) else { return };
        slot.stage = Stage::Running { launch };
        let sockets = std::mem::take(&mut slot.sockets);
        let controls = slot.cgroup.open_controls();
        let slot = &self.slots[&slot_id];
        match controls {
            Ok((freezer, cpu, peak)) => {
                let runtime = slot.runtime.as_ref().unwrap_or(&slot.pidfd);
                let mut fds = vec![runtime.as_fd(), output.as_fd()];
                fds.extend(sockets.iter().map(AsFd::as_fd));
                fds.extend([freezer.as_fd(), cpu.as_fd()]);
                fds.extend(peak.iter().map(AsFd::as_fd));
                self.tell(&Event::Launched { id: launch, memory_peak: peak.is_some() }, &fds);
            }
            Err(failure) => {
                let _ = pidfd_send_signal(&slot.pidfd, Signal::KILL);
                self.tell(&Event::NotLaunched { id: launch, failure }, &[]);
            }
        }
    }

    /// Version 1 has ended one process for the memory limit; the rest follows.
    fn on_memory(&mut self, slot_id: u64) {
        let Some(slot) = self.slots.get_mut(&slot_id) else { return };
        slot.out_of_memory = true;
        slot.memory_watch = None;
        let _ = pidfd_send_signal(&slot.pidfd, Signal::KILL);
    }

    /// The init of a sandbox, and with it every other process inside, has ended.
    fn on_end(&mut self, slot_id: u64) {
        if self.slots.get(&slot_id).is_some_and(|slot| slot.control.is_some()) {
            // What it said before it ended comes first.
            self.on_control(slot_id);
        }
        let Some(slot) = self.slots.remove(&slot_id) else { return };
        if let Err(error) = waitid(WaitId::PidFd(slot.pidfd.as_fd()), WaitIdOptions::EXITED) {
            self.log(true, format!("cannot wait for a sandbox: {error}"));
        }
        let out_of_memory = slot.out_of_memory || slot.cgroup.out_of_memory();
        match slot.stage {
            Stage::Preparing => self.preparing -= 1,
            Stage::Prepared => self.prepared.retain(|id| *id != slot_id),
            Stage::Entering { .. } => {}
            Stage::Running { launch } => {
                // An init that said nothing was killed, and the runtime by its end.
                let ending = Ending::read(&slot.ending).unwrap_or(Ending::Signalled(KILLED));
                let (status, signal) = (ending.exit_status(), ending.signal());
                self.tell(&Event::Ended { id: launch, status, signal, out_of_memory }, &[]);
            }
        }
        if let Some(tmp) = slot.tmp {
            self.ask_scratch(&Task::Erase, &[tmp.as_fd()]);
        }
        self.indexes.give_back(slot.index);
        self.dead_groups.push(slot.cgroup);
    }

    /// Ends everything; the server is gone.
    pub(super) fn take_down(mut self) {
        for slot in self.slots.values() {
            let _ = pidfd_send_signal(&slot.pidfd, Signal::KILL);
            slot.cgroup.let_die();
        }
        for (_, slot) in self.slots.drain() {
            let _ = waitid(WaitId::PidFd(slot.pidfd.as_fd()), WaitIdOptions::EXITED);
            if let Some(tmp) = slot.tmp {
                let _ = wire::send(&self.scratch, &Task::Erase, &[tmp.as_fd()]);
            }
        }
        // The kernel says nothing when a group is no longer busy. What is after all of this is swept by the next launcher.
        for _ in 0..TAKE_DOWN_TRIES {
            if self.cgroups.sweep(|_| false) == 0 {
                break;
            }
            let _ = rustix::event::poll(&mut [], Some(&RETRY));
        }
        let _ = self.cgroups.remove();
        if let Some(gateway) = self.gateway.take() {
            // The server is gone: nobody is left to be told, and the next launcher tries again.
            let _ = gateway.take_down();
        }
    }
}
