//! Deployment packages: hostile bytes in, verified EROFS code images out.
//!
//! ```text
//! zip    (central directory → checked plan → parallel inflate)  ─┐
//! tree   (a directory on disk, for base images)                  ├→ erofs::writer → one file, deterministic → digest
//! tar    (OCI layers; a later issue)                             ─┘
//! ```
