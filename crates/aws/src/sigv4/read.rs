//! Reading a signature from a request's header or query.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use time::Duration;

use super::authorization::{Authorization, PayloadKind};
use super::head::RequestHead;
use super::{ALGORITHM, MAX_EXPIRES_SECONDS, SignatureError, timestamp};

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
    let (time, timestamp) = timestamp::parse_date_header(date).ok_or_else(|| invalid_date(date))?;
    let payload_text = head.header("x-amz-content-sha256");
    Ok(Authorization {
        head: *head,
        access_key_id_length: check_credential(credential)?,
        credential: Cow::Borrowed(credential),
        signed_headers: split_headers(Cow::Borrowed(signed)),
        signature: Cow::Borrowed(signature),
        time,
        timestamp,
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
        timestamp: date,
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
