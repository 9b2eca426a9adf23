//! The environment variables of a function's processes.
//!
//! Source: AWS, "Using Lambda environment variables", and what was recorded of AWS itself. What always holds: a reserved variable has
//! Lambda's value, whatever the function's configuration says; of all others the function's own value wins.

use std::collections::BTreeMap;

use bojagi_model::Function;
use bojagi_model::identity::Credentials;
use bojagi_sandbox::spec::{ENDPOINT_PORT, RUNTIME_API_PORT, SERVICE_ADDRESS};

/// What a function's configuration cannot set.
pub const RESERVED: [&str; 21] = [
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
];

/// Defaults that a runtime's catalogue entry and the function may change.
const DEFAULTS: [(&str, &str); 5] = [
    ("PATH", "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
    (
        "LD_LIBRARY_PATH",
        "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
    ),
    ("LANG", "en_US.UTF-8"),
    ("TZ", ":UTC"),
    ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
];

/// What the variables of one environment are made of.
pub struct Sources<'a> {
    /// The version that runs.
    pub function: &'a Function,
    /// Variables of its runtime, from the catalogue.
    pub runtime_environment: &'a [(String, String)],
    /// Credentials of its execution role.
    pub credentials: &'a Credentials,
    /// The environment's log stream.
    pub log_stream: &'a str,
    /// The services Bojagi serves, as in `AWS_ENDPOINT_URL_<SERVICE>`.
    pub endpoint_services: &'a [String],
}

/// All variables, sorted by name.
pub fn variables(sources: &Sources<'_>) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |name: &str, value: &str| {
        all.insert(name.to_owned(), value.to_owned());
    };
    for (name, value) in DEFAULTS {
        set(name, value);
    }
    for service in sources.endpoint_services {
        set(&format!("AWS_ENDPOINT_URL_{service}"), &format!("http://{SERVICE_ADDRESS}:{ENDPOINT_PORT}"));
    }
    let configuration = &sources.function.configuration;
    if configuration.logging.format == "JSON" {
        set("AWS_LAMBDA_LOG_FORMAT", "JSON");
        set("AWS_LAMBDA_LOG_LEVEL", configuration.logging.application_level.as_deref().unwrap_or("INFO"));
    }
    for (name, value) in sources.runtime_environment {
        set(name, value);
    }
    for (name, value) in configuration.environment.iter().flatten() {
        if !RESERVED.contains(&name.as_str()) {
            set(name, value);
        }
    }
    for (name, value) in reserved(sources) {
        set(name, &value);
    }
    all.into_iter().collect()
}

