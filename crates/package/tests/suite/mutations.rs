//! What the fuzz targets look for, on some thousand seeded mutations: nothing panics, nothing is written beyond the
//! limits, and what is accepted can be read back.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bojagi_package::erofs::reader::{FileType, Image, Stat};
use bojagi_package::zip::{self, ZipLimits};

use crate::raw_zip::{Raw, archive, zip, zip64};
use crate::support::{fsck, ingest};

/// xorshift64*: a sequence that is the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    /// Some bytes changed to values at the edges, bits turned over, parts cut, doubled or moved.
    fn mutate(&mut self, seed: &[u8]) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at.max(1)),
                1 => bytes[at] ^= 1 << self.below(8),
                2 => {
                    let other = self.below(bytes.len());
                    bytes.swap(at, other);
                }
                3 => {
                    let part = bytes[at..(at + 50).min(bytes.len())].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, part);
                }
                _ => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'/', b'.'][self.below(8)],
            }
        }
        bytes
    }
}

/// The files of `fuzz/seeds` for a target, which are its regressions too.
fn seed_files(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut paths: Vec<_> =
        fs::read_dir(directory).expect("seeds").map(|entry| entry.expect("a seed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths.iter().map(|path| fs::read(path).expect("a seed")).collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let entries = [
        Raw::deflated("dir/file", "words, words, words".repeat(40)).mode(0o100755),
        Raw::stored("a", "1"),
        Raw::link("dir/link", "../a"),
        Raw::directory("empty/"),
    ];
    let made = [zip(&entries), zip64(b"", &entries), zip64(b"prefix", &entries), archive(b"", &entries, b"comment")];
    made.into_iter().chain(seed_files("zip_reader")).collect()
}

#[test]
fn mutated_archives() {
    let limits = ZipLimits { unzipped_bytes: 1 << 20, entries: 100 };
    let output = tempfile::tempfile().expect("a temporary file");
    let (mut random, mut accepted) = (Random(0x0b0e_a61b), 0);
    let seeds = seeds();
    for round in 0..8000 {
        let bytes = if round < seeds.len() { seeds[round].clone() } else { random.mutate(&seeds[round % seeds.len()]) };
        output.set_len(0).expect("emptied");
        let Ok(ingested) = zip::ingest(&bytes, &output, &limits) else { continue };
        accepted += 1;
        assert!(ingested.unzipped_bytes <= limits.unzipped_bytes && ingested.entries <= limits.entries);
        let image = Image::open(output.try_clone().expect("a file")).expect("an image");
        assert_eq!(walk(&image, image.root().expect("a root"), &mut 10_000), ingested.entries + 1);
        if accepted % 100 == 0 {
            fsck(&output);
        }
    }
    assert!(accepted > 300, "{accepted} accepted: the mutations are too wild to tell anything");
}

#[test]
fn mutated_images() {
    let (file, ingested) = ingest(&seeds()[0]).expect("accepted");
    let mut own = vec![0; ingested.image_bytes as usize];
    file.read_exact_at(&mut own, 0).expect("read");
    let mut seeds = seed_files("erofs_reader");
    seeds.push(own);
    let (mut random, mut opened) = (Random(7), 0);
    for round in 0..20_000 {
        let mut bytes = seeds[round % seeds.len()].clone();
        // The checksum would catch all of it: off with it.
        bytes[1024 + 8] &= !1;
        for _ in 0..=random.below(3) {
            // Nearly all that matters lies in block 0.
            let at = 1024 + random.below(2000);
            bytes[at] = if random.below(2) == 0 { random.below(256) as u8 } else { bytes[at] ^ 1 << random.below(8) };
        }
        let Ok(image) = Image::open(&bytes[..]) else { continue };
        opened += 1;
        let Ok(root) = image.root() else { continue };
        walk(&image, root, &mut 500);
        for path in ["dir/link", "dir/file", "empty/../a", "a/b", "bootstrap"] {
            if let Ok(content) = image.read_file(path.as_bytes(), 1 << 16) {
                assert!(content.len() <= 1 << 16);
            }
        }
    }
    assert!(opened > 5000, "{opened} opened");
}

/// Visits what can be reached, at most `budget` inodes. Returns how many were read.
fn walk<S: bojagi_package::erofs::reader::ReadAt>(image: &Image<S>, stat: Stat, budget: &mut u64) -> u64 {
    let mut count = 0;
    let mut todo = vec![stat];
    while let Some(stat) = todo.pop() {
        if *budget == 0 {
            break;
        }
        *budget -= 1;
        count += 1;
        match stat.file_type() {
            FileType::Directory => {
                for entry in image.list(&stat).unwrap_or_default() {
                    todo.extend(image.stat(entry.nid));
                }
            }
            FileType::File => {
                let mut buffer = [0; 1000];
                let read = image.read_content(&stat, &mut buffer, stat.inode.size / 2).unwrap_or(0);
                assert!(read <= buffer.len());
            }
            FileType::Symlink => drop(image.read_link(&stat)),
            FileType::Other => {}
        }
    }
    count
}
