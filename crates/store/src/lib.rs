//! All persistence.

pub mod blobs;
