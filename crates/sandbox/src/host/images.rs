//! Code images: each mounted once, and lent to sandboxes as detached copies of the mount, which share its superblock and page cache.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree, unmount,
};

use crate::spec::{CodeImage, CodeImageForm};
use crate::sys;
use crate::wire::{Failure, Step};

/// More are unmounted, the longest unused first. Sandboxes that still use one keep it alive.
const MOST_MOUNTED: usize = 512;
/// What code images are mounted with.
pub(crate) const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;

/// What is mounted: an image, or several over each other, with the mount points that had to be added.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Image(String, CodeImageForm),
    Overlay { images: Vec<(String, CodeImageForm)>, skeleton: Option<BTreeSet<(PathBuf, bool)>> },
}

impl Key {
    fn names(&self, digest: &str) -> bool {
        match self {
            Self::Image(own, _) => own == digest,
            Self::Overlay { images, .. } => images.iter().any(|(own, _)| own == digest),
        }
    }
}

#[derive(Debug)]
struct Mounted {
    at: PathBuf,
    last_used: u64,
}

/// The mounted code images.
#[derive(Debug)]
pub(crate) struct Images {
    /// On a file system of the launcher's own.
    directory: PathBuf,
    mounted: HashMap<Key, Mounted>,
    /// Whether a root made of one image has every mount point, by image and mount points.
    complete: HashMap<(Key, BTreeSet<(PathBuf, bool)>), bool>,
    clock: u64,
}

impl Images {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, mounted: HashMap::new(), complete: HashMap::new(), clock: 0 }
    }

    /// A detached read-only mount of `images` over each other, the first lowest.
    pub(crate) fn mount(&mut self, images: &[CodeImage]) -> Result<OwnedFd, Failure> {
        let at = match images {
            [] => return Err(Failure { step: "mount no code image".into(), errno: libc::EINVAL, exec: false }),
            [image] => self.image(image)?,
            several => self.overlay(several, None)?,
        };
        lend(&at)
    }

    /// [`Self::mount`] for a root, in which all of `points` exist: path, and whether it is a directory. Mount points that no image has
    /// are laid below the images; a read-only file system could not be given them otherwise.
    pub(crate) fn mount_root(
        &mut self,
        images: &[CodeImage],
        points: BTreeSet<(PathBuf, bool)>,
    ) -> Result<OwnedFd, Failure> {
        if let [image] = images {
            let at = self.image(image)?;
            let key = (Key::Image(image.digest.clone(), image.form), points);
            let complete = match self.complete.get(&key) {
                Some(complete) => *complete,
                None => {
                    let complete = has_points(&at, &key.1)?;
                    self.complete.insert(key.clone(), complete);
                    complete
                }
            };
            if complete {
                return lend(&at);
            }
            return lend(&self.overlay(images, Some(key.1))?);
        }
        if images.is_empty() {
            return self.mount(images);
        }
        lend(&self.overlay(images, Some(points))?)
    }

    /// Unmounts what the digests name. Sandboxes that use it keep it alive until they end.
    pub(crate) fn forget(&mut self, digests: &[String]) {
        let named: Vec<Key> =
            self.mounted.keys().filter(|key| digests.iter().any(|digest| key.names(digest))).cloned().collect();
        for key in named {
            self.unmount(&key);
        }
    }

    fn image(&mut self, image: &CodeImage) -> Result<PathBuf, Failure> {
        let key = Key::Image(image.digest.clone(), image.form);
        if let Some(at) = self.touch(&key) {
            return Ok(at);
        }
        let step = || format!("mount the code image {}", image.path.display());
        let mount = match image.form {
            CodeImageForm::File => mount_erofs(&File::open(&image.path).step_with(step)?).step_with(step)?,
            CodeImageForm::Loop => mount_loop(&File::open(&image.path).step_with(step)?).step_with(step)?,
            CodeImageForm::Directory => {
                let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
                let tree = open_tree(CWD, &image.path, flags).step_with(step)?;
                sys::set_mount_attributes(tree.as_fd(), READ_ONLY, false).step_with(step)?;
                tree
            }
        };
        self.attach(key, mount)
    }

    fn overlay(
        &mut self,
        images: &[CodeImage],
        skeleton: Option<BTreeSet<(PathBuf, bool)>>,
    ) -> Result<PathBuf, Failure> {
        let named = images.iter().map(|image| (image.digest.clone(), image.form)).collect();
        let key = Key::Overlay { images: named, skeleton };
        if let Some(at) = self.touch(&key) {
            return Ok(at);
        }
        let mut lower = Vec::new();
        if let Key::Overlay { skeleton: Some(points), .. } = &key {
            lower.push(self.make_skeleton(points)?);
        }
        for image in images {
            lower.push(self.image(image)?);
        }
        // An overlay without an upper layer wants two lower ones.
        if lower.len() == 1 {
            lower.insert(0, self.make_skeleton(&BTreeSet::new())?);
        }
        lower.reverse(); // the kernel wants the topmost first
        let mount = mount_overlay(&lower).step("lay code images over each other")?;
        self.attach(key, mount)
    }

    /// A directory that holds empty mount points.
    fn make_skeleton(&mut self, points: &BTreeSet<(PathBuf, bool)>) -> Result<PathBuf, Failure> {
        self.clock += 1;
        let base = self.directory.join(format!("skeleton-{}", self.clock));
        let make = || {
            fs::create_dir(&base)?;
            for (path, directory) in points {
                let path = base.join(path.strip_prefix("/").unwrap_or(path));
                if *directory {
                    fs::create_dir_all(path)?;
                } else {
                    if let Some(parent) = path.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    File::create(path)?;
                }
            }
            Ok::<(), std::io::Error>(())
        };
        make().step("make mount points")?;
        Ok(base)
    }

    fn touch(&mut self, key: &Key) -> Option<PathBuf> {
        self.clock += 1;
        let mounted = self.mounted.get_mut(key)?;
        mounted.last_used = self.clock;
        Some(mounted.at.clone())
    }

    fn attach(&mut self, key: Key, mount: OwnedFd) -> Result<PathBuf, Failure> {
        if self.mounted.len() >= MOST_MOUNTED
            && let Some(oldest) =
                self.mounted.iter().min_by_key(|(_, mounted)| mounted.last_used).map(|(key, _)| key.clone())
        {
            self.unmount(&oldest);
        }
        self.clock += 1;
        let at = self.directory.join(self.clock.to_string());
        fs::create_dir(&at).step("make a mount point")?;
        attach(mount, &at).step("attach a code image")?;
        self.mounted.insert(key, Mounted { at: at.clone(), last_used: self.clock });
        Ok(at)
    }

    fn unmount(&mut self, key: &Key) {
        let Some(mounted) = self.mounted.remove(key) else { return };
        self.complete.retain(|(image, _), _| image != key);
        // Detached lazily: lent copies live on. Neither call can fail on a mount point of our own; an empty directory left is harmless.
        let _ = unmount(&mounted.at, UnmountFlags::DETACH);
        let _ = fs::remove_dir(&mounted.at);
    }
}

