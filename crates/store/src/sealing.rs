//! Sealing at rest: AES-256-GCM with a key file that lies outside the data directory.
//!
//! ```text
//! key file, 0600, one key a line, the newest last:     1 <base64 of 32 bytes>
//! sealed value:                                        01 | key id (4, big endian) | nonce (12) | ciphertext | tag (16)
//! ```
//!
//! Every value is sealed for one place, named by the associated data, so that a value copied to another record does not open.
//! Nonces are random: one key may seal 2^32 values, far beyond what a key of this system meets before it is rotated.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::files;

const SEALED_FORMAT: u8 = 1;
const HEADER_LEN: usize = 1 + 4 + NONCE_LEN;

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key file cannot be read or written.
    #[error("cannot {operation} the key file {path}")]
    File {
        /// The operation, as a verb.
        operation: &'static str,
        /// The key file.
        path: PathBuf,
        /// The system call's error.
        source: io::Error,
    },
    /// Others than its owner may read the key file.
    #[error("the key file {path} may be read by others (mode {mode:o}): run `chmod 600 {path}`")]
    Readable {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key file is malformed.
    #[error("line {line} of the key file {path} is not a key")]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// The value was sealed with a key that the key file does not have.
    #[error("sealed with key {0}, which the key file does not have")]
    UnknownKey(u32),
    /// The value was altered, belongs to another record, or was sealed with another key of the same number.
    #[error("a sealed value does not open: wrong key file, or the value was altered")]
    DoesNotOpen,
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    Random(getrandom::Error),
}

struct Key {
    id: u32,
    bytes: [u8; 32],
}

impl Key {
    fn aead(&self) -> LessSafeKey {
        let key = UnboundKey::new(&AES_256_GCM, &self.bytes).expect("AES-256 takes 32 bytes");
        LessSafeKey::new(key)
    }
}

struct Keys {
    keys: Vec<Key>,
    current: LessSafeKey,
}

impl Keys {
    fn new(keys: Vec<Key>) -> Option<Keys> {
        let current = keys.last()?.aead();
        Some(Keys { keys, current })
    }
}

/// The keys of an installation. The newest seals, all open.
pub struct Keyring {
    path: PathBuf,
    keys: RwLock<Keys>,
}

impl Keyring {
    /// Reads the key file, or makes it with a fresh key when it is not there.
    ///
    /// # Errors
    /// The file cannot be read, is malformed, or may be read by others.
    pub fn open(path: &Path) -> Result<Keyring, SealError> {
        let keys = match fs::metadata(path) {
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(SealError::Readable { path: path.to_owned(), mode });
                }
                let text = fs::read_to_string(path).map_err(file_error("read", path))?;
                parse(&text, path)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keys = vec![Key { id: 1, bytes: random()? }];
                write(path, &keys)?;
                keys
            }
            Err(error) => return Err(file_error("read", path)(error)),
        };
        let keys = Keys::new(keys).ok_or_else(|| SealError::Malformed { path: path.to_owned(), line: 1 })?;
        Ok(Keyring { path: path.to_owned(), keys: RwLock::new(keys) })
    }

    /// Adds a key, which seals from now on, and returns its number. What older keys have sealed still opens.
    ///
    /// # Errors
    /// The key file cannot be written; then nothing has changed.
    pub fn rotate(&self) -> Result<u32, SealError> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let id = keys.keys.last().map_or(0, |key| key.id) + 1;
        let mut renewed: Vec<Key> = keys.keys.iter().map(|key| Key { id: key.id, bytes: key.bytes }).collect();
        renewed.push(Key { id, bytes: random()? });
        write(&self.path, &renewed)?;
        if let Some(renewed) = Keys::new(renewed) {
            *keys = renewed;
        }
        Ok(id)
    }

    /// The number of the key that seals now.
    pub fn current(&self) -> u32 {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.keys.last().map_or(0, |key| key.id)
    }

    /// Seals a value for the place that `purpose` names.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn seal(&self, purpose: &str, value: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let id = keys.keys.last().map_or(0, |key| key.id);
        let mut sealed = Vec::with_capacity(HEADER_LEN + value.len() + AES_256_GCM.tag_len());
        sealed.push(SEALED_FORMAT);
        sealed.extend_from_slice(&id.to_be_bytes());
        sealed.extend_from_slice(&nonce);
        let mut body = value.to_vec();
        keys.current
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose.as_bytes()), &mut body)
            .map_err(|_| SealError::DoesNotOpen)?;
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens a value that was sealed for that place.
    ///
    /// # Errors
    /// It was sealed with an unknown key, for another place, or was altered.
    pub fn open_sealed(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let id = key_id(sealed).ok_or(SealError::DoesNotOpen)?;
        let nonce = sealed.get(5..HEADER_LEN).and_then(|nonce| <[u8; NONCE_LEN]>::try_from(nonce).ok());
        let nonce = Nonce::assume_unique_for_key(nonce.ok_or(SealError::DoesNotOpen)?);
        let mut body = sealed[HEADER_LEN..].to_vec();
        let aad = Aad::from(purpose.as_bytes());
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.keys.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey(id))?;
        let length = key.aead().open_in_place(nonce, aad, &mut body).map_err(|_| SealError::DoesNotOpen)?.len();
        body.truncate(length);
        Ok(body)
    }
}

