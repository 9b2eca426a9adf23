//! What server, launcher and prepared processes say to each other: one JSON document a packet, descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, sockopt,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::LauncherConfig;
use crate::launcher::LaunchError;
use crate::spec::{Process, SandboxSpec};

/// More descriptors than any message carries; the kernel's own limit is 253.
const MOST_DESCRIPTORS: usize = 64;
/// A packet must fit the socket's buffer whole: a spec with 127 layers and full environment takes some 50 KiB.
const SOCKET_BUFFER_BYTES: usize = 1 << 20;

/// The server asks the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// The first message.
    Configure(LauncherConfig),
    /// Start a sandbox under this id. Answered by `Launched` or `NotLaunched`.
    Launch { id: u64, spec: SandboxSpec },
    /// SIGKILL to everything inside.
    Kill { id: u64 },
    /// SIGTERM to the runtime.
    Terminate { id: u64 },
    /// Unmount code images. Answered by `Forgotten`.
    Forget { call: u64, digests: Vec<String> },
}

/// The launcher tells the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Event {
    /// Configured.
    Ready(LauncherInfo),
    /// Cannot work here; the text says why and what to do.
    Unusable {
        sentence: String,
    },
    /// With the descriptors that [`LaunchedFds`] orders.
    Launched {
        id: u64,
        memory_peak: bool,
    },
    NotLaunched {
        id: u64,
        failure: Failure,
    },
    Ended {
        id: u64,
        status: Option<i32>,
        signal: Option<i32>,
        out_of_memory: bool,
    },
    Forgotten {
        call: u64,
    },
    /// For the server's log.
    Log {
        warning: bool,
        message: String,
    },
}

/// What the launcher found on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LauncherInfo {
    /// 1 or 2: the version of control groups that enforces the limits.
    pub cgroup_version: u8,
}

/// The processes that are to become init and runtime tell the launcher. Init speaks only of failure.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromChild {
    /// With its own pidfd and the sockets that were opened inside: Runtime API, endpoint, DNS over UDP, DNS over TCP.
    Prepared,
    Failed(Failure),
}

/// The launcher's one message to a prepared process. Descriptors: output, root, `/tmp`, then one for each of `mounts`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) process: Process,
    pub(crate) mounts: Vec<PathBuf>,
    pub(crate) file_descriptors: u32,
    /// It was prepared with a connection to the outside that it is not to have.
    pub(crate) disconnect: bool,
}

/// A step that failed, as it travels between processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) step: String,
    pub(crate) errno: i32,
    /// Whether it was the execution of the command, which `step` then is.
    pub(crate) exec: bool,
}

impl From<Failure> for LaunchError {
    fn from(failure: Failure) -> Self {
        let source = io::Error::from_raw_os_error(failure.errno);
        if failure.exec {
            Self::Exec { command: failure.step, source }
        } else {
            Self::Setup { step: failure.step, source }
        }
    }
}

/// Gives a system call's error the name of its step.
pub(crate) trait Step<T> {
    fn step(self, step: &str) -> Result<T, Failure>;
    /// The same for a name that costs something to make.
    fn step_with(self, step: impl FnOnce() -> String) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, step: &str) -> Result<T, Failure> {
        self.step_with(|| step.to_owned())
    }

    fn step_with(self, step: impl FnOnce() -> String) -> Result<T, Failure> {
        self.map_err(|error| {
            let error: io::Error = error.into();
            Failure { step: step(), errno: error.raw_os_error().unwrap_or(libc::EINVAL), exec: false }
        })
    }
}

/// A connected pair of packet sockets, closed by `execve`.
pub(crate) fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (one, other) = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
    for end in [&one, &other] {
        // Beyond net.core.wmem_max only root may go; the default holds any ordinary message.
        if sockopt::set_socket_send_buffer_size_force(end, SOCKET_BUFFER_BYTES).is_err() {
            sockopt::set_socket_send_buffer_size(end, SOCKET_BUFFER_BYTES)?;
        }
    }
    Ok((one, other))
}

/// Sends one message. With a non-blocking socket it fails with `WouldBlock` as a whole or is sent as a whole.
pub(crate) fn send(socket: impl AsFd, message: &impl Serialize, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    send_bytes(socket, &serde_json::to_vec(message)?, fds)
}

/// [`send`] for a message already written out.
pub(crate) fn send_bytes(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message and its descriptors; None when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(socket: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let socket = socket.as_fd();
    let mut probe = [0_u8; 1];
    let (_, length) = rustix::net::recv(socket, &mut probe[..], RecvFlags::PEEK | RecvFlags::TRUNC)?;
    if length == 0 {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok(Some((serde_json::from_slice(&bytes[..received.bytes])?, fds)))
}
