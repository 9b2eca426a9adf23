//! Code images: files of this machine, which the kernel mounts. They are no blobs: a store shared by machines keeps the archive, and
//! each machine has the image as a file.
//!
//! The EROFS file is the image. Where EROFS cannot be mounted, a directory tree of the same content stands beside it, under the same
//! digest; it is derived and can be made again.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bojagi_model::Digest;

use crate::blobs::directory::{Area, Draft};
use crate::{DataDirectory, Result, StoreError};

const FILE_SUFFIX: &str = ".erofs";
const TREE_SUFFIX: &str = ".tree";

/// The code images of a data directory. All operations block on the file system.
#[derive(Clone, Debug)]
pub struct Images {
    area: Area,
}

/// An image file being written; dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub struct ImageWriter {
    area: Area,
    file: File,
    draft: Draft,
}

/// A tree being made; dropped before it is committed, it leaves nothing.
#[derive(Debug)]
pub struct TreeWriter {
    area: Area,
    draft: Draft,
}

impl Images {
    /// The code images of a data directory.
    pub fn new(directory: &DataDirectory) -> Images {
        Images { area: Area::new(directory.images(), directory.temporary()) }
    }

    /// Starts an image file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn begin(&self) -> Result<ImageWriter> {
        let draft = self.area.draft();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(draft.path())
            .map_err(StoreError::io("make", draft.path()))?;
        Ok(ImageWriter { area: self.area.clone(), file, draft })
    }

    /// Starts a tree.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn begin_tree(&self) -> Result<TreeWriter> {
        let draft = self.area.draft();
        fs::create_dir(draft.path()).map_err(StoreError::io("make", draft.path()))?;
        Ok(TreeWriter { area: self.area.clone(), draft })
    }

    /// Where the image's file is, or would be.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.area.path(digest, FILE_SUFFIX)
    }

    /// Where the image's tree is, or would be.
    pub fn tree_path(&self, digest: Digest) -> PathBuf {
        self.area.path(digest, TREE_SUFFIX)
    }

    /// Whether the image's file is there.
    pub fn exists(&self, digest: Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Whether the image's tree is there.
    pub fn tree_exists(&self, digest: Digest) -> bool {
        self.tree_path(digest).is_dir()
    }

    /// Removes the image's file and tree; nothing there is fine.
    ///
    /// # Errors
    /// They are there and cannot be removed.
    pub fn delete(&self, digest: Digest) -> Result<()> {
        self.area.remove(digest, TREE_SUFFIX)?;
        self.area.remove(digest, FILE_SUFFIX)
    }

    /// The digests of all images, as files or trees.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>> {
        let mut found = self.area.list(FILE_SUFFIX)?;
        found.extend(self.area.list(TREE_SUFFIX)?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}

impl ImageWriter {
    /// The file, empty, for reading and writing at any place.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes the image durable under its digest, which its writer has computed, and returns its path.
    ///
    /// # Errors
    /// It cannot be made durable; then it is not there.
    pub fn commit(self, digest: Digest) -> Result<PathBuf> {
        if !self.area.path(digest, FILE_SUFFIX).exists() {
            self.file.sync_all().map_err(StoreError::io("make durable", self.draft.path()))?;
        }
        self.area.publish(self.draft, digest, FILE_SUFFIX)
    }
}

impl TreeWriter {
    /// The directory, empty.
    pub fn path(&self) -> &Path {
        self.draft.path()
    }

    /// Makes the tree durable under the digest of the image it was made from, and returns its path.
    ///
    /// # Errors
    /// It cannot be made durable; then it is not there.
    pub fn commit(self, digest: Digest) -> Result<PathBuf> {
        let path = self.draft.path();
        // One call for the thousands of files of a tree, instead of one each.
        let synced = File::open(path).and_then(|root| rustix::fs::syncfs(&root).map_err(Into::into));
        synced.map_err(StoreError::io("make durable", path))?;
        self.area.publish(self.draft, digest, TREE_SUFFIX)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_image_is_there_after_its_commit_and_never_before() {
        let parent = tempfile::tempdir().unwrap();
        let directory = DataDirectory::open(&parent.path().join("data")).unwrap();
        let images = Images::new(&directory);
        let digest = Digest::from_bytes([7; 32]);
        let mut writer = images.begin().unwrap();
        writer.file.write_all(b"image").unwrap();
        assert!(!images.exists(digest) && images.list().unwrap().is_empty());
        let path = writer.commit(digest).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"image");
        // The same again stores nothing twice, and what is there stays as it is.
        images.begin().unwrap().commit(digest).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"image");

        let tree = images.begin_tree().unwrap();
        fs::create_dir_all(tree.path().join("a/b")).unwrap();
        let tree = tree.commit(digest).unwrap();
        assert!(tree.join("a/b").is_dir() && images.tree_exists(digest));
        drop((images.begin().unwrap(), images.begin_tree().unwrap()));
        assert_eq!(images.list().unwrap(), [digest]);
        images.delete(digest).unwrap();
        images.delete(digest).unwrap();
        assert!(images.list().unwrap().is_empty());
        assert_eq!(fs::read_dir(directory.temporary()).unwrap().count(), 0);
    }
}
