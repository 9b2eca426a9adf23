//! A directory on disk becomes a code image: how base images are made.
//!
//! Owners, permissions, symbolic and hard links are kept, and extended attributes but those of the `security.` kind:
//! file capabilities mean nothing to a sandbox without capabilities, and labels belong to the machine the tree was
//! built on. Device nodes, FIFOs and sockets are left out, as a sandbox gets a `/dev` of its own. Other file systems
//! mounted in the tree appear as the empty directories they are mounted on.
//!
//! The same tree makes the same image: names are sorted, times are whole seconds or all the same ([`Times`]).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat, statat};

use crate::Ingested;
use crate::erofs::format::XATTR_HEADER_BYTES;
use crate::erofs::layout::{Layout, NODES};
use crate::erofs::writer::{self, Attributes, Source};
use crate::error::TreeError;
use crate::nodes::{Kind, Name, Node};

const STREAM_BYTES: usize = 1 << 20;
/// What `i_xattr_icount` can count, less than 2¹⁶ units of four bytes.
const XATTRS_BYTES: usize = 0xffff * 4;

/// Which times an image's entries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Those of the tree, in whole seconds. Python checks a `.pyc` file by its source's time: with other times every
    /// module is compiled anew at every start.
    Keep,
    /// This one, in seconds since 1970.
    Fixed(u64),
}

/// Makes a code image of the directory tree at `root`, which nobody may change meanwhile.
///
/// `output` is an empty file, open for reading and writing, that the caller owns: the caller makes it durable and gives
/// it its name, or deletes it after an error.
///
/// # Errors
///
/// [`TreeError`] says what could not be read, or that the output could not be written.
pub fn ingest(root: &Path, output: &File, times: Times) -> Result<Ingested, TreeError> {
    let mut walk = Walk::new(root, times)?;
    walk.run()?;
    let Walk { tree, nodes, unzipped_bytes, .. } = walk;
    let entries = nodes.len() as u64 - 1;
    let xattr_bytes = |node: &Node| tree.info(node).xattrs.len() as u64;
    let layout = Layout::new(nodes, &tree.names, xattr_bytes);
    let layout = layout.ok_or(TreeError::Unsupported { path: ".".to_owned(), what: "16 TiB or more" })?;
    let source = TreeSource { tree, nodes: &layout.nodes };
    let image = writer::write(&source, &layout, output)?;
    Ok(Ingested { image, image_bytes: layout.image_bytes, unzipped_bytes, entries })
}

/// What is read of a tree before anything is written.
struct Tree {
    path: PathBuf,
    root: OwnedFd,
    names: Vec<u8>,
    infos: Vec<Info>,
}

/// What a node's `source` stands for.
struct Info {
    uid: u32,
    gid: u32,
    mtime: u64,
    links: u32,
    xattrs: Vec<u8>,
    /// A link's target.
    target: Vec<u8>,
}

impl Tree {
    fn info(&self, node: &Node) -> &Info {
        &self.infos[node.source as usize]
    }

    /// Opens what a path below the root names, following no link on the way.
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, TreeError> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.root, path, flags, Mode::empty(), resolve).map_err(|errno| read_error("open", path, errno))
    }
}

struct Walk {
    tree: Tree,
    nodes: Vec<Node>,
    times: Times,
    device: u64,
    /// The first name of each file that has several, by its inode number.
    linked: HashMap<u64, u32>,
    unzipped_bytes: u64,
}

