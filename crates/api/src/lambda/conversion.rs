//! Between wire types and the domain, with the defaults that Lambda answers.

use std::collections::BTreeMap;

use bojagi_aws::lambda::types;
use bojagi_control::functions::{
    CodeSource, ConfigurationRequest, CreateFunction, LoggingRequest, PackageType, S3Location, Target,
    UpdateFunctionCode, UpdateFunctionConfiguration,
};
use bojagi_model::function::{LastUpdateStatus, State, TracingMode, VpcConfig};
use bojagi_model::{Architecture, Error, ErrorKind, Function, FunctionReference, Result};
use time::OffsetDateTime;
use time::macros::format_description;

/// The members that CreateFunction and UpdateFunctionConfiguration share; their wire types share none.
macro_rules! configuration {
    ($request:ident) => {
        ConfigurationRequest {
            runtime: $request.runtime,
            handler: $request.handler,
            role: $request.role,
            description: $request.description,
            timeout_seconds: $request.timeout.map(unsigned),
            memory_mib: $request.memory_size.map(unsigned),
            ephemeral_storage_mib: $request.ephemeral_storage.and_then(|storage| storage.size).map(unsigned),
            environment: $request.environment.map(|environment| environment.variables.unwrap_or_default()),
            tracing: tracing_mode($request.tracing_config),
            layers: $request.layers,
            logging: $request.logging_config.map(logging),
            dead_letter_target: $request.dead_letter_config.map(|config| config.target_arn.unwrap_or_default()),
            kms_key_arn: $request.kms_key_arn,
            snap_start_apply_on: $request.snap_start.and_then(|snap_start| snap_start.apply_on),
            vpc: $request.vpc_config.map(vpc),
        }
    };
}

/// Which function and version: `FunctionName` and `Qualifier`.
pub fn target(name: Option<String>, qualifier: Option<String>) -> Result<Target> {
    let qualifier = qualifier.map(|qualifier| qualifier.parse()).transpose()?;
    Ok(Target { function: reference(name)?, qualifier })
}

/// `FunctionName`, in any of its forms. Validation has made sure that it is there.
pub fn reference(name: Option<String>) -> Result<FunctionReference> {
    name.unwrap_or_default().parse()
}

/// Refuses, by name, what the model has and Bojagi has not.
fn refuse(members: &[(&str, bool)]) -> Result<()> {
    match members.iter().find(|(_, given)| *given) {
        Some((member, _)) => {
            Err(Error::new(ErrorKind::NotSupported, format!("The parameter {member} is not supported by Bojagi.")))
        }
        None => Ok(()),
    }
}

fn given<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_some_and(|list| !list.is_empty())
}

/// The request as `control` takes it.
pub fn create_function(request: types::CreateFunctionRequest) -> Result<CreateFunction> {
    refuse(&[
        ("FileSystemConfigs", given(&request.file_system_configs)),
        ("CodeSigningConfigArn", request.code_signing_config_arn.as_ref().is_some_and(|arn| !arn.is_empty())),
        ("TenancyConfig", request.tenancy_config.is_some()),
        ("CapacityProviderConfig", request.capacity_provider_config.is_some()),
        ("DurableConfig", request.durable_config.is_some()),
        ("AcceleratorConfig", request.accelerator_config.is_some()),
        ("RuntimeConfig", request.runtime_config.is_some()),
        ("PublishTo", request.publish_to.is_some()),
        ("ImageConfig", request.image_config.is_some()),
    ])?;
    let code = request.code.unwrap_or_default();
    refuse_code(&code.s3_object_storage_mode, &code.source_kms_key_arn)?;
    Ok(CreateFunction {
        function: reference(request.function_name)?,
        code: CodeSource {
            zip: code.zip_file,
            s3: s3_location(code.s3_bucket, code.s3_key, code.s3_object_version),
            image_uri: code.image_uri,
        },
        package_type: request.package_type.map(|package_type| match package_type.as_str() {
            "Image" => PackageType::Image,
            _ => PackageType::Zip,
        }),
        architectures: architectures(request.architectures)?,
        configuration: configuration!(request),
        publish: request.publish.unwrap_or(false),
        tags: request.tags.unwrap_or_default(),
    })
}

