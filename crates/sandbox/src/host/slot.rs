//! One pair of processes, init and runtime, that is being prepared, is prepared, or is a sandbox.

use std::os::fd::OwnedFd;

use crate::host::cgroup::Cgroup;

/// How far a process has come. Each goes only forward.
#[derive(Debug)]
pub(super) enum Stage {
    /// Making its namespaces.
    Preparing,
    /// Waiting for a spec.
    Prepared,
    /// Has the spec of this launch, not yet executed. What the server gets once it has.
    Entering { launch: u64, output: OwnedFd },
    /// The function's own.
    Running { launch: u64 },
}

/// The processes and what belongs to them.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stage: Stage,
    /// Init's. When it is killed, so is everything inside; readable when everything has ended.
    pub(super) pidfd: OwnedFd,
    /// The runtime's, once prepared.
    pub(super) runtime: Option<OwnedFd>,
    /// Where init says how the runtime ended.
    pub(super) ending: OwnedFd,
    /// The launcher's end of the conversation; closed by the kernel's side at `execve`.
    pub(super) control: Option<OwnedFd>,
    /// Opened inside; empty until prepared and once handed out.
    pub(super) sockets: Vec<OwnedFd>,
    pub(super) cgroup: Cgroup,
    /// Which range of user ids and which address it has.
    pub(super) index: u32,
    /// The root directory of its `/tmp`.
    pub(super) tmp: Option<OwnedFd>,
    /// Readable when the memory limit was hit (version 1).
    pub(super) memory_watch: Option<OwnedFd>,
    pub(super) out_of_memory: bool,
}

impl Slot {
    /// The launch it serves.
    pub(super) fn launch(&self) -> Option<u64> {
        match self.stage {
            Stage::Preparing | Stage::Prepared => None,
            Stage::Entering { launch, .. } | Stage::Running { launch } => Some(launch),
        }
    }
}

/// Numbers that are handed out round robin, so that one comes again as late as possible: the kernel takes a network namespace down long
/// after its last process has ended.
#[derive(Debug)]
pub(super) struct Indexes {
    used: Vec<bool>,
    next: usize,
}

impl Indexes {
    pub(super) fn new(count: u32) -> Self {
        Self { used: vec![false; count as usize], next: 0 }
    }

    pub(super) fn take(&mut self) -> Option<u32> {
        let count = self.used.len();
        let free = (0..count).map(|step| (self.next + step) % count).find(|index| !self.used[*index])?;
        self.used[free] = true;
        self.next = (free + 1) % count;
        u32::try_from(free).ok()
    }

    pub(super) fn give_back(&mut self, index: u32) {
        if let Some(used) = self.used.get_mut(index as usize) {
            *used = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Indexes;

    #[test]
    fn indexes_go_round_and_run_out() {
        let mut indexes = Indexes::new(3);
        assert_eq!((indexes.take(), indexes.take()), (Some(0), Some(1)));
        indexes.give_back(0);
        assert_eq!((indexes.take(), indexes.take(), indexes.take()), (Some(2), Some(0), None));
        indexes.give_back(1);
        assert_eq!(indexes.take(), Some(1));
        assert_eq!(Indexes::new(0).take(), None);
    }
}
