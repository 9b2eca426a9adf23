//! `CreateFunction`.

use bojagi_model::{Error, Function, Result};

use super::CreateFunction;
use crate::{Caller, Control};

impl Control {
    /// Makes a function; it answers `Pending` and becomes `Active` in the background.
    ///
    /// # Errors
    /// AWS's for every case: the name is taken, the runtime is not accepted, the archive is bad, …
    pub async fn create_function(&self, _caller: &Caller, _command: CreateFunction) -> Result<Function> {
        Err(Error::service("not there yet"))
    }
}
