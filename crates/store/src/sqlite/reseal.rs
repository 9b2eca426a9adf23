//! After a key was added: everything sealed with an older one is sealed anew, in one transaction.

use bojagi_model::FunctionArn;
use sqlx::{Sqlite, Transaction};

use super::{SEAL_CHECK, SqliteMetadata, access_keys, functions};
use crate::sealing::key_id;
use crate::{Result, StoreError};

type VersionRow = (String, String, String, i64, Vec<u8>);

pub(super) async fn run(store: &SqliteMetadata) -> Result<u64> {
    let mut transaction = store.writer.begin().await?;
    let count = environments(store, &mut transaction).await? + secrets(store, &mut transaction).await?;
    let sealed = store.keyring.seal(SEAL_CHECK, b"")?;
    sqlx::query("UPDATE seal_check SET sealed = ?").bind(sealed).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(count)
}

/// The value sealed with the newest key, unless it is already.
fn renew(store: &SqliteMetadata, purpose: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>> {
    if key_id(sealed) == Some(store.keyring.current()) {
        return Ok(None);
    }
    let opened = store.keyring.open_sealed(purpose, sealed)?;
    Ok(Some(store.keyring.seal(purpose, &opened)?))
}

async fn environments(store: &SqliteMetadata, transaction: &mut Transaction<'_, Sqlite>) -> Result<u64> {
    let rows: Vec<VersionRow> = sqlx::query_as(
        "SELECT account, region, name, version, sealed_environment FROM function_versions \
         WHERE sealed_environment IS NOT NULL",
    )
    .fetch_all(&mut **transaction)
    .await?;
    let mut count = 0;
    for (account, region, name, version, sealed) in rows {
        let arn = FunctionArn {
            account: account.parse().map_err(StoreError::corrupt("account id"))?,
            region: region.parse().map_err(StoreError::corrupt("region"))?,
            name: name.parse().map_err(StoreError::corrupt("function name"))?,
        };
        let which = functions::version(version);
        let Some(renewed) = renew(store, &functions::purpose(&arn, which), &sealed)? else { continue };
        sqlx::query(
            "UPDATE function_versions SET sealed_environment = ? \
             WHERE account = ? AND region = ? AND name = ? AND version = ?",
        )
        .bind(renewed)
        .bind(account)
        .bind(region)
        .bind(name)
        .bind(version)
        .execute(&mut **transaction)
        .await?;
        count += 1;
    }
    Ok(count)
}

async fn secrets(store: &SqliteMetadata, transaction: &mut Transaction<'_, Sqlite>) -> Result<u64> {
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as("SELECT access_key_id, sealed_secret FROM access_keys").fetch_all(&mut **transaction).await?;
    let mut count = 0;
    for (access_key_id, sealed) in rows {
        let Some(renewed) = renew(store, &access_keys::purpose(&access_key_id), &sealed)? else { continue };
        sqlx::query("UPDATE access_keys SET sealed_secret = ? WHERE access_key_id = ?")
            .bind(renewed)
            .bind(access_key_id)
            .execute(&mut **transaction)
            .await?;
        count += 1;
    }
    Ok(count)
}
