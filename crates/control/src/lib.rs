//! The control plane: one file per resource, the same names as in the stores and at the front doors.
//!
//! What always holds here:
//! - Requests arrive parsed: names, ARNs and modelled constraints were checked at the front door. What is checked here is
//!   what needs the state of the installation, in the order and the words of AWS.
//! - A change is acknowledged only after the metadata store has committed it, and the blobs it names are durable before that.
//! - Nothing here knows a wire format. Failures are [`bojagi_model::Error`].
//! - Background work belongs to [`reconcile`]: idempotent, woken by a signal and by a timer.

pub mod account_settings;
pub mod base_images;
pub mod caller;
pub mod clock;
mod control;
pub mod functions;
pub mod identity;
mod ingest;
pub mod invoke;
mod pins;
pub mod reconcile;
mod reset;
pub mod roles;
pub mod session_tokens;
pub mod tags;

pub use caller::Caller;
pub use clock::{Clock, SystemClock};
pub use control::{Control, ControlConfig};
pub use session_tokens::FunctionCredentials;
