//! Archives that are unusual and fine.

use bojagi_package::erofs::reader::Image;
use bojagi_package::error::ImageError;
use bojagi_package::zip;

use crate::raw_zip::{Raw, archive, extra, zip, zip64};
use crate::support::{LIMITS, Tree, What, accepted, directory, directory_tree, file, ingest};

/// The archive's tree is this one, as an image and as a directory.
fn check(zip: &[u8], expected: &[(&[u8], What)]) {
    let mut tree: Tree = expected.iter().map(|(path, what)| (path.to_vec(), what.clone())).collect();
    tree.entry(Vec::new()).or_insert(directory());
    assert_eq!(accepted(zip), tree);
    let target = tempfile::tempdir().expect("a temporary directory");
    zip::extract(zip, target.path(), &LIMITS).expect("extracted");
    assert_eq!(directory_tree(target.path()), tree);
}

#[test]
fn stored_deflated_and_empty_entries() {
    let text = "text ".repeat(5000);
    check(
        &zip(&[
            Raw::stored("stored", "as it is"),
            Raw::deflated("dir/deflated", &text),
            Raw::stored("empty", ""),
            Raw::deflated("empty, deflated", ""),
            Raw::directory("nothing/in/it/"),
        ]),
        &[
            (b"stored", file(0o644, "as it is")),
            (b"dir", directory()),
            (b"dir/deflated", file(0o644, &text)),
            (b"empty", file(0o644, "")),
            (b"empty, deflated", file(0o644, "")),
            (b"nothing", directory()),
            (b"nothing/in", directory()),
            (b"nothing/in/it", directory()),
        ],
    );
}

#[test]
fn sizes_around_blocks_and_buffers() {
    let mut entries = Vec::new();
    let mut expected = Vec::new();
    let sizes = [1, 2047, 2048, 2049, 4095, 4096, 4097, 8192, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9 << 20, 33 << 20];
    for (number, size) in sizes.into_iter().enumerate() {
        let content: Vec<u8> = (0..size).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8 & 0x1f).collect();
        for (prefix, raw) in [("s", Raw::stored("", &content)), ("d", Raw::deflated("", &content))] {
            let name = format!("{prefix}{number}").into_bytes();
            entries.push(Raw { name: name.clone(), ..raw });
            expected.push((name, file(0o644, &content)));
        }
    }
    let expected: Vec<_> = expected.iter().map(|(name, what)| (&name[..], what.clone())).collect();
    check(&zip(&entries), &expected);
}

#[test]
fn zip64_prefix_comment_and_what_follows() {
    let entries = [Raw::deflated("a", "some text"), Raw::stored("d/b", "more")];
    let expected: &[(&[u8], What)] =
        &[(b"a", file(0o644, "some text")), (b"d", directory()), (b"d/b", file(0o644, "more"))];
    check(&zip64(b"", &entries), expected);
    check(&zip64(b"#!/bin/sh\nexit 0\n", &entries), expected);
    check(&archive(b"#!/bin/sh\nexit 0\n", &entries, b""), expected);
    check(&archive(b"", &entries, b"a comment"), expected);
    check(&archive(b"", &entries, &[b'c'; 65_535]), expected);
    // A comment that looks like the end of an archive, and a line feed that an upload added.
    check(&archive(b"", &entries, b"PK\x05\x06 is how it ends, they say"), expected);
    check(&[&zip(&entries)[..], b"\r\n"].concat(), expected);
}

#[test]
fn zip64_sizes() {
    let wide = extra(0x0001, &[3_u64.to_le_bytes(), 3_u64.to_le_bytes(), 0_u64.to_le_bytes()].concat());
    let raw = Raw::stored("x", "abc").with(|raw| {
        raw.local_extra = wide[..20].to_vec();
        raw.local_extra[2] = 16;
        raw.extra = wide;
        (raw.compressed, raw.uncompressed, raw.local_offset) = (u32::MAX, u32::MAX, Some(u32::MAX));
    });
    check(&zip(&[raw]), &[(b"x", file(0o644, "abc"))]);
}

