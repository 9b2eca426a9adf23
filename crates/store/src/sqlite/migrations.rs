//! Numbered steps from an empty database to the newest schema. A step, once released, never changes.

use sqlx::{Executor as _, SqlitePool};

use crate::{Result, StoreError};

const STEPS: &[&str] = &[include_str!("../../migrations/0001_initial.sql")];

/// Runs the steps that the database has not had yet, each in its transaction with the note that it was done.
pub(super) async fn run(writer: &SqlitePool) -> Result<()> {
    let done: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(writer).await?;
    let done = usize::try_from(done).map_err(StoreError::corrupt("schema version"))?;
    if done > STEPS.len() {
        let newest = STEPS.len();
        return Err(StoreError::corrupt("metadata database")(format!(
            "it has schema {done}, this version of Bojagi knows {newest}: a newer one wrote it"
        )));
    }
    for (index, step) in STEPS.iter().enumerate().skip(done) {
        let mut transaction = writer.begin().await?;
        (&mut *transaction).execute(*step).await?;
        sqlx::query(&format!("PRAGMA user_version = {}", index + 1)).execute(&mut *transaction).await?;
        transaction.commit().await?;
        tracing::debug!(schema = index + 1, "metadata schema brought up to date");
    }
    Ok(())
}