impl Walk {
    fn new(root: &Path, times: Times) -> Result<Walk, TreeError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(CWD, root, flags, Mode::empty()).map_err(|errno| read_error("open", b".", errno))?;
        let stat = rustix::fs::fstat(&fd).map_err(|errno| read_error("stat", b".", errno))?;
        let tree = Tree { path: root.to_owned(), root: fd, names: Vec::new(), infos: Vec::new() };
        let linked = HashMap::new();
        let mut walk = Walk { tree, nodes: Vec::new(), times, device: stat.st_dev, linked, unzipped_bytes: 0 };
        walk.add(b"", b".", 0, Kind::Directory, &stat)?;
        Ok(walk)
    }

    fn run(&mut self) -> Result<(), TreeError> {
        let mut directories = vec![(0, b".".to_vec())];
        while let Some((parent, path)) = directories.pop() {
            let fd = self.tree.open(&path, OFlags::DIRECTORY)?;
            let mut names = Vec::new();
            for entry in Dir::read_from(&fd).map_err(|errno| read_error("list", &path, errno))? {
                let entry = entry.map_err(|errno| read_error("list", &path, errno))?;
                names.push(entry.file_name().to_bytes().to_vec());
            }
            names.retain(|name| !matches!(&name[..], b"." | b".."));
            names.sort_unstable();
            for name in names {
                let child = if parent == 0 { name.clone() } else { [&path[..], &name].join(&b'/') };
                if let Some(index) = self.visit(&fd, &name, &child, parent)? {
                    directories.push((index, child));
                }
            }
        }
        Ok(())
    }

    /// Adds one name. Returns its node if it is a directory to go into.
    fn visit(&mut self, fd: &OwnedFd, name: &[u8], path: &[u8], parent: u32) -> Result<Option<u32>, TreeError> {
        let stat = statat(fd, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| read_error("stat", path, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let index = self.add(name, path, parent, Kind::Directory, &stat)?;
                Ok((stat.st_dev == self.device).then_some(index))
            }
            FileType::RegularFile => {
                if let Some(first) = self.linked.get(&stat.st_ino).copied().filter(|_| stat.st_nlink > 1) {
                    let info = self.nodes[first as usize].source as usize;
                    self.tree.infos[info].links += 1;
                    let name = self.name(name);
                    self.push(Node::new(name, parent, Kind::HardLink.mode(0), 0, first.into()))?;
                    return Ok(None);
                }
                let index = self.add(name, path, parent, Kind::File, &stat)?;
                self.linked.extend((stat.st_nlink > 1).then_some((stat.st_ino, index)));
                Ok(None)
            }
            FileType::Symlink => {
                let index = self.add(name, path, parent, Kind::Symlink, &stat)?;
                let target = readlinkat(fd, name, Vec::new()).map_err(|errno| read_error("read", path, errno))?;
                let target = target.into_bytes();
                let node = &mut self.nodes[index as usize];
                node.size = target.len() as u64;
                self.unzipped_bytes += node.size;
                self.tree.infos[node.source as usize].target = target;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn add(
        &mut self,
        name: &[u8],
        path: &[u8],
        parent: u32,
        kind: Kind,
        stat: &rustix::fs::Stat,
    ) -> Result<u32, TreeError> {
        let mtime = match self.times {
            Times::Keep => u64::try_from(stat.st_mtime).unwrap_or(0),
            Times::Fixed(time) => time,
        };
        let xattrs = xattrs(&self.tree.path, path)?;
        let info = Info { uid: stat.st_uid, gid: stat.st_gid, mtime, links: 1, xattrs, target: Vec::new() };
        self.tree.infos.push(info);
        let size = if kind == Kind::File { stat.st_size as u64 } else { 0 };
        self.unzipped_bytes += size;
        let name = self.name(name);
        let mode = kind.mode(stat.st_mode as u16);
        self.push(Node::new(name, parent, mode, size, self.tree.infos.len() as u64 - 1))
    }

    fn push(&mut self, node: Node) -> Result<u32, TreeError> {
        if self.nodes.len() as u64 > NODES {
            return Err(TreeError::TooManyEntries { limit: NODES });
        }
        self.nodes.push(node);
        Ok(self.nodes.len() as u32 - 1)
    }

    fn name(&mut self, name: &[u8]) -> Name {
        self.tree.names.extend_from_slice(name);
        Name { offset: self.tree.names.len() - name.len(), length: name.len() as u16 }
    }
}

struct TreeSource<'a> {
    tree: Tree,
    nodes: &'a [Node],
}

impl TreeSource<'_> {
    fn path(&self, node: &Node) -> Vec<u8> {
        let mut components = vec![node.name(&self.tree.names)];
        let mut parent = node.parent;
        while parent != 0 {
            let directory = &self.nodes[parent as usize];
            components.push(directory.name(&self.tree.names));
            parent = directory.parent;
        }
        components.reverse();
        components.join(&b'/')
    }

    /// Opens a file that is still as long as it was.
    fn open(&self, node: &Node) -> Result<(File, Vec<u8>), TreeError> {
        let path = self.path(node);
        let file = File::from(self.tree.open(&path, OFlags::empty())?);
        let bytes = file.metadata().map_err(|source| io_error("stat", &path, source))?.len();
        if bytes != node.size {
            return Err(TreeError::Changed { path: shown(&path) });
        }
        Ok((file, path))
    }
}

