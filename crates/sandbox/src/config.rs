//! What the launcher is told at its start.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::cgroup_layout::Placement;
use crate::spec::Network;

/// How many host user ids one sandbox's user namespace maps: 0 to 65,535 inside.
pub const USER_IDS_PER_SANDBOX: u32 = 65_536;
/// The user that code runs as inside; AWS's `sbx_user1051`.
pub const SANDBOX_USER: u32 = 993;
/// Its group inside, AWS's.
pub const SANDBOX_GROUP: u32 = 990;

/// The launcher's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LauncherConfig {
    /// The data directory. `sandbox/` below it becomes a mount point in the launcher's private mount namespace, `scratch/` holds what
    /// sandboxes write to `/tmp`. The caller holds the directory's exclusive lock: what an earlier launcher left there is swept.
    pub data_dir: PathBuf,
    /// The most a sandbox can be given; [`Network::Nat`] sets up forwarding at start.
    pub network: Network,
    /// The first host user id (and group id) of the sandboxes' ranges of [`USER_IDS_PER_SANDBOX`] each.
    pub user_id_base: u32,
    /// How many ranges there are; no more sandboxes than that exist at a time.
    pub user_id_ranges: u32,
    /// How many sandboxes are kept prepared ahead of demand.
    pub pool_size: usize,
    /// The sizes of `/tmp`, in bytes, for which file systems are prepared ahead of demand from the start; others follow when first used.
    pub tmp_sizes: Vec<u64>,
    /// The addresses of sandboxes with [`Network::Nat`], unless another server on this machine has them: then the next that are free.
    pub addresses: Addresses,
    /// The program that calls [`crate::run_if_launcher`] first of all; this one itself when None.
    pub executable: Option<PathBuf>,
    /// Where its control groups go; [`crate::start`] finds out.
    pub(crate) placement: Placement,
}

/// The address ranges that sandboxes with NAT use between themselves and the host; never seen outside the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// A /16 in a /10 whose others may be used, too. Shared address space (RFC 6598) by default.
    pub ipv4: Ipv4Addr,
    /// A /64 in a /56 whose others may be used, too, from the unique local addresses (RFC 4193) by default.
    pub ipv6: Ipv6Addr,
}

impl Addresses {
    /// These, then the 63 others that there are for further servers on the same machine.
    pub(crate) fn choices(self) -> impl Iterator<Item = Addresses> {
        (0..64_u8).map(move |step| {
            let (mut ipv4, mut ipv6) = (self.ipv4.octets(), self.ipv6.octets());
            ipv4[1] = ipv4[1] & 0xc0 | ipv4[1].wrapping_add(step) & 0x3f;
            ipv6[7] = ipv6[7].wrapping_add(step);
            Addresses { ipv4: ipv4.into(), ipv6: ipv6.into() }
        })
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self { ipv4: Ipv4Addr::new(100, 115, 0, 0), ipv6: Ipv6Addr::new(0xfd62, 0x6f6a, 0x6167, 0x6900, 0, 0, 0, 0) }
    }
}

impl LauncherConfig {
    /// The usual configuration with its state under `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            network: Network::None,
            user_id_base: 0x7000_0000,
            user_id_ranges: 4096,
            pool_size: 4,
            tmp_sizes: vec![512 << 20],
            addresses: Addresses::default(),
            executable: None,
            placement: Placement::Top,
        }
    }
}
