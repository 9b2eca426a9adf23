//! Outgoing traffic by NAT, through a network namespace between the sandboxes' and the host's: the gateway.
//!
//! ```text
//! sandbox eth0 100.115.1.n ── s… gateway up0 ── bj-… host ── masquerade ── the internet
//! ```
//!
//! The gateway decides what sandboxes may reach; its rules die with it. The host has one interface, one nftables table and, where
//! iptables is in use, two rules in `FORWARD` (Docker's policy there is DROP). It forwards packets; see [`super::forwarding`]. All of this
//! is taken back at the end, or at the next start after a launcher that was killed.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::thread::{ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces};

use crate::config::{Addresses, LauncherConfig};
use crate::host::forwarding::Found;
use crate::netlink::{GATEWAY_IPV6, LOOPBACK, Netlink};
use crate::spec::Network;
use crate::sys;

/// The gateway's interface towards the host.
const UP: &str = "up0";
/// The gateway's link-local address towards the host, which has [`GATEWAY_IPV6`].
const UP_IPV6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
/// IPv4 that sandboxes may not reach: "this" network, private, shared, loopback, link-local (and metadata services), protocol
/// assignments, benchmarking, multicast, reserved and broadcast (RFC 6890).
const REFUSED_IPV4: &str = "0.0.0.0/8, 10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.0.0.0/24, \
                            192.168.0.0/16, 198.18.0.0/15, 224.0.0.0/3";
/// IPv6 beyond the global unicast addresses is refused whole; of those, what wraps IPv4 addresses: Teredo and 6to4.
const REFUSED_IPV6: &str = "2001::/32, 2002::/16";
/// How an operator goes on without.
const OTHERWISE: &str = "Start Bojagi with --network none to run functions without access to the internet.";

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
    host: HostRules,
    found: Found,
    /// The file that says so.
    marker: PathBuf,
}

/// Removes what a launcher that died has left, and sets NAT up if the configuration asks for it.
///
/// # Errors
/// A sentence for the operator.
pub(crate) fn set_up(config: &LauncherConfig, name: &str) -> Result<Option<Gateway>, String> {
    let mut host = HostRules::new(name, config.addresses);
    let marker = config.data_dir.join("network-rules");
    if marker.exists() {
        // Empty from a launcher that was killed while it wrote: then nothing had been changed yet.
        let text =
            fs::read_to_string(&marker).map_err(|error| format!("Cannot read {}: {error}.", marker.display()))?;
        undo(&host, &serde_json::from_str(&text).unwrap_or_default(), &marker)?;
    }
    if config.network == Network::None {
        return Ok(None);
    }
    let found = Found::look().map_err(|error| format!("Cannot read the network's settings: {error}."))?;
    let written = serde_json::to_vec(&found).map_err(std::io::Error::from).and_then(|text| fs::write(&marker, text));
    written.map_err(|error| format!("Cannot write {}: {error}.", marker.display()))?;
    match make_gateway(&mut host, &found) {
        Ok(namespace) => Ok(Some(Gateway { namespace, host, found, marker })),
        Err(sentence) => {
            undo(&host, &found, &marker)?;
            Err(format!("{sentence} {OTHERWISE}"))
        }
    }
}

/// Takes back everything that was done to the host's own namespace.
fn undo(host: &HostRules, found: &Found, marker: &Path) -> Result<(), String> {
    host.remove();
    found.restore().map_err(|error| format!("Cannot switch off forwarding: {error}."))?;
    fs::remove_file(marker).map_err(|error| format!("Cannot remove {}: {error}.", marker.display()))
}

impl Gateway {
    /// The connection of the sandbox with this index, under a name that was never used before.
    pub(crate) fn uplink(&self, index: u32, slot: u64) -> (BorrowedFd<'_>, Uplink) {
        let low = |number: u32| number.to_be_bytes();
        let [one, two, ..] = self.host.addresses.ipv4.octets();
        let [.., three, four] = low(index + 256); // the first 256 are the host's and the gateway's
        let mut ipv6 = self.host.addresses.ipv6.octets();
        ipv6[12..].copy_from_slice(&low(index + 256));
        let uplink = Uplink {
            peer: format!("s{slot:x}"),
            ipv4: Ipv4Addr::new(one, two, three, four),
            ipv6: ipv6.into(),
            gateway_ipv4: gateway_ipv4(self.host.addresses),
        };
        (self.namespace.as_fd(), uplink)
    }

    /// Takes back what was done to the host; the gateway itself goes with its last sandbox.
    ///
    /// # Errors
    /// A sentence for the operator. The next launcher tries again.
    pub(crate) fn take_down(self) -> Result<(), String> {
        undo(&self.host, &self.found, &self.marker)
    }
}

