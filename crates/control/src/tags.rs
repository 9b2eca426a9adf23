//! Tags of functions: `ListTags`, `TagResource`, `UntagResource`.

use std::collections::BTreeMap;

use bojagi_model::{Error, ErrorKind, FunctionArn, FunctionReference, Result};
use bojagi_store::StoreError;

use crate::functions::target;
use crate::{Caller, Control};

/// "Maximum number of tags per resource: 50."
const MOST: usize = 50;

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameterValue, message)
}

/// The rules for a resource's tags, all together.
///
/// # Errors
/// Too many, or a key that is AWS's own.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    if tags.len() > MOST {
        return Err(invalid("Number of tags exceeds resource tag limit."));
    }
    if tags.keys().any(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
    }
    Ok(())
}

/// The function that a tagging operation's ARN names.
///
/// # Errors
/// It names a version or alias, another kind of resource, another region or account.
fn function_of(caller: &Caller, resource: &str, operation: &str) -> Result<FunctionArn> {
    let not_found = |what: String| Err(Error::new(ErrorKind::ResourceNotFound, what));
    match resource.split(':').nth(5) {
        Some("function") => {}
        Some("event-source-mapping") => return not_found(format!("Event source mapping not found: {resource}")),
        Some("capacity-provider") => return not_found(format!("Capacity provider not found: {resource}")),
        _ => return not_found("The resource you requested does not exist.".to_owned()),
    }
    let function: FunctionReference = resource.parse()?;
    if function.qualifier.is_some() {
        return Err(invalid("Tags on function aliases and versions are not supported. Please specify a function ARN."));
    }
    target::locate(caller, &function, operation)
}

impl Control {
    /// `ListTags` of a function's ARN.
    ///
    /// # Errors
    /// The ARN names a version or alias, or no function.
    pub async fn list_tags(&self, caller: &Caller, resource: &str) -> Result<BTreeMap<String, String>> {
        let arn = function_of(caller, resource, "ListTags")?;
        self.config.metadata.tags(&arn).await?.ok_or_else(|| target::not_found(&arn, None))
    }

    /// `TagResource`.
    ///
    /// # Errors
    /// As [`Control::list_tags`]; too many tags; a reserved key.
    pub async fn tag_resource(&self, caller: &Caller, resource: &str, tags: BTreeMap<String, String>) -> Result<()> {
        let arn = function_of(caller, resource, "TagResource")?;
        self.change_tags(&arn, |before| {
            let mut after = before.clone();
            after.extend(tags.clone());
            check_tags(&after).map(|()| after)
        })
        .await
    }

    /// `UntagResource`. A key that is not there is fine.
    ///
    /// # Errors
    /// As [`Control::list_tags`].
    pub async fn untag_resource(&self, caller: &Caller, resource: &str, keys: &[String]) -> Result<()> {
        let arn = function_of(caller, resource, "UntagResource")?;
        self.change_tags(&arn, |before| {
            let mut after = before.clone();
            after.retain(|key, _| !keys.contains(key));
            Ok(after)
        })
        .await
    }

    /// Reads, changes, and writes if nobody has written meanwhile; else again.
    async fn change_tags(
        &self,
        arn: &FunctionArn,
        change: impl Fn(&BTreeMap<String, String>) -> Result<BTreeMap<String, String>>,
    ) -> Result<()> {
        loop {
            let before = self.config.metadata.tags(arn).await?.ok_or_else(|| target::not_found(arn, None))?;
            match self.config.metadata.replace_tags(arn, &before, &change(&before)?).await {
                Err(StoreError::Changed) => {}
                done => return Ok(done?),
            }
        }
    }
}
