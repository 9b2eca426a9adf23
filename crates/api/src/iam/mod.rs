//! IAM, version 2010-05-08: roles, as plain records.

mod roles;

use bojagi_aws::WireError;
use bojagi_aws::iam::{Input, Output};

use crate::context::Context;
use crate::errors::Failure;

/// Calls the one operation of `control` that the request asks for.
pub async fn call(context: &Context, input: Input) -> Result<Output, Failure> {
    Ok(match input {
        Input::AttachRolePolicy(request) => {
            roles::attach_policy(context, *request).await?;
            Output::AttachRolePolicy
        }
        Input::CreateRole(request) => Output::CreateRole(Box::new(roles::create(context, *request).await?)),
        Input::DeleteRole(request) => {
            roles::delete(context, *request).await?;
            Output::DeleteRole
        }
        Input::DeleteRolePolicy(request) => {
            roles::delete_policy(context, *request).await?;
            Output::DeleteRolePolicy
        }
        Input::DetachRolePolicy(request) => {
            roles::detach_policy(context, *request).await?;
            Output::DetachRolePolicy
        }
        Input::GetRole(request) => Output::GetRole(Box::new(roles::get(context, *request).await?)),
        Input::GetRolePolicy(request) => Output::GetRolePolicy(Box::new(roles::get_policy(context, *request).await?)),
        Input::ListAttachedRolePolicies(request) => {
            Output::ListAttachedRolePolicies(Box::new(roles::list_attached_policies(context, *request).await?))
        }
        Input::ListInstanceProfilesForRole(request) => {
            Output::ListInstanceProfilesForRole(Box::new(roles::list_instance_profiles(context, *request).await?))
        }
        Input::ListRolePolicies(request) => {
            Output::ListRolePolicies(Box::new(roles::list_policies(context, *request).await?))
        }
        Input::ListRoleTags(request) => Output::ListRoleTags(Box::new(roles::list_tags(context, *request).await?)),
        Input::ListRoles(request) => Output::ListRoles(Box::new(roles::list(context, *request).await?)),
        Input::PutRolePolicy(request) => {
            roles::put_policy(context, *request).await?;
            Output::PutRolePolicy
        }
        Input::TagRole(_) => return Err(not_supported("TagRole")),
        Input::UntagRole(_) => return Err(not_supported("UntagRole")),
        Input::UpdateAssumeRolePolicy(_) => return Err(not_supported("UpdateAssumeRolePolicy")),
        Input::UpdateRole(_) => return Err(not_supported("UpdateRole")),
        Input::UpdateRoleDescription(_) => return Err(not_supported("UpdateRoleDescription")),
    })
}

/// Roles are not changed after they were created, but for their policies.
fn not_supported(operation: &'static str) -> Failure {
    Failure::Wire(WireError::NotSupported { operation })
}
