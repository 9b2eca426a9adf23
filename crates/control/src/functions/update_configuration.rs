//! `UpdateFunctionConfiguration`.

use bojagi_model::{Function, Result};

use super::{UpdateFunctionConfiguration, configuration, target};
use crate::{Caller, Control};

impl Control {
    /// `UpdateFunctionConfiguration`. The configuration before serves until the update is `Successful`.
    ///
    /// # Errors
    /// AWS's for every case: no such function, an update under way, the revision id does not match, …
    pub async fn update_function_configuration(
        &self,
        caller: &Caller,
        command: UpdateFunctionConfiguration,
    ) -> Result<Function> {
        let arn = target::locate_latest(caller, &command.function, "UpdateFunctionConfiguration")?;
        let mut latest = self.latest_to_update(&arn, command.revision_id.as_deref()).await?;
        configuration::apply(&mut latest.configuration, command.configuration, &arn, &self.config.limits)?;
        let updated = self.commit_update(latest, false).await?;
        self.config.base_images.prepare(&updated.configuration.runtime, updated.architecture);
        Ok(updated)
    }
}
