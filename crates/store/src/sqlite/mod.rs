//! Metadata in SQLite, for one machine.
//!
//! Write-ahead log with `synchronous=FULL`: a commit that returned is on disk. One connection writes, so that writers queue instead of
//! meeting SQLITE_BUSY; a few read.

mod access_keys;
mod functions;
mod migrations;
mod reseal;
mod roles;
mod tags;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::sealing::{Keyring, SealError};
use crate::{Metadata, Result, StoreError};

const READERS: u32 = 4;
const SEAL_CHECK: &str = "seal-check";

/// The metadata store of one machine.
pub struct SqliteMetadata {
    writer: SqlitePool,
    reader: SqlitePool,
    keyring: Arc<Keyring>,
}

impl SqliteMetadata {
    /// Opens the database, brings its schema up to date, and checks that the key file belongs to it.
    ///
    /// # Errors
    /// The database cannot be opened or is newer than this version; the key file is another one.
    pub async fn open(path: &Path, keyring: Arc<Keyring>) -> Result<SqliteMetadata> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .disable_statement_logging();
        let pool = |connections| {
            SqlitePoolOptions::new()
                .min_connections(1)
                .max_connections(connections)
                .idle_timeout(None)
                .max_lifetime(None)
                // A file does not go away as a server does; the test would double the cost of a first invocation's one query.
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        migrations::run(&writer).await?;
        let reader = pool(READERS).connect_with(options.read_only(true).create_if_missing(false)).await?;
        let store = SqliteMetadata { writer, reader, keyring };
        store.check_key().await?;
        Ok(store)
    }

    /// The keys that its values are sealed with.
    pub fn keyring(&self) -> Arc<Keyring> {
        Arc::clone(&self.keyring)
    }

    /// Closes all connections, after their last commits.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }

    async fn check_key(&self) -> Result<()> {
        let stored: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT sealed FROM seal_check WHERE id = 1").fetch_optional(&self.writer).await?;
        match stored {
            Some(sealed) => self.keyring.open_sealed(SEAL_CHECK, &sealed).map(drop)?,
            None => {
                let sealed = self.keyring.seal(SEAL_CHECK, b"")?;
                sqlx::query("INSERT INTO seal_check VALUES (1, ?)").bind(sealed).execute(&self.writer).await?;
            }
        }
        Ok(())
    }
}

impl Metadata for SqliteMetadata {
    fn reset(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut transaction = self.writer.begin().await?;
            for statement in ["DELETE FROM function_versions", "DELETE FROM functions", "DELETE FROM roles"] {
                sqlx::query(statement).execute(&mut *transaction).await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    fn reseal(&self) -> BoxFuture<'_, Result<u64>> {
        Box::pin(reseal::run(self))
    }
}

/// A unique key that is taken is an answer of the store, not a failure of the database.
fn exists_or(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(database) if database.is_unique_violation() => StoreError::Exists,
        _ => StoreError::Database(error),
    }
}

/// What was sealed as text comes back as text.
fn utf8(what: &str, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(StoreError::corrupt(what))
}

/// Lets `?` carry the key ring's errors through closures.
type Sealed<T> = std::result::Result<T, SealError>;
