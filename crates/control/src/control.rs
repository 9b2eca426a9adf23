//! The control plane as one value, shared by every front door.

/// The control plane. Held in an `Arc`; every operation is a method, in the file of its resource.
pub struct Control {}
