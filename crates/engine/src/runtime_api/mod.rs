//! The Lambda Runtime API, version 2018-06-01, as the runtime of one environment sees it.
//!
//! Source: AWS, "Using the Lambda runtime API"; statuses, bodies and header names as AWS's Runtime Interface Emulator sends them.
//! What always holds: a request that the environment's state does not allow changes nothing and is told so.

mod answer;
mod body;
pub mod connection;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::answer::{accepted, error, event, forbidden, invalid_request_id};
use self::body::{Body, Unread, discard, read};
use self::connection::Connection;
use crate::environment::failure::Failure;
use crate::environment::{Environment, NoEvent, accept};

/// The runtime's connections at once. A runtime needs one or two.
const CONNECTIONS: usize = 64;
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

type Answer = Response<Full<Bytes>>;

/// Serves the Runtime API of an environment; ends only by being dropped.
pub async fn serve(environment: &Arc<Environment>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = accept(&listener).await;
        let environment = Arc::clone(environment);
        let tasks = environment.connections().clone();
        tasks.spawn(async move {
            serve_connection(environment, stream).await;
            drop(place);
        });
    }
}

async fn serve_connection(environment: Arc<Environment>, stream: TcpStream) {
    let connection = match Connection::new(stream) {
        Ok(connection) => connection,
        Err(error) => {
            tracing::debug!(%error, "a Runtime API connection ended at once");
            return;
        }
    };
    let service = service_fn(|request| {
        let (environment, connection) = (Arc::clone(&environment), connection.clone());
        async move { Ok::<_, Infallible>(handle(&environment, &connection, request).await) }
    });
    // Header names in AWS's spelling: shell scripts look for them case by case. A runtime that answers and ends at once has closed its
    // side when its answer is read, hence `half_close`.
    let serving = http1::Builder::new()
        .title_case_headers(true)
        .half_close(true)
        .serve_connection(TokioIo::new(connection.clone()), service);
    tokio::select! {
        result = serving => {
            if let Err(error) = result {
                tracing::debug!(%error, "a Runtime API connection ended");
            }
        }
        () = environment.ended() => {}
    }
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
enum Operation<'a> {
    Next,
    Response(&'a str),
    Error(&'a str),
    InitError,
    /// Whether the Runtime API is there.
    Ping,
    /// Part of AWS's interface, and not of this one.
    Unsupported(&'static str),
    WrongMethod,
    Unknown,
}

fn route<'a>(method: &Method, path: &'a str) -> Operation<'a> {
    let of = |expected: Method, operation| if *method == expected { operation } else { Operation::WrongMethod };
    let Some(rest) = path.strip_prefix("/2018-06-01/") else {
        return match path.split('/').nth(1) {
            Some("2020-01-01") => Operation::Unsupported("extensions"),
            Some("2020-08-15") => Operation::Unsupported("the Logs API"),
            Some("2022-07-01") => Operation::Unsupported("the Telemetry API"),
            _ => Operation::Unknown,
        };
    };
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        ["runtime", "invocation", "next"] => of(Method::GET, Operation::Next),
        ["runtime", "invocation", id, "response"] => of(Method::POST, Operation::Response(id)),
        ["runtime", "invocation", id, "error"] => of(Method::POST, Operation::Error(id)),
        ["runtime", "init", "error"] => of(Method::POST, Operation::InitError),
        ["runtime", "restore", _] => Operation::Unsupported("SnapStart"),
        ["ping"] => of(Method::GET, Operation::Ping),
        _ => Operation::Unknown,
    }
}

async fn handle(environment: &Arc<Environment>, connection: &Connection, request: Request<Incoming>) -> Answer {
    let (head, body) = request.into_parts();
    let limit_bytes = environment.payload_bytes();
    let operation = route(&head.method, head.uri.path());
    match operation {
        Operation::Response(id) => {
            if let Some(id) = serving(environment, id) {
                return response(environment, id, &head.headers, read(body, limit_bytes).await).await;
            }
        }
        Operation::Error(id) => {
            if let Some(id) = serving(environment, id) {
                return invocation_error(environment, id, &head.headers, read(body, limit_bytes).await).await;
            }
        }
        Operation::InitError => return init_error(environment, &head.headers, read(body, limit_bytes).await),
        Operation::Next => {
            return match environment.next(connection).await {
                Ok(delivery) => event(&delivery),
                Err(NoEvent::Refused(refused, state)) => forbidden(refused, state, "Ready"),
                Err(NoEvent::Ended) => {
                    error(StatusCode::GONE, "EnvironmentEnded", "The execution environment is ending.")
                }
            };
        }
        _ => {}
    }
    // A body that is not read would cost its sender the connection, and the answer with it.
    discard(body).await;
    refuse(environment, &operation)
}

