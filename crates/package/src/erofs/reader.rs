//! Reads code images, and any EROFS image without compression. Every field is taken for hostile.
//!
//! An [`Image`] holds nothing in memory but its superblock. What a path leads to is found as in a `chroot` of the
//! image, except that a link that leads out of it is an error: where the image will be mounted is not known here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::format::{
    BLOCK_BYTES, COMPACT_INODE_BYTES, DIRENT_BYTES, EXTENDED_INODE_BYTES, INODE_SLOT_BYTES, Inode, LAYOUT_INLINE,
    LAYOUT_PLAIN, NAME_BYTES, Superblock, SuperblockProblem, u16_at, u32_at, u64_at,
};
use crate::error::ImageError;

/// The longest target of a link.
const TARGET_BYTES: u64 = 4095;
const BLOCK: u64 = BLOCK_BYTES as u64;

/// Where an image's bytes are.
pub trait ReadAt {
    /// How many there are.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// What the operating system says; `UnexpectedEof` beyond the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}

impl ReadAt for &[u8] {
    fn length(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(start..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device node, FIFO or socket.
    Other,
}

/// An inode and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// EROFS's number of the inode.
    pub nid: u64,
    /// What the inode says. Its content lies within the image.
    pub inode: Inode,
    /// Where its inline content is, in bytes from the start of the image.
    inline_offset: u64,
}

impl Stat {
    /// What it is.
    pub fn file_type(&self) -> FileType {
        match self.inode.mode >> 12 {
            0o04 => FileType::Directory,
            0o10 => FileType::File,
            0o12 => FileType::Symlink,
            _ => FileType::Other,
        }
    }

    /// The permissions, with set-id and sticky bits.
    pub fn permissions(&self) -> u16 {
        self.inode.mode & 0o7777
    }

    /// Bytes of the content that have blocks; the rest follows the inode.
    fn block_bytes(&self) -> u64 {
        match self.inode.size {
            size if !self.inode.inline => size,
            0 => 0,
            size => (size - 1) / BLOCK * BLOCK,
        }
    }
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: bytes without NUL and slash, at most 255.
    pub name: Vec<u8>,
    /// The inode it names.
    pub nid: u64,
}

/// An open image.
#[derive(Debug)]
pub struct Image<S> {
    source: S,
    superblock: Superblock,
    length: u64,
}

impl<S: ReadAt> Image<S> {
    /// Reads the superblock.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if this is not an image that can be read here.
    pub fn open(source: S) -> Result<Image<S>, ImageError> {
        let length = source.length()?;
        if length < BLOCK {
            return Err(ImageError::Damaged("shorter than a block"));
        }
        let mut block = [0; BLOCK_BYTES];
        source.read_at(&mut block, 0)?;
        let superblock = Superblock::decode(&block).map_err(|problem| match problem {
            SuperblockProblem::Damaged(what) => ImageError::Damaged(what),
            SuperblockProblem::Unsupported(what) => ImageError::Unsupported(what),
        })?;
        if u64::from(superblock.blocks) * BLOCK > length {
            return Err(ImageError::Damaged("shorter than its superblock says"));
        }
        Ok(Image { source, superblock, length })
    }

    /// What the superblock says.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// The root directory.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if the image is damaged there.
    pub fn root(&self) -> Result<Stat, ImageError> {
        self.stat(self.superblock.root_nid.into())
    }

    /// The inode with this number.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if there is none or its content is not within the image.
    pub fn stat(&self, nid: u64) -> Result<Stat, ImageError> {
        let outside = ImageError::Damaged("inode outside the image");
        let offset = nid.checked_mul(INODE_SLOT_BYTES);
        let offset = offset.and_then(|offset| offset.checked_add(u64::from(self.superblock.meta_block) * BLOCK));
        let offset = offset.filter(|offset| *offset <= self.length - COMPACT_INODE_BYTES as u64).ok_or(outside)?;
        let mut bytes = [0; EXTENDED_INODE_BYTES];
        self.read(&mut bytes[..COMPACT_INODE_BYTES], offset)?;
        let format = u16_at(&bytes, 0);
        let (extended, layout) = (format & 1 == 1, format >> 1 & 7);
        if format >> 4 != 0 || !matches!(layout, LAYOUT_PLAIN | LAYOUT_INLINE) {
            return Err(ImageError::Unsupported("content layout"));
        }
        let inline = layout == LAYOUT_INLINE;
        let inode = if extended {
            self.read(&mut bytes, offset)?;
            decode_extended(&bytes, inline)
        } else {
            decode_compact(&bytes, inline, self.superblock.build_time)
        };
        let head = if extended { EXTENDED_INODE_BYTES } else { COMPACT_INODE_BYTES } as u64;
        let stat = Stat { nid, inode, inline_offset: offset + head + inode.xattr_bytes() };
        self.check_content(&stat)?;
        Ok(stat)
    }

    /// Whether the content lies where content can lie.
    fn check_content(&self, stat: &Stat) -> Result<(), ImageError> {
        if stat.file_type() == FileType::Other {
            return Ok(());
        }
        let blocks = stat.block_bytes();
        let tail = stat.inode.size - blocks;
        let end = (u64::from(stat.inode.block) * BLOCK).checked_add(blocks);
        if blocks > 0 && end.is_none_or(|end| end > self.length) {
            return Err(ImageError::Damaged("content outside the image"));
        }
        if stat.inode.inline && tail > 0 {
            let fits = stat.inline_offset % BLOCK + tail <= BLOCK;
            if !fits || stat.inline_offset + tail > self.length {
                return Err(ImageError::Damaged("inline content outside its block"));
            }
        }
        Ok(())
    }

