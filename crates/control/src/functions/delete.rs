//! `DeleteFunction`.

use bojagi_model::{Error, Result};

use super::Target;
use crate::{Caller, Control};

impl Control {
    /// Deletes a function with all its versions, or the one published version that the qualifier names.
    ///
    /// # Errors
    /// No such function, or the qualifier is `$LATEST`.
    pub async fn delete_function(&self, _caller: &Caller, _target: Target) -> Result<()> {
        Err(Error::service("not there yet"))
    }
}
