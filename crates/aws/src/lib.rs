//! AWS wire formats, generated from AWS's own service models: routes, typed requests and answers, constraint validation
//! with AWS's messages, errors as their modelled shapes have them; and Signature Version 4.
//!
//! What always holds: no shape is written by hand, there is no I/O and no clock here, and request bytes are never held
//! twice (a `ZipFile` is decoded within the body's buffer). The models are in `models/`, refreshed by
//! `scripts/refresh-models`; which operations are supported is listed in `models/supported.json`; where AWS is known to
//! behave otherwise than its model says, `models/corrections.json` has it with the reason.
//!
//! | module | what |
//! | --- | --- |
//! | [`lambda`] | rest-json: [`lambda::route`], [`lambda::parse`], [`lambda::Output::into_response`], [`lambda::error_response`] |
//! | [`iam`], [`sts`] | query protocol: the same over a [`Form`] |
//! | [`sigv4`] | verifying and making signatures |
//!
//! Every member of a generated structure is an `Option`, lists are `Option<Vec<T>>`, maps `Option<BTreeMap<String, T>>`,
//! enums `String`, blobs [`bytes::Bytes`], timestamps [`time::OffsetDateTime`]. Sensitive members do not show in `Debug`.
//!
//! ```
//! use bojagi_aws::{ErrorReply, lambda};
//!
//! let route = lambda::route("POST", "/2015-03-31/functions", "").expect("CreateFunction's path");
//! assert_eq!(route.operation, lambda::Operation::CreateFunction);
//!
//! let body = br#"{"FunctionName": "f", "Role": "arn:aws:iam::000000000000:role/r", "Code": {"ZipFile": "UEsFBg=="}}"#;
//! let headers = http::HeaderMap::new();
//! match lambda::parse(route.operation, &route.labels, "", &headers, body[..].into()) {
//!     Ok(lambda::Input::CreateFunction(request)) => {
//!         let code = request.code.unwrap_or_default();
//!         assert_eq!(code.zip_file.as_deref(), Some(&b"PK\x05\x06"[..]));
//!         let configuration = lambda::types::FunctionConfiguration {
//!             function_name: request.function_name,
//!             ..Default::default()
//!         };
//!         let response = lambda::Output::CreateFunction(Box::new(configuration)).into_response("request-id");
//!         assert_eq!(response.status(), 201);
//!         assert_eq!(response.body().as_ref(), br#"{"FunctionName":"f"}"#);
//!     }
//!     Ok(other) => panic!("another operation: {other:?}"),
//!     Err(error) => panic!("{:?}", lambda::error_response(&ErrorReply::from(&error), "request-id")),
//! }
//! ```

pub mod error;
pub mod iam;
pub mod json;
pub mod lambda;
mod node;
pub mod query;
mod rest_json;
mod schema;

pub mod service;
pub mod sigv4;
pub mod sts;
mod validate;
mod xml;

pub use error::{ErrorReply, WireError};
pub use query::Form;
pub use service::{Labels, Route};