    /// Reads from a file's, link's or directory's content. Returns how many bytes there were, fewer than asked for only
    /// at the end.
    ///
    /// # Errors
    ///
    /// [`ImageError::Io`] if the image cannot be read.
    pub fn read_content(&self, stat: &Stat, buffer: &mut [u8], offset: u64) -> Result<usize, ImageError> {
        let left = stat.inode.size.saturating_sub(offset);
        let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let blocks = stat.block_bytes();
        let in_blocks = usize::try_from(blocks.saturating_sub(offset)).unwrap_or(usize::MAX).min(bytes);
        let (first, second) = buffer[..bytes].split_at_mut(in_blocks);
        if !first.is_empty() {
            self.read(first, u64::from(stat.inode.block) * BLOCK + offset)?;
        }
        if !second.is_empty() {
            self.read(second, stat.inline_offset + (offset.max(blocks) - blocks))?;
        }
        Ok(bytes)
    }

    /// Calls `visit` with each name of a directory, `.` and `..` among them, until it returns `false`.
    ///
    /// # Errors
    ///
    /// [`ImageError::NotADirectory`]; others if the image is damaged or cannot be read.
    pub fn visit(&self, directory: &Stat, mut visit: impl FnMut(&[u8], u64) -> bool) -> Result<(), ImageError> {
        if directory.file_type() != FileType::Directory {
            return Err(ImageError::NotADirectory);
        }
        let mut buffer = [0; BLOCK_BYTES];
        let mut offset = 0;
        while offset < directory.inode.size {
            let bytes = self.read_content(directory, &mut buffer, offset)?;
            offset += bytes as u64;
            if !visit_block(&buffer[..bytes], &mut visit)? {
                break;
            }
        }
        Ok(())
    }

    /// The names in a directory but `.` and `..`, in the order of their bytes.
    ///
    /// # Errors
    ///
    /// As [`visit`](Self::visit).
    pub fn list(&self, directory: &Stat) -> Result<Vec<Entry>, ImageError> {
        let mut entries = Vec::new();
        self.visit(directory, |name, nid| {
            if !matches!(name, b"." | b"..") {
                entries.push(Entry { name: name.to_vec(), nid });
            }
            true
        })?;
        Ok(entries)
    }

    /// A link's target.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if it is no link, is damaged, or cannot be read.
    pub fn read_link(&self, link: &Stat) -> Result<Vec<u8>, ImageError> {
        if link.file_type() != FileType::Symlink || !(1..=TARGET_BYTES).contains(&link.inode.size) {
            return Err(ImageError::Damaged("not a link target"));
        }
        let mut target = vec![0; link.inode.size as usize];
        self.read_content(link, &mut target, 0)?;
        if target.contains(&0) {
            return Err(ImageError::Damaged("not a link target"));
        }
        Ok(target)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), ImageError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(ImageError::Damaged("structure outside the image"));
        }
        Ok(self.source.read_at(buffer, offset)?)
    }
}

/// Visits the names in one block of a directory. Returns whether to go on.
fn visit_block(block: &[u8], visit: &mut impl FnMut(&[u8], u64) -> bool) -> Result<bool, ImageError> {
    let damaged = || ImageError::Damaged("directory block");
    if block.len() < DIRENT_BYTES {
        return Err(damaged());
    }
    let heads = usize::from(u16_at(block, 8));
    if heads == 0 || !heads.is_multiple_of(DIRENT_BYTES) || heads > block.len() {
        return Err(damaged());
    }
    for entry in (0..heads).step_by(DIRENT_BYTES) {
        let start = usize::from(u16_at(block, entry + 8));
        let last = entry + DIRENT_BYTES == heads;
        let end = if last { block.len() } else { usize::from(u16_at(block, entry + DIRENT_BYTES + 8)) };
        let name = block.get(start..end).filter(|_| start >= heads).ok_or_else(damaged)?;
        // Only a block's last name may be followed by filling.
        let name = if last { name.split(|byte| *byte == 0).next().unwrap_or_default() } else { name };
        if name.is_empty() || name.len() > NAME_BYTES || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(damaged());
        }
        if !visit(name, u64_at(block, entry)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn decode_extended(bytes: &[u8], inline: bool) -> Inode {
    Inode {
        mode: u16_at(bytes, 4),
        links: u32_at(bytes, 44),
        size: u64_at(bytes, 8),
        uid: u32_at(bytes, 24),
        gid: u32_at(bytes, 28),
        mtime: u64_at(bytes, 32),
        block: u32_at(bytes, 16),
        xattr_count: u16_at(bytes, 2),
        inline,
        number: u32_at(bytes, 20),
    }
}

fn decode_compact(bytes: &[u8], inline: bool, mtime: u64) -> Inode {
    Inode {
        mode: u16_at(bytes, 4),
        links: u16_at(bytes, 6).into(),
        size: u32_at(bytes, 8).into(),
        uid: u16_at(bytes, 24).into(),
        gid: u16_at(bytes, 26).into(),
        mtime,
        block: u32_at(bytes, 16),
        xattr_count: u16_at(bytes, 2),
        inline,
        number: u32_at(bytes, 20),
    }
}