/// The request as `control` takes it.
pub fn update_function_code(request: types::UpdateFunctionCodeRequest) -> Result<UpdateFunctionCode> {
    refuse(&[("PublishTo", request.publish_to.is_some())])?;
    refuse_code(&request.s3_object_storage_mode, &request.source_kms_key_arn)?;
    Ok(UpdateFunctionCode {
        function: reference(request.function_name)?,
        code: CodeSource {
            zip: request.zip_file,
            s3: s3_location(request.s3_bucket, request.s3_key, request.s3_object_version),
            image_uri: request.image_uri,
        },
        architectures: architectures(request.architectures)?,
        publish: request.publish.unwrap_or(false),
        dry_run: request.dry_run.unwrap_or(false),
        revision_id: request.revision_id,
    })
}

/// The request as `control` takes it.
pub fn update_function_configuration(
    request: types::UpdateFunctionConfigurationRequest,
) -> Result<UpdateFunctionConfiguration> {
    refuse(&[
        ("FileSystemConfigs", given(&request.file_system_configs)),
        ("CapacityProviderConfig", request.capacity_provider_config.is_some()),
        ("DurableConfig", request.durable_config.is_some()),
        ("AcceleratorConfig", request.accelerator_config.is_some()),
        ("RuntimeConfig", request.runtime_config.is_some()),
        ("ImageConfig", request.image_config.is_some()),
    ])?;
    Ok(UpdateFunctionConfiguration {
        function: reference(request.function_name)?,
        configuration: configuration!(request),
        revision_id: request.revision_id,
    })
}

/// Storage mode `COPY` is what happens anyway.
fn refuse_code(storage_mode: &Option<String>, key: &Option<String>) -> Result<()> {
    refuse(&[
        ("S3ObjectStorageMode", storage_mode.as_deref().is_some_and(|mode| mode != "COPY")),
        ("SourceKMSKeyArn", key.as_ref().is_some_and(|arn| !arn.is_empty())),
    ])
}

fn s3_location(bucket: Option<String>, key: Option<String>, version: Option<String>) -> Option<S3Location> {
    let location = S3Location { bucket, key, version };
    (location.bucket.is_some() || location.key.is_some() || location.version.is_some()).then_some(location)
}

fn architectures(list: Option<Vec<String>>) -> Result<Vec<Architecture>> {
    list.unwrap_or_default().iter().map(|architecture| architecture.parse()).collect()
}

/// Validation has made sure that it is not negative.
fn unsigned(number: i32) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

fn tracing_mode(config: Option<types::TracingConfig>) -> Option<TracingMode> {
    config.and_then(|config| config.mode).map(|mode| match mode.as_str() {
        "Active" => TracingMode::Active,
        _ => TracingMode::PassThrough,
    })
}

fn logging(config: types::LoggingConfig) -> LoggingRequest {
    LoggingRequest {
        format: config.log_format,
        application_level: config.application_log_level,
        system_level: config.system_log_level,
        log_group: config.log_group,
    }
}

fn vpc(config: types::VpcConfig) -> VpcConfig {
    VpcConfig {
        subnet_ids: config.subnet_ids.unwrap_or_default(),
        security_group_ids: config.security_group_ids.unwrap_or_default(),
        ipv6_allowed_for_dual_stack: config.ipv6_allowed_for_dual_stack.unwrap_or(false),
    }
}

/// A function as CreateFunction, the updates and GetFunctionConfiguration answer it.
pub fn function_configuration(function: Function) -> types::FunctionConfiguration {
    let (last_update_reason, last_update_code) = function.last_update_status_reason.clone().unzip();
    let (state_reason, state_code) = function.state_reason.clone().unzip();
    let last_update = last_update_status(&function);
    types::FunctionConfiguration {
        runtime_version_config: Some(types::RuntimeVersionConfig {
            runtime_version_arn: Some(runtime_version_arn(&function)),
            ..Default::default()
        }),
        state: Some(state(function.state).to_owned()),
        state_reason,
        state_reason_code: state_code,
        last_update_status: last_update.map(str::to_owned),
        last_update_status_reason: last_update.and(last_update_reason),
        last_update_status_reason_code: last_update.and(last_update_code),
        ..listed_function(function)
    }
}

