//! IAM roles as records.

use bojagi_model::AccountId;
use bojagi_model::identity::Role;
use futures_util::future::BoxFuture;

use crate::Result;

/// The roles of all accounts. Names are unique in an account without regard to case, as IAM has it.
pub trait Roles {
    /// Adds a role.
    ///
    /// # Errors
    /// [`crate::StoreError::Exists`].
    fn create_role<'a>(&'a self, role: &'a Role) -> BoxFuture<'a, Result<()>>;

    /// The role of that name.
    ///
    /// # Errors
    /// The record cannot be read.
    fn role<'a>(&'a self, account: AccountId, name: &'a str) -> BoxFuture<'a, Result<Option<Role>>>;

    /// Replaces a role that still is `expected`.
    ///
    /// # Errors
    /// [`crate::StoreError::Changed`], also when it is gone.
    fn replace_role<'a>(&'a self, expected: &'a Role, role: &'a Role) -> BoxFuture<'a, Result<()>>;

    /// Removes a role that still is `expected`.
    ///
    /// # Errors
    /// [`crate::StoreError::Changed`], also when it is gone.
    fn delete_role<'a>(&'a self, expected: &'a Role) -> BoxFuture<'a, Result<()>>;

    /// At most `limit` roles whose path starts with the prefix, by name, after the given name.
    ///
    /// # Errors
    /// A record cannot be read.
    fn list_roles<'a>(
        &'a self,
        account: AccountId,
        path_prefix: &'a str,
        after: Option<&'a str>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Role>>>;
}
