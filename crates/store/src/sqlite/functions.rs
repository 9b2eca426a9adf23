//! [`Functions`] in SQLite.

use std::collections::{BTreeMap, HashSet};

use bojagi_model::function::{LastUpdateStatus, State};
use bojagi_model::{AccountId, Digest, Function, FunctionArn, FunctionName, Region, Version, ZipPackage};
use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use super::{SqliteMetadata, exists_or};
use crate::functions::{CodeUsage, Functions};
use crate::sealing::Keyring;
use crate::{Result, StoreError};

const COLUMNS: &str = "document, sealed_environment";

/// `$LATEST` is 0, so that it comes before the numbers.
fn number(version: Version) -> Result<i64> {
    match version {
        Version::Latest => Ok(0),
        Version::Number(number) => i64::try_from(number).map_err(StoreError::corrupt("version number")),
    }
}

/// The version that a stored number means.
pub(super) fn version(number: i64) -> Version {
    match as_u64(number) {
        0 => Version::Latest,
        number => Version::Number(number),
    }
}

/// A number as SQLite keeps it. What does not fit was never stored.
fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn as_u64(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The place that an environment is sealed for.
pub(super) fn purpose(arn: &FunctionArn, version: Version) -> String {
    format!("environment of {}", arn.qualified(version))
}

fn parse(row: &SqliteRow, keyring: &Keyring) -> Result<Function> {
    let mut function: Function = serde_json::from_str(row.get("document")).map_err(StoreError::corrupt("function"))?;
    if let Some(sealed) = row.get::<Option<&[u8]>, _>("sealed_environment") {
        let opened = keyring.open_sealed(&purpose(&function.arn, function.version), sealed)?;
        let environment = serde_json::from_slice(&opened).map_err(StoreError::corrupt("environment"))?;
        function.configuration.environment = Some(environment);
    }
    Ok(function)
}

/// What a version's row holds beside its key.
struct Columns {
    revision: String,
    in_transition: bool,
    code_sha256: String,
    image: String,
    code_bytes: i64,
    unzipped_bytes: i64,
    document: String,
    sealed_environment: Option<Vec<u8>>,
}

impl Columns {
    fn of(function: &Function, keyring: &Keyring) -> Result<Columns> {
        let sealed_environment = match &function.configuration.environment {
            None => None,
            Some(environment) => {
                let text = serde_json::to_vec(environment).map_err(StoreError::corrupt("environment"))?;
                Some(keyring.seal(&purpose(&function.arn, function.version), &text)?)
            }
        };
        let mut open = function.clone();
        open.configuration.environment = None;
        Ok(Columns {
            revision: function.revision_id.to_string(),
            in_transition: function.state == State::Pending
                || function.last_update_status == LastUpdateStatus::InProgress,
            code_sha256: function.package.code_sha256.to_string(),
            image: function.package.image.to_string(),
            code_bytes: as_i64(function.package.code_size),
            unzipped_bytes: as_i64(function.package.unzipped_bytes),
            document: serde_json::to_string(&open).map_err(StoreError::corrupt("function"))?,
            sealed_environment,
        })
    }
}

async fn insert_version(connection: &mut SqliteConnection, function: &Function, keyring: &Keyring) -> Result<()> {
    let columns = Columns::of(function, keyring)?;
    sqlx::query("INSERT INTO function_versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(function.arn.account.as_str())
        .bind(function.arn.region.as_str())
        .bind(function.arn.name.as_str())
        .bind(number(function.version)?)
        .bind(columns.revision)
        .bind(columns.in_transition)
        .bind(columns.code_sha256)
        .bind(columns.image)
        .bind(columns.code_bytes)
        .bind(columns.unzipped_bytes)
        .bind(columns.document)
        .bind(columns.sealed_environment)
        .execute(connection)
        .await
        .map_err(exists_or)?;
    Ok(())
}

/// Copies `$LATEST` as the next version of its function.
async fn publish_version(
    transaction: &mut Transaction<'_, Sqlite>,
    latest: &Function,
    keyring: &Keyring,
) -> Result<Function> {
    let taken: Option<i64> = sqlx::query_scalar(
        "UPDATE functions SET next_version = next_version + 1 WHERE account = ? AND region = ? AND name = ? \
         RETURNING next_version - 1",
    )
    .bind(latest.arn.account.as_str())
    .bind(latest.arn.region.as_str())
    .bind(latest.arn.name.as_str())
    .fetch_optional(&mut **transaction)
    .await?;
    let version = version(taken.ok_or(StoreError::NotFound)?);
    let published = Function { version, revision_id: Uuid::new_v4(), ..latest.clone() };
    insert_version(transaction, &published, keyring).await?;
    Ok(published)
}

impl SqliteMetadata {
    async fn fetch_functions(&self, mut query: sqlx::QueryBuilder<'_, Sqlite>) -> Result<Vec<Function>> {
        let rows = query.build().fetch_all(&self.reader).await?;
        rows.iter().map(|row| parse(row, &self.keyring)).collect()
    }
}

impl Functions for SqliteMetadata {
    fn create_function<'a>(
        &'a self,
        latest: &'a Function,
        publish: bool,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<Function>>> {
        Box::pin(async move {
            let tags = serde_json::to_string(tags).map_err(StoreError::corrupt("tags"))?;
            let mut transaction = self.writer.begin().await?;
            sqlx::query("INSERT INTO functions VALUES (?, ?, ?, 1, ?)")
                .bind(latest.arn.account.as_str())
                .bind(latest.arn.region.as_str())
                .bind(latest.arn.name.as_str())
                .bind(tags)
                .execute(&mut *transaction)
                .await
                .map_err(exists_or)?;
            insert_version(&mut transaction, latest, &self.keyring).await?;
            let published = match publish {
                true => Some(publish_version(&mut transaction, latest, &self.keyring).await?),
                false => None,
            };
            transaction.commit().await?;
            Ok(published)
        })
    }

    fn function<'a>(&'a self, arn: &'a FunctionArn, version: Version) -> BoxFuture<'a, Result<Option<Function>>> {
        Box::pin(async move {
            let row = sqlx::query(
                "SELECT document, sealed_environment FROM function_versions \
                 WHERE account = ? AND region = ? AND name = ? AND version = ?",
            )
            .bind(arn.account.as_str())
            .bind(arn.region.as_str())
            .bind(arn.name.as_str())
            .bind(number(version)?)
            .fetch_optional(&self.reader)
            .await?;
            row.map(|row| parse(&row, &self.keyring)).transpose()
        })
    }

    fn update_function<'a>(
        &'a self,
        function: &'a Function,
        expected: Uuid,
        publish: bool,
    ) -> BoxFuture<'a, Result<Option<Function>>> {
        Box::pin(async move {
            let columns = Columns::of(function, &self.keyring)?;
            let mut transaction = self.writer.begin().await?;
            let updated = sqlx::query(
                "UPDATE function_versions SET revision = ?, in_transition = ?, code_sha256 = ?, image = ?, code_bytes = ?, \
                 unzipped_bytes = ?, document = ?, sealed_environment = ? \
                 WHERE account = ? AND region = ? AND name = ? AND version = ? AND revision = ?",
            )
            .bind(columns.revision)
            .bind(columns.in_transition)
            .bind(columns.code_sha256)
            .bind(columns.image)
            .bind(columns.code_bytes)
            .bind(columns.unzipped_bytes)
            .bind(columns.document)
            .bind(columns.sealed_environment)
            .bind(function.arn.account.as_str())
            .bind(function.arn.region.as_str())
            .bind(function.arn.name.as_str())
            .bind(number(function.version)?)
            .bind(expected.to_string())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            if updated == 0 {
                return Err(StoreError::Changed);
            }
            let published = match publish {
                true => Some(publish_version(&mut transaction, function, &self.keyring).await?),
                false => None,
            };
            transaction.commit().await?;
            Ok(published)
        })
    }

    fn delete_function<'a>(&'a self, arn: &'a FunctionArn) -> BoxFuture<'a, Result<Vec<Version>>> {
        Box::pin(async move {
            let mut transaction = self.writer.begin().await?;
            let versions: Vec<i64> = sqlx::query_scalar(
                "DELETE FROM function_versions WHERE account = ? AND region = ? AND name = ? RETURNING version",
            )
            .bind(arn.account.as_str())
            .bind(arn.region.as_str())
            .bind(arn.name.as_str())
            .fetch_all(&mut *transaction)
            .await?;
            sqlx::query("DELETE FROM functions WHERE account = ? AND region = ? AND name = ?")
                .bind(arn.account.as_str())
                .bind(arn.region.as_str())
                .bind(arn.name.as_str())
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(versions.into_iter().map(version).collect())
        })
    }

    fn delete_function_version<'a>(&'a self, arn: &'a FunctionArn, number: u64) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move {
            let deleted = sqlx::query(
                "DELETE FROM function_versions \
                 WHERE account = ? AND region = ? AND name = ? AND version = ? AND version > 0",
            )
            .bind(arn.account.as_str())
            .bind(arn.region.as_str())
            .bind(arn.name.as_str())
            .bind(as_i64(number))
            .execute(&self.writer)
            .await?;
            Ok(deleted.rows_affected() > 0)
        })
    }

    fn list_functions<'a>(
        &'a self,
        account: AccountId,
        region: &'a Region,
        all_versions: bool,
        after: Option<&'a (FunctionName, Version)>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Function>>> {
        Box::pin(async move {
            let mut query =
                sqlx::QueryBuilder::new(format!("SELECT {COLUMNS} FROM function_versions WHERE account = "));
            query.push_bind(account.to_string()).push(" AND region = ").push_bind(region.as_str());
            if let Some((name, version)) = after {
                query.push(" AND (name, version) > (").push_bind(name.as_str()).push(", ");
                query.push_bind(number(*version)?).push(")");
            }
            if !all_versions {
                query.push(" AND version = 0");
            }
            query.push(" ORDER BY name, version LIMIT ").push_bind(limit);
            self.fetch_functions(query).await
        })
    }

    fn functions_in_transition(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Function>>> {
        Box::pin(async move {
            let mut query = sqlx::QueryBuilder::new(format!(
                "SELECT {COLUMNS} FROM function_versions WHERE in_transition = 1 LIMIT "
            ));
            query.push_bind(limit);
            self.fetch_functions(query).await
        })
    }

    fn package(&self, code_sha256: Digest) -> BoxFuture<'_, Result<Option<ZipPackage>>> {
        Box::pin(async move {
            let row: Option<(String, i64, i64)> = sqlx::query_as(
                "SELECT image, code_bytes, unzipped_bytes FROM function_versions WHERE code_sha256 = ? LIMIT 1",
            )
            .bind(code_sha256.to_string())
            .fetch_optional(&self.reader)
            .await?;
            let Some((image, code_bytes, unzipped_bytes)) = row else { return Ok(None) };
            let image = image.parse().map_err(StoreError::corrupt("digest"))?;
            let (code_size, unzipped_bytes) = (as_u64(code_bytes), as_u64(unzipped_bytes));
            Ok(Some(ZipPackage { code_sha256, code_size, image, unzipped_bytes }))
        })
    }

    fn account_has_archive(&self, account: AccountId, code_sha256: Digest) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let found: Option<i64> =
                sqlx::query_scalar("SELECT 1 FROM function_versions WHERE code_sha256 = ? AND account = ? LIMIT 1")
                    .bind(code_sha256.to_string())
                    .bind(account.to_string())
                    .fetch_optional(&self.reader)
                    .await?;
            Ok(found.is_some())
        })
    }

    fn referenced_digests(&self) -> BoxFuture<'_, Result<HashSet<Digest>>> {
        Box::pin(async move {
            let rows: Vec<String> = sqlx::query_scalar(
                "SELECT code_sha256 FROM function_versions UNION SELECT image FROM function_versions",
            )
            .fetch_all(&self.reader)
            .await?;
            rows.iter().map(|digest| digest.parse().map_err(StoreError::corrupt("digest"))).collect()
        })
    }

    fn code_usage<'a>(&'a self, account: AccountId, region: &'a Region) -> BoxFuture<'a, Result<CodeUsage>> {
        Box::pin(async move {
            let (functions, code_bytes, unzipped_bytes): (i64, i64, i64) = sqlx::query_as(
                "SELECT count(CASE WHEN version = 0 THEN 1 END), coalesce(sum(code_bytes), 0), \
                 coalesce(sum(unzipped_bytes), 0) FROM function_versions WHERE account = ? AND region = ?",
            )
            .bind(account.to_string())
            .bind(region.as_str())
            .fetch_one(&self.reader)
            .await?;
            Ok(CodeUsage {
                functions: as_u64(functions),
                code_bytes: as_u64(code_bytes),
                unzipped_bytes: as_u64(unzipped_bytes),
            })
        })
    }
}
