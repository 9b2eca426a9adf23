//! Control groups: what a sandbox may use. Versions 1 and 2, whichever holds the controllers on this machine.
//!
//! Each launcher has one directory of its own, named after its data directory (in each hierarchy, with version 1), and each sandbox one
//! below it. Whatever is found there at start was left by a launcher that died.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::host::cgroup_layout::{Hierarchies, Placement};
use crate::spec::Limits;
use crate::wire::{Failure, Step};

/// The period over which a CPU share is enforced. AWS's is 20 ms as well: with 100 ms a 128 MB function would stand still for 93 ms at a time.
pub(crate) const CPU_PERIOD_US: u32 = 20_000;
/// The kernel refuses a smaller quota.
const LEAST_CPU_QUOTA_US: u32 = 1_000;

/// The quota in microseconds for a share of CPU.
pub(crate) fn cpu_quota_us(cpu_millis: u32) -> u64 {
    (u64::from(cpu_millis) * u64::from(CPU_PERIOD_US) / 1000).max(u64::from(LEAST_CPU_QUOTA_US))
}

/// Where this launcher's groups are.
#[derive(Clone, Debug)]
pub(crate) enum Layout {
    /// One directory in each hierarchy: memory, cpu, pids, freezer; some may be the same.
    V1 { memory: PathBuf, cpu: PathBuf, pids: PathBuf, freezer: PathBuf },
    /// One directory.
    V2 { base: PathBuf },
}

impl Layout {
    /// Finds the controllers and makes this launcher's directories, called `name`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn establish(name: &str, placement: &Placement) -> Result<Self, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let hierarchies = Hierarchies::parse(&mounts);
        let layout = if let Some(root) = hierarchies
            .v2_with_controllers(|root| fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default())
        {
            let parent = match placement {
                Placement::Inside(own) => root.join(own.trim_start_matches('/')),
                Placement::Top => root,
            };
            enable_controllers(&parent)?;
            Self::V2 { base: parent.join(name) }
        } else {
            let find = |controller: &str| {
                hierarchies.v1(controller).map(|root| root.join(name)).ok_or_else(|| {
                    format!(
                        "The control group controller {controller:?} is not mounted. Mount the unified hierarchy \
                         (mount -t cgroup2 none /sys/fs/cgroup) or boot with systemd.unified_cgroup_hierarchy=1."
                    )
                })
            };
            Self::V1 { memory: find("memory")?, cpu: find("cpu")?, pids: find("pids")?, freezer: find("freezer")? }
        };
        for base in layout.bases() {
            make_directory(base).map_err(|error| {
                format!(
                    "Cannot make the control group {}: {error}. Bojagi needs a writable cgroup file system.",
                    base.display()
                )
            })?;
            if matches!(layout, Self::V2 { .. }) {
                enable_controllers(base)?;
            }
        }
        Ok(layout)
    }

    pub(crate) fn version(&self) -> u8 {
        match self {
            Self::V1 { .. } => 1,
            Self::V2 { .. } => 2,
        }
    }

    /// The directories, each once.
    pub(crate) fn bases(&self) -> Vec<&Path> {
        let all: Vec<&Path> = match self {
            Self::V1 { memory, cpu, pids, freezer } => vec![memory, cpu, pids, freezer],
            Self::V2 { base } => vec![base],
        };
        let mut unique = Vec::new();
        for base in all {
            if !unique.contains(&base) {
                unique.push(base);
            }
        }
        unique
    }

    /// Makes the group of one sandbox, still without limits.
    pub(crate) fn create(&self, name: &str) -> Result<Cgroup, Failure> {
        let directories: Vec<PathBuf> = self.bases().into_iter().map(|base| base.join(name)).collect();
        for directory in &directories {
            make_directory(directory).step_with(|| format!("make the control group {}", directory.display()))?;
        }
        let files = match self {
            Self::V1 { memory, cpu, pids, freezer } => Files {
                memory: memory.join(name),
                cpu: cpu.join(name),
                pids: pids.join(name),
                freezer: freezer.join(name),
            },
            Self::V2 { base } => {
                let own = base.join(name);
                Files { memory: own.clone(), cpu: own.clone(), pids: own.clone(), freezer: own }
            }
        };
        let cgroup = Cgroup { directories, files, v2: self.version() == 2 };
        if cgroup.v2 {
            write(&cgroup.files.memory.join("memory.oom.group"), "1")
                .step("make the memory limit end the whole group")?;
        } else {
            write(&cgroup.files.cpu.join("cpu.cfs_period_us"), &CPU_PERIOD_US.to_string())
                .step("set the CPU period")?;
        }
        Ok(cgroup)
    }

    /// Removes every group below but those that `keep` names. Returns how many are still in use.
    pub(crate) fn sweep(&self, keep: impl Fn(&str) -> bool) -> usize {
        self.bases().into_iter().map(|base| sweep_directory(base, &keep)).sum()
    }

    /// Removes this launcher's own directories; they may hold nothing any more.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.bases().into_iter().try_for_each(remove_directory)
    }
}

