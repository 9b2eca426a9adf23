//! The steps of a build: what is reported while it goes on.

/// What a build is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The runtime that is being built.
    pub runtime: String,
    /// The step, such as `downloading Debian packages`.
    pub step: String,
}