#[test]
fn data_descriptors() {
    let with_descriptor = |mut raw: Raw| {
        raw.flags |= 1 << 3;
        raw.local_sizes = Some([0, 0, 0]);
        raw.data.extend(b"PK\x07\x08");
        raw.data.extend([raw.crc, raw.compressed, raw.uncompressed].map(u32::to_le_bytes).concat());
        raw
    };
    let entries = [with_descriptor(Raw::deflated("a", "text text")), with_descriptor(Raw::stored("b", "more"))];
    check(&zip(&entries), &[(b"a", file(0o644, "text text")), (b"b", file(0o644, "more"))]);
}

#[test]
fn names_stay_the_bytes_they_are() {
    let latin = b"caf\xe9";
    let replaced = extra(0x7075, &[&[1][..], &libdeflater::crc32(b"caf?").to_le_bytes(), "café".as_bytes()].concat());
    let stale = extra(0x7075, b"\x01\0\0\0\0other");
    let component = "ä".repeat(127);
    check(
        &zip(&[
            Raw::stored(latin, "1"),
            Raw::stored("caf?", "2").with(|raw| raw.extra = replaced),
            Raw::stored("kept", "3").with(|raw| raw.extra = stale),
            Raw::stored("dir\\file", "4"),
            Raw::stored("C:drive", "5"),
            Raw::stored(&component, "6"),
            Raw::stored("./dotted//twice/./x", "7"),
            Raw::directory("./"),
        ]),
        &[
            (latin, file(0o644, "1")),
            ("café".as_bytes(), file(0o644, "2")),
            (b"kept", file(0o644, "3")),
            (b"dir\\file", file(0o644, "4")),
            (b"C:drive", file(0o644, "5")),
            (component.as_bytes(), file(0o644, "6")),
            (b"dotted", directory()),
            (b"dotted/twice", directory()),
            (b"dotted/twice/x", file(0o644, "7")),
        ],
    );
}

#[test]
fn modes_from_unix_and_from_elsewhere() {
    let dos = |name: &str, attributes| Raw::stored(name, "").with(|raw| (raw.host, raw.attributes) = (0, attributes));
    check(
        &zip(&[
            Raw::stored("bootstrap", "#!").mode(0o100755),
            Raw::stored("private", "").mode(0o100600),
            Raw::stored("none", "").mode(0o100000),
            Raw::stored("set-id", "").mode(0o106755),
            Raw::stored("typeless", "").mode(0o640),
            Raw::stored("modeless", "").mode(0),
            Raw::stored("unknown", "").mode(0o177777),
            Raw::directory("META-INF/").mode(0o177777),
            dos("dos", 0x20),
            dos("dos read-only", 0x21),
            dos("dos directory", 0x10),
            dos("dos with a mode", 0o100750 << 16),
            Raw::directory("closed/").mode(0o040700),
            Raw::directory("unreadable/").mode(0o040711),
            Raw::directory("group/").mode(0o040775),
            Raw::directory("as a name without slash"),
        ]),
        &[
            (b"bootstrap", file(0o755, "#!")),
            (b"private", file(0o600, "")),
            (b"none", file(0, "")),
            (b"set-id", file(0o755, "")),
            (b"typeless", file(0o640, "")),
            (b"modeless", file(0o644, "")),
            (b"unknown", file(0o644, "")),
            (b"META-INF", directory()),
            (b"dos", file(0o644, "")),
            (b"dos read-only", file(0o444, "")),
            (b"dos directory", directory()),
            (b"dos with a mode", file(0o750, "")),
            (b"closed", directory()),
            (b"unreadable", directory()),
            (b"group", What::Directory { mode: 0o775 }),
            (b"as a name without slash", directory()),
        ],
    );
}

