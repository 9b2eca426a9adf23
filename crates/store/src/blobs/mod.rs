//! Blobs: content-addressed bytes.

use std::pin::Pin;

use tokio::io::AsyncRead;

/// A stored blob, open for reading.
pub struct Blob {
    /// Its size, in bytes.
    pub size: u64,
    /// Its bytes, from the start.
    pub reader: Pin<Box<dyn AsyncRead + Send>>,
}
