//! The compact table of what an image will hold: 40 bytes for each file, link or directory, names kept where they are.
//!
//! What always holds: node 0 is the root and its own parent; a parent comes before its children; no two nodes share
//! parent and name. The table and its index are what bounds the memory of an ingestion, so nothing here owns a string.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Permission bits of a mode.
pub(crate) const PERMISSIONS: u16 = 0o7777;
const TYPE: u16 = 0o170000;
const DIRECTORY: u16 = 0o040000;
const REGULAR: u16 = 0o100000;
const SYMLINK: u16 = 0o120000;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    /// Another name of the file whose index is the node's `source`.
    HardLink,
}

impl Kind {
    /// The mode of such a node with these permissions, as `stat` shows it.
    pub(crate) fn mode(self, permissions: u16) -> u16 {
        let kind = match self {
            Kind::File => REGULAR,
            Kind::Directory => DIRECTORY,
            Kind::Symlink => SYMLINK,
            Kind::HardLink => 0,
        };
        kind | permissions & PERMISSIONS
    }
}

/// A block number that means that there is none.
pub(crate) const NO_BLOCK: u32 = u32::MAX;

/// One name in the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Offset of the name in the names' bytes, shifted by 16, and its length.
    name: u64,
    /// Bytes of content: a file's, a link target's, a directory's entries.
    pub size: u64,
    /// Where the rest is to be found, which only the source of the tree knows.
    pub source: u64,
    /// Index of the directory that holds this node.
    pub parent: u32,
    /// EROFS's number of the inode, which is its place in the image.
    pub nid: u32,
    /// First block of the content that has blocks of its own.
    pub block: u32,
    /// Type and permissions, as in `stat`.
    pub mode: u16,
    /// Bytes of content that follow the inode.
    pub inline: u16,
}

impl Node {
    pub(crate) fn new(name: Name, parent: u32, mode: u16, size: u64, source: u64) -> Node {
        let name = (name.offset as u64) << 16 | u64::from(name.length);
        Node { name, size, source, parent, nid: 0, block: NO_BLOCK, mode, inline: 0 }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.mode & TYPE {
            DIRECTORY => Kind::Directory,
            SYMLINK => Kind::Symlink,
            REGULAR => Kind::File,
            _ => Kind::HardLink,
        }
    }

    pub(crate) fn name<'a>(&self, names: &'a [u8]) -> &'a [u8] {
        let offset = (self.name >> 16) as usize;
        &names[offset..offset + (self.name & 0xffff) as usize]
    }
}

/// Where a name is in the names' bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    /// Below 2⁴⁸.
    pub offset: usize,
    /// At most 255.
    pub length: u16,
}

/// The nodes while the tree is built, with an index by parent and name.
pub(crate) struct NodeTable {
    nodes: Vec<Node>,
    /// Open addressing with linear probing: indices into `nodes`, 0 for a free slot (the root is never looked up).
    slots: Vec<u32>,
    /// Keyed at random, so that an archive cannot choose names that collide.
    hasher: RandomState,
}

impl NodeTable {
    /// A table with the root alone, and room for `expected` nodes.
    pub(crate) fn new(expected: usize, root_source: u64) -> NodeTable {
        let mut nodes = Vec::with_capacity(expected + 1);
        let name = Name { offset: 0, length: 0 };
        nodes.push(Node::new(name, 0, Kind::Directory.mode(0o755), 0, root_source));
        let slots = vec![0; (expected * 2).next_power_of_two().max(64)];
        NodeTable { nodes, slots, hasher: RandomState::new() }
    }

    /// Nodes below the root.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    pub(crate) fn node(&self, index: u32) -> &Node {
        &self.nodes[index as usize]
    }

    pub(crate) fn node_mut(&mut self, index: u32) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    /// The child of `parent` with this name.
    pub(crate) fn find(&self, names: &[u8], parent: u32, name: &[u8]) -> Option<u32> {
        let mut slot = self.slot(parent, name);
        loop {
            match self.slots[slot] {
                0 => return None,
                index => {
                    let node = self.node(index);
                    if node.parent == parent && node.name(names) == name {
                        return Some(index);
                    }
                }
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }

    /// Adds a node that [`find`](Self::find) does not find.
    pub(crate) fn insert(&mut self, names: &[u8], node: Node) -> u32 {
        if (self.nodes.len() + 1) * 4 > self.slots.len() * 3 {
            self.grow(names);
        }
        let index = self.nodes.len() as u32;
        self.place(names, &node, index);
        self.nodes.push(node);
        index
    }

    /// The finished nodes. The index is gone.
    pub(crate) fn into_nodes(self) -> Vec<Node> {
        self.nodes
    }

    fn grow(&mut self, names: &[u8]) {
        self.slots = vec![0; self.slots.len() * 2];
        let nodes = std::mem::take(&mut self.nodes);
        for (index, node) in nodes.iter().enumerate().skip(1) {
            self.place(names, node, index as u32);
        }
        self.nodes = nodes;
    }

    fn place(&mut self, names: &[u8], node: &Node, index: u32) {
        let mut slot = self.slot(node.parent, node.name(names));
        while self.slots[slot] != 0 {
            slot = (slot + 1) & (self.slots.len() - 1);
        }
        self.slots[slot] = index;
    }

    fn slot(&self, parent: u32, name: &[u8]) -> usize {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u32(parent);
        hasher.write(name);
        hasher.finish() as usize & (self.slots.len() - 1)
    }
}