fn host_ipv4(addresses: Addresses) -> Ipv4Addr {
    let [one, two, ..] = addresses.ipv4.octets();
    Ipv4Addr::new(one, two, 0, 1)
}

fn gateway_ipv4(addresses: Addresses) -> Ipv4Addr {
    let [one, two, ..] = addresses.ipv4.octets();
    Ipv4Addr::new(one, two, 0, 2)
}

fn has_ipv6() -> bool {
    Path::new("/proc/sys/net/ipv6/conf/all/forwarding").exists()
}

/// What is set up in the host's own namespace.
#[derive(Debug)]
struct HostRules {
    /// Of the nftables table, and the comment of the iptables rules.
    name: String,
    interface: String,
    addresses: Addresses,
}

impl HostRules {
    fn new(name: &str, addresses: Addresses) -> Self {
        // At most 15 characters.
        let interface = format!("bj-{}", name.trim_start_matches("bojagi-"));
        Self { name: name.replace('-', "_"), interface, addresses }
    }

    /// The table: sandboxes' traffic leaves under the host's address, and none of it is for the host itself.
    fn script(&self) -> String {
        let Self { name, interface, addresses } = self;
        let (ipv4, ipv6) = (addresses.ipv4, addresses.ipv6);
        format!(
            "table inet {name} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname != \"{interface}\" ip saddr {ipv4}/16 masquerade
    oifname != \"{interface}\" ip6 saddr {ipv6}/64 masquerade
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname \"{interface}\" icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
    iifname \"{interface}\" counter reject with icmpx admin-prohibited
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    oifname \"{interface}\" ct state established,related accept
    oifname \"{interface}\" drop
  }}
}}
"
        )
    }

    fn install(&self) -> Result<(), String> {
        nft(&self.script())?;
        for (program, exists) in [("iptables", true), ("ip6tables", has_ipv6())] {
            for direction in ["-i", "-o"] {
                if exists && let Err(error) = self.iptables(program, "-I", direction) {
                    return Err(format!("Cannot have {program} forward the traffic of functions: {error}."));
                }
            }
        }
        Ok(())
    }

    /// Inserts or deletes one rule in FORWARD. Without the program there is no such chain to mind.
    fn iptables(&self, program: &str, action: &str, direction: &str) -> Result<(), String> {
        let mut command = Command::new(program);
        command.args(["-w", action, "FORWARD", direction, &self.interface]);
        if direction == "-o" {
            command.args(["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]);
        }
        command.args(["-m", "comment", "--comment", &self.name, "-j", "ACCEPT"]);
        match command.stdin(Stdio::null()).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.to_string()),
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// Removes whatever is there of it.
    fn remove(&self) {
        // Each of these fails when there is nothing to remove, which is what is wanted.
        let _ = nft(&format!("delete table inet {}\n", self.name));
        for program in ["iptables", "ip6tables"] {
            for direction in ["-i", "-o"] {
                let _ = self.iptables(program, "-D", direction);
            }
        }
        let _ = Netlink::open().and_then(|network| network.delete(&self.interface));
    }
}

/// What sandboxes may reach: the way up, not each other, nothing private. No packet is for the gateway itself.
fn gateway_script() -> String {
    format!(
        "table inet bojagi {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname \"{UP}\" drop
    oifname != \"{UP}\" reject with icmpx admin-prohibited
    ip daddr {{ {REFUSED_IPV4} }} reject with icmpx admin-prohibited
    ip6 daddr != 2000::/3 reject with icmpx admin-prohibited
    ip6 daddr {{ {REFUSED_IPV6} }} reject with icmpx admin-prohibited
    accept
  }}
  chain input {{
    type filter hook input priority filter; policy drop;
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept
  }}
}}
"
    )
}

