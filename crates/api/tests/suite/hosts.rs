//! A page in a browser cannot use the public development keys.

use crate::support::*;

const LIST: &str = "/2015-03-31/functions";

#[tokio::test]
async fn development_keys_are_for_programs_and_for_our_own_pages() {
    let harness = Harness::start().await;
    let own = harness.address.to_string();
    let signed = |request: Request| request.sign(harness.address, &key("test", "test"), "lambda");
    let list = || Request::new("GET", LIST);
    for request in [
        list(),
        list().header("host", "localhost:4566"),
        list().header("host", "lambda.localhost"),
        list().header("host", "bojagi.example"),
        list().header("host", &own).header("origin", &format!("http://{own}")),
        list().header("sec-fetch-site", "same-origin"),
    ] {
        let answer = harness.send(&signed(request)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    for (request, message) in [
        (list().header("host", "evil.example"), "The host name 'evil.example' is not known"),
        (
            list().header("host", "localhost.evil.example:4566"),
            "The host name 'localhost.evil.example:4566' is not known",
        ),
        (
            list().header("origin", "http://evil.example"),
            "Requests from the web page at http://evil.example are refused",
        ),
        (list().header("origin", "http://localhost:3000"), "Requests from the web page at http://localhost:3000"),
        (list().header("origin", "null"), "Requests from the web page at null"),
        (list().header("sec-fetch-site", "cross-site"), "Requests from the web page at another origin"),
    ] {
        harness.send(&signed(request)).await.refused(403, "AccessDeniedException", message);
    }
    harness.stop().await;
}

#[tokio::test]
async fn secret_keys_may_be_used_from_anywhere() {
    let harness = Harness::start().await;
    let root = harness.control.root_key("222222222222".parse().unwrap()).await.unwrap();
    let request = Request::new("GET", LIST).header("host", "evil.example").header("origin", "http://evil.example");
    let answer = harness.send(&request.sign(harness.address, &root, "lambda")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.headers.contains_key("access-control-allow-origin"), "CORS is off");
    harness.stop().await;
}

#[tokio::test]
async fn no_page_is_told_that_it_may_ask() {
    let harness = Harness::start().await;
    for target in [LIST, "/_bojagi/reset", "/_bojagi/health", "/"] {
        let preflight = Request::new("OPTIONS", target)
            .header("origin", "http://evil.example")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-bojagi-reset,authorization,x-amz-date");
        let answer = harness.send(&preflight).await;
        assert!(answer.status >= 400, "{target}: {}", answer.status);
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{target}");
    }
    harness.stop().await;
}

#[tokio::test]
async fn a_request_names_one_host() {
    let harness = Harness::start().await;
    let two = Request::new("GET", LIST).header("host", "localhost").header("host", "evil.example");
    let signed = two.sign(harness.address, &key("test", "test"), "lambda");
    harness.send(&signed).await.refused(400, "BadRequestException", "The request has more than one Host header.");
    let target = format!("http://evil.example{LIST}");
    let absolute = Request::new("GET", &target).header("host", "localhost");
    let refused = harness.send(&absolute).await;
    refused.refused(400, "BadRequestException", "The request's target and its Host header differ.");
    harness.stop().await;
}
