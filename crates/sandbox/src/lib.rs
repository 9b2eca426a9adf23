//! The sandbox: hostile code, contained.
//!
//! [`spec`] says in plain data what a sandbox may see and use; it names no namespace and no cgroup, so that a virtual
//! machine can implement it one day. [`Launcher`] is the seam: the real one speaks to the privileged launcher process,
//! the simulated one lets the layers above be tested without root.

mod child;
mod client;
pub mod config;
mod host;
pub mod launcher;
mod netlink;
mod probe;
pub mod simulated;
pub mod spec;
mod start;
mod sys;
mod wire;

pub use client::LauncherClient;
pub use config::LauncherConfig;
pub use launcher::{Exit, LaunchError, Launcher, Sandbox, SandboxControl};
pub use probe::probe;
pub use spec::{CodeImage, CodeImageForm, Limits, Mount, Network, Process, SandboxSpec};
pub use start::{
    LAUNCHER_ARGUMENT, LauncherProcess, StartError, launcher_main, raise_descriptor_limit, run_if_launcher, start,
};
pub use wire::LauncherInfo;

/// What the control groups and firewall rules of a launcher with this data directory (canonical path) are called.
pub use host::instance_name;
