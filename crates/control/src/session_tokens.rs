//! Temporary credentials without a record: the session token carries, sealed, everything that verifies a request made with it.
//!
//! So a function's environment gets credentials without a write, they survive a restart, and any machine with the key file verifies them.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bojagi_engine::CredentialSource;
use bojagi_model::identity::{Credentials, Principal};
use bojagi_model::{AccountId, Function};
use bojagi_store::Keyring;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::Clock;
use crate::identity::{Unidentified, letters, random_id, random_secret};

const PURPOSE: &str = "session token";

/// Longer than any environment lives, since an environment gets its credentials once, at its start.
const LIFETIME: Duration = Duration::hours(48);

/// What a session token says.
#[derive(Serialize, Deserialize)]
struct Session {
    access_key_id: String,
    secret_access_key: String,
    account: AccountId,
    role_name: String,
    role_id: String,
    session_name: String,
    /// Seconds since 1970.
    expires_at: i64,
}

/// Mints credentials of functions' execution roles.
pub struct FunctionCredentials {
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
}

impl FunctionCredentials {
    /// Mints tokens sealed with the key ring's newest key.
    pub fn new(keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> FunctionCredentials {
        FunctionCredentials { keyring, clock }
    }

    fn mint(&self, function: &Function) -> bojagi_model::Result<Credentials> {
        let role = &function.configuration.role;
        let role_name = role.rsplit('/').next().unwrap_or(role).to_owned();
        let session = Session {
            access_key_id: random_id("ASIA")?,
            secret_access_key: random_secret()?,
            account: function.arn.account,
            role_id: format!("AROA{}", letters(&digest(&SHA256, role.as_bytes()).as_ref()[..17])),
            role_name,
            session_name: function.arn.name.to_string(),
            expires_at: (self.clock.now() + LIFETIME).unix_timestamp(),
        };
        let text = serde_json::to_vec(&session).map_err(bojagi_model::Error::service)?;
        let sealed = self.keyring.seal(PURPOSE, &text).map_err(bojagi_model::Error::service)?;
        Ok(Credentials {
            access_key_id: session.access_key_id,
            secret_access_key: session.secret_access_key,
            session_token: Some(STANDARD.encode(sealed)),
        })
    }
}

impl CredentialSource for FunctionCredentials {
    fn credentials(&self, function: &Function) -> Credentials {
        self.mint(function).unwrap_or_else(|error| {
            // The function runs; what it signs is refused.
            tracing::error!(function = %function.arn, error = &error as &dyn std::error::Error, "no credentials");
            Credentials { access_key_id: String::new(), secret_access_key: String::new(), session_token: None }
        })
    }
}

/// Who a session token was made for, with the secret of its access key.
///
/// # Errors
/// It was not made here, was altered, belongs to another access key, or has expired.
pub(crate) fn open(
    keyring: &Keyring,
    now: OffsetDateTime,
    access_key_id: &str,
    token: &str,
) -> Result<(Principal, String), Unidentified> {
    let sealed = STANDARD.decode(token).map_err(|_| Unidentified::InvalidSessionToken)?;
    let opened = keyring.open_sealed(PURPOSE, &sealed).map_err(|_| Unidentified::InvalidSessionToken)?;
    let session: Session = serde_json::from_slice(&opened).map_err(|_| Unidentified::InvalidSessionToken)?;
    if session.access_key_id != access_key_id {
        return Err(Unidentified::InvalidSessionToken);
    }
    if session.expires_at <= now.unix_timestamp() {
        return Err(Unidentified::ExpiredSessionToken);
    }
    let Session { account, role_name, role_id, session_name, secret_access_key, .. } = session;
    let principal = Principal {
        account,
        arn: format!("arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}"),
        user_id: format!("{role_id}:{session_name}"),
        development: false,
    };
    Ok((principal, secret_access_key))
}
