//! The data plane: execution environments, Runtime API, pools and admission.
//!
//! It sees an immutable version and a payload; it knows no alias, no bucket, no wire format of a front door.

mod admission;
mod cold;
pub mod config;
pub mod deployable;
pub mod engine;
mod environment;
pub mod invocation;
mod pools;
mod runtime_api;

pub use cold::check_architecture;
pub use config::{EndpointServer, EngineConfig, LogEvent, LogOrigin, LogSink, Statistics, host_resolvers};
pub use deployable::{CredentialSource, Deployable};
pub use engine::Engine;
pub use environment::variables::RESERVED as RESERVED_VARIABLES;
pub use invocation::{FunctionError, Invocation, Outcome};
// What a deployable is made of, for who makes one without knowing sandboxes.
pub use bojagi_sandbox::spec::{CodeImage, CodeImageForm, Mount};
