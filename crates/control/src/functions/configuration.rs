//! The rules of a function's configuration that need more than one member or the state of the installation.

use std::collections::BTreeMap;

use bojagi_engine::RESERVED_VARIABLES;
use bojagi_model::function::{LoggingConfig, VpcConfig};
use bojagi_model::limits::Limits;
use bojagi_model::{Error, ErrorKind, FunctionArn, FunctionConfiguration, Result, runtime};

use super::{ConfigurationRequest, LoggingRequest};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameterValue, message)
}

/// What a function has that was created with nothing but the members that are required.
pub(super) fn defaults(arn: &FunctionArn) -> FunctionConfiguration {
    FunctionConfiguration {
        runtime: String::new(),
        handler: String::new(),
        role: String::new(),
        description: String::new(),
        timeout_seconds: 3,
        memory_mib: 128,
        ephemeral_storage_mib: 512,
        environment: None,
        tracing: bojagi_model::function::TracingMode::PassThrough,
        layers: Vec::new(),
        logging: default_logging(arn),
        dead_letter_target: None,
        kms_key_arn: None,
        snap_start_apply_on: "None".to_owned(),
        vpc: None,
    }
}

fn default_logging(arn: &FunctionArn) -> LoggingConfig {
    LoggingConfig {
        format: "Text".to_owned(),
        application_level: None,
        system_level: None,
        log_group: format!("/aws/lambda/{}", arn.name),
    }
}

/// Checks what is asked for and applies it to a configuration.
///
/// # Errors
/// AWS's, in AWS's words.
pub(super) fn apply(
    configuration: &mut FunctionConfiguration,
    request: ConfigurationRequest,
    arn: &FunctionArn,
    limits: &Limits,
) -> Result<()> {
    if let Some(environment) = &request.environment {
        check_environment(environment, limits)?;
    }
    if let Some(identifier) = &request.runtime {
        runtime::accepted(identifier)?;
    }
    if let Some(layers) = &request.layers {
        check_layers(layers, arn, limits)?;
    }
    let set = |place: &mut String, value: Option<String>| {
        if let Some(value) = value {
            *place = value;
        }
    };
    set(&mut configuration.runtime, request.runtime);
    set(&mut configuration.handler, request.handler);
    set(&mut configuration.role, request.role);
    set(&mut configuration.description, request.description);
    set(&mut configuration.snap_start_apply_on, request.snap_start_apply_on);
    configuration.timeout_seconds = request.timeout_seconds.unwrap_or(configuration.timeout_seconds);
    configuration.memory_mib = request.memory_mib.unwrap_or(configuration.memory_mib);
    configuration.ephemeral_storage_mib = request.ephemeral_storage_mib.unwrap_or(configuration.ephemeral_storage_mib);
    configuration.tracing = request.tracing.unwrap_or(configuration.tracing);
    if let Some(environment) = request.environment {
        configuration.environment = (!environment.is_empty()).then_some(environment);
    }
    configuration.layers = request.layers.unwrap_or(std::mem::take(&mut configuration.layers));
    if let Some(logging) = request.logging {
        configuration.logging = logging_of(logging, &configuration.logging)?;
    }
    if let Some(target) = request.dead_letter_target {
        configuration.dead_letter_target = (!target.is_empty()).then_some(target);
    }
    if let Some(key) = request.kms_key_arn {
        configuration.kms_key_arn = (!key.is_empty()).then_some(key);
    }
    if let Some(vpc) = request.vpc {
        configuration.vpc = vpc_of(vpc);
    }
    Ok(())
}

/// "Environment variables" quota: 4 KB, all of them together as JSON. Lambda's own are refused by name.
fn check_environment(environment: &BTreeMap<String, String>, limits: &Limits) -> Result<()> {
    const UNABLE: &str =
        "Lambda was unable to configure your environment variables because the environment variables you have provided";
    let reserved: Vec<&str> =
        environment.keys().map(String::as_str).filter(|key| RESERVED_VARIABLES.contains(key)).collect();
    if !reserved.is_empty() {
        return Err(invalid(format!(
            "{UNABLE} contains reserved keys that are currently not supported for modification. Reserved keys used in this \
             request: {}",
            reserved.join(", ")
        )));
    }
    let measured = serde_json::to_string(environment).map_err(Error::service)?;
    if measured.len() as u64 > limits.environment_bytes {
        let limit = limits.environment_bytes / 1_024;
        return Err(invalid(format!("{UNABLE} exceeded the {limit}KB limit. String measured: {measured}")));
    }
    Ok(())
}

/// Layers are parsed as far as they can be told to be wrong; none exists yet.
fn check_layers(layers: &[String], arn: &FunctionArn, limits: &Limits) -> Result<()> {
    if layers.len() as u64 > u64::from(limits.layers) {
        return Err(invalid(format!("Cannot reference more than {} layers.", limits.layers)));
    }
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for layer in layers {
        if let Some(region) = layer.split(':').nth(3)
            && region != arn.region.as_str()
        {
            return Err(invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in region {}.",
                arn.region
            )));
        }
        let unversioned = layer.rsplit_once(':').map_or(layer.as_str(), |(name, _)| name);
        if let Some(other) = seen.insert(unversioned, layer) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {other} and \
                 {layer} are versions of the same layer."
            )));
        }
    }
    match layers.first() {
        Some(layer) => Err(invalid(format!("Layer version {layer} does not exist."))),
        None => Ok(()),
    }
}

