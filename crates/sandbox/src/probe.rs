//! Which form of code image works here.

use std::fs::{self, File};
use std::path::Path;

use crate::host::images;
use crate::spec::CodeImageForm;

/// An EROFS image with an empty root, made by `mkfs.erofs`.
const EMPTY_IMAGE: &[u8] = include_bytes!("../data/empty.erofs");

/// The best form of code image for images below `data_dir`: mounted from the file, through a loop device, or, where the kernel can do
/// neither, a directory. Nothing stays mounted. Needs root; without, it answers [`CodeImageForm::Directory`].
///
/// # Errors
/// When `data_dir` cannot be written to.
pub fn probe(data_dir: &Path) -> std::io::Result<CodeImageForm> {
    fs::create_dir_all(data_dir)?;
    let path = data_dir.join(format!(".probe-{}.erofs", std::process::id()));
    fs::write(&path, EMPTY_IMAGE)?;
    let form = File::open(&path).map(|image| {
        // The mounts are attached nowhere and end with their descriptors.
        if images::mount_erofs(&image).is_ok() {
            CodeImageForm::File
        } else if images::mount_loop(&image).is_ok() {
            CodeImageForm::Loop
        } else {
            CodeImageForm::Directory
        }
    });
    fs::remove_file(&path)?;
    form
}