/// The number of the key that a value was sealed with.
pub fn key_id(sealed: &[u8]) -> Option<u32> {
    if sealed.first() != Some(&SEALED_FORMAT) {
        return None;
    }
    sealed.get(1..5).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes)
}

/// Random bytes from the operating system.
///
/// # Errors
/// It gives none.
pub fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(SealError::Random)?;
    Ok(bytes)
}

fn file_error(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::File { operation, path: path.clone(), source }
}

fn parse(text: &str, path: &Path) -> Result<Vec<Key>, SealError> {
    let mut keys: Vec<Key> = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let key = line.split_once(' ').and_then(|(id, key)| {
            let bytes = STANDARD.decode(key.trim()).ok()?.try_into().ok()?;
            Some(Key { id: id.parse().ok()?, bytes })
        });
        match key {
            Some(key) if keys.iter().all(|earlier| earlier.id < key.id) => keys.push(key),
            _ => return Err(SealError::Malformed { path: path.to_owned(), line: index + 1 }),
        }
    }
    Ok(keys)
}

fn write(path: &Path, keys: &[Key]) -> Result<(), SealError> {
    let text: String = keys.iter().map(|key| format!("{} {}\n", key.id, STANDARD.encode(key.bytes))).collect();
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory).map_err(file_error("make the directory of", path))?;
    let draft = path.with_extension("new");
    let written = (|| {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        files::sync_directory(directory)
    })();
    written.map_err(file_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_values_open_only_in_their_place_and_survive_rotation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/key");
        let keyring = Keyring::open(&path).unwrap();
        let sealed = keyring.seal("record-a", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(keyring.open_sealed("record-a", &sealed).unwrap(), b"secret");
        assert!(matches!(keyring.open_sealed("record-b", &sealed), Err(SealError::DoesNotOpen)));
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(keyring.open_sealed("record-a", &altered).is_err(), "byte {index}");
            assert!(keyring.open_sealed("record-a", &sealed[..index]).is_err(), "length {index}");
        }

        assert_eq!(keyring.rotate().unwrap(), 2);
        let newer = keyring.seal("record-a", b"secret").unwrap();
        assert_eq!(key_id(&newer), Some(2));
        let reopened = Keyring::open(&path).unwrap();
        assert_eq!(reopened.current(), 2);
        for sealed in [sealed, newer] {
            assert_eq!(reopened.open_sealed("record-a", &sealed).unwrap(), b"secret");
        }
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        drop(Keyring::open(&path).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Keyring::open(&path), Err(SealError::Readable { mode: 0o640, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "1 short\n").unwrap();
        assert!(matches!(Keyring::open(&path), Err(SealError::Malformed { line: 1, .. })));
    }
}
