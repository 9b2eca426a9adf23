//! Access keys and session tokens: from what a request was signed with to who asks.
//!
//! | access key id | secret | account | when |
//! | --- | --- | --- | --- |
//! | `ASIA…` with a session token | in the token, sealed | in the token | always |
//! | `AKIA…` | in its record, sealed | in its record | always |
//! | `test` | `test` | 000000000000 | development keys are enabled |
//! | twelve digits | `test` | these digits | development keys are enabled |

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bojagi_model::identity::{Credentials, Principal};
use bojagi_model::{AccountId, Error, Result};
use bojagi_store::{AccessKey, sealing};

use crate::{Control, session_tokens};

/// The secret of every development key.
const DEVELOPMENT_SECRET: &str = "test";

/// Whose key it is, with the secret that verifies a signature made with it.
#[derive(Clone)]
pub struct Identity {
    /// Who it is.
    pub principal: Principal,
    /// The signing secret. Never logged.
    pub secret_access_key: String,
}

/// Why a key is nobody's.
#[derive(Debug, thiserror::Error)]
pub enum Unidentified {
    /// No such access key.
    #[error("no such access key")]
    UnknownAccessKey,
    /// The session token was not made here, was altered, or belongs to another access key.
    #[error("the session token is not valid")]
    InvalidSessionToken,
    /// The session token was valid once.
    #[error("the session token has expired")]
    ExpiredSessionToken,
    /// It cannot be found out.
    #[error("the key cannot be looked up")]
    Store(#[source] Error),
}

/// Access keys that were found in the store before. There are few, and only those that exist are here.
#[derive(Default)]
pub(crate) struct KeyCache {
    keys: RwLock<HashMap<String, Identity>>,
}

impl KeyCache {
    fn get(&self, access_key_id: &str) -> Option<Identity> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }

    fn put(&self, access_key_id: &str, identity: Identity) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).insert(access_key_id.to_owned(), identity);
    }

    fn remove(&self, access_key_id: &str) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).remove(access_key_id);
    }
}

fn root_of(account: AccountId, development: bool) -> Principal {
    Principal { account, arn: format!("arn:aws:iam::{account}:root"), user_id: account.to_string(), development }
}

impl Control {
    /// Finds whose access key it is. From memory, when it was found before.
    ///
    /// # Errors
    /// [`Unidentified`].
    pub async fn identify(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
    ) -> std::result::Result<Identity, Unidentified> {
        if let Some(token) = session_token {
            let now = self.config.clock.now();
            let (principal, secret_access_key) = session_tokens::open(&self.config.keyring, now, access_key_id, token)?;
            return Ok(Identity { principal, secret_access_key });
        }
        if let Some(identity) = self.keys.get(access_key_id) {
            return Ok(identity);
        }
        if self.config.development_keys
            && let Some(account) = development_account(access_key_id)
        {
            let principal = root_of(account, true);
            return Ok(Identity { principal, secret_access_key: DEVELOPMENT_SECRET.to_owned() });
        }
        let found = self.config.metadata.access_key(access_key_id).await;
        let key = found.map_err(|error| Unidentified::Store(error.into()))?.ok_or(Unidentified::UnknownAccessKey)?;
        let identity = Identity { principal: root_of(key.account, false), secret_access_key: key.secret_access_key };
        self.keys.put(access_key_id, identity.clone());
        Ok(identity)
    }

    /// The root key of the account: made at the first call ever, the same at each later one.
    ///
    /// # Errors
    /// The store's.
    pub async fn root_key(&self, account: AccountId) -> Result<Credentials> {
        let candidate = new_key(account, true)?;
        self.config.metadata.root_key_or(&candidate).await.map(credentials).map_err(Error::from)
    }

    /// Makes a further access key of an account.
    ///
    /// # Errors
    /// The store's.
    pub async fn create_access_key(&self, account: AccountId) -> Result<Credentials> {
        let key = new_key(account, false)?;
        self.config.metadata.create_access_key(&key).await?;
        Ok(credentials(key))
    }

    /// Removes an access key. Says whether it was there. From now on nothing signed with it is accepted.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_access_key(&self, access_key_id: &str) -> Result<bool> {
        let deleted = self.config.metadata.delete_access_key(access_key_id).await?;
        self.keys.remove(access_key_id);
        Ok(deleted)
    }
}

/// The account that a development key means.
fn development_account(access_key_id: &str) -> Option<AccountId> {
    if access_key_id == "test" { Some(AccountId::DEVELOPMENT) } else { access_key_id.parse().ok() }
}

fn new_key(account: AccountId, root: bool) -> Result<AccessKey> {
    Ok(AccessKey { access_key_id: random_id("AKIA")?, account, secret_access_key: random_secret()?, root })
}

fn credentials(key: AccessKey) -> Credentials {
    let AccessKey { access_key_id, secret_access_key, .. } = key;
    Credentials { access_key_id, secret_access_key, session_token: None }
}

/// AWS's alphabet for unique ids: base32.
pub(crate) fn letters(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()
}

/// A unique id as IAM makes them: the prefix and as many letters as make it 20 (keys) or 21 (roles).
pub(crate) fn random_id(prefix: &str) -> Result<String> {
    let bytes: [u8; 17] = sealing::random().map_err(Error::service)?;
    let length = if prefix == "AROA" { 17 } else { 16 };
    Ok(format!("{prefix}{}", letters(&bytes[..length])))
}

/// A signing secret: 40 letters, digits and signs, as AWS's are.
pub(crate) fn random_secret() -> Result<String> {
    let bytes: [u8; 30] = sealing::random().map_err(Error::service)?;
    Ok(STANDARD.encode(bytes))
}
