//! GetAccountSettings.

use bojagi_aws::lambda::types;
use bojagi_model::Result;

use super::conversion::{signed, small};
use crate::context::Context;

/// `GetAccountSettings`.
pub async fn get(context: &Context) -> Result<types::GetAccountSettingsResponse> {
    let settings = context.control.account_settings(&context.caller).await?;
    Ok(types::GetAccountSettingsResponse {
        account_limit: Some(types::AccountLimit {
            total_code_size: Some(signed(settings.total_code_size_limit)),
            code_size_unzipped: Some(signed(settings.code_size_unzipped_limit)),
            code_size_zipped: Some(signed(settings.code_size_zipped_limit)),
            concurrent_executions: Some(small(settings.concurrent_executions)),
            unreserved_concurrent_executions: Some(small(settings.unreserved_concurrent_executions)),
        }),
        account_usage: Some(types::AccountUsage {
            total_code_size: Some(signed(settings.total_code_size)),
            function_count: Some(signed(settings.function_count)),
        }),
    })
}
