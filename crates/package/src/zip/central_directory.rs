//! The end records and the central directory of an archive (PKWARE's APPNOTE.TXT, 4.3.12 to 4.3.16).

use crate::erofs::format::{u16_at, u32_at, u64_at};
use crate::error::{EntryProblem, ZipError};

const RECORD: u32 = 0x0201_4b50;
const RECORD_BYTES: usize = 46;
const LOCAL: u32 = 0x0403_4b50;
const LOCAL_BYTES: usize = 30;
const END: u32 = 0x0605_4b50;
const END_BYTES: usize = 22;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_END_BYTES: usize = 56;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;
const ZIP64_LOCATOR_BYTES: usize = 20;
const EXTRA_ZIP64: u16 = 0x0001;

/// Encrypted, "strong" encryption, masked headers; and compressed patched data, which nobody writes.
const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const FLAG_PATCH: u16 = 1 << 5;
/// Sizes and checksum follow the data; the local header need not have them.
const FLAG_DESCRIPTOR: u16 = 1 << 3;

/// Where the central directory is.
#[derive(Clone, Copy, Debug)]
pub(super) struct CentralDirectory {
    pub start: usize,
    pub end: usize,
    /// Entries as the end record counts them; only the lower 16 bits without zip64.
    pub entries: u64,
    pub zip64: bool,
    /// What to add to the offsets in the directory: the length of what precedes the archive.
    pub base: u64,
}

/// One entry's record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    /// Where the record is in the archive.
    pub offset: usize,
    /// Bytes of the record with name, extra fields and comment.
    pub length: usize,
    /// The system that the attributes are of (the upper byte of "version made by").
    pub host: u8,
    pub flags: u16,
    pub method: u16,
    pub time: u16,
    pub date: u16,
    pub crc: u32,
    pub compressed: u64,
    pub uncompressed: u64,
    /// Where the local header is in the archive.
    pub local: u64,
    pub attributes: u32,
    pub name: &'a [u8],
    pub extra: &'a [u8],
}

impl CentralDirectory {
    /// Finds the central directory from the end of the archive.
    pub(super) fn locate(zip: &[u8]) -> Result<CentralDirectory, ZipError> {
        let at = find_end(zip).ok_or(ZipError::NotAZip)?;
        let end = &zip[at..at + END_BYTES];
        let mut found = EndRecord {
            disks: [u16_at(end, 4).into(), u16_at(end, 6).into()],
            here: u16_at(end, 8).into(),
            entries: u16_at(end, 10).into(),
            size: u32_at(end, 12).into(),
            offset: u32_at(end, 16).into(),
        };
        let mut directory_end = at;
        let zip64 = found.is_saturated() && at >= ZIP64_LOCATOR_BYTES && {
            u32_at(zip, at - ZIP64_LOCATOR_BYTES) == ZIP64_LOCATOR
        };
        if zip64 {
            (found, directory_end) = zip64_end(zip, at - ZIP64_LOCATOR_BYTES)?;
        }
        if found.disks != [0, 0] || found.here != found.entries {
            return Err(ZipError::MultiDisk);
        }
        let truncated = ZipError::Truncated { what: "the central directory", offset: found.offset };
        let size = usize::try_from(found.size).ok().filter(|size| *size <= directory_end);
        let Some(start) = size.map(|size| directory_end - size) else { return Err(truncated) };
        // The directory ends where the end record begins. If it is not there, the record's offset must be exact.
        let (start, base) = if found.size == 0 || signature(zip, start) == Some(RECORD) {
            (start, (start as u64).checked_sub(found.offset).ok_or(truncated)?)
        } else {
            (usize::try_from(found.offset).unwrap_or(usize::MAX), 0)
        };
        let end = start.checked_add(found.size as usize).filter(|end| *end <= directory_end);
        let end = end.ok_or(ZipError::Truncated { what: "the central directory", offset: found.offset })?;
        Ok(CentralDirectory { start, end, entries: found.entries, zip64, base })
    }

    /// Whether the end record's count is the number of records found.
    pub(super) fn check_count(&self, found: u64) -> Result<(), ZipError> {
        // Without zip64 the count has 16 bits; some writers let it wrap.
        let same = if self.zip64 { found == self.entries } else { found & 0xffff == self.entries };
        if same { Ok(()) } else { Err(ZipError::EntryCount { declared: self.entries, found }) }
    }
}

struct EndRecord {
    disks: [u32; 2],
    here: u64,
    entries: u64,
    size: u64,
    offset: u64,
}

