//! Nothing is done for a request whose signature does not hold.

use time::Duration;

use bojagi_aws::sigv4::{self, Scope};

use crate::support::*;

const LIST: &str = "/2015-03-31/functions";
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided.";
const INVALID_KEY: &str = "The security token included in the request is invalid.";

#[tokio::test]
async fn who_does_not_sign_gets_nothing() {
    let harness = Harness::start().await;
    let answer = harness.send(&Request::new("GET", LIST)).await;
    answer.refused(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
    let form = Request::new("POST", "/")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("Action=GetCallerIdentity&Version=2011-06-15");
    let answer = harness.send(&form).await;
    answer.refused_xml(403, "MissingAuthenticationToken", "Request is missing Authentication Token");
    for authorization in
        ["Bearer abc", "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00", "AWS4-HMAC-SHA256"]
    {
        let answer = harness.send(&Request::new("GET", LIST).header("authorization", authorization)).await;
        answer.refused(403, "IncompleteSignatureException", "");
    }
    harness.stop().await;
}

#[tokio::test]
async fn keys_decide_the_account() {
    let harness = Harness::start().await;
    let root = harness.control.root_key("222222222222".parse().unwrap()).await.unwrap();
    let identity = "Action=GetCallerIdentity&Version=2011-06-15";
    for (credentials, account) in
        [(key("test", "test"), "000000000000"), (key("123456789012", "test"), "123456789012"), (root, "222222222222")]
    {
        let request = Request::new("POST", "/").body(identity).sign(harness.address, &credentials, "sts");
        let answer = harness.send(&request).await;
        assert_eq!((answer.status, answer.element("Account")), (200, account), "{}", answer.text());
        assert_eq!(answer.element("Arn"), format!("arn:aws:iam::{account}:root"));
    }
    let token = bojagi_model::identity::Credentials { session_token: Some("test".to_owned()), ..key("test", "test") };
    let request = Request::new("GET", LIST).sign(harness.address, &token, "lambda");
    assert_eq!(harness.send(&request).await.status, 200, "a token beside the development key means nothing");

    let unknown = Request::new("GET", LIST).sign(harness.address, &key("AKIAUNKNOWN", "x"), "lambda");
    harness.send(&unknown).await.refused(403, "UnrecognizedClientException", INVALID_KEY);
    let unknown = Request::new("POST", "/").body(identity).sign(harness.address, &key("AKIAUNKNOWN", "x"), "sts");
    harness.send(&unknown).await.refused_xml(403, "InvalidClientTokenId", INVALID_KEY);
    let token = bojagi_model::identity::Credentials { session_token: Some("x".to_owned()), ..key("ASIAX", "x") };
    let stranger = Request::new("GET", LIST).sign(harness.address, &token, "lambda");
    harness.send(&stranger).await.refused(403, "UnrecognizedClientException", INVALID_KEY);
    harness.stop().await;

    let strict = Harness::with(false).await;
    strict.lambda("GET", LIST, "").await.refused(403, "UnrecognizedClientException", INVALID_KEY);
    strict.stop().await;
}

#[tokio::test]
async fn what_was_altered_after_signing_is_refused() {
    let harness = Harness::start().await;
    let wrong = Request::new("GET", LIST).sign(harness.address, &key("test", "wrong"), "lambda");
    harness.send(&wrong).await.refused(403, "InvalidSignatureException", MISMATCH);
    let wrong = Request::new("POST", "/").body("Action=ListRoles").sign(harness.address, &key("test", "wrong"), "iam");
    harness.send(&wrong).await.refused_xml(403, "SignatureDoesNotMatch", MISMATCH);

    let signed = || {
        let target = "/2015-03-31/functions/f/invocations?Qualifier=1";
        Request::new("POST", target).body("{\"a\":1}").sign(harness.address, &key("test", "test"), "lambda")
    };
    let intact = harness.send(&signed()).await;
    intact.refused(
        404,
        "ResourceNotFoundException",
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:f:1",
    );
    let mut without_hash = signed();
    without_hash.headers.remove("x-amz-content-sha256");
    let altered = [
        signed().body("{\"a\":2}"),
        signed().body(""),
        Request { method: "GET".to_owned(), ..signed() },
        Request { target: "/2015-03-31/functions/g/invocations?Qualifier=1".to_owned(), ..signed() },
        Request { target: "/2015-03-31/functions/f/invocations?Qualifier=2".to_owned(), ..signed() },
        without_hash,
    ];
    for request in altered {
        let answer = harness.send(&request).await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (403, "InvalidSignatureException"),
            "{request:?}"
        );
    }
    harness.stop().await;
}

