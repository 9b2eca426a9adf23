//! Any bytes as an image: whatever is read of it ends, without a panic and without more memory than the image has.
#![no_main]

use bojagi_package::erofs::reader::{FileType, Image};
use libfuzzer_sys::fuzz_target;

const SUPERBLOCK: usize = 1024;
const MAGIC: [u8; 4] = 0xe0f5_e1e2_u32.to_le_bytes();

fuzz_target!(|bytes: &[u8]| {
    // The magic number and the missing checksum are given, so that everything behind them is reached.
    let mut bytes = bytes.to_vec();
    let Some(head) = bytes.get_mut(SUPERBLOCK..SUPERBLOCK + 12) else { return };
    head[..4].copy_from_slice(&MAGIC);
    head[8] &= !1;
    let Ok(image) = Image::open(&bytes[..]) else { return };
    for path in ["a", "dir/link", "dir/../dir/file", "bootstrap"] {
        if let Ok(content) = image.read_file(path.as_bytes(), 1 << 16) {
            assert!(content.len() <= 1 << 16);
        }
    }
    let mut todo = Vec::from_iter(image.root());
    for _ in 0..200 {
        let Some(stat) = todo.pop() else { break };
        match stat.file_type() {
            FileType::Directory => {
                let names = image.list(&stat).unwrap_or_default();
                todo.extend(names.iter().take(100).filter_map(|entry| image.stat(entry.nid).ok()));
            }
            FileType::Symlink => drop(image.read_link(&stat)),
            FileType::File => {
                let mut buffer = [0; 5000];
                for offset in [0, 4095, stat.inode.size / 2, stat.inode.size.saturating_sub(1), u64::MAX] {
                    assert!(image.read_content(&stat, &mut buffer, offset).is_ok_and(|bytes| bytes <= 5000));
                }
            }
            FileType::Other => {}
        }
    }
});
