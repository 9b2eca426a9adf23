//! Access keys as records; their secrets are sealed.

use bojagi_model::AccountId;
use futures_util::future::BoxFuture;

use crate::Result;

/// A long-lived access key.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// `AKIA…`.
    pub access_key_id: String,
    /// Whose it is.
    pub account: AccountId,
    /// The signing secret. Never logged.
    pub secret_access_key: String,
    /// Whether it is the account's root key.
    pub root: bool,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("access_key_id", &self.access_key_id)
            .field("account", &self.account)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// The access keys of all accounts. An account exists when it has one.
pub trait AccessKeys {
    /// Adds a key.
    ///
    /// # Errors
    /// [`crate::StoreError::Exists`].
    fn create_access_key<'a>(&'a self, key: &'a AccessKey) -> BoxFuture<'a, Result<()>>;

    /// The account's root key: the candidate, if there was none.
    ///
    /// # Errors
    /// The secret cannot be unsealed; the database's.
    fn root_key_or<'a>(&'a self, candidate: &'a AccessKey) -> BoxFuture<'a, Result<AccessKey>>;

    /// The key of that id.
    ///
    /// # Errors
    /// The secret cannot be unsealed; the database's.
    fn access_key<'a>(&'a self, access_key_id: &'a str) -> BoxFuture<'a, Result<Option<AccessKey>>>;

    /// The account's keys, by id.
    ///
    /// # Errors
    /// A secret cannot be unsealed; the database's.
    fn list_access_keys(&self, account: AccountId) -> BoxFuture<'_, Result<Vec<AccessKey>>>;

    /// Removes a key. Says whether it was there.
    ///
    /// # Errors
    /// The database's.
    fn delete_access_key<'a>(&'a self, access_key_id: &'a str) -> BoxFuture<'a, Result<bool>>;
}
