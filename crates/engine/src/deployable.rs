//! What `control` hands over: a function version with everything needed to start an environment of it.

use bojagi_model::Function;
use bojagi_model::identity::Credentials;
use bojagi_sandbox::spec::{CodeImage, Mount};

/// A function version, resolved to code images. Immutable: an update of the function makes a new one, with another revision id, and
/// environments of the old one are drained.
#[derive(Clone, Debug)]
pub struct Deployable {
    /// The version.
    pub function: Function,
    /// The root: base image.
    pub root: Vec<CodeImage>,
    /// Code at `/var/task`, layers at `/opt`.
    pub mounts: Vec<Mount>,
    /// The command that is started; for `provided` runtimes the `bootstrap` that was found in the package's images.
    pub command: Vec<String>,
    /// Environment variables of the runtime (from the catalogue).
    pub runtime_environment: Vec<(String, String)>,
}

/// Where an environment's credentials come from: those of the function's execution role.
pub trait CredentialSource: Send + Sync + 'static {
    /// Fresh credentials for the function's role.
    fn credentials(&self, function: &Function) -> Credentials;
}
