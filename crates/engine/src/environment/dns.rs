//! The DNS forwarder inside an environment: `169.254.100.1:53`, answered by the host's own resolvers.
//!
//! What always holds: an environment has a bounded number of queries under way; what is beyond is dropped, as a busy resolver does.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Queries of one environment under way at once.
const QUERIES: usize = 64;
/// The largest message over UDP with EDNS that resolvers use, in bytes.
const MESSAGE_BYTES: usize = 4096;
/// How long one resolver is waited for; glibc's own default.
const PATIENCE: Duration = Duration::from_secs(5);
/// `SERVFAIL` in the header's fourth byte.
const SERVER_FAILURE: u8 = 2;

/// Answers queries until dropped.
pub struct Forwarder {
    /// Where names are resolved, in order of preference. Empty: every query fails at once.
    pub resolvers: Arc<[SocketAddr]>,
    /// Owns the queries under way.
    pub tasks: TaskTracker,
}

impl Forwarder {
    /// Serves both sockets; ends only by being dropped.
    pub async fn serve(&self, udp: UdpSocket, tcp: TcpListener) {
        let places = Arc::new(Semaphore::new(QUERIES));
        let (udp, ()) = tokio::join!(self.serve_udp(udp, &places), self.serve_tcp(tcp, &places));
        if let Err(error) = udp {
            tracing::warn!(%error, "an environment resolves no names over UDP any more");
        }
    }

    async fn serve_udp(&self, socket: UdpSocket, places: &Arc<Semaphore>) -> io::Result<()> {
        let socket = Arc::new(socket);
        let mut buffer = [0; MESSAGE_BYTES];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await?;
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { continue };
            if length < 12 {
                continue;
            }
            let (query, resolvers, socket) =
                (buffer[..length].to_vec(), Arc::clone(&self.resolvers), Arc::clone(&socket));
            self.tasks.spawn(async move {
                let answer = ask_any(&query, &resolvers).await.unwrap_or_else(|| failure(query));
                if let Err(error) = socket.send_to(&answer, client).await {
                    tracing::debug!(%error, "a DNS answer could not be delivered");
                }
                drop(place);
            });
        }
    }

    async fn serve_tcp(&self, listener: TcpListener, places: &Arc<Semaphore>) {
        loop {
            let client = super::accept(&listener).await;
            let Ok(place) = Arc::clone(places).try_acquire_owned() else { continue };
            let resolvers = Arc::clone(&self.resolvers);
            self.tasks.spawn(async move {
                if let Err(error) = relay(client, &resolvers).await {
                    tracing::debug!(%error, "a DNS connection ended");
                }
                drop(place);
            });
        }
    }
}

async fn ask_any(query: &[u8], resolvers: &[SocketAddr]) -> Option<Vec<u8>> {
    for resolver in resolvers {
        match timeout(PATIENCE, ask(query, *resolver)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%error, %resolver, "a resolver failed"),
            Err(_) => tracing::debug!(%resolver, "a resolver did not answer"),
        }
    }
    None
}

/// Asks from a port of its own, which the kernel chooses at random, so that an answer is hard to forge.
async fn ask(query: &[u8], resolver: SocketAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr = if resolver.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    socket.send(query).await?;
    let mut buffer = [0; MESSAGE_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if length >= 12 && buffer[..2] == query[..2] {
            return Ok(buffer[..length].to_vec());
        }
    }
}

/// The query turned into an answer that says that it failed: header and question as they came.
fn failure(mut query: Vec<u8>) -> Vec<u8> {
    query[2] |= 0x80;
    query[3] = 0x80 | SERVER_FAILURE;
    query[6..12].fill(0);
    let question = question_end(&query).unwrap_or(12);
    if question == 12 {
        query[4..6].fill(0);
    }
    query.truncate(question);
    query
}

