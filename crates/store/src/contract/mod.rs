//! What every implementation of the stores must do. An implementation's test makes a store and hands it to these.

mod blobs;
mod metadata;

use std::sync::Arc;

use crate::sqlite::SqliteMetadata;
use crate::{DataDirectory, Keyring};

/// A data directory with an open store, gone at the end of the test.
struct Place {
    parent: tempfile::TempDir,
    directory: DataDirectory,
}

impl Place {
    fn new() -> Place {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(&parent.path().join("data")).unwrap();
        Place { parent, directory }
    }

    fn keyring(&self) -> Arc<Keyring> {
        Arc::new(Keyring::open(&self.parent.path().join("key")).unwrap())
    }

    async fn sqlite(&self) -> SqliteMetadata {
        SqliteMetadata::open(&self.directory.metadata(), self.keyring()).await.unwrap()
    }
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    let place = Place::new();
    let store = place.sqlite().await;
    metadata::check(&store).await;
}

#[tokio::test]
async fn directory_blobs_keep_the_contract() {
    let place = Place::new();
    blobs::check(&crate::blobs::DirectoryBlobs::new(&place.directory)).await;
    let left = std::fs::read_dir(place.directory.temporary()).unwrap().count();
    assert_eq!(left, 0, "temporary files stay behind");
}

#[tokio::test]
async fn secrets_are_sealed_and_survive_rotation_and_reopening() {
    let place = Place::new();
    let store = place.sqlite().await;
    metadata::fill(&store).await;
    for _ in 0..2 {
        store.keyring().rotate().unwrap();
        assert_eq!(crate::Metadata::reseal(&store).await.unwrap(), 3);
        assert_eq!(crate::Metadata::reseal(&store).await.unwrap(), 0);
    }
    metadata::check_filled(&store).await;
    store.close().await;
    for entry in std::fs::read_dir(place.directory.root()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(metadata::SECRET.len()).any(|window| window == metadata::SECRET.as_bytes());
            assert!(!found, "{} holds a secret in the clear", path.display());
        }
    }
    let reopened = place.sqlite().await;
    metadata::check_filled(&reopened).await;
    reopened.close().await;

    std::fs::remove_file(place.parent.path().join("key")).unwrap();
    let wrong = SqliteMetadata::open(&place.directory.metadata(), place.keyring()).await;
    assert!(matches!(wrong, Err(crate::StoreError::Seal(_))), "another key file must be refused");
}
