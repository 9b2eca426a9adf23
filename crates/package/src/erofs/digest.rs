//! The name of a code image.
//!
//! A digest is the SHA-256 of a header, the image's length and the SHA-256 of each [`PIECE_BYTES`] of it, in order.
//! It is not the SHA-256 of the file: this one is computed on all cores, and with the list of piece digests a part of
//! an image can be checked alone, on the day when a node fetches only the parts that are read.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bojagi_model::Digest;
use ring::digest::{Context, SHA256};

use crate::error::ImageError;
use crate::parallel::{lock, run, workers};

/// Bytes of a piece; the last one is shorter.
pub const PIECE_BYTES: u64 = 1 << 20;

const HEADER: &[u8] = b"bojagi code image 1\n";

/// The digest of an image file, which is its name.
///
/// # Errors
///
/// The file cannot be read.
pub fn digest(image: &File) -> io::Result<Digest> {
    let bytes = image.metadata()?.len();
    Ok(combine(bytes, &pieces(image, bytes)?))
}

/// Checks an image file against its name.
///
/// # Errors
///
/// [`ImageError::WrongDigest`] if it is another image; [`ImageError::Io`] if it cannot be read.
pub fn verify(image: &File, expected: &Digest) -> Result<(), ImageError> {
    if digest(image)? == *expected { Ok(()) } else { Err(ImageError::WrongDigest) }
}

/// The digest of an image of this length with these pieces.
pub(crate) fn combine(bytes: u64, pieces: &[[u8; 32]]) -> Digest {
    let mut context = Context::new(&SHA256);
    context.update(HEADER);
    context.update(&bytes.to_le_bytes());
    for piece in pieces {
        context.update(piece);
    }
    Digest::from_bytes(finish(context))
}

/// The SHA-256 of each piece of the first `bytes` of a file, computed on all cores.
pub(crate) fn pieces(image: &File, bytes: u64) -> io::Result<Vec<[u8; 32]>> {
    let count = bytes.div_ceil(PIECE_BYTES) as usize;
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let pieces = Mutex::new(vec![[0; 32]; count]);
    let error = Mutex::new(None);
    let work = || {
        let mut buffer = vec![0; PIECE_BYTES.min(bytes) as usize];
        while !failed.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                break;
            }
            match piece(image, bytes, index as u64, &mut buffer) {
                Ok(hash) => lock(&pieces)[index] = hash,
                Err(problem) => {
                    failed.store(true, Ordering::Relaxed);
                    lock(&error).get_or_insert(problem);
                }
            }
        }
    };
    run(workers().min(count), work);
    let pieces = std::mem::take(&mut *lock(&pieces));
    lock(&error).take().map_or(Ok(pieces), Err)
}

/// The SHA-256 of one piece.
pub(crate) fn piece(image: &File, bytes: u64, index: u64, buffer: &mut [u8]) -> io::Result<[u8; 32]> {
    let start = index * PIECE_BYTES;
    let part = &mut buffer[..(bytes - start).min(PIECE_BYTES) as usize];
    image.read_exact_at(part, start)?;
    let mut context = Context::new(&SHA256);
    context.update(part);
    Ok(finish(context))
}

fn finish(context: Context) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
