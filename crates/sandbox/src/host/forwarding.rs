//! Having the host forward packets, and having it stop again.
//!
//! Forwarding is one switch for the whole network namespace. It is put back at the end, unless it was on before, somebody has changed it
//! since, or there are network interfaces that were not there when it was switched on: those of another Bojagi, or of a container engine,
//! a hypervisor or a VPN that found it on and relies on it. Then it stays on.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the kernel keeps each protocol's settings, by interface.
const PROTOCOLS: [&str; 2] = ["/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"];

/// What was found before forwarding was switched on. It outlives the launcher in a file, for the one after a launcher that was killed.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Found {
    /// The boot these settings are of; another one begins with its own.
    boot: String,
    interfaces: BTreeSet<String>,
    /// Protocols that were not forwarded.
    off: Vec<PathBuf>,
    /// Single interfaces' settings that were 1 and that switching changes: `forwarding`, which follows the main switch, and `accept_ra`.
    ones: Vec<PathBuf>,
}

impl Found {
    /// Looks at the settings of the network namespace that the process is in.
    pub(crate) fn look() -> io::Result<Self> {
        let mut found = Self { boot: boot()?, interfaces: interfaces()?, ..Self::default() };
        for conf in PROTOCOLS.map(PathBuf::from) {
            // A host may have been started without IPv6.
            if !conf.exists() || is(&conf.join("all/forwarding"), "1") {
                continue;
            }
            for interface in fs::read_dir(&conf)? {
                let settings = ["forwarding", "accept_ra"].map(|name| interface.as_ref().map(|i| i.path().join(name)));
                for setting in settings.into_iter().flatten() {
                    if is(&setting, "1") {
                        found.ones.push(setting);
                    }
                }
            }
            found.off.push(conf);
        }
        Ok(found)
    }

    /// Switches forwarding on where it was off. A host that forwards IPv6 no longer listens to routers unless told to: `accept_ra` of 1
    /// becomes 2, or it would lose its own route.
    pub(crate) fn switch_on(&self) -> io::Result<()> {
        for setting in self.ones.iter().filter(|setting| setting.ends_with("accept_ra")) {
            fs::write(setting, "2")?;
        }
        self.off.iter().try_for_each(|conf| fs::write(conf.join("all/forwarding"), "1"))
    }

    /// Puts back what was found, unless somebody relies on it. Returns whether it did. Settings of interfaces that are gone are gone.
    pub(crate) fn restore(&self) -> io::Result<bool> {
        if boot()? != self.boot || !interfaces()?.is_subset(&self.interfaces) {
            return Ok(false);
        }
        for conf in self.off.iter().filter(|conf| is(&conf.join("all/forwarding"), "1")) {
            fs::write(conf.join("all/forwarding"), "0")?;
            for setting in self.ones.iter().filter(|setting| setting.starts_with(conf) && setting.exists()) {
                if !setting.ends_with("accept_ra") || is(setting, "2") {
                    fs::write(setting, "1")?;
                }
            }
        }
        Ok(true)
    }
}

fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn interfaces() -> io::Result<BTreeSet<String>> {
    let entries = fs::read_dir(PROTOCOLS[0])?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn is(setting: &Path, value: &str) -> bool {
    fs::read_to_string(setting).is_ok_and(|text| text.trim() == value)
}
