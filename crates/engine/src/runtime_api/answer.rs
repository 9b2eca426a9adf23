//! What the Runtime API answers.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;
use uuid::Uuid;

use super::Answer;
use crate::environment::Delivery;
use crate::environment::state::{Refused, State};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `202 {"status":"OK"}`.
pub fn accepted() -> Answer {
    json_answer(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n"))
}

/// An error with type and message.
pub fn error(status: StatusCode, kind: &str, message: &str) -> Answer {
    let document = json!({ "errorMessage": message, "errorType": kind });
    json_answer(status, Bytes::from(format!("{document}\n")))
}

/// The state does not allow the request, or another invocation is being served.
pub fn forbidden(refused: Refused, state: State, to: &str) -> Answer {
    match refused {
        Refused::WrongRequest { .. } => invalid_request_id(),
        Refused::NotAllowed { .. } => error(
            StatusCode::FORBIDDEN,
            "InvalidStateTransition",
            &format!("Transition from {} to {to} failed for runtime. Error: {refused}", state.name()),
        ),
    }
}

/// `400 InvalidRequestID`.
pub fn invalid_request_id() -> Answer {
    error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID")
}

/// Text.
pub fn plain(status: StatusCode, text: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *answer.status_mut() = status;
    answer
}

fn json_answer(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}

/// The next event. The payload is the caller's own buffer.
pub fn event(delivery: &Delivery) -> Answer {
    let invocation = &delivery.invocation;
    let mut answer = json_answer(StatusCode::OK, invocation.payload.clone());
    let mut set = |name: &'static str, value: &str| {
        answer.headers_mut().insert(HeaderName::from_static(name), header_value(value));
    };
    let mut id = Uuid::encode_buffer();
    set("lambda-runtime-aws-request-id", invocation.request_id.as_hyphenated().encode_lower(&mut id));
    set("lambda-runtime-deadline-ms", &delivery.deadline_ms.to_string());
    set("lambda-runtime-invoked-function-arn", &invocation.invoked_function_arn);
    match &invocation.trace_id {
        Some(trace) => set("lambda-runtime-trace-id", trace),
        None => set("lambda-runtime-trace-id", &untraced(invocation.request_id, delivery.deadline_ms)),
    }
    if let Some(context) = &invocation.client_context {
        set("lambda-runtime-client-context", context);
    }
    answer
}

/// A trace that nobody samples: AWS gives every invocation one.
fn untraced(request_id: Uuid, deadline_ms: u64) -> String {
    let random = request_id.simple().to_string();
    let (root, parent) = (&random[..24], &random[16..]);
    format!("Root=1-{:08x}-{root};Parent={parent};Sampled=0", deadline_ms / 1000)
}

/// What comes from a client is not necessarily fit for a header: control characters, among them the line breaks that JSON allows
/// between its tokens, become spaces.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let cleaned: Vec<u8> = text.bytes().map(|byte| if byte < 32 || byte == 127 { b' ' } else { byte }).collect();
        HeaderValue::from_bytes(&cleaned).unwrap_or(HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::invocation::Invocation;

    #[test]
    fn an_event_carries_what_runtimes_expect() {
        let invocation = Invocation {
            request_id: Uuid::from_u128(7),
            payload: Bytes::from_static(b"{}"),
            client_context: Some("{\n\"custom\": \"보\"}".to_owned()),
            trace_id: None,
            invoked_function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
            log_tail: false,
        };
        let answer = event(&Delivery { invocation: Arc::new(invocation), deadline_ms: 1_700_000_000_123 });
        let value = |name| answer.headers().get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        assert_eq!(value("lambda-runtime-aws-request-id"), b"00000000-0000-0000-0000-000000000007");
        assert_eq!(value("lambda-runtime-deadline-ms"), b"1700000000123");
        assert_eq!(value("lambda-runtime-client-context"), "{ \"custom\": \"보\"}".as_bytes());
        assert_eq!(
            value("lambda-runtime-trace-id"),
            b"Root=1-6553f100-000000000000000000000000;Parent=0000000000000007;Sampled=0"
        );
    }

    #[test]
    fn a_refusal_names_the_states() {
        let state = State::Initialising;
        let refused = state.on(crate::environment::state::Event::Responded(Uuid::nil())).unwrap_err();
        assert_eq!(forbidden(refused, state, "InvocationResponse").status(), StatusCode::FORBIDDEN);
        let state = State::Busy(Uuid::nil());
        let refused = state.on(crate::environment::state::Event::Responded(Uuid::max())).unwrap_err();
        assert_eq!(forbidden(refused, state, "InvocationResponse").status(), StatusCode::BAD_REQUEST);
    }
}
