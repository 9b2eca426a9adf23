//! Trees as values, so that an image, a mount and a directory can be compared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use bojagi_package::erofs::reader::{FileType, Image, ReadAt};
use bojagi_package::error::ZipError;
use bojagi_package::zip::{self, ZipLimits};
use bojagi_package::{Ingested, erofs};

pub const LIMITS: ZipLimits = ZipLimits { unzipped_bytes: 262_144_000, entries: 500_000 };

/// What a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Directory { mode: u32 },
    File { mode: u32, mtime: i64, content: Vec<u8> },
    Link { target: Vec<u8> },
}

/// Everything below a root by its path, the root itself as an empty one.
pub type Tree = BTreeMap<Vec<u8>, What>;

/// Makes an image of an archive, checks what must hold of every image, and returns it.
pub fn ingest(zip: &[u8]) -> Result<(File, Ingested), ZipError> {
    let file = tempfile::tempfile().expect("a temporary file");
    let ingested = zip::ingest(zip, &file, &LIMITS)?;
    assert_eq!(file.metadata().expect("metadata").len(), ingested.image_bytes);
    erofs::verify(&file, &ingested.image).expect("the image has its digest");
    Ok((file, ingested))
}

/// The tree in the image of an archive that must be accepted.
pub fn accepted(zip: &[u8]) -> Tree {
    let (file, ingested) = ingest(zip).unwrap_or_else(|error| panic!("refused: {error}"));
    fsck(&file);
    let tree = image_tree(&Image::open(file).expect("an image"));
    assert_eq!(tree.len() as u64, ingested.entries + 1);
    tree
}

/// Reads all of an image.
pub fn image_tree<S: ReadAt>(image: &Image<S>) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![(Vec::new(), image.root().expect("a root"))];
    while let Some((path, stat)) = todo.pop() {
        let mode = u32::from(stat.permissions());
        let what = match stat.file_type() {
            FileType::Directory => {
                for entry in image.list(&stat).expect("a directory") {
                    let child = if path.is_empty() { entry.name } else { [&path[..], &entry.name].join(&b'/') };
                    todo.push((child, image.stat(entry.nid).expect("an inode")));
                }
                What::Directory { mode }
            }
            FileType::File => {
                let mut content = vec![0; stat.inode.size as usize];
                assert_eq!(image.read_content(&stat, &mut content, 0).expect("content"), content.len());
                What::File { mode, mtime: stat.inode.mtime as i64, content }
            }
            FileType::Symlink => What::Link { target: image.read_link(&stat).expect("a target") },
            FileType::Other => panic!("a special file at {path:?}"),
        };
        assert!(tree.insert(path, what).is_none());
    }
    tree
}

/// Reads all of a directory on disk.
pub fn directory_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        let mode = metadata.permissions().mode() & 0o7777;
        let what = if metadata.is_dir() {
            todo.extend(fs::read_dir(&path).expect("a directory").map(|entry| entry.expect("an entry").path()));
            What::Directory { mode }
        } else if metadata.is_symlink() {
            What::Link { target: fs::read_link(&path).expect("a link").into_os_string().into_vec() }
        } else {
            What::File { mode, mtime: metadata.mtime(), content: fs::read(&path).expect("a file") }
        };
        tree.insert(path.strip_prefix(root).expect("below the root").as_os_str().as_bytes().to_vec(), what);
    }
    tree
}

/// `fsck.erofs` finds nothing wrong.
pub fn fsck(image: &File) {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/{}/fd/{}", std::process::id(), image.as_raw_fd());
    run(Command::new("fsck.erofs").arg(path));
}

/// Runs a command that must succeed.
pub fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&text));
}

/// A file as the raw builder makes it.
pub fn file(mode: u32, content: impl AsRef<[u8]>) -> What {
    What::File { mode, mtime: 1_767_225_600, content: content.as_ref().to_vec() }
}

pub fn directory() -> What {
    What::Directory { mode: 0o755 }
}
