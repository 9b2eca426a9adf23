//! `/_bojagi/code/…`: the bytes behind `Code.Location`.
//!
//! A link carries its own permission, as a presigned S3 link does: an HMAC over path and time, with a key that lives as long as the
//! process. Whoever has the link may read that one archive until it expires.

use std::sync::Arc;
use std::time::Duration;

use bojagi_control::Control;
use bojagi_model::{AccountId, Digest, ErrorKind, FunctionName};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use ring::hmac;
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::body::Body;
use crate::log::Record;

/// How long a link is good for (AWS's: ten minutes).
const LIFETIME: Duration = Duration::from_secs(600);
/// Where the links lead.
pub const PREFIX: &str = "/_bojagi/code/snapshots/";

/// Makes and checks links.
pub struct CodeLinks {
    key: hmac::Key,
}

/// What a link leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    account: AccountId,
    archive: Digest,
    file_name: String,
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLink {
    /// It is not one of ours, or was altered.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your key and signing method."
    )]
    Signature,
    /// Its time is over.
    #[error("Request has expired")]
    Expired,
}

impl Default for CodeLinks {
    /// With a new key of 244 random bits.
    fn default() -> CodeLinks {
        let seed = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        CodeLinks { key: hmac::Key::new(hmac::HMAC_SHA256, &seed) }
    }
}

impl CodeLinks {
    /// Path and query of a link.
    pub fn sign(&self, account: AccountId, function: &FunctionName, archive: Digest) -> String {
        self.sign_at(account, function, archive, OffsetDateTime::now_utc())
    }

    fn sign_at(&self, account: AccountId, function: &FunctionName, archive: Digest, now: OffsetDateTime) -> String {
        let path = format!("{PREFIX}{account}/{function}-{}", archive.to_hex());
        let date = now.format(&format_description!("[year][month][day]T[hour][minute][second]Z")).unwrap_or_default();
        let query = format!("X-Amz-Date={date}&X-Amz-Expires={}", LIFETIME.as_secs());
        let signature = hmac::sign(&self.key, format!("{path}?{query}").as_bytes());
        format!("{path}?{query}&X-Amz-Signature={}", hex_of(signature.as_ref()))
    }

    fn check(&self, path: &str, query: &str, now: OffsetDateTime) -> Result<Link, BadLink> {
        let (signed, signature) = query.rsplit_once("&X-Amz-Signature=").ok_or(BadLink::Signature)?;
        let signature = bytes_of(signature).ok_or(BadLink::Signature)?;
        hmac::verify(&self.key, format!("{path}?{signed}").as_bytes(), &signature).map_err(|_| BadLink::Signature)?;
        // From here on it is what we wrote.
        let date =
            signed.strip_prefix("X-Amz-Date=").and_then(|rest| rest.split('&').next()).ok_or(BadLink::Signature)?;
        let format = format_description!("[year][month][day]T[hour][minute][second]Z");
        let made = time::PrimitiveDateTime::parse(date, &format).map_err(|_| BadLink::Signature)?.assume_utc();
        if now > made + LIFETIME {
            return Err(BadLink::Expired);
        }
        let parsed = path.strip_prefix(PREFIX).and_then(|rest| rest.split_once('/')).and_then(|(account, rest)| {
            let (function, digest) = rest.rsplit_once('-')?;
            let archive = format!("sha256:{digest}").parse().ok()?;
            Some(Link { account: account.parse().ok()?, archive, file_name: format!("{function}.zip") })
        });
        parsed.ok_or(BadLink::Signature)
    }
}

/// Answers a link.
pub async fn download(control: &Arc<Control>, links: &CodeLinks, parts: &Parts, record: &mut Record) -> Response<Body> {
    record.operation = Some("GetCode");
    if parts.method != Method::GET && parts.method != Method::HEAD {
        return error(record, StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", &MethodNotAllowed);
    }
    let query = parts.uri.query().unwrap_or_default();
    let link = match links.check(parts.uri.path(), query, OffsetDateTime::now_utc()) {
        Ok(link) => link,
        Err(bad @ BadLink::Expired) => return error(record, StatusCode::FORBIDDEN, "AccessDenied", &bad),
        Err(bad @ BadLink::Signature) => return error(record, StatusCode::FORBIDDEN, "SignatureDoesNotMatch", &bad),
    };
    record.account = Some(link.account);
    match control.open_archive(link.account, link.archive).await {
        Ok(blob) => {
            // The size is announced by the body; for HEAD the body is not sent.
            let mut response = Response::new(Body::Stream { reader: blob.reader, remaining: blob.size });
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, http::HeaderValue::from_static("application/zip"));
            let disposition = format!("attachment; filename=\"{}\"", link.file_name);
            if let Ok(value) = disposition.parse() {
                headers.insert(CONTENT_DISPOSITION, value);
            }
            response
        }
        Err(gone) if gone.kind() == ErrorKind::ResourceNotFound => {
            record.fail("NoSuchKey", &gone);
            xml(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
        }
        Err(failure) => {
            record.fail("InternalError", &failure);
            xml(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalError",
                "We encountered an internal error. Please try again.",
            )
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("The specified method is not allowed against this resource.")]
struct MethodNotAllowed;

fn error(
    record: &mut Record,
    status: StatusCode,
    code: &str,
    error: &(dyn std::error::Error + 'static),
) -> Response<Body> {
    record.fail(code, error);
    xml(status, code, &error.to_string())
}

/// As S3 writes its errors. Code and message are ours and need no escaping.
fn xml(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    response
}

fn hex_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_its_archive_until_it_expires_or_is_altered() {
        let links = CodeLinks::default();
        let archive = Digest::from_bytes([7; 32]);
        let account: AccountId = "123456789012".parse().unwrap();
        let now = OffsetDateTime::from_unix_timestamp(1_760_000_000).unwrap();
        let url = links.sign_at(account, &"my-function".parse().unwrap(), archive, now);
        let (path, query) = url.split_once('?').unwrap();
        let link = Link { account, archive, file_name: "my-function.zip".to_owned() };
        assert_eq!(links.check(path, query, now + LIFETIME), Ok(link));
        let late = now + LIFETIME + Duration::from_secs(1);
        assert_eq!(links.check(path, query, late), Err(BadLink::Expired));

        let altered = [
            (path.replace("123456789012", "123456789013"), query.to_owned()),
            (path.replace("0707", "0708"), query.to_owned()),
            (path.to_owned(), query.replace("X-Amz-Expires=600", "X-Amz-Expires=6000")),
            (path.to_owned(), query[..query.len() - 2].to_owned()),
            (path.to_owned(), format!("{query}é")),
            (path.to_owned(), String::new()),
        ];
        for (path, query) in altered {
            assert_eq!(links.check(&path, &query, now), Err(BadLink::Signature), "{path}?{query}");
        }
        assert_eq!(CodeLinks::default().check(path, query, now), Err(BadLink::Signature));
    }
}
