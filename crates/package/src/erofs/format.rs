//! The bytes of EROFS, as the Linux kernel's `fs/erofs/erofs_fs.h` lays them out. All numbers are little-endian.

/// The only block size that code images use.
pub const BLOCK_BYTES: usize = 4096;
/// Where the superblock begins.
pub const SUPERBLOCK_OFFSET: usize = 1024;
/// Bytes of a superblock without extension slots.
pub const SUPERBLOCK_BYTES: usize = 128;
/// An inode's number is its place in units of this many bytes.
pub const INODE_SLOT_BYTES: u64 = 32;
/// Bytes of an inode of the short form.
pub const COMPACT_INODE_BYTES: usize = 32;
/// Bytes of an inode of the long form, which alone has a time and 32-bit owners.
pub const EXTENDED_INODE_BYTES: usize = 64;
/// Bytes of a directory entry, without its name.
pub const DIRENT_BYTES: usize = 12;
/// The longest name of a directory entry.
pub const NAME_BYTES: usize = 255;
/// Bytes before the first extended attribute of an inode.
pub const XATTR_HEADER_BYTES: usize = 12;

pub(crate) const MAGIC: u32 = 0xe0f5_e1e2;
/// The superblock's block has a checksum.
pub(crate) const COMPAT_CHECKSUM: u32 = 1;
/// `i_format`: where the content is, in bits 1 to 3.
pub(crate) const LAYOUT_PLAIN: u16 = 0;
/// The end of the content, less than a block, follows the inode.
pub(crate) const LAYOUT_INLINE: u16 = 2;

const BLOCK_BITS: u8 = 12;
const CHECKSUM_OFFSET: usize = SUPERBLOCK_OFFSET + 4;

/// What a superblock says, of what this crate uses.
#[derive(Clone, Copy, Debug)]
pub struct Superblock {
    /// The root directory's inode.
    pub root_nid: u16,
    /// Inodes in the image.
    pub inodes: u64,
    /// Blocks in the image.
    pub blocks: u32,
    /// The block from which inode numbers count.
    pub meta_block: u32,
    /// Seconds since 1970 that short inodes have as their time.
    pub build_time: u64,
    /// Identifies the image among mounted file systems.
    pub uuid: [u8; 16],
}

impl Superblock {
    pub(crate) fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut bytes = [0; SUPERBLOCK_BYTES];
        put(&mut bytes, 0, &MAGIC.to_le_bytes());
        put(&mut bytes, 8, &COMPAT_CHECKSUM.to_le_bytes());
        bytes[12] = BLOCK_BITS;
        put(&mut bytes, 14, &self.root_nid.to_le_bytes());
        put(&mut bytes, 16, &self.inodes.to_le_bytes());
        put(&mut bytes, 24, &self.build_time.to_le_bytes());
        put(&mut bytes, 36, &self.blocks.to_le_bytes());
        put(&mut bytes, 40, &self.meta_block.to_le_bytes());
        put(&mut bytes, 48, &self.uuid);
        bytes
    }

    /// What block 0 says. `Err` names what is wrong.
    pub(crate) fn decode(block: &[u8; BLOCK_BYTES]) -> Result<Superblock, SuperblockProblem> {
        let bytes = &block[SUPERBLOCK_OFFSET..SUPERBLOCK_OFFSET + SUPERBLOCK_BYTES];
        if u32_at(bytes, 0) != MAGIC {
            return Err(SuperblockProblem::Damaged("no EROFS superblock"));
        }
        if bytes[12] != BLOCK_BITS {
            return Err(SuperblockProblem::Unsupported("block size"));
        }
        if u32_at(bytes, 80) != 0 || u16_at(bytes, 86) != 0 || bytes[90] != 0 {
            return Err(SuperblockProblem::Unsupported("incompatible features"));
        }
        if u32_at(bytes, 8) & COMPAT_CHECKSUM != 0 && checksum(block) != u32_at(bytes, 4) {
            return Err(SuperblockProblem::Damaged("superblock checksum"));
        }
        Ok(Superblock {
            root_nid: u16_at(bytes, 14),
            inodes: u64_at(bytes, 16),
            blocks: u32_at(bytes, 36),
            meta_block: u32_at(bytes, 40),
            build_time: u64_at(bytes, 24),
            uuid: bytes[48..64].try_into().unwrap_or_default(),
        })
    }
}

