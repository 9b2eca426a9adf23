//! The package crate against oracles: Info-ZIP's `unzip`, `fsck.erofs`, `mkfs.erofs` and the kernel.

mod against_unzip;
mod hostile;
mod images;
mod legitimate;
mod memory;
mod mutations;
mod raw_zip;
mod support;
mod trees;