impl EndRecord {
    /// Whether a field says "see the zip64 record".
    fn is_saturated(&self) -> bool {
        self.disks.contains(&0xffff)
            || self.here == 0xffff
            || self.entries == 0xffff
            || self.size == 0xffff_ffff
            || self.offset == 0xffff_ffff
    }
}

/// The last end record whose comment ends with the archive; failing that, the last whose comment fits.
fn find_end(zip: &[u8]) -> Option<usize> {
    let last = zip.len().checked_sub(END_BYTES)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let rest = |at: usize| {
        let comment = usize::from(u16_at(zip, at + 20));
        (zip.len() - at - END_BYTES).checked_sub(comment)
    };
    let candidates = || (first..=last).rev().filter(|at| signature(zip, *at) == Some(END));
    candidates().find(|at| rest(*at) == Some(0)).or_else(|| candidates().find(|at| rest(*at).is_some()))
}

/// The zip64 end record that a locator leads to, and where it is.
fn zip64_end(zip: &[u8], locator: usize) -> Result<(EndRecord, usize), ZipError> {
    let declared = u64_at(zip, locator + 8);
    if u32_at(zip, locator + 4) != 0 || u32_at(zip, locator + 16) > 1 {
        return Err(ZipError::MultiDisk);
    }
    // With bytes before the archive the offset is short of the place; then the record is just before its locator.
    let places = [usize::try_from(declared).ok(), locator.checked_sub(ZIP64_END_BYTES)];
    let fits = |at: &usize| *at <= locator && locator - *at >= ZIP64_END_BYTES;
    let at = places.into_iter().flatten().filter(fits).find(|at| signature(zip, *at) == Some(ZIP64_END));
    let at = at.ok_or(ZipError::Malformed { what: "no zip64 end record where its locator says", offset: declared })?;
    let record = EndRecord {
        disks: [u32_at(zip, at + 16), u32_at(zip, at + 20)],
        here: u64_at(zip, at + 24),
        entries: u64_at(zip, at + 32),
        size: u64_at(zip, at + 40),
        offset: u64_at(zip, at + 48),
    };
    Ok((record, at))
}

impl<'a> Record<'a> {
    /// The record at `offset`, which must end before `end`. `base` is the directory's.
    pub(super) fn at(zip: &'a [u8], offset: usize, end: usize, base: u64) -> Result<Record<'a>, ZipError> {
        let truncated = || ZipError::Truncated { what: "a central directory record", offset: offset as u64 };
        let bytes = zip.get(offset..end).ok_or_else(truncated)?;
        if bytes.len() < RECORD_BYTES {
            return Err(truncated());
        }
        if u32_at(bytes, 0) != RECORD {
            return Err(ZipError::Malformed { what: "no central directory record", offset: offset as u64 });
        }
        let lengths = [28, 30, 32].map(|at| usize::from(u16_at(bytes, at)));
        let length = RECORD_BYTES + lengths.iter().sum::<usize>();
        let variable = bytes.get(RECORD_BYTES..length).ok_or_else(truncated)?;
        let (name, rest) = variable.split_at(lengths[0]);
        let mut record = Record {
            offset,
            length,
            host: bytes[5],
            flags: u16_at(bytes, 8),
            method: u16_at(bytes, 10),
            time: u16_at(bytes, 12),
            date: u16_at(bytes, 14),
            crc: u32_at(bytes, 16),
            compressed: u32_at(bytes, 20).into(),
            uncompressed: u32_at(bytes, 24).into(),
            local: u32_at(bytes, 42).into(),
            attributes: u32_at(bytes, 38),
            name,
            extra: &rest[..lengths[1]],
        };
        let disk = record.widen(u16_at(bytes, 34))?;
        if disk != 0 {
            return Err(ZipError::MultiDisk);
        }
        record.local = record.local.checked_add(base).ok_or_else(|| record.error(EntryProblem::OutOfBounds))?;
        Ok(record)
    }

    /// Takes the fields that say so from the zip64 extra field. Returns the disk's number.
    fn widen(&mut self, disk: u16) -> Result<u32, ZipError> {
        let error = self.error(EntryProblem::Zip64Extra);
        let wide = [self.uncompressed, self.compressed, self.local].map(|value| value == 0xffff_ffff);
        if !wide.contains(&true) && disk != 0xffff {
            return Ok(disk.into());
        }
        let Some(mut extra) = self.extra(EXTRA_ZIP64) else { return Err(error) };
        for (wide, field) in wide.iter().zip([&mut self.uncompressed, &mut self.compressed, &mut self.local]) {
            if *wide {
                let (value, rest) = extra.split_first_chunk().ok_or(()).map_err(|()| ZipError::Malformed {
                    what: "zip64 extra field is short",
                    offset: self.offset as u64,
                })?;
                *field = u64::from_le_bytes(*value);
                extra = rest;
            }
        }
        match (disk, extra.first_chunk()) {
            (0xffff, Some(disk)) => Ok(u32::from_le_bytes(*disk)),
            (0xffff, None) => Err(error),
            _ => Ok(disk.into()),
        }
    }

    /// The content of the extra field with this number.
    pub(super) fn extra(&self, number: u16) -> Option<&'a [u8]> {
        extra(self.extra, number)
    }

