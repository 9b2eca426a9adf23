//! The checked plan of an archive: every entry accepted or refused before a byte is written.

use super::ZipLimits;
use super::central_directory::{CentralDirectory, Record};
use super::content::{Archive, IMPLIED};
use super::links;
use super::names::{PATH_BYTES, Path, name_of};
use crate::erofs::layout::NODES;
use crate::error::{EntryProblem, ZipError};
use crate::nodes::{Kind, Name, Node, NodeTable};

const ROOT: u32 = 0;
/// Deflate's best case: 258 bytes for two bits.
const DEFLATE_RATIO: u64 = 1032;

/// Systems in "version made by" whose attributes have a Unix mode in the upper half.
const HOST_UNIX: u8 = 3;
const HOST_DARWIN: u8 = 19;
const HOST_FAT: u8 = 0;
const DOS_READ_ONLY: u32 = 0x01;
const DOS_DIRECTORY: u32 = 0x10;

/// An archive's tree. A node's `source` is the place of its record, or [`IMPLIED`].
pub(super) struct Plan {
    /// See [`CentralDirectory::base`].
    pub base: u64,
    pub nodes: Vec<Node>,
    pub unzipped_bytes: u64,
}

impl Plan {
    pub(super) fn new(zip: &[u8], limits: &ZipLimits) -> Result<Plan, ZipError> {
        let directory = CentralDirectory::locate(zip)?;
        let limit = limits.entries.min(NODES);
        if directory.entries > limit {
            return Err(ZipError::TooManyEntries { limit });
        }
        if directory.start == directory.end && directory.entries == 0 {
            return Err(ZipError::Empty);
        }
        let expected = directory.entries as usize;
        let mut builder = Builder {
            zip,
            limit,
            table: NodeTable::new(expected, IMPLIED),
            unzipped: Total { bytes: 0, limit: limits.unzipped_bytes },
        };
        // 16 bytes for an entry; gone before the files are inflated.
        let mut ranges: Vec<(u64, u64)> = Vec::with_capacity(expected);
        let mut offset = directory.start;
        while offset < directory.end {
            let record = Record::at(zip, offset, directory.end, directory.base)?;
            offset += record.length;
            if ranges.len() as u64 == limit {
                return Err(ZipError::TooManyEntries { limit });
            }
            builder.add(&record)?;
            ranges.push((record.local, record.data(zip, directory.start)?.end as u64));
        }
        directory.check_count(ranges.len() as u64)?;
        check_overlaps(zip, &directory, ranges)?;
        let Builder { table, unzipped, .. } = builder;
        links::check(&Archive::new(zip, directory.base), &table)?;
        Ok(Plan { base: directory.base, nodes: table.into_nodes(), unzipped_bytes: unzipped.bytes })
    }
}

/// No two entries share bytes: what makes a small archive large without end, and what two readers see differently.
fn check_overlaps(zip: &[u8], directory: &CentralDirectory, mut ranges: Vec<(u64, u64)>) -> Result<(), ZipError> {
    ranges.sort_unstable();
    let Some(pair) = ranges.windows(2).find(|pair| pair[0].1 > pair[1].0) else { return Ok(()) };
    // Rare enough to search for the name again.
    let mut offset = directory.start;
    while offset < directory.end {
        let record = Record::at(zip, offset, directory.end, directory.base)?;
        if record.local == pair[1].0 {
            return Err(record.error(EntryProblem::Overlap));
        }
        offset += record.length;
    }
    Err(ZipError::Malformed { what: "overlapping entries", offset: pair[1].0 })
}

struct Total {
    bytes: u64,
    limit: u64,
}

impl Total {
    fn add(&mut self, bytes: u64) -> Result<(), ZipError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.limit {
            return Err(ZipError::TooLarge { limit: self.limit, declared: self.bytes });
        }
        Ok(())
    }
}

struct Builder<'a> {
    zip: &'a [u8],
    limit: u64,
    table: NodeTable,
    unzipped: Total,
}

