//! What can go wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

use bojagi_model::Digest;

/// A result whose error is the store's.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A record of that name is there already.
    #[error("the record exists already")]
    Exists,
    /// The record is not there.
    #[error("the record does not exist")]
    NotFound,
    /// The record was changed by somebody else since it was read.
    #[error("the record has changed since it was read")]
    Changed,
    /// The bytes written are not those announced. Nothing was stored.
    #[error("content has digest {actual}, not {expected} as announced")]
    DigestMismatch {
        /// What was announced.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// A file operation failed.
    #[error("cannot {operation} {path}")]
    Io {
        /// The operation, as a verb phrase.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system call's error.
        source: io::Error,
    },
    /// Another process holds the data directory.
    #[error(
        "the data directory {path} is in use by another Bojagi process{holder}: stop that one, or name another directory with --data-dir"
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// ` (process 123)`, when the holder left its id.
        holder: String,
    },
    /// The data directory was written by another version, or is something else.
    #[error("{path} is not a data directory this version can use: it says {found:?}, expected {expected:?}")]
    Format {
        /// The file that says what the directory is.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// The database failed.
    #[error("the metadata database failed")]
    Database(#[from] sqlx::Error),
    /// A record cannot be understood.
    #[error("the stored {what} cannot be read")]
    Corrupt {
        /// Which record.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Sealing or unsealing failed.
    #[error("sealing failed")]
    Seal(#[from] crate::sealing::SealError),
    /// A blocking task was cancelled or panicked.
    #[error("a storage task did not finish")]
    Task(#[from] tokio::task::JoinError),
}

impl StoreError {
    /// Wraps an I/O error with what was being done to which path.
    pub(crate) fn io(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.as_ref().to_owned();
        move |source| StoreError::Io { operation, path, source }
    }

    /// Wraps the reason why a record cannot be understood.
    pub(crate) fn corrupt<E>(what: impl Into<String>) -> impl FnOnce(E) -> StoreError
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let what = what.into();
        move |source| StoreError::Corrupt { what, source: source.into() }
    }
}

/// A store's failure is this machine's, not the request's, unless the caller has handled it before.
impl From<StoreError> for bojagi_model::Error {
    fn from(error: StoreError) -> Self {
        bojagi_model::Error::service(error)
    }
}