fn question_end(query: &[u8]) -> Option<usize> {
    let mut at = 12;
    loop {
        match *query.get(at)? {
            0 => return query.get(..at + 5).map(<[u8]>::len),
            length if length < 64 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

async fn relay(mut client: TcpStream, resolvers: &[SocketAddr]) -> io::Result<()> {
    let query = timeout(PATIENCE, message(&mut client)).await??;
    for resolver in resolvers {
        let exchange = async {
            let mut upstream = TcpStream::connect(resolver).await?;
            send(&mut upstream, &query).await?;
            message(&mut upstream).await
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(answer)) => return timeout(PATIENCE, send(&mut client, &answer)).await?,
            Ok(Err(error)) => tracing::debug!(%error, %resolver, "a resolver failed"),
            Err(_) => tracing::debug!(%resolver, "a resolver did not answer"),
        }
    }
    timeout(PATIENCE, send(&mut client, &failure(query))).await?
}

/// A message over TCP: two bytes of length, then the message.
async fn message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length < 12 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no DNS message is that short"));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `example.org`, type A.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03org\x00\x00\x01\x00\x01";

    async fn forwarder(resolvers: Vec<SocketAddr>) -> (SocketAddr, SocketAddr, tokio::task::JoinHandle<()>) {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addresses = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
        let forwarder = Forwarder { resolvers: resolvers.into(), tasks: TaskTracker::new() };
        let task = tokio::spawn(async move { forwarder.serve(udp, tcp).await });
        (addresses.0, addresses.1, task)
    }

    async fn query_udp(server: SocketAddr) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(QUERY, server).await.unwrap();
        let mut buffer = [0; 512];
        let length = timeout(Duration::from_secs(10), socket.recv(&mut buffer)).await.unwrap().unwrap();
        buffer[..length].to_vec()
    }

    #[tokio::test]
    async fn queries_are_forwarded_over_udp_and_tcp() {
        let resolver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = resolver.local_addr().unwrap();
        let over_tcp = TcpListener::bind(address).await.unwrap();
        let (udp, tcp, task) = forwarder(vec![address]).await;
        let serving = async {
            let mut buffer = [0; 512];
            let (length, client) = resolver.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], QUERY);
            // One with another id first: a forgery, which is ignored.
            resolver.send_to(b"\x99\x99\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00", client).await.unwrap();
            resolver.send_to(b"\x12\x34\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00", client).await.unwrap();
        };
        let (answer, ()) = tokio::join!(query_udp(udp), serving);
        assert_eq!(answer, b"\x12\x34\x81\x80\x00\x00\x00\x00\x00\x00\x00\x00");

        let serving = async {
            let (mut stream, _) = over_tcp.accept().await.unwrap();
            assert_eq!(message(&mut stream).await.unwrap(), QUERY);
            send(&mut stream, &[7; 5000]).await.unwrap();
        };
        let asking = async {
            let mut stream = TcpStream::connect(tcp).await.unwrap();
            send(&mut stream, QUERY).await.unwrap();
            message(&mut stream).await.unwrap()
        };
        let (answer, ()) = tokio::join!(asking, serving);
        assert_eq!(answer, [7; 5000]);
        task.abort();
    }

    #[tokio::test]
    async fn without_a_resolver_a_query_fails_at_once() {
        let (udp, _tcp, task) = forwarder(Vec::new()).await;
        let answer = query_udp(udp).await;
        assert_eq!(answer[..4], [0x12, 0x34, 0x81, 0x82]);
        assert_eq!(answer[4..], QUERY[4..]);
        task.abort();
    }

    #[test]
    fn a_malformed_question_is_left_out_of_the_failure() {
        let table: [&[u8]; 3] = [&[0; 12], b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c", b"\0\0\0\0\0\x01\0\0\0\0\0\0\x3f"];
        for query in table {
            let answer = failure(query.to_vec());
            assert_eq!(answer, [0, 0, 0x80, 0x82, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }
}
