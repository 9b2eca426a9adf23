//! Bodies: of requests, read into one buffer under a limit; of responses, from memory or streamed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A body that sends nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(30);
/// A refused body is read and dropped up to here, so that a client that reads only after it has written all gets the answer.
const DRAIN_BYTES: u64 = 512 << 20;
/// A refused body is read and dropped for so long at the most.
const DRAIN: Duration = Duration::from_secs(30);
/// How a streamed response is cut.
const CHUNK_BYTES: usize = 256 << 10;
/// Memory for bodies is counted in pages of this many bytes.
const PAGE_BYTES: u64 = 64 << 10;

/// Why a request's body could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than the operation accepts.
    #[error("the request body is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client stopped sending.
    #[error("the request body stopped arriving")]
    Stalled,
    /// The connection failed.
    #[error("the request body could not be read")]
    Transport(#[source] hyper::Error),
}

/// Bounds the memory that the bodies of all requests under way take together. A request waits until there is room for what
/// it declares, or for the operation's limit where it declares nothing.
#[derive(Debug)]
pub struct BodyBudget {
    pages: Arc<Semaphore>,
    total: u32,
}

/// Room in the budget, given back when it is dropped.
pub type Room = Option<OwnedSemaphorePermit>;

impl BodyBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> BodyBudget {
        let total = u32::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX).max(1);
        BodyBudget { pages: Arc::new(Semaphore::new(total as usize)), total }
    }

    async fn reserve(&self, bytes: u64) -> Room {
        let pages = u32::try_from(bytes.div_ceil(PAGE_BYTES)).unwrap_or(u32::MAX).min(self.total);
        // The semaphore is never closed, so this waits and does not fail.
        self.pages.clone().acquire_many_owned(pages).await.ok()
    }
}

/// A request's body on its way in.
pub struct Inbound {
    body: Incoming,
    touched: bool,
    read: u64,
    limit: u64,
}

impl Inbound {
    /// A body of which nothing was read.
    pub fn new(body: Incoming) -> Inbound {
        Inbound { body, touched: false, read: 0, limit: 0 }
    }

    /// Whether all of it was read.
    pub fn is_read(&self) -> bool {
        self.body.is_end_stream()
    }

    /// Makes room for the body, before anything of it is read.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when its declared length is beyond the limit.
    pub async fn admit(&mut self, limit: u64, budget: &BodyBudget) -> Result<Room, BodyError> {
        if self.is_read() {
            return Ok(None);
        }
        let declared = self.declared();
        if declared.is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge { limit });
        }
        self.limit = limit;
        Ok(budget.reserve(declared.unwrap_or(limit)).await)
    }

    /// The length in bytes that is still to come, where it was declared.
    pub fn declared(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] when it goes beyond the limit it was admitted with; the others as they happen.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        self.touched = true;
        let bytes = next(&mut self.body).await?;
        self.read += bytes.as_ref().map_or(0, Bytes::len) as u64;
        if self.read > self.limit { Err(BodyError::TooLarge { limit: self.limit }) } else { Ok(bytes) }
    }

    /// Reads what is left of a refused body and drops it, within bounds, and says whether its end was reached. Where it was not,
    /// the connection has to be closed after the answer. A client that waits to be told to continue is not told.
    pub async fn drain(&mut self, client_waits: bool) -> bool {
        if self.is_read() {
            return true;
        }
        let left = self.body.size_hint().exact();
        if (client_waits && !self.touched) || left.is_some_and(|left| left > DRAIN_BYTES) {
            return false;
        }
        let reading = async {
            let mut dropped = 0;
            loop {
                match next(&mut self.body).await {
                    Ok(None) => return true,
                    Ok(Some(bytes)) => dropped += bytes.len() as u64,
                    Err(_) => return false,
                }
                if dropped > DRAIN_BYTES {
                    return false;
                }
            }
        };
        timeout(DRAIN, reading).await.unwrap_or(false)
    }
}

