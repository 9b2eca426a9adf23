//! Archives that must be refused: each with its error, its message for the client, and nothing written beyond bound.

use std::os::unix::fs::MetadataExt;

use bojagi_model::{Error, ErrorKind};
use bojagi_package::error::{EntryProblem as Entry, ZipError};
use bojagi_package::zip::{self, ZipLimits};

use crate::raw_zip::{Raw, archive, deflate, end, extra, zip, zip64};
use crate::support::LIMITS;

const UNZIP: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";
const SIZE: &str = "Unzipped size must be smaller than 262144000 bytes";

/// Refused both ways, in the same words, with at most `written` bytes on disk.
fn check(what: &str, zip: &[u8], limits: &ZipLimits, message: &str, expected: impl Fn(&ZipError) -> bool) {
    let output = tempfile::tempfile().expect("a temporary file");
    let error = zip::ingest(zip, &output, limits).expect_err(what);
    assert!(expected(&error), "{what}: {error:?}");
    let written = output.metadata().expect("metadata").blocks() * 512;
    assert!(written <= 64 << 10, "{what}: {written} bytes written");
    let error = Error::from(error);
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidParameterValue, message), "{what}");

    let directory = tempfile::tempdir().expect("a temporary directory");
    let error = zip::extract(zip, directory.path(), limits).expect_err(what);
    assert!(expected(&error), "{what}: {error:?}");
}

fn entry(what: &str, entries: &[Raw], problem: Entry) {
    check(what, &zip(entries), &LIMITS, UNZIP, |error| error.problem() == Some(problem));
}

#[test]
fn names_that_leave_the_root_or_are_none() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(2048);
    for (name, problem) in [
        ("../evil", Entry::ParentInName),
        ("a/../../evil", Entry::ParentInName),
        ("a/..", Entry::ParentInName),
        ("a/../b", Entry::ParentInName),
        ("/etc/passwd", Entry::AbsoluteName),
        ("//etc/passwd", Entry::AbsoluteName),
        ("a\0b", Entry::NulInName),
        ("", Entry::EmptyName),
        (".", Entry::EmptyName),
        (&long, Entry::ComponentTooLong),
        (&deep, Entry::PathTooLong),
    ] {
        let problem = if name == "." { None } else { Some(problem) };
        let zip = zip(&[Raw::stored("fine", "1"), Raw::stored(name, "").with(|raw| raw.attributes = 0)]);
        match problem {
            Some(problem) => check(name, &zip, &LIMITS, UNZIP, |error| error.problem() == Some(problem)),
            // Without a mode "." can only be the root directory.
            None => assert!(crate::support::ingest(&zip).is_ok()),
        }
    }
    entry("a file named like the root", &[Raw::stored("./.", "x")], Entry::DirectoryWithContent);
}

#[test]
fn a_unicode_path_is_checked_like_a_name() {
    let field = |path: &[u8]| {
        let crc = libdeflater::crc32(b"innocent");
        extra(0x7075, &[&[1][..], &crc.to_le_bytes(), path].concat())
    };
    let raw = |path: &[u8]| Raw::stored("innocent", "x").with(|raw| raw.extra = field(path));
    entry("traversal by Unicode path", &[raw(b"../evil")], Entry::ParentInName);
    entry("absolute by Unicode path", &[raw(b"/evil")], Entry::AbsoluteName);
    entry("twice by Unicode path", &[raw(b"same"), Raw::stored("same", "y")], Entry::Duplicate);
}

#[test]
fn links_that_lead_out() {
    let fails = |what: &str, entries: &[Raw]| entry(what, entries, Entry::LinkEscapes);
    fails("up", &[Raw::link("l", "..")]);
    fails("up and away", &[Raw::link("a/l", "../../etc/passwd")]);
    fails("down and up", &[Raw::directory("d/"), Raw::link("l", "d/../../x")]);
    fails("absolute", &[Raw::link("l", "/etc/passwd")]);
    fails("absolute, the root", &[Raw::link("l", "/")]);
    fails("absolute, a sibling of a place", &[Raw::link("l", "/optional/x")]);
    fails("absolute, half a place", &[Raw::link("l", "/var")]);
    fails("absolute, back out", &[Raw::link("l", "/opt/../etc/passwd")]);
    fails("through a link", &[Raw::link("here", "."), Raw::link("l", "here/..")]);
    fails("through a link below", &[Raw::link("a/b/up", "../.."), Raw::link("l", "a/b/up/../x")]);
    fails("through nothing", &[Raw::link("l", "missing/../../x")]);
    for target in ["", "a\0b"] {
        entry("no path", &[Raw::link("l", target)], Entry::BadLinkTarget);
    }
    entry("a long target", &[Raw::link("l", "x/".repeat(2048))], Entry::BadLinkTarget);
}

