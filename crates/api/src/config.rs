//! What the server is given.

use std::sync::Arc;
use std::time::Duration;

use bojagi_control::Control;
use tokio_rustls::TlsAcceptor;

use crate::hosts::HostNames;

/// Everything a [`crate::Server`] needs.
#[derive(Clone)]
pub struct ServerConfig {
    /// The operations.
    pub control: Arc<Control>,
    /// The names by which this server is reached, beside loopback and the addresses it listens on.
    pub hosts: HostNames,
    /// Encrypts; see [`crate::tls::acceptor`].
    pub tls: Option<TlsAcceptor>,
    /// How long requests under way may take when the server stops.
    pub drain_deadline: Duration,
    /// Connections open at once. More wait in the kernel's queue.
    pub max_connections: usize,
    /// Memory that the bodies of all requests under way may take together, in bytes.
    pub body_bytes: u64,
    /// The version that `/_bojagi/health` names.
    pub version: &'static str,
}

impl ServerConfig {
    /// The defaults: no TLS, no other names.
    pub fn new(control: Arc<Control>) -> ServerConfig {
        ServerConfig {
            control,
            hosts: HostNames::default(),
            tls: None,
            drain_deadline: Duration::from_secs(30),
            max_connections: 4_096,
            body_bytes: 512 << 20,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
