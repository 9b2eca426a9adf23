//! Directory trees as images: how base images are made.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use bojagi_package::erofs::reader::Image;
use bojagi_package::tree::{self, Times};

use crate::support::{directory_tree, fsck, image_tree, run};

fn make(root: &Path) {
    for directory in ["usr/bin", "usr/lib/python", "tmp", "empty"] {
        fs::create_dir_all(root.join(directory)).expect("a directory");
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("a mode");
    for number in 0..500_usize {
        fs::write(root.join(format!("usr/lib/python/{number}.py")), "x".repeat(number * 40)).expect("a file");
    }
    fs::write(root.join("large"), vec![3; 30 << 20]).expect("a file");
    fs::write(root.join("usr/bin/tool"), "code").expect("a file");
    fs::set_permissions(root.join("usr/bin/tool"), fs::Permissions::from_mode(0o4755)).expect("a mode");
    fs::hard_link(root.join("usr/bin/tool"), root.join("usr/bin/same")).expect("a link");
    fs::hard_link(root.join("usr/bin/tool"), root.join("another")).expect("a link");
    symlink("usr/bin", root.join("bin")).expect("a link");
    symlink("/etc/elsewhere", root.join("absolute")).expect("a link");
}

fn ingest(root: &Path, times: Times) -> (fs::File, bojagi_package::Ingested) {
    let file = tempfile::tempfile().expect("a temporary file");
    let ingested = tree::ingest(root, &file, times).expect("ingested");
    fsck(&file);
    (file, ingested)
}

#[test]
fn a_tree_is_kept_as_it_is() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    make(directory.path());
    let (file, ingested) = ingest(directory.path(), Times::Keep);
    assert_eq!(ingested.entries, 512);
    let image = Image::open(file).expect("an image");
    assert_eq!(image_tree(&image), directory_tree(directory.path()));
    let tool = image.lookup(b"bin/tool").expect("found");
    for name in ["another", "usr/bin/same"] {
        assert_eq!(image.lookup(name.as_bytes()).expect("found"), tool);
    }
    assert_eq!((tool.inode.links, tool.permissions()), (3, 0o4755));
    let usr = fs::metadata(directory.path().join("usr")).expect("metadata");
    assert_eq!(u64::from(image.lookup(b"usr").expect("found").inode.links), usr.nlink());
}

#[test]
fn the_same_tree_makes_the_same_image() {
    let (first, second) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    make(first.path());
    run(Command::new("cp").arg("-a").arg(first.path().join(".")).arg(second.path()));
    assert_eq!(ingest(first.path(), Times::Keep).1, ingest(second.path(), Times::Keep).1);
    run(Command::new("find").arg(second.path()).args(["-exec", "touch", "-h", "-d", "2001-02-03", "{}", "+"]));
    assert_ne!(ingest(first.path(), Times::Keep).1, ingest(second.path(), Times::Keep).1);
    assert_eq!(ingest(first.path(), Times::Fixed(7)).1, ingest(second.path(), Times::Fixed(7)).1);
}

#[test]
fn privileged_owners_and_attributes_are_kept_and_special_files_left_out() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path();
    for name in ["owned", "attributes", "capable"] {
        fs::write(root.join(name), name).expect("a file");
    }
    std::os::unix::fs::chown(root.join("owned"), Some(100_000), Some(70_000)).expect("an owner");
    run(Command::new("setcap").arg("cap_net_raw+ep").arg(root.join("capable")));
    run(Command::new("mkfifo").arg(root.join("fifo")));
    run(Command::new("mknod").arg(root.join("null")).args(["c", "1", "3"]));
    let path = root.join("attributes");
    for (name, value) in [("user.kept", &b"value"[..]), ("trusted.kept", &[7; 3000])] {
        rustix::fs::setxattr(&path, name, value, rustix::fs::XattrFlags::empty()).expect("an attribute");
    }
    let (file, ingested) = ingest(root, Times::Keep);
    assert_eq!(ingested.entries, 3);
    let image = Image::open(file).expect("an image");
    let stat = |name: &str| image.lookup(name.as_bytes()).expect("found").inode;
    assert_eq!((stat("owned").uid, stat("owned").gid), (100_000, 70_000));
    assert_eq!(stat("capable").xattr_count, 0);
    let kept = stat("attributes").xattr_bytes();
    assert_eq!(kept, 12 + 16 + (4 + 4 + 3000));
    assert_eq!(image.read_file(b"attributes", 100).expect("read"), b"attributes");
}
