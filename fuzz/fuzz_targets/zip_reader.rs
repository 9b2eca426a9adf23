//! Any bytes as an archive: refused, or made into an image that can be read back in full and is within the limits.
#![no_main]

use std::fs::File;
use std::sync::LazyLock;

use bojagi_package::erofs::reader::{FileType, Image};
use bojagi_package::zip::{self, ZipLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: ZipLimits = ZipLimits { unzipped_bytes: 1 << 20, entries: 200 };

static OUTPUT: LazyLock<File> = LazyLock::new(|| tempfile::tempfile().expect("a temporary file"));

fuzz_target!(|bytes: &[u8]| {
    OUTPUT.set_len(0).expect("emptied");
    let Ok(ingested) = zip::ingest(bytes, &OUTPUT, &LIMITS) else { return };
    assert!(ingested.unzipped_bytes <= LIMITS.unzipped_bytes && ingested.entries <= LIMITS.entries);
    let image = Image::open(OUTPUT.try_clone().expect("a file")).expect("an image");
    let (mut entries, mut content_bytes) = (0, 0);
    let mut todo = vec![image.root().expect("a root")];
    while let Some(stat) = todo.pop() {
        entries += 1;
        match stat.file_type() {
            FileType::Directory => {
                let names = image.list(&stat).expect("a directory");
                assert!(names.is_sorted_by(|a, b| a.name < b.name));
                todo.extend(names.iter().map(|entry| image.stat(entry.nid).expect("an inode")));
            }
            FileType::File => content_bytes += stat.inode.size,
            FileType::Symlink => content_bytes += image.read_link(&stat).expect("a target").len() as u64,
            FileType::Other => panic!("a special file"),
        }
    }
    assert_eq!((entries, content_bytes), (ingested.entries + 1, ingested.unzipped_bytes));
});
