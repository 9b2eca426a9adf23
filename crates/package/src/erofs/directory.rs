//! The entries of one directory: sorted by the bytes of their names, packed into blocks.
//!
//! The kernel searches a directory by bisection, first among its blocks, then in one; `.` and `..` are sorted among
//! the rest. A block has its entries first, then their names.

use super::format::{BLOCK_BYTES, DIRENT_BYTES, NAME_BYTES, entry_type, put};
use crate::nodes::{Kind, Node};

/// The nodes of a finished tree and their order by directory.
pub(crate) struct Tree<'a> {
    names: &'a [u8],
    nodes: &'a [Node],
    /// All nodes but the root, by parent, then by name.
    order: &'a [u32],
}

/// The indices of all nodes but the root, by parent, then by name.
pub(crate) fn order(nodes: &[Node], names: &[u8]) -> Vec<u32> {
    let mut order: Vec<u32> = (1..nodes.len() as u32).collect();
    order.sort_unstable_by_key(|index| {
        let node = &nodes[*index as usize];
        (node.parent, node.name(names))
    });
    order
}

impl<'a> Tree<'a> {
    pub(crate) fn new(names: &'a [u8], nodes: &'a [Node], order: &'a [u32]) -> Tree<'a> {
        Tree { names, nodes, order }
    }

    /// Bytes of a directory's content.
    pub(crate) fn size(&self, directory: u32) -> u64 {
        let (mut full, mut used) = (0, 0);
        self.for_each(directory, |name, _| {
            let need = DIRENT_BYTES + name.len();
            if used + need > BLOCK_BYTES {
                full += BLOCK_BYTES as u64;
                used = 0;
            }
            used += need;
        });
        full + used as u64
    }

    /// Two and the number of subdirectories, which is what `stat` shows as a directory's links.
    pub(crate) fn links(&self, directory: u32) -> u32 {
        let kinds = self.children(directory).iter().map(|child| self.nodes[*child as usize].kind());
        2 + kinds.filter(|kind| *kind == Kind::Directory).count() as u32
    }

    /// A directory's content, block by block. The last block is as short as its names, the others are full.
    pub(crate) fn blocks<E>(&self, directory: u32, mut write: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut block = Block::default();
        let mut result = Ok(());
        self.for_each(directory, |name, index| {
            if result.is_ok() && !block.fits(name) {
                result = write(block.finish(false));
                block.clear();
            }
            block.push(name, self.inode(index));
        });
        result?;
        write(block.finish(true))
    }

    /// A name's inode and its mode; a further name of a file has the file's.
    fn inode(&self, index: u32) -> (u64, u16) {
        let mut node = &self.nodes[index as usize];
        if node.kind() == Kind::HardLink {
            node = &self.nodes[node.source as usize];
        }
        (u64::from(node.nid), node.mode)
    }

    /// All entries in the order of their names, `.` and `..` among them.
    fn for_each(&self, directory: u32, mut visit: impl FnMut(&'a [u8], u32)) {
        let parent = self.nodes[directory as usize].parent;
        let mut dots = [(&b"."[..], directory), (&b".."[..], parent)].into_iter().peekable();
        for child in self.children(directory) {
            let name = self.nodes[*child as usize].name(self.names);
            while let Some((dot, index)) = dots.next_if(|(dot, _)| *dot < name) {
                visit(dot, index);
            }
            visit(name, *child);
        }
        dots.for_each(|(dot, index)| visit(dot, index));
    }

    fn children(&self, directory: u32) -> &'a [u32] {
        let parent = |index: &u32| self.nodes[*index as usize].parent;
        let start = self.order.partition_point(|index| parent(index) < directory);
        let rest = &self.order[start..];
        &rest[..rest.partition_point(|index| parent(index) == directory)]
    }
}

/// One block while it is filled.
#[derive(Default)]
struct Block {
    entries: Vec<(u64, u16, u16)>,
    names: Vec<u8>,
    bytes: Vec<u8>,
}

impl Block {
    fn fits(&self, name: &[u8]) -> bool {
        (self.entries.len() + 1) * DIRENT_BYTES + self.names.len() + name.len() <= BLOCK_BYTES
    }

    fn push(&mut self, name: &[u8], (nid, mode): (u64, u16)) {
        debug_assert!(!name.is_empty() && name.len() <= NAME_BYTES);
        self.entries.push((nid, mode, self.names.len() as u16));
        self.names.extend_from_slice(name);
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.names.clear();
    }

    fn finish(&mut self, last: bool) -> &[u8] {
        let heads = self.entries.len() * DIRENT_BYTES;
        self.bytes.clear();
        self.bytes.resize(heads, 0);
        for (entry, (nid, mode, name)) in self.bytes.chunks_exact_mut(DIRENT_BYTES).zip(&self.entries) {
            put(entry, 0, &nid.to_le_bytes());
            put(entry, 8, &(heads as u16 + name).to_le_bytes());
            entry[10] = entry_type(*mode);
        }
        self.bytes.extend_from_slice(&self.names);
        if !last {
            self.bytes.resize(BLOCK_BYTES, 0);
        }
        &self.bytes
    }
}
