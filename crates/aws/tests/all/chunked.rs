//! Chunked payloads: AWS's published examples, cut anywhere, and changed anywhere.

use bojagi_aws::sigv4::{self, RequestHead, SignatureError, SigningKeys};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use proptest::prelude::*;
use time::macros::datetime;

/// The request of "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks" in the S3
/// documentation, and of its sibling with trailing headers.
struct Example {
    headers: HeaderMap,
    body: Vec<u8>,
}

const CHUNKS: [(&str, usize); 3] = [
    ("ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648", 65536),
    ("0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497", 1024),
    ("b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9", 0),
];

fn example() -> Example {
    let signed = "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
        x-amz-storage-class";
    let signature = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    let own = [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), ("content-length", "66824")];
    Example { headers: headers(signed, signature, own), body: [chunks(CHUNKS), b"\r\n".to_vec()].concat() }
}

fn example_with_trailer() -> Example {
    let chunks_signed = [
        ("b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2", 65536),
        ("1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7", 1024),
        ("2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992", 0),
    ];
    let trailer = b"x-amz-checksum-crc32c:sOO8/Q==\r\n\
        x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n";
    let signed = "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;\
        x-amz-trailer";
    let signature = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let kind = ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    let own = [kind, ("x-amz-trailer", "x-amz-checksum-crc32c")];
    Example { headers: headers(signed, signature, own), body: [chunks(chunks_signed), trailer.to_vec()].concat() }
}

fn headers(signed: &str, signature: &str, own: [(&'static str, &'static str); 2]) -> HeaderMap {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders={signed}, \
         Signature={signature}"
    );
    let common = [
        ("host", "s3.amazonaws.com"),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("authorization", &authorization),
    ];
    let all = common.into_iter().chain(own);
    all.map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a header value"))).collect()
}

