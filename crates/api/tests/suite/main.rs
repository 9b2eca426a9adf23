//! The front doors over a real control plane and a simulated launcher: no root, no network but loopback.

mod connections;
mod functions;
mod hosts;
mod invoke;
mod limits;
mod operations;
mod own;
mod roles;
mod signatures;
mod support;