impl Source for TreeSource<'_> {
    type Error = TreeError;

    fn names(&self) -> &[u8] {
        &self.tree.names
    }

    fn attributes(&self, node: &Node) -> Attributes<'_> {
        let Info { uid, gid, mtime, links, xattrs, .. } = self.tree.info(node);
        Attributes { uid: *uid, gid: *gid, mtime: *mtime, links: *links, xattrs }
    }

    fn read(&self, node: &Node, out: &mut [u8]) -> Result<(), TreeError> {
        if node.kind() == Kind::Symlink {
            out.copy_from_slice(&self.tree.info(node).target);
            return Ok(());
        }
        let (file, path) = self.open(node)?;
        file.read_exact_at(out, 0).map_err(|source| io_error("read", &path, source))
    }

    fn stream(&self, node: &Node, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), TreeError> {
        let (file, path) = self.open(node)?;
        let mut buffer = vec![0; STREAM_BYTES];
        let mut offset = 0;
        while offset < node.size {
            let part = &mut buffer[..(node.size - offset).min(STREAM_BYTES as u64) as usize];
            file.read_exact_at(part, offset).map_err(|source| io_error("read", &path, source))?;
            write(part)?;
            offset += part.len() as u64;
        }
        Ok(())
    }
}

/// Extended attributes as they follow an inode, sorted by name; empty if there are none.
fn xattrs(root: &Path, path: &[u8]) -> Result<Vec<u8>, TreeError> {
    let full = root.join(OsStr::from_bytes(path));
    let mut listed = vec![0; 64 << 10];
    let bytes = match rustix::fs::llistxattr(&full, &mut listed) {
        Ok(bytes) => bytes,
        Err(rustix::io::Errno::NOTSUP) => 0,
        Err(errno) => return Err(read_error("list the attributes of", path, errno)),
    };
    let mut names: Vec<&[u8]> = listed[..bytes].split(|byte| *byte == 0).collect();
    names.sort_unstable();
    let mut entries = vec![0; XATTR_HEADER_BYTES];
    for (full_name, (index, name)) in names.iter().filter_map(|name| Some((name, kept_xattr(name)?))) {
        let mut value = vec![0; 64 << 10];
        let bytes = rustix::fs::lgetxattr(&full, *full_name, &mut value);
        let bytes = bytes.map_err(|errno| read_error("read the attributes of", path, errno))?;
        let size = u16::try_from(bytes).ok();
        let size = size.ok_or_else(|| TreeError::Unsupported { path: shown(path), what: "an attribute of 64 KiB" })?;
        entries.extend([name.len() as u8, index]);
        entries.extend(size.to_le_bytes());
        entries.extend(name);
        entries.extend(&value[..bytes]);
        entries.resize(entries.len().next_multiple_of(4), 0);
    }
    match entries.len() {
        XATTR_HEADER_BYTES => Ok(Vec::new()),
        ..=XATTRS_BYTES => Ok(entries),
        _ => Err(TreeError::Unsupported { path: shown(path), what: "attributes of more than 256 KiB" }),
    }
}

/// EROFS's index of an attribute's prefix, and the rest of its name; `None` for one that an image does not keep.
fn kept_xattr(name: &[u8]) -> Option<(u8, &[u8])> {
    match name {
        b"system.posix_acl_access" => Some((2, b"")),
        b"system.posix_acl_default" => Some((3, b"")),
        _ => {
            let prefixes: [(u8, &[u8]); 2] = [(1, b"user."), (4, b"trusted.")];
            prefixes.iter().find_map(|(index, prefix)| Some((*index, name.strip_prefix(*prefix)?)))
        }
    }
}

fn read_error(operation: &'static str, path: &[u8], errno: rustix::io::Errno) -> TreeError {
    io_error(operation, path, errno.into())
}

fn io_error(operation: &'static str, path: &[u8], source: io::Error) -> TreeError {
    TreeError::Read { operation, path: shown(path), source }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
