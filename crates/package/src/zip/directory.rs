//! An archive as a directory tree, for kernels that cannot mount an image.
//!
//! Nothing is ever followed: links are made last, when everything else is there, and files are created, never opened.
//! Directories can be written to until all of them are filled; then each gets its mode and time.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bojagi_model::Digest;
use ring::digest::SHA256;
use rustix::fs::{
    AtFlags, Mode, OFlags, Timespec, Timestamps, chmodat, fchmod, futimens, mkdirat, openat, symlinkat, utimensat,
};

use super::content::Archive;
use crate::erofs::writer::Source;
use crate::error::ZipError;
use crate::nodes::{Kind, Node};
use crate::parallel::{lock, run, workers};

/// Files up to this many bytes are inflated in one piece.
const HELD_BYTES: u64 = 1 << 20;
/// Files that a worker takes at a time.
const BATCH: usize = 64;
const HEADER: &[u8] = b"bojagi code directory 1\n";

/// The name of the directory that this archive becomes.
pub(super) fn digest(zip: &[u8]) -> Digest {
    let mut context = ring::digest::Context::new(&SHA256);
    context.update(HEADER);
    context.update(zip);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    Digest::from_bytes(bytes)
}

/// Unpacks the nodes below `directory`, which is empty.
pub(super) fn extract(archive: &Archive<'_>, nodes: &[Node], directory: &Path) -> Result<(), ZipError> {
    let root = File::open(directory)?;
    let to = Target { archive, nodes, root: root.as_fd() };
    for node in nodes.iter().skip(1).filter(|node| node.kind() == Kind::Directory) {
        mkdirat(to.root, to.path(node), Mode::RWXU).map_err(io::Error::from)?;
    }
    to.files()?;
    let mut target = Vec::new();
    for node in nodes.iter().filter(|node| node.kind() == Kind::Symlink) {
        target.resize(node.size as usize, 0);
        archive.read(node, &mut target)?;
        symlinkat(&target[..], to.root, to.path(node)).map_err(io::Error::from)?;
        utimensat(to.root, to.path(node), &to.times(node), AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
    }
    // Children before their parents: a parent's mode may bar the way to an ordinary user.
    for node in nodes.iter().rev().filter(|node| node.kind() == Kind::Directory) {
        let path = to.path(node);
        let mode = Mode::from_raw_mode(u32::from(node.mode) & 0o777);
        utimensat(to.root, &path[..], &to.times(node), AtFlags::empty()).map_err(io::Error::from)?;
        chmodat(to.root, &path[..], mode, AtFlags::empty()).map_err(io::Error::from)?;
    }
    Ok(())
}

struct Target<'a> {
    archive: &'a Archive<'a>,
    nodes: &'a [Node],
    root: BorrowedFd<'a>,
}

impl Target<'_> {
    fn files(&self) -> Result<(), ZipError> {
        let (next, failed, error) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
        let work = || {
            let mut buffer = Vec::new();
            while !failed.load(Ordering::Relaxed) {
                let start = next.fetch_add(BATCH, Ordering::Relaxed);
                let Some(batch) = self.nodes.get(start..self.nodes.len().min(start + BATCH)) else { break };
                let mut files = batch.iter().filter(|node| node.kind() == Kind::File);
                if let Err(problem) = files.try_for_each(|node| self.file(node, &mut buffer)) {
                    failed.store(true, Ordering::Relaxed);
                    lock(&error).get_or_insert(problem);
                }
            }
        };
        run(workers().min(self.nodes.len().div_ceil(BATCH)), work);
        lock(&error).take().map_or(Ok(()), Err)
    }

    fn file(&self, node: &Node, buffer: &mut Vec<u8>) -> Result<(), ZipError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(self.root, self.path(node), flags, Mode::RUSR | Mode::WUSR).map_err(io::Error::from)?;
        let mut file = File::from(file);
        if node.size > HELD_BYTES {
            self.archive.stream(node, &mut |part| file.write_all(part))?;
        } else {
            buffer.resize(node.size as usize, 0);
            self.archive.read(node, buffer)?;
            file.write_all(buffer)?;
        }
        fchmod(&file, Mode::from_raw_mode(u32::from(node.mode) & 0o777)).map_err(io::Error::from)?;
        futimens(&file, &self.times(node)).map_err(io::Error::from)?;
        Ok(())
    }

    fn times(&self, node: &Node) -> Timestamps {
        let time = Timespec { tv_sec: self.archive.attributes(node).mtime.cast_signed(), tv_nsec: 0 };
        Timestamps { last_access: time, last_modification: time }
    }

    /// A node's path below the root; `.` for the root.
    fn path(&self, node: &Node) -> Vec<u8> {
        let mut components = vec![node.name(self.archive.names())];
        let mut parent = node.parent;
        while parent != 0 {
            let directory = &self.nodes[parent as usize];
            components.push(directory.name(self.archive.names()));
            parent = directory.parent;
        }
        components.reverse();
        let path = components.join(&b'/');
        if path.is_empty() { b".".to_vec() } else { path }
    }
}
