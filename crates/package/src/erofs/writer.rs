//! Writes a planned image: inodes and directories by one worker, files by all of them, each to its place.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bojagi_model::Digest;

use super::digest::{PIECE_BYTES, combine, piece, pieces};
use super::directory::Tree;
use super::format::{
    BLOCK_BYTES, INODE_SLOT_BYTES, Inode, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, Superblock, block_align, put, seal,
};
use super::layout::{Layout, block_bytes};
use crate::nodes::{Kind, Node};
use crate::parallel::{lock, run, workers};

/// Files are gathered into writes of this size.
const RUN_BYTES: u64 = 1 << 20;
/// What all workers together hold of files at a time, in bytes. A larger file is streamed.
const BUFFERS_BYTES: u64 = 24 << 20;

/// Where a tree's content and attributes come from.
pub(crate) trait Source: Sync {
    /// Why content cannot be had; an I/O error is one of the output.
    type Error: From<io::Error> + Send;

    /// The bytes in which the nodes' names are.
    fn names(&self) -> &[u8];

    /// Owner, time, links and extended attributes.
    fn attributes(&self, node: &Node) -> Attributes<'_>;

    /// A file's content or a link's target in full: `out` is as long as the node's size says.
    fn read(&self, node: &Node, out: &mut [u8]) -> Result<(), Self::Error>;

    /// A file's content in parts, for files too large to be held.
    fn stream(&self, node: &Node, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), Self::Error>;
}

/// What an inode has beside type, permissions and content.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes<'a> {
    pub uid: u32,
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Names of a file. Directories have theirs counted.
    pub links: u32,
    /// Extended attributes as they follow the inode, with their header; empty for none.
    pub xattrs: &'a [u8],
}

/// Writes the image and returns its digest.
pub(crate) fn write<S: Source>(source: &S, layout: &Layout, output: &File) -> Result<Digest, S::Error> {
    output.set_len(layout.image_bytes)?;
    // A small package is written before another thread has started.
    let threads = workers().min((layout.image_bytes / RUN_BYTES) as usize).max(1);
    let job = Job::new(source, layout, output, threads);
    let metadata = AtomicBool::new(false);
    let work = || {
        if !metadata.swap(true, Ordering::Relaxed) {
            job.attempt(|| write_metadata(source, layout, output));
        }
        let mut buffer = Vec::new();
        while let Some(run) = job.next() {
            job.attempt(|| job.write_run(&run, &mut buffer));
        }
    };
    run(threads, work);
    if let Some(error) = lock(&job.error).take() {
        return Err(error);
    }
    Ok(name(layout, output)?)
}

/// Gives the image its UUID, which follows from its content, and its checksum; then its name.
fn name(layout: &Layout, output: &File) -> io::Result<Digest> {
    let mut pieces = pieces(output, layout.image_bytes)?;
    let content = combine(layout.image_bytes, &pieces);
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&content.as_bytes()[..16]);
    // The form of RFC 9562, version 8: a UUID whose bits have a meaning of their own.
    uuid[6] = uuid[6] & 0x0f | 0x80;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let superblock = Superblock {
        root_nid: layout.nodes[0].nid as u16,
        inodes: layout.inodes,
        blocks: (layout.image_bytes / BLOCK_BYTES as u64) as u32,
        meta_block: 0,
        build_time: 0,
        uuid,
    };
    let mut block = [0; BLOCK_BYTES];
    output.read_exact_at(&mut block, 0)?;
    put(&mut block, SUPERBLOCK_OFFSET, &superblock.encode());
    seal(&mut block);
    output.write_all_at(&block, 0)?;
    let mut buffer = vec![0; PIECE_BYTES.min(layout.image_bytes) as usize];
    pieces[0] = piece(output, layout.image_bytes, 0, &mut buffer)?;
    Ok(combine(layout.image_bytes, &pieces))
}

/// The writing of the files, shared by all workers.
struct Job<'a, S: Source> {
    source: &'a S,
    layout: &'a Layout,
    output: &'a File,
    /// A file above this is streamed. In bytes.
    held_bytes: u64,
    queue: Mutex<Queue>,
    error: Mutex<Option<S::Error>>,
    failed: AtomicBool,
}

/// What is left to write: the large files, of which the largest goes first so that no worker is left alone with it at
/// the end; then the others, in runs.
struct Queue {
    large: Vec<u32>,
    next: usize,
}

/// Files whose blocks lie side by side.
struct Run {
    files: std::ops::Range<usize>,
    bytes: u64,
}

impl<'a, S: Source> Job<'a, S> {
    fn new(source: &'a S, layout: &'a Layout, output: &'a File, threads: usize) -> Self {
        let size = |index: &u32| layout.nodes[*index as usize].size;
        let all = 0..layout.nodes.len() as u32;
        let mut large: Vec<u32> = all.filter(|index| is_large(&layout.nodes[*index as usize])).collect();
        large.sort_by_key(size);
        Job {
            source,
            layout,
            output,
            held_bytes: (BUFFERS_BYTES / threads as u64).max(RUN_BYTES),
            queue: Mutex::new(Queue { large, next: 0 }),
            error: Mutex::new(None),
            failed: AtomicBool::new(false),
        }
    }

    fn attempt(&self, work: impl FnOnce() -> Result<(), S::Error>) {
        if let Err(error) = work() {
            self.failed.store(true, Ordering::Relaxed);
            lock(&self.error).get_or_insert(error);
        }
    }

