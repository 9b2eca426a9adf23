//! Entry names: which bytes are the name, and which path it is.

use super::central_directory::Record;
use crate::erofs::format::{NAME_BYTES, u32_at};
use crate::error::EntryProblem;

/// Linux's `PATH_MAX`, which counts the final NUL.
pub(super) const PATH_BYTES: usize = 4096;
const EXTRA_UNICODE_PATH: u16 = 0x7075;

/// The bytes that name an entry: those of the record, unless there is a Unicode path that was made for them (Info-ZIP's
/// extra field, which holds the checksum of the name it replaces).
pub(super) fn name_of<'a>(record: &Record<'a>) -> &'a [u8] {
    if let Some(extra) = record.extra(EXTRA_UNICODE_PATH)
        && extra.len() > 5
        && extra[0] == 1
        && u32_at(extra, 1) == libdeflater::crc32(record.name)
        && std::str::from_utf8(&extra[5..]).is_ok()
    {
        return &extra[5..];
    }
    record.name
}

/// A name's components, without `.` and empty ones, and whether the name says that it is a directory.
pub(super) struct Path<'a> {
    name: &'a [u8],
    pub is_directory: bool,
}

impl<'a> Path<'a> {
    /// Accepts a name that stays below the root, whatever it is appended to.
    pub(super) fn new(name: &'a [u8]) -> Result<Path<'a>, EntryProblem> {
        if name.is_empty() {
            return Err(EntryProblem::EmptyName);
        }
        if name.len() >= PATH_BYTES {
            return Err(EntryProblem::PathTooLong);
        }
        if name.contains(&0) {
            return Err(EntryProblem::NulInName);
        }
        if name[0] == b'/' {
            return Err(EntryProblem::AbsoluteName);
        }
        for component in name.split(|byte| *byte == b'/') {
            if component == b".." {
                return Err(EntryProblem::ParentInName);
            }
            if component.len() > NAME_BYTES {
                return Err(EntryProblem::ComponentTooLong);
            }
        }
        Ok(Path { name, is_directory: name.ends_with(b"/") || name == b"." || name.ends_with(b"/.") })
    }

    pub(super) fn components(&self) -> impl Iterator<Item = &'a [u8]> {
        components(self.name)
    }
}

/// The components of a path, without `.` and empty ones.
pub(super) fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|component| !matches!(*component, b"" | b"."))
}