/// A function as ListFunctions answers it: without state, status of the last update and runtime version (AWS, "ListFunctions").
pub fn listed_function(function: Function) -> types::FunctionConfiguration {
    let function_arn = function.function_arn();
    let configuration = function.configuration;
    types::FunctionConfiguration {
        function_name: Some(function.arn.name.to_string()),
        function_arn: Some(function_arn),
        runtime: Some(configuration.runtime),
        role: Some(configuration.role),
        handler: Some(configuration.handler),
        code_size: Some(signed(function.package.code_size)),
        description: Some(configuration.description),
        timeout: Some(small(configuration.timeout_seconds)),
        memory_size: Some(small(configuration.memory_mib)),
        last_modified: Some(last_modified(function.last_modified)),
        code_sha256: Some(function.package.code_sha256.to_base64()),
        version: Some(function.version.to_string()),
        vpc_config: configuration.vpc.map(vpc_response),
        dead_letter_config: configuration
            .dead_letter_target
            .map(|target| types::DeadLetterConfig { target_arn: Some(target) }),
        environment: configuration
            .environment
            .map(|variables| types::EnvironmentResponse { variables: Some(variables), ..Default::default() }),
        kms_key_arn: configuration.kms_key_arn,
        tracing_config: Some(types::TracingConfigResponse {
            mode: Some(match configuration.tracing {
                TracingMode::PassThrough => "PassThrough".to_owned(),
                TracingMode::Active => "Active".to_owned(),
            }),
        }),
        revision_id: Some(function.revision_id.to_string()),
        layers: (!configuration.layers.is_empty()).then(|| {
            let layer = |arn| types::Layer { arn: Some(arn), ..Default::default() };
            configuration.layers.into_iter().map(layer).collect()
        }),
        package_type: Some("Zip".to_owned()),
        architectures: Some(vec![function.architecture.as_str().to_owned()]),
        ephemeral_storage: Some(types::EphemeralStorage { size: Some(small(configuration.ephemeral_storage_mib)) }),
        snap_start: Some(types::SnapStartResponse {
            apply_on: Some(configuration.snap_start_apply_on),
            optimization_status: Some("Off".to_owned()),
        }),
        logging_config: Some(types::LoggingConfig {
            log_format: Some(configuration.logging.format),
            application_log_level: configuration.logging.application_level,
            system_log_level: configuration.logging.system_level,
            log_group: Some(configuration.logging.log_group),
        }),
        ..Default::default()
    }
}

/// AWS leaves it out until the function has been created.
fn last_update_status(function: &Function) -> Option<&'static str> {
    if function.state == State::Pending {
        return None;
    }
    Some(match function.last_update_status {
        LastUpdateStatus::Successful => "Successful",
        LastUpdateStatus::Failed => "Failed",
        LastUpdateStatus::InProgress => "InProgress",
    })
}

fn state(state: State) -> &'static str {
    match state {
        State::Pending => "Pending",
        State::Active => "Active",
        State::Inactive => "Inactive",
        State::Failed => "Failed",
    }
}

/// AWS writes milliseconds and an offset without a colon: `2025-07-18T09:36:49.000+0000`.
fn last_modified(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
    // Only a year of more than four digits cannot be written.
    time.to_offset(time::UtcOffset::UTC).format(&format).unwrap_or_default()
}

/// AWS's end in 64 hexadecimal digits that name the build. Bojagi's name the runtime: this installation has one build of each.
fn runtime_version_arn(function: &Function) -> String {
    let region = &function.arn.region;
    let mut name = hex(function.configuration.runtime.as_bytes());
    name.truncate(64);
    format!("arn:aws:lambda:{region}::runtime:{name:0<64}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

fn vpc_response(vpc: VpcConfig) -> types::VpcConfigResponse {
    types::VpcConfigResponse {
        subnet_ids: Some(vpc.subnet_ids),
        security_group_ids: Some(vpc.security_group_ids),
        vpc_id: Some(String::new()),
        ipv6_allowed_for_dual_stack: Some(vpc.ipv6_allowed_for_dual_stack),
    }
}

/// A figure of ours as the wire's signed integer.
pub fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A figure of ours as the wire's small signed integer.
pub fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Tags, absent when there are none, as GetFunction answers them.
pub fn tags(tags: BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!tags.is_empty()).then_some(tags)
}
