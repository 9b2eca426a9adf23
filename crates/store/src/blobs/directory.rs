//! Blobs in a directory: `sha256/ab/ab12…`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bojagi_model::Digest;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use ring::digest::{Context, SHA256};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{Blob, BlobWriter, Blobs};
use crate::{DataDirectory, Result, StoreError, files};

/// Below this the digest and the write are done in place; above it a blocking thread is worth its hand-over.
const INLINE_BYTES: usize = 64 << 10;

/// Blobs in a directory of this machine.
#[derive(Clone, Debug)]
pub struct DirectoryBlobs {
    area: Area,
}

/// A content-addressed directory and the one where its files are written first, on the same file system.
#[derive(Clone, Debug)]
pub(crate) struct Area {
    root: PathBuf,
    temporary: PathBuf,
}

impl Area {
    pub(crate) fn new(root: PathBuf, temporary: PathBuf) -> Area {
        Area { root, temporary }
    }

    /// `ROOT/sha256/ab/ab12…SUFFIX`.
    pub(crate) fn path(&self, digest: Digest, suffix: &str) -> PathBuf {
        let hex = digest.to_hex();
        self.root.join("sha256").join(&hex[..2]).join(format!("{hex}{suffix}"))
    }

    /// A name in the temporary directory that nobody else has.
    pub(crate) fn draft(&self) -> Draft {
        Draft { path: Some(self.temporary.join(Uuid::new_v4().to_string())) }
    }

    /// Gives a finished draft, already on disk, its name. The directories are made durable even when the name was there before: who put
    /// it there may not have come to that yet.
    pub(crate) fn publish(&self, draft: Draft, digest: Digest, suffix: &str) -> Result<PathBuf> {
        let target = self.path(digest, suffix);
        let directory = target.parent().unwrap_or(&self.root);
        files::make_directories(&self.root, directory).map_err(StoreError::io("make", directory))?;
        if target.exists() {
            drop(draft);
        } else {
            draft.rename(&target).map_err(StoreError::io("name", &target))?;
        }
        files::sync_directory(directory).map_err(StoreError::io("make durable", directory))?;
        Ok(target)
    }

    /// Digests of everything that has the suffix.
    pub(crate) fn list(&self, suffix: &str) -> Result<Vec<Digest>> {
        let root = self.root.join("sha256");
        let mut found = Vec::new();
        for shard in fs::read_dir(&root).map_err(StoreError::io("read", &root))? {
            let shard = shard.map_err(StoreError::io("read", &root))?.path();
            for entry in fs::read_dir(&shard).map_err(StoreError::io("read", &shard))? {
                let name = entry.map_err(StoreError::io("read", &shard))?.file_name();
                let hex = name.to_str().and_then(|name| name.strip_suffix(suffix));
                found.extend(hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok()));
            }
        }
        Ok(found)
    }

    /// Removes a file or tree: first its name, durably gone at some later time; nobody is promised a deletion.
    pub(crate) fn remove(&self, digest: Digest, suffix: &str) -> Result<()> {
        let path = self.path(digest, suffix);
        let draft = self.draft();
        let away = draft.path().to_owned();
        match fs::rename(&path, &away) {
            Ok(()) => files::remove_any(&away).map_err(StoreError::io("remove", &path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io("remove", &path)(error)),
        }
    }
}

/// Something in the temporary directory, removed when dropped before it was renamed.
#[derive(Debug)]
pub(crate) struct Draft {
    path: Option<PathBuf>,
}

impl Draft {
    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or(Path::new(""))
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        fs::rename(self.path(), target)?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path
            && let Err(error) = files::remove_any(path)
        {
            tracing::warn!(path = %path.display(), %error, "a temporary file stays until the next start");
        }
    }
}

impl DirectoryBlobs {
    /// The blobs of a data directory.
    pub fn new(directory: &DataDirectory) -> DirectoryBlobs {
        DirectoryBlobs { area: Area::new(directory.blobs(), directory.temporary()) }
    }
}

impl Blobs for DirectoryBlobs {
    fn begin(&self) -> BoxFuture<'_, Result<Box<dyn BlobWriter>>> {
        Box::pin(async move {
            let area = self.area.clone();
            let writer = spawn_blocking(move || {
                let draft = area.draft();
                let file = File::create_new(draft.path()).map_err(StoreError::io("make", draft.path()))?;
                let open = Open { file, draft, digest: Context::new(&SHA256), size: 0 };
                Ok::<_, StoreError>(DirectoryWriter { area, open: Some(open) })
            });
            Ok(Box::new(writer.await??) as Box<dyn BlobWriter>)
        })
    }

    fn open(&self, digest: Digest) -> BoxFuture<'_, Result<Option<Blob>>> {
        Box::pin(async move {
            let path = self.area.path(digest, "");
            let file = match tokio::fs::File::open(&path).await {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(StoreError::io("open", &path)(error)),
            };
            let size = file.metadata().await.map_err(StoreError::io("examine", &path))?.len();
            Ok(Some(Blob { size, reader: Box::pin(file) }))
        })
    }

    fn exists(&self, digest: Digest) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async move {
            let path = self.area.path(digest, "");
            tokio::fs::try_exists(&path).await.map_err(StoreError::io("examine", &path))
        })
    }

    fn delete(&self, digest: Digest) -> BoxFuture<'_, Result<()>> {
        let area = self.area.clone();
        Box::pin(async move { spawn_blocking(move || area.remove(digest, "")).await? })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Digest>>> {
        let area = self.area.clone();
        Box::pin(async move { spawn_blocking(move || area.list("")).await? })
    }
}

struct DirectoryWriter {
    area: Area,
    /// Gone after a failed write: what came before is not to be committed.
    open: Option<Open>,
}

struct Open {
    file: File,
    draft: Draft,
    digest: Context,
    size: u64,
}

impl Open {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(StoreError::io("write", self.draft.path()))?;
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn commit(self, area: &Area, expected: Digest) -> Result<u64> {
        let actual: [u8; 32] = self.digest.finish().as_ref().try_into().expect("SHA-256 has 32 bytes");
        let actual = Digest::from_bytes(actual);
        if actual != expected {
            return Err(StoreError::DigestMismatch { expected, actual });
        }
        if !area.path(expected, "").exists() {
            self.file.sync_all().map_err(StoreError::io("make durable", self.draft.path()))?;
        }
        area.publish(self.draft, expected, "")?;
        Ok(self.size)
    }
}

fn unusable() -> StoreError {
    StoreError::io("write", "a blob after a failed write")(io::Error::from(io::ErrorKind::BrokenPipe))
}

impl BlobWriter for DirectoryWriter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut open = self.open.take().ok_or_else(unusable)?;
            if bytes.len() <= INLINE_BYTES {
                open.append(&bytes)?;
                self.open = Some(open);
            } else {
                let written = spawn_blocking(move || open.append(&bytes).map(|()| open));
                self.open = Some(written.await??);
            }
            Ok(())
        })
    }

    fn commit(mut self: Box<Self>, expected: Digest) -> BoxFuture<'static, Result<u64>> {
        Box::pin(async move {
            let open = self.open.take().ok_or_else(unusable)?;
            let area = self.area.clone();
            spawn_blocking(move || open.commit(&area, expected)).await?
        })
    }
}
