//! The data directory of one machine.
//!
//! ```text
//! DIR/
//!   FORMAT                         what this directory is, and which version of it
//!   lock                           held exclusively by the process that uses the directory; its id is inside
//!   metadata.sqlite, -wal, -shm    records
//!   blobs/sha256/ab/ab12…          archives, by the digest of their bytes
//!   images/sha256/cd/cd34….erofs   code images, by the digest of the image
//!   images/sha256/cd/cd34….tree/   the same as a directory tree, where EROFS cannot be mounted
//!   base-images/                   base images and their state
//!   logs/ACCOUNT/REGION/GROUP/     log segments
//!   tmp/                           what is being written; emptied at start
//!   trash/                         what is being deleted; emptied at start
//! ```
//!
//! Everything is on one file system, so that a rename is atomic. Only the owner may enter.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::{Result, StoreError, files};

const FORMAT: &str = "bojagi data directory, format 1\n";

/// The data directory, held exclusively as long as this value lives.
#[derive(Debug)]
pub struct DataDirectory {
    root: PathBuf,
    _lock: File,
}

impl DataDirectory {
    /// Opens the directory, or makes it; takes its lock; removes what an earlier process left unfinished.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Format`] when it is something else.
    pub fn open(root: &Path) -> Result<DataDirectory> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(StoreError::io("make", root))?;
        let root = root.canonicalize().map_err(StoreError::io("find", root))?;
        check_format(&root)?;
        let lock = take_lock(&root)?;
        let directory = DataDirectory { root, _lock: lock };
        for part in ["blobs/sha256", "images/sha256", "base-images", "logs", "tmp", "trash"] {
            let path = directory.root.join(part);
            files::make_directories(&directory.root, &path).map_err(StoreError::io("make", &path))?;
        }
        for part in [directory.temporary(), directory.trash()] {
            files::clear_directory(&part).map_err(StoreError::io("empty", &part))?;
        }
        Ok(directory)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The metadata database's file.
    pub fn metadata(&self) -> PathBuf {
        self.root.join("metadata.sqlite")
    }

    /// Where archives are.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Where code images are.
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Where base images are.
    pub fn base_images(&self) -> PathBuf {
        self.root.join("base-images")
    }

    /// Where logs are.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// Where files are written before they have their name.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where things are moved to be deleted.
    pub fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// Moves all blobs and code images away, whatever they are, with one rename each. What was moved is deleted by
    /// [`DataDirectory::empty_trash`]. Nobody may be writing blobs or images meanwhile.
    ///
    /// # Errors
    /// The system call's.
    pub fn discard_content(&self) -> Result<()> {
        for part in [self.blobs().join("sha256"), self.images().join("sha256")] {
            let away = self.trash().join(Uuid::new_v4().to_string());
            fs::rename(&part, &away).map_err(StoreError::io("move away", &part))?;
            files::make_directories(&self.root, &part).map_err(StoreError::io("make", &part))?;
        }
        Ok(())
    }

    /// Deletes what was moved to the trash. Takes as long as the file system needs.
    ///
    /// # Errors
    /// The system call's.
    pub fn empty_trash(&self) -> Result<()> {
        let trash = self.trash();
        files::clear_directory(&trash).map_err(StoreError::io("empty", &trash))
    }
}

/// A directory that holds something else is left alone.
fn check_format(root: &Path) -> Result<()> {
    let path = root.join("FORMAT");
    let found = match fs::read_to_string(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut entries = fs::read_dir(root).map_err(StoreError::io("read", root))?;
            let foreign = entries.find_map(|entry| {
                let name = entry.ok()?.file_name().to_string_lossy().into_owned();
                (name != "lock" && name != "lost+found" && name != "FORMAT.new").then_some(name)
            });
            if let Some(name) = foreign {
                return Err(StoreError::Format { path, found: format!("(nothing, beside {name})"), expected: FORMAT });
            }
            let draft = root.join("FORMAT.new");
            let written = fs::write(&draft, FORMAT)
                .and_then(|()| File::open(&draft)?.sync_all())
                .and_then(|()| fs::rename(&draft, &path))
                .and_then(|()| files::sync_directory(root));
            return written.map_err(StoreError::io("write", &path));
        }
        Err(error) => return Err(StoreError::io("read", &path)(error)),
    };
    if found == FORMAT { Ok(()) } else { Err(StoreError::Format { path, found, expected: FORMAT }) }
}

fn take_lock(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let mut lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io("open", &path))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            // Who holds it is a courtesy of the message; not knowing is no reason to fail differently.
            let known = lock.read_to_string(&mut holder).is_ok() && holder.trim().parse::<u32>().is_ok();
            let holder = if known { format!(" (process {})", holder.trim()) } else { String::new() };
            return Err(StoreError::Locked { path: root.to_owned(), holder });
        }
        Err(error) => return Err(StoreError::io("lock", &path)(error.into())),
    }
    let noted = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
    noted.map_err(StoreError::io("write", &path))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_leftovers_go() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("data");
        let held = DataDirectory::open(&root).unwrap();
        fs::write(held.temporary().join("half-written"), b"x").unwrap();
        fs::create_dir_all(held.trash().join("a/b")).unwrap();
        let error = DataDirectory::open(&root).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        let reopened = DataDirectory::open(&root).unwrap();
        assert_eq!(fs::read_dir(reopened.temporary()).unwrap().count(), 0);
        assert_eq!(fs::read_dir(reopened.trash()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_with_something_else_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("thesis.tex"), b"x").unwrap();
        assert!(matches!(DataDirectory::open(root.path()), Err(StoreError::Format { .. })));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        fs::remove_file(root.path().join("thesis.tex")).unwrap();
        fs::write(root.path().join("FORMAT"), b"bojagi data directory, format 99\n").unwrap();
        let error = DataDirectory::open(root.path()).unwrap_err();
        assert!(error.to_string().contains("format 99"), "{error}");
    }
}
