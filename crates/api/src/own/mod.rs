//! Bojagi's own paths, under `/_bojagi/`.
//!
//! | path | who may | what |
//! | --- | --- | --- |
//! | `GET /_bojagi/health` | anybody | whether the server answers |
//! | `GET /_bojagi/metrics` | this machine | figures for Prometheus |
//! | `POST /_bojagi/reset` | this machine, with development keys on and the header `X-Bojagi-Reset` | wipes all state |
//! | `GET /_bojagi/code/…` | who has the link | a function's package |
//! | `GET /_bojagi/console` | anybody | a page that says what is here |
//!
//! None of it carries a signature. What only this machine may do is refused to functions in sandboxes and to web pages.

pub mod code;
mod metrics;

use std::error::Error as StdError;
use std::net::SocketAddr;

use bojagi_control::Caller;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use uuid::Uuid;

use crate::body::Body;
use crate::config::ServerConfig;
use crate::log::Record;
use crate::server::Connection;

/// Where all of it lives.
pub const PREFIX: &str = "/_bojagi/";
/// A request to wipe everything must carry this header: a web page can send it only after asking (CORS), and is refused then.
const RESET_HEADER: &str = "x-bojagi-reset";

/// Why one of our own paths refuses.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("There is nothing at this path.")]
    NotFound,
    #[error("This path takes {0} requests only.")]
    Method(&'static str),
    #[error("This is for requests from the machine that the server runs on, outside of functions.")]
    NotLocal,
    #[error(transparent)]
    Foreign(#[from] crate::hosts::Foreign),
    #[error("Reset is possible only while the development access keys are on.")]
    NoReset,
    #[error("Reset needs the header X-Bojagi-Reset: 1.")]
    NoResetHeader,
    #[error("The state could not be wiped.")]
    ResetFailed(#[source] bojagi_model::Error),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Refusal::NotLocal | Refusal::Foreign(_) | Refusal::NoReset | Refusal::NoResetHeader => {
                StatusCode::FORBIDDEN
            }
            Refusal::ResetFailed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Refusal::NotFound => "NotFound",
            Refusal::Method(_) => "MethodNotAllowed",
            Refusal::NotLocal | Refusal::Foreign(_) | Refusal::NoReset | Refusal::NoResetHeader => "AccessDenied",
            Refusal::ResetFailed(_) => "InternalError",
        }
    }
}

/// Answers a request to one of our own paths.
pub async fn handle(
    config: &ServerConfig,
    links: &code::CodeLinks,
    parts: &Parts,
    connection: &Connection,
    request_id: Uuid,
    record: &mut Record,
) -> Response<Body> {
    record.service = Some("bojagi");
    let path = parts.uri.path();
    if path.starts_with(code::PREFIX) {
        return code::download(&config.control, links, parts, record).await;
    }
    let answer = match path {
        "/_bojagi/health" => {
            record.operation = Some("Health");
            only(parts, "GET").map(|()| health(config))
        }
        "/_bojagi/metrics" => {
            record.operation = Some("Metrics");
            only(parts, "GET").and_then(|()| local(config, parts, connection)).map(|()| {
                let text = metrics::render(&config.control.engine().statistics());
                with_type(text, metrics::CONTENT_TYPE)
            })
        }
        "/_bojagi/reset" => {
            record.operation = Some("Reset");
            reset(config, parts, connection, request_id).await
        }
        "/_bojagi/console" | "/_bojagi/console/" => {
            record.operation = Some("Console");
            only(parts, "GET").map(|()| console())
        }
        _ => Err(Refusal::NotFound),
    };
    answer.unwrap_or_else(|refusal| refuse(&refusal, record))
}

/// Sends a browser that asked for `/` to the console.
pub fn redirect() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FOUND;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/_bojagi/console"));
    response
}

fn only(parts: &Parts, method: &'static str) -> Result<(), Refusal> {
    let head = method == "GET" && parts.method == Method::HEAD;
    if parts.method == method || head { Ok(()) } else { Err(Refusal::Method(method)) }
}

/// Only this machine, and neither a function nor a web page on it.
fn local(config: &ServerConfig, parts: &Parts, connection: &Connection) -> Result<(), Refusal> {
    if connection.sandboxed || !connection.peer.is_some_and(is_local) {
        return Err(Refusal::NotLocal);
    }
    Ok(config.hosts.check(&parts.headers, connection)?)
}

/// Whether an address is of this machine only.
fn is_local(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn health(config: &ServerConfig) -> Response<Body> {
    let text = serde_json::json!({ "status": "ok", "version": config.version }).to_string();
    with_type(text, "application/json")
}

/// Wipes all state, in the name of the development account: whoever may ask could as well sign with its key.
async fn reset(
    config: &ServerConfig,
    parts: &Parts,
    connection: &Connection,
    request_id: Uuid,
) -> Result<Response<Body>, Refusal> {
    only(parts, "POST")?;
    local(config, parts, connection)?;
    let identity = config.control.identify("test", None).await.map_err(|_| Refusal::NoReset)?;
    if !parts.headers.contains_key(RESET_HEADER) {
        return Err(Refusal::NoResetHeader);
    }
    let region = "us-east-1".parse().map_err(Refusal::ResetFailed)?;
    let caller = Caller { principal: identity.principal, region, request_id };
    config.control.reset(&caller).await.map_err(Refusal::ResetFailed)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

fn console() -> Response<Body> {
    with_type(include_str!("console.html"), "text/html; charset=utf-8")
}

fn with_type(body: impl Into<Body>, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn refuse(refusal: &Refusal, record: &mut Record) -> Response<Body> {
    record.fail(refusal.code(), refusal as &(dyn StdError + 'static));
    let text = serde_json::json!({ "code": refusal.code(), "message": refusal.to_string() }).to_string();
    let mut response = with_type(text, "application/json");
    *response.status_mut() = refusal.status();
    if let Refusal::Method(method) = refusal {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    }
    response
}