#[test]
fn names_that_meet() {
    let (a, b) = (Raw::stored("x", "1"), Raw::stored("x", "2"));
    entry("a file twice", &[a.clone(), b], Entry::Duplicate);
    entry("a file twice, spelt differently", &[Raw::stored("d/x", "1"), Raw::stored("d//./x", "1")], Entry::Duplicate);
    entry("a file, then a directory", &[a.clone(), Raw::directory("x/")], Entry::Duplicate);
    entry("a directory, then a file", &[Raw::directory("x/"), a.clone()], Entry::Duplicate);
    entry("an implied directory, then a file", &[Raw::stored("x/y", ""), a.clone()], Entry::Duplicate);
    entry("a directory, then a link", &[Raw::directory("x/"), Raw::link("x", "y")], Entry::Duplicate);
    entry("below a file", &[a, Raw::stored("x/y", "")], Entry::BelowNonDirectory);
    entry("below a link", &[Raw::link("l", "d"), Raw::stored("l/x", "evil")], Entry::BelowNonDirectory);
    entry("below a link, later", &[Raw::stored("l/x", "evil"), Raw::link("l", "d")], Entry::Duplicate);
}

#[test]
fn special_files() {
    for mode in [0o020644, 0o060644, 0o010644, 0o140644, 0o030644] {
        let problem = Entry::SpecialFile(mode as u16);
        entry("a special file", &[Raw::stored("x", "").mode(mode)], problem);
    }
    let problem = Entry::SpecialFile(0o120777);
    entry("a link named as a directory", &[Raw::link("x/", "y")], problem);
    entry("a directory with content", &[Raw::stored("x/", "content")], Entry::DirectoryWithContent);
}

#[test]
fn methods_and_encryption() {
    for flags in [1, 1 << 6, 1 << 13] {
        entry("encrypted", &[Raw::stored("x", "1").with(|raw| raw.flags = flags)], Entry::Encrypted);
    }
    for method in [1, 6, 9, 12, 14, 93, 95, 99] {
        let raw = Raw::stored("x", "1").with(|raw| raw.method = method);
        entry("a method", &[raw], Entry::UnsupportedMethod(method));
    }
}

#[test]
fn sizes_and_checksums_that_lie() {
    let text = "the same words again, the same words again".repeat(200);
    let good = Raw::deflated("x", &text);
    let changed = |change: fn(&mut Raw)| [good.clone().with(change)];
    entry("longer than declared", &changed(|raw| raw.uncompressed -= 1), Entry::WrongSize);
    entry("shorter than declared", &changed(|raw| raw.uncompressed += 1), Entry::WrongSize);
    entry("a wrong checksum", &changed(|raw| raw.crc ^= 1), Entry::WrongChecksum);
    entry("impossible", &changed(|raw| raw.uncompressed = 200_000_000), Entry::ImpossibleSize);
    entry("noise", &changed(|raw| raw.data.fill(0xff)), Entry::BadDeflate);
    entry("cut off", &changed(|raw| raw.compressed -= 4), Entry::WrongSize);
    entry("stored, two sizes", &[Raw::stored("x", "abc").with(|raw| raw.uncompressed = 4)], Entry::ImpossibleSize);
    entry("stored, a wrong checksum", &[Raw::stored("x", "abc").with(|raw| raw.crc = 0)], Entry::WrongChecksum);
    entry("empty with a checksum", &[Raw::stored("x", "").with(|raw| raw.crc = 7)], Entry::WrongChecksum);
}

#[test]
fn large_files_that_lie_are_cut_where_they_were_to_end() {
    let good = Raw::deflated("x", vec![7; 40 << 20]);
    let bound = 41 << 20;
    for (change, problem) in [
        ((|raw| raw.uncompressed -= 1) as fn(&mut Raw), Entry::WrongSize),
        (|raw| raw.uncompressed += 1, Entry::WrongSize),
        (|raw| raw.crc ^= 1, Entry::WrongChecksum),
        (|raw| raw.compressed -= 20, Entry::BadDeflate),
    ] {
        let output = tempfile::tempfile().expect("a temporary file");
        let error = zip::ingest(&zip(&[good.clone().with(change)]), &output, &LIMITS).expect_err("refused");
        assert_eq!(error.problem(), Some(problem), "{error:?}");
        assert!(output.metadata().expect("metadata").blocks() * 512 <= bound);
    }
}

#[test]
fn headers_that_disagree() {
    let raw = || Raw::stored("x", "abc");
    let differs = |what, raw: Raw| entry(what, &[raw], Entry::HeadersDisagree(what));
    differs("name", raw().with(|raw| raw.local_name = Some(b"y".to_vec())));
    differs("method", raw().with(|raw| raw.local_method = Some(8)));
    differs("checksum", raw().with(|raw| raw.local_sizes = Some([1, 3, 3])));
    differs("size", raw().with(|raw| raw.local_sizes = Some([raw.crc, 4, 3])));
    differs("size", raw().with(|raw| raw.local_sizes = Some([raw.crc, 3, 4])));
}

