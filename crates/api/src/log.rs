//! One line per request, written where it ends; an error's whole chain is written there and nowhere else.

use std::error::Error;
use std::fmt;
use std::time::Instant;

use bojagi_model::AccountId;
use http::StatusCode;

/// What became known of a request on its way, for its line in the log.
#[derive(Debug, Default)]
pub struct Record {
    /// The service's name in the credential scope.
    pub service: Option<&'static str>,
    /// The operation.
    pub operation: Option<&'static str>,
    /// Whose it is.
    pub account: Option<AccountId>,
    /// The error code that the client sees.
    pub code: Option<String>,
    /// The message and its causes.
    pub error: Option<String>,
}

impl Record {
    /// Notes a failure with all its causes.
    pub fn fail(&mut self, code: &str, error: &(dyn Error + 'static)) {
        self.code = Some(code.to_owned());
        self.error = Some(chain(error).to_string());
    }

    /// Writes the line. Failures of this machine are errors, refusals and successes are not.
    pub fn write(&self, method: &http::Method, path: &str, status: StatusCode, started: Instant) {
        let duration_ms = started.elapsed().as_secs_f64() * 1e3;
        let service = self.service.unwrap_or("-");
        let operation = self.operation.unwrap_or("-");
        let account = self.account.as_ref().map_or("-", AccountId::as_str);
        let status = status.as_u16();
        match (&self.error, status) {
            (Some(error), 500..) => {
                let code = self.code.as_deref();
                tracing::error!(%method, path, service, operation, account, status, duration_ms, code, error, "request");
            }
            (Some(error), _) => {
                let code = self.code.as_deref();
                tracing::info!(%method, path, service, operation, account, status, duration_ms, code, error, "request");
            }
            (None, _) => tracing::info!(%method, path, service, operation, account, status, duration_ms, "request"),
        }
    }
}

/// An error and its causes, in one line.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    Chain(error)
}

struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