/// Removes the groups below `base`. One that is in use stays and counts.
fn sweep_directory(base: &Path, keep: &impl Fn(&str) -> bool) -> usize {
    let Ok(entries) = fs::read_dir(base) else { return 0 };
    let groups = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups
        .filter(|entry| !keep(&entry.file_name().to_string_lossy()))
        .filter(|entry| {
            // The kernel has killed what was in it, but that may still be dying.
            let_die(&entry.path());
            remove_directory(&entry.path()).is_err()
        })
        .count()
}

/// Lets killed processes end: in version 1 a frozen one dies only when it is thawed, and in both one that has used up its CPU quota
/// is put off from period to period on its way to the signal (seen for many minutes on Linux 6.18), so that a fork bomb's remains
/// would hold up a shutdown. Files of the other version, or of a group that is gone, are not there.
fn let_die(directory: &Path) {
    for (file, value) in [("freezer.state", "THAWED"), ("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")] {
        let _ = write(&directory.join(file), value);
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Version 2: lets the groups below `directory` have the controllers.
fn enable_controllers(directory: &Path) -> Result<(), String> {
    let file = directory.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file).map_err(|error| format!("Cannot read {}: {error}.", file.display()))?;
    for controller in ["memory", "cpu", "pids"] {
        if enabled.split_whitespace().any(|word| word == controller) {
            continue;
        }
        write(&file, &format!("+{controller}")).map_err(|error| {
            format!(
                "Cannot enable the control group controller {controller:?} in {}: {error}. Run Bojagi as a systemd service with \
                 Delegate=yes, or as root outside a container.",
                directory.display()
            )
        })?;
    }
    Ok(())
}

/// Writes to a file of the kernel's in one call. It is never created.
pub(crate) fn write(path: &Path, value: &str) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(())
}

