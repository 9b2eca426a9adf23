//! File systems for `/tmp`: ext4 of an exact size in a sparse file without a name, behind a loop device.
//!
//! A process of its own prepares them ahead of demand and takes them down afterwards, because mounting and unmounting block for
//! milliseconds. Nothing is left when it dies: the file has no name, the loop device frees itself, the mount is nobody's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, SeekFrom as FsSeekFrom};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen,
};
use serde::{Deserialize, Serialize};

use crate::sys;
use crate::wire::{self, Failure, Step};

/// ext4's block size here.
const BLOCK_BYTES: u64 = 4096;
/// Where ext4's superblock keeps the number of reserved blocks.
const RESERVED_BLOCKS_OFFSET: u64 = 1024 + 8;
/// A writer waits for the disk once it has this much unwritten in one file system, so that it cannot fill its memory limit, or the
/// host's, with pages that are still to be written.
const MOST_UNWRITTEN_BYTES: u64 = 16 << 20;

/// The launcher asks the preparing process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Task {
    /// Make one; answered by [`Made`] with the mount and its root directory.
    Make { bytes: u64 },
    /// Take down the one whose root directory comes along.
    Erase,
}

/// The answer to [`Task::Make`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Made {
    pub(crate) bytes: u64,
    pub(crate) failure: Option<Failure>,
}

/// A prepared file system. The mount is for the sandbox; the directory stays with the launcher, which erases by it.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) mount: OwnedFd,
    pub(crate) root: OwnedFd,
}

/// Removes what a launcher that died has left in `directory`, and makes sure that it is there.
pub(crate) fn sweep(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

/// Serves `socket` until its other end is gone.
pub(crate) fn serve(socket: &OwnedFd, directory: &Path) -> io::Result<()> {
    let mut templates: HashMap<u64, File> = HashMap::new();
    while let Some((task, mut fds)) = wire::receive::<Task>(socket)? {
        match task {
            Task::Make { bytes } => match make(&mut templates, directory, bytes) {
                Ok(scratch) => {
                    let fds = [scratch.mount.as_fd(), scratch.root.as_fd()];
                    wire::send(socket, &Made { bytes, failure: None }, &fds)?;
                }
                Err(failure) => wire::send(socket, &Made { bytes, failure: Some(failure) }, &[])?,
            },
            Task::Erase => {
                if let Some(root) = fds.pop() {
                    // Only spares the disk the writing of what nobody will read; unmounting follows in any case.
                    let _ = sys::shut_down_ext4(root.as_fd());
                }
            }
        }
    }
    Ok(())
}

fn make(templates: &mut HashMap<u64, File>, directory: &Path, bytes: u64) -> Result<Scratch, Failure> {
    let template = match templates.entry(bytes) {
        Entry::Occupied(made) => made.into_mut(),
        Entry::Vacant(none) => none.insert(make_template(directory, bytes)?),
    };
    let file = nameless_file(directory).step("make a file for /tmp")?;
    copy_sparse(template, &file).step("copy the /tmp template")?;
    mount(&file)
}

/// Formats a file system in which exactly `bytes` are free to an ordinary user.
fn make_template(directory: &Path, bytes: u64) -> Result<File, Failure> {
    let path = directory.join(format!("template-{bytes}"));
    let file =
        File::options().read(true).write(true).create(true).truncate(true).open(&path).step("make a /tmp template")?;
    // Room for inode tables (1/64 at one inode per 16 KiB), bitmaps, and the clusters that ext4 holds back (2 %, at most 16 MiB).
    file.set_len((bytes + bytes / 32 + (48 << 20)).next_multiple_of(1 << 20)).step("size a /tmp template")?;
    format(&path)?;
    fs::remove_file(&path).step("unlink a /tmp template")?;
    let scratch = mount(&file)?;
    rustix::fs::unlinkat(&scratch.root, "lost+found", rustix::fs::AtFlags::REMOVEDIR).step("empty a /tmp template")?;
    let free = rustix::fs::fstatvfs(&scratch.root).step("measure a /tmp template")?.f_bavail;
    rustix::fs::syncfs(&scratch.root).step("write a /tmp template")?;
    unmount_and_wait(scratch, &file)?;
    let surplus = free.checked_sub(bytes.div_ceil(BLOCK_BYTES)).and_then(|blocks| u32::try_from(blocks).ok());
    let Some(surplus) = surplus else {
        return Err(Failure { step: "measure a /tmp template".into(), errno: libc::EOVERFLOW, exec: false });
    };
    // What is more than promised is reserved for root, which no sandbox is. The superblock has no checksum (`^metadata_csum`).
    file.write_all_at(&surplus.to_le_bytes(), RESERVED_BLOCKS_OFFSET).step("reserve blocks of a /tmp template")?;
    Ok(file)
}

fn format(path: &Path) -> Result<(), Failure> {
    let output = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-I", "256", "-i", "16384", "-m", "0"])
        .args(["-O", "^has_journal,^resize_inode,^metadata_csum,uninit_bg,extent,flex_bg,sparse_super"])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0"])
        .arg(path)
        .stdin(Stdio::null())
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .output()
        .step("run mkfs.ext4 (of e2fsprogs)")?;
    if !output.status.success() {
        let step = format!("format a file system for /tmp: {}", String::from_utf8_lossy(&output.stderr).trim());
        return Err(Failure { step, errno: libc::EIO, exec: false });
    }
    Ok(())
}

/// Mounts the ext4 in `file` through a loop device.
fn mount(file: &File) -> Result<Scratch, Failure> {
    let step = "mount a file system for /tmp";
    let (_device, path) = sys::attach_loop(file.as_fd(), sys::LoopOptions { read_only: false, block_size: 4096 })
        .step("attach a loop device for /tmp")?;
    bound_unwritten(&path);
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC).step(step)?;
    fsconfig_set_string(context.as_fd(), "source", &path).step(step)?;
    for flag in ["noinit_itable", "nobarrier", "nodiscard"] {
        fsconfig_set_flag(context.as_fd(), flag).step(step)?;
    }
    fsconfig_create(context.as_fd()).step(step)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOATIME;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).step(step)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(&mount, ".", flags, Mode::empty()).step(step)?;
    Ok(Scratch { mount, root })
}

