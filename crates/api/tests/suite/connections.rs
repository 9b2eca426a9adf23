//! Connections: kept alive, drained, encrypted, over HTTP/2, and from inside sandboxes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bojagi_api::{Connection, tls};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let harness = Harness::start().await;
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let request =
            Request::new("GET", "/2015-03-31/functions").sign(harness.address, &key("test", "test"), "lambda");
        stream.write_all(&request.head(harness.address)).await.unwrap();
        let answer = Answer::read(&mut stream, false).await;
        assert_eq!((answer.status, answer.text()), (200, r#"{"Functions":[]}"#));
        ids.insert(answer.header("x-amzn-requestid").to_owned());
    }
    assert_eq!(ids.len(), 3);
    harness.stop().await;
}

#[tokio::test]
async fn stopping_waits_for_requests_under_way_and_for_nothing_else() {
    let harness = Harness::start().await;
    let _idle = TcpStream::connect(harness.address).await.unwrap();
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let request = Request::new("POST", "/2015-03-31/functions/f/invocations").body("{}");
    let request = request.sign(harness.address, &key("test", "test"), "lambda").header("expect", "100-continue");
    stream.write_all(&request.head(harness.address)).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    harness.shutdown.cancel();
    stream.write_all(&request.body).await.unwrap();
    Answer::read(&mut stream, false).await.refused(404, "ResourceNotFoundException", "Function not found");
    let address = harness.address;
    tokio::time::timeout(Duration::from_secs(4), harness.stop())
        .await
        .expect("well before the deadline of five seconds");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_function_is_a_client_like_any_other_but_not_a_neighbour() {
    let harness = Harness::start().await;
    let inside = |request: Request| {
        let server = harness.server.clone();
        async move {
            let (mut client, stream) = tokio::io::duplex(1 << 16);
            let peer = Some("127.0.0.1:1".parse().unwrap());
            let connection = Connection { sandboxed: true, peer, ..Connection::default() };
            let serving = tokio::spawn(async move { server.serve_connection(stream, connection).await });
            client.write_all(&request.head("169.254.100.1:4566".parse().unwrap())).await.unwrap();
            let answer = Answer::read(&mut client, false).await;
            drop(client);
            serving.await.unwrap();
            answer
        }
    };
    let list = Request::new("GET", "/2015-03-31/functions");
    let list = list.sign("169.254.100.1:4566".parse().unwrap(), &key("test", "test"), "lambda");
    assert_eq!(inside(list).await.status, 200);
    assert_eq!(inside(Request::new("GET", "/_bojagi/health")).await.status, 200);
    assert_eq!(inside(Request::new("GET", "/_bojagi/metrics")).await.status, 403);
    assert_eq!(inside(Request::new("POST", "/_bojagi/reset").header("x-bojagi-reset", "1")).await.status, 403);
    harness.stop().await;
}

fn data(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// A client that trusts our certificate and offers one protocol.
async fn encrypted(harness: &Harness, protocol: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data("localhost.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let stream = TcpStream::connect(harness.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

/// Lists functions over an HTTP/2 connection, whose host is in `:authority` alone.
async fn list_over_http2<S>(stream: S, scheme: &str, harness: &Harness) -> (u16, String)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let signed = Request::new("GET", "/2015-03-31/functions").sign(harness.address, &key("test", "test"), "lambda");
    let mut request = http::Request::builder().uri(format!("{scheme}://{}{}", harness.address, signed.target));
    for (name, value) in signed.headers.iter().filter(|(name, _)| *name != "host") {
        request = request.header(name, value);
    }
    let response = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    driving.await.unwrap().unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn tls_and_http2() {
    let acceptor = tls::acceptor(&data("localhost.pem"), &data("localhost.key")).unwrap();
    let harness = Harness::configured(true, |config| config.tls = Some(acceptor)).await;
    let mut stream = encrypted(&harness, "http/1.1").await;
    stream.write_all(&Request::new("GET", "/_bojagi/health").head(harness.address)).await.unwrap();
    assert_eq!(Answer::read(&mut stream, false).await.status, 200);
    let listed = list_over_http2(encrypted(&harness, "h2").await, "https", &harness).await;
    assert_eq!(listed, (200, r#"{"Functions":[]}"#.to_owned()));
    let mut plain = TcpStream::connect(harness.address).await.unwrap();
    plain.write_all(&Request::new("GET", "/_bojagi/health").head(harness.address)).await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/"), "nothing is served in the clear");
    harness.stop().await;

    let harness = Harness::start().await;
    let stream = TcpStream::connect(harness.address).await.unwrap();
    assert_eq!(list_over_http2(stream, "http", &harness).await.0, 200);
    harness.stop().await;
}

#[test]
fn unusable_certificates_are_named() {
    let missing = tls::acceptor(&data("nothing.pem"), &data("localhost.key")).err().unwrap();
    assert!(missing.to_string().contains("nothing.pem cannot be read"), "{missing}");
    let swapped = tls::acceptor(&data("localhost.key"), &data("localhost.key")).err().unwrap();
    assert!(swapped.to_string().contains("contains no certificate"), "{swapped}");
}
