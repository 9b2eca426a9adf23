//! JSON bodies: what is malformed, what has the wrong type, what is ignored.

use bojagi_aws::{ErrorReply, WireError, json, lambda};
use http::HeaderMap;
use proptest::prelude::*;

fn update_code(body: &[u8]) -> Result<lambda::types::UpdateFunctionCodeRequest, WireError> {
    let route = lambda::route("PUT", "/2015-03-31/functions/f/code", "").expect("the path is routed");
    match lambda::parse(route.operation, &route.labels, "", &HeaderMap::new(), body.into())? {
        lambda::Input::UpdateFunctionCode(request) => Ok(*request),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_json_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 14] = [
        (b"{", "Unexpected end-of-input\n at [Source: UNKNOWN; line: 1, column: 2]"),
        (b"nonsense", "Unrecognized token 'nonsense'"),
        (
            b"{\"a\": 1,}",
            "Unexpected character ('}' (code 125)): was expecting double-quote to start field name\n at [Source: UNKNOWN; line: 1, column: 9]",
        ),
        (
            b"{\n \"a\" 1}",
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value\n at [Source: UNKNOWN; line: 2, column: 6]",
        ),
        (b"{\"a\": 1} x", "Unexpected character ('x' (code 120)): Expected space separating root-level values"),
        (b"{\"a\": 01}", "Invalid numeric value: Leading zeroes not allowed"),
        (b"{\"a\": 1.}", "Unexpected character ('}' (code 125)): Expected digit"),
        (b"{\"a\": \"\\x\"}", "Unrecognized character escape"),
        (b"{\"a\": \"\xff\"}", "Invalid UTF-8 start byte 0xff"),
        (b"{\"a\": \"\n\"}", "Illegal unquoted character ((CTRL-CHAR, code 10))"),
        (b"{\"S3Bucket\": \"b", "Unexpected end-of-input in VALUE_STRING"),
        (b"{\"ZipFile\": \"AAAA", "Unexpected end-of-input in VALUE_STRING"),
        (b"{\"ZipFile\": \"AA\nAA\"}", "Illegal unquoted character in VALUE_STRING"),
        (b"\x97", "Invalid UTF-8 start byte 0x97"),
    ];
    for (body, expected) in cases {
        let error = update_code(body).expect_err("it is refused");
        assert_eq!(error.code(), "InvalidRequestContentException", "{error}");
        let message = error.to_string();
        assert!(message.starts_with(&format!("Could not parse request body into json: {expected}")), "{message}");
    }
}

