//! The control plane: one file per resource.
