//! The control plane over real stores and a simulated launcher: no root, no network, no server.

mod content;
mod crash;
mod functions;
mod identity;
mod invoke;
mod roles;
mod support;
mod tags;