/// What is asked for, over what was. Levels belong to the JSON format, where both are INFO unless chosen.
fn logging_of(request: LoggingRequest, before: &LoggingConfig) -> Result<LoggingConfig> {
    let format = request.format.unwrap_or_else(|| before.format.clone());
    let log_group = request.log_group.unwrap_or_else(|| before.log_group.clone());
    if format != "JSON" {
        if request.application_level.is_some() || request.system_level.is_some() {
            return Err(invalid("Log levels are only supported when the log format is JSON."));
        }
        return Ok(LoggingConfig { format, application_level: None, system_level: None, log_group });
    }
    let level = |asked: Option<String>, before: &Option<String>| {
        asked.or_else(|| before.clone()).or_else(|| Some("INFO".to_owned()))
    };
    Ok(LoggingConfig {
        application_level: level(request.application_level, &before.application_level),
        system_level: level(request.system_level, &before.system_level),
        format,
        log_group,
    })
}

/// Without subnets and security groups a function is not in a VPC.
fn vpc_of(vpc: VpcConfig) -> Option<VpcConfig> {
    (!vpc.subnet_ids.is_empty() || !vpc.security_group_ids.is_empty()).then_some(vpc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arn() -> FunctionArn {
        FunctionArn {
            region: "us-east-1".parse().unwrap(),
            account: "111111111111".parse().unwrap(),
            name: "f".parse().unwrap(),
        }
    }

    fn refused(request: ConfigurationRequest) -> String {
        let mut configuration = defaults(&arn());
        apply(&mut configuration, request, &arn(), &Limits::default()).unwrap_err().message().to_owned()
    }

    fn environment(key: &str, value: String) -> ConfigurationRequest {
        let environment = Some(BTreeMap::from([(key.to_owned(), value)]));
        ConfigurationRequest { environment, ..ConfigurationRequest::default() }
    }

    #[test]
    fn environments_are_refused_in_the_words_of_aws() {
        assert_eq!(
            refused(environment("AWS_REGION", String::new())),
            "Lambda was unable to configure your environment variables because the environment variables you have provided \
             contains reserved keys that are currently not supported for modification. Reserved keys used in this request: \
             AWS_REGION"
        );
        // {"V":"…"} is 8 bytes beside the value.
        let message = refused(environment("V", "x".repeat(4_096 - 8 + 1)));
        assert!(message.contains("exceeded the 4KB limit. String measured: {\"V\":\"xxx"), "{message}");
        let mut configuration = defaults(&arn());
        let fits = environment("V", "x".repeat(4_096 - 8));
        apply(&mut configuration, fits, &arn(), &Limits::default()).unwrap();
        assert_eq!(configuration.environment.unwrap().len(), 1);
    }

    #[test]
    fn layers_are_refused_in_the_words_of_aws() {
        let layer = |region: &str, name: &str, version: u32| {
            format!("arn:aws:lambda:{region}:111111111111:layer:{name}:{version}")
        };
        let with = |layers: Vec<String>| ConfigurationRequest { layers: Some(layers), ..Default::default() };
        let here = |name: &str, version| layer("us-east-1", name, version);
        let table = [
            (vec![here("l", 9)], format!("Layer version {} does not exist.", here("l", 9))),
            ((1..=6).map(|n| here("l", n)).collect(), "Cannot reference more than 5 layers.".to_owned()),
            (
                vec![layer("eu-west-1", "l", 1)],
                "Layers are not in the same region as the function. Layers are expected to be in region us-east-1."
                    .to_owned(),
            ),
            (
                vec![here("l", 1), here("l", 2)],
                format!(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. {} and {} \
                     are versions of the same layer.",
                    here("l", 1),
                    here("l", 2)
                ),
            ),
        ];
        for (layers, message) in table {
            assert_eq!(refused(with(layers)), message);
        }
    }

    #[test]
    fn logging_takes_its_defaults_from_the_format() {
        let mut configuration = defaults(&arn());
        assert_eq!(configuration.logging.log_group, "/aws/lambda/f");
        let json = LoggingRequest { format: Some("JSON".to_owned()), ..LoggingRequest::default() };
        let request = ConfigurationRequest { logging: Some(json), ..ConfigurationRequest::default() };
        apply(&mut configuration, request, &arn(), &Limits::default()).unwrap();
        assert_eq!(configuration.logging.system_level.as_deref(), Some("INFO"));
        let text = LoggingRequest {
            system_level: Some("WARN".to_owned()),
            format: Some("Text".to_owned()),
            ..Default::default()
        };
        let message = refused(ConfigurationRequest { logging: Some(text), ..ConfigurationRequest::default() });
        assert!(message.contains("only supported"), "{message}");
    }
}
