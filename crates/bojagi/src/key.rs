//! `bojagi key`: the keys that seal secrets at rest.

use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use bojagi_store::sqlite::SqliteMetadata;
use bojagi_store::{DataDirectory, Keyring, Metadata, StoreError};

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
    let keyring = keyring(&directory, &places)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let metadata = metadata(&directory, keyring.clone(), &places).await?;
        let id = keyring.rotate().context("cannot add a key")?;
        let values = metadata.reseal().await.context("cannot seal every secret again; run this command once more")?;
        metadata.close().await;
        println!("Key {id} seals from now on; {values} secrets were sealed with it again.");
        Ok(())
    })
}

/// Reads the key file. It is made for a new data directory only: a fresh key opens nothing of an old one, and would stand where the
/// lost file is to be put back.
///
/// # Errors
/// It is lost, malformed, or may be read by others.
pub fn keyring(directory: &DataDirectory, places: &Places) -> anyhow::Result<Arc<Keyring>> {
    if directory.metadata().exists() && !places.key_file.exists() {
        bail!(
            "the key file {} is not there, and without it the secrets in {} cannot be opened: put it back, or say with --key-file where it is",
            places.key_file.display(),
            places.data_dir.display()
        );
    }
    Ok(Arc::new(Keyring::open(&places.key_file)?))
}

/// Opens the records whose secrets those keys seal.
///
/// # Errors
/// The key file belongs to another data directory, or the store's.
pub async fn metadata(
    directory: &DataDirectory,
    keyring: Arc<Keyring>,
    places: &Places,
) -> anyhow::Result<SqliteMetadata> {
    SqliteMetadata::open(&directory.metadata(), keyring).await.map_err(|error| match error {
        StoreError::Seal(reason) => anyhow!(reason).context(format!(
            "the secrets in {} do not open with the key file {}; say with --key-file where the right one is",
            places.data_dir.display(),
            places.key_file.display()
        )),
        other => other.into(),
    })
}
