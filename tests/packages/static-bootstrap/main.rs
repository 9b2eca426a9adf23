//! A custom runtime without any library: asks for the next event, answers with the same bytes, over one connection.
//!
//! It is the floor under every cold start: the less it does, the more of the time is Bojagi's own. Started with `--exit` it
//! ends at once, which is what a plain fork and exec of it is measured with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

fn main() {
    if std::env::args().any(|argument| argument == "--exit") {
        return;
    }
    let address = std::env::var("AWS_LAMBDA_RUNTIME_API").expect("AWS_LAMBDA_RUNTIME_API is set");
    let stream = TcpStream::connect(&address).expect("the Runtime API answers");
    stream.set_nodelay(true).expect("a socket takes TCP_NODELAY");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be cloned"));
    let mut writer = stream;
    loop {
        let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n");
        writer.write_all(next.as_bytes()).expect("the Runtime API reads");
        let (headers, body) = read_message(&mut reader);
        let request = headers.iter().find(|(name, _)| name == "lambda-runtime-aws-request-id");
        let request = &request.expect("an event has a request id").1;
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{request}/response HTTP/1.1\r\nHost: {address}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(&[head.as_bytes(), &body].concat()).expect("the Runtime API reads");
        read_message(&mut reader);
    }
}

/// Headers, lower-cased, and the body of one HTTP message, by its length or in chunks.
fn read_message(reader: &mut impl BufRead) -> (Vec<(String, String)>, Vec<u8>) {
    let mut headers = Vec::new();
    read_line(reader);
    loop {
        let line = read_line(reader);
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').expect("a header has a colon");
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
    let mut body = Vec::new();
    if value("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let size = usize::from_str_radix(read_line(reader).split(';').next().unwrap_or("0"), 16).expect("a chunk has a size");
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..]).expect("a chunk is whole");
            read_line(reader);
            if size == 0 {
                break;
            }
        }
    } else {
        body.resize(value("content-length").map_or(0, |length| length.parse().expect("a length is a number")), 0);
        reader.read_exact(&mut body).expect("a body is whole");
    }
    (headers, body)
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    let read = reader.read_line(&mut line).expect("the Runtime API answers");
    assert!(read > 0, "the Runtime API closed the connection");
    line.trim_end().to_owned()
}
