//! Functions: created, read, updated, deleted.
//!
//! The commands mirror the members of Lambda's requests, parsed. A member that the client left out is `None`; defaults are
//! filled in here.

mod configuration;
mod create;
mod delete;
mod read;
pub(crate) mod target;
pub(crate) mod transition;
mod update_code;
mod update_configuration;

use std::collections::BTreeMap;

use bojagi_model::function::{TracingMode, VpcConfig};
use bojagi_model::{Architecture, Digest, Function, FunctionReference, Qualifier};
use bytes::Bytes;

/// `PackageType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PackageType {
    /// A .zip archive.
    #[default]
    Zip,
    /// A container image.
    Image,
}

/// Where the code is: `FunctionCode` of CreateFunction, and the same members of UpdateFunctionCode.
#[derive(Clone, Debug, Default)]
pub struct CodeSource {
    /// `ZipFile`, decoded.
    pub zip: Option<Bytes>,
    /// `S3Bucket`, `S3Key`, `S3ObjectVersion`.
    pub s3: Option<S3Location>,
    /// `ImageUri`.
    pub image_uri: Option<String>,
}

/// An object in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Location {
    /// `S3Bucket`.
    pub bucket: Option<String>,
    /// `S3Key`.
    pub key: Option<String>,
    /// `S3ObjectVersion`.
    pub version: Option<String>,
}

/// `LoggingConfig` as requested; what is left out takes Lambda's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoggingRequest {
    /// `LogFormat`.
    pub format: Option<String>,
    /// `ApplicationLogLevel`.
    pub application_level: Option<String>,
    /// `SystemLogLevel`.
    pub system_level: Option<String>,
    /// `LogGroup`.
    pub log_group: Option<String>,
}

/// The configuration members that CreateFunction and UpdateFunctionConfiguration share.
#[derive(Clone, Debug, Default)]
pub struct ConfigurationRequest {
    /// `Runtime`.
    pub runtime: Option<String>,
    /// `Handler`.
    pub handler: Option<String>,
    /// `Role`; the front door requires it for CreateFunction.
    pub role: Option<String>,
    /// `Description`.
    pub description: Option<String>,
    /// `Timeout`, in seconds.
    pub timeout_seconds: Option<u32>,
    /// `MemorySize`, in MiB.
    pub memory_mib: Option<u32>,
    /// `EphemeralStorage.Size`, in MiB.
    pub ephemeral_storage_mib: Option<u32>,
    /// `Environment.Variables`; an empty map removes them all.
    pub environment: Option<BTreeMap<String, String>>,
    /// `TracingConfig.Mode`.
    pub tracing: Option<TracingMode>,
    /// `Layers`; an empty list removes them all.
    pub layers: Option<Vec<String>>,
    /// `LoggingConfig`.
    pub logging: Option<LoggingRequest>,
    /// `DeadLetterConfig.TargetArn`; empty removes it.
    pub dead_letter_target: Option<String>,
    /// `KMSKeyArn`; empty removes it.
    pub kms_key_arn: Option<String>,
    /// `SnapStart.ApplyOn`.
    pub snap_start_apply_on: Option<String>,
    /// `VpcConfig`; without subnets it removes it.
    pub vpc: Option<VpcConfig>,
}

/// `CreateFunction`.
#[derive(Clone, Debug)]
pub struct CreateFunction {
    /// `FunctionName`, in any of its forms.
    pub function: FunctionReference,
    /// `Code`.
    pub code: CodeSource,
    /// `PackageType`.
    pub package_type: Option<PackageType>,
    /// `Architectures`, at most one; x86_64 when empty.
    pub architectures: Vec<Architecture>,
    /// Everything that UpdateFunctionConfiguration can change.
    pub configuration: ConfigurationRequest,
    /// `Publish`: also publish version 1, which is then what the operation returns.
    pub publish: bool,
    /// `Tags`.
    pub tags: BTreeMap<String, String>,
}

/// `UpdateFunctionCode`.
#[derive(Clone, Debug)]
pub struct UpdateFunctionCode {
    /// `FunctionName`.
    pub function: FunctionReference,
    /// `ZipFile` and the alternatives to it.
    pub code: CodeSource,
    /// `Architectures`; what it was when empty.
    pub architectures: Vec<Architecture>,
    /// `Publish`.
    pub publish: bool,
    /// `DryRun`: check everything, change nothing, return what would be.
    pub dry_run: bool,
    /// `RevisionId` that the function must have.
    pub revision_id: Option<String>,
}

/// `UpdateFunctionConfiguration`.
#[derive(Clone, Debug)]
pub struct UpdateFunctionConfiguration {
    /// `FunctionName`.
    pub function: FunctionReference,
    /// What changes; `None` keeps what is.
    pub configuration: ConfigurationRequest,
    /// `RevisionId` that the function must have.
    pub revision_id: Option<String>,
}

/// `ListFunctions`.
#[derive(Clone, Debug, Default)]
pub struct ListFunctions {
    /// `FunctionVersion=ALL`: every version, not only `$LATEST`.
    pub all_versions: bool,
    /// `Marker` from the page before.
    pub marker: Option<String>,
    /// `MaxItems`; a page has at most 50 whatever it says.
    pub max_items: Option<u32>,
}

/// One page of `ListFunctions`, ordered by name and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionsPage {
    /// The functions.
    pub functions: Vec<Function>,
    /// Goes into the next request when there is more.
    pub next_marker: Option<String>,
}

/// What `GetFunction` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionDetails {
    /// The version asked for.
    pub function: Function,
    /// The archive's name among the blobs; `Code.Location` is a presigned URL of it.
    pub archive: Digest,
    /// The function's tags.
    pub tags: BTreeMap<String, String>,
}

/// Which function and which version of it a request names: `FunctionName` and `Qualifier`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `FunctionName`, in any of its forms.
    pub function: FunctionReference,
    /// `Qualifier`, when given beside the name.
    pub qualifier: Option<Qualifier>,
}

/// `StateReason` and its code for as long as a function or an update of it is being made ready.
fn being_created() -> (String, String) {
    ("The function is being created.".to_owned(), "Creating".to_owned())
}
