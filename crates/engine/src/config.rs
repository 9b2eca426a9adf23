//! What the engine is given: the launcher below it, the services beside it, and the figures in force.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bojagi_model::FunctionArn;
use bojagi_model::limits::Limits;
use bojagi_sandbox::{Launcher, Network};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

use crate::deployable::CredentialSource;

/// Everything an [`crate::Engine`] needs.
#[derive(Clone)]
pub struct EngineConfig {
    /// Starts sandboxes.
    pub launcher: Arc<dyn Launcher>,
    /// Gives each environment its credentials.
    pub credentials: Arc<dyn CredentialSource>,
    /// Takes log lines.
    pub logs: Arc<dyn LogSink>,
    /// Serves Bojagi's own endpoint inside sandboxes.
    pub endpoint: Arc<dyn EndpointServer>,
    /// The limits in force.
    pub limits: Limits,
    /// The sum of `MemorySize` of all environments that may be alive at once, in bytes.
    pub memory_budget_bytes: u64,
    /// How long an environment may be idle before it is ended.
    pub idle_timeout: Duration,
    /// How long an invocation waits for memory before it is throttled.
    pub admission_wait: Duration,
    /// What sandboxes can reach.
    pub network: Network,
    /// The services Bojagi serves, as the AWS SDKs spell them in `AWS_ENDPOINT_URL_<SERVICE>`: `LAMBDA`, `STS`, `IAM`.
    pub endpoint_services: Vec<String>,
    /// Where names are resolved for sandboxes; see [`host_resolvers`].
    pub resolvers: Vec<SocketAddr>,
}

/// The resolvers that this machine itself uses, in order, from `/etc/resolv.conf`; empty when there are none.
pub fn host_resolvers() -> Vec<SocketAddr> {
    match std::fs::read_to_string("/etc/resolv.conf") {
        Ok(text) => parse_resolvers(&text),
        Err(error) => {
            tracing::warn!(%error, "no resolvers: /etc/resolv.conf cannot be read");
            Vec::new()
        }
    }
}

fn parse_resolvers(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|address| address.trim().parse().ok())
        .map(|address| SocketAddr::new(address, 53))
        .collect()
}

/// Serves a connection that was accepted inside a sandbox on Bojagi's own port. Being inside proves nothing: requests are
/// authenticated as any other.
pub trait EndpointServer: Send + Sync + 'static {
    /// Serves the connection until it ends.
    fn serve(&self, stream: TcpStream) -> BoxFuture<'static, ()>;
}

/// Whose log lines they are and where they belong. One per execution environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOrigin {
    /// The function, hence account and region.
    pub arn: FunctionArn,
    /// The log group, `/aws/lambda/NAME` unless configured.
    pub group: String,
    /// The log stream, `YYYY/MM/DD/[$LATEST]<32 hex>`.
    pub stream: String,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// When it was read, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its bytes, without the newline. Whatever the function wrote: not necessarily UTF-8, at most 256 KiB.
    pub line: Bytes,
}

/// Takes log lines. Called on the path of invocations: it must neither block nor wait, and drops what it cannot take.
pub trait LogSink: Send + Sync + 'static {
    /// Appends lines, in order.
    fn append(&self, origin: &Arc<LogOrigin>, events: Vec<LogEvent>);
}

/// What the engine is doing and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Environments whose sandbox is being made or whose runtime has not asked for its first event.
    pub initialising: usize,
    /// Environments that wait for an event.
    pub idle: usize,
    /// Environments that serve an invocation, or have answered and not yet asked for the next.
    pub busy: usize,
    /// The sum of `MemorySize` of live environments, in bytes.
    pub memory_bytes: u64,
    /// Invocations served by an environment that was there.
    pub warm: u64,
    /// Invocations that an environment had to be started for.
    pub cold: u64,
    /// Invocations refused for want of concurrency or memory.
    pub throttled: u64,
    /// Idle environments ended to make room for others.
    pub evicted: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_are_read_as_the_resolver_library_reads_them() {
        let text =
            "# a comment\nsearch example.org\nnameserver 192.0.2.1\n  nameserver 2001:db8::1\nnameserver nonsense\n";
        let found: Vec<String> = parse_resolvers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[2001:db8::1]:53"]);
    }
}
