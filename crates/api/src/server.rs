//! Connections: accepted, encrypted, served over HTTP/1.1 or HTTP/2, drained.
//!
//! What always holds here: a peer that sends nothing is cut off in bounded time, whichever stage it stops at; every task belongs
//! to the tracker; after the shutdown token has been cancelled, [`Server::run`] returns within the drain deadline.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bojagi_engine::EndpointServer;
use futures_util::future::BoxFuture;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::ServerConfig;
use crate::front::Front;

/// The request line and all headers together, in bytes (AWS: 1 MB).
const HEADER_BYTES: u32 = 1 << 20;
/// Requests under way on one HTTP/2 connection.
const STREAMS: u32 = 256;
/// The TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The request line and headers; also how long a connection may be idle.
const HEADERS: Duration = Duration::from_secs(60);
/// After the kernel refused another connection (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where a connection comes from and how it is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// The other end.
    pub peer: Option<SocketAddr>,
    /// This end.
    pub local: Option<SocketAddr>,
    /// Whether it is encrypted.
    pub tls: bool,
    /// Whether it was accepted inside a sandbox, hence comes from a function's code.
    pub sandboxed: bool,
}

impl Connection {
    /// `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls { "https" } else { "http" }
    }

    fn of(stream: &TcpStream) -> Connection {
        Connection { peer: stream.peer_addr().ok(), local: stream.local_addr().ok(), ..Connection::default() }
    }
}

/// The front door: every protocol on one port. A cheap handle; clones share everything.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    front: Arc<Front>,
    http: auto::Builder<Tracked>,
    tls: Option<TlsAcceptor>,
    tasks: TaskTracker,
    connections: Arc<Semaphore>,
    draining: CancellationToken,
    aborting: CancellationToken,
    drain_deadline: Duration,
}

/// Runs HTTP/2's tasks in the tracker.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

impl Server {
    /// A server that listens nowhere yet.
    pub fn new(config: ServerConfig) -> Server {
        let tasks = TaskTracker::new();
        let mut http = auto::Builder::new(Tracked(tasks.clone()));
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .max_buf_size(HEADER_BYTES as usize)
            .keep_alive(true);
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_BYTES)
            .max_concurrent_streams(STREAMS)
            .keep_alive_interval(HEADERS)
            .adaptive_window(true);
        Server {
            inner: Arc::new(Inner {
                http,
                tls: config.tls.clone(),
                connections: Arc::new(Semaphore::new(config.max_connections)),
                draining: CancellationToken::new(),
                aborting: CancellationToken::new(),
                drain_deadline: config.drain_deadline,
                front: Arc::new(Front::new(config, tasks.clone())),
                tasks,
            }),
        }
    }

    /// Accepts and serves until the token is cancelled; then lets requests under way end, and cuts off what has not ended at the
    /// drain deadline. Connections served by [`Server::serve_connection`] are drained as well.
    pub async fn run(&self, listeners: Vec<TcpListener>, shutdown: CancellationToken) {
        let inner = &self.inner;
        for listener in listeners {
            inner.tasks.spawn(self.clone().accept(listener, shutdown.clone()));
        }
        shutdown.cancelled().await;
        inner.draining.cancel();
        inner.tasks.close();
        if tokio::time::timeout(inner.drain_deadline, inner.tasks.wait()).await.is_err() {
            tracing::warn!(deadline = ?inner.drain_deadline, "requests under way are cut off");
            inner.aborting.cancel();
        }
    }

    /// Serves a connection that somebody else accepted, until it ends.
    pub async fn serve_connection<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.inner.tasks.track_future(self.serve(stream, connection)).await;
    }

    async fn accept(self, listener: TcpListener, shutdown: CancellationToken) {
        let inner = &self.inner;
        loop {
            let accepting = async {
                let permit = inner.connections.clone().acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                accepted = accepting => accepted,
                () = shutdown.cancelled() => return,
            };
            match accepted {
                Ok((stream, _)) => {
                    let server = self.clone();
                    inner.tasks.spawn(async move {
                        server.serve_tcp(stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve_tcp(&self, stream: TcpStream) {
        let mut connection = Connection::of(&stream);
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let Some(tls) = &self.inner.tls else {
            return self.serve(stream, connection).await;
        };
        connection.tls = true;
        match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.serve(stream, connection).await,
            Ok(Err(error)) => tracing::debug!(%error, peer = ?connection.peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = ?connection.peer, "TLS handshake took too long"),
        }
    }

    async fn serve<S>(&self, stream: S, connection: Connection)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let inner = &self.inner;
        let spoke = AtomicBool::new(false);
        let service = service_fn(|request| {
            spoke.store(true, Ordering::Relaxed);
            let front = inner.front.clone();
            async move { Ok::<_, Infallible>(front.handle(request, connection).await) }
        });
        let mut served = pin!(inner.http.serve_connection(TokioIo::new(stream), service));
        // Finding out which version of HTTP is spoken has no time limit of its own.
        let mut first_request = pin!(tokio::time::sleep(HEADERS));
        let (mut waiting, mut draining) = (true, false);
        loop {
            tokio::select! {
                result = served.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(error = %crate::log::chain(&*error), peer = ?connection.peer, "connection failed");
                    }
                    return;
                }
                () = inner.draining.cancelled(), if !draining => {
                    draining = true;
                    served.as_mut().graceful_shutdown();
                }
                () = inner.aborting.cancelled() => return,
                () = first_request.as_mut(), if waiting => {
                    waiting = false;
                    if !spoke.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// The seam to code that was made before the server: functions' environments are given an endpoint to serve, and the server is
/// attached once it exists.
#[derive(Debug, Default)]
pub struct Endpoint(std::sync::OnceLock<Server>);

impl Endpoint {
    /// From now on connections are served by this server. The first call counts.
    pub fn attach(&self, server: Server) {
        if self.0.set(server).is_err() {
            tracing::warn!("a server is attached already");
        }
    }
}

impl EndpointServer for Endpoint {
    /// Serves a connection accepted inside a sandbox; closes it where no server is attached yet.
    fn serve(&self, stream: TcpStream) -> BoxFuture<'static, ()> {
        let Some(server) = self.0.get().cloned() else {
            tracing::warn!("a function called before the server was ready");
            return Box::pin(std::future::ready(()));
        };
        let connection = Connection { sandboxed: true, ..Connection::of(&stream) };
        Box::pin(async move { server.serve_connection(stream, connection).await })
    }
}

/// Binds each address.
///
/// # Errors
/// The first that cannot be bound.
pub async fn bind(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners = Vec::with_capacity(addresses.len());
    for address in addresses {
        listeners.push(TcpListener::bind(address).await?);
    }
    Ok(listeners)
}
