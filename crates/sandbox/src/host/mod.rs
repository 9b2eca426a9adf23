//! The launcher process: small, with a single thread, the only part with privileges.
//!
//! It waits for requests, prepares sandboxes ahead of demand and hands them out. What takes long is done by processes that it forks: each
//! sandbox prepares itself, and `/tmp` file systems are made by one helper. It is the first process of its PID namespace and has a mount
//! namespace of its own: when it dies, the kernel ends every process it started and drops every mount it made. When the server dies,
//! the launcher reads the end of the conversation and leaves.

pub(crate) mod cgroup;
pub(crate) mod cgroup_layout;
mod forwarding;
pub(crate) mod images;
pub(crate) mod network;
pub(crate) mod scratch;
mod serve;
mod slot;
pub(crate) mod stage;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use crate::config::LauncherConfig;
use crate::sys;
use crate::wire::{self, Event, LauncherInfo, Request};

/// Runs the launcher on the server's socket. Returns when the server is gone and everything is taken down.
pub(crate) fn run(client: OwnedFd) {
    let config = match wire::receive::<Request>(&client) {
        Ok(Some((Request::Configure(config), _))) => config,
        _ => return,
    };
    match set_up(&client, config) {
        Ok(mut launcher) => {
            let info = LauncherInfo { cgroup_version: launcher.cgroup_version() };
            if wire::send(&client, &Event::Ready(info), &[]).is_ok() {
                launcher.serve();
            }
            launcher.take_down();
        }
        Err(sentence) => {
            // A server that is gone need not be told.
            let _ = wire::send(&client, &Event::Unusable { sentence }, &[]);
        }
    }
}

/// Makes everything that outlives a single sandbox.
/// Waits until the launcher before this one is gone. Its server may have been killed a moment ago and another started; what the two
/// would take down and set up has the same names. The kernel lets go of the lock when this process has ended.
fn lock(data_dir: &Path) -> std::io::Result<()> {
    let file = File::create(data_dir.join("launcher.lock"))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    // Held to the end of the process; sandboxes' processes close every descriptor and so do not hold it longer.
    std::mem::forget(file);
    Ok(())
}

fn set_up(client: &OwnedFd, config: LauncherConfig) -> Result<serve::Launcher, String> {
    let describe = |failure: wire::Failure| {
        let error = std::io::Error::from_raw_os_error(failure.errno);
        format!("Cannot {}: {error}.", failure.step)
    };
    let name = instance_name(&config.data_dir);
    lock(&config.data_dir).map_err(|error| format!("Cannot wait for the launcher before this one: {error}."))?;
    let stage = stage::set_up(&config.data_dir).map_err(describe)?;
    let scratch_dir = config.data_dir.join("scratch");
    scratch::sweep(&scratch_dir).map_err(|error| format!("Cannot empty {}: {error}.", scratch_dir.display()))?;
    let cgroups = cgroup::Layout::establish(&name, &config.placement)?;
    let gateway = network::set_up(&config, &name)?;
    let filters =
        crate::child::seccomp::compile().map_err(|error| format!("Cannot make the system call filter: {error}."))?;
    let (scratch, theirs) = wire::socket_pair().map_err(|error| format!("Cannot make a socket: {error}."))?;
    match sys::clone_process(0, None).map_err(|error| format!("Cannot start a process: {error}."))? {
        sys::Cloned::Child => {
            let served =
                crate::child::keep_only([theirs], 3).and_then(|[socket]| scratch::serve(&socket, &scratch_dir));
            sys::exit_now(i32::from(served.is_err()))
        }
        sys::Cloned::Parent { .. } => {}
    }
    drop(theirs);
    let client = client.try_clone().map_err(|error| format!("Cannot copy a socket: {error}."))?;
    serve::Launcher::new(client, config, stage, cgroups, gateway, filters, scratch)
        .map_err(|error| format!("Cannot wait for events: {error}."))
}

/// What this launcher's control groups and firewall rules are called: the same for the same data directory, so that the next one finds them.
#[must_use]
pub fn instance_name(data_dir: &Path) -> String {
    // FNV-1a: the name must be the same in every build.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in data_dir.as_os_str().as_encoded_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("bojagi-{:08x}", hash >> 32)
}
