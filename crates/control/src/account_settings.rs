//! `GetAccountSettings`.

use bojagi_model::{Error, Result};

use crate::{Caller, Control};

/// `AccountLimit` and `AccountUsage` of the caller's account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountSettings {
    /// `AccountLimit.TotalCodeSize`, in bytes.
    pub total_code_size_limit: u64,
    /// `AccountLimit.CodeSizeUnzipped`, in bytes.
    pub code_size_unzipped_limit: u64,
    /// `AccountLimit.CodeSizeZipped`, in bytes.
    pub code_size_zipped_limit: u64,
    /// `AccountLimit.ConcurrentExecutions`.
    pub concurrent_executions: u32,
    /// `AccountLimit.UnreservedConcurrentExecutions`.
    pub unreserved_concurrent_executions: u32,
    /// `AccountUsage.TotalCodeSize`, in bytes.
    pub total_code_size: u64,
    /// `AccountUsage.FunctionCount`.
    pub function_count: u64,
}

impl Control {
    /// `GetAccountSettings`.
    ///
    /// # Errors
    /// The store's.
    pub async fn account_settings(&self, _caller: &Caller) -> Result<AccountSettings> {
        Err(Error::service("not there yet"))
    }
}