impl<'a> Builder<'a> {
    fn add(&mut self, record: &Record<'a>) -> Result<(), ZipError> {
        let error = |problem| record.error(problem);
        let path = Path::new(name_of(record)).map_err(error)?;
        if let Some(problem) = record.unreadable() {
            return Err(error(problem));
        }
        let (kind, permissions) = kind_of(record, path.is_directory).map_err(error)?;
        if kind != Kind::Directory {
            self.unzipped.add(record.uncompressed)?;
        }
        check_size(record, kind).map_err(error)?;
        let node = |name, parent| {
            let size = if kind == Kind::Directory { 0 } else { record.uncompressed };
            Node::new(name, parent, kind.mode(permissions), size, record.offset as u64)
        };
        let mut parent = ROOT;
        let mut components = path.components().peekable();
        while let Some(component) = components.next() {
            let last = components.peek().is_none();
            let found = self.table.find(self.zip, parent, component);
            parent = match found {
                Some(index) if last => {
                    if kind != Kind::Directory || self.table.node(index).kind() != Kind::Directory {
                        return Err(error(EntryProblem::Duplicate));
                    }
                    self.describe(index, record, permissions);
                    return Ok(());
                }
                Some(index) if self.table.node(index).kind() == Kind::Directory => index,
                Some(_) => return Err(error(EntryProblem::BelowNonDirectory)),
                None if last => self.insert(node(self.name(component), parent))?,
                None => {
                    let mode = Kind::Directory.mode(0o755);
                    self.insert(Node::new(self.name(component), parent, mode, 0, IMPLIED))?
                }
            };
        }
        // Nothing but dots and slashes: the root itself, as `tar` and others name it.
        if parent == ROOT {
            if kind != Kind::Directory {
                return Err(error(EntryProblem::EmptyName));
            }
            self.describe(ROOT, record, permissions);
        }
        Ok(())
    }

    /// A directory that was implied, or named before, takes on what this record says of it.
    fn describe(&mut self, index: u32, record: &Record<'_>, permissions: u16) {
        let node = self.table.node_mut(index);
        node.mode = Kind::Directory.mode(permissions);
        node.source = record.offset as u64;
    }

    fn insert(&mut self, node: Node) -> Result<u32, ZipError> {
        if self.table.len() as u64 >= self.limit {
            return Err(ZipError::TooManyEntries { limit: self.limit });
        }
        Ok(self.table.insert(self.zip, node))
    }

    /// Where in the archive a part of it is.
    fn name(&self, part: &'a [u8]) -> Name {
        Name { offset: part.as_ptr() as usize - self.zip.as_ptr() as usize, length: part.len() as u16 }
    }
}

/// What Maven's archiver writes for a mode of -1, "not known": every directory below `META-INF/maven` of a jar may have it.
const UNKNOWN_MODE: u16 = 0o177777;

/// What an entry is, and its permissions.
fn kind_of(record: &Record<'_>, named_directory: bool) -> Result<(Kind, u16), EntryProblem> {
    let mode = (record.attributes >> 16) as u16;
    let unix_host = matches!(record.host, HOST_UNIX | HOST_DARWIN);
    // Others may have a mode there as well (PKZIP on Unix calls its host FAT); its type tells that it is one.
    let has_mode = if unix_host { !matches!(mode, 0 | UNKNOWN_MODE) } else { matches!(mode >> 12, 0o10 | 0o04) };
    if !has_mode {
        let dos_directory = record.attributes & DOS_DIRECTORY != 0 && record.uncompressed == 0;
        let read_only = record.host == HOST_FAT && record.attributes & DOS_READ_ONLY != 0;
        return Ok(match (named_directory || dos_directory, read_only) {
            (true, _) => (Kind::Directory, 0o755),
            (false, true) => (Kind::File, 0o444),
            (false, false) => (Kind::File, 0o644),
        });
    }
    let kind = match mode >> 12 {
        0o04 => Kind::Directory,
        0o10 | 0 if named_directory => Kind::Directory,
        0o10 | 0 => Kind::File,
        0o12 if !named_directory => Kind::Symlink,
        _ => return Err(EntryProblem::SpecialFile(mode)),
    };
    let permissions = mode & 0o777;
    Ok((
        kind,
        match kind {
            Kind::Symlink => 0o777,
            // AWS: "directories Lambda cannot access are set to 755".
            Kind::Directory if permissions & 0o005 != 0o005 => 0o755,
            _ => permissions,
        },
    ))
}

/// Sizes that no data can have are refused without looking at the data.
fn check_size(record: &Record<'_>, kind: Kind) -> Result<(), EntryProblem> {
    let Record { compressed, uncompressed, .. } = *record;
    match kind {
        Kind::Directory if uncompressed != 0 => return Err(EntryProblem::DirectoryWithContent),
        Kind::Symlink if uncompressed == 0 || uncompressed >= PATH_BYTES as u64 => {
            return Err(EntryProblem::BadLinkTarget);
        }
        Kind::File if uncompressed == 0 && record.crc != 0 => return Err(EntryProblem::WrongChecksum),
        _ => {}
    }
    let possible = match record.method {
        0 => compressed == uncompressed,
        _ => uncompressed / DEFLATE_RATIO <= compressed,
    };
    if possible { Ok(()) } else { Err(EntryProblem::ImpossibleSize) }
}
