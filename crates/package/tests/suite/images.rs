//! Images against the kernel and erofs-utils; damaged ones against the reader.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use bojagi_package::erofs;
use bojagi_package::erofs::reader::Image;
use bojagi_package::error::ImageError;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::raw_zip::{Raw, zip};
use crate::support::{Tree, accepted, directory_tree, image_tree, ingest, run};

/// A mounted image; unmounted when dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Mounts from the file, or by a loop device where the kernel or the file system below does not allow that.
    fn new(image: &Path, at: &'a Path) -> Mounted<'a> {
        let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
        if mount(image, at, "erofs", flags, None).is_err() {
            run(Command::new("mount").args(["-t", "erofs", "-o", "ro,loop"]).arg(image).arg(at));
        }
        Mounted(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::DETACH).expect("unmounted");
    }
}

/// Many files in few directories, some directories of many blocks, deep ones, links of all lengths.
fn varied() -> Vec<Raw> {
    let mut entries = Vec::new();
    for number in 0..4000_usize {
        let content = vec![b'a' + (number % 26) as u8; number * 7 % 20_000];
        let name = format!("many/{}{number}", "n".repeat(number % 200));
        entries.push(Raw::deflated(name, content).mode(if number % 3 == 0 { 0o100755 } else { 0o100644 }));
    }
    for number in 0..300 {
        entries.push(Raw::stored(format!("!first/{number}/x"), number.to_string()));
        entries.push(Raw::link(format!("links/{number}"), format!("../many/{}", "./".repeat(number * 6))));
    }
    entries.push(Raw::stored(format!("{}file", "deep/".repeat(100)), "bottom"));
    entries.push(Raw::stored("large", vec![9; 30 << 20]));
    entries
}

/// The tree that the kernel sees in an image.
fn mounted_tree(image: &File) -> Tree {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (path, point) = (directory.path().join("image"), directory.path().join("mounted"));
    let mut image = image.try_clone().expect("a file");
    image.seek(SeekFrom::Start(0)).expect("the start");
    std::io::copy(&mut image, &mut File::create(&path).expect("a file")).expect("copied");
    fs::create_dir(&point).expect("a directory");
    let mounted = Mounted::new(&path, &point);
    let tree = directory_tree(&point);
    drop(mounted);
    tree
}

#[test]
fn privileged_the_kernel_sees_the_same_tree() {
    let bytes = zip(&varied());
    let (file, _) = ingest(&bytes).expect("accepted");
    let tree = mounted_tree(&file);
    assert_eq!(tree.len(), 4000 + 600 + 300 + 100 + 2 + 3 + 1);
    assert_eq!(tree, accepted(&bytes));
}

/// As deep as a path can be: too deep for `fsck.erofs`, which calls itself for each directory and runs out of stack.
#[test]
fn privileged_the_kernel_goes_as_deep_as_a_path_can() {
    let deep = format!("{}file", "d/".repeat(1900));
    let (file, ingested) = ingest(&zip(&[Raw::stored(&deep, "bottom")])).expect("accepted");
    assert_eq!(ingested.entries, 1901);
    let tree = mounted_tree(&file);
    let image = Image::open(file).expect("an image");
    assert_eq!(image.read_file(deep.as_bytes(), 10).expect("read"), b"bottom");
    assert_eq!(tree, image_tree(&image));
}

#[test]
fn images_of_mkfs_erofs_are_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (tree, path) = (directory.path().join("tree"), directory.path().join("image"));
    fs::create_dir(&tree).expect("a directory");
    bojagi_package::zip::extract(&zip(&varied()), &tree, &crate::support::LIMITS).expect("extracted");
    for options in [&["-T1700000000"][..], &["-Eforce-inode-compact"], &["-Enoinline_data"]] {
        run(Command::new("mkfs.erofs").args(options).arg(&path).arg(&tree));
        let image = Image::open(File::open(&path).expect("a file")).expect("an image");
        let (mut read, mut expected) = (image_tree(&image), directory_tree(&tree));
        for what in read.values_mut().chain(expected.values_mut()) {
            if let crate::support::What::File { mtime, .. } = what {
                *mtime = 0;
            }
        }
        assert_eq!(read, expected, "{options:?}");
        fs::remove_file(&path).expect("removed");
    }
}

#[test]
fn a_changed_image_is_not_its_digest() {
    let (file, ingested) = ingest(&zip(&varied())).expect("accepted");
    for offset in [0, 1100, 5000, ingested.image_bytes / 2, ingested.image_bytes - 1] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, offset).expect("read");
        file.write_all_at(&[!byte[0]], offset).expect("written");
        assert!(matches!(erofs::verify(&file, &ingested.image), Err(ImageError::WrongDigest)));
        file.write_all_at(&byte, offset).expect("written");
    }
    erofs::verify(&file, &ingested.image).expect("as it was");
    file.set_len(ingested.image_bytes - 1).expect("cut");
    assert!(matches!(erofs::verify(&file, &ingested.image), Err(ImageError::WrongDigest)));
}

#[test]
fn damaged_images_are_refused() {
    let (file, ingested) = ingest(&zip(&[Raw::stored("a", "1")])).expect("accepted");
    let mut good = vec![0; ingested.image_bytes as usize];
    file.read_exact_at(&mut good, 0).expect("read");
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        Image::open(&bytes[..]).and_then(|image| image.lookup(b"a").map(|stat| stat.inode.size))
    };
    assert!(matches!(open(&|_| ()), Ok(1)));
    let damaged = |change: &dyn Fn(&mut Vec<u8>)| match open(change) {
        Err(ImageError::Damaged(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(damaged(&|bytes| bytes.truncate(4095)), "shorter than a block");
    assert_eq!(damaged(&|bytes| bytes[1024] = 0), "no EROFS superblock");
    assert_eq!(damaged(&|bytes| bytes[2000] ^= 1), "superblock checksum");
    // Without the checksum's feature bit the rest must be noticed by itself.
    let unsealed = |change: fn(&mut Vec<u8>)| {
        damaged(&move |bytes| {
            bytes[1024 + 8] = 0;
            change(bytes);
        })
    };
    assert_eq!(unsealed(|bytes| bytes[1024 + 36] = 200), "shorter than its superblock says");
    assert_eq!(unsealed(|bytes| bytes[1024 + 14..][..2].fill(0xff)), "inode outside the image");
    assert_eq!(unsealed(|bytes| bytes[1152 + 9] = 0x0f), "inline content outside its block");
    assert_eq!(unsealed(|bytes| bytes[1152 + 15] = 0x7f), "content outside the image");
    assert_eq!(unsealed(|bytes| bytes[1152 + 64 + 8] = 13), "directory block");
    assert!(matches!(open(&|bytes| bytes[1024 + 12] = 9), Err(ImageError::Unsupported(_))));
    assert!(matches!(open(&|bytes| bytes[1024 + 80] = 1), Err(ImageError::Unsupported(_))));
}
