//! No body is read beyond its operation's limit, and the client can read why.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::*;

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

#[tokio::test]
async fn each_operation_has_its_limit() {
    let harness = Harness::start().await;
    let table = [
        ("PUT", "/2015-03-31/functions/f/configuration", 5_120, "UpdateFunctionConfiguration"),
        ("POST", INVOKE, 6_291_456, "InvokeFunction"),
        ("POST", "/2015-03-31/functions", 70_167_211, "CreateFunction"),
    ];
    for (method, target, limit, operation) in table {
        // The whole body is sent before the answer is read, as the AWS CLI does.
        let request = Request::new(method, target).body(vec![b' '; limit + 1]);
        let answer = harness.call("lambda", request).await;
        let message = format!("Request must be smaller than {limit} bytes for the {operation} operation");
        answer.refused(413, "RequestEntityTooLargeException", &message);
    }
    let mut fits = b"\"".to_vec();
    fits.resize(6_291_455, b'a');
    fits.push(b'"');
    let answer = harness.call("lambda", Request::new("POST", INVOKE).body(fits)).await;
    answer.refused(404, "ResourceNotFoundException", "Function not found");
    harness.stop().await;
}

#[tokio::test]
async fn a_body_of_unknown_length_is_cut_off_as_well() {
    let harness = Harness::start().await;
    let mut signed = Request::new("PUT", "/2015-03-31/functions/f/configuration").body(vec![b' '; 8_000]);
    signed = signed.sign(harness.address, &key("test", "test"), "lambda").header("transfer-encoding", "chunked");
    let mut framed = b"1f40\r\n".to_vec();
    framed.extend_from_slice(&signed.body);
    framed.extend_from_slice(b"\r\n0\r\n\r\n");
    let answer = harness.send(&signed.body(framed)).await;
    answer.refused(413, "RequestEntityTooLargeException", "Request must be smaller than 5120 bytes");
    harness.stop().await;
}

#[tokio::test]
async fn a_client_that_waits_is_told_to_continue_or_is_refused_at_once() {
    let harness = Harness::start().await;
    let expecting = |target: &str, length: usize| {
        let mut request = Request::new("POST", target).body(vec![b' '; length]);
        request = request.sign(harness.address, &key("test", "test"), "lambda").header("expect", "100-continue");
        request
    };
    let accepted = expecting(INVOKE, 3);
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    stream.write_all(&accepted.head(harness.address)).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&accepted.body).await.unwrap();
    Answer::read(&mut stream, false).await.refused(
        400,
        "InvalidRequestContentException",
        "Could not parse request body into json",
    );

    let refused = expecting(INVOKE, 6_291_457);
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    stream.write_all(&refused.head(harness.address)).await.unwrap();
    let answer = Answer::read(&mut stream, false).await;
    answer.refused(413, "RequestEntityTooLargeException", "Request must be smaller than 6291456 bytes");
    assert_eq!(answer.header("connection"), "close");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "the connection is closed");
    harness.stop().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let harness = Harness::start().await;
    let long = Request::new("GET", "/_bojagi/health").header("x-filler", &"a".repeat(900_000));
    assert_eq!(harness.send(&long).await.status, 200);
    let mut stream = TcpStream::connect(harness.address).await.unwrap();
    let longer = Request::new("GET", "/_bojagi/health").header("x-filler", &"a".repeat(1_200_000));
    // The server may close while it is still being written.
    let _ = stream.write_all(&longer.head(harness.address)).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{:?}", String::from_utf8_lossy(&answer));
    harness.stop().await;
}
