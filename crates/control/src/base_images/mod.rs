//! Base images: the operating system, language runtime and interface client that a zip function runs on.
//!
//! ```text
//! DIRECTORY/
//!   python3.13-x86_64/
//!     metadata.json            what is there; renamed into place last, so it names only what is complete and durable
//!     image-<digest>.erofs     the code image
//!     tree-<digest>/           the same as a directory, where the kernel cannot mount images (`Form::Directory`)
//!   .lock-python3.13-x86_64    held (flock) by the process that builds
//!   .work-python3.13-x86_64/   the build's scratch; removed at its end, and swept by the next build after a crash
//!   .cache/                    compiled parts that several images share
//! ```
//!
//! What always holds:
//! - An image is there completely or not at all: files are synchronised before the metadata that names them is renamed.
//! - One build of an image at a time on a machine, whoever asks: several tasks of one process share one build, several
//!   processes wait for each other and the later ones find the result.
//! - A build runs in its own PID and mount namespaces: when it is cancelled or its parent dies by any signal, the kernel ends
//!   every process of it and drops every mount.
//! - No function's code runs during a build, and nothing of the host's `/usr` gets into an image.
//!
//! An image is AWS's own public one where its registry can be reached, else it is built from Debian's packages and the interface
//! client's registry ([`Origin`]). Its metadata says which, how it differs from AWS's, and what is started in it.

mod build;
mod error;
mod host;
mod image;
mod prepare;
mod pull;
mod recipe;
mod registry;
mod source;
mod step;
mod store;
mod unpack;

pub use error::BuildError;
pub use host::required_debian_packages;
pub use image::{BaseImage, Form, Metadata};
pub use prepare::Availability;
pub use pull::PublicImages;
pub use registry::{BaseImages, BuildOptions, Mode, Settings};
pub use source::Origin;
pub use step::Progress;
