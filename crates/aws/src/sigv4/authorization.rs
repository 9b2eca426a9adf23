//! What a request says about who signed it, read from its header or its query, before anything is verified.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use time::{Duration, OffsetDateTime};

use super::canonical::Canonical;
use super::payload::{PayloadVerifier, Seed};
use super::{ALGORITHM, CLOCK_SKEW, MAX_EXPIRES_SECONDS, SignatureError, SigningKeys, timestamp};

/// The head of a request, as it came.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, percent-encoded as the client sent it.
    pub path: &'a str,
    /// The query without `?`; empty where there is none.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// What stands for a missing `host` header: HTTP/2's `:authority`.
    pub authority: Option<&'a str>,
}

impl<'a> From<&'a http::request::Parts> for RequestHead<'a> {
    fn from(parts: &'a http::request::Parts) -> RequestHead<'a> {
        RequestHead {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(|authority| authority.as_str()),
        }
    }
}

impl<'a> RequestHead<'a> {
    /// All values of a header, in their order.
    pub(super) fn header_values(&self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let authority = self.authority.filter(|_| name == "host" && !self.headers.contains_key("host"));
        let values = self.headers.get_all(name).into_iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        values.chain(authority.map(Cow::Borrowed))
    }

    fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A query parameter, decoded.
    fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let mut pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.find(|(found, _)| *found == name).map(|(_, value)| percent_decode_str(value).decode_utf8_lossy())
    }
}

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
    head: RequestHead<'a>,
    /// `ID/DATE/REGION/SERVICE/aws4_request`, of which the others are parts.
    credential: Cow<'a, str>,
    access_key_id_length: usize,
    signed_headers: Vec<Cow<'a, str>>,
    signature: Cow<'a, str>,
    time: OffsetDateTime,
    expires: Option<Duration>,
    session_token: Option<Cow<'a, str>>,
    payload: PayloadKind,
    payload_text: Option<&'a str>,
}

/// Reads the signature of a request.
///
/// # Errors
///
/// [`SignatureError::MissingAuthenticationToken`] where there is none: an anonymous request. Other errors where it cannot
/// be read, or does not sign what it must.
pub fn parse<'a>(head: &RequestHead<'a>) -> Result<Authorization<'a>, SignatureError> {
    let authorization = match head.header("authorization") {
        Some(text) => from_header(head, text)?,
        None if head.query.contains("X-Amz-Algorithm=") => from_query(head)?,
        None => return Err(SignatureError::MissingAuthenticationToken),
    };
    authorization.check_scope()?;
    authorization.check_signed_headers()?;
    Ok(authorization)
}

fn from_header<'a>(head: &RequestHead<'a>, text: &'a str) -> Result<Authorization<'a>, SignatureError> {
    let parts = text.strip_prefix(ALGORITHM).unwrap_or_default();
    let part = |name: &str| {
        let mut parts = parts.split(',').filter_map(|part| part.trim().split_once('='));
        parts.find(|(found, value)| *found == name && !value.is_empty()).map(|(_, value)| value)
    };
    let date = head.header("x-amz-date").or_else(|| head.header("date"));
    let wanted = [
        (part("Credential"), "'Credential' parameter"),
        (part("Signature"), "'Signature' parameter"),
        (part("SignedHeaders"), "'SignedHeaders' parameter"),
        (date, "existence of either a 'X-Amz-Date' or a 'Date' header"),
    ];
    let [(Some(credential), _), (Some(signature), _), (Some(signed), _), (Some(date), _)] = wanted else {
        let missing = wanted.iter().filter(|(found, _)| found.is_none());
        let mut message: String = missing.map(|(_, what)| format!("Authorization header requires {what}. ")).collect();
        let hash = STANDARD.encode(digest(&SHA256, text.as_bytes()));
        message.push_str(&format!("(Hashed with SHA-256 and encoded with Base64) Authorization={hash}"));
        return Err(SignatureError::Incomplete(message));
    };
    let time = timestamp::parse_date_header(date).ok_or_else(|| invalid_date(date))?;
    let payload_text = head.header("x-amz-content-sha256");
    Ok(Authorization {
        head: *head,
        access_key_id_length: check_credential(credential)?,
        credential: Cow::Borrowed(credential),
        signed_headers: split_headers(Cow::Borrowed(signed)),
        signature: Cow::Borrowed(signature),
        time,
        expires: None,
        session_token: head.header("x-amz-security-token").map(Cow::Borrowed),
        payload: payload_text.map_or(Ok(PayloadKind::Implicit), payload_kind)?,
        payload_text,
    })
}

