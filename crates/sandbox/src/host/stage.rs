//! The launcher's own file system, seen by nobody else: where code images are mounted, and what prepared processes begin with.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::child::HOST_NAME;
use crate::spec::SERVICE_ADDRESS;
use crate::wire::{Failure, Step};

/// Device nodes inside: name, major and minor number.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// The usual links.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Makes it, in the private mount namespace the launcher was born with. Returns its path.
pub(crate) fn set_up(data_dir: &Path) -> Result<PathBuf, Failure> {
    let stage = data_dir.join("sandbox");
    fs::create_dir_all(&stage).step("make the stage")?;
    // Nothing mounted here is seen outside; what the host mounts later is seen here.
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
        .step("keep mounts to the launcher")?;
    let safe = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", safe, None).step("mount the launcher's /proc")?;
    mount("tmpfs", &stage, "tmpfs", MountFlags::NOSUID | MountFlags::NOEXEC, c"mode=755,size=16m")
        .step("mount the stage")?;
    fill(&stage).step("fill the stage")?;
    mount("tmpfs", stage.join("images"), "tmpfs", safe, c"mode=755,size=64m").step("mount the place of code images")?;
    Ok(stage)
}

fn fill(stage: &Path) -> io::Result<()> {
    for name in ["dev", "proc", "root", "tmp", "images", "empty-directory"] {
        fs::create_dir(stage.join(name))?;
        fs::set_permissions(stage.join(name), fs::Permissions::from_mode(0o755))?;
    }
    let hosts = format!(
        "127.0.0.1 localhost localhost.localdomain {HOST_NAME}\n::1 localhost localhost.localdomain ip6-localhost ip6-loopback\n"
    );
    for (name, text) in
        [("empty-file", ""), ("hosts", &hosts), ("resolv.conf", &format!("nameserver {SERVICE_ADDRESS}\n"))]
    {
        fs::write(stage.join(name), text)?;
        fs::set_permissions(stage.join(name), fs::Permissions::from_mode(0o644))?;
    }
    for (name, major, minor) in DEVICES {
        let path = stage.join("dev").join(name);
        rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(major, minor))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
    }
    LINKS.iter().try_for_each(|(name, target)| symlink(target, stage.join("dev").join(name)))
}
