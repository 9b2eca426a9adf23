//! `GetAccountSettings`.

use bojagi_model::Result;

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
    pub async fn account_settings(&self, caller: &Caller) -> Result<AccountSettings> {
        let usage = self.config.metadata.code_usage(caller.account(), &caller.region).await?;
        let limits = &self.config.limits;
        Ok(AccountSettings {
            total_code_size_limit: limits.code_storage_bytes,
            code_size_unzipped_limit: limits.unzipped_bytes,
            code_size_zipped_limit: limits.zipped_bytes,
            concurrent_executions: limits.concurrent_executions,
            // No function can reserve concurrency yet.
            unreserved_concurrent_executions: limits.concurrent_executions,
            total_code_size: usage.code_bytes,
            function_count: usage.functions,
        })
    }
}
