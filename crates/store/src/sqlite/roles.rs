//! [`Roles`] in SQLite. A role's document has one spelling, so equal text is an unchanged role.

use bojagi_model::AccountId;
use bojagi_model::identity::Role;
use futures_util::future::BoxFuture;

use super::{SqliteMetadata, exists_or};
use crate::roles::Roles;
use crate::{Result, StoreError};

fn parse(text: &str) -> Result<Role> {
    serde_json::from_str(text).map_err(StoreError::corrupt("role"))
}

fn text(role: &Role) -> Result<String> {
    serde_json::to_string(role).map_err(StoreError::corrupt("role"))
}

impl Roles for SqliteMetadata {
    fn create_role<'a>(&'a self, role: &'a Role) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            sqlx::query("INSERT INTO roles (account, name, path, document) VALUES (?, ?, ?, ?)")
                .bind(role.account.as_str())
                .bind(&role.name)
                .bind(&role.path)
                .bind(text(role)?)
                .execute(&self.writer)
                .await
                .map_err(exists_or)?;
            Ok(())
        })
    }

    fn role<'a>(&'a self, account: AccountId, name: &'a str) -> BoxFuture<'a, Result<Option<Role>>> {
        Box::pin(async move {
            let found: Option<String> = sqlx::query_scalar("SELECT document FROM roles WHERE account = ? AND name = ?")
                .bind(account.to_string())
                .bind(name)
                .fetch_optional(&self.reader)
                .await?;
            found.as_deref().map(parse).transpose()
        })
    }

    fn replace_role<'a>(&'a self, expected: &'a Role, role: &'a Role) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let replaced = sqlx::query("UPDATE roles SET document = ? WHERE account = ? AND name = ? AND document = ?")
                .bind(text(role)?)
                .bind(expected.account.as_str())
                .bind(&expected.name)
                .bind(text(expected)?)
                .execute(&self.writer)
                .await?;
            if replaced.rows_affected() == 0 { Err(StoreError::Changed) } else { Ok(()) }
        })
    }

    fn delete_role<'a>(&'a self, expected: &'a Role) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let deleted = sqlx::query("DELETE FROM roles WHERE account = ? AND name = ? AND document = ?")
                .bind(expected.account.as_str())
                .bind(&expected.name)
                .bind(text(expected)?)
                .execute(&self.writer)
                .await?;
            if deleted.rows_affected() == 0 { Err(StoreError::Changed) } else { Ok(()) }
        })
    }

    fn list_roles<'a>(
        &'a self,
        account: AccountId,
        path_prefix: &'a str,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Role>>> {
        Box::pin(async move {
            let found: Vec<String> = sqlx::query_scalar(
                "SELECT document FROM roles WHERE account = ? AND name > ? AND substr(path, 1, length(?)) = ? \
                 ORDER BY name LIMIT ?",
            )
            .bind(account.to_string())
            .bind(after.unwrap_or(""))
            .bind(path_prefix)
            .bind(path_prefix)
            .bind(limit)
            .fetch_all(&self.reader)
            .await?;
            found.iter().map(|text| parse(text)).collect()
        })
    }
}
