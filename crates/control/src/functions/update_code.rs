//! `UpdateFunctionCode`.

use bojagi_model::{Error, ErrorKind, Function, Result, runtime};

use super::{UpdateFunctionCode, create, target};
use crate::{Caller, Control};

impl Control {
    /// `UpdateFunctionCode`. The code before serves until the update is `Successful`.
    ///
    /// # Errors
    /// AWS's for every case: no such function, an update under way, the revision id does not match, the archive is bad, …
    pub async fn update_function_code(&self, caller: &Caller, command: UpdateFunctionCode) -> Result<Function> {
        let arn = target::locate_latest(caller, &command.function, "UpdateFunctionCode")?;
        let architecture = create::architecture(&command.architectures)?;
        let latest = self.latest_to_update(&arn, command.revision_id.as_deref()).await?;
        if command.code.image_uri.is_some() {
            let message = "Please don't provide ImageUri when updating a function with packageType Zip.";
            return Err(Error::new(ErrorKind::InvalidParameterValue, message));
        }
        runtime::accepted(&latest.configuration.runtime)?;
        let archive = create::archive(command.code)?;
        let architecture = architecture.unwrap_or(latest.architecture);
        if command.dry_run {
            let package = self.ingest_nothing(caller, archive).await?;
            return Ok(Function { package, architecture, ..latest });
        }

        let _content = self.content.read().await;
        let stored = self.ingest(caller, archive).await?;
        let updated = Function { package: stored.package.clone(), architecture, ..latest };
        let updated = self.commit_update(updated, command.publish).await;
        self.orphans.notify_one();
        updated
    }
}
