//! From an uploaded archive to durable content: the archive among the blobs, its code image among the images.
//!
//! Both are written at the same time and made durable only when the archive has proved good, so that a refused one leaves nothing. An
//! archive that was ingested before is not ingested again.

use std::sync::Arc;

use bojagi_engine::CodeImageForm;
use bojagi_model::{Digest, Error, ErrorKind, Result, ZipPackage};
use bojagi_package::Ingested;
use bojagi_package::zip::{self, ZipLimits};
use bojagi_store::images::{ImageWriter, TreeWriter};
use bojagi_store::{BlobWriter, Images, StoreError};
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use tokio::io::AsyncReadExt as _;
use tokio::task::spawn_blocking;

use crate::pins::Pin;
use crate::{Caller, Control};

/// A package whose content is durable, kept from being collected until a record names it.
pub(crate) struct Stored {
    pub(crate) package: ZipPackage,
    _pins: [Pin; 2],
}

/// An image written but not yet named.
struct Draft {
    ingested: Ingested,
    image: ImageWriter,
    tree: Option<TreeWriter>,
}

impl Control {
    /// Stores an archive and its code image.
    ///
    /// # Errors
    /// AWS's for an archive that is too large or bad, and for an account whose code storage is used up.
    pub(crate) async fn ingest(&self, caller: &Caller, archive: Bytes) -> Result<Stored> {
        self.check_zipped_size(&archive)?;
        let code_sha256 = sha256(&archive).await?;
        let pin = self.pins.pin(code_sha256).await;
        if let Some(package) = self.stored_before(code_sha256).await? {
            let image_pin = self.pins.pin(package.image).await;
            // It may have been collected before it was pinned.
            if self.is_complete(&package).await? {
                self.check_code_storage(caller, package.unzipped_bytes).await?;
                return Ok(Stored { package, _pins: [pin, image_pin] });
            }
        }
        let _permit = self.ingestions.acquire().await.map_err(Error::service)?;
        let code_size = archive.len() as u64;
        let (writer, draft) = tokio::try_join!(self.write_archive(archive.clone()), self.write_image(archive))?;
        let Draft { ingested, image, tree } = draft;
        self.check_code_storage(caller, ingested.unzipped_bytes).await?;
        let image_pin = self.pins.pin(ingested.image).await;
        let commit_image = async {
            let committed = spawn_blocking(move || {
                image.commit(ingested.image)?;
                tree.map(|tree| tree.commit(ingested.image)).transpose()
            });
            committed.await.map_err(StoreError::from)?.map(drop)
        };
        tokio::try_join!(writer.commit(code_sha256), commit_image)?;
        let package =
            ZipPackage { code_sha256, code_size, image: ingested.image, unzipped_bytes: ingested.unzipped_bytes };
        Ok(Stored { package, _pins: [pin, image_pin] })
    }

    /// What an archive would become, with nothing stored: `DryRun`.
    ///
    /// # Errors
    /// As [`Control::ingest`].
    pub(crate) async fn ingest_nothing(&self, caller: &Caller, archive: Bytes) -> Result<ZipPackage> {
        self.check_zipped_size(&archive)?;
        let code_sha256 = sha256(&archive).await?;
        let _permit = self.ingestions.acquire().await.map_err(Error::service)?;
        let code_size = archive.len() as u64;
        let Ingested { image, unzipped_bytes, .. } = self.write_image(archive).await?.ingested;
        self.check_code_storage(caller, unzipped_bytes).await?;
        Ok(ZipPackage { code_sha256, code_size, image, unzipped_bytes })
    }

    fn check_zipped_size(&self, archive: &Bytes) -> Result<()> {
        let limit = self.config.limits.zipped_bytes;
        if archive.len() as u64 > limit {
            let message = format!("Zipped size must be smaller than {limit} bytes");
            return Err(Error::new(ErrorKind::RequestEntityTooLarge, message));
        }
        if archive.is_empty() {
            return Err(Error::new(ErrorKind::InvalidParameterValue, "Uploaded file must be a non-empty zip"));
        }
        Ok(())
    }

    async fn check_code_storage(&self, caller: &Caller, unzipped_bytes: u64) -> Result<()> {
        let usage = self.config.metadata.code_usage(caller.account(), &caller.region).await?;
        if usage.unzipped_bytes.saturating_add(unzipped_bytes) > self.config.limits.code_storage_bytes {
            return Err(Error::new(ErrorKind::CodeStorageExceeded, "Code storage limit exceeded."));
        }
        Ok(())
    }

    async fn stored_before(&self, code_sha256: Digest) -> Result<Option<ZipPackage>> {
        Ok(self.config.metadata.package(code_sha256).await?)
    }

    async fn is_complete(&self, package: &ZipPackage) -> Result<bool> {
        Ok(self.config.images.exists(package.image) && self.config.blobs.exists(package.code_sha256).await?)
    }

    async fn write_archive(&self, archive: Bytes) -> Result<Box<dyn BlobWriter>> {
        let mut writer = self.config.blobs.begin().await?;
        writer.write(archive).await?;
        Ok(writer)
    }

    async fn write_image(&self, archive: Bytes) -> Result<Draft> {
        let (images, limits) = (self.config.images.clone(), ZipLimits::from(&self.config.limits));
        let with_tree = self.config.code_images == CodeImageForm::Directory;
        let written = spawn_blocking(move || -> Result<Draft> {
            let image = images.begin()?;
            let ingested = zip::ingest(&archive, image.file(), &limits)?;
            let tree = if with_tree { Some(write_tree(&images, &archive, &limits)?) } else { None };
            Ok(Draft { ingested, image, tree })
        });
        written.await.map_err(Error::service)?
    }

    /// Makes the tree of an image that was ingested when this machine mounted EROFS.
    ///
    /// # Errors
    /// The archive is not there; the tree cannot be written.
    pub(crate) async fn ensure_tree(&self, package: &ZipPackage) -> Result<()> {
        if self.config.images.tree_exists(package.image) {
            return Ok(());
        }
        let blob = self.config.blobs.open(package.code_sha256).await?;
        let mut blob = blob.ok_or_else(|| Error::service(format!("archive {} is missing", package.code_sha256)))?;
        let mut archive = Vec::with_capacity(usize::try_from(blob.size).unwrap_or(0));
        blob.reader.read_to_end(&mut archive).await.map_err(Error::service)?;
        let (images, limits, image) = (self.config.images.clone(), Arc::new(self.config.limits.clone()), package.image);
        let written = spawn_blocking(move || -> Result<()> {
            // The limits may have been lowered since the archive was accepted.
            let limits = ZipLimits { unzipped_bytes: u64::MAX / 4, ..ZipLimits::from(&*limits) };
            write_tree(&images, &archive, &limits)?.commit(image)?;
            Ok(())
        });
        written.await.map_err(Error::service)?
    }
}

fn write_tree(images: &Images, archive: &[u8], limits: &ZipLimits) -> Result<TreeWriter> {
    let tree = images.begin_tree()?;
    zip::extract(archive, tree.path(), limits)?;
    Ok(tree)
}

/// The digest of an archive; hashing 50 MB takes long enough to leave the reactor for it.
async fn sha256(archive: &Bytes) -> Result<Digest> {
    let archive = archive.clone();
    let hashed = spawn_blocking(move || {
        let bytes: [u8; 32] = digest(&SHA256, &archive).as_ref().try_into().expect("SHA-256 has 32 bytes");
        Digest::from_bytes(bytes)
    });
    hashed.await.map_err(Error::service)
}
