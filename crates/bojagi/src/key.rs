//! `bojagi key`: the keys that seal secrets at rest.

use std::sync::Arc;

use anyhow::Context;
use bojagi_store::sqlite::SqliteMetadata;
use bojagi_store::{DataDirectory, Keyring, Metadata};

use crate::cli::DataArgs;
use crate::configuration::Places;

/// Adds a key and seals every secret with it. Interrupted, it can be run again: older keys stay in the file and still open.
///
/// # Errors
/// The server is running, or a file cannot be read or written.
#[expect(clippy::print_stdout, reason = "the command line's own output")]
pub fn rotate(data: &DataArgs) -> anyhow::Result<()> {
    let places = Places::of(data)?;
    let directory = DataDirectory::open(&places.data_dir)?;
    let keyring = Arc::new(Keyring::open(&places.key_file)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let metadata = SqliteMetadata::open(&directory.metadata(), keyring.clone()).await?;
        let id = keyring.rotate().context("cannot add a key")?;
        let values = metadata.reseal().await.context("cannot seal every secret again; run this command once more")?;
        metadata.close().await;
        println!("Key {id} seals from now on; {values} secrets were sealed with it again.");
        Ok(())
    })
}
