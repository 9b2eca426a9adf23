//! [`AccessKeys`] in SQLite.

use bojagi_model::AccountId;
use futures_util::future::BoxFuture;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{Sealed, SqliteMetadata, exists_or, utf8};
use crate::access_keys::{AccessKey, AccessKeys};
use crate::{Result, StoreError};

/// The place that a secret is sealed for.
pub(super) fn purpose(access_key_id: &str) -> String {
    format!("secret of access key {access_key_id}")
}

impl SqliteMetadata {
    fn parse_key(&self, row: &SqliteRow) -> Result<AccessKey> {
        let access_key_id: String = row.get("access_key_id");
        let secret = self.keyring.open_sealed(&purpose(&access_key_id), row.get("sealed_secret"))?;
        let account = row.get::<&str, _>("account").parse().map_err(StoreError::corrupt("account id"))?;
        let secret_access_key = utf8("access key", secret)?;
        Ok(AccessKey { access_key_id, account, secret_access_key, root: row.get("root") })
    }

    fn seal_key(&self, key: &AccessKey) -> Sealed<Vec<u8>> {
        self.keyring.seal(&purpose(&key.access_key_id), key.secret_access_key.as_bytes())
    }
}

impl AccessKeys for SqliteMetadata {
    fn create_access_key<'a>(&'a self, key: &'a AccessKey) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            sqlx::query("INSERT INTO access_keys (access_key_id, account, root, sealed_secret) VALUES (?, ?, ?, ?)")
                .bind(&key.access_key_id)
                .bind(key.account.as_str())
                .bind(key.root)
                .bind(self.seal_key(key)?)
                .execute(&self.writer)
                .await
                .map_err(exists_or)?;
            Ok(())
        })
    }

    fn root_key_or<'a>(&'a self, candidate: &'a AccessKey) -> BoxFuture<'a, Result<AccessKey>> {
        Box::pin(async move {
            let mut transaction = self.writer.begin().await?;
            sqlx::query(
                "INSERT INTO access_keys (access_key_id, account, root, sealed_secret) VALUES (?, ?, 1, ?) \
                 ON CONFLICT (account) WHERE root = 1 DO NOTHING",
            )
            .bind(&candidate.access_key_id)
            .bind(candidate.account.as_str())
            .bind(self.seal_key(candidate)?)
            .execute(&mut *transaction)
            .await?;
            let row = sqlx::query("SELECT * FROM access_keys WHERE account = ? AND root = 1")
                .bind(candidate.account.as_str())
                .fetch_one(&mut *transaction)
                .await?;
            transaction.commit().await?;
            self.parse_key(&row)
        })
    }

    fn access_key<'a>(&'a self, access_key_id: &'a str) -> BoxFuture<'a, Result<Option<AccessKey>>> {
        Box::pin(async move {
            let row = sqlx::query("SELECT * FROM access_keys WHERE access_key_id = ?")
                .bind(access_key_id)
                .fetch_optional(&self.reader)
                .await?;
            row.map(|row| self.parse_key(&row)).transpose()
        })
    }

    fn list_access_keys(&self, account: AccountId) -> BoxFuture<'_, Result<Vec<AccessKey>>> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT * FROM access_keys WHERE account = ? ORDER BY access_key_id")
                .bind(account.to_string())
                .fetch_all(&self.reader)
                .await?;
            rows.iter().map(|row| self.parse_key(row)).collect()
        })
    }

    fn delete_access_key<'a>(&'a self, access_key_id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let deleted = sqlx::query("DELETE FROM access_keys WHERE access_key_id = ?")
                .bind(access_key_id)
                .execute(&self.writer)
                .await?;
            Ok(deleted.rows_affected() > 0)
        })
    }
}
