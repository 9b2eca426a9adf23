//! Which pages of the web may speak to this server: none but its own.
//!
//! Development keys are known to everybody, so a page in a browser on this machine could sign requests with them. What a page cannot
//! do is leave out `Origin` and `Sec-Fetch-Site`, or name in `Host` another name than the one its script came from; with a
//! rebound name (DNS rebinding) that is a name that this server does not know.

use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use http::header::{HOST, ORIGIN};

use crate::server::Connection;

/// The address of this server inside every sandbox.
const INSIDE: Ipv4Addr = Ipv4Addr::new(169, 254, 100, 1);

/// Why a request may come from a foreign page.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// A page of another origin asks.
    #[error(
        "Requests from the web page at {0} are refused, because the development access keys are public. Use an access key of your own"
    )]
    Origin(String),
    /// The name is not known to be this server's.
    #[error(
        "The host name '{0}' is not known to be this server's, which is refused with the public development access keys. \
         Add it to the server's host names, or use an access key of your own"
    )]
    Host(String),
}

/// The names by which the operator says that this server is reached.
#[derive(Clone, Debug, Default)]
pub struct HostNames(Vec<String>);

impl HostNames {
    /// Names without port, in any case.
    pub fn new(names: impl IntoIterator<Item = String>) -> HostNames {
        HostNames(names.into_iter().map(|name| canonical(&name)).collect())
    }

    /// Refuses what a foreign page may have sent.
    ///
    /// # Errors
    /// [`Foreign`].
    pub fn check(&self, headers: &HeaderMap, connection: &Connection) -> Result<(), Foreign> {
        let host = headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !self.recognise(host, connection) {
            return Err(Foreign::Host(host.to_owned()));
        }
        for origin in headers.get_all(ORIGIN) {
            let origin = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            let own = origin.split_once("://").is_some_and(|(scheme, authority)| {
                scheme == connection.scheme() && authority.eq_ignore_ascii_case(host)
            });
            if !own {
                return Err(Foreign::Origin(origin));
            }
        }
        match headers.get("sec-fetch-site").map(|value| value.as_bytes()) {
            None | Some(b"same-origin" | b"none") => Ok(()),
            Some(_) => Err(Foreign::Origin("another origin".to_owned())),
        }
    }

    /// Whether the value of a `Host` header is one of this server's names: loopback, `localhost` and names under it, the address
    /// that the connection was made to, the address inside sandboxes, and what the operator named.
    fn recognise(&self, host: &str, connection: &Connection) -> bool {
        let name = canonical(without_port(host));
        if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            let address = address.to_canonical();
            return address.is_loopback()
                || address == IpAddr::V4(INSIDE)
                || connection.local.is_some_and(|local| local.ip().to_canonical() == address)
                || self.0.contains(&name);
        }
        name == "localhost" || name.ends_with(".localhost") || self.0.contains(&name)
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, more: &[(&'static str, &str)]) -> Result<(), Foreign> {
        let names = HostNames::new(["Bojagi.Example.".to_owned()]);
        let local = Some("192.0.2.7:4566".parse().unwrap());
        let connection = Connection { local, ..Connection::default() };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().unwrap());
        for (name, value) in more {
            headers.append(*name, value.parse().unwrap());
        }
        names.check(&headers, &connection)
    }

    #[test]
    fn own_names_are_recognised_and_no_others() {
        let own = [
            "localhost",
            "localhost:4566",
            "LOCALHOST.",
            "s3.localhost:4566",
            "127.0.0.1",
            "127.9.8.7:1",
            "[::1]:4566",
            "[::ffff:127.0.0.1]:4566",
            "169.254.100.1:4566",
            "192.0.2.7:4566",
            "bojagi.example:4566",
        ];
        for host in own {
            assert_eq!(check(host, &[]), Ok(()), "{host}");
        }
        let foreign = [
            "",
            "evil.example",
            "evil.example:4566",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "169.254.169.254",
            "[::2]",
            "bojagi.example.evil.example",
            ":4566",
        ];
        for host in foreign {
            assert_eq!(check(host, &[]), Err(Foreign::Host(host.to_owned())), "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_very_origin_may_ask() {
        let host = "localhost:4566";
        assert_eq!(check(host, &[("origin", "http://localhost:4566")]), Ok(()));
        assert_eq!(check(host, &[("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(check(host, &[("sec-fetch-site", "none")]), Ok(()));
        for origin in
            ["null", "http://localhost:3000", "https://localhost:4566", "http://evil.example", "http://localhost", ""]
        {
            assert_eq!(check(host, &[("origin", origin)]), Err(Foreign::Origin(origin.to_owned())), "{origin}");
        }
        for site in ["cross-site", "same-site", "anything"] {
            assert!(check(host, &[("sec-fetch-site", site)]).is_err(), "{site}");
        }
        assert!(check(host, &[("origin", "http://localhost:4566"), ("origin", "http://evil.example")]).is_err());
    }
}
