//! Everything that is the same for all sandboxes, done ahead of demand: control group, namespaces, network, `/proc`, `/dev`, user namespace.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{Signal, WaitOptions};
use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use super::seccomp::Filters;
use crate::config::USER_IDS_PER_SANDBOX;
use crate::host::network::Uplink;
use crate::netlink::{GATEWAY_IPV6, LOOPBACK, Netlink};
use crate::spec::{ENDPOINT_PORT, RUNTIME_API_PORT, SERVICE_ADDRESS};
use crate::sys;
use crate::wire::{Failure, Step};

/// The host name inside; `/etc/hosts` has it too, because Java looks it up.
pub(crate) const HOST_NAME: &str = "sandbox";
/// The interface inside that leads out.
pub(super) const UPLINK: &str = "eth0";
/// Where the killer of last resort looks first: a sandbox goes before the server, and inside, the function before init, which keeps the
/// server's score and holds next to nothing.
const OUT_OF_MEMORY_SCORE: &str = "500";

/// Files and directories of `/proc` that tell of the host or change it: covered by something empty.
const MASKED: [&str; 13] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "scsi",
    "sched_debug",
    "slabinfo",
    "sysrq-trigger",
    "timer_list",
    "timer_stats",
];
/// Parts of `/proc` that can be read only.
const READ_ONLY: [&str; 4] = ["bus", "fs", "irq", "sys"];

/// A process that only lacks its spec.
pub(super) struct Prepared {
    /// Runtime API, endpoint, DNS over UDP, DNS over TCP.
    pub(super) sockets: Vec<OwnedFd>,
    /// `/proc` with its covers, still at its first place.
    pub(super) proc: OwnedFd,
    /// `/dev`, `/etc/hosts`, `/etc/resolv.conf`: detached.
    pub(super) dev: OwnedFd,
    pub(super) hosts: OwnedFd,
    pub(super) resolv_conf: OwnedFd,
    pub(super) user_namespace: OwnedFd,
}

/// What init and runtime have in common.
pub(super) struct Surroundings {
    sockets: Vec<OwnedFd>,
    proc: OwnedFd,
}

/// Makes the control groups, namespaces, network and `/proc` that init and runtime share. The process is the first of a new PID namespace,
/// has a single thread and all privileges.
pub(super) fn surroundings(
    stage: &Path,
    cgroups: &[PathBuf],
    uplink: Option<(OwnedFd, Uplink)>,
) -> Result<Surroundings, Failure> {
    for group in cgroups {
        crate::host::cgroup::write(group, "0").step_with(|| format!("join the control group {}", group.display()))?;
    }
    let gateway = match &uplink {
        None => None,
        Some((gateway, _)) => {
            move_into_thread_name_spaces(gateway.as_fd(), ThreadNameSpaceType::NETWORK).step("enter the gateway")?;
            Some(Netlink::open().step("speak to the gateway")?)
        }
    };
    sys::unshare(
        UnshareFlags::NEWNS
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS
            | UnshareFlags::NEWCGROUP,
    )
    .step("make namespaces")?;
    sys::set_host_name(HOST_NAME).step("set the host name")?;
    let network = Netlink::open().step("speak to the network namespace")?;
    network.up(LOOPBACK).step("switch on lo")?;
    network.add_address(LOOPBACK, SERVICE_ADDRESS.into(), 32).step("give lo the service address")?;
    if let (Some((namespace, uplink)), Some(gateway)) = (&uplink, &gateway) {
        connect(&network, gateway, namespace, uplink)?;
    }
    let sockets = open_sockets().step("open the service sockets")?;
    enter_stage(stage)?;
    Ok(Surroundings { sockets, proc: mount_proc()? })
}

/// Prepares the process that is to become the runtime.
pub(super) fn prepare(surroundings: Surroundings, first_user: u32, filters: &Filters) -> Result<Prepared, Failure> {
    let Surroundings { sockets, proc } = surroundings;
    rustix::fs::open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|file| rustix::io::write(file, OUT_OF_MEMORY_SCORE.as_bytes()))
        .step("set the out of memory score")?;
    let cover = |path: &str, more: u64| {
        let tree = open_tree(CWD, path, OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC)?;
        sys::set_mount_attributes(tree.as_fd(), libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | more, false)?;
        Ok::<_, std::io::Error>(tree)
    };
    let user_namespace = make_user_namespace(first_user)?;
    let prepared = Prepared {
        sockets,
        proc,
        dev: cover("/dev", libc::MOUNT_ATTR_NOEXEC).step("prepare /dev")?,
        hosts: cover("/hosts", libc::MOUNT_ATTR_NODEV).step("prepare /etc/hosts")?,
        resolv_conf: cover("/resolv.conf", libc::MOUNT_ATTR_NODEV).step("prepare /etc/resolv.conf")?,
        user_namespace,
    };
    rustix::thread::set_no_new_privs(true).step("forbid new privileges")?;
    // Loading them takes a millisecond. They let pass what is still to be done to enter.
    for filter in [&filters.allowed, &filters.refused] {
        seccompiler::apply_filter(filter).map_err(std::io::Error::other).step("load the system call filter")?;
    }
    Ok(prepared)
}