/// A detached copy of the mount at `at`.
fn lend(at: &Path) -> Result<OwnedFd, Failure> {
    open_tree(CWD, at, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC).step("lend a code image")
}

fn attach(mount: OwnedFd, at: &Path) -> rustix::io::Result<()> {
    move_mount(mount, "", CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Mounts an EROFS image straight from its file.
pub(crate) fn mount_erofs(image: &File) -> std::io::Result<OwnedFd> {
    // Named through the descriptor: a path may be longer than what fsconfig takes.
    erofs_from(&format!("/proc/self/fd/{}", image.as_raw_fd()))
}

/// Mounts an EROFS image through a loop device, which frees itself when the file system goes.
pub(crate) fn mount_loop(image: &File) -> std::io::Result<OwnedFd> {
    let (_device, path) = sys::attach_loop(image.as_fd(), sys::LoopOptions { read_only: true, block_size: 0 })?;
    erofs_from(&path.to_string_lossy())
}

fn erofs_from(source: &str) -> std::io::Result<OwnedFd> {
    let context = fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", source)?;
    fsconfig_set_flag(context.as_fd(), "ro")?;
    fsconfig_create(context.as_fd())?;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, read_only())?)
}

fn read_only() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// Lays directories over each other, the first topmost.
fn mount_overlay(lower: &[PathBuf]) -> std::io::Result<OwnedFd> {
    match mount_overlay_one_by_one(lower) {
        // The option is not known. Linux 6.1 notices only when it makes the file system, not when it hears the option.
        Err(rustix::io::Errno::INVAL) => mount_overlay_by_names(lower),
        other => Ok(other?),
    }
}

/// Since Linux 6.7.
fn mount_overlay_one_by_one(lower: &[PathBuf]) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for directory in lower {
        fsconfig_set_string(context.as_fd(), "lowerdir+", directory)?;
    }
    fsconfig_set_flag(context.as_fd(), "ro")?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, read_only())
}

/// Before Linux 6.7: with `mount(2)`, whose options fill at most a page, by names relative to their common directory.
fn mount_overlay_by_names(lower: &[PathBuf]) -> std::io::Result<OwnedFd> {
    let parent = lower.first().and_then(|path| path.parent()).unwrap_or(Path::new("/"));
    let names: Vec<_> = lower.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
    let target = parent.join("overlay");
    fs::create_dir_all(&target)?;
    let before = std::env::current_dir()?;
    std::env::set_current_dir(parent)?;
    let options = std::ffi::CString::new(format!("lowerdir={}", names.join(":"))).map_err(std::io::Error::other)?;
    let flags =
        rustix::mount::MountFlags::RDONLY | rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
    let result = rustix::mount::mount("overlay", "overlay", "overlay", flags, options.as_c_str());
    std::env::set_current_dir(before)?;
    result?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(CWD, &target, flags);
    unmount(&target, UnmountFlags::DETACH)?;
    Ok(copy?)
}

/// Whether every mount point exists below `root`, no symbolic link leading out of it.
fn has_points(root: &Path, points: &BTreeSet<(PathBuf, bool)>) -> Result<bool, Failure> {
    let step = "look at the root's code image";
    let root = rustix::fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    for (path, directory) in points {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(&root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
            Ok(found) => {
                let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found).step(step)?.st_mode);
                if (kind == rustix::fs::FileType::Directory) != *directory {
                    let kind = if *directory { "directory" } else { "file" };
                    let step =
                        format!("use {} of the root's code image as the mount point of a {kind}", path.display());
                    return Err(Failure { step, errno: libc::ENOTDIR, exec: false });
                }
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(false),
            Err(error) => return Err(error).step(step),
        }
    }
    Ok(true)
}
