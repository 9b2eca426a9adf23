//! The canonical request and the string to sign, hashed piece by piece without being put together.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode, utf8_percent_encode};
use ring::digest::{Context, SHA256};

use super::ALGORITHM;
use super::head::RequestHead;

/// Everything but what RFC 3986 calls unreserved.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a path, whose slashes stay.
const RESERVED_IN_PATH: &AsciiSet = &RESERVED.remove(b'/');

/// The parts of a request that a signature covers.
pub(super) struct Canonical<'a> {
    pub head: &'a RequestHead<'a>,
    pub service: &'a str,
    /// Lower case, sorted.
    pub signed_headers: &'a [Cow<'a, str>],
}

impl Canonical<'_> {
    /// SHA-256 of the canonical request.
    pub(super) fn hash(&self, payload_hash: &[u8]) -> [u8; 32] {
        let mut context = self.begin();
        context.update(payload_hash);
        into_array(context)
    }

    /// The same up to the hash of the payload, which comes last.
    pub(super) fn begin(&self) -> Context {
        let mut context = Context::new(&SHA256);
        let mut put = |text: &str| context.update(text.as_bytes());
        put(self.head.method);
        put("\n");
        put(&canonical_path(self.head.path, self.service));
        put("\n");
        canonical_query(self.head.query, &mut put);
        put("\n");
        for name in self.signed_headers {
            put(name);
            put(":");
            for (index, value) in self.head.header_values(name).enumerate() {
                put(if index == 0 { "" } else { "," });
                trimmed(&value, &mut put);
            }
            put("\n");
        }
        put("\n");
        for (index, name) in self.signed_headers.iter().enumerate() {
            put(if index == 0 { "" } else { ";" });
            put(name);
        }
        put("\n");
        context
    }
}

/// What is signed: the canonical request by its hash. `scope` is `DATE/REGION/SERVICE/aws4_request`.
pub(super) fn string_to_sign(timestamp: &str, scope: &str, hash: &[u8; 32]) -> Vec<u8> {
    let parts = [ALGORITHM.as_bytes(), b"\n", timestamp.as_bytes(), b"\n", scope.as_bytes(), b"\n", &hex(hash)];
    parts.concat()
}

/// S3 signs the path as it is, encoded once; every other service without dot segments, and encoded once more.
fn canonical_path<'a>(path: &'a str, service: &str) -> Cow<'a, str> {
    if service == "s3" {
        let decoded: Cow<'_, [u8]> = percent_decode_str(path).into();
        return match decoded {
            Cow::Borrowed(_) => utf8_percent_encode(path, RESERVED_IN_PATH).into(),
            Cow::Owned(bytes) => Cow::Owned(percent_encode(&bytes, RESERVED_IN_PATH).to_string()),
        };
    }
    if is_normal(path) {
        return utf8_percent_encode(path, RESERVED_IN_PATH).into();
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let last = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    let normal = format!("/{}{last}", segments.join("/"));
    Cow::Owned(utf8_percent_encode(&normal, RESERVED_IN_PATH).to_string())
}

fn is_normal(path: &str) -> bool {
    let inner = path.strip_prefix('/').map(|path| path.strip_suffix('/').unwrap_or(path));
    inner.is_some_and(|path| !path.split('/').any(|segment| matches!(segment, "" | "." | ".."))) || path == "/"
}

/// Names and values decoded and encoded again, sorted, without the signature itself.
fn canonical_query(query: &str, put: &mut impl FnMut(&str)) {
    if query.is_empty() {
        return;
    }
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut pairs: Vec<_> = pairs
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| (recode(name), recode(value)))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        put(if index == 0 { "" } else { "&" });
        put(name);
        put("=");
        put(value);
    }
}

fn recode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')) {
        return Cow::Borrowed(text);
    }
    let bytes: Cow<'_, [u8]> = percent_decode_str(text).into();
    Cow::Owned(encode(&bytes))
}

/// Percent-encoded for a query.
pub(super) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, RESERVED).to_string()
}

/// A header's value without white space around it, and with single spaces inside.
fn trimmed(value: &str, put: &mut impl FnMut(&str)) {
    if !value.contains("  ") && !value.contains('\t') {
        return put(value.trim());
    }
    for (index, word) in value.split_whitespace().enumerate() {
        put(if index == 0 { "" } else { " " });
        put(word);
    }
}

/// Lower-case hexadecimal, without allocation.
pub(super) fn hex(bytes: &[u8; 32]) -> [u8; 64] {
    let mut text = [0; 64];
    // The lengths fit, so there is nothing to report.
    hex::encode_to_slice(bytes, &mut text).unwrap_or_default();
    text
}

/// The digest of a SHA-256 context.
pub(super) fn into_array(context: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}
