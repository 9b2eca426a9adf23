//! The memory that an ingestion takes beside the archive: below 64 MB for any archive.
//!
//! A process has one high-water mark, so each case runs in a process of its own: this test binary, told by its
//! environment which archive to ingest.

use std::process::Command;

use bojagi_package::zip::{self, ZipLimits};

use crate::raw_zip::{Raw, archive, zip};

const CASE: &str = "BOJAGI_TEST_MEMORY_CASE";
const BOUND_BYTES: u64 = 64 << 20;

/// Archives that ask for as much as they can.
fn case(name: &str) -> Vec<u8> {
    match name {
        "500,000 files" => many((0..500_000).map(|n| Raw::stored(format!("{n:x}"), [1])).collect()),
        "500,000 directories" => many((0..500_000).map(|n| Raw::directory(format!("{n:x}/"))).collect()),
        "500,000 implied" => {
            let long = |n: usize| Raw::stored(format!("{n:x}/{}f", "a/".repeat(1900)), "");
            many((0..262).map(long).collect())
        }
        "60,000 links" => many((0..60_000).map(|n| Raw::link(format!("{n:x}"), "./".repeat(2000))).collect()),
        "large files" => zip(&(0..5).map(|n| Raw::deflated(n.to_string(), vec![n; 50 << 20])).collect::<Vec<_>>()),
        "held files" => zip(&(0..20).map(|n| Raw::deflated(n.to_string(), vec![n; 12 << 20])).collect::<Vec<_>>()),
        other => panic!("no case {other}"),
    }
}

/// An archive of more entries than an end record can count without zip64.
fn many(entries: Vec<Raw>) -> Vec<u8> {
    let mut bytes = archive(b"", &entries, b"");
    let at = bytes.len() - 22;
    let count = (entries.len() & 0xffff) as u16;
    bytes[at + 8..at + 10].copy_from_slice(&count.to_le_bytes());
    bytes[at + 10..at + 12].copy_from_slice(&count.to_le_bytes());
    bytes
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a high-water mark");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

#[test]
fn memory_child() {
    // Without a case there is nothing to measure: the other test starts this one with each.
    let Ok(name) = std::env::var(CASE) else { return assert!(peak_bytes() > 0) };
    let bytes = case(&name);
    std::fs::write("/proc/self/clear_refs", "5").expect("the mark reset");
    let before = peak_bytes();
    let output = tempfile::tempfile().expect("a temporary file");
    let limits = ZipLimits { unzipped_bytes: 262_144_000, entries: 500_000 };
    let ingested = zip::ingest(&bytes, &output, &limits).expect("accepted");
    let more = peak_bytes() - before;
    let (entries, megabytes) = (ingested.entries, more >> 20);
    assert!(more < BOUND_BYTES, "{name}: {entries} entries took {megabytes} MB");
}

#[test]
fn any_archive_takes_less_than_64_mb() {
    let cases =
        ["500,000 files", "500,000 directories", "500,000 implied", "60,000 links", "large files", "held files"];
    let program = std::env::current_exe().expect("this program");
    for name in cases {
        let output = Command::new(&program).args(["--exact", "memory::memory_child"]).env(CASE, name).output();
        let output = output.expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
