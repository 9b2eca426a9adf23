//! The directory of base images, in memory.

use std::path::PathBuf;
use std::sync::Arc;

use bojagi_model::Architecture;
use tokio_util::sync::CancellationToken;

use super::{Availability, BaseImage, BuildError, Form, Progress};

/// Whether a missing base image is made when a function first needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In the background, when [`BaseImages::prepare`] is called.
    OnDemand,
    /// Only by [`BaseImages::build`].
    Manual,
}

/// Where base images are and how they are used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Their directory; several processes may share it.
    pub directory: PathBuf,
    /// Whether [`BaseImages::prepare`] builds.
    pub mode: Mode,
    /// In which form [`BaseImages::resolve`] answers.
    pub form: Form,
}

/// The base images of this machine. Cheap to clone.
#[derive(Clone)]
pub struct BaseImages {
    _inner: Arc<Settings>,
}

impl BaseImages {
    /// Opens the directory, making it if need be. Background builds end when `shutdown` is cancelled.
    ///
    /// # Errors
    ///
    /// The directory cannot be made or read.
    pub fn open(settings: Settings, shutdown: CancellationToken) -> Result<BaseImages, BuildError> {
        let _ = shutdown;
        Ok(BaseImages { _inner: Arc::new(settings) })
    }

    /// The base image of a runtime, if it is there. Sees images built by other processes; costs one `stat`.
    pub fn resolve(&self, runtime: &str, architecture: Architecture) -> Option<BaseImage> {
        let _ = (runtime, architecture);
        None
    }

    /// All base images that are there, by name.
    pub fn list(&self) -> Vec<BaseImage> {
        Vec::new()
    }

    /// Makes the base image of a runtime for this machine's instruction set or another, unless it is there and `force` is not set. Waits for
    /// another process that makes the same one. Dropping the future ends the build and everything it started.
    ///
    /// # Errors
    ///
    /// Every [`BuildError`].
    pub async fn build(
        &self,
        runtime: &str,
        architecture: Architecture,
        force: bool,
        progress: impl Fn(Progress) + Send + Sync,
    ) -> Result<BaseImage, BuildError> {
        let _ = (architecture, force, progress);
        Err(BuildError::UnknownRuntime(runtime.to_owned()))
    }

    /// Starts making a missing base image in the background (mode on-demand); does nothing when it is there, being made, or
    /// mode is manual. A failed build is tried again by the next call after a minute.
    pub fn prepare(&self, runtime: &str, architecture: Architecture) {
        let _ = (runtime, architecture);
    }

    /// Whether a base image can be used now, and if not, why not. Cheap.
    pub fn availability(&self, runtime: &str, architecture: Architecture) -> Availability {
        let _ = (runtime, architecture);
        Availability::Missing { how: String::new() }
    }

    /// Waits until the image is ready or cannot be had: the state after [`Availability::Building`]. Returns at once otherwise.
    pub async fn settled(&self, runtime: &str, architecture: Architecture) -> Availability {
        self.availability(runtime, architecture)
    }

    /// Waits until background builds have ended, after `shutdown` was cancelled.
    pub async fn closed(&self) {}
}
