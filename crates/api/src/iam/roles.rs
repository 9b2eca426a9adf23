//! Roles and their policies.

use std::collections::BTreeMap;

use bojagi_aws::iam::types;
use bojagi_control::roles::{CreateRole, PageRequest};
use bojagi_model::Result;
use bojagi_model::identity::Role;

use crate::context::Context;
use crate::lambda::conversion::small;

/// `CreateRole`.
pub async fn create(context: &Context, request: types::CreateRoleRequest) -> Result<types::CreateRoleResponse> {
    let command = CreateRole {
        path: request.path,
        name: request.role_name.unwrap_or_default(),
        assume_role_policy_document: request.assume_role_policy_document.unwrap_or_default(),
        description: request.description,
        max_session_duration_seconds: request.max_session_duration.and_then(|seconds| u32::try_from(seconds).ok()),
        tags: tags(request.tags),
    };
    let created = context.control.create_role(&context.caller, command).await?;
    Ok(types::CreateRoleResponse { role: Some(role(created)) })
}

/// `GetRole`.
pub async fn get(context: &Context, request: types::GetRoleRequest) -> Result<types::GetRoleResponse> {
    let found = context.control.get_role(&context.caller, &name(request.role_name)).await?;
    // AWS answers RoleLastUsed here, empty where the role was never used.
    let role = types::Role { role_last_used: Some(types::RoleLastUsed::default()), ..role(found) };
    Ok(types::GetRoleResponse { role: Some(role) })
}

/// `DeleteRole`.
pub async fn delete(context: &Context, request: types::DeleteRoleRequest) -> Result<()> {
    context.control.delete_role(&context.caller, &name(request.role_name)).await
}

/// `ListRoles`. Tags are left out, as AWS does.
pub async fn list(context: &Context, request: types::ListRolesRequest) -> Result<types::ListRolesResponse> {
    let page = PageRequest {
        marker: request.marker,
        max_items: request.max_items.and_then(|items| u32::try_from(items).ok()),
    };
    let page = context.control.list_roles(&context.caller, request.path_prefix.as_deref(), page).await?;
    let roles = page.items.into_iter().map(|found| types::Role { tags: None, ..role(found) });
    Ok(types::ListRolesResponse {
        roles: Some(roles.collect()),
        is_truncated: Some(page.next_marker.is_some()),
        marker: page.next_marker,
    })
}

/// `ListRoleTags`.
pub async fn list_tags(context: &Context, request: types::ListRoleTagsRequest) -> Result<types::ListRoleTagsResponse> {
    let found = context.control.get_role(&context.caller, &name(request.role_name)).await?;
    Ok(types::ListRoleTagsResponse {
        tags: Some(wire_tags(found.tags)),
        is_truncated: Some(false),
        ..Default::default()
    })
}

/// `ListInstanceProfilesForRole`: there are none.
pub async fn list_instance_profiles(
    context: &Context,
    request: types::ListInstanceProfilesForRoleRequest,
) -> Result<types::ListInstanceProfilesForRoleResponse> {
    context.control.get_role(&context.caller, &name(request.role_name)).await?;
    Ok(types::ListInstanceProfilesForRoleResponse {
        instance_profiles: Some(Vec::new()),
        is_truncated: Some(false),
        ..Default::default()
    })
}

/// `AttachRolePolicy`.
pub async fn attach_policy(context: &Context, request: types::AttachRolePolicyRequest) -> Result<()> {
    let policy = request.policy_arn.unwrap_or_default();
    context.control.attach_role_policy(&context.caller, &name(request.role_name), &policy).await
}

/// `DetachRolePolicy`.
pub async fn detach_policy(context: &Context, request: types::DetachRolePolicyRequest) -> Result<()> {
    let policy = request.policy_arn.unwrap_or_default();
    context.control.detach_role_policy(&context.caller, &name(request.role_name), &policy).await
}

/// `ListAttachedRolePolicies`.
pub async fn list_attached_policies(
    context: &Context,
    request: types::ListAttachedRolePoliciesRequest,
) -> Result<types::ListAttachedRolePoliciesResponse> {
    let found = context.control.get_role(&context.caller, &name(request.role_name)).await?;
    let attached = found.attached_policies.into_iter().map(|arn| types::AttachedPolicy {
        policy_name: arn.rsplit('/').next().map(str::to_owned),
        policy_arn: Some(arn),
    });
    Ok(types::ListAttachedRolePoliciesResponse {
        attached_policies: Some(attached.collect()),
        is_truncated: Some(false),
        ..Default::default()
    })
}

/// `PutRolePolicy`.
pub async fn put_policy(context: &Context, request: types::PutRolePolicyRequest) -> Result<()> {
    let policy = request.policy_name.unwrap_or_default();
    let document = request.policy_document.unwrap_or_default();
    context.control.put_role_policy(&context.caller, &name(request.role_name), &policy, &document).await
}

/// `GetRolePolicy`.
pub async fn get_policy(
    context: &Context,
    request: types::GetRolePolicyRequest,
) -> Result<types::GetRolePolicyResponse> {
    let (role, policy) = (name(request.role_name), request.policy_name.unwrap_or_default());
    let document = context.control.get_role_policy(&context.caller, &role, &policy).await?;
    Ok(types::GetRolePolicyResponse {
        role_name: Some(role),
        policy_name: Some(policy),
        policy_document: Some(document),
    })
}

/// `DeleteRolePolicy`.
pub async fn delete_policy(context: &Context, request: types::DeleteRolePolicyRequest) -> Result<()> {
    let policy = request.policy_name.unwrap_or_default();
    context.control.delete_role_policy(&context.caller, &name(request.role_name), &policy).await
}

/// `ListRolePolicies`.
pub async fn list_policies(
    context: &Context,
    request: types::ListRolePoliciesRequest,
) -> Result<types::ListRolePoliciesResponse> {
    let found = context.control.get_role(&context.caller, &name(request.role_name)).await?;
    Ok(types::ListRolePoliciesResponse {
        policy_names: Some(found.inline_policies.into_keys().collect()),
        is_truncated: Some(false),
        ..Default::default()
    })
}

/// Validation has made sure that it is there.
fn name(name: Option<String>) -> String {
    name.unwrap_or_default()
}

fn role(role: Role) -> types::Role {
    types::Role {
        arn: Some(role.arn()),
        path: Some(role.path),
        role_name: Some(role.name),
        role_id: Some(role.role_id),
        create_date: Some(role.create_date),
        assume_role_policy_document: Some(role.assume_role_policy_document),
        description: role.description,
        max_session_duration: Some(small(role.max_session_duration_seconds)),
        tags: (!role.tags.is_empty()).then(|| wire_tags(role.tags)),
        ..Default::default()
    }
}

fn tags(tags: Option<Vec<types::Tag>>) -> BTreeMap<String, String> {
    let pair = |tag: types::Tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default());
    tags.unwrap_or_default().into_iter().map(pair).collect()
}

fn wire_tags(tags: BTreeMap<String, String>) -> Vec<types::Tag> {
    tags.into_iter().map(|(key, value)| types::Tag { key: Some(key), value: Some(value) }).collect()
}