/// Bounds the pages not yet written to the device at `path`. Linux 6.2; before that the host's own bounds apply.
fn bound_unwritten(path: &Path) {
    let number = path.to_string_lossy().trim_start_matches("/dev/loop").to_owned();
    let queue = PathBuf::from(format!("/sys/class/bdi/7:{number}"));
    // An older kernel has no such files: nothing to do then.
    let _ = fs::write(queue.join("strict_limit"), "1");
    let _ = fs::write(queue.join("max_bytes"), MOST_UNWRITTEN_BYTES.to_string());
}

/// Unmounts and waits until the loop device has let go of `file`, so that everything is in it.
fn unmount_and_wait(scratch: Scratch, file: &File) -> Result<(), Failure> {
    drop(scratch);
    file.sync_all().step("write a /tmp template")
}

/// A file without a name in `directory`.
fn nameless_file(directory: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(file.into()),
        // Not every file system has O_TMPFILE.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {
            let path = directory.join(format!("scratch-{}", std::process::id()));
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            fs::remove_file(path)?;
            Ok(file)
        }
        Err(error) => Err(error.into()),
    }
}

/// Copies what is not a hole.
fn copy_sparse(from: &mut File, to: &File) -> io::Result<()> {
    if rustix::fs::ioctl_ficlone(to, &*from).is_ok() {
        return Ok(());
    }
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    let mut buffer = vec![0; 64 << 10];
    while at < length {
        let start = match rustix::fs::seek(&*from, FsSeekFrom::Data(at)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(&*from, FsSeekFrom::Hole(start))?;
        from.seek(SeekFrom::Start(start))?;
        let mut target = to;
        target.seek(SeekFrom::Start(start))?;
        let mut left = at - start;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = from.read(&mut buffer[..want])?;
            if read == 0 {
                break;
            }
            target.write_all(&buffer[..read])?;
            left -= read as u64;
        }
    }
    Ok(())
}

/// Has the root directory of a sandbox's `/tmp` belong to its user.
pub(crate) fn give_to(root: &OwnedFd, user: u32, group: u32) -> Result<(), Failure> {
    let step = "give /tmp to the sandbox's user";
    rustix::fs::fchown(root, Some(rustix::fs::Uid::from_raw(user)), Some(rustix::fs::Gid::from_raw(group)))
        .step(step)?;
    rustix::fs::fchmod(root, Mode::from_raw_mode(0o700)).step(step)
}
