//! Outgoing traffic by NAT, through a network namespace between the sandboxes' and the host's.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::LauncherConfig;
use crate::spec::Network;

/// One sandbox's connection to the gateway.
#[derive(Clone, Debug)]
pub(crate) struct Uplink {
    /// The gateway's end, by name.
    pub(crate) peer: String,
    pub(crate) ipv4: Ipv4Addr,
    pub(crate) ipv6: Ipv6Addr,
    pub(crate) gateway_ipv4: Ipv4Addr,
}

/// The namespace between.
#[derive(Debug)]
pub(crate) struct Gateway {
    namespace: OwnedFd,
    config: LauncherConfig,
}

/// Sets it up if the configuration asks for it.
pub(crate) fn set_up(config: &LauncherConfig, _name: &str) -> Result<Option<Gateway>, String> {
    match config.network {
        Network::None => Ok(None),
        Network::Nat => Err("NAT is not there yet.".into()),
    }
}

impl Gateway {
    /// The connection of the sandbox with this index.
    pub(crate) fn uplink(&self, index: u32) -> (BorrowedFd<'_>, Uplink) {
        let _ = &self.config;
        let uplink = Uplink {
            peer: format!("s{index}"),
            ipv4: Ipv4Addr::UNSPECIFIED,
            ipv6: Ipv6Addr::UNSPECIFIED,
            gateway_ipv4: Ipv4Addr::UNSPECIFIED,
        };
        (self.namespace.as_fd(), uplink)
    }

    pub(crate) fn take_down(self) {}
}