/// Why there is no superblock to be had.
pub(crate) enum SuperblockProblem {
    Damaged(&'static str),
    Unsupported(&'static str),
}

/// Puts the checksum into block 0, which is complete otherwise.
pub(crate) fn seal(block: &mut [u8; BLOCK_BYTES]) {
    let sum = checksum(block);
    put(block, CHECKSUM_OFFSET, &sum.to_le_bytes());
}

/// CRC-32C of block 0 from the superblock on, its own field taken as zero.
fn checksum(block: &[u8; BLOCK_BYTES]) -> u32 {
    let sum = crc32c(!0, &block[SUPERBLOCK_OFFSET..CHECKSUM_OFFSET]);
    let sum = crc32c(sum, &[0; 4]);
    crc32c(sum, &block[CHECKSUM_OFFSET + 4..])
}

/// The kernel's `crc32c`: no final inversion. Used for one block of an image, hence bit by bit.
fn crc32c(mut sum: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    sum
}

/// An inode, in either form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Type and permissions.
    pub mode: u16,
    /// Names of this inode; for a directory two and its subdirectories.
    pub links: u32,
    /// Bytes of content.
    pub size: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// First block of the content.
    pub block: u32,
    /// Units of extended attributes, as `i_xattr_icount` counts them.
    pub xattr_count: u16,
    /// Whether the end of the content follows the inode.
    pub inline: bool,
    /// A number for `stat`, unique in the image.
    pub number: u32,
}

impl Inode {
    /// The long form.
    pub(crate) fn encode(&self) -> [u8; EXTENDED_INODE_BYTES] {
        let layout = if self.inline { LAYOUT_INLINE } else { LAYOUT_PLAIN };
        let mut bytes = [0; EXTENDED_INODE_BYTES];
        put(&mut bytes, 0, &(1 | layout << 1).to_le_bytes());
        put(&mut bytes, 2, &self.xattr_count.to_le_bytes());
        put(&mut bytes, 4, &self.mode.to_le_bytes());
        put(&mut bytes, 8, &self.size.to_le_bytes());
        put(&mut bytes, 16, &self.block.to_le_bytes());
        put(&mut bytes, 20, &self.number.to_le_bytes());
        put(&mut bytes, 24, &self.uid.to_le_bytes());
        put(&mut bytes, 28, &self.gid.to_le_bytes());
        put(&mut bytes, 32, &self.mtime.to_le_bytes());
        put(&mut bytes, 44, &self.links.to_le_bytes());
        bytes
    }

    /// Bytes of extended attributes that follow the inode.
    pub fn xattr_bytes(&self) -> u64 {
        match self.xattr_count {
            0 => 0,
            count => XATTR_HEADER_BYTES as u64 + 4 * (u64::from(count) - 1),
        }
    }
}

/// The type of a directory entry (`FT_*` in the kernel).
pub(crate) fn entry_type(mode: u16) -> u8 {
    match mode >> 12 {
        0o10 => 1,
        0o04 => 2,
        0o02 => 3,
        0o06 => 4,
        0o01 => 5,
        0o14 => 6,
        0o12 => 7,
        _ => 0,
    }
}

/// `value` rounded up to whole blocks, in bytes.
pub(crate) fn block_align(value: u64) -> u64 {
    value.next_multiple_of(BLOCK_BYTES as u64)
}

pub(crate) fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes[offset..offset + value.len()].copy_from_slice(value);
}

/// Two bytes at `offset`, which the caller knows to be there.
pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes([bytes[offset], bytes[offset + 1]])
}

/// Four bytes at `offset`, which the caller knows to be there.
pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from(u16_at(bytes, offset)) | u32::from(u16_at(bytes, offset + 2)) << 16
}

/// Eight bytes at `offset`, which the caller knows to be there.
pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from(u32_at(bytes, offset)) | u64::from(u32_at(bytes, offset + 4)) << 32
}