fn chunks(chunks: [(&str, usize); 3]) -> Vec<u8> {
    let mut body = Vec::new();
    for (signature, size) in chunks {
        body.extend(format!("{size:x};chunk-signature={signature}\r\n").bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        body.extend(if size > 0 { &b"\r\n"[..] } else { b"" });
    }
    body
}

fn decode(
    headers: &HeaderMap,
    body: &[u8],
    pieces: &[usize],
) -> Result<(usize, Vec<(String, String)>), SignatureError> {
    let head =
        RequestHead { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers, authority: None };
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let keys = SigningKeys::default();
    let mut payload = sigv4::parse(&head)?.verify(secret, datetime!(2013-05-24 00:00 UTC), &keys)?;
    assert!(payload.is_chunked());
    assert!(payload.update(b"x").is_err());
    let (mut decoded, mut rest) = (Vec::new(), Bytes::copy_from_slice(body));
    for piece in pieces.iter().copied().cycle() {
        if rest.is_empty() {
            break;
        }
        payload.decode(rest.split_to(piece.clamp(1, rest.len())), &mut decoded)?;
    }
    let trailers = payload.finish()?;
    assert!(decoded.iter().all(|piece| piece.iter().all(|byte| *byte == b'a')));
    Ok((decoded.iter().map(Bytes::len).sum(), trailers))
}

#[test]
fn awss_example_is_decoded() {
    let Example { headers, body } = example();
    assert_eq!(decode(&headers, &body, &[usize::MAX]), Ok((66560, Vec::new())));
    assert_eq!(decode(&headers, &body, &[1]), Ok((66560, Vec::new())));
    let Example { headers, body } = example_with_trailer();
    let trailers = vec![("x-amz-checksum-crc32c".to_owned(), "sOO8/Q==".to_owned())];
    assert_eq!(decode(&headers, &body, &[usize::MAX]), Ok((66560, trailers.clone())));
    assert_eq!(decode(&headers, &body, &[13]), Ok((66560, trailers)));
}

#[test]
fn a_trailer_has_to_be_signed_where_chunks_are() {
    let Example { headers, body } = example_with_trailer();
    let start = body.len() - 2 - "x-amz-trailer-signature:".len() - 64 - 2;
    let without = [&body[..start], b"\r\n"].concat();
    assert_eq!(decode(&headers, &without, &[usize::MAX]), Err(SignatureError::DoesNotMatch));
    let line = b"x-amz-checksum-crc32c:sOO8/Q==\r\n".len();
    let stripped = [&body[..start - line], b"\r\n"].concat();
    assert_eq!(decode(&headers, &stripped, &[usize::MAX]), Err(SignatureError::DoesNotMatch));
    let more = [&body[..body.len() - 2], b"x-amz-more:1\r\n\r\n"].concat();
    assert!(decode(&headers, &more, &[usize::MAX]).is_err(), "nothing may follow the trailer's signature");
}

#[test]
fn a_body_that_ends_early_or_goes_on_is_refused() {
    let Example { headers, body } = example();
    for end in [0, 1, 80, 70_000, 65_536, body.len() - 5, body.len() - 90] {
        assert!(decode(&headers, &body[..end.min(body.len() - 5)], &[usize::MAX]).is_err(), "{end}");
    }
    let longer = [&body[..], b"x"].concat();
    assert!(matches!(decode(&headers, &longer, &[usize::MAX]), Err(SignatureError::MalformedChunks(_))));
}

/// Without signatures: sizes, lengths and trailers are all there is to check.
fn unsigned(body: &[u8], length: &str) -> Result<(usize, Vec<(String, String)>), SignatureError> {
    let credentials = bojagi_model::identity::Credentials {
        access_key_id: "k".to_owned(),
        secret_access_key: "s".to_owned(),
        session_token: None,
    };
    let mut headers: HeaderMap = [(http::header::HOST, "h".parse().expect("a header value"))].into_iter().collect();
    headers.insert("x-amz-decoded-content-length", length.parse().expect("a header value"));
    let now = datetime!(2026-01-31 12:00 UTC);
    let scope = sigv4::Scope { region: "r", service: "s3" };
    sigv4::sign("PUT", "/", "", &mut headers, sigv4::Payload::UnsignedChunks, &credentials, scope, now);
    let head = RequestHead { method: "PUT", path: "/", query: "", headers: &headers, authority: None };
    let mut payload = sigv4::parse(&head)?.verify("s", now, &SigningKeys::default())?;
    let mut decoded = Vec::new();
    payload.decode(Bytes::copy_from_slice(body), &mut decoded)?;
    Ok((decoded.iter().map(Bytes::len).sum(), payload.finish()?))
}

#[test]
fn unsigned_chunks_are_checked_for_what_they_say_of_themselves() {
    let trailers = vec![("x-amz-checksum-crc32".to_owned(), "AAAAAA==".to_owned())];
    let body = b"3\r\nabc\r\n0\r\nX-Amz-Checksum-Crc32: AAAAAA==\r\n\r\n";
    assert_eq!(unsigned(body, "3"), Ok((3, trailers)));
    assert_eq!(unsigned(b"0\r\n\r\n", "0"), Ok((0, Vec::new())));
    let cases: [(&[u8], &str); 9] = [
        (b"3\r\nabc\r\n0\r\n\r\n", "4"),
        (b"3\r\nabc\r\n0\r\n\r\n", "2"),
        (b"3\r\nabcd\r\n0\r\n\r\n", "3"),
        (b"g\r\n", "0"),
        (b"-1\r\n", "0"),
        (b"ffffffffffffffffff\r\n", "0"),
        (b"ffffffffffffffff\r\n", "0"),
        (b"0\r\nno colon\r\n\r\n", "0"),
        (b"3\r\nabc\r\n", "3"),
    ];
    for (body, length) in cases {
        assert!(unsigned(body, length).is_err(), "{}", String::from_utf8_lossy(body));
    }
    assert!(unsigned(&[b'0'; 5000], "0").is_err(), "a line is bounded");
    assert!(unsigned(b"0\r\n\r\n", "x").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_does_not_matter_where_the_body_is_cut(pieces in proptest::collection::vec(1..40_000usize, 1..8)) {
        let Example { headers, body } = example();
        prop_assert_eq!(decode(&headers, &body, &pieces), Ok((66560, Vec::new())));
    }

    #[test]
    fn no_byte_can_be_changed(position in 0..66_000usize, bit in 0..7u8) {
        let Example { headers, mut body } = example();
        // Letters of either case stand for the same hexadecimal digit.
        let flip = if bit == 5 { 0x10 } else { 1 << bit };
        body[position] ^= flip;
        let head = RequestHead { method: "PUT", path: "/examplebucket/chunkObject.txt", query: "", headers: &headers, authority: None };
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let mut payload = sigv4::parse(&head).and_then(|found| found.verify(secret, datetime!(2013-05-24 00:00 UTC), &SigningKeys::default())).expect("it is signed");
        let result = payload.decode(body.into(), &mut Vec::new()).and_then(|()| payload.finish());
        prop_assert!(result.is_err());
    }
}
