//! Functions: what `CreateFunction` makes and an invocation runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Architecture, Digest, FunctionArn, Version};

/// The `State` of a function, as the Lambda API spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Being made ready; it cannot be invoked.
    Pending,
    /// Ready.
    Active,
    /// Not ready because it was not used for long; the next invocation starts making it ready.
    Inactive,
    /// It could not be made ready.
    Failed,
}

/// The `LastUpdateStatus` of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LastUpdateStatus {
    /// The update is what runs now.
    Successful,
    /// The update did not happen; what ran before still runs.
    Failed,
    /// The update is under way; what ran before still runs.
    InProgress,
}

/// The `TracingConfig.Mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TracingMode {
    /// Trace when the caller asks for it; the default.
    #[default]
    PassThrough,
    /// Sample by itself.
    Active,
}

/// A .zip deployment package after ingestion: what Lambda reports of it, and where its two forms are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZipPackage {
    /// SHA-256 of the archive's bytes; in base64 it is `CodeSha256`. Also the name of the archive among the blobs.
    pub code_sha256: Digest,
    /// Size of the archive in bytes: `CodeSize`.
    pub code_size: u64,
    /// The code image made of it.
    pub image: Digest,
    /// Sum of the sizes of the files in it, in bytes; what the unzipped limit counts.
    pub unzipped_bytes: u64,
}

/// Everything that `UpdateFunctionConfiguration` can change. Defaults are AWS's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionConfiguration {
    /// The runtime's identifier, such as `python3.13`.
    pub runtime: String,
    /// The handler, such as `app.handler`.
    pub handler: String,
    /// ARN of the execution role.
    pub role: String,
    /// Free text, empty when not given.
    pub description: String,
    /// `Timeout`, in seconds.
    pub timeout_seconds: u32,
    /// `MemorySize`, in MiB.
    pub memory_mib: u32,
    /// `EphemeralStorage.Size`, in MiB: the room in `/tmp`.
    pub ephemeral_storage_mib: u32,
    /// The user's environment variables. Sealed at rest.
    pub environment: Option<BTreeMap<String, String>>,
    /// `TracingConfig.Mode`.
    pub tracing: TracingMode,
    /// ARNs of the layer versions, in order.
    pub layers: Vec<String>,
    /// `LoggingConfig`, with Lambda's defaults filled in.
    pub logging: LoggingConfig,
    /// `DeadLetterConfig.TargetArn`.
    pub dead_letter_target: Option<String>,
    /// `KMSKeyArn`: kept and returned.
    pub kms_key_arn: Option<String>,
    /// `SnapStart.ApplyOn`: kept and returned.
    pub snap_start_apply_on: String,
    /// `VpcConfig`: kept and returned, without effect; the sandbox's network is the operator's choice.
    pub vpc: Option<VpcConfig>,
}

/// `LoggingConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggingConfig {
    /// `LogFormat`: `Text` or `JSON`.
    pub format: String,
    /// `ApplicationLogLevel`, for JSON only.
    pub application_level: Option<String>,
    /// `SystemLogLevel`, for JSON only.
    pub system_level: Option<String>,
    /// `LogGroup`: `/aws/lambda/NAME` unless given.
    pub log_group: String,
}

/// `VpcConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpcConfig {
    /// `SubnetIds`.
    pub subnet_ids: Vec<String>,
    /// `SecurityGroupIds`.
    pub security_group_ids: Vec<String>,
    /// `Ipv6AllowedForDualStack`.
    pub ipv6_allowed_for_dual_stack: bool,
}

/// One version of a function with its code: an immutable snapshot. An update makes a new one with a new revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its full name.
    pub arn: FunctionArn,
    /// `$LATEST`, or the number it was published under.
    pub version: Version,
    /// Changes with every update: `RevisionId`.
    pub revision_id: Uuid,
    /// `LastModified`.
    #[serde(with = "time::serde::rfc3339")]
    pub last_modified: OffsetDateTime,
    /// Its configuration.
    pub configuration: FunctionConfiguration,
    /// Its code.
    pub package: ZipPackage,
    /// `Architectures`, of which Lambda accepts exactly one.
    pub architecture: Architecture,
    /// `State`.
    pub state: State,
    /// `StateReason` and `StateReasonCode`, when the state has one.
    pub state_reason: Option<(String, String)>,
    /// `LastUpdateStatus`.
    pub last_update_status: LastUpdateStatus,
    /// `LastUpdateStatusReason` and its code.
    pub last_update_status_reason: Option<(String, String)>,
}

impl Function {
    /// The ARN as Lambda reports it to whoever named a qualifier, or asked for all versions: always with the version.
    pub fn qualified_arn(&self) -> String {
        self.arn.qualified(self.version)
    }

    /// The ARN as Lambda reports it: with the number for a published version, without a qualifier for `$LATEST`.
    pub fn function_arn(&self) -> String {
        match self.version {
            Version::Latest => self.arn.to_string(),
            Version::Number(number) => self.arn.qualified(number),
        }
    }
}