fn from_query<'a>(head: &RequestHead<'a>) -> Result<Authorization<'a>, SignatureError> {
    let incomplete = || {
        SignatureError::Incomplete(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
             X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                .to_owned(),
        )
    };
    let parameter = |name: &str| head.parameter(name).filter(|value| !value.is_empty()).ok_or_else(incomplete);
    if parameter("X-Amz-Algorithm")? != ALGORITHM {
        return Err(SignatureError::Incomplete(format!("X-Amz-Algorithm only supports \"{ALGORITHM}\"")));
    }
    let credential = parameter("X-Amz-Credential")?;
    let date = parameter("X-Amz-Date")?;
    let expires = check_expires(&parameter("X-Amz-Expires")?)?;
    let access_key_id_length = check_credential(&credential)?;
    let payload_text = head.header("x-amz-content-sha256");
    let for_s3 = credential.rsplit('/').nth(1) == Some("s3");
    let default = if for_s3 { PayloadKind::Unsigned } else { PayloadKind::Implicit };
    Ok(Authorization {
        head: *head,
        access_key_id_length,
        credential,
        signed_headers: split_headers(parameter("X-Amz-SignedHeaders")?),
        signature: parameter("X-Amz-Signature")?,
        time: timestamp::parse(&date).ok_or_else(|| invalid_date(&date))?,
        expires: Some(expires),
        session_token: head.parameter("X-Amz-Security-Token"),
        payload: payload_text.map_or(Ok(default), payload_kind)?,
        payload_text: payload_text.or(for_s3.then_some(UNSIGNED)),
    })
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

fn payload_kind(text: &str) -> Result<PayloadKind, SignatureError> {
    match text {
        UNSIGNED => Ok(PayloadKind::Unsigned),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(PayloadKind::Chunked { signed: true, trailer: false }),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(PayloadKind::Chunked { signed: true, trailer: true }),
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(PayloadKind::Chunked { signed: false, trailer: true }),
        hash => {
            let mut bytes = [0; 32];
            hex::decode_to_slice(hash, &mut bytes).map_err(|_| SignatureError::InvalidContentSha256)?;
            Ok(PayloadKind::Exact(bytes))
        }
    }
}

fn invalid_date(date: &str) -> SignatureError {
    SignatureError::Incomplete(format!(
        "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
    ))
}

/// How long the access key id is, which may itself hold slashes.
fn check_credential(credential: &str) -> Result<usize, SignatureError> {
    let malformed = || {
        SignatureError::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{credential}'"
        ))
    };
    let (position, _) = credential.rmatch_indices('/').nth(3).ok_or_else(malformed)?;
    let filled = credential[position + 1..].split('/').all(|part| !part.is_empty());
    if position > 0 && filled { Ok(position) } else { Err(malformed()) }
}

fn check_expires(text: &str) -> Result<Duration, SignatureError> {
    let seconds: i64 = text.parse().map_err(|_| SignatureError::InvalidExpires("X-Amz-Expires should be a number"))?;
    if seconds < 0 {
        return Err(SignatureError::InvalidExpires("X-Amz-Expires must be non-negative"));
    }
    if seconds == 0 {
        return Err(SignatureError::InvalidExpires("X-Amz-Expires must be at least 1 second"));
    }
    if seconds > i64::from(MAX_EXPIRES_SECONDS) {
        return Err(SignatureError::InvalidExpires(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds",
        ));
    }
    Ok(Duration::seconds(seconds))
}

fn split_headers(text: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    match text {
        Cow::Borrowed(text) => text.split(';').map(Cow::Borrowed).collect(),
        Cow::Owned(text) => text.split(';').map(|name| Cow::Owned(name.to_owned())).collect(),
    }
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

    fn check_scope(&self) -> Result<(), SignatureError> {
        let [date, _, _, terminator] = self.scope_parts();
        let invalid = |message| Err(SignatureError::InvalidScope(message));
        if terminator != "aws4_request" {
            return invalid(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'."
            ));
        }
        let signed_at = timestamp::format(self.time);
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
    fn check_signed_headers(&self) -> Result<(), SignatureError> {
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
        let timestamp = timestamp::format(self.time);
        let mut given = [0; 32];
        hex::decode_to_slice(self.signature.as_bytes(), &mut given).map_err(|_| SignatureError::DoesNotMatch)?;
        let seed = Seed { key, timestamp, scope: self.scope().to_owned(), signature: given };
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
        let (signed, present) = (timestamp::format(self.time), timestamp::format(now));
        let latest = now + CLOCK_SKEW;
        if self.time > latest {
            let latest = timestamp::format(latest);
            return Err(SignatureError::OutOfTime(format!(
                "Signature not yet current: {signed} is still later than {latest} ({present} + 5 min.)"
            )));
        }
        if let Some(expires) = self.expires {
            if now <= self.time + expires {
                return Ok(());
            }
            let end = timestamp::format(self.time + expires);
            return Err(SignatureError::PresignedExpired(format!("{end} is now earlier than {present}")));
        }
        let earliest = now - CLOCK_SKEW;
        if self.time >= earliest {
            return Ok(());
        }
        let earliest = timestamp::format(earliest);
        Err(SignatureError::OutOfTime(format!(
            "Signature expired: {signed} is now earlier than {earliest} ({present} - 5 min.)"
        )))
    }
}
