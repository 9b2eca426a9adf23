//! Making signatures: for presigned `Code.Location`s, and for Bojagi's own command line.

use std::borrow::Cow;

use bojagi_model::identity::Credentials;
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, HeaderName};
use ring::digest::{SHA256, digest};
use ring::hmac;
use time::{Duration, OffsetDateTime};

use super::canonical::{Canonical, encode, string_to_sign};
use super::head::RequestHead;
use super::key::derive;
use super::{ALGORITHM, MAX_EXPIRES_SECONDS, timestamp};

/// What a signature is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The region's name.
    pub region: &'a str,
    /// The service's signing name: `lambda`, `iam`, `sts`, `s3`.
    pub service: &'a str,
}

/// The body, as far as the signature is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// These bytes.
    Bytes(&'a [u8]),
    /// Bytes with this SHA-256.
    Sha256([u8; 32]),
    /// Whatever comes.
    Unsigned,
    /// Whatever comes, in chunks without signatures, with trailing headers. The caller makes the chunks.
    UnsignedChunks,
}

impl Payload<'_> {
    fn text(self) -> Cow<'static, str> {
        match self {
            Self::Bytes(bytes) => Cow::Owned(hex::encode(digest(&SHA256, bytes))),
            Self::Sha256(hash) => Cow::Owned(hex::encode(hash)),
            Self::Unsigned => Cow::Borrowed("UNSIGNED-PAYLOAD"),
            Self::UnsignedChunks => Cow::Borrowed("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        }
    }
}

/// Headers that proxies change or that vary between attempts.
const NOT_SIGNED: [&str; 6] =
    ["authorization", "connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"];

/// Signs a request: sets `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` where there is one, and
/// `authorization`. `host` must be among the headers. `path` and `query` are as they go over the wire.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a request, which no common type of sender and signer holds"
)]
pub fn sign(
    method: &str,
    path: &str,
    query: &str,
    headers: &mut HeaderMap,
    payload: Payload<'_>,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: OffsetDateTime,
) {
    let (date, payload) = (timestamp::format(now), payload.text());
    headers.remove(AUTHORIZATION);
    set(headers, "x-amz-date", &date);
    set(headers, "x-amz-content-sha256", &payload);
    if let Some(token) = &credentials.session_token {
        set(headers, "x-amz-security-token", token);
    }
    let mut names: Vec<Cow<'_, str>> = headers.keys().map(|name| Cow::Owned(name.as_str().to_owned())).collect();
    names.retain(|name| !NOT_SIGNED.contains(&name.as_ref()));
    names.sort_unstable();
    let head = RequestHead { method, path, query, headers, authority: None };
    let canonical = Canonical { head: &head, service: scope.service, signed_headers: &names };
    let signature = calculate(&canonical, &payload, &date, credentials, scope);
    let authorization = format!(
        "{ALGORITHM} Credential={}/{}, SignedHeaders={}, Signature={signature}",
        credentials.access_key_id,
        scope_text(&date, scope),
        names.join(";"),
    );
    set(headers, "authorization", &authorization);
}

/// The query of a presigned request, for `path` at `host`, with the parameters of `query` (as they go over the wire) before
/// the signature's own. `expires` is kept between one second and seven days. The body is not signed.
#[expect(
    clippy::too_many_arguments,
    reason = "the parts of a request, which no common type of sender and signer holds"
)]
pub fn presign(
    method: &str,
    host: &str,
    path: &str,
    query: &str,
    expires: Duration,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: OffsetDateTime,
) -> String {
    let date = timestamp::format(now);
    let credential = format!("{}/{}", credentials.access_key_id, scope_text(&date, scope));
    let seconds = expires.whole_seconds().clamp(1, MAX_EXPIRES_SECONDS.into());
    let separator = if query.is_empty() { "" } else { "&" };
    let mut query = format!(
        "{query}{separator}X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={}&X-Amz-Date={date}&X-Amz-Expires={seconds}\
         &X-Amz-SignedHeaders=host",
        encode(credential.as_bytes())
    );
    if let Some(token) = &credentials.session_token {
        query.push_str("&X-Amz-Security-Token=");
        query.push_str(&encode(token.as_bytes()));
    }
    // Only S3 takes a body that is not signed; the others are given the hash of none.
    let payload = if scope.service == "s3" { Payload::Unsigned } else { Payload::Bytes(b"") };
    let headers = HeaderMap::new();
    let head = RequestHead { method, path, query: &query, headers: &headers, authority: Some(host) };
    let canonical = Canonical { head: &head, service: scope.service, signed_headers: &[Cow::Borrowed("host")] };
    let signature = calculate(&canonical, &payload.text(), &date, credentials, scope);
    query.push_str("&X-Amz-Signature=");
    query.push_str(&signature);
    query
}

fn calculate(
    canonical: &Canonical<'_>,
    payload: &str,
    date: &str,
    credentials: &Credentials,
    scope: Scope<'_>,
) -> String {
    let key = derive(&credentials.secret_access_key, [day(date), scope.region, scope.service]);
    let hash = canonical.hash(payload.as_bytes());
    hex::encode(hmac::sign(&key, &string_to_sign(date, &scope_text(date, scope), &hash)))
}

fn scope_text(date: &str, scope: Scope<'_>) -> String {
    format!("{}/{}/{}/aws4_request", day(date), scope.region, scope.service)
}

fn day(date: &str) -> &str {
    date.get(..8).unwrap_or_default()
}

/// A value that no header can hold cannot be signed either: the server will say so.
fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}
