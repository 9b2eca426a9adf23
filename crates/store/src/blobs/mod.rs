//! Blobs: content-addressed bytes. Here the archives as they were uploaded.
//!
//! A blob is announced by nobody until it is whole: [`Blobs::begin`] gives a writer, [`BlobWriter::write`] takes bytes and digests
//! them, [`BlobWriter::commit`] compares the digest and makes the blob durable under its name. A writer dropped before leaves
//! nothing. Committing what is there already is fine and stores nothing twice.

pub mod directory;

use std::pin::Pin;

use bojagi_model::Digest;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;

pub use directory::DirectoryBlobs;

use crate::Result;

/// A stored blob, open for reading.
pub struct Blob {
    /// Its size, in bytes.
    pub size: u64,
    /// Its bytes, from the start.
    pub reader: Pin<Box<dyn AsyncRead + Send>>,
}

/// A store of blobs.
pub trait Blobs: Send + Sync + 'static {
    /// Starts writing a blob.
    ///
    /// # Errors
    /// The store has no room or cannot be reached.
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>>;

    /// Opens a blob; none when it is not there.
    ///
    /// # Errors
    /// It is there and cannot be read.
    fn open(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Blob>>>;

    /// Whether the blob is there.
    ///
    /// # Errors
    /// The store cannot be reached.
    fn exists(&self, digest: Digest) -> BoxFuture<'_, Result<bool>>;

    /// Removes a blob; nothing there is fine. Who has it open may read on.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    fn delete(&self, digest: Digest) -> BoxFuture<'_, Result<()>>;

    /// The digests of all blobs.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Digest>>>;
}

/// A blob being written.
pub trait BlobWriter: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// There is no room.
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Ends the blob: it is durable under its digest when this returns, or nothing of it is there. Returns its size in bytes.
    ///
    /// # Errors
    /// [`crate::StoreError::DigestMismatch`], or it cannot be made durable.
    fn commit(self: Box<Self>, expected: Digest) -> BoxFuture<'static, Result<u64>>;
}
