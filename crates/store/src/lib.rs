//! All persistence: metadata, blobs, logs, sealed secrets, behind traits with one contract suite.
