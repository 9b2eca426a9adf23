//! Who calls: accounts' access keys, roles, and the principal that authentication finds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::AccountId;

/// Who a verified request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The account whose resources it may name.
    pub account: AccountId,
    /// `arn:aws:iam::ACCOUNT:root`, or an assumed role's `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub arn: String,
    /// The `UserId` of STS GetCallerIdentity: the account id for a root key, `AROA…:SESSION` for a role.
    pub user_id: String,
    /// Whether a key known to everybody (`test`) was used: such a request may come from a web page, and is checked for it.
    pub development: bool,
}

/// An IAM role, as far as it is kept: a plain record, so that tools that create a role first keep going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Whose it is.
    pub account: AccountId,
    /// `/` unless given.
    pub path: String,
    /// Its name.
    pub name: String,
    /// `AROA` and 17 upper-case letters and digits.
    pub role_id: String,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub create_date: OffsetDateTime,
    /// The trust policy, JSON, as given.
    pub assume_role_policy_document: String,
    /// Free text.
    pub description: Option<String>,
    /// In seconds, 3,600 unless given.
    pub max_session_duration_seconds: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// ARNs of attached managed policies, in order of attachment.
    pub attached_policies: Vec<String>,
    /// Inline policies: JSON documents by name.
    pub inline_policies: BTreeMap<String, String>,
}

impl Role {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`.
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:role{}{}", self.account, self.path, self.name)
    }
}

/// Access key with its secret, as a client needs it to sign and the server to verify.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `AKIA…` for a long-lived key, `ASIA…` for a temporary one.
    pub access_key_id: String,
    /// The signing secret. Never logged.
    pub secret_access_key: String,
    /// Goes with a temporary key.
    pub session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}
