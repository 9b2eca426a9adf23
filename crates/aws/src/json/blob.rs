//! Base64 decoded where it lies.
//!
//! The text is decoded in steps into a small buffer on the stack, and the bytes are copied to the front of the text's own
//! place. They never overtake the reading, as four characters become three bytes at the most.

use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::scanner::{next_special, unescape_one};

/// As lenient as AWS's decoder: padding may be missing, and left-over bits may be set.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Characters at a time: a multiple of four.
const STEP: usize = 4096;

/// What is wrong with a blob's text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BlobProblem {
    /// The string does not end, or has a control character or an escape that JSON does not allow; where.
    Json(usize, &'static str),
    /// It is a string and not base64.
    Base64,
}

/// Decodes the JSON string whose opening quote is at `quote`. Where the bytes lie now, and the position behind the string.
pub(super) fn decode_in_place(buffer: &mut [u8], quote: usize) -> Result<(Range<usize>, usize), BlobProblem> {
    let start = quote + 1;
    let (text_end, behind) = unescape_in_place(buffer, start)?;
    let length = decode_region(&mut buffer[start..text_end])?;
    Ok((start..start + length, behind))
}

/// Moves the string's characters together, without escapes and white space. Where they end, and where the string did.
fn unescape_in_place(buffer: &mut [u8], start: usize) -> Result<(usize, usize), BlobProblem> {
    let (mut read, mut write) = (start, start);
    loop {
        let special = next_special(buffer, read);
        if read != write {
            buffer.copy_within(read..special, write);
        }
        write += special - read;
        read = special;
        match buffer.get(read) {
            Some(b'"') => return Ok((write, read + 1)),
            Some(b' ') => read += 1,
            Some(b'\\') => {
                let Some((letter, length)) = unescape_one(&buffer[read..]) else {
                    return Err(BlobProblem::Json(read, "Unrecognized character escape"));
                };
                read += length;
                if letter.is_ascii_whitespace() {
                    continue;
                }
                if !letter.is_ascii() {
                    return Err(BlobProblem::Base64);
                }
                buffer[write] = letter as u8;
                write += 1;
            }
            Some(_) => return Err(BlobProblem::Json(read, "Illegal unquoted character in VALUE_STRING")),
            None => return Err(BlobProblem::Json(buffer.len(), "Unexpected end-of-input in VALUE_STRING")),
        }
    }
}

/// Decodes base64 to the front of its own place. How many bytes it is.
fn decode_region(region: &mut [u8]) -> Result<usize, BlobProblem> {
    let mut bytes = [0; STEP / 4 * 3];
    let (mut read, mut write) = (0, 0);
    while read < region.len() {
        let text = &region[read..region.len().min(read + STEP)];
        read += text.len();
        // Padding ends the text: with it before the last step, something follows it.
        if read < region.len() && text.ends_with(b"=") {
            return Err(BlobProblem::Base64);
        }
        let count = ENGINE.decode_slice(text, &mut bytes).map_err(|_| BlobProblem::Base64)?;
        region[write..write + count].copy_from_slice(&bytes[..count]);
        write += count;
    }
    Ok(write)
}
