//! [`Tags`] in SQLite.

use std::collections::BTreeMap;

use bojagi_model::FunctionArn;
use futures_util::future::BoxFuture;

use super::SqliteMetadata;
use crate::tags::Tags;
use crate::{Result, StoreError};

impl Tags for SqliteMetadata {
    fn tags<'a>(&'a self, arn: &'a FunctionArn) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>>> {
        Box::pin(async move {
            let text: Option<String> =
                sqlx::query_scalar("SELECT tags FROM functions WHERE account = ? AND region = ? AND name = ?")
                    .bind(arn.account.as_str())
                    .bind(arn.region.as_str())
                    .bind(arn.name.as_str())
                    .fetch_optional(&self.reader)
                    .await?;
            text.map(|text| serde_json::from_str(&text).map_err(StoreError::corrupt("tags"))).transpose()
        })
    }

    fn replace_tags<'a>(
        &'a self,
        arn: &'a FunctionArn,
        expected: &'a BTreeMap<String, String>,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            // A sorted map has one spelling, so equal text is equal tags.
            let replaced =
                sqlx::query("UPDATE functions SET tags = ? WHERE account = ? AND region = ? AND name = ? AND tags = ?")
                    .bind(serde_json::to_string(tags).map_err(StoreError::corrupt("tags"))?)
                    .bind(arn.account.as_str())
                    .bind(arn.region.as_str())
                    .bind(arn.name.as_str())
                    .bind(serde_json::to_string(expected).map_err(StoreError::corrupt("tags"))?)
                    .execute(&self.writer)
                    .await?;
            if replaced.rows_affected() == 0 { Err(StoreError::Changed) } else { Ok(()) }
        })
    }
}
