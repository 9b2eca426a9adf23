//! Invocations through the front door; the test plays the runtime inside the sandbox.

use std::io::Write as _;

use bojagi_sandbox::simulated::SimulatedProcess;

use crate::functions::{active, create};
use crate::support::*;

const INVOKE: &str = "/2015-03-31/functions/f/invocations";

/// A server with a function that can be invoked.
async fn ready() -> Harness {
    let harness = Harness::start().await;
    let home = harness.base_images.join("python3.13-x86_64");
    std::fs::create_dir_all(&home).unwrap();
    let digest = bojagi_model::Digest::from_bytes([7; 32]);
    std::fs::write(home.join(format!("image-{}.erofs", digest.to_hex())), b"image").unwrap();
    let metadata = serde_json::json!({
        "digest": digest.to_string(), "image_bytes": 5, "unpacked_bytes": 5, "built_at": "2026-01-01T00:00:00Z",
        "source": "test", "differences": [], "has_tree": false, "recipe": "",
    });
    std::fs::write(home.join("metadata.json"), metadata.to_string()).unwrap();
    assert_eq!(harness.lambda("POST", "/2015-03-31/functions", &create("f")).await.status, 201);
    active(&harness, "/2015-03-31/functions/f").await;
    harness
}

/// Takes one event, and answers it at `response` or `error`.
async fn serve(process: &SimulatedProcess, outcome: &str, answer: &str) -> Answer {
    let address = process.runtime_api;
    let event = send(address, &Request::new("GET", "/2018-06-01/runtime/invocation/next")).await;
    writeln!(&process.output, "a line of the function").unwrap();
    let id = event.header("lambda-runtime-aws-request-id");
    let target = format!("/2018-06-01/runtime/invocation/{id}/{outcome}");
    let accepted = send(address, &Request::new("POST", &target).body(answer)).await;
    assert_eq!(accepted.status, 202);
    event
}

#[tokio::test]
async fn payloads_go_through_untouched_and_headers_say_what_happened() {
    let mut harness = ready().await;
    let context = "eyJjdXN0b20iOnsiYSI6MX19";
    let invoke = Request::new("POST", INVOKE)
        .header("x-amz-log-type", "Tail")
        .header("x-amz-client-context", context)
        .header("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793")
        .body(" {\"b\" : 1} ");
    let invoke = invoke.sign(harness.address, &key("test", "test"), "lambda");
    let address = harness.address;
    let (answer, event, process) = {
        let playing = async {
            let process = harness.processes.recv().await.unwrap();
            let event = serve(&process, "response", "[ 1,2 ]").await;
            (event, process)
        };
        let (answer, (event, process)) = tokio::join!(send(address, &invoke), playing);
        (answer, event, process)
    };
    assert_eq!(event.text(), " {\"b\" : 1} ", "not a byte is changed on the way in");
    assert_eq!((answer.status, answer.text()), (200, "[ 1,2 ]"), "nor on the way out");
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-amz-executed-version"), "$LATEST");
    assert_eq!(answer.header("x-amz-function-error"), "");
    assert_eq!(event.header("lambda-runtime-aws-request-id"), answer.header("x-amzn-requestid"), "one id everywhere");
    assert_eq!(event.header("lambda-runtime-client-context"), r#"{"custom":{"a":1}}"#);
    use base64::Engine as _;
    let log = base64::engine::general_purpose::STANDARD.decode(answer.header("x-amz-log-result")).unwrap();
    let log = String::from_utf8(log).unwrap();
    for part in ["START RequestId: ", "a line of the function", "END RequestId: ", "REPORT RequestId: "] {
        assert!(log.contains(part), "{part:?} is not in {log:?}");
    }

    let document = r#"{"errorMessage":"no","errorType":"E","stackTrace":[]}"#;
    let failing = Request::new("POST", INVOKE).sign(address, &key("test", "test"), "lambda");
    let (answer, event) = tokio::join!(send(address, &failing), serve(&process, "error", document));
    assert_eq!(event.text(), "{}", "no payload is an empty object");
    assert_eq!((answer.status, answer.header("x-amz-function-error")), (200, "Unhandled"));
    assert_eq!((answer.text(), answer.header("x-amz-log-result")), (document, ""));
    harness.stop().await;
}

#[tokio::test]
async fn a_payload_that_is_not_json_reaches_no_function() {
    let mut harness = ready().await;
    let answer = harness.lambda("POST", INVOKE, "\u{91}j[\u{b2}").await;
    let message = "Could not parse request body into json: Could not parse payload into json: Unexpected character";
    answer.refused(400, "InvalidRequestContentException", message);
    assert!(harness.processes.try_recv().is_err(), "no sandbox was started");
    harness.stop().await;
}
