//! What a handler knows beside its typed request.

use std::sync::Arc;

use bojagi_control::{Caller, Control};
use bojagi_model::{Digest, Function};

use crate::own::code::CodeLinks;

/// A verified request's surroundings.
#[derive(Clone)]
pub struct Context {
    /// The operations.
    pub control: Arc<Control>,
    /// Who asks.
    pub caller: Caller,
    /// `X-Amzn-Trace-Id`, passed along.
    pub trace_id: Option<String>,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The `Host` header: how the client reaches this server.
    pub host: String,
    /// Signs the links to packages.
    pub links: Arc<CodeLinks>,
}

impl Context {
    /// `Code.Location`: a link to the archive on this very server, good for ten minutes.
    pub fn code_url(&self, function: &Function, archive: Digest) -> String {
        let path = self.links.sign(self.caller.account(), &function.arn.name, archive);
        format!("{}://{}{path}", self.scheme, self.host)
    }
}
