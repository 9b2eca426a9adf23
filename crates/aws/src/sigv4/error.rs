//! Why a signature is refused, and each protocol's words for it.

use std::borrow::Cow;

use crate::ErrorReply;

/// Why a request's signature is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature at all.
    #[error("Missing Authentication Token")]
    MissingAuthenticationToken,
    /// The `Authorization` header or the presigned query lacks a part, or has one that cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// The `X-Amz-Expires` of a presigned query is out of range.
    #[error("{0}")]
    InvalidExpires(&'static str),
    /// The credential scope does not fit the request.
    #[error("{0}")]
    InvalidScope(String),
    /// `host`, or an `x-amz-` header that the request has, is not among the signed headers.
    #[error("{0}")]
    HeadersNotSigned(String),
    /// The request was signed too long ago, or in the future.
    #[error("{0}")]
    OutOfTime(String),
    /// A presigned request's time is over.
    #[error("Signature expired: {0}")]
    PresignedExpired(String),
    /// No such access key. Also for a session token that does not belong to it. The caller finds this out.
    #[error("The security token included in the request is invalid.")]
    UnrecognizedClient,
    /// The session token is no longer valid. The caller finds this out.
    #[error("The security token included in the request is expired")]
    ExpiredToken,
    /// Another signature was calculated than the request has.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details."
    )]
    DoesNotMatch,
    /// The `x-amz-content-sha256` header is neither a hash nor one of the words that it may be.
    #[error(
        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value."
    )]
    InvalidContentSha256,
    /// The body is not the one that was signed.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    ContentSha256Mismatch,
    /// The body's chunks cannot be read.
    #[error("{0}")]
    MalformedChunks(&'static str),
    /// The body ends too early, or is not as long as announced.
    #[error("You did not provide the number of bytes specified by the Content-Length HTTP header")]
    IncompleteBody,
}

/// Whose words an error is told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Lambda and other JSON services: codes end in `Exception`.
    Json,
    /// IAM, STS: the query protocol.
    Query,
    /// S3.
    S3,
}

impl SignatureError {
    /// The error as a client of that protocol knows it.
    pub fn reply(&self, dialect: Dialect) -> ErrorReply<'static> {
        let (code, status) = match dialect {
            Dialect::Json => self.json(),
            Dialect::Query => self.query(),
            Dialect::S3 => self.s3(),
        };
        ErrorReply::new(code, self.message(dialect)).with_status(status)
    }

    fn json(&self) -> (&'static str, u16) {
        match self {
            Self::MissingAuthenticationToken => ("MissingAuthenticationTokenException", 403),
            Self::Incomplete(_) | Self::InvalidExpires(_) => ("IncompleteSignatureException", 403),
            Self::UnrecognizedClient => ("UnrecognizedClientException", 403),
            Self::ExpiredToken => ("ExpiredTokenException", 403),
            Self::InvalidContentSha256 | Self::MalformedChunks(_) | Self::IncompleteBody => {
                ("InvalidRequestContentException", 400)
            }
            _ => ("InvalidSignatureException", 403),
        }
    }

    fn query(&self) -> (&'static str, u16) {
        match self {
            Self::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            Self::Incomplete(_) | Self::InvalidExpires(_) => ("IncompleteSignature", 400),
            Self::UnrecognizedClient => ("InvalidClientTokenId", 403),
            Self::ExpiredToken => ("ExpiredToken", 403),
            Self::InvalidContentSha256 | Self::MalformedChunks(_) | Self::IncompleteBody => ("MalformedInput", 400),
            _ => ("SignatureDoesNotMatch", 403),
        }
    }

    fn s3(&self) -> (&'static str, u16) {
        match self {
            Self::MissingAuthenticationToken | Self::HeadersNotSigned(_) | Self::PresignedExpired(_) => {
                ("AccessDenied", 403)
            }
            Self::Incomplete(_) | Self::InvalidScope(_) => ("AuthorizationHeaderMalformed", 400),
            Self::InvalidExpires(_) => ("AuthorizationQueryParametersError", 400),
            Self::OutOfTime(_) => ("RequestTimeTooSkewed", 403),
            Self::UnrecognizedClient => ("InvalidAccessKeyId", 403),
            Self::ExpiredToken => ("ExpiredToken", 400),
            Self::DoesNotMatch => ("SignatureDoesNotMatch", 403),
            Self::InvalidContentSha256 => ("InvalidArgument", 400),
            Self::ContentSha256Mismatch => ("XAmzContentSHA256Mismatch", 400),
            Self::MalformedChunks(_) | Self::IncompleteBody => ("IncompleteBody", 400),
        }
    }

    fn message(&self, dialect: Dialect) -> Cow<'static, str> {
        match (dialect, self) {
            (Dialect::Json | Dialect::Query, Self::ContentSha256Mismatch) => Self::DoesNotMatch.to_string().into(),
            (Dialect::Query, Self::MissingAuthenticationToken) => "Request is missing Authentication Token".into(),
            (Dialect::S3, Self::MissingAuthenticationToken) => "Access Denied".into(),
            (Dialect::S3, Self::PresignedExpired(_)) => "Request has expired".into(),
            (Dialect::S3, Self::OutOfTime(_)) => {
                "The difference between the request time and the current time is too large.".into()
            }
            (Dialect::S3, Self::UnrecognizedClient) => {
                "The AWS Access Key Id you provided does not exist in our records.".into()
            }
            (Dialect::S3, Self::ExpiredToken) => "The provided token has expired.".into(),
            (Dialect::S3, Self::DoesNotMatch) => {
                "The request signature we calculated does not match the signature you provided. Check your key and \
                 signing method."
                    .into()
            }
            (Dialect::S3, Self::HeadersNotSigned(_)) => {
                "There were headers present in the request which were not signed".into()
            }
            _ => self.to_string().into(),
        }
    }
}
