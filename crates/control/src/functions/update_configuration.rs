//! `UpdateFunctionConfiguration`.

use bojagi_model::{Error, Function, Result};

use super::UpdateFunctionConfiguration;
use crate::{Caller, Control};

impl Control {
    /// `UpdateFunctionConfiguration`.
    ///
    /// # Errors
    /// AWS's for every case: no such function, an update under way, the revision id does not match, …
    pub async fn update_function_configuration(
        &self,
        _caller: &Caller,
        _command: UpdateFunctionConfiguration,
    ) -> Result<Function> {
        Err(Error::service("not there yet"))
    }
}
