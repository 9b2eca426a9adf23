//! `GetFunction`, `GetFunctionConfiguration`, `ListFunctions`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bojagi_model::{AccountId, Digest, Error, ErrorKind, Function, FunctionName, Qualifier, Result, Version};
use bojagi_store::Blob;

use super::{FunctionDetails, FunctionsPage, ListFunctions, Target, target};
use crate::{Caller, Control};

/// "ListFunctions returns a maximum of 50 items in each response, even if you set the number higher."
const PAGE: u32 = 50;

impl Control {
    /// `GetFunction`.
    ///
    /// # Errors
    /// No such function or version.
    pub async fn get_function(&self, caller: &Caller, target: Target) -> Result<FunctionDetails> {
        let function = self.find(caller, &target, "GetFunction").await?;
        let tags = self.config.metadata.tags(&function.arn).await?;
        // It was deleted between the two reads.
        let tags = tags.ok_or_else(|| target::not_found(&function.arn, None))?;
        Ok(FunctionDetails { archive: function.package.code_sha256, function, tags })
    }

    /// `GetFunctionConfiguration`.
    ///
    /// # Errors
    /// No such function or version.
    pub async fn get_function_configuration(&self, caller: &Caller, target: Target) -> Result<Function> {
        self.find(caller, &target, "GetFunctionConfiguration").await
    }

    /// `ListFunctions`.
    ///
    /// # Errors
    /// The marker is not one of ours.
    pub async fn list_functions(&self, caller: &Caller, command: ListFunctions) -> Result<FunctionsPage> {
        let limit = command.max_items.unwrap_or(PAGE).clamp(1, PAGE);
        let after = command.marker.as_deref().map(parse_marker).transpose()?;
        let mut functions = self
            .config
            .metadata
            .list_functions(caller.account(), &caller.region, command.all_versions, after.as_ref(), limit + 1)
            .await?;
        let more = functions.len() > limit as usize;
        functions.truncate(limit as usize);
        let next_marker = functions.last().filter(|_| more).map(marker);
        Ok(FunctionsPage { functions, next_marker })
    }

    /// The bytes behind `Code.Location`: the archive, when a function of that account still has it.
    ///
    /// # Errors
    /// No function of the account has this archive.
    pub async fn open_archive(&self, account: AccountId, archive: Digest) -> Result<Blob> {
        let gone = || Error::new(ErrorKind::ResourceNotFound, "The resource you requested does not exist.");
        if !self.config.metadata.account_has_archive(account, archive).await? {
            return Err(gone());
        }
        self.config.blobs.open(archive).await?.ok_or_else(gone)
    }
}

/// Where a page ended: name and version, in letters that mean nothing to a client.
fn marker(last: &Function) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}:{}", last.arn.name, last.version))
}

fn parse_marker(marker: &str) -> Result<(FunctionName, Version)> {
    let parsed = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(marker).ok()?).ok()?;
        let (name, version) = text.split_once(':')?;
        match version.parse().ok()? {
            Qualifier::Version(version) => Some((name.parse().ok()?, version)),
            Qualifier::Alias(_) => None,
        }
    };
    parsed().ok_or_else(|| Error::new(ErrorKind::InvalidParameterValue, "The provided Marker is not valid."))
}
