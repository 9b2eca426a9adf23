//! What a sandbox may see and use, in plain data.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The address inside every sandbox at which the host's own services answer; AWS's own.
pub const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 1);
/// The port of the Runtime API at [`SERVICE_ADDRESS`].
pub const RUNTIME_API_PORT: u16 = 9001;
/// The port of Bojagi's own endpoint at [`SERVICE_ADDRESS`].
pub const ENDPOINT_PORT: u16 = 4566;

/// How a code image is made visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodeImageForm {
    /// An EROFS image mounted straight from its file (Linux 6.12, not on overlayfs).
    File,
    /// An EROFS image mounted through a read-only loop device.
    Loop,
    /// A directory tree, for kernels without EROFS.
    Directory,
}

/// A read-only file system, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CodeImage {
    /// Its digest, `sha256:…`; the launcher mounts each digest once and binds it wherever it is named.
    pub digest: String,
    /// The image file, or the directory for [`CodeImageForm::Directory`], on the host.
    pub path: PathBuf,
    /// How to make it visible.
    pub form: CodeImageForm,
}

/// Code images laid over each other at one place, the first lowest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path inside the sandbox, which exists in the root's images.
    pub at: PathBuf,
    /// Lowest first. One image is bound; several are an overlay.
    pub images: Vec<CodeImage>,
}

/// The process that is started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The command; the first is an absolute path inside the sandbox.
    pub command: Vec<String>,
    /// Its whole environment, `NAME=value` pairs. Nothing is inherited.
    pub environment: Vec<(String, String)>,
    /// Its working directory inside the sandbox.
    pub working_directory: PathBuf,
}

/// What a sandbox may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory of all its processes together, in bytes. Beyond it the kernel kills.
    pub memory_bytes: u64,
    /// CPU time per second of all its processes together, in thousandths of a CPU.
    pub cpu_millis: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Open file descriptors per process.
    pub file_descriptors: u32,
    /// Room in `/tmp`, in bytes; ENOSPC beyond it. Not charged to memory.
    pub tmp_bytes: u64,
}

/// What a sandbox can reach beyond [`SERVICE_ADDRESS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Nothing.
    None,
    /// The internet by NAT, IPv4 and IPv6, without host, private-host, link-local and metadata addresses.
    #[default]
    Nat,
}

/// One sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    /// The root file system's code images, lowest first. Read-only.
    pub root: Vec<CodeImage>,
    /// Further code images at their places (`/var/task`, `/opt`). Read-only.
    pub mounts: Vec<Mount>,
    /// What is started.
    pub process: Process,
    /// What it may use.
    pub limits: Limits,
    /// What it can reach.
    pub network: Network,
}