/// Connects the network namespace to the gateway's by a pair of interfaces.
fn connect(network: &Netlink, gateway: &Netlink, namespace: &OwnedFd, uplink: &Uplink) -> Result<(), Failure> {
    let step = "connect to the gateway";
    network.add_veth(UPLINK, &uplink.peer, namespace.as_fd()).step(step)?;
    let (inside, outside) = (network.index(UPLINK).step(step)?, gateway.index(&uplink.peer).step(step)?);
    network.up(inside).step(step)?;
    gateway.up(outside).step(step)?;
    network.add_address(inside, uplink.ipv4.into(), 32).step(step)?;
    gateway.add_route(outside, (uplink.ipv4.into(), 32), None).step(step)?;
    let anywhere = (Ipv4Addr::UNSPECIFIED.into(), 0);
    network.add_route(inside, anywhere, Some(uplink.gateway_ipv4.into())).step(step)?;
    // A host may have been started without IPv6.
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return Ok(());
    }
    network.add_address(inside, uplink.ipv6.into(), 128).step(step)?;
    gateway.add_address(outside, GATEWAY_IPV6.into(), 64).step(step)?;
    gateway.add_route(outside, (uplink.ipv6.into(), 128), None).step(step)?;
    network.add_route(inside, (std::net::Ipv6Addr::UNSPECIFIED.into(), 0), Some(GATEWAY_IPV6.into())).step(step)
}

/// The sockets that the host serves inside. They stay with this network namespace wherever they are passed.
fn open_sockets() -> std::io::Result<Vec<OwnedFd>> {
    let tcp = |port| {
        let listener = TcpListener::bind((SERVICE_ADDRESS, port))?;
        listener.set_nonblocking(true)?;
        Ok::<_, std::io::Error>(OwnedFd::from(listener))
    };
    let udp = UdpSocket::bind((SERVICE_ADDRESS, 53))?;
    udp.set_nonblocking(true)?;
    Ok(vec![tcp(RUNTIME_API_PORT)?, tcp(ENDPOINT_PORT)?, udp.into(), tcp(53)?])
}

/// Makes the stage the root, and lets go of every other file system, so that none is kept alive by a process that waits.
fn enter_stage(stage: &Path) -> Result<(), Failure> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).step("make mounts private")?;
    unmount(stage.join("images"), UnmountFlags::DETACH).step("let go of code images")?;
    rustix::process::chdir(stage).step("enter the stage")?;
    rustix::process::pivot_root(".", ".").step("make the stage the root")?;
    unmount(".", UnmountFlags::DETACH).step("let go of the host's files")?;
    rustix::process::chdir("/").step("enter the stage")
}

/// Mounts the `/proc` of the PID namespace and covers what tells of the host.
fn mount_proc() -> Result<OwnedFd, Failure> {
    let step = "mount /proc";
    let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC).step(step)?;
    fsconfig_create(context.as_fd()).step(step)?;
    let attributes =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).step(step)?;
    let to = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(mount, "", CWD, "/proc", to).step(step)?;
    for name in MASKED.iter().chain(&READ_ONLY) {
        let path = Path::new("/proc").join(name);
        let Ok(kind) = std::fs::symlink_metadata(&path) else { continue };
        let cover = match (READ_ONLY.contains(name), kind.is_dir()) {
            (true, _) => path.as_path(),
            (false, true) => Path::new("/empty-directory"),
            (false, false) => Path::new("/empty-file"),
        };
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, cover, flags).step_with(|| format!("cover /proc/{name}"))?;
        sys::set_mount_attributes(tree.as_fd(), crate::host::images::READ_ONLY | libc::MOUNT_ATTR_NOEXEC, false)
            .step_with(|| format!("cover /proc/{name}"))?;
        move_mount(tree, "", CWD, &path, to).step_with(|| format!("cover /proc/{name}"))?;
    }
    open_tree(CWD, "/proc", OpenTreeFlags::OPEN_TREE_CLOEXEC).step(step)
}

/// Makes a user namespace with a range of host ids of its own, and returns it without entering. The process keeps the host's privileges
/// for mounting; because it enters as the last thing it does, its other namespaces stay out of the reach of anybody inside.
fn make_user_namespace(first_user: u32) -> Result<OwnedFd, Failure> {
    let step = "make a user namespace";
    let (pid, pidfd) = match sys::clone_process(libc::CLONE_NEWUSER, None).step(step)? {
        sys::Cloned::Parent { pid, pidfd } => (pid, pidfd),
        // Stays only to hold the namespace until it is opened, then is killed.
        sys::Cloned::Child => loop {
            rustix::event::pause();
        },
    };
    let map = format!("0 {first_user} {USER_IDS_PER_SANDBOX}");
    let opened = crate::host::cgroup::write(Path::new(&format!("/proc/{pid}/uid_map")), &map)
        .and_then(|()| crate::host::cgroup::write(Path::new(&format!("/proc/{pid}/gid_map")), &map))
        .and_then(|()| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            Ok(rustix::fs::open(format!("/proc/{pid}/ns/user"), flags, Mode::empty())?)
        })
        .step(step);
    rustix::process::pidfd_send_signal(&pidfd, Signal::KILL).step(step)?;
    rustix::process::waitpid(rustix::process::Pid::from_raw(pid), WaitOptions::empty()).step(step)?;
    opened
}