fn reserved(sources: &Sources<'_>) -> Vec<(&'static str, String)> {
    let function = sources.function;
    let configuration = &function.configuration;
    let region = function.arn.region.as_str();
    let mut set = vec![
        ("AWS_LAMBDA_RUNTIME_API", format!("{SERVICE_ADDRESS}:{RUNTIME_API_PORT}")),
        ("_HANDLER", configuration.handler.clone()),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.arn.name.to_string()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", configuration.memory_mib.to_string()),
        ("AWS_LAMBDA_FUNCTION_VERSION", function.version.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", configuration.logging.log_group.clone()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", sources.log_stream.to_owned()),
        ("LAMBDA_TASK_ROOT", "/var/task".to_owned()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".to_owned()),
        ("AWS_ACCESS_KEY_ID", sources.credentials.access_key_id.clone()),
        ("AWS_SECRET_ACCESS_KEY", sources.credentials.secret_access_key.clone()),
    ];
    if let Some(token) = &sources.credentials.session_token {
        set.push(("AWS_SESSION_TOKEN", token.clone()));
    }
    // "This environment variable is not defined for OS-only runtimes" (AWS).
    if !configuration.runtime.starts_with("provided") {
        set.push(("AWS_EXECUTION_ENV", format!("AWS_Lambda_{}", configuration.runtime)));
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::fixtures;

    fn check(runtime: &str, own: &[(&str, &str)], expected: &[(&str, Option<&str>)]) {
        let mut function = fixtures::function("greet");
        function.configuration.runtime = runtime.to_owned();
        let own = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        function.configuration.environment = Some(own.collect());
        let credentials = Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
        };
        let found: BTreeMap<String, String> = variables(&Sources {
            function: &function,
            runtime_environment: &[("PYTHONPATH".to_owned(), "/var/runtime".to_owned())],
            credentials: &credentials,
            log_stream: "2026/01/02/[$LATEST]0123",
            endpoint_services: &["LAMBDA".to_owned(), "STS".to_owned()],
        })
        .into_iter()
        .collect();
        for (name, value) in expected {
            assert_eq!(found.get(*name).map(String::as_str), *value, "{name}");
        }
    }

    #[test]
    fn what_every_function_sees() {
        check(
            "python3.13",
            &[],
            &[
                ("AWS_LAMBDA_RUNTIME_API", Some("169.254.100.1:9001")),
                ("_HANDLER", Some("app.handler")),
                ("AWS_REGION", Some("us-east-1")),
                ("AWS_DEFAULT_REGION", Some("us-east-1")),
                ("AWS_EXECUTION_ENV", Some("AWS_Lambda_python3.13")),
                ("AWS_LAMBDA_FUNCTION_NAME", Some("greet")),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Some("128")),
                ("AWS_LAMBDA_FUNCTION_VERSION", Some("$LATEST")),
                ("AWS_LAMBDA_LOG_GROUP_NAME", Some("/aws/lambda/greet")),
                ("AWS_LAMBDA_LOG_STREAM_NAME", Some("2026/01/02/[$LATEST]0123")),
                ("AWS_LAMBDA_INITIALIZATION_TYPE", Some("on-demand")),
                ("LAMBDA_TASK_ROOT", Some("/var/task")),
                ("LAMBDA_RUNTIME_DIR", Some("/var/runtime")),
                ("TZ", Some(":UTC")),
                ("LANG", Some("en_US.UTF-8")),
                ("PATH", Some("/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin")),
                ("PYTHONPATH", Some("/var/runtime")),
                ("AWS_XRAY_CONTEXT_MISSING", Some("LOG_ERROR")),
                ("AWS_ACCESS_KEY_ID", Some("ASIAEXAMPLE")),
                ("AWS_SECRET_ACCESS_KEY", Some("secret")),
                ("AWS_SESSION_TOKEN", Some("token")),
                ("AWS_ENDPOINT_URL_LAMBDA", Some("http://169.254.100.1:4566")),
                ("AWS_ENDPOINT_URL_STS", Some("http://169.254.100.1:4566")),
                ("AWS_ENDPOINT_URL_S3", None),
                ("AWS_ENDPOINT_URL", None),
                ("_X_AMZN_TRACE_ID", None),
            ],
        );
    }

    #[test]
    fn an_operating_system_only_runtime_has_no_execution_environment() {
        check("provided.al2023", &[], &[("AWS_EXECUTION_ENV", None), ("_HANDLER", Some("app.handler"))]);
    }

    #[test]
    fn the_functions_own_values_win_unless_reserved() {
        check(
            "python3.13",
            &[
                ("PATH", "/var/task/bin"),
                ("TZ", "Asia/Seoul"),
                ("AWS_ENDPOINT_URL_STS", "http://192.0.2.1"),
                ("PYTHONPATH", "/opt/x"),
                ("AWS_REGION", "eu-west-1"),
                ("AWS_LAMBDA_METADATA_TOKEN", "x"),
                ("_HANDLER", "other"),
                ("STAGE", "test"),
            ],
            &[
                ("PATH", Some("/var/task/bin")),
                ("TZ", Some("Asia/Seoul")),
                ("AWS_ENDPOINT_URL_STS", Some("http://192.0.2.1")),
                ("PYTHONPATH", Some("/opt/x")),
                ("AWS_REGION", Some("us-east-1")),
                ("AWS_LAMBDA_METADATA_TOKEN", None),
                ("_HANDLER", Some("app.handler")),
                ("STAGE", Some("test")),
            ],
        );
    }
}
