//! The crate from outside: requests as botocore makes them, messages as AWS has been recorded to word them.

mod chunked;
mod json;
mod requests;
mod responses;
mod routes;
mod signatures;
mod validation;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bojagi_aws::sigv4::RequestHead;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// A request that a client of AWS made.
struct Request {
    service: String,
    operation: String,
    token: Option<String>,
    presigned: bool,
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Request {
    fn head(&self) -> RequestHead<'_> {
        RequestHead {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            authority: None,
        }
    }
}

/// The key that the requests are signed with.
const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// When the requests were signed.
fn signed_at() -> time::OffsetDateTime {
    time::macros::datetime!(2026-01-31 12:00:00 UTC)
}

/// All requests of `tests/data/requests.json`.
fn requests() -> Vec<Request> {
    let data: Value = serde_json::from_str(include_str!("../data/requests.json")).expect("the data is JSON");
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let header = |pair: &Value| {
        let name = HeaderName::from_bytes(pair[0].as_str().unwrap_or_default().as_bytes()).expect("a header name");
        (name, HeaderValue::from_str(pair[1].as_str().unwrap_or_default()).expect("a header value"))
    };
    let requests = data["requests"].as_array().expect("a list");
    requests
        .iter()
        .map(|value| Request {
            service: text(value, "service"),
            operation: text(value, "operation"),
            token: value["token"].as_str().map(str::to_owned),
            presigned: value["presigned"] == true,
            method: text(value, "method"),
            path: text(value, "path"),
            query: text(value, "query"),
            headers: value["headers"].as_array().expect("a list").iter().map(header).collect(),
            body: STANDARD.decode(text(value, "body")).expect("base64"),
        })
        .collect()
}