#[tokio::test]
async fn clocks_may_differ_by_five_minutes() {
    let harness = Harness::start().await;
    let at = |minutes: i64| {
        let mut request = Request::new("GET", LIST);
        request.time += Duration::minutes(minutes);
        request.sign(harness.address, &key("test", "test"), "lambda")
    };
    assert_eq!(harness.send(&at(-4)).await.status, 200);
    assert_eq!(harness.send(&at(4)).await.status, 200);
    harness.send(&at(-6)).await.refused(403, "InvalidSignatureException", "Signature expired: ");
    harness.send(&at(6)).await.refused(403, "InvalidSignatureException", "Signature not yet current: ");
    harness.stop().await;
}

#[tokio::test]
async fn presigned_queries_work_until_they_expire() {
    let harness = Harness::start().await;
    let host = harness.address.to_string();
    let scope = Scope { region: "us-east-1", service: "sts" };
    let presign = |made: time::OffsetDateTime| {
        let query = "Action=GetCallerIdentity&Version=2011-06-15";
        let query = sigv4::presign("GET", &host, "/", query, Duration::minutes(1), &key("test", "test"), scope, made);
        Request::new("GET", &format!("/?{query}"))
    };
    let now = time::OffsetDateTime::now_utc();
    let answer = harness.send(&presign(now)).await;
    assert_eq!((answer.status, answer.element("Account")), (200, "000000000000"), "{}", answer.text());
    let expired = harness.send(&presign(now - Duration::minutes(2))).await;
    expired.refused_xml(403, "SignatureDoesNotMatch", "Signature expired: ");
    let mut altered = presign(now);
    altered.target = altered.target.replace("GetCallerIdentity", "GetSessionToken");
    harness.send(&altered).await.refused_xml(403, "SignatureDoesNotMatch", MISMATCH);
    harness.stop().await;
}

#[tokio::test]
async fn chunked_bodies_are_decoded() {
    let harness = Harness::start().await;
    // The chunks carry no signatures of their own; the head, which says so, is signed.
    let mut request =
        Request::new("POST", "/2015-03-31/functions/f/invocations").header("x-amz-decoded-content-length", "7");
    request = request.header("x-amz-trailer", "x-amz-checksum-crc32");
    request.headers.insert("host", harness.address.to_string().parse().unwrap());
    let signed = unsigned_trailer(request, &harness);
    let answer =
        harness.send(&signed.clone().body("7\r\n{\"a\":1}\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")).await;
    answer.refused(404, "ResourceNotFoundException", "Function not found");
    let answer = harness.send(&signed.clone().body("3\r\n{a}\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n")).await;
    assert_eq!(answer.status, 400, "shorter than announced: {}", answer.text());
    let answer = harness.send(&signed.body("zz\r\n{\"a\":1}\r\n0\r\n\r\n")).await;
    answer.refused(400, "InvalidRequestContentException", "");
    harness.stop().await;
}

/// Signs with `STREAMING-UNSIGNED-PAYLOAD-TRAILER` as the payload, which the signer does not offer: its hash is put in by hand.
fn unsigned_trailer(mut request: Request, harness: &Harness) -> Request {
    use ring::hmac::{HMAC_SHA256, Key, sign};
    let date = sigv4_date(request.time);
    let day = &date[..8];
    request = request.header("x-amz-date", &date).header("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let names = "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer";
    let lines: String =
        names.split(';').map(|name| format!("{name}:{}\n", request.headers[name].to_str().unwrap())).collect();
    let canonical = format!("POST\n{}\n\n{lines}\n{names}\nSTREAMING-UNSIGNED-PAYLOAD-TRAILER", request.target);
    let hash = hex::encode(ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes()));
    let scope = format!("{day}/us-east-1/lambda/aws4_request");
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hash}");
    let first = sign(&Key::new(HMAC_SHA256, b"AWS4test"), day.as_bytes());
    let last = ["us-east-1", "lambda", "aws4_request"]
        .iter()
        .fold(first, |tag, part| sign(&Key::new(HMAC_SHA256, tag.as_ref()), part.as_bytes()));
    let signature = hex::encode(sign(&Key::new(HMAC_SHA256, last.as_ref()), text.as_bytes()));
    assert!(harness.address.ip().is_loopback());
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential=test/{scope}, SignedHeaders={names}, Signature={signature}");
    request.header("authorization", &authorization)
}

fn sigv4_date(time: time::OffsetDateTime) -> String {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    time.format(&format).unwrap()
}
