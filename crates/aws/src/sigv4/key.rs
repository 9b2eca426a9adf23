//! Signing keys: derived from the secret by date, region and service, and kept, as deriving one costs four HMACs.

use std::collections::HashMap;
use std::fmt;
use std::sync::{PoisonError, RwLock};

use ring::hmac::{self, HMAC_SHA256, Key};

/// How many keys are kept at the most. Beyond that all are forgotten: a key comes back at the cost of deriving it.
const MAX_KEYS: usize = 4096;

/// Signing keys that have been derived, by access key id, date, region and service. Bounded; shared between threads.
#[derive(Default)]
pub struct SigningKeys(RwLock<HashMap<Box<str>, Entry>>);

struct Entry {
    secret: Box<str>,
    key: Key,
}

impl SigningKeys {
    /// The key of `credential`, which is `ID/DATE/REGION/SERVICE/aws4_request`.
    pub(super) fn get(&self, credential: &str, secret: &str, scope: [&str; 3]) -> Key {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = keys.get(credential)
            && *entry.secret == *secret
        {
            return entry.key.clone();
        }
        drop(keys);
        let key = derive(secret, scope);
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS {
            keys.clear();
        }
        keys.insert(credential.into(), Entry { secret: secret.into(), key: key.clone() });
        key
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys")
    }
}

/// The signing key for a date, a region and a service.
pub(super) fn derive(secret: &str, scope: [&str; 3]) -> Key {
    let first = hmac::sign(&Key::new(HMAC_SHA256, format!("AWS4{secret}").as_bytes()), scope[0].as_bytes());
    let [_, region, service] = scope;
    let last = [region, service, "aws4_request"]
        .into_iter()
        .fold(first, |tag, part| hmac::sign(&Key::new(HMAC_SHA256, tag.as_ref()), part.as_bytes()));
    Key::new(HMAC_SHA256, last.as_ref())
}
