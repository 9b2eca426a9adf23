//! Requests to device and file system drivers: loop devices and ext4.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;

use super::check;

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;
/// `_IOR('X', 125, __u32)`
const EXT4_IOC_SHUTDOWN: libc::Ioctl = 0x8004_587D;
/// Go down without writing back anything.
const EXT4_GOING_FLAGS_NOLOGFLUSH: u32 = 2;

/// `struct loop_info64` of `linux/loop.h`.
#[repr(C)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config` of `linux/loop.h`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// How a loop device is attached.
#[derive(Clone, Copy)]
pub(crate) struct LoopOptions {
    pub(crate) read_only: bool,
    /// In bytes; 0 lets the kernel choose.
    pub(crate) block_size: u32,
}

/// Attaches `backing` to a free loop device, which frees itself when its last user closes it. Returns the device, open, and its path.
pub(crate) fn attach_loop(backing: BorrowedFd<'_>, options: LoopOptions) -> io::Result<(File, PathBuf)> {
    let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
    loop {
        // SAFETY: LOOP_CTL_GET_FREE takes no argument.
        let number = check(libc::c_long::from(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE as _) }))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(!options.read_only).open(&path)?;
        // SAFETY: `LoopConfig` is plain integers, for which zero is a value.
        let mut config: LoopConfig = unsafe { std::mem::zeroed() };
        config.fd = backing.as_raw_fd().cast_unsigned();
        config.block_size = options.block_size;
        config.info.flags =
            LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO | if options.read_only { LO_FLAGS_READ_ONLY } else { 0 };
        // SAFETY: the argument is a live `loop_config` with the kernel's layout.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE as _, std::ptr::from_mut(&mut config)) };
        match check(libc::c_long::from(result)) {
            Ok(_) => return Ok((device, path)),
            // Another process was quicker to take it.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes the ext4 file system of `directory` down for good, so that what was not yet written back never is.
pub(crate) fn shut_down_ext4(directory: BorrowedFd<'_>) -> io::Result<()> {
    let mut flags: u32 = EXT4_GOING_FLAGS_NOLOGFLUSH;
    // SAFETY: the argument is a live 32-bit number, which the driver reads.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), EXT4_IOC_SHUTDOWN as _, std::ptr::from_mut(&mut flags)) };
    check(libc::c_long::from(result)).map(drop)
}
