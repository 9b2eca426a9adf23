//! Which function a request names, and AWS's answers when it names none.

use bojagi_model::{Error, ErrorKind, Function, FunctionArn, FunctionReference, Qualifier, Result, Version};

use super::Target;
use crate::{Caller, Control};

impl Target {
    /// Whether the request names a qualifier, in either place.
    pub fn is_qualified(&self) -> bool {
        self.qualifier.is_some() || self.function.qualifier.is_some()
    }

    /// The function and, when one is named, the qualifier: at the name's end, beside it, or the same at both.
    ///
    /// # Errors
    /// Another region or account; two qualifiers that differ.
    pub(crate) fn locate(&self, caller: &Caller, operation: &str) -> Result<(FunctionArn, Option<Qualifier>)> {
        let arn = locate(caller, &self.function, operation)?;
        let qualifier = match (&self.function.qualifier, &self.qualifier) {
            (Some(derived), Some(given)) if derived != given => {
                let message = "The derived qualifier from the function name does not match the specified qualifier.";
                return Err(Error::new(ErrorKind::InvalidParameterValue, message));
            }
            (derived, given) => given.as_ref().or(derived.as_ref()).cloned(),
        };
        Ok((arn, qualifier))
    }
}

/// The function's full name, when it is the caller's and of this region.
///
/// # Errors
/// Another region or account.
pub(crate) fn locate(caller: &Caller, function: &FunctionReference, operation: &str) -> Result<FunctionArn> {
    if let Some(region) = &function.region
        && *region != caller.region
    {
        let message = format!("Functions from '{region}' are not reachable in this region ('{}')", caller.region);
        return Err(Error::new(ErrorKind::ResourceNotFound, message));
    }
    let arn =
        FunctionArn { account: function.account.unwrap_or(caller.account()), ..caller.function_arn(&function.name) };
    if arn.account != caller.account() {
        return Err(not_authorised(caller, operation, &arn.to_string()));
    }
    Ok(arn)
}

/// AWS's sentence for a resource of another account without a policy that lets the caller in.
pub(crate) fn not_authorised(caller: &Caller, operation: &str, resource: &str) -> Error {
    let message = format!(
        "User: {} is not authorized to perform: lambda:{operation} on resource: {resource} because no resource-based policy \
         allows the lambda:{operation} action",
        caller.principal.arn
    );
    Error::new(ErrorKind::AccessDenied, message)
}

/// The function's full name for an operation that changes `$LATEST` only.
///
/// # Errors
/// As [`locate`]; a version or alias is named.
pub(crate) fn locate_latest(caller: &Caller, function: &FunctionReference, operation: &str) -> Result<FunctionArn> {
    match function.qualifier {
        None | Some(Qualifier::Version(Version::Latest)) => locate(caller, function, operation),
        Some(_) => Err(Error::new(
            ErrorKind::InvalidParameterValue,
            "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. Please \
             specify either a function name or an unqualified function ARN.",
        )),
    }
}

/// `Function not found: ARN`, with the qualifier when the request named one.
pub(crate) fn not_found(arn: &FunctionArn, qualifier: Option<&Qualifier>) -> Error {
    let message = match qualifier {
        Some(qualifier) => format!("Function not found: {}", arn.qualified(qualifier)),
        None => format!("Function not found: {arn}"),
    };
    Error::new(ErrorKind::ResourceNotFound, message)
}

impl Control {
    /// The version that a request names.
    ///
    /// # Errors
    /// No such function or version; another region or account.
    pub(crate) async fn find(&self, caller: &Caller, target: &Target, operation: &str) -> Result<Function> {
        let (arn, qualifier) = target.locate(caller, operation)?;
        let version = version_of(&arn, qualifier.as_ref())?;
        let found = self.config.metadata.function(&arn, version).await?;
        found.ok_or_else(|| not_found(&arn, qualifier.as_ref()))
    }
}

/// The version that a qualifier means. There are no aliases yet, so that one is never found.
///
/// # Errors
/// No such alias.
pub(crate) fn version_of(arn: &FunctionArn, qualifier: Option<&Qualifier>) -> Result<Version> {
    match qualifier {
        None => Ok(Version::Latest),
        Some(Qualifier::Version(version)) => Ok(*version),
        Some(Qualifier::Alias(_)) => Err(not_found(arn, qualifier)),
    }
}
