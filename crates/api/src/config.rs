//! What the server is given.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bojagi_control::Control;
use bojagi_model::Result;
use bojagi_model::limits::Limits;
use futures_util::future::BoxFuture;
use tokio_rustls::TlsAcceptor;

use crate::hosts::HostNames;

/// Everything a [`crate::Server`] needs.
#[derive(Clone)]
pub struct ServerConfig {
    /// The operations.
    pub control: Arc<Control>,
    /// Wipes all state. None where the development keys are off: then nobody may.
    pub reset: Option<Arc<dyn Reset>>,
    /// The limits in force.
    pub limits: Limits,
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
    /// The defaults: no TLS, no reset, no other names.
    pub fn new(control: Arc<Control>) -> ServerConfig {
        ServerConfig {
            control,
            reset: None,
            limits: Limits::default(),
            hosts: HostNames::default(),
            tls: None,
            drain_deadline: Duration::from_secs(30),
            max_connections: 4_096,
            body_bytes: 512 << 20,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// Wipes everything: functions, roles, keys made later than the first start, blobs, environments.
pub trait Reset: Send + Sync + 'static {
    /// Returns once nothing is left.
    fn reset(&self) -> BoxFuture<'_, Result<()>>;
}

/// Whether an address is of this machine only.
pub fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}
