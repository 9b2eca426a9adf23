//! Functions and their versions as records.

use std::collections::{BTreeMap, HashSet};

use bojagi_model::{AccountId, Digest, Function, FunctionArn, FunctionName, Region, Version, ZipPackage};
use futures_util::future::BoxFuture;
use uuid::Uuid;

use crate::Result;

/// What an account's code takes up in a region, all versions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CodeUsage {
    /// Functions, not counting their versions.
    pub functions: u64,
    /// Sum of the packages' `CodeSize`, in bytes.
    pub code_bytes: u64,
    /// Sum of the packages' unzipped sizes, in bytes.
    pub unzipped_bytes: u64,
}

/// The records of functions. A function is its `$LATEST` and its published versions; these never change but in their state.
pub trait Functions {
    /// Makes a function of its `$LATEST`, and with `publish` also version 1, which is returned.
    ///
    /// # Errors
    /// [`crate::StoreError::Exists`].
    fn create_function<'a>(
        &'a self,
        latest: &'a Function,
        publish: bool,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<Option<Function>>>;

    /// One version of a function.
    ///
    /// # Errors
    /// The record cannot be read or unsealed.
    fn function<'a>(&'a self, arn: &'a FunctionArn, version: Version) -> BoxFuture<'a, Result<Option<Function>>>;

    /// Replaces a version whose revision id is still `expected`. With `publish`, a copy of it becomes the next published
    /// version in the same transaction, and is returned.
    ///
    /// # Errors
    /// [`crate::StoreError::Changed`], [`crate::StoreError::NotFound`].
    fn update_function<'a>(
        &'a self,
        function: &'a Function,
        expected: Uuid,
        publish: bool,
    ) -> BoxFuture<'a, Result<Option<Function>>>;

    /// Removes a function with all its versions and tags. Returns the versions that it had; none when it was not there.
    ///
    /// # Errors
    /// The database's.
    fn delete_function<'a>(&'a self, arn: &'a FunctionArn) -> BoxFuture<'a, Result<Vec<Version>>>;

    /// Removes one published version. Its number is not given out again. Says whether it was there.
    ///
    /// # Errors
    /// The database's.
    fn delete_function_version<'a>(&'a self, arn: &'a FunctionArn, number: u64) -> BoxFuture<'a, Result<bool>>;

    /// At most `limit` versions after the given one, by name and then version, `$LATEST` first. Without `all_versions` only
    /// `$LATEST` of each.
    ///
    /// # Errors
    /// A record cannot be read or unsealed.
    fn list_functions<'a>(
        &'a self,
        account: AccountId,
        region: &'a Region,
        all_versions: bool,
        after: Option<&'a (FunctionName, Version)>,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<Function>>>;

    /// Versions that are `Pending` or whose update is `InProgress`, of every account, at most `limit`.
    ///
    /// # Errors
    /// A record cannot be read or unsealed.
    fn functions_in_transition(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Function>>>;

    /// What an archive of that digest became when it was ingested before, if some version still has it.
    ///
    /// # Errors
    /// A record cannot be read.
    fn package(&self, code_sha256: Digest) -> BoxFuture<'_, Result<Option<ZipPackage>>>;

    /// Whether some version of some function of the account has that archive.
    ///
    /// # Errors
    /// The database's.
    fn account_has_archive(&self, account: AccountId, code_sha256: Digest) -> BoxFuture<'_, Result<bool>>;

    /// Digests of all archives and code images that some version of any account names.
    ///
    /// # Errors
    /// The database's.
    fn referenced_digests(&self) -> BoxFuture<'_, Result<HashSet<Digest>>>;

    /// What the account's code takes up in the region.
    ///
    /// # Errors
    /// The database's.
    fn code_usage<'a>(&'a self, account: AccountId, region: &'a Region) -> BoxFuture<'a, Result<CodeUsage>>;
}
