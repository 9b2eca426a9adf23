//! Signatures: botocore's are accepted, and nothing else is.

use bojagi_aws::sigv4::{self, Dialect, Payload, RequestHead, Scope, SignatureError, SigningKeys};
use bojagi_model::identity::Credentials;
use bytes::Bytes;
use http::HeaderMap;
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

use super::{ACCESS_KEY_ID, Request, SECRET, requests, signed_at};

fn verify(head: &RequestHead<'_>, body: &[u8], secret: &str, now: OffsetDateTime) -> Result<Vec<u8>, SignatureError> {
    let keys = SigningKeys::default();
    let mut payload = sigv4::parse(head)?.verify(secret, now, &keys)?;
    let mut decoded = Vec::new();
    for piece in body.chunks(7) {
        payload.decode(Bytes::copy_from_slice(piece), &mut decoded)?;
    }
    payload.finish()?;
    Ok(decoded.concat())
}

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET.to_owned(),
        session_token: token.map(str::to_owned),
    }
}

#[test]
fn what_botocore_signs_is_accepted() {
    let requests = requests();
    assert!(requests.len() > 150);
    for request in &requests {
        let what = format!("{} {} {}", request.operation, request.path, request.query);
        let head = request.head();
        let authorization = sigv4::parse(&head).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(authorization.access_key_id(), ACCESS_KEY_ID);
        assert_eq!(authorization.region(), "eu-central-1", "{what}");
        assert_eq!(authorization.service(), request.service, "{what}");
        assert_eq!(authorization.session_token(), request.token.as_deref(), "{what}");
        assert_eq!(authorization.is_presigned(), request.presigned, "{what}");
        let body = verify(&head, &request.body, SECRET, signed_at()).unwrap_or_else(|error| panic!("{what}: {error}"));
        if request.operation == "PutObject" {
            assert_eq!(body, b"content", "{what}");
        }
    }
}

#[test]
fn a_changed_request_is_refused() {
    for request in requests() {
        let what = format!("{} {}", request.operation, request.path);
        let head = request.head();
        let refused = |head: &RequestHead<'_>, body: &[u8], secret: &str| {
            let result = verify(head, body, secret, signed_at());
            assert!(result.is_err(), "{what} was accepted after a change");
        };
        refused(&head, &request.body, "another secret");
        let path = format!("{}x", request.path);
        refused(&RequestHead { path: &path, ..head }, &request.body, SECRET);
        refused(&RequestHead { method: "PATCH", ..head }, &request.body, SECRET);
        let query = if request.query.is_empty() { "x=1".to_owned() } else { format!("{}&x=1", request.query) };
        refused(&RequestHead { query: &query, ..head }, &request.body, SECRET);
        let mut headers = request.headers.clone();
        headers.insert("host", "elsewhere".parse().expect("a header value"));
        refused(&RequestHead { headers: &headers, ..head }, &request.body, SECRET);
        let unsigned = matches!(sigv4::parse(&head).expect("it can be read").payload(), sigv4::PayloadKind::Unsigned);
        if !unsigned {
            let body = [&request.body[..], b"x"].concat();
            refused(&head, &body, SECRET);
        }
    }
}

#[test]
fn every_x_amz_header_has_to_be_signed() {
    let request = requests().swap_remove(0);
    let mut headers = request.headers.clone();
    headers.insert("x-amz-something", "1".parse().expect("a header value"));
    let head = RequestHead { headers: &headers, ..request.head() };
    assert!(matches!(sigv4::parse(&head), Err(SignatureError::HeadersNotSigned(_))));
}

#[test]
fn the_clock_may_be_off_by_five_minutes() {
    let requests = requests();
    let find = |presigned| requests.iter().find(|request| request.presigned == presigned).expect("there is one");
    let at = |request: &Request, offset: Duration| {
        verify(&request.head(), &request.body, SECRET, signed_at() + offset)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let signed = find(false);
    assert_eq!(at(signed, Duration::minutes(5)), Ok(()));
    assert_eq!(at(signed, -Duration::minutes(5)), Ok(()));
    let expired =
        "Signature expired: 20260131T120000Z is now earlier than 20260131T120001Z (20260131T120501Z - 5 min.)";
    assert_eq!(at(signed, Duration::seconds(301)), Err(expired.to_owned()));
    let early =
        "Signature not yet current: 20260131T120000Z is still later than 20260131T115959Z (20260131T115459Z + 5 min.)";
    assert_eq!(at(signed, -Duration::seconds(301)), Err(early.to_owned()));
    let presigned = find(true);
    assert_eq!(at(presigned, Duration::seconds(600)), Ok(()));
    let over = "Signature expired: 20260131T121000Z is now earlier than 20260131T121001Z";
    assert_eq!(at(presigned, Duration::seconds(601)), Err(over.to_owned()));
}

#[test]
fn our_own_signatures_are_botocores() {
    for request in requests().iter().filter(|request| request.service == "s3" && !request.presigned) {
        let expected = request.headers["authorization"].clone();
        let names =
            expected.to_str().expect("text").split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
        let names: Vec<&str> = names.expect("signed headers").split(';').collect();
        let mut headers = request.headers.clone();
        if headers["x-amz-content-sha256"] == "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
            continue;
        }
        let unsigned: Vec<_> = headers.keys().filter(|name| !names.contains(&name.as_str())).cloned().collect();
        unsigned.iter().for_each(|name| drop(headers.remove(name)));
        let credentials = credentials(request.token.as_deref());
        let scope = Scope { region: "eu-central-1", service: "s3" };
        let payload = Payload::Bytes(&request.body);
        sigv4::sign(
            &request.method,
            &request.path,
            &request.query,
            &mut headers,
            payload,
            &credentials,
            scope,
            signed_at(),
        );
        assert_eq!(headers["authorization"], expected, "{} {}", request.operation, request.path);
    }
}

