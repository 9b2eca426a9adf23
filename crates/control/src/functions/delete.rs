//! `DeleteFunction`.

use bojagi_model::{Error, ErrorKind, Qualifier, Result, Version};

use super::{Target, target};
use crate::{Caller, Control};

impl Control {
    /// Deletes a function with all its versions, or the one published version that the qualifier names. A version that is not there is no
    /// error, a function that is not there is.
    ///
    /// # Errors
    /// No such function, or the qualifier is `$LATEST`.
    pub async fn delete_function(&self, caller: &Caller, target: Target) -> Result<()> {
        let (arn, qualifier) = target.locate(caller, "DeleteFunction")?;
        match &qualifier {
            None => {
                let versions = self.config.metadata.delete_function(&arn).await?;
                if versions.is_empty() {
                    return Err(target::not_found(&arn, None));
                }
                for version in versions {
                    self.withdraw(&arn, version, None);
                }
            }
            Some(Qualifier::Version(Version::Latest)) => {
                let message = "$LATEST version cannot be deleted without deleting the function.";
                return Err(Error::new(ErrorKind::InvalidParameterValue, message));
            }
            Some(Qualifier::Version(version @ Version::Number(number))) => {
                if self.config.metadata.function(&arn, Version::Latest).await?.is_none() {
                    return Err(target::not_found(&arn, qualifier.as_ref()));
                }
                if self.config.metadata.delete_function_version(&arn, *number).await? {
                    self.withdraw(&arn, *version, None);
                }
            }
            Some(Qualifier::Alias(_)) => return Err(target::not_found(&arn, qualifier.as_ref())),
        }
        self.orphans.notify_one();
        Ok(())
    }
}