/// The next frame of data; none at the end. Trailers are dropped.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = timeout(IDLE, body.frame()).await.map_err(|_| BodyError::Stalled)?;
        match frame {
            None => return Ok(None),
            Some(Err(error)) => return Err(BodyError::Transport(error)),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Pieces put together. One piece alone, as a small payload is, is kept as it is.
#[derive(Debug, Default)]
pub enum Gathered {
    /// No piece yet.
    #[default]
    Nothing,
    /// One.
    One(Bytes),
    /// More, in one buffer.
    Many(BytesMut),
}

impl Gathered {
    /// Adds a piece; `capacity` is how long the whole is expected to be.
    pub fn push(&mut self, piece: Bytes, capacity: usize) {
        *self = match std::mem::take(self) {
            Gathered::Nothing => Gathered::One(piece),
            Gathered::One(first) => {
                let mut buffer = BytesMut::with_capacity(capacity.max(first.len() + piece.len()));
                buffer.extend_from_slice(&first);
                buffer.extend_from_slice(&piece);
                Gathered::Many(buffer)
            }
            Gathered::Many(mut buffer) => {
                buffer.extend_from_slice(&piece);
                Gathered::Many(buffer)
            }
        }
    }

    /// How long it is, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Gathered::Nothing => 0,
            Gathered::One(piece) => piece.len(),
            Gathered::Many(buffer) => buffer.len(),
        }
    }

    /// The whole.
    pub fn into_buffer(self) -> BytesMut {
        match self {
            Gathered::Nothing => BytesMut::new(),
            Gathered::One(piece) => piece.into(),
            Gathered::Many(buffer) => buffer,
        }
    }
}

/// A response's body.
pub enum Body {
    /// In memory; possibly empty.
    Full(Bytes),
    /// Read while it is sent. Ends in an error when the source is shorter than was announced.
    Stream {
        /// Where it comes from.
        reader: Pin<Box<dyn AsyncRead + Send>>,
        /// How many bytes are still to come.
        remaining: u64,
    },
}

impl Body {
    /// No bytes.
    pub fn empty() -> Body {
        Body::Full(Bytes::new())
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        Body::Full(bytes.into())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Body::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Body::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Body::Stream { remaining: 0, .. } => Poll::Ready(None),
            Body::Stream { reader, remaining } => {
                let length = usize::try_from(*remaining).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
                let mut chunk = vec![0; length];
                let mut buffer = ReadBuf::new(&mut chunk);
                if let Err(error) = ready!(reader.as_mut().poll_read(cx, &mut buffer)) {
                    return Poll::Ready(Some(Err(error)));
                }
                let read = buffer.filled().len();
                if read == 0 {
                    return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
                }
                chunk.truncate(read);
                *remaining -= read as u64;
                Poll::Ready(Some(Ok(Frame::data(chunk.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Full(bytes) => bytes.is_empty(),
            Body::Stream { remaining, .. } => *remaining == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Body::Full(bytes) => bytes.len() as u64,
            Body::Stream { remaining, .. } => *remaining,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_ends_where_it_was_announced_to_end() {
        let whole = Body::Stream { reader: Box::pin(&b"seven bytes"[..]), remaining: 5 };
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "seven");
        let short = Body::Stream { reader: Box::pin(&b"seven"[..]), remaining: 6 };
        assert_eq!(short.collect().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn the_budget_admits_what_fits_and_lets_the_rest_wait() {
        let budget = BodyBudget::new(2 * PAGE_BYTES);
        let first = budget.reserve(PAGE_BYTES + 1).await;
        assert!(first.is_some());
        assert!(timeout(Duration::from_millis(10), budget.reserve(1)).await.is_err());
        drop(first);
        // More than there is at all is granted alone, not never.
        assert!(budget.reserve(u64::MAX).await.is_some());
    }
}
