//! The body of a signed request: hashed, or decoded from its chunks, as it comes.

use bytes::Bytes;
use ring::digest::{Context, SHA256};
use ring::hmac;

use super::SignatureError;
use super::authorization::PayloadKind;
use super::canonical::{hex, into_array, string_to_sign};
use super::chunked::ChunkedDecoder;

/// What a signature was calculated with, and the signature that the request has.
pub(super) struct Seed {
    pub key: hmac::Key,
    pub timestamp: String,
    pub scope: String,
    pub signature: [u8; 32],
}

impl Seed {
    /// Whether the signature is that of the canonical request with this hash.
    pub(super) fn check(&self, canonical_hash: &[u8; 32]) -> Result<(), SignatureError> {
        let signed = string_to_sign(&self.timestamp, &self.scope, canonical_hash);
        hmac::verify(&self.key, &signed, &self.signature).map_err(|_| SignatureError::DoesNotMatch)
    }
}

/// Takes the body of a request as it comes, and says at the end whether it is the one that was signed. Until
/// [`finish`](Self::finish) has returned, nothing of the body may be acted upon.
pub struct PayloadVerifier(Mode);

enum Mode {
    /// The signature itself waits for the body's hash.
    Implicit {
        seed: Box<Seed>,
        canonical: Context,
        body: Context,
    },
    Exact {
        expected: [u8; 32],
        body: Context,
    },
    Unsigned,
    Chunked(Box<ChunkedDecoder>),
}

impl PayloadVerifier {
    pub(super) fn implicit(seed: Seed, canonical: Context) -> PayloadVerifier {
        PayloadVerifier(Mode::Implicit { seed: Box::new(seed), canonical, body: Context::new(&SHA256) })
    }

    pub(super) fn new(
        kind: PayloadKind,
        seed: Seed,
        decoded_length: Option<&str>,
    ) -> Result<PayloadVerifier, SignatureError> {
        Ok(PayloadVerifier(match kind {
            PayloadKind::Implicit | PayloadKind::Unsigned => Mode::Unsigned,
            PayloadKind::Exact(expected) => Mode::Exact { expected, body: Context::new(&SHA256) },
            PayloadKind::Chunked { signed, trailer } => {
                let malformed = SignatureError::MalformedChunks("x-amz-decoded-content-length is not a number");
                let length = decoded_length.map(str::parse).transpose().map_err(|_| malformed)?;
                Mode::Chunked(Box::new(ChunkedDecoder::new(signed.then_some(seed), trailer, length)))
            }
        }))
    }

    /// Whether the bytes are in chunks, and [`decode`](Self::decode) has to take them out.
    pub fn is_chunked(&self) -> bool {
        matches!(self.0, Mode::Chunked(_))
    }

    /// Takes the next bytes of a body that is not in chunks.
    ///
    /// # Errors
    ///
    /// [`SignatureError::MalformedChunks`] where it is in chunks.
    pub fn update(&mut self, bytes: &[u8]) -> Result<(), SignatureError> {
        match &mut self.0 {
            Mode::Implicit { body, .. } | Mode::Exact { body, .. } => body.update(bytes),
            Mode::Unsigned => {}
            Mode::Chunked(_) => return Err(SignatureError::MalformedChunks("This operation takes no chunked payload")),
        }
        Ok(())
    }

    /// Takes the next bytes of any body, and adds the decoded ones to `decoded`, which share the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// What is wrong with a chunk, or its signature.
    pub fn decode(&mut self, bytes: Bytes, decoded: &mut Vec<Bytes>) -> Result<(), SignatureError> {
        if let Mode::Chunked(decoder) = &mut self.0 {
            return decoder.decode(bytes, decoded);
        }
        self.update(&bytes)?;
        decoded.push(bytes);
        Ok(())
    }

    /// The body is complete. The trailing headers, names in lower case; only chunked bodies have any.
    ///
    /// # Errors
    ///
    /// [`SignatureError::DoesNotMatch`], [`SignatureError::ContentSha256Mismatch`], [`SignatureError::IncompleteBody`].
    pub fn finish(self) -> Result<Vec<(String, String)>, SignatureError> {
        match self.0 {
            Mode::Implicit { seed, mut canonical, body } => {
                canonical.update(&hex(&into_array(body)));
                seed.check(&into_array(canonical))?;
            }
            Mode::Exact { expected, body } => {
                if into_array(body) != expected {
                    return Err(SignatureError::ContentSha256Mismatch);
                }
            }
            Mode::Unsigned => {}
            Mode::Chunked(decoder) => return decoder.finish(),
        }
        Ok(Vec::new())
    }
}

impl std::fmt::Debug for PayloadVerifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadVerifier").field("chunked", &self.is_chunked()).finish_non_exhaustive()
    }
}
