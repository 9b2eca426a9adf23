//! Every limit, named in one place with its unit, and AWS's figure as the default.
//!
//! Figures are from AWS's "Lambda quotas" page unless a field says otherwise. The operator can raise any of them
//! (`--limit zipped-bytes=1GiB`); AWS's own are the default, so that what is accepted here is accepted there.

use serde::{Deserialize, Serialize};

/// The limits in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// A .zip archive uploaded in a request, in bytes.
    pub zipped_bytes: u64,
    /// A package unzipped, with its layers, in bytes.
    pub unzipped_bytes: u64,
    /// Entries in one .zip archive. AWS publishes no figure; this bounds memory.
    pub zip_entries: u64,
    /// A whole CreateFunction or UpdateFunctionCode request, in bytes (recorded from AWS's error message).
    pub code_request_bytes: u64,
    /// A whole UpdateFunctionConfiguration request, in bytes.
    pub configuration_request_bytes: u64,
    /// The code storage of one account and region, unzipped, in bytes.
    pub code_storage_bytes: u64,
    /// The environment variables of one function together, as JSON, in bytes.
    pub environment_bytes: u64,
    /// The payload of a synchronous invocation, each way, in bytes. The response's figure is recorded from AWS's
    /// error message.
    pub payload_bytes: u64,
    /// Layers of one function.
    pub layers: u32,
    /// Concurrent executions of one account and region.
    pub concurrent_executions: u32,
    /// Processes and threads of one execution environment.
    pub processes: u32,
    /// File descriptors of one process in an execution environment.
    pub file_descriptors: u32,
    /// The Init phase, in milliseconds ("Lambda execution environment lifecycle").
    pub init_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            zipped_bytes: 52_428_800,
            unzipped_bytes: 262_144_000,
            zip_entries: 500_000,
            code_request_bytes: 70_167_211,
            configuration_request_bytes: 5_120,
            code_storage_bytes: 300 << 30,
            environment_bytes: 4_096,
            payload_bytes: 6_291_556,
            layers: 5,
            concurrent_executions: 1_000,
            processes: 1_024,
            file_descriptors: 1_024,
            init_ms: 10_000,
        }
    }
}
