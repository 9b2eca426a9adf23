//! `bojagi reset`: asks a running development server to wipe its state.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::cli::ResetArgs;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends the one request and reports what the server answers.
///
/// # Errors
/// There is no server, or it refuses (it does not accept development keys).
#[expect(clippy::print_stdout, reason = "the command line's own output")]
pub fn run(arguments: &ResetArgs) -> anyhow::Result<()> {
    let address = arguments.listen;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(|| {
        format!("no server answers on {address}; start it with `bojagi up` or name it with --listen")
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST /_bojagi/reset HTTP/1.1\r\nHost: {address}\r\nX-Bojagi-Reset: true\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("the server did not answer")?;
    let status = answer.split(' ').nth(1).and_then(|code| code.parse::<u16>().ok());
    match status {
        Some(200..=299) => {
            println!("Functions, roles, code and logs are gone. Base images are kept.");
            Ok(())
        }
        Some(code) => {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).trim();
            bail!("the server refused ({code}): {body}")
        }
        None => bail!("what answers on {address} is no Bojagi"),
    }
}
