//! The sandbox: hostile code, contained.
//!
//! [`spec`] says in plain data what a sandbox may see and use; it names no namespace and no cgroup, so that a virtual
//! machine can implement it one day. [`Launcher`] is the seam: the real one speaks to the privileged launcher process,
//! the simulated one lets the layers above be tested without root.

pub mod launcher;
pub mod simulated;
pub mod spec;

pub use launcher::{Exit, LaunchError, Launcher, Sandbox, SandboxControl};
pub use spec::{CodeImage, CodeImageForm, Limits, Mount, Network, Process, SandboxSpec};
