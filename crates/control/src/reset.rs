//! `reset`: a development server starts over, in under a second whatever it holds.
//!
//! Records go in one transaction; content is moved away with a rename each and deleted in the background. Access keys stay, so that what
//! people have exported goes on working.

use bojagi_model::{Error, ErrorKind, Result};

use crate::{Caller, Control};

impl Control {
    /// Wipes functions, roles, archives, code images and logs of all accounts. Waits for uploads under way.
    ///
    /// # Errors
    /// The server does not accept development keys, or the caller did not use one.
    pub async fn reset(&self, caller: &Caller) -> Result<()> {
        if !self.config.development_keys || !caller.principal.development {
            let message =
                "Reset is for development servers: it needs a development key, and a server that accepts one.";
            return Err(Error::new(ErrorKind::AccessDenied, message));
        }
        let _content = self.content.write().await;
        let _no_collection = self.collecting.lock().await;
        self.config.metadata.reset().await?;
        self.withdraw_all();
        // Two renames; not worth a thread.
        self.config.directory.discard_content()?;
        self.config.logs.reset().await?;
        self.trash.notify_one();
        tracing::info!(request_id = %caller.request_id, "the server was reset");
        Ok(())
    }
}