/// [`write`], where the kernel may have been built without the file.
fn write_if_there(path: &Path, value: &str) -> io::Result<()> {
    match write(path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The directory of each controller, the same one four times with version 2.
#[derive(Debug)]
struct Files {
    memory: PathBuf,
    cpu: PathBuf,
    pids: PathBuf,
    freezer: PathBuf,
}

/// The control group of one sandbox.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directories: Vec<PathBuf>,
    files: Files,
    v2: bool,
}

impl Cgroup {
    /// What a process of version 1 writes itself into. Empty with version 2, where processes are born inside.
    pub(crate) fn to_join(&self) -> Vec<PathBuf> {
        if self.v2 { Vec::new() } else { self.directories.iter().map(|path| path.join("cgroup.procs")).collect() }
    }

    /// Version 2: the directory to be born into.
    pub(crate) fn open_for_birth(&self) -> io::Result<Option<File>> {
        if self.v2 { File::open(&self.files.memory).map(Some) } else { Ok(None) }
    }

    /// Sets the limits, before the sandbox's own code runs.
    pub(crate) fn limit(&self, limits: &Limits) -> Result<(), Failure> {
        let Files { memory, cpu, pids, .. } = &self.files;
        let bytes = limits.memory_bytes.to_string();
        let quota = cpu_quota_us(limits.cpu_millis);
        if self.v2 {
            write(&memory.join("memory.max"), &bytes).step("limit memory")?;
            write_if_there(&memory.join("memory.swap.max"), "0").step("forbid swapping")?;
            write(&cpu.join("cpu.max"), &format!("{quota} {CPU_PERIOD_US}")).step("limit CPU")?;
        } else {
            write(&memory.join("memory.limit_in_bytes"), &bytes).step("limit memory")?;
            write_if_there(&memory.join("memory.memsw.limit_in_bytes"), &bytes).step("forbid swapping")?;
            write(&cpu.join("cpu.cfs_quota_us"), &quota.to_string()).step("limit CPU")?;
        }
        // Init is inside as well, and not the function's.
        write(&pids.join("pids.max"), &limits.processes.saturating_add(1).to_string()).step("limit processes")
    }

    /// The files through which the server controls and observes the sandbox: freezer, CPU, and the peak of memory where there is one.
    pub(crate) fn open_controls(&self) -> Result<(File, File, Option<File>), Failure> {
        let Files { memory, cpu, freezer, .. } = &self.files;
        let (freezer, cpu, peak) = if self.v2 {
            (freezer.join("cgroup.freeze"), cpu.join("cpu.max"), memory.join("memory.peak"))
        } else {
            (freezer.join("freezer.state"), cpu.join("cpu.cfs_quota_us"), memory.join("memory.max_usage_in_bytes"))
        };
        let open = |path: &Path| OpenOptions::new().read(true).write(true).open(path);
        Ok((open(&freezer).step("open the freezer")?, open(&cpu).step("open the CPU limit")?, File::open(peak).ok()))
    }

    /// Version 1 ends one process where version 2 ends the group: a descriptor that becomes readable when the limit is hit, so that the
    /// launcher can end the rest.
    pub(crate) fn watch_out_of_memory(&self) -> Result<Option<OwnedFd>, Failure> {
        if self.v2 {
            return Ok(None);
        }
        let step = "watch the memory limit";
        let flags = rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK;
        let event = rustix::event::eventfd(0, flags).step(step)?;
        let control = File::open(self.files.memory.join("memory.oom_control")).step(step)?;
        use std::os::fd::AsRawFd;
        let line = format!("{} {}", event.as_raw_fd(), control.as_raw_fd());
        write(&self.files.memory.join("cgroup.event_control"), &line).step(step)?;
        Ok(Some(event))
    }

    /// Whether the memory limit has ended a process of the sandbox.
    pub(crate) fn out_of_memory(&self) -> bool {
        let name = if self.v2 { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(self.files.memory.join(name)).unwrap_or_default();
        count_in(&text, "oom_kill") > 0
    }

    /// To be called after its processes were killed; see [`let_die`].
    pub(crate) fn let_die(&self) {
        self.directories.iter().for_each(|directory| let_die(directory));
    }

    /// Removes the group. Fails while processes are in it.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.directories.iter().try_for_each(|path| remove_directory(path))
    }
}

/// The number after `key` in a file of `key number` lines.
fn count_in(text: &str, key: &str) -> u64 {
    let line = text.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == key);
    line.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_becomes_a_quota_that_the_kernel_accepts() {
        assert_eq!(cpu_quota_us(72), 1_440);
        assert_eq!(cpu_quota_us(1), 1_000);
        assert_eq!(cpu_quota_us(1_000), 20_000);
        assert_eq!(cpu_quota_us(5_788), 115_760);
    }

    #[test]
    fn kills_are_counted_in_both_versions() {
        assert_eq!(count_in("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", "oom_kill"), 2);
        assert_eq!(count_in("low 0\nhigh 0\nmax 12\noom 1\noom_kill 0\noom_group_kill 0\n", "oom_kill"), 0);
        assert_eq!(count_in("", "oom_kill"), 0);
    }
}
