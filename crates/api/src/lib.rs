//! The front doors, all on one port: Lambda, STS, IAM and Bojagi's own paths.
//!
//! What always holds here:
//! - A request is authenticated, and its account known, before any other work is done for it; the exceptions are listed in [`own`].
//! - The door is found by the service in the credential scope, then by path, never by the body.
//! - A handler takes a typed request, calls one operation of `control`, and returns a typed answer or an error.
//! - Every answer carries a request id, and every request ends in one line of the log with that id.
//! - No body is read beyond its operation's limit, and none is held twice.

mod authentication;
mod body;
pub mod config;
mod context;
mod dispatch;
mod errors;
mod front;
pub mod hosts;
mod iam;
mod lambda;
mod log;
pub mod own;
pub mod server;
mod sts;
pub mod tls;

pub use config::ServerConfig;
pub use hosts::HostNames;
pub use server::{Connection, Endpoint, Server};