#[test]
fn what_has_the_wrong_type_is_refused() {
    let cases = [
        (r#"{"S3Bucket": 1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"S3Bucket": true}"#, "TRUE_VALUE can not be converted to a String"),
        (r#"{"S3Bucket": {}}"#, "Start of structure or map found where not expected."),
        (r#"{"S3Bucket": []}"#, "Start of list found where not expected"),
        (r#"{"DryRun": "x"}"#, "STRING_VALUE can not be converted to a Boolean"),
        (r#"{"ZipFile": 1}"#, "NUMBER_VALUE can not be converted to a Blob"),
        (r#"{"ZipFile": "*"}"#, "STRING_VALUE can not be converted to a Blob: it is not base64"),
        (r#"{"Architectures": "x86_64"}"#, "Expected list or null"),
        (r#"[]"#, "Start of list found where not expected"),
        (r#""x""#, "Expected structure or null"),
    ];
    for (body, expected) in cases {
        let error = update_code(body.as_bytes()).expect_err("it is refused");
        assert_eq!((error.code(), error.to_string().as_str()), ("SerializationException", expected), "{body}");
        let response = lambda::error_response(&ErrorReply::from(&error), "id");
        assert_eq!(response.body().as_ref(), format!(r#"{{"Message":"{expected}"}}"#).as_bytes());
    }
    let route = lambda::route("PUT", "/2015-03-31/functions/f/configuration", "").expect("the path is routed");
    for (value, expected) in [
        ("\"30\"", "STRING_VALUE can not be converted to an Integer"),
        ("1.5", "NUMBER_VALUE can not be converted to an Integer"),
        ("99999999999", "Numeric value (99999999999) out of range of int (-2147483648 - 2147483647)"),
    ] {
        let body = format!("{{\"Timeout\": {value}}}");
        let error = lambda::parse(route.operation, &route.labels, "", &HeaderMap::new(), body.as_bytes().into());
        assert_eq!(error.map_err(|error| error.to_string()), Err(expected.to_owned()));
    }
}

#[test]
fn unknown_members_are_ignored_and_the_last_of_two_counts() {
    let body = br#" {"Unknown": {"a": [1, {"b": "\u00e9"}, -1.5e+3, true, false, null]}, "S3Key": "a", "S3Key": "b\ud83d\ude00\/",
        "ZipFile": null, "RevisionId": "\ud800x"} "#;
    let request = update_code(body).expect("it is valid");
    assert_eq!(request.s3_key.as_deref(), Some("b\u{1f600}/"));
    assert_eq!(request.zip_file, None);
    assert_eq!(request.revision_id.as_deref(), Some("\u{fffd}x"));
    assert_eq!(update_code(b"").map(|request| request.function_name), Ok(Some("f".to_owned())));
    assert!(update_code(format!("{{\"U\": {}", "[".repeat(100_000)).as_bytes()).is_err(), "depth is bounded");
}

#[test]
fn blobs_may_be_written_in_several_ways() {
    for (text, expected) in [
        ("aGVsbG8=", "hello"),
        ("aGVsbG8", "hello"),
        ("aGVs bG8=", "hello"),
        ("aGVs\\r\\nbG8\\u003d", "hello"),
        ("", ""),
    ] {
        let request =
            update_code(format!("{{\"ZipFile\": \"{text}\", \"S3Key\": \"k\"}}").as_bytes()).expect("it is valid");
        assert_eq!(request.zip_file.as_deref(), Some(expected.as_bytes()), "{text}");
        assert_eq!(request.s3_key.as_deref(), Some("k"));
    }
    let request = update_code(br#"{"ZipFile": "\/\/\/\/"}"#).expect("it is valid");
    assert_eq!(request.zip_file.as_deref(), Some(&b"\xff\xff\xff"[..]));
    for bad in ["a", "aGVsb", "aG=s", "=", "aGVsbG8=aGVsbG8=", "aGVs-G8_", "\u{e9}aaa", "\\u00e9aaa"] {
        assert!(update_code(format!("{{\"ZipFile\": \"{bad}\"}}").as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_payload_is_checked_as_invoke_words_it() {
    assert_eq!(json::check(b" {\"a\": [1, \"\\u00e9\"]}\n"), Ok(()));
    assert_eq!(json::check(b"\"x\""), Ok(()));
    let error = json::check(b"STRING_VALUE").expect_err("it is not JSON").to_string();
    let expected = "Could not parse request body into json: Could not parse payload into json: Unrecognized token 'STRING_VALUE': was expecting ";
    assert!(error.starts_with(expected), "{error}");
    assert!(json::check(b"").is_err());
}

proptest! {
    #[test]
    fn any_blob_survives(bytes in proptest::collection::vec(any::<u8>(), 0..10_000), space in 0..5usize) {
        use base64::Engine;
        let mut text = base64::engine::general_purpose::STANDARD.encode(&bytes);
        if space > 0 {
            text = text.replace('/', "\\/").replace("A", &format!("A{}", " ".repeat(space - 1)));
        }
        let body = format!("{{\"S3Key\": \"before\", \"ZipFile\" : \"{text}\" , \"S3Bucket\": \"behind\"}}");
        let request = update_code(body.as_bytes()).expect("it is valid");
        prop_assert_eq!(request.zip_file.as_deref(), Some(&bytes[..]));
        prop_assert_eq!(request.s3_bucket.as_deref(), Some("behind"));
    }

    #[test]
    fn the_check_agrees_with_another_parser(bytes in proptest::collection::vec(prop_oneof![
        Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b']'), Just(b','), Just(b':'), Just(b'\\'), Just(b'1'), Just(b'0'),
        Just(b'-'), Just(b'.'), Just(b'e'), Just(b' '), Just(b'u'), any::<u8>()], 0..24)) {
        let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok() && std::str::from_utf8(&bytes).is_ok();
        prop_assert_eq!(json::check(&bytes).is_ok(), theirs);
    }

    #[test]
    fn what_is_accepted_is_json(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let blank = bytes.iter().all(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t'));
        if update_code(&bytes).is_ok() {
            prop_assert!(blank || json::check(&bytes).is_ok());
        }
        let body = [b"{\"ZipFile\": \"", &bytes[..], b"\"}"].concat();
        if let Ok(request) = update_code(&body) {
            prop_assert!(request.zip_file.is_none_or(|blob| blob.len() <= bytes.len()));
        }
    }
}