    fn next(&self) -> Option<Run> {
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let mut queue = lock(&self.queue);
        if let Some(index) = queue.large.pop() {
            let index = index as usize;
            return Some(Run { files: index..index + 1, bytes: block_bytes(&self.layout.nodes[index]) });
        }
        let nodes = &self.layout.nodes;
        while nodes.get(queue.next).is_some_and(|node| !in_runs(node)) {
            queue.next += 1;
        }
        let start = queue.next;
        let mut bytes = 0;
        while let Some(node) = nodes.get(queue.next) {
            let more = if in_runs(node) { block_align(block_bytes(node)) } else { 0 };
            if bytes + more > RUN_BYTES || is_large(node) {
                break;
            }
            bytes += more;
            queue.next += 1;
        }
        (bytes > 0).then_some(Run { files: start..queue.next, bytes })
    }

    fn write_run(&self, run: &Run, buffer: &mut Vec<u8>) -> Result<(), S::Error> {
        let nodes = &self.layout.nodes[run.files.clone()];
        let start = u64::from(nodes[0].block) * BLOCK_BYTES as u64;
        if run.bytes > self.held_bytes {
            return self.stream(&nodes[0], start);
        }
        let bytes = block_align(run.bytes) as usize;
        if buffer.len() < bytes {
            buffer.resize(bytes, 0);
        }
        for node in nodes.iter().filter(|node| is_large(node) || in_runs(node)) {
            let offset = (u64::from(node.block) * BLOCK_BYTES as u64 - start) as usize;
            let end = offset + node.size as usize;
            self.source.read(node, &mut buffer[offset..end])?;
            buffer[end..end.next_multiple_of(BLOCK_BYTES)].fill(0);
        }
        Ok(self.output.write_all_at(&buffer[..bytes], start)?)
    }

    fn stream(&self, node: &Node, start: u64) -> Result<(), S::Error> {
        let mut position = start;
        let end = start + node.size;
        self.source.stream(node, &mut |part| {
            if part.len() as u64 > end - position {
                return Err(io::Error::other("more content than planned"));
            }
            self.output.write_all_at(part, position)?;
            position += part.len() as u64;
            Ok(())
        })
    }
}

/// Whether a node's blocks are written for themselves.
fn is_large(node: &Node) -> bool {
    node.kind() == Kind::File && block_bytes(node) > RUN_BYTES
}

/// Whether a node's blocks are written together with its neighbours'.
fn in_runs(node: &Node) -> bool {
    node.kind() == Kind::File && (1..=RUN_BYTES).contains(&block_bytes(node))
}

/// Inodes with what follows them, then directories and the few links that have blocks.
fn write_metadata<S: Source>(source: &S, layout: &Layout, output: &File) -> Result<(), S::Error> {
    let tree = Tree::new(source.names(), &layout.nodes, &layout.order);
    let mut to = Sequential::new(output);
    let mut content = vec![0; BLOCK_BYTES];
    to.advance((SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) as u64)?;
    for (index, node) in layout.nodes.iter().enumerate() {
        if node.kind() == Kind::HardLink {
            continue;
        }
        let attributes = source.attributes(node);
        to.advance(u64::from(node.nid) * INODE_SLOT_BYTES)?;
        to.put(&inode(&tree, index as u32, node, &attributes).encode())?;
        to.put(attributes.xattrs)?;
        if node.inline == 0 {
            continue;
        }
        if node.kind() == Kind::Directory {
            let mut rest = block_bytes(node);
            tree.blocks(index as u32, |block| {
                if rest == 0 {
                    return to.put(block);
                }
                rest -= block.len() as u64;
                Ok(())
            })?;
        } else {
            let content = &mut content[..usize::from(node.inline)];
            source.read(node, content)?;
            to.put(content)?;
        }
    }
    for (index, node) in layout.nodes.iter().enumerate() {
        if node.kind() != Kind::Directory || block_bytes(node) == 0 {
            continue;
        }
        let mut rest = block_bytes(node);
        to.advance(u64::from(node.block) * BLOCK_BYTES as u64)?;
        tree.blocks(index as u32, |block| {
            if rest == 0 {
                return Ok(());
            }
            rest -= block.len() as u64;
            to.put(block)
        })?;
    }
    for node in layout.nodes.iter().filter(|node| node.kind() == Kind::Symlink && block_bytes(node) > 0) {
        let content = &mut content[..node.size as usize];
        source.read(node, content)?;
        to.advance(u64::from(node.block) * BLOCK_BYTES as u64)?;
        to.put(content)?;
    }
    Ok(to.flush()?)
}

fn inode(tree: &Tree<'_>, index: u32, node: &Node, attributes: &Attributes<'_>) -> Inode {
    let xattr_count = match attributes.xattrs.len() {
        0 => 0,
        bytes => (bytes - super::format::XATTR_HEADER_BYTES) / 4 + 1,
    };
    Inode {
        mode: node.mode,
        links: if node.kind() == Kind::Directory { tree.links(index) } else { attributes.links },
        size: node.size,
        uid: attributes.uid,
        gid: attributes.gid,
        mtime: attributes.mtime,
        block: node.block,
        xattr_count: xattr_count as u16,
        inline: node.inline > 0,
        number: index + 1,
    }
}

/// Writes forward only, in large parts; what is skipped is zero.
struct Sequential<'a> {
    output: &'a File,
    buffer: Vec<u8>,
    flushed: u64,
}

impl<'a> Sequential<'a> {
    fn new(output: &'a File) -> Self {
        Sequential { output, buffer: Vec::with_capacity(RUN_BYTES as usize + 2 * BLOCK_BYTES), flushed: 0 }
    }

    fn advance(&mut self, position: u64) -> io::Result<()> {
        let gap = position - (self.flushed + self.buffer.len() as u64);
        debug_assert!(gap < BLOCK_BYTES as u64);
        self.buffer.resize(self.buffer.len() + gap as usize, 0);
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() as u64 >= RUN_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.write_all_at(&self.buffer, self.flushed)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}
