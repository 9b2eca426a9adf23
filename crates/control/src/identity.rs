//! Access keys and session tokens: from what a request was signed with to who asks.

use bojagi_model::identity::{Credentials, Principal};
use bojagi_model::{AccountId, Error, Result};

use crate::Control;

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

impl Control {
    /// Finds whose access key it is. From memory, when it was asked for before.
    ///
    /// # Errors
    /// [`Unidentified`].
    pub async fn identify(
        &self,
        _access_key_id: &str,
        _session_token: Option<&str>,
    ) -> std::result::Result<Identity, Unidentified> {
        Err(Unidentified::UnknownAccessKey)
    }

    /// The root key of the account: made at the first call ever, the same at each later one.
    ///
    /// # Errors
    /// The store's.
    pub async fn root_key(&self, _account: AccountId) -> Result<Credentials> {
        Err(Error::service("not there yet"))
    }
}
