//! Bojagi's own paths.

use crate::support::*;

#[tokio::test]
async fn health_metrics_and_the_page() {
    let harness = Harness::start().await;
    let health = harness.send(&Request::new("GET", "/_bojagi/health")).await;
    assert_eq!((health.status, health.json()["status"].as_str()), (200, Some("ok")));
    assert_eq!(health.header("x-amz-request-id").len(), 36);
    let metrics = harness.send(&Request::new("GET", "/_bojagi/metrics")).await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.text().contains("\nbojagi_environments{state=\"idle\"} 0\n"), "{}", metrics.text());
    let foreign = harness.send(&Request::new("GET", "/_bojagi/metrics").header("host", "evil.example")).await;
    assert_eq!(foreign.status, 403);
    let browser = harness.send(&Request::new("GET", "/").header("accept", "text/html,*/*;q=0.8")).await;
    assert_eq!((browser.status, browser.header("location")), (302, "/_bojagi/console"));
    let page = harness.send(&Request::new("GET", "/_bojagi/console")).await;
    assert!(page.status == 200 && page.text().contains("<h1>Bojagi</h1>"));
    assert_eq!(harness.send(&Request::new("GET", "/_bojagi/nothing")).await.status, 404);
    let post = harness.send(&Request::new("POST", "/_bojagi/health")).await;
    assert_eq!((post.status, post.header("allow")), (405, "GET"));
    harness.stop().await;
}

#[tokio::test]
async fn reset_wipes_for_those_who_may() {
    let harness = Harness::start().await;
    let role = "Action=CreateRole&RoleName=r&AssumeRolePolicyDocument=%7B%7D";
    assert_eq!(harness.query("iam", role).await.status, 200);
    let there = || harness.query("iam", "Action=GetRole&RoleName=r");
    let reset = || Request::new("POST", "/_bojagi/reset");
    for refused in [
        reset(),
        reset().header("x-bojagi-reset", "1").header("origin", "http://evil.example"),
        reset().header("x-bojagi-reset", "1").header("sec-fetch-site", "cross-site"),
        reset().header("x-bojagi-reset", "1").header("host", "evil.example"),
    ] {
        assert_eq!(harness.send(&refused).await.status, 403, "{refused:?}");
    }
    let get = Request::new("GET", "/_bojagi/reset").header("x-bojagi-reset", "1");
    assert_eq!(harness.send(&get).await.status, 405);
    assert_eq!(there().await.status, 200);
    assert_eq!(harness.send(&reset().header("x-bojagi-reset", "1")).await.status, 204);
    there().await.refused_xml(404, "NoSuchEntity", "The role with name r cannot be found.");
    harness.stop().await;

    let strict = Harness::with(false).await;
    assert_eq!(strict.send(&Request::new("POST", "/_bojagi/reset").header("x-bojagi-reset", "1")).await.status, 403);
    strict.stop().await;
}
