//! Why a base image could not be made, in sentences an operator can act on.

use std::io;
use std::path::PathBuf;

use bojagi_model::Architecture;
use thiserror::Error;

/// A base image could not be made.
#[derive(Debug, Error)]
pub enum BuildError {
    /// AWS never had such a runtime.
    #[error("there is no runtime {0}; `bojagi base-image list` shows those that can be built")]
    UnknownRuntime(String),
    /// The catalogue has no recipe for it, and nothing is to be pulled.
    #[error(
        "the base image of {0} cannot be built from Debian's packages, and AWS's public image is not to be pulled: \
         --base-image-registry and --from allow it"
    )]
    NotFromDebian(String),
    /// AWS's image is asked for, and there is none, or it is not to be pulled.
    #[error("AWS's public image of {0} cannot be pulled: there is none, or --base-image-registry is none")]
    NotFromAws(String),
    /// AWS's image cannot be had.
    #[error("the image {reference} cannot be pulled: {reason}")]
    NotPulled {
        /// What it is called.
        reference: String,
        /// Why.
        reason: String,
    },
    /// AWS's image cannot be had, and nothing else can be.
    #[error(
        "the base image of {runtime} cannot be built from Debian's packages, and {pull}; where this machine reaches that registry (or \
         another that has the image: --base-image-registry), `bojagi base-image build {runtime}` gets it"
    )]
    Nowhere {
        /// The runtime asked for.
        runtime: String,
        /// Why AWS's image cannot be had.
        pull: Box<BuildError>,
    },
    /// The recipe cannot make an image for another instruction set than this machine's.
    #[error("the base image of {runtime} for {architecture} can only be built on an {architecture} machine")]
    ForeignArchitecture {
        /// The runtime asked for.
        runtime: String,
        /// The instruction set asked for.
        architecture: Architecture,
    },
    /// Building needs root: it makes device-free roots with other owners, and namespaces.
    #[error("building a base image needs root; run it with sudo")]
    NotRoot,
    /// Tools are missing on this machine.
    #[error(
        "building the base image of {runtime} needs Debian packages that are not installed: apt-get install \
         --no-install-recommends {}",
        packages.join(" ")
    )]
    MissingTools {
        /// The runtime asked for.
        runtime: String,
        /// Debian packages that bring the tools.
        packages: Vec<String>,
    },
    /// A step failed.
    #[error("building the base image of {runtime} failed while {step} ({status}); its last lines:\n{output}")]
    Step {
        /// The runtime asked for.
        runtime: String,
        /// What was being done, such as `downloading Debian packages`.
        step: String,
        /// How the step's process ended.
        status: String,
        /// The last lines it wrote.
        output: String,
    },
    /// The finished tree could not be made an image.
    #[error("the tree of {runtime} could not be made a code image")]
    Image {
        /// The runtime asked for.
        runtime: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Whoever asked for it asked no longer, or this process stops.
    #[error("the build was cancelled")]
    Cancelled,
    /// The directory of base images cannot be used.
    #[error("cannot {doing} {path}")]
    Storage {
        /// What was tried, such as `write`.
        doing: &'static str,
        /// With which file or directory.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl BuildError {
    /// For `map_err`: the operation and the path an I/O error belongs to.
    pub(super) fn storage(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> BuildError {
        let path = path.into();
        move |source| BuildError::Storage { doing, path, source }
    }
}
