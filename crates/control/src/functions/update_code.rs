//! `UpdateFunctionCode`.

use bojagi_model::{Error, Function, Result};

use super::UpdateFunctionCode;
use crate::{Caller, Control};

impl Control {
    /// `UpdateFunctionCode`.
    ///
    /// # Errors
    /// AWS's for every case: no such function, an update under way, the revision id does not match, the archive is bad, …
    pub async fn update_function_code(&self, _caller: &Caller, _command: UpdateFunctionCode) -> Result<Function> {
        Err(Error::service("not there yet"))
    }
}
