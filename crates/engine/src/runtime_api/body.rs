//! Reading what a runtime sends: bounded, and without a copy when it comes in one piece.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::environment::failure::Failure;

/// What is read and thrown away of an answer that is too large, so that its sender hears why: in bytes. AWS's largest streamed answer.
const DISCARD_BYTES: u64 = 200 * 1024 * 1024;
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// A request's body.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub payload: Bytes,
    /// What came after them.
    trailers: HeaderMap,
}

/// Why there is no body.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than the limit.
    TooLarge,
    /// The connection ended in the middle of it.
    Truncated(hyper::Error),
}

impl Body {
    /// The answer in it. A stream can fail after it has begun, and says so in its trailers.
    pub fn result(self, streaming: bool) -> Result<Bytes, Failure> {
        match self.trailers.get(ERROR_TYPE) {
            Some(kind) if streaming => Err(Failure::Reported {
                error_type: Failure::accepted_type(kind.to_str().ok(), "Function.Unknown"),
                payload: self
                    .trailers
                    .get(ERROR_BODY)
                    .and_then(|body| BASE64_STANDARD.decode(body).ok())
                    .map_or(self.payload, Bytes::from),
            }),
            _ => Ok(self.payload),
        }
    }
}

/// Reads a body of at most `limit_bytes`.
///
/// # Errors
/// [`Unread`].
pub async fn read(mut body: Incoming, limit_bytes: u64) -> Result<Body, Unread> {
    let expected = body.size_hint().exact();
    let mut first: Option<Bytes> = None;
    let mut rest: Option<BytesMut> = None;
    let mut trailers = HeaderMap::new();
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        let frame = match frame.map_err(Unread::Truncated)?.into_data() {
            Ok(data) => data,
            Err(other) => {
                trailers = other.into_trailers().unwrap_or_default();
                continue;
            }
        };
        total += frame.len() as u64;
        if total > DISCARD_BYTES {
            return Err(Unread::TooLarge);
        }
        if total > limit_bytes {
            (first, rest) = (None, None);
        } else if let Some(buffer) = &mut rest {
            buffer.extend_from_slice(&frame);
        } else if let Some(begin) = first.take() {
            let mut buffer = BytesMut::with_capacity(expected.unwrap_or(total * 2).min(limit_bytes) as usize);
            buffer.extend_from_slice(&begin);
            buffer.extend_from_slice(&frame);
            rest = Some(buffer);
        } else {
            first = Some(frame);
        }
    }
    if total > limit_bytes {
        return Err(Unread::TooLarge);
    }
    let payload = rest.map(BytesMut::freeze).or(first).unwrap_or_default();
    Ok(Body { payload, trailers })
}

/// Reads a body and forgets it.
pub async fn discard(mut body: Incoming) {
    let mut total = 0;
    while let Some(Ok(frame)) = body.frame().await {
        total += frame.data_ref().map_or(0, Bytes::len) as u64;
        if total > DISCARD_BYTES {
            return;
        }
    }
}
