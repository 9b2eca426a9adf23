//! The data plane: execution environments, Runtime API, pools and admission.
//!
//! It sees an immutable version and a payload; it knows no alias, no bucket, no wire format of a front door.

pub mod deployable;
pub mod invocation;

pub use deployable::{CredentialSource, Deployable};
pub use invocation::{FunctionError, Invocation, Outcome};
