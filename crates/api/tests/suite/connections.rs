//! Connections: kept alive, drained, encrypted, over HTTP/2, and from inside sandboxes.

use std::time::Duration;

use bojagi_api::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let harness = Harness::start().await;
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let request = Request::new("GET", "/2015-03-31/functions").sign(harness.address, &key("test", "test"), "lambda");
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
    tokio::time::timeout(Duration::from_secs(4), harness.stop()).await.expect("well before the deadline of five seconds");
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
