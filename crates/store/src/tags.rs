//! Tags of functions as records.

use std::collections::BTreeMap;

use bojagi_model::FunctionArn;
use futures_util::future::BoxFuture;

use crate::Result;

/// The tags of a function, all versions together.
pub trait Tags {
    /// The function's tags; none where there is no such function.
    ///
    /// # Errors
    /// The record cannot be read.
    fn tags<'a>(&'a self, arn: &'a FunctionArn) -> BoxFuture<'a, Result<Option<BTreeMap<String, String>>>>;

    /// Replaces the tags, if they still are `expected`.
    ///
    /// # Errors
    /// [`crate::StoreError::Changed`], also when the function is gone.
    fn replace_tags<'a>(
        &'a self,
        arn: &'a FunctionArn,
        expected: &'a BTreeMap<String, String>,
        tags: &'a BTreeMap<String, String>,
    ) -> BoxFuture<'a, Result<()>>;
}