fn nft(script: &str) -> Result<(), String> {
    let spawned = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err("NAT needs the program nft: install the package nftables.".to_owned());
        }
        other => other.map_err(|error| format!("Cannot run nft: {error}."))?,
    };
    if let Some(mut input) = child.stdin.take() {
        input.write_all(script.as_bytes()).map_err(|error| format!("Cannot speak to nft: {error}."))?;
    }
    let output = child.wait_with_output().map_err(|error| format!("Cannot wait for nft: {error}."))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("The kernel refused the firewall rules: {}.", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Makes the gateway and connects it to the host's namespace, which the process is in before and after.
fn make_gateway(host: &mut HostRules, found: &Found) -> Result<OwnedFd, String> {
    let fail = |what: &'static str| move |error: std::io::Error| format!("Cannot {what}: {error}.");
    let current = || fs::File::open("/proc/self/ns/net").map(OwnedFd::from);
    let home = current().map_err(fail("open the host's network namespace"))?;
    sys::unshare(UnshareFlags::NEWNET).map_err(fail("make the gateway's network namespace"))?;
    let inside: Result<(OwnedFd, Netlink), String> = (|| {
        let namespace = current().map_err(fail("open the gateway's network namespace"))?;
        let network = Netlink::open().map_err(fail("speak to the gateway's network namespace"))?;
        Found::look().and_then(|found| found.switch_on()).map_err(fail("have the gateway forward"))?;
        nft(&gateway_script())?;
        Ok((namespace, network))
    })();
    move_into_thread_name_spaces(home.as_fd(), ThreadNameSpaceType::NETWORK)
        .map_err(|error| fail("return to the host's network namespace")(error.into()))?;
    let (namespace, network) = inside?;
    connect(host, &network, &namespace).map_err(fail("connect the gateway to the host"))?;
    found.switch_on().map_err(fail("switch on forwarding (net.ipv4.ip_forward)"))?;
    host.install()?;
    Ok(namespace)
}

/// Connects host and gateway by a pair of interfaces, and settles on addresses.
fn connect(host: &mut HostRules, gateway: &Netlink, namespace: &OwnedFd) -> std::io::Result<()> {
    let network = Netlink::open()?;
    // That of a launcher that was killed just now may still be on its way out.
    if network.delete(&host.interface).is_ok() {
        tracing::debug!(interface = host.interface, "an interface was left");
    }
    network.add_veth(&host.interface, UP, namespace.as_fd())?;
    let (down, up) = (network.index(&host.interface)?, gateway.index(UP)?);
    gateway.up(LOOPBACK)?;
    gateway.up(up)?;
    network.up(down)?;
    host.addresses = claim(&network, down, host.addresses)?;
    let (ours, theirs) = (host_ipv4(host.addresses), gateway_ipv4(host.addresses));
    network.add_address(down, ours.into(), 32)?;
    gateway.add_address(up, theirs.into(), 32)?;
    gateway.add_route(up, (Ipv4Addr::UNSPECIFIED.into(), 0), Some(ours.into()))?;
    if has_ipv6() {
        network.add_address(down, GATEWAY_IPV6.into(), 64)?;
        gateway.add_address(up, UP_IPV6.into(), 64)?;
        network.add_route(down, (host.addresses.ipv6.into(), 64), Some(UP_IPV6.into()))?;
        gateway.add_route(up, (IpAddr::from(Ipv6Addr::UNSPECIFIED), 0), Some(GATEWAY_IPV6.into()))?;
    }
    Ok(())
}

/// The first of the addresses to which the host has no route yet: another server on this machine has its own. The kernel refuses a
/// second route to the same network, so that two that start at the same time do not both succeed.
fn claim(network: &Netlink, interface: u32, wanted: Addresses) -> std::io::Result<Addresses> {
    let mut refused = std::io::ErrorKind::AddrInUse.into();
    for addresses in wanted.choices() {
        let gateway = gateway_ipv4(addresses).into();
        match network.add_route(interface, (addresses.ipv4.into(), 16), Some(gateway)) {
            Ok(()) => return Ok(addresses),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sandbox_has_addresses_of_its_own() {
        let addresses = Addresses::default();
        let host = HostRules::new("bojagi-0123abcd", addresses);
        assert!(host.interface.len() <= 15, "{}", host.interface);
        let gateway = Gateway {
            namespace: fs::File::open("/proc/self/ns/net").unwrap().into(),
            host,
            found: Found::default(),
            marker: PathBuf::new(),
        };
        let (_, first) = gateway.uplink(0, 1);
        let (_, last) = gateway.uplink(4095, 0xffff);
        assert_eq!(first.ipv4.to_string(), "100.115.1.0");
        assert_eq!(last.ipv4.to_string(), "100.115.16.255");
        assert_eq!(last.ipv6.to_string(), "fd62:6f6a:6167:6900::10ff");
        assert_eq!((last.peer.as_str(), last.gateway_ipv4.to_string().as_str()), ("sffff", "100.115.0.2"));
    }

    #[test]
    fn sixty_four_servers_have_addresses_of_their_own() {
        let choices: Vec<Addresses> = Addresses::default().choices().collect();
        assert_eq!(choices[0], Addresses::default());
        assert_eq!(choices[13].ipv4.to_string(), "100.64.0.0");
        assert_eq!(choices[13].ipv6.to_string(), "fd62:6f6a:6167:690d::");
        let of = |select: fn(&Addresses) -> IpAddr| {
            choices.iter().map(select).collect::<std::collections::HashSet<_>>().len()
        };
        assert_eq!((of(|a| a.ipv4.into()), of(|a| a.ipv6.into())), (64, 64));
        assert!(choices.iter().all(|a| a.ipv4.octets()[0] == 100 && a.ipv4.octets()[1] >> 6 == 1));
    }
}