    /// What keeps this entry from being read, if anything.
    pub(super) fn unreadable(&self) -> Option<EntryProblem> {
        if self.flags & FLAGS_ENCRYPTED != 0 {
            Some(EntryProblem::Encrypted)
        } else if !matches!(self.method, 0 | 8) || self.flags & FLAG_PATCH != 0 {
            Some(EntryProblem::UnsupportedMethod(self.method))
        } else {
            None
        }
    }

    /// Checks the local header against this record. Returns the data's place.
    ///
    /// `limit` is where the central directory begins, which entries must not reach.
    pub(super) fn data(&self, zip: &[u8], limit: usize) -> Result<std::ops::Range<usize>, ZipError> {
        let error = |problem| self.error(problem);
        let start = usize::try_from(self.local).ok().filter(|start| *start < limit);
        let start = start.ok_or_else(|| error(EntryProblem::OutOfBounds))?;
        let bytes = &zip[start..limit];
        if bytes.len() < LOCAL_BYTES {
            return Err(error(EntryProblem::OutOfBounds));
        }
        if u32_at(bytes, 0) != LOCAL {
            return Err(error(EntryProblem::NoLocalHeader));
        }
        let (name, extra) = (usize::from(u16_at(bytes, 26)), usize::from(u16_at(bytes, 28)));
        let head = LOCAL_BYTES + name + extra;
        let end = u64::try_from(head).ok().and_then(|head| head.checked_add(self.compressed));
        let end = end.filter(|end| *end <= bytes.len() as u64).ok_or_else(|| error(EntryProblem::OutOfBounds))?;
        if bytes[LOCAL_BYTES..LOCAL_BYTES + name] != *self.name {
            return Err(error(EntryProblem::HeadersDisagree("name")));
        }
        self.compare(bytes, &bytes[LOCAL_BYTES + name..head])?;
        Ok(start + head..start + end as usize)
    }

    fn compare(&self, local: &[u8], local_extra: &[u8]) -> Result<(), ZipError> {
        let differs = |what| Err(self.error(EntryProblem::HeadersDisagree(what)));
        let flags = u16_at(local, 6);
        if u16_at(local, 8) != self.method {
            return differs("method");
        }
        if (flags ^ self.flags) & FLAGS_ENCRYPTED != 0 {
            return differs("encryption");
        }
        if flags & FLAG_DESCRIPTOR != 0 {
            return Ok(());
        }
        if u32_at(local, 14) != self.crc {
            return differs("checksum");
        }
        let mut wide = extra(local_extra, EXTRA_ZIP64).unwrap_or_default();
        for (at, expected) in [(22, self.uncompressed), (18, self.compressed)] {
            let mut size = u64::from(u32_at(local, at));
            if size == 0xffff_ffff
                && let Some((value, rest)) = wide.split_first_chunk()
            {
                size = u64::from_le_bytes(*value);
                wide = rest;
            }
            if size != expected {
                return differs("size");
            }
        }
        Ok(())
    }

    pub(super) fn error(&self, problem: EntryProblem) -> ZipError {
        ZipError::entry(self.name, problem)
    }
}

/// An extra field's content. A field that reaches beyond the end is taken as the end of the fields: Java and Android
/// tools pad with such.
fn extra(mut fields: &[u8], number: u16) -> Option<&[u8]> {
    while fields.len() >= 4 {
        let length = usize::from(u16_at(fields, 2));
        let content = fields.get(4..4 + length)?;
        if u16_at(fields, 0) == number {
            return Some(content);
        }
        fields = &fields[4 + length..];
    }
    None
}

fn signature(zip: &[u8], at: usize) -> Option<u32> {
    Some(u32_at(zip.get(at..)?.first_chunk::<4>()?, 0))
}
