//! Deployment packages: hostile bytes in, verified EROFS code images out.
//!
//! ```text
//! zip    (central directory → checked plan → parallel inflate)  ─┐
//! tree   (a directory on disk, for base images)                  ├→ erofs::writer → one file, deterministic → digest
//! tar    (OCI layers; a later issue)                             ─┘
//! ```
//!
//! What always holds:
//!
//! - **Everything is checked before anything is written**: names, links, sizes, ranges and counts come from the
//!   central directory and the local headers. What only the data can tell (checksum, real size) is checked while it is
//!   written, never beyond the place that the plan gave it.
//! - **The same input makes the same image**, byte for byte, whatever the machine, the number of its cores or the time.
//! - **Memory is bounded** by the limits on entries, not by what an archive says of itself: below 64 MB beside the
//!   archive for any archive.
//! - A caller that gets an error throws the output away; nothing else was touched.

pub mod erofs;
pub mod error;
pub mod tree;
pub mod zip;

pub(crate) mod nodes;
pub(crate) mod parallel;

use bojagi_model::Digest;

/// What an ingestion made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingested {
    /// The name of the result: [`erofs::digest`] of a code image; for [`zip::extract`], a digest of the archive.
    pub image: Digest,
    /// The length of the image file, in bytes; for [`zip::extract`], the bytes of the files written.
    pub image_bytes: u64,
    /// The bytes of all files and link targets, which AWS's limit is about.
    pub unzipped_bytes: u64,
    /// Entries in the image: files, links and directories, among them those that no archive entry names but other
    /// names imply. The root is not counted.
    pub entries: u64,
}
