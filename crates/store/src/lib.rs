//! All persistence: metadata, blobs, code images, logs, and the sealing of secrets.
//!
//! What always holds here:
//! - **Acknowledged means durable.** When a write returns `Ok`, `kill -9` at any instant loses nothing of it. Logs alone are
//!   promised within a second.
//! - **Content is checked where it enters**: a blob's digest is computed while it streams in; a mismatch stores nothing.
//! - Secrets and environment variables are sealed before they reach a file; the key lies outside the data directory.
//! - The traits assume no single process: an update names the revision it was made from and fails when that has changed.
//! - One contract suite is passed by every implementation.

pub mod access_keys;
pub mod blobs;
pub mod data_directory;
pub mod error;
pub mod files;
pub mod functions;
pub mod images;
pub mod logs;
pub mod roles;
pub mod sealing;
pub mod sqlite;
pub mod tags;

#[cfg(test)]
mod contract;

use futures_util::future::BoxFuture;

pub use access_keys::{AccessKey, AccessKeys};
pub use blobs::{Blob, BlobWriter, Blobs};
pub use data_directory::DataDirectory;
pub use error::{Result, StoreError};
pub use functions::{CodeUsage, Functions};
pub use images::Images;
pub use logs::{LogGroup, LogRecord, LogSettings, LogStore};
pub use roles::Roles;
pub use sealing::Keyring;
pub use tags::Tags;

/// Everything that is kept as records: one trait per resource, in the resource's file.
pub trait Metadata: Functions + Tags + Roles + AccessKeys + Send + Sync + 'static {
    /// Removes every record but the access keys, in one transaction.
    ///
    /// # Errors
    /// The database's.
    fn reset(&self) -> BoxFuture<'_, Result<()>>;

    /// Seals with the newest key whatever is sealed with an older one, and returns how many values that were.
    ///
    /// # Errors
    /// A value cannot be opened; the database's.
    fn reseal(&self) -> BoxFuture<'_, Result<u64>>;
}
