//! Tags of functions: `ListTags`, `TagResource`, `UntagResource`.

use std::collections::BTreeMap;

use bojagi_model::{Error, Result};

use crate::{Caller, Control};

impl Control {
    /// `ListTags` of a function's ARN.
    ///
    /// # Errors
    /// The ARN names a version or alias, or no function.
    pub async fn list_tags(&self, _caller: &Caller, _resource: &str) -> Result<BTreeMap<String, String>> {
        Err(Error::service("not there yet"))
    }

    /// `TagResource`.
    ///
    /// # Errors
    /// As [`Control::list_tags`]; too many tags; a reserved key.
    pub async fn tag_resource(&self, _caller: &Caller, _resource: &str, _tags: BTreeMap<String, String>) -> Result<()> {
        Err(Error::service("not there yet"))
    }

    /// `UntagResource`.
    ///
    /// # Errors
    /// As [`Control::list_tags`].
    pub async fn untag_resource(&self, _caller: &Caller, _resource: &str, _keys: &[String]) -> Result<()> {
        Err(Error::service("not there yet"))
    }
}
