//! A code image becomes a directory tree again, for kernels that cannot mount it.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bojagi_model::Digest;
use bojagi_package::erofs;
use bojagi_package::erofs::reader::{FileType, Image, Stat};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

const PIECE_BYTES: usize = 1 << 20;
/// How deep directories may lie in each other: Linux's longest path has room for no more.
const DEPTH: usize = 2048;

/// Writes what is in the image into the directory `to`, which must not exist. The image is verified first, so it is one that was made
/// here. Everything belongs to whoever calls, as in every base image everything belongs to root.
pub(super) fn unpack(image: &Path, digest: &Digest, to: &Path) -> io::Result<()> {
    let file = File::open(image)?;
    erofs::verify(&file, digest).map_err(io::Error::other)?;
    let image = Image::open(file).map_err(io::Error::other)?;
    let root = image.root().map_err(io::Error::other)?;
    directory(&image, &root, to, 0)
}

fn directory(image: &Image<File>, stat: &Stat, to: &Path, depth: usize) -> io::Result<()> {
    if depth > DEPTH {
        return Err(io::Error::other("directories lie too deep in each other"));
    }
    fs::create_dir(to)?;
    for entry in image.list(stat).map_err(io::Error::other)? {
        let stat = image.stat(entry.nid).map_err(io::Error::other)?;
        let path = to.join(OsStr::from_bytes(&entry.name));
        match stat.file_type() {
            FileType::Directory => directory(image, &stat, &path, depth + 1)?,
            FileType::File => regular(image, &stat, &path)?,
            FileType::Symlink => {
                let target = image.read_link(&stat).map_err(io::Error::other)?;
                symlink(OsStr::from_bytes(&target), &path)?;
                let time = Timespec { tv_sec: i64::try_from(stat.inode.mtime).unwrap_or(0), tv_nsec: 0 };
                let times = Timestamps { last_access: time, last_modification: time };
                rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            // Base images have none.
            FileType::Other => {}
        }
    }
    // Last: a directory may be one that nobody can write to.
    finish(&File::open(to)?, stat)
}

fn regular(image: &Image<File>, stat: &Stat, path: &Path) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    let mut piece = vec![0; usize::try_from(stat.inode.size).unwrap_or(PIECE_BYTES).min(PIECE_BYTES)];
    let mut offset = 0;
    while offset < stat.inode.size {
        let bytes = image.read_content(stat, &mut piece, offset).map_err(io::Error::other)?;
        file.write_all(&piece[..bytes])?;
        offset += bytes as u64;
    }
    finish(&file, stat)
}

fn finish(file: &File, stat: &Stat) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(stat.permissions().into()))?;
    // A time that cannot be told is as good as none.
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(stat.inode.mtime));
    file.set_modified(time.unwrap_or(SystemTime::UNIX_EPOCH))
}
