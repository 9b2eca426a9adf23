//! IAM roles: plain records, so that tools that create a role first keep going.

use std::collections::BTreeMap;

use bojagi_model::identity::Role;
use bojagi_model::{Error, Result};

use crate::{Caller, Control};

/// `CreateRole`.
#[derive(Clone, Debug)]
pub struct CreateRole {
    /// `Path`; `/` when left out.
    pub path: Option<String>,
    /// `RoleName`.
    pub name: String,
    /// `AssumeRolePolicyDocument`.
    pub assume_role_policy_document: String,
    /// `Description`.
    pub description: Option<String>,
    /// `MaxSessionDuration`, in seconds; 3,600 when left out.
    pub max_session_duration_seconds: Option<u32>,
    /// `Tags`.
    pub tags: BTreeMap<String, String>,
}

/// One page of names or records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Goes into the next request when there is more (`IsTruncated`).
    pub next_marker: Option<String>,
}

/// Which page: `Marker` and `MaxItems`.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// `Marker` from the page before.
    pub marker: Option<String>,
    /// `MaxItems`; 100 when left out.
    pub max_items: Option<u32>,
}

impl Control {
    /// `CreateRole`.
    ///
    /// # Errors
    /// The name is taken; the trust policy is no JSON.
    pub async fn create_role(&self, _caller: &Caller, _command: CreateRole) -> Result<Role> {
        Err(Error::service("not there yet"))
    }

    /// `GetRole`.
    ///
    /// # Errors
    /// No such role.
    pub async fn get_role(&self, _caller: &Caller, _name: &str) -> Result<Role> {
        Err(Error::service("not there yet"))
    }

    /// `DeleteRole`.
    ///
    /// # Errors
    /// No such role; it still has policies.
    pub async fn delete_role(&self, _caller: &Caller, _name: &str) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// `ListRoles` whose path starts with the prefix.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_roles(
        &self,
        _caller: &Caller,
        _path_prefix: Option<&str>,
        _page: PageRequest,
    ) -> Result<Page<Role>> {
        Err(Error::service("not there yet"))
    }

    /// `AttachRolePolicy`.
    ///
    /// # Errors
    /// No such role; the ARN is none.
    pub async fn attach_role_policy(&self, _caller: &Caller, _role: &str, _policy_arn: &str) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// `DetachRolePolicy`.
    ///
    /// # Errors
    /// No such role; the policy is not attached.
    pub async fn detach_role_policy(&self, _caller: &Caller, _role: &str, _policy_arn: &str) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// `PutRolePolicy`.
    ///
    /// # Errors
    /// No such role; the document is no JSON.
    pub async fn put_role_policy(&self, _caller: &Caller, _role: &str, _policy: &str, _document: &str) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// `GetRolePolicy`: the document.
    ///
    /// # Errors
    /// No such role or policy.
    pub async fn get_role_policy(&self, _caller: &Caller, _role: &str, _policy: &str) -> Result<String> {
        Err(Error::service("not there yet"))
    }

    /// `DeleteRolePolicy`.
    ///
    /// # Errors
    /// No such role or policy.
    pub async fn delete_role_policy(&self, _caller: &Caller, _role: &str, _policy: &str) -> Result<()> {
        Err(Error::service("not there yet"))
    }
}
