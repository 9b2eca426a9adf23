//! Archives made by other people's tools become the tree that Info-ZIP's `unzip` makes of them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use bojagi_package::zip;
use proptest::prelude::*;

use crate::support::{LIMITS, Tree, What, accepted, directory_tree, run};

/// Python's `zipfile`, each entry stored or deflated.
const ZIPFILE: &str = r#"
import os, stat, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    for root, directories, files in os.walk("."):
        for number, name in enumerate(sorted(directories + files)):
            path = os.path.join(root, name)
            info = zipfile.ZipInfo(os.path.relpath(path, "."), (2020 + number % 9, 1 + number % 12, 3, 4, 5, 6))
            mode = os.lstat(path).st_mode
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED if number % 2 else zipfile.ZIP_STORED
            if stat.S_ISLNK(mode):
                archive.writestr(info, os.readlink(path))
            elif stat.S_ISDIR(mode):
                info.filename += "/"
                archive.writestr(info, b"")
            else:
                with open(path, "rb") as content, archive.open(info, "w", force_zip64=number % 3 == 0) as entry:
                    entry.write(content.read())
"#;

#[derive(Clone, Copy, Debug)]
enum Tool {
    Python,
    InfoZip,
    InfoZipStreamed,
    Bsdtar,
}

impl Tool {
    fn archive(self, tree: &Path, archive: &Path) {
        let mut command = match self {
            Tool::Python => {
                let mut command = Command::new("python3");
                command.args(["-c", ZIPFILE]).arg(archive);
                command
            }
            Tool::InfoZip => {
                let mut command = Command::new("zip");
                command.args(["-q", "-r", "-y"]).arg(archive).arg(".");
                command
            }
            // Written to a pipe, so with data descriptors.
            Tool::InfoZipStreamed => {
                let mut command = Command::new("sh");
                command.args(["-c", "zip -q -r -y - . | cat > \"$0\""]).arg(archive);
                command
            }
            Tool::Bsdtar => {
                let mut command = Command::new("bsdtar");
                command.args(["--format", "zip", "-cf"]).arg(archive).arg(".");
                command
            }
        };
        run(command.current_dir(tree).env("LC_ALL", "C.UTF-8").env("TZ", "UTC"));
    }
}

#[derive(Clone, Debug)]
enum Item {
    File(Vec<u8>, u32),
    Directory(u32),
    Link(usize),
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "index.js",
        "node_modules",
        "-x",
        ".hidden",
        "with space",
        "보자기",
        "é",
        "[x]",
        "back\\slash",
        "x'y",
        "!",
        "~",
        "__MACOSX",
    ])
    .prop_map(str::to_owned)
}

fn item() -> impl Strategy<Value = Item> {
    let content = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..50),
        (any::<u8>(), 0..20_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        (any::<u64>(), 0..9000_usize).prop_map(|(seed, length)| {
            (0..length as u64).map(|at| (seed.wrapping_mul((at * at) | 1) >> 40) as u8).collect()
        }),
    ];
    let mode = prop::sample::select(vec![0o644, 0o755, 0o600, 0o664, 0o444, 0o500, 0o777]);
    let directory_mode = prop::sample::select(vec![0o755, 0o700, 0o775, 0o711]);
    prop_oneof![
        6 => (content, mode).prop_map(|(content, mode)| Item::File(content, mode)),
        2 => directory_mode.prop_map(Item::Directory),
        1 => (0..4_usize).prop_map(Item::Link),
    ]
}

/// Puts a tree on disk. What meets something else there is left out.
fn plant(root: &Path, items: &[(Vec<String>, Item)]) {
    for (components, item) in items {
        let path = root.join(components.join("/"));
        let parent = path.parent().expect("below the root");
        if fs::create_dir_all(parent).is_err() || path.symlink_metadata().is_ok() {
            continue;
        }
        match item {
            Item::File(content, mode) => {
                fs::write(&path, content).expect("a file");
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
            }
            Item::Directory(mode) => {
                fs::create_dir(&path).expect("a directory");
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
            }
            Item::Link(up) => {
                let up = "../".repeat((*up).min(components.len() - 1));
                symlink(format!("{up}some/where"), &path).expect("a link");
            }
        }
    }
}

/// What `unzip` makes of it, with directories opened as AWS does.
fn unzipped(archive: &Path, to: &Path) -> Tree {
    fs::create_dir(to).expect("a directory");
    run(Command::new("unzip").arg("-q").arg(archive).arg("-d").arg(to).env("LC_ALL", "C.UTF-8").env("TZ", "UTC"));
    let mut tree = directory_tree(to);
    for what in tree.values_mut() {
        if let What::Directory { mode } = what
            && *mode & 0o005 != 0o005
        {
            *mode = 0o755;
        }
    }
    // The root is what the directory was that unzip was given.
    tree.insert(Vec::new(), What::Directory { mode: 0o755 });
    tree
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn as_unzip_has_it(
        items in prop::collection::vec((prop::collection::vec(name(), 1..5), item()), 1..40),
        tool in prop::sample::select(vec![Tool::Python, Tool::InfoZip, Tool::InfoZipStreamed, Tool::Bsdtar]),
    ) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [tree, archive, to, direct] = ["tree", "a.zip", "to", "direct"].map(|name| directory.path().join(name));
        fs::create_dir(&tree).expect("a directory");
        plant(&tree, &items);
        tool.archive(&tree, &archive);
        let expected = unzipped(&archive, &to);
        let bytes = fs::read(&archive).expect("an archive");
        let mut image = accepted(&bytes);
        image.insert(Vec::new(), What::Directory { mode: 0o755 });
        prop_assert_eq!(&image, &expected);
        fs::create_dir(&direct).expect("a directory");
        zip::extract(&bytes, &direct, &LIMITS).expect("extracted");
        let mut direct = directory_tree(&direct);
        direct.insert(Vec::new(), What::Directory { mode: 0o755 });
        prop_assert_eq!(&direct, &expected);
    }
}
