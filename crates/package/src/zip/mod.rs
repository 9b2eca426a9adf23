//! .zip archives: a deployment package or a layer becomes a code image, or a directory where the kernel has no EROFS.
//!
//! Accepted: stored and deflated entries, zip64, data descriptors, comments, bytes before the archive (as in
//! self-extracting ones), names in any encoding, kept as the bytes they are.
//!
//! What becomes of an entry:
//!
//! - **Names**: components `.` and empty ones are dropped, as `unzip` does; a backslash is a character like others.
//! - **Modes**: permissions as the archive has them, without set-id and sticky bits; an archive made without Unix
//!   modes gets 644, and 755 for directories. A directory that others cannot read and enter becomes 755, as AWS does.
//! - **Times**: the extended timestamp if there is one, else the DOS time taken as UTC, so that Python finds its
//!   `.pyc` files valid. Directories that no entry names have 1980-01-01. Owner and group are root.
//! - **Links** stay links if they stay within the package, or if they are absolute and name a place that belongs to
//!   the function: `/opt`, `/tmp` or `/var/task`. People do link `node_modules` to a layer and caches to `/tmp`.
//! - **Names that appear twice** are refused, unless both are directories.

mod central_directory;
mod content;
mod directory;
mod links;
mod names;
mod plan;

use std::fs::File;
use std::path::Path;

use bojagi_model::limits::Limits;

use crate::Ingested;
use crate::erofs::layout::Layout;
use crate::erofs::writer;
use crate::error::ZipError;
use content::Archive;
use plan::Plan;

/// What bounds the reading of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZipLimits {
    /// All files and link targets unzipped, in bytes. AWS: 262,144,000.
    pub unzipped_bytes: u64,
    /// Entries, with the directories that their names imply.
    pub entries: u64,
}

impl From<&Limits> for ZipLimits {
    fn from(limits: &Limits) -> ZipLimits {
        ZipLimits { unzipped_bytes: limits.unzipped_bytes, entries: limits.zip_entries }
    }
}

/// Makes a code image of an archive.
///
/// `output` is an empty file, open for reading and writing, that the caller owns: the caller makes it durable and gives
/// it its name, or deletes it after an error.
///
/// # Errors
///
/// [`ZipError`] says why the archive was refused, or that the output could not be written.
pub fn ingest(zip: &[u8], output: &File, limits: &ZipLimits) -> Result<Ingested, ZipError> {
    let Plan { base, nodes, unzipped_bytes } = Plan::new(zip, limits)?;
    let entries = nodes.len() as u64 - 1;
    let layout = Layout::new(nodes, zip, |_| 0)
        .ok_or(ZipError::TooLarge { limit: limits.unzipped_bytes, declared: unzipped_bytes })?;
    let image = writer::write(&Archive::new(zip, base), &layout, output)?;
    Ok(Ingested { image, image_bytes: layout.image_bytes, unzipped_bytes, entries })
}

/// Unpacks an archive into a directory, for kernels that cannot mount an image. The same archives are refused.
///
/// `directory` exists, is empty and belongs to the caller, who removes it after an error. The result's `image` is a
/// digest of the archive's bytes: the same archive, the same name.
///
/// # Errors
///
/// [`ZipError`] says why the archive was refused, or that the output could not be written.
pub fn extract(zip: &[u8], directory: &Path, limits: &ZipLimits) -> Result<Ingested, ZipError> {
    let Plan { base, nodes, unzipped_bytes } = Plan::new(zip, limits)?;
    directory::extract(&Archive::new(zip, base), &nodes, directory)?;
    let image = directory::digest(zip);
    Ok(Ingested { image, image_bytes: unzipped_bytes, unzipped_bytes, entries: nodes.len() as u64 - 1 })
}

/// Checks an archive as far as its directory and headers tell, without inflating its files: what can be refused before
/// an upload is accepted. Returns the bytes it declares and its entries.
///
/// # Errors
///
/// [`ZipError`] says why the archive would be refused.
pub fn check(zip: &[u8], limits: &ZipLimits) -> Result<(u64, u64), ZipError> {
    let plan = Plan::new(zip, limits)?;
    Ok((plan.unzipped_bytes, plan.nodes.len() as u64 - 1))
}