#[test]
fn places_that_overlap_or_are_none() {
    let (a, b) = (Raw::stored("a", "0123456789"), Raw::stored("b", "0123456789"));
    let same = Raw { local_offset: Some(0), ..a.clone() };
    entry(
        "one local header for two",
        &[a.clone(), Raw { name: b"b".to_vec(), ..same }],
        Entry::HeadersDisagree("name"),
    );
    // The quine of overlaps: a stored entry whose data is the next entry.
    let inner = zip(std::slice::from_ref(&b));
    let inner = &inner[..31 + 10];
    let outer = Raw::stored("a", inner);
    let hidden = Raw { local_offset: Some(31), data: Vec::new(), ..b.clone() };
    entry("an entry within another", &[outer, hidden], Entry::Overlap);
    entry("no local header", &[a.clone(), Raw { local_offset: Some(3), ..b.clone() }], Entry::NoLocalHeader);
    for offset in [60_000, u32::MAX - 1] {
        entry("beyond the end", &[Raw { local_offset: Some(offset), ..a.clone() }], Entry::OutOfBounds);
    }
    let into_directory = Raw::stored("a", "0123456789").with(|raw| {
        raw.data.truncate(5);
    });
    entry("into the central directory", &[into_directory], Entry::OutOfBounds);
    entry("zip64 without its field", &[a.with(|raw| raw.uncompressed = u32::MAX)], Entry::Zip64Extra);
}

#[test]
fn archives_cut_short_or_of_several_parts() {
    let good = zip(&[Raw::deflated("a", "some text"), Raw::stored("b", "more")]);
    for length in 0..good.len() {
        let output = tempfile::tempfile().expect("a temporary file");
        let error = zip::ingest(&good[..length], &output, &LIMITS).expect_err("cut short");
        assert!(matches!(error, ZipError::NotAZip), "{length}: {error:?}");
    }
    let refused = |what: &str, zip: &[u8], expected: fn(&ZipError) -> bool| check(what, zip, &LIMITS, UNZIP, expected);
    let at_end = |at: usize, value: u8| {
        let mut zip = good.clone();
        let offset = zip.len() - 22 + at;
        zip[offset] = value;
        zip
    };
    refused("no archive", b"GIF89a, an image that is long enough", |error| matches!(error, ZipError::NotAZip));
    refused("the front is missing", &good[40..], |error| matches!(error, ZipError::Truncated { .. }));
    refused("part of several", &at_end(4, 1), |error| matches!(error, ZipError::MultiDisk));
    refused("fewer entries here", &at_end(8, 1), |error| matches!(error, ZipError::MultiDisk));
    let disk = zip(&[Raw::stored("a", "").with(|raw| raw.disk = 1)]);
    refused("an entry elsewhere", &disk, |error| matches!(error, ZipError::MultiDisk));
    let mut counted = at_end(8, 3);
    let offset = counted.len() - 22 + 10;
    counted[offset] = 3;
    refused("a wrong count", &counted, |error| matches!(error, ZipError::EntryCount { declared: 3, found: 2 }));
    refused("a large directory", &at_end(15, 0x7f), |error| matches!(error, ZipError::Truncated { .. }));
    let mut locator = zip64(b"", &[Raw::stored("a", "1")]);
    let offset = locator.len() - 22 - 20 - 56;
    locator[offset] = 0;
    refused("no zip64 record", &locator, |error| matches!(error, ZipError::Malformed { .. }));
}

#[test]
fn nothing_in_it() {
    let message = "Uploaded file must be a non-empty zip";
    check("an empty archive", &end(0, 0, 0), &LIMITS, message, |error| matches!(error, ZipError::Empty));
    check("an empty zip64 archive", &zip64(b"", &[]), &LIMITS, message, |error| matches!(error, ZipError::Empty));
}

#[test]
fn too_much() {
    let bomb = deflate(&vec![0; 200 << 20]);
    let file = |name: &str| Raw {
        data: bomb.clone(),
        method: 8,
        compressed: bomb.len() as u32,
        uncompressed: 200 << 20,
        ..Raw::stored(name, "")
    };
    let too_large = |error: &ZipError| matches!(error, ZipError::TooLarge { limit: 262_144_000, .. });
    check("two of 200 MB", &zip(&[file("a"), file("b")]), &LIMITS, SIZE, too_large);
    let wide = extra(0x0001, &[u64::MAX.to_le_bytes(), 3_u64.to_le_bytes()].concat());
    let huge = Raw::stored("x", "abc").with(|raw| {
        raw.uncompressed = u32::MAX;
        raw.compressed = u32::MAX;
        raw.extra = wide;
    });
    check("2⁶⁴ bytes", &zip(&[huge.clone(), huge]), &LIMITS, SIZE, too_large);
    let few = ZipLimits { entries: 3, ..LIMITS };
    let too_many = |error: &ZipError| matches!(error, ZipError::TooManyEntries { limit: 3 });
    let four: Vec<Raw> = (0..4).map(|n| Raw::stored(n.to_string(), "")).collect();
    check("four entries", &zip(&four), &few, UNZIP, too_many);
    check("four directories implied", &zip(&[Raw::stored("a/b/c/d", "")]), &few, UNZIP, too_many);
    assert!(zip::check(&zip(&four[..3]), &few).is_ok());
    let comment = archive(b"", &four, &[b'x'; 70]);
    check("with a comment", &comment, &few, UNZIP, too_many);
}
