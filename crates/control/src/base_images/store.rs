//! Names and files in the directory of base images.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bojagi_model::{Architecture, Digest};

use super::image::Metadata;

pub(super) const METADATA: &str = "metadata.json";

/// The directory of one image.
pub(super) fn name(runtime: &str, architecture: Architecture) -> String {
    format!("{runtime}-{architecture}")
}

/// What such a name says.
pub(super) fn parse_name(name: &str) -> Option<(String, Architecture)> {
    let (runtime, architecture) = name.rsplit_once('-')?;
    Some((runtime.to_owned(), architecture.parse().ok()?))
}

pub(super) fn image_path(target: &Path, digest: &Digest) -> PathBuf {
    target.join(format!("image-{}.erofs", digest.to_hex()))
}

pub(super) fn tree_path(target: &Path, digest: &Digest) -> PathBuf {
    target.join(format!("tree-{}", digest.to_hex()))
}

/// What is known of an image. Metadata of another version of Bojagi, or none, is no image.
pub(super) fn read_metadata(target: &Path) -> Option<Metadata> {
    let path = target.join(METADATA);
    match serde_json::from_slice(&fs::read(&path).ok()?) {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a base image's metadata cannot be read; build it again");
            None
        }
    }
}

/// Puts metadata into place, durably and at once.
pub(super) fn write_metadata(target: &Path, metadata: &Metadata) -> io::Result<()> {
    let scratch = target.join(".metadata.json");
    let mut file = File::create(&scratch)?;
    file.write_all(&serde_json::to_vec_pretty(metadata)?)?;
    file.sync_all()?;
    fs::rename(&scratch, target.join(METADATA))?;
    File::open(target)?.sync_all()?;
    target.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