#[test]
fn links_within_the_package_and_to_the_functions_places() {
    let link = |target: &str| What::Link { target: target.as_bytes().to_vec() };
    let long = format!("{}bootstrap", "./".repeat(2040));
    let zip = zip(&[
        Raw::stored("bin/real", "code").mode(0o100755),
        Raw::link("bootstrap", "bin/real"),
        Raw::link("bin/up", "../bootstrap"),
        Raw::link("bin/again", "../bin/../bin/./up"),
        Raw::link("root", "bin/.."),
        Raw::link("dangling", "not/there"),
        Raw::link("loop", "loop"),
        Raw::link("node_modules", "/opt/nodejs/node_modules"),
        Raw::link("cache", "/tmp/cache"),
        Raw::link("self", "/var/task/bootstrap"),
        Raw::link("long", &long),
    ]);
    check(
        &zip,
        &[
            (b"bin", directory()),
            (b"bin/real", file(0o755, "code")),
            (b"bootstrap", link("bin/real")),
            (b"bin/up", link("../bootstrap")),
            (b"bin/again", link("../bin/../bin/./up")),
            (b"root", link("bin/..")),
            (b"dangling", link("not/there")),
            (b"loop", link("loop")),
            (b"node_modules", link("/opt/nodejs/node_modules")),
            (b"cache", link("/tmp/cache")),
            (b"self", link("/var/task/bootstrap")),
            (b"long", link(&long)),
        ],
    );
    let image = Image::open(ingest(&zip).expect("accepted").0).expect("an image");
    for path in ["bootstrap", "/bootstrap", "bin/again", "root/root/bin/up", "long"] {
        assert_eq!(image.read_file(path.as_bytes(), 10).expect(path), b"code");
        assert_eq!(image.lookup(path.as_bytes()).expect(path).permissions(), 0o755);
    }
    assert!(matches!(image.lookup(b"dangling"), Err(ImageError::NotFound)));
    assert!(matches!(image.lookup(b"loop"), Err(ImageError::TooManyLinks)));
    assert!(matches!(image.lookup(b"cache"), Err(ImageError::LeavesImage)));
    assert!(matches!(image.lookup(b"../x"), Err(ImageError::LeavesImage)));
    assert!(matches!(image.lookup(b"bin/real/x"), Err(ImageError::NotADirectory)));
    assert!(matches!(image.read_file(b"bin", 10), Err(ImageError::NotAFile)));
    assert!(matches!(image.read_file(b"bootstrap", 3), Err(ImageError::TooLarge { bytes: 4, limit: 3 })));
}

#[test]
fn times_from_the_extended_timestamp_or_the_dos_fields() {
    let stamp = extra(0x5455, &[&[1][..], &1_600_000_001_u32.to_le_bytes()].concat());
    let time = |mtime| What::File { mode: 0o644, mtime, content: Vec::new() };
    check(
        &zip(&[
            Raw::stored("stamped", "").with(|raw| raw.extra = stamp),
            // 2024-02-29 13:37:42 and the last that the fields can say.
            Raw::stored("leap", "").with(|raw| (raw.date, raw.time) = (44 << 9 | 2 << 5 | 29, 13 << 11 | 37 << 5 | 21)),
            Raw::stored("last", "")
                .with(|raw| (raw.date, raw.time) = (127 << 9 | 12 << 5 | 31, 23 << 11 | 59 << 5 | 29)),
            Raw::stored("no day", "").with(|raw| (raw.date, raw.time) = (0, 0)),
        ]),
        &[
            (b"stamped", time(1_600_000_001)),
            (b"leap", time(1_709_213_862)),
            (b"last", time(4_354_819_198)),
            (b"no day", time(315_532_800)),
        ],
    );
}

#[test]
fn the_same_archive_makes_the_same_image() {
    let entries: Vec<Raw> = (0..3000).map(|n| Raw::deflated(format!("d{}/{n}", n % 7), vec![n as u8; n * 5])).collect();
    let zip = zip(&entries);
    let (_, first) = ingest(&zip).expect("accepted");
    for _ in 0..3 {
        assert_eq!(ingest(&zip).expect("accepted").1, first);
    }
    let mut changed = entries;
    changed[1234] = Raw::deflated("d2/1234", vec![1; 6170]);
    assert_ne!(ingest(&crate::raw_zip::zip(&changed)).expect("accepted").1.image, first.image);
}
