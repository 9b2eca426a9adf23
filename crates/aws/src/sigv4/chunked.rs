//! The `aws-chunked` encoding, as an explicit state machine without I/O: bytes in, decoded bytes out.
//!
//! ```text
//! HEX-SIZE[;chunk-signature=SIGNATURE] CRLF  DATA CRLF    any number of times
//! 0[;chunk-signature=SIGNATURE] CRLF                      the end of the data
//! NAME:VALUE CRLF …  [x-amz-trailer-signature:… CRLF]     if a trailer is announced
//! CRLF
//! ```
//!
//! Each signature covers the one before it, the first the request's. Memory is bounded: lines are short, data is passed on.

use bytes::{Buf, Bytes};
use ring::digest::{Context, SHA256};
use ring::hmac;

use super::SignatureError;
use super::canonical::{hex, into_array};
use super::payload::Seed;

/// The longest line that opens a chunk. S3 accepts chunk extensions of about this length.
const MAX_HEADER_BYTES: usize = 1024;

/// The longest trailer, all its lines together.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// SHA-256 of nothing, and the end of the line.
const EMPTY_HASH: &[u8] = b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n";

pub(super) struct ChunkedDecoder {
    state: State,
    /// The line that is being read.
    line: Vec<u8>,
    /// Key and last signature; `None` where chunks are not signed.
    seed: Option<Seed>,
    trailer: bool,
    trailers: Vec<(String, String)>,
    trailer_bytes: usize,
    /// What the chunk's data adds up to.
    data: Context,
    announced_bytes: Option<u64>,
    decoded_bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    /// A chunk's first line comes.
    Header,
    /// So much of the chunk's data is still to come, then it must have that signature.
    Data { left: u64, signature: [u8; 32] },
    /// The line end behind the data comes.
    DataEnd,
    /// The trailer's lines come, or the empty line at the end.
    Trailer,
    /// The trailer is complete and signed: only the empty line at the end may come.
    End,
    /// All was there.
    Done,
}

impl ChunkedDecoder {
    pub(super) fn new(seed: Option<Seed>, trailer: bool, announced_bytes: Option<u64>) -> ChunkedDecoder {
        ChunkedDecoder {
            state: State::Header,
            line: Vec::new(),
            seed,
            trailer,
            trailers: Vec::new(),
            trailer_bytes: 0,
            data: Context::new(&SHA256),
            announced_bytes,
            decoded_bytes: 0,
        }
    }

