//! The engine from its front, on simulated sandboxes: in one half the test plays the runtime, in the other real processes do.

mod capacity;
mod failures;
mod lifecycle;
mod processes;
mod protocol;
mod support;
