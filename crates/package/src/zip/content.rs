//! The content of an archive's entries, inflated and checked.

use std::cell::RefCell;
use std::io;

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::{Crc, DecompressionError, Decompressor};

use super::central_directory::Record;
use crate::erofs::format::u32_at;
use crate::erofs::writer::{Attributes, Source};
use crate::error::{EntryProblem, ZipError};
use crate::nodes::Node;

/// A node's `source` if no entry names it.
pub(super) const IMPLIED: u64 = u64::MAX;

const STREAM_BYTES: usize = 256 << 10;
const EXTRA_TIMESTAMP: u16 = 0x5455;
/// 1980-01-01, the first day that an archive can name.
const FIRST_DAY: u64 = 315_532_800;

thread_local! {
    static DECOMPRESSOR: RefCell<Decompressor> = RefCell::new(Decompressor::new());
}

/// An archive whose plan was accepted.
pub(super) struct Archive<'a> {
    zip: &'a [u8],
    base: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn new(zip: &'a [u8], base: u64) -> Archive<'a> {
        Archive { zip, base }
    }

    fn record(&self, node: &Node) -> Result<Record<'a>, ZipError> {
        Record::at(self.zip, node.source as usize, self.zip.len(), self.base)
    }

    /// A node's record and its compressed data.
    fn entry(&self, node: &Node) -> Result<(Record<'a>, &'a [u8]), ZipError> {
        let record = self.record(node)?;
        let data = record.data(self.zip, self.zip.len())?;
        Ok((record, &self.zip[data]))
    }

    /// An error about a node's entry.
    pub(super) fn error(&self, node: &Node, problem: EntryProblem) -> ZipError {
        match self.record(node) {
            Ok(record) => record.error(problem),
            Err(error) => error,
        }
    }
}

impl Source for Archive<'_> {
    type Error = ZipError;

    fn names(&self) -> &[u8] {
        self.zip
    }

    fn attributes(&self, node: &Node) -> Attributes<'_> {
        let record = if node.source == IMPLIED { None } else { self.record(node).ok() };
        let mtime = record.map_or(FIRST_DAY, |record| mtime(&record));
        Attributes { mtime, links: 1, ..Attributes::default() }
    }

    fn read(&self, node: &Node, out: &mut [u8]) -> Result<(), ZipError> {
        if out.is_empty() {
            return Ok(());
        }
        let (record, data) = self.entry(node)?;
        if record.method == 0 {
            if data.len() != out.len() {
                return Err(record.error(EntryProblem::WrongSize));
            }
            out.copy_from_slice(data);
        } else {
            let result = DECOMPRESSOR.with_borrow_mut(|decompressor| decompressor.deflate_decompress(data, out));
            match result {
                Ok(bytes) if bytes == out.len() => {}
                Ok(_) | Err(DecompressionError::InsufficientSpace) => {
                    return Err(record.error(EntryProblem::WrongSize));
                }
                Err(DecompressionError::BadData) => return Err(record.error(EntryProblem::BadDeflate)),
            }
        }
        if libdeflater::crc32(out) == record.crc { Ok(()) } else { Err(record.error(EntryProblem::WrongChecksum)) }
    }

    fn stream(&self, node: &Node, write: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<(), ZipError> {
        let (record, data) = self.entry(node)?;
        let mut crc = Crc::new();
        let mut rest = record.uncompressed;
        let mut take = |part: &[u8]| -> Result<(), ZipError> {
            rest = rest.checked_sub(part.len() as u64).ok_or_else(|| record.error(EntryProblem::WrongSize))?;
            crc.update(part);
            Ok(write(part)?)
        };
        if record.method == 0 {
            data.chunks(STREAM_BYTES).try_for_each(&mut take)?;
        } else {
            inflate(&record, data, &mut take)?;
        }
        if rest != 0 {
            return Err(record.error(EntryProblem::WrongSize));
        }
        if crc.sum() == record.crc { Ok(()) } else { Err(record.error(EntryProblem::WrongChecksum)) }
    }
}

/// Inflates in parts. libdeflate wants the whole output in memory; this is for files too large for that.
fn inflate(
    record: &Record<'_>,
    mut data: &[u8],
    take: &mut dyn FnMut(&[u8]) -> Result<(), ZipError>,
) -> Result<(), ZipError> {
    let mut decompress = Decompress::new(false);
    let mut buffer = vec![0; STREAM_BYTES];
    loop {
        let (before_in, before_out) = (decompress.total_in(), decompress.total_out());
        let status = decompress.decompress(data, &mut buffer, FlushDecompress::None);
        let status = status.map_err(|_| record.error(EntryProblem::BadDeflate))?;
        let consumed = (decompress.total_in() - before_in) as usize;
        let produced = (decompress.total_out() - before_out) as usize;
        data = &data[consumed..];
        take(&buffer[..produced])?;
        match status {
            Status::StreamEnd => return Ok(()),
            _ if consumed == 0 && produced == 0 => return Err(record.error(EntryProblem::BadDeflate)),
            _ => {}
        }
    }
}

/// Seconds since 1970: the extended timestamp's, else the DOS time taken as UTC, whatever zone it was meant in.
fn mtime(record: &Record<'_>) -> u64 {
    if let Some([flags, time @ ..]) = record.extra(EXTRA_TIMESTAMP)
        && flags & 1 != 0
        && time.len() >= 4
    {
        // A signed number; what is before 1970 becomes 1970.
        return u64::try_from(u32_at(time, 0).cast_signed()).unwrap_or(0);
    }
    let (date, time) = (u64::from(record.date), u64::from(record.time));
    let (year, month, day) = (1980 + (date >> 9), date >> 5 & 0xf, date & 0x1f);
    if !(1..=12).contains(&month) || day == 0 {
        return FIRST_DAY;
    }
    // Days since 0000-03-01 in the Gregorian calendar, the year beginning in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    (days - 719_468) * 86_400 + (time >> 11) * 3600 + (time >> 5 & 0x3f) * 60 + (time & 0x1f) * 2
}