    pub(super) fn decode(&mut self, mut bytes: Bytes, decoded: &mut Vec<Bytes>) -> Result<(), SignatureError> {
        while !bytes.is_empty() {
            match self.state {
                State::Done => return Err(SignatureError::MalformedChunks("There are bytes behind the last chunk")),
                State::Data { left, signature } => {
                    // The smaller of the two fits in memory, as it is there.
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let data = bytes.split_to(count);
                    if self.seed.is_some() {
                        self.data.update(&data);
                    }
                    decoded.push(data);
                    self.took(left - count as u64, signature)?;
                }
                _ => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                    bytes.advance(end.map_or(bytes.len(), |end| end + 1));
                    if self.line.len() > MAX_HEADER_BYTES {
                        return Err(SignatureError::MalformedChunks("A line of the chunked payload is too long"));
                    }
                    if end.is_some() {
                        self.line_read()?;
                    }
                }
            }
        }
        Ok(())
    }

    /// So much of the data is left to come.
    fn took(&mut self, left: u64, signature: [u8; 32]) -> Result<(), SignatureError> {
        self.state = State::Data { left, signature };
        if left == 0 {
            self.check_chunk(&signature)?;
            self.state = State::DataEnd;
        }
        Ok(())
    }

    fn line_read(&mut self) -> Result<(), SignatureError> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let line =
            std::str::from_utf8(line).map_err(|_| SignatureError::MalformedChunks("A chunk's line is not text"))?;
        match self.state {
            State::Header => self.header(line),
            State::DataEnd if line.is_empty() => {
                self.state = State::Header;
                Ok(())
            }
            State::DataEnd => Err(SignatureError::MalformedChunks("A chunk is longer than its size says")),
            _ => self.trailer_line(line),
        }
    }

    fn header(&mut self, line: &str) -> Result<(), SignatureError> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let digits = !size.is_empty() && size.len() <= 16 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = digits.then(|| u64::from_str_radix(size, 16).ok()).flatten();
        let size = size.ok_or(SignatureError::MalformedChunks("A chunk's size is not a hexadecimal number"))?;
        let mut signature = [0; 32];
        if self.seed.is_some() {
            let text = extension.trim().strip_prefix("chunk-signature=").unwrap_or_default();
            hex::decode_to_slice(text, &mut signature).map_err(|_| SignatureError::DoesNotMatch)?;
        }
        let total = self.decoded_bytes.checked_add(size);
        let fits = |total: &u64| self.announced_bytes.is_none_or(|announced| *total <= announced);
        self.decoded_bytes = total.filter(fits).ok_or(SignatureError::IncompleteBody)?;
        if size > 0 {
            self.state = State::Data { left: size, signature };
            return Ok(());
        }
        self.check_chunk(&signature)?;
        self.state = State::Trailer;
        Ok(())
    }

    /// The chunk's data is complete: it must have been signed so.
    fn check_chunk(&mut self, signature: &[u8; 32]) -> Result<(), SignatureError> {
        let hash = into_array(std::mem::replace(&mut self.data, Context::new(&SHA256)));
        let Some(seed) = &mut self.seed else { return Ok(()) };
        seed.check_link("AWS4-HMAC-SHA256-PAYLOAD", EMPTY_HASH, &hash, signature)
    }

    fn trailer_line(&mut self, line: &str) -> Result<(), SignatureError> {
        if line.is_empty() {
            self.check_trailer_signed()?;
            self.state = State::Done;
            return Ok(());
        }
        if self.state == State::End {
            return Err(SignatureError::MalformedChunks("There are lines behind the trailer's signature"));
        }
        self.trailer_bytes += line.len();
        if !self.trailer || self.trailer_bytes > MAX_TRAILER_BYTES {
            return Err(SignatureError::MalformedChunks("The trailer is too long, or was not announced"));
        }
        let malformed = SignatureError::MalformedChunks("A trailing header has no colon");
        let (name, value) = line.split_once(':').ok_or(malformed)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name == "x-amz-trailer-signature" {
            return self.check_trailer(&value);
        }
        self.trailers.push((name, value));
        Ok(())
    }

    /// The trailer's signature is its last line.
    fn check_trailer(&mut self, signature: &str) -> Result<(), SignatureError> {
        let Some(seed) = &mut self.seed else { return Ok(()) };
        let mut given = [0; 32];
        hex::decode_to_slice(signature, &mut given).map_err(|_| SignatureError::DoesNotMatch)?;
        let mut context = Context::new(&SHA256);
        for part in self.trailers.iter().flat_map(|(name, value)| [name, ":", value, "\n"]) {
            context.update(part.as_bytes());
        }
        seed.check_link("AWS4-HMAC-SHA256-TRAILER", b"", &into_array(context), &given)?;
        self.state = State::End;
        Ok(())
    }

    /// A trailer that is announced where chunks are signed has to be signed too, or it could be taken away.
    fn check_trailer_signed(&self) -> Result<(), SignatureError> {
        let unsigned = self.trailer && self.seed.is_some() && self.state == State::Trailer;
        if unsigned { Err(SignatureError::DoesNotMatch) } else { Ok(()) }
    }

    pub(super) fn finish(self) -> Result<Vec<(String, String)>, SignatureError> {
        // Some clients leave out the empty line at the very end.
        let complete = match self.state {
            State::Done => true,
            State::Trailer | State::End => self.line.is_empty(),
            _ => false,
        };
        if !complete || self.announced_bytes.is_some_and(|announced| announced != self.decoded_bytes) {
            return Err(SignatureError::IncompleteBody);
        }
        self.check_trailer_signed()?;
        Ok(self.trailers)
    }
}

impl Seed {
    /// Whether `given` is the next signature of the chain; then it is the last one.
    fn check_link(
        &mut self,
        algorithm: &str,
        between: &[u8],
        hash: &[u8; 32],
        given: &[u8; 32],
    ) -> Result<(), SignatureError> {
        let (last, hash) = (hex(&self.signature), hex(hash));
        let lines = [algorithm.as_bytes(), self.timestamp.as_bytes(), self.scope.as_bytes(), &last];
        let signed = [&lines.join(&b'\n'), &b"\n"[..], between, &hash].concat();
        hmac::verify(&self.key, &signed, given).map_err(|_| SignatureError::DoesNotMatch)?;
        self.signature = *given;
        Ok(())
    }
}
