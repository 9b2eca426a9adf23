//! IAM roles: plain records, so that tools that create a role first keep going. No permission is checked against them.

use std::collections::BTreeMap;

use bojagi_model::identity::Role;
use bojagi_model::{Error, ErrorKind, Result};
use bojagi_store::StoreError;

use crate::identity::random_id;
use crate::{Caller, Control};

/// "MaxItems … defaults to 100", and at most 1,000.
const PAGE: u32 = 100;
const LARGEST_PAGE: u32 = 1_000;

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

impl PageRequest {
    fn limit(&self) -> u32 {
        self.max_items.unwrap_or(PAGE).clamp(1, LARGEST_PAGE)
    }
}

fn no_such(message: String) -> Error {
    Error::new(ErrorKind::NoSuchEntity, message)
}

/// IAM keeps no policy document that is not a JSON object.
fn check_document(document: &str) -> Result<()> {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(document) {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Error::new(ErrorKind::MalformedPolicyDocument, "This policy contains invalid Json").with_source(error))
        }
    }
}

/// `arn:PARTITION:iam::ACCOUNT-or-aws:policy/…`.
fn check_policy_arn(arn: &str) -> Result<()> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam", "", _, resource] if resource.starts_with("policy/") => Ok(()),
        // The two spaces are AWS's.
        _ => Err(Error::new(ErrorKind::Validation, "Invalid ARN:  Could not be parsed!")),
    }
}

impl Control {
    /// `CreateRole`.
    ///
    /// # Errors
    /// The name is taken; the trust policy is no JSON.
    pub async fn create_role(&self, caller: &Caller, command: CreateRole) -> Result<Role> {
        check_document(&command.assume_role_policy_document)?;
        let role = Role {
            account: caller.account(),
            path: command.path.unwrap_or_else(|| "/".to_owned()),
            role_id: random_id("AROA")?,
            create_date: self.config.clock.now(),
            assume_role_policy_document: command.assume_role_policy_document,
            description: command.description,
            max_session_duration_seconds: command.max_session_duration_seconds.unwrap_or(3_600),
            tags: command.tags,
            attached_policies: Vec::new(),
            inline_policies: BTreeMap::new(),
            name: command.name,
        };
        match self.config.metadata.create_role(&role).await {
            Ok(()) => Ok(role),
            Err(StoreError::Exists) => {
                let message = format!("Role with name {} already exists.", role.name);
                Err(Error::new(ErrorKind::EntityAlreadyExists, message))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// `GetRole`.
    ///
    /// # Errors
    /// No such role.
    pub async fn get_role(&self, caller: &Caller, name: &str) -> Result<Role> {
        let role = self.config.metadata.role(caller.account(), name).await?;
        role.ok_or_else(|| no_such(format!("The role with name {name} cannot be found.")))
    }

    /// `DeleteRole`.
    ///
    /// # Errors
    /// No such role; it still has policies.
    pub async fn delete_role(&self, caller: &Caller, name: &str) -> Result<()> {
        loop {
            let role = self.get_role(caller, name).await?;
            let conflict = |message: &str| Err(Error::new(ErrorKind::DeleteConflict, message));
            if !role.attached_policies.is_empty() {
                return conflict("Cannot delete entity, must detach all policies first.");
            }
            if !role.inline_policies.is_empty() {
                return conflict("Cannot delete entity, must delete policies first.");
            }
            match self.config.metadata.delete_role(&role).await {
                Err(StoreError::Changed) => {}
                done => return Ok(done?),
            }
        }
    }

    /// `ListRoles` whose path starts with the prefix, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_roles(
        &self,
        caller: &Caller,
        path_prefix: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<Role>> {
        let limit = page.limit();
        let prefix = path_prefix.unwrap_or("/");
        let mut items =
            self.config.metadata.list_roles(caller.account(), prefix, page.marker.as_deref(), limit + 1).await?;
        let more = items.len() > limit as usize;
        items.truncate(limit as usize);
        let next_marker = items.last().filter(|_| more).map(|role| role.name.clone());
        Ok(Page { items, next_marker })
    }

    /// `AttachRolePolicy`. A policy that is attached already is fine.
    ///
    /// # Errors
    /// No such role; the ARN is none.
    pub async fn attach_role_policy(&self, caller: &Caller, role: &str, policy_arn: &str) -> Result<()> {
        check_policy_arn(policy_arn)?;
        // Only AWS's own policies (owner `aws`) exist: there is no CreatePolicy, so no account has any.
        if policy_arn.split(':').nth(4) != Some("aws") {
            return Err(no_such(format!("Policy {policy_arn} does not exist or is not attachable.")));
        }
        self.change_role(caller, role, |role| {
            if !role.attached_policies.iter().any(|attached| attached == policy_arn) {
                role.attached_policies.push(policy_arn.to_owned());
            }
            Ok(())
        })
        .await
    }

    /// `DetachRolePolicy`.
    ///
    /// # Errors
    /// No such role; the policy is not attached.
    pub async fn detach_role_policy(&self, caller: &Caller, role: &str, policy_arn: &str) -> Result<()> {
        check_policy_arn(policy_arn)?;
        self.change_role(caller, role, |role| {
            let before = role.attached_policies.len();
            role.attached_policies.retain(|attached| attached != policy_arn);
            match role.attached_policies.len() == before {
                true => Err(no_such(format!("Policy {policy_arn} was not found."))),
                false => Ok(()),
            }
        })
        .await
    }

    /// `PutRolePolicy`.
    ///
    /// # Errors
    /// No such role; the document is no JSON.
    pub async fn put_role_policy(&self, caller: &Caller, role: &str, policy: &str, document: &str) -> Result<()> {
        check_document(document)?;
        self.change_role(caller, role, |role| {
            role.inline_policies.insert(policy.to_owned(), document.to_owned());
            Ok(())
        })
        .await
    }

    /// `GetRolePolicy`: the document.
    ///
    /// # Errors
    /// No such role or policy.
    pub async fn get_role_policy(&self, caller: &Caller, role: &str, policy: &str) -> Result<String> {
        let mut role = self.get_role(caller, role).await?;
        let document = role.inline_policies.remove(policy);
        document.ok_or_else(|| no_such(format!("The role policy with name {policy} cannot be found.")))
    }

    /// `DeleteRolePolicy`.
    ///
    /// # Errors
    /// No such role or policy.
    pub async fn delete_role_policy(&self, caller: &Caller, role: &str, policy: &str) -> Result<()> {
        self.change_role(caller, role, |role| match role.inline_policies.remove(policy) {
            Some(_) => Ok(()),
            None => Err(no_such(format!("The role policy with name {policy} cannot be found."))),
        })
        .await
    }

    /// Reads, changes, and writes if nobody has written meanwhile; else again.
    async fn change_role(&self, caller: &Caller, name: &str, change: impl Fn(&mut Role) -> Result<()>) -> Result<()> {
        loop {
            let before = self.get_role(caller, name).await?;
            let mut after = before.clone();
            change(&mut after)?;
            match self.config.metadata.replace_role(&before, &after).await {
                Err(StoreError::Changed) => {}
                done => return Ok(done?),
            }
        }
    }
}
