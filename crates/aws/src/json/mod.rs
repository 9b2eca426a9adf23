//! JSON by schema, over one owned buffer: values are decoded where they lie, base64 into the place where it was read, so
//! that a request body of 70 MB is never held twice. Hostile input is bounded: depth, numbers, nothing allocated ahead.

mod blob;
mod decode;
mod encode;
mod scanner;

pub(crate) use decode::decode_structure;
pub(crate) use encode::{encode_string, encode_structure};
use scanner::Scanner;

use crate::WireError;

/// Whether `bytes` is one JSON value, with nothing else but white space around it. Nothing is allocated unless it is not.
///
/// # Errors
///
/// [`WireError::InvalidRequestContent`] with what is wrong and where, as Lambda's Invoke words it.
pub fn check(bytes: &[u8]) -> Result<(), WireError> {
    let result = Scanner::new(bytes).skip_document();
    result.map_err(|problem| WireError::InvalidRequestContent(format!("Could not parse payload into json: {problem}")))
}
