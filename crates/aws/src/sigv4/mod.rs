//! AWS Signature Version 4: verifying it, in the `Authorization` header or in a presigned query, with its payload; and
//! making it.
//!
//! Verification is in steps, so that the caller can look up the secret in between:
//!
//! ```
//! use bojagi_aws::sigv4::{self, RequestHead, SigningKeys};
//! use bojagi_model::identity::Credentials;
//!
//! # fn main() -> Result<(), sigv4::SignatureError> {
//! # let now = time::OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("in range");
//! # let credentials = Credentials {
//! #     access_key_id: "test".to_owned(), secret_access_key: "test".to_owned(), session_token: None,
//! # };
//! let mut headers = http::HeaderMap::new();
//! headers.insert("host", "localhost:4566".parse().expect("a header value"));
//! let (path, body) = ("/2015-03-31/functions/f/invocations", b"{}");
//! let scope = sigv4::Scope { region: "us-east-1", service: "lambda" };
//! sigv4::sign("POST", path, "", &mut headers, sigv4::Payload::Bytes(body), &credentials, scope, now);
//!
//! let keys = SigningKeys::default();
//! let head = RequestHead { method: "POST", path, query: "", headers: &headers, authority: None };
//! let authorization = sigv4::parse(&head)?;
//! assert_eq!(authorization.access_key_id(), "test");
//! assert_eq!(authorization.service(), "lambda");
//! let mut payload = authorization.verify("test", now, &keys)?;
//! payload.update(body)?;
//! payload.finish()?;
//! # Ok(())
//! # }
//! ```
//!
//! What always holds: nothing here reads a clock; comparisons take the same time for every wrong signature; a body counts
//! as verified only when [`PayloadVerifier::finish`] has returned.

mod authorization;
mod canonical;
mod chunked;
mod error;
mod head;
mod key;
mod payload;
mod read;
mod sign;
mod timestamp;

pub use authorization::{Authorization, PayloadKind};
pub use error::{Dialect, SignatureError};
pub use head::RequestHead;
pub use key::SigningKeys;
pub use payload::PayloadVerifier;
pub use read::parse;
pub use sign::{Payload, Scope, presign, sign};

/// The algorithm's name, which opens the `Authorization` header and the string to sign.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// How far a client's clock may be off.
const CLOCK_SKEW: time::Duration = time::Duration::minutes(5);

/// The longest that a presigned URL may be valid: seven days.
const MAX_EXPIRES_SECONDS: u32 = 604_800;
