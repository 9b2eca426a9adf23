//! Where everything goes: known from the sizes alone, before the first byte is written.

use super::directory::{Tree, order};
use super::format::{
    BLOCK_BYTES, EXTENDED_INODE_BYTES, INODE_SLOT_BYTES, SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, block_align,
};
use crate::nodes::{Kind, NO_BLOCK, Node};

/// Content up to this many bytes goes behind its inode, so that many small files do not take a block each. More would
/// leave much of a block empty behind the inodes that do not fit together.
const INLINE_BYTES: u64 = 2048;
/// Link targets always do where they fit with the inode: the kernel keeps those in memory.
const INLINE_LINK_BYTES: u64 = (BLOCK_BYTES - EXTENDED_INODE_BYTES) as u64;

/// The most nodes that an image's inode numbers, kept in 32 bits, are sure to have room for.
pub(crate) const NODES: u64 = 1 << 24;

/// A planned image.
pub(crate) struct Layout {
    /// The nodes, each with its place.
    pub nodes: Vec<Node>,
    /// See [`order`].
    pub order: Vec<u32>,
    /// The inodes that are written: nodes without further names of a file.
    pub inodes: u64,
    /// The length of the image, in bytes: whole blocks.
    pub image_bytes: u64,
}

impl Layout {
    /// Gives every node its place. `xattr_bytes` tells the length of a node's extended attributes.
    ///
    /// `None` if the image would have more blocks than 32 bits can count.
    pub(crate) fn new(mut nodes: Vec<Node>, names: &[u8], xattr_bytes: impl Fn(&Node) -> u64) -> Option<Layout> {
        let order = order(&nodes, names);
        for index in 0..nodes.len() {
            if nodes[index].kind() == Kind::Directory {
                nodes[index].size = Tree::new(names, &nodes, &order).size(index as u32);
            }
        }
        let (inodes, end) = place_inodes(&mut nodes, xattr_bytes);
        let mut next = block_align(end) / BLOCK_BYTES as u64;
        for kind in [Kind::Directory, Kind::Symlink, Kind::File] {
            next = place_blocks(&mut nodes, kind, next)?;
        }
        Some(Layout { nodes, order, inodes, image_bytes: next * BLOCK_BYTES as u64 })
    }
}

/// Bytes of a node's content that have blocks of their own.
pub(crate) fn block_bytes(node: &Node) -> u64 {
    if node.kind() == Kind::HardLink { 0 } else { node.size - u64::from(node.inline) }
}

fn place_inodes(nodes: &mut [Node], xattr_bytes: impl Fn(&Node) -> u64) -> (u64, u64) {
    let block = BLOCK_BYTES as u64;
    let mut position = (SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES) as u64;
    let mut inodes = 0;
    for node in nodes {
        let inline = match node.kind() {
            Kind::HardLink => continue,
            Kind::Directory => node.size % block,
            Kind::File | Kind::Symlink => node.size,
        };
        let most = if node.kind() == Kind::Symlink { INLINE_LINK_BYTES } else { INLINE_BYTES };
        let head = EXTENDED_INODE_BYTES as u64 + xattr_bytes(node);
        let inline = if inline <= most && head + inline <= block { inline } else { 0 };
        // An inode does not straddle blocks, and inline content lies in one block with the inode's end.
        let together = if inline > 0 { head + inline } else { EXTENDED_INODE_BYTES as u64 };
        if position % block + together > block {
            position = block_align(position);
        }
        node.inline = inline as u16;
        node.nid = (position / INODE_SLOT_BYTES) as u32;
        position = (position + head + inline).next_multiple_of(INODE_SLOT_BYTES);
        inodes += 1;
    }
    (inodes, position)
}

fn place_blocks(nodes: &mut [Node], kind: Kind, mut next: u64) -> Option<u64> {
    for node in nodes.iter_mut().filter(|node| node.kind() == kind) {
        let bytes = block_bytes(node);
        if bytes > 0 {
            node.block = u32::try_from(next).ok().filter(|block| *block != NO_BLOCK)?;
            next += bytes.div_ceil(BLOCK_BYTES as u64);
        }
    }
    (next < u64::from(NO_BLOCK)).then_some(next)
}
