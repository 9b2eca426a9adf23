//! One base image as it lies on disk.

use std::path::PathBuf;

use bojagi_model::{Architecture, Digest};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How a base image is to be made visible to a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As an EROFS image.
    Image,
    /// As a directory tree, for kernels that cannot mount EROFS.
    Directory,
}

/// A base image that is ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseImage {
    /// The runtime's identifier, such as `python3.13`.
    pub runtime: String,
    /// Its instruction set.
    pub architecture: Architecture,
    /// The name of its content.
    pub digest: Digest,
    /// Which of both forms `path` is.
    pub form: Form,
    /// The image file, or the directory tree.
    pub path: PathBuf,
    /// What is known of it.
    pub metadata: Metadata,
}

/// What is written beside an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The name of its content.
    pub digest: Digest,
    /// Size of the image file, in bytes.
    pub image_bytes: u64,
    /// Size of all files in it, in bytes.
    pub unpacked_bytes: u64,
    /// When it was built.
    #[serde(with = "time::serde::rfc3339")]
    pub built_at: OffsetDateTime,
    /// Where it comes from, such as `built from Debian trixie, awslambdaric==4.2.2` or
    /// `pulled from public.ecr.aws/lambda/python:3.13@sha256:…`.
    pub source: String,
    /// How it differs from AWS's image, in sentences.
    pub differences: Vec<String>,
    /// What is started in it, where that is not what the catalogue says of images that are made from its recipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment variables that belong to it, beside the catalogue's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<(String, String)>,
    /// Whether the tree is there beside the image.
    pub has_tree: bool,
    /// A digest of the recipe and everything pinned in it, or of where it was pulled from: an image of which that has changed since is
    /// out of date.
    pub recipe: String,
}