#[test]
fn our_own_presigned_urls_are_accepted_until_they_expire() {
    let scope = Scope { region: "eu-central-1", service: "s3" };
    for token in [None, Some("token/+=")] {
        let credentials = credentials(token);
        let path = "/awslambda/a%20b/f.zip";
        let lasting = Duration::minutes(10);
        let query =
            sigv4::presign("GET", "localhost:4566", path, "versionId=1", lasting, &credentials, scope, signed_at());
        let headers: HeaderMap =
            [("host".parse().expect("a name"), "localhost:4566".parse().expect("a value"))].into_iter().collect();
        let head = RequestHead { method: "GET", path, query: &query, headers: &headers, authority: None };
        assert_eq!(sigv4::parse(&head).expect("it can be read").session_token(), token);
        assert_eq!(verify(&head, b"", SECRET, signed_at() + lasting), Ok(Vec::new()));
        assert!(verify(&head, b"", SECRET, signed_at() + lasting + Duration::seconds(1)).is_err());
        let other = RequestHead { path: "/awslambda/other", ..head };
        assert_eq!(verify(&other, b"", SECRET, signed_at()), Err(SignatureError::DoesNotMatch));
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_awss_words() {
    let refuse = |query: &str, authorization: Option<&str>| {
        let mut headers = HeaderMap::new();
        headers.insert("host", "localhost".parse().expect("a header value"));
        headers.insert("date", "Sat, 31 Jan 2026 12:00:00 GMT".parse().expect("a header value"));
        if let Some(text) = authorization {
            headers.insert("authorization", text.parse().expect("a header value"));
        }
        let head = RequestHead { method: "GET", path: "/", query, headers: &headers, authority: None };
        sigv4::parse(&head)
            .err()
            .map(|error| error.reply(Dialect::Json))
            .map(|reply| (reply.code, reply.message.into_owned()))
    };
    let missing = ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned());
    assert_eq!(refuse("", None), Some(missing));
    let (code, message) = refuse("", Some("Bearer x")).expect("it is refused");
    assert_eq!(code, "IncompleteSignatureException");
    assert!(message.starts_with("Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. (Hashed"), "{message}");
    assert!(!message.contains("Bearer"), "{message}");
    let header =
        |credential: &str| format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=00");
    let good = header("A/B/20260131/r/s/aws4_request");
    assert_eq!(refuse("", Some(&good)), None, "an access key id may hold a slash, and a Date header does");
    for bad in [
        "A/20260131/r/s/aws5",
        "A/20260130/r/s/aws4_request",
        "A/20260131/r//aws4_request",
        "20260131/r/s/aws4_request",
        "A",
    ] {
        assert!(refuse("", Some(&header(bad))).is_some(), "{bad}");
    }
    let query = |expires: &str| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20260131%2Fr%2Fs3%2Faws4_request&X-Amz-Date=20260131T120000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature=00"
        )
    };
    assert_eq!(refuse(&query("604800"), None), None);
    for expires in ["0", "-1", "604801", "x", "", "99999999999999999999"] {
        assert!(refuse(&query(expires), None).is_some(), "{expires}");
    }
}

proptest! {
    #[test]
    fn no_header_panics(
        access_key in "[A-Za-z/]{0,4}", date in "[0-9]{0,9}|20260131", tail in "[a-z/]{0,20}|/r/s/aws4_request",
        signed in "[a-z;-]{0,20}|host|Host;host", signature in "[0-9a-f]{0,66}",
        time in "[0-9TZ]{0,18}|99991231T235959Z|00000101T000000Z|20260131T120000Z", anything in "[ -~]{0,60}",
    ) {
        let now = signed_at();
        let text = format!("AWS4-HMAC-SHA256 Credential={access_key}/{date}{tail}, SignedHeaders={signed}, Signature={signature}");
        for text in [text.as_str(), anything.as_str()] {
            let mut headers = HeaderMap::new();
            headers.insert("host", "h".parse().expect("a header value"));
            headers.insert("authorization", text.parse().expect("a header value"));
            headers.insert("x-amz-date", time.parse().expect("a header value"));
            let head = RequestHead { method: "GET", path: &anything, query: &anything, headers: &headers, authority: None };
            prop_assert!(verify(&head, b"", SECRET, now).is_err());
        }
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={access_key}/{date}{tail}&X-Amz-Date={time}\
             &X-Amz-Expires=604800&X-Amz-SignedHeaders={signed}&X-Amz-Signature={signature}&{anything}"
        );
        let headers = HeaderMap::new();
        let head = RequestHead { method: "GET", path: &anything, query: &query, headers: &headers, authority: Some("h") };
        prop_assert!(verify(&head, b"", SECRET, now).is_err());
    }
}