fn refuse(environment: &Environment, operation: &Operation<'_>) -> Answer {
    match operation {
        Operation::Response(id) => refusal(environment, id, "InvocationResponse"),
        Operation::Error(id) => refusal(environment, id, "InvocationErrorResponse"),
        Operation::Ping => answer::plain(StatusCode::OK, "pong"),
        Operation::Unsupported(what) => error(
            StatusCode::NOT_IMPLEMENTED,
            "NotSupported",
            &format!("Bojagi does not support {what} in execution environments."),
        ),
        Operation::WrongMethod => answer::plain(StatusCode::METHOD_NOT_ALLOWED, ""),
        Operation::Unknown | Operation::Next | Operation::InitError => {
            answer::plain(StatusCode::NOT_FOUND, "404 page not found")
        }
    }
}

/// The request's id, if it is the one being served. Asked before the body is read, so that a refused answer is not taken in first.
fn serving(environment: &Environment, id: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(id).ok()?;
    environment.may_respond(id).ok().map(|()| id)
}

/// Why [`serving`] said no.
fn refusal(environment: &Environment, id: &str, to: &str) -> Answer {
    match environment.may_respond(Uuid::try_parse(id).unwrap_or(Uuid::nil())) {
        Err((refused, state)) => forbidden(refused, state, to),
        Ok(()) => invalid_request_id(),
    }
}

async fn response(environment: &Environment, id: Uuid, headers: &HeaderMap, body: Result<Body, Unread>) -> Answer {
    let mode = headers.get(RESPONSE_MODE).map(http::HeaderValue::as_bytes);
    let streaming = mode == Some(b"streaming");
    let result = match body {
        _ if mode.is_some() && !streaming => Err(Failure::InvalidResponseMode),
        Ok(body) => body.result(streaming),
        Err(Unread::TooLarge) => Err(Failure::ResponseTooLarge { limit_bytes: environment.payload_bytes() }),
        Err(Unread::Truncated(cause)) => return truncated(environment, id, &cause).await,
    };
    let answer = match &result {
        Err(Failure::ResponseTooLarge { limit_bytes }) => error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            &format!("Exceeded maximum allowed payload size ({limit_bytes} bytes)."),
        ),
        Err(Failure::InvalidResponseMode) => {
            error(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "Invalid function response mode")
        }
        _ => accepted(),
    };
    match environment.respond(id, result) {
        Ok(()) => answer,
        Err((refused, state)) => forbidden(refused, state, "InvocationResponse"),
    }
}

async fn invocation_error(
    environment: &Environment,
    id: Uuid,
    headers: &HeaderMap,
    body: Result<Body, Unread>,
) -> Answer {
    let failure = match body {
        Ok(body) => Failure::Reported {
            error_type: Failure::accepted_type(header(headers, ERROR_TYPE), "Function.Unknown"),
            payload: body.payload,
        },
        Err(Unread::TooLarge) => Failure::ResponseTooLarge { limit_bytes: environment.payload_bytes() },
        Err(Unread::Truncated(cause)) => return truncated(environment, id, &cause).await,
    };
    match environment.respond(id, Err(failure)) {
        Ok(()) => accepted(),
        Err((refused, state)) => forbidden(refused, state, "InvocationErrorResponse"),
    }
}

async fn truncated(environment: &Environment, id: Uuid, cause: &hyper::Error) -> Answer {
    tracing::debug!(error = %cause, request_id = %id, "an answer was cut off");
    environment.truncated(id).await;
    error(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated")
}

fn init_error(environment: &Environment, headers: &HeaderMap, body: Result<Body, Unread>) -> Answer {
    let Ok(body) = body else {
        return error(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated");
    };
    let failure = Failure::Reported {
        error_type: Failure::accepted_type(header(headers, ERROR_TYPE), "Runtime.Unknown"),
        payload: body.payload,
    };
    match environment.init_error(failure) {
        Ok(()) => accepted(),
        Err((refused, state)) => forbidden(refused, state, "InitError"),
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_routed() {
        let table = [
            (Method::GET, "/2018-06-01/runtime/invocation/next", Operation::Next),
            (Method::POST, "/2018-06-01/runtime/invocation/next", Operation::WrongMethod),
            (Method::POST, "/2018-06-01/runtime/invocation/a/response", Operation::Response("a")),
            (Method::POST, "/2018-06-01/runtime/invocation/a/error", Operation::Error("a")),
            (Method::POST, "/2018-06-01/runtime/init/error", Operation::InitError),
            (Method::GET, "/2018-06-01/ping", Operation::Ping),
            (Method::GET, "/2018-06-01/runtime/restore/next", Operation::Unsupported("SnapStart")),
            (Method::POST, "/2020-01-01/extension/register", Operation::Unsupported("extensions")),
            (Method::PUT, "/2022-07-01/telemetry", Operation::Unsupported("the Telemetry API")),
            (Method::PUT, "/2020-08-15/logs", Operation::Unsupported("the Logs API")),
            (Method::GET, "/2018-06-01/runtime/invocation/a/response/b", Operation::Unknown),
            (Method::GET, "/", Operation::Unknown),
        ];
        for (method, path, expected) in table {
            assert_eq!(route(&method, path), expected, "{method} {path}");
        }
    }
}
