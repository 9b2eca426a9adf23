//! Code images: EROFS file systems without compression, as the Linux kernel mounts them, written and read here.
//!
//! ```text
//! block 0          superblock, then the first inodes
//! blocks 0 … m     inodes; after each its small content: link targets, ends of directories, files to 2 KiB
//! blocks m … d     directories that have blocks of their own
//! blocks d … end   files, each beginning on a block, in the order of their names' first appearance
//! ```
//!
//! What is read to find a file comes before what is in the files, so that the front of an image is enough to list it.

mod digest;
pub(crate) mod directory;
pub mod format;
pub(crate) mod layout;
mod lookup;
pub mod reader;
pub(crate) mod writer;

pub use digest::{PIECE_BYTES, digest, verify};
