//! STS: GetCallerIdentity.

use bojagi_aws::sts::types;

use crate::context::Context;

/// `GetCallerIdentity`.
pub fn get_caller_identity(context: &Context) -> types::GetCallerIdentityResponse {
    let principal = &context.caller.principal;
    types::GetCallerIdentityResponse {
        user_id: Some(principal.user_id.clone()),
        account: Some(principal.account.to_string()),
        arn: Some(principal.arn.clone()),
    }
}
