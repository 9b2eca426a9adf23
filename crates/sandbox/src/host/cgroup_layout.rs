//! Where control groups are mounted and where this program may make its own: pure functions over the kernel's texts.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The controllers that a sandbox's limits need.
const NEEDED: [&str; 3] = ["memory", "cpu", "pids"];

/// The cgroup file systems of a `mountinfo`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    v1: Vec<(PathBuf, Vec<String>)>,
    v2: Option<PathBuf>,
}

impl Hierarchies {
    /// Reads `/proc/self/mountinfo`.
    pub(crate) fn parse(mountinfo: &str) -> Self {
        let mut found = Self::default();
        for line in mountinfo.lines() {
            let Some((before, after)) = line.split_once(" - ") else { continue };
            let Some(mount_point) = before.split(' ').nth(4) else { continue };
            let mut after = after.split(' ');
            let (kind, options) = (after.next().unwrap_or_default(), after.nth(1).unwrap_or_default());
            match kind {
                "cgroup" => {
                    let controllers = options.split(',').map(str::to_owned).collect();
                    found.v1.push((unescape(mount_point), controllers));
                }
                "cgroup2" if found.v2.is_none() => found.v2 = Some(unescape(mount_point)),
                _ => {}
            }
        }
        found
    }

    /// The version 1 hierarchy that holds `controller`.
    pub(crate) fn v1(&self, controller: &str) -> Option<&Path> {
        let holds = |(_, controllers): &&(PathBuf, Vec<String>)| controllers.iter().any(|name| name == controller);
        self.v1.iter().find(holds).map(|(path, _)| path.as_path())
    }

    /// The version 2 hierarchy, if it is the one that holds the needed controllers. `controllers` reads its `cgroup.controllers`.
    pub(crate) fn v2_with_controllers(&self, controllers: impl Fn(&Path) -> String) -> Option<PathBuf> {
        let root = self.v2.as_ref()?;
        holds_needed(&controllers(root)).then(|| root.clone())
    }
}

/// Whether a `cgroup.controllers` file names every needed controller.
pub(crate) fn holds_needed(controllers: &str) -> bool {
    NEEDED.iter().all(|needed| controllers.split_whitespace().any(|name| name == *needed))
}

/// `mountinfo` writes space, tab, newline and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        match rest.get(at + 1..at + 4).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            None => {
                plain.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    plain.push_str(rest);
    PathBuf::from(plain)
}

/// Where in a version 2 hierarchy the launcher's group goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Placement {
    /// Inside the group the server was started in (this path), which is delegated to it: a systemd service with `Delegate=yes`.
    /// The server has moved into a leaf of it, because a group that distributes controllers holds no processes.
    Inside(String),
    /// At the top of the hierarchy, as Docker's cgroupfs driver does.
    Top,
}

/// The leaf that the server moves into.
pub(crate) const SERVER_LEAF: &str = "bojagi-server";

/// The version 2 path of a `/proc/self/cgroup`.
pub(crate) fn own_path(cgroup: &str) -> Option<&str> {
    cgroup.lines().find_map(|line| line.strip_prefix("0::"))
}

/// Chooses the place: the own group when this process is alone in it and the needed controllers are delegated to it, else the top.
pub(crate) fn choose(own: Option<&str>, processes_inside: usize, controllers: &str) -> Placement {
    match own {
        Some(own) if own != "/" && processes_inside == 1 && holds_needed(controllers) => {
            Placement::Inside(own.to_owned())
        }
        _ => Placement::Top,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "\
31 24 0:27 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:29 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
34 31 0:30 / /sys/fs/cgroup/with\\040space rw,relatime - cgroup cgroup rw,pids
35 31 0:31 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    #[test]
    fn version_1_hierarchies_are_found_beside_a_version_2_without_controllers() {
        let found = Hierarchies::parse(V1);
        assert_eq!(found.v1("cpu"), Some(Path::new("/sys/fs/cgroup/cpu,cpuacct")));
        assert_eq!(found.v1("memory"), Some(Path::new("/sys/fs/cgroup/memory")));
        assert_eq!(found.v1("pids"), Some(Path::new("/sys/fs/cgroup/with space")));
        assert_eq!(found.v1("freezer"), None);
        assert_eq!(found.v2_with_controllers(|_| "hugetlb\n".into()), None);
    }

    #[test]
    fn version_2_is_taken_when_it_holds_the_controllers() {
        let found = Hierarchies::parse("25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        let root = found.v2_with_controllers(|_| "cpuset cpu io memory hugetlb pids rdma misc\n".into());
        assert_eq!(root, Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(found.v1("memory"), None);
    }

    #[test]
    fn a_delegated_service_keeps_its_groups_inside_and_a_login_session_does_not() {
        let all = "cpu memory pids";
        assert_eq!(own_path("0::/system.slice/bojagi.service\n"), Some("/system.slice/bojagi.service"));
        assert_eq!(
            choose(Some("/system.slice/b.service"), 1, all),
            Placement::Inside("/system.slice/b.service".into())
        );
        assert_eq!(choose(Some("/user.slice/session-1.scope"), 3, all), Placement::Top);
        assert_eq!(choose(Some("/system.slice/b.service"), 1, "memory pids"), Placement::Top);
        assert_eq!(choose(Some("/"), 1, all), Placement::Top);
        assert_eq!(choose(own_path("4:memory:/\n"), 1, all), Placement::Top);
    }
}
