//! The few file operations that durability rests on.
//!
//! A file becomes visible under its name only when its content is on disk: write to a temporary, fsync it, rename it, fsync the
//! directory that got the name. A directory that was made on the way is fsynced in its parent too.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a directory's entries durable.
///
/// # Errors
/// The system call's.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory and its missing parents up to `root`, each durable in its parent.
///
/// # Errors
/// The system call's.
pub fn make_directories(root: &Path, path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent()
        && path != root
    {
        make_directories(root, parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    path.parent().map_or(Ok(()), sync_directory)
}

/// Removes a file or a directory tree; nothing there is fine.
///
/// # Errors
/// The system call's.
pub fn remove_any(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes everything in a directory, but not the directory.
///
/// # Errors
/// The system call's.
pub fn clear_directory(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        remove_any(&entry?.path())?;
    }
    Ok(())
}
