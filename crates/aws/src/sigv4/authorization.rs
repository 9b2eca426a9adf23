//! What a request says about who signed it, and whether it is true.

use std::borrow::Cow;

use time::{Duration, OffsetDateTime};

use super::canonical::Canonical;
use super::head::RequestHead;
use super::payload::{PayloadVerifier, Seed};
use super::{CLOCK_SKEW, SignatureError, SigningKeys, timestamp};

/// How the body is covered by the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// By its hash, which no header names: the signature can only be verified when the whole body is there.
    Implicit,
    /// By its hash, which a header names.
    Exact([u8; 32]),
    /// Not at all.
    Unsigned,
    /// In chunks.
    Chunked {
        /// Each chunk has a signature.
        signed: bool,
        /// Headers follow the last chunk.
        trailer: bool,
    },
}

/// What a request says about who signed it. Nothing of it is verified yet.
#[derive(Clone, Debug)]
pub struct Authorization<'a> {
    pub(super) head: RequestHead<'a>,
    /// `ID/DATE/REGION/SERVICE/aws4_request`, of which the others are parts.
    pub(super) credential: Cow<'a, str>,
    pub(super) access_key_id_length: usize,
    pub(super) signed_headers: Vec<Cow<'a, str>>,
    pub(super) signature: Cow<'a, str>,
    pub(super) time: OffsetDateTime,
    /// The same as the string to sign spells it.
    pub(super) timestamp: Cow<'a, str>,
    pub(super) expires: Option<Duration>,
    pub(super) session_token: Option<Cow<'a, str>>,
    pub(super) payload: PayloadKind,
    pub(super) payload_text: Option<&'a str>,
}

impl<'a> Authorization<'a> {
    /// The access key id that the request claims to be signed with.
    pub fn access_key_id(&self) -> &str {
        &self.credential[..self.access_key_id_length]
    }

    /// The date of the credential scope, `20260131`.
    pub fn date(&self) -> &str {
        self.scope_parts()[0]
    }

    /// The region of the credential scope.
    pub fn region(&self) -> &str {
        self.scope_parts()[1]
    }

    /// The service of the credential scope, by which requests are dispatched.
    pub fn service(&self) -> &str {
        self.scope_parts()[2]
    }

    /// The session token, which the caller must compare with the one that belongs to the access key.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Whether the signature is in the query.
    pub fn is_presigned(&self) -> bool {
        self.expires.is_some()
    }

    /// How the body is covered.
    pub fn payload(&self) -> PayloadKind {
        self.payload
    }

    /// `DATE/REGION/SERVICE/aws4_request`.
    fn scope(&self) -> &str {
        &self.credential[self.access_key_id_length + 1..]
    }

    fn scope_parts(&self) -> [&str; 4] {
        let mut parts = self.scope().split('/');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    pub(super) fn check_scope(&self) -> Result<(), SignatureError> {
        let [date, _, _, terminator] = self.scope_parts();
        let invalid = |message| Err(SignatureError::InvalidScope(message));
        if terminator != "aws4_request" {
            return invalid(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'."
            ));
        }
        let signed_at = &self.timestamp;
        let (day, _) = signed_at.split_at(8.min(signed_at.len()));
        if date != day {
            return invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != \
                 '{day}', from '{signed_at}'."
            ));
        }
        Ok(())
    }

    /// The headers are named once, sorted, in lower case; `host` and all `x-amz-` headers are among them.
    pub(super) fn check_signed_headers(&self) -> Result<(), SignatureError> {
        let signed = &self.signed_headers;
        if !signed.is_sorted_by(|left, right| left < right)
            || signed.iter().any(|name| name.bytes().any(|byte| byte.is_ascii_uppercase()))
        {
            return Err(SignatureError::Incomplete(
                "SignedHeaders must be in lower case, sorted and without repetition.".to_owned(),
            ));
        }
        let is_signed = |name: &str| signed.binary_search_by(|probe| probe.as_ref().cmp(name)).is_ok();
        if !is_signed("host") {
            return Err(SignatureError::HeadersNotSigned(
                "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
            ));
        }
        let names = self.head.headers.keys().map(|name| name.as_str());
        let unsigned: Vec<_> = names.filter(|name| name.starts_with("x-amz-") && !is_signed(name)).collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        Err(SignatureError::HeadersNotSigned(format!(
            "There were headers present in the request which were not signed: {}",
            unsigned.join(", ")
        )))
    }

    /// Verifies time and signature with the access key's secret. The body follows, into the verifier that comes back.
    /// Where the body's hash is [implicit](PayloadKind::Implicit), the signature is verified only by
    /// [`PayloadVerifier::finish`].
    ///
    /// # Errors
    ///
    /// [`SignatureError::OutOfTime`], [`SignatureError::PresignedExpired`], [`SignatureError::DoesNotMatch`].
    pub fn verify(
        &self,
        secret: &str,
        now: OffsetDateTime,
        keys: &SigningKeys,
    ) -> Result<PayloadVerifier, SignatureError> {
        self.check_time(now)?;
        let [date, region, service, _] = self.scope_parts();
        let key = keys.get(&self.credential, secret, [date, region, service]);
        let canonical = Canonical { head: &self.head, service, signed_headers: &self.signed_headers };
        let mut given = [0; 32];
        hex::decode_to_slice(self.signature.as_bytes(), &mut given).map_err(|_| SignatureError::DoesNotMatch)?;
        let seed = Seed {
            key,
            timestamp: self.timestamp.clone().into_owned(),
            scope: self.scope().to_owned(),
            signature: given,
        };
        let Some(payload_text) = self.payload_text else {
            return Ok(PayloadVerifier::implicit(seed, canonical.begin()));
        };
        seed.check(&canonical.hash(payload_text.as_bytes()))?;
        PayloadVerifier::new(self.payload, seed, self.head.header("x-amz-decoded-content-length"))
    }

    /// [`verify`](Self::verify) with the whole body at once.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify) and [`PayloadVerifier::finish`]. Chunked bodies are not for this: they have to be
    /// decoded.
    pub fn verify_body(
        &self,
        secret: &str,
        now: OffsetDateTime,
        keys: &SigningKeys,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        let mut verifier = self.verify(secret, now, keys)?;
        verifier.update(body)?;
        verifier.finish().map(drop)
    }

    fn check_time(&self, now: OffsetDateTime) -> Result<(), SignatureError> {
        let latest = now + CLOCK_SKEW;
        if self.time > latest {
            let (signed, latest, present) = (&self.timestamp, timestamp::format(latest), timestamp::format(now));
            return Err(SignatureError::OutOfTime(format!(
                "Signature not yet current: {signed} is still later than {latest} ({present} + 5 min.)"
            )));
        }
        if let Some(expires) = self.expires {
            if now <= self.time + expires {
                return Ok(());
            }
            let (end, present) = (timestamp::format(self.time + expires), timestamp::format(now));
            return Err(SignatureError::PresignedExpired(format!("{end} is now earlier than {present}")));
        }
        let earliest = now - CLOCK_SKEW;
        if self.time >= earliest {
            return Ok(());
        }
        let (signed, earliest, present) = (&self.timestamp, timestamp::format(earliest), timestamp::format(now));
        Err(SignatureError::OutOfTime(format!(
            "Signature expired: {signed} is now earlier than {earliest} ({present} - 5 min.)"
        )))
    }
}
