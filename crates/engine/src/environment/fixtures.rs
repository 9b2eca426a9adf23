//! What the tests of this crate share.

use std::sync::{Arc, Mutex};

use bojagi_model::function::{LastUpdateStatus, LoggingConfig, State, TracingMode};
use bojagi_model::{
    AccountId, Architecture, Digest, Function, FunctionArn, FunctionConfiguration, Version, ZipPackage,
};
use bytes::Bytes;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::config::{LogEvent, LogOrigin, LogSink};

/// Keeps what it is given.
#[derive(Default)]
pub struct Collected(Mutex<Vec<Bytes>>);

impl Collected {
    pub fn lines(&self) -> Vec<Bytes> {
        self.0.lock().unwrap().clone()
    }

    pub fn text(&self) -> String {
        self.lines().iter().map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
    }
}

impl LogSink for Collected {
    fn append(&self, _origin: &Arc<LogOrigin>, events: Vec<LogEvent>) {
        self.0.lock().unwrap().extend(events.into_iter().map(|event| event.line));
    }
}

pub fn arn(name: &str) -> FunctionArn {
    FunctionArn { region: "us-east-1".parse().unwrap(), account: AccountId::DEVELOPMENT, name: name.parse().unwrap() }
}

pub fn origin() -> LogOrigin {
    LogOrigin { arn: arn("greet"), group: "/aws/lambda/greet".to_owned(), stream: "stream".to_owned() }
}

pub fn function(name: &str) -> Function {
    Function {
        arn: arn(name),
        version: Version::Latest,
        revision_id: Uuid::new_v4(),
        last_modified: OffsetDateTime::UNIX_EPOCH,
        configuration: FunctionConfiguration {
            runtime: "python3.13".to_owned(),
            handler: "app.handler".to_owned(),
            role: "arn:aws:iam::000000000000:role/r".to_owned(),
            description: String::new(),
            timeout_seconds: 3,
            memory_mib: 128,
            ephemeral_storage_mib: 512,
            environment: None,
            tracing: TracingMode::PassThrough,
            layers: Vec::new(),
            logging: LoggingConfig {
                format: "Text".to_owned(),
                application_level: None,
                system_level: None,
                log_group: format!("/aws/lambda/{name}"),
            },
            dead_letter_target: None,
            kms_key_arn: None,
            snap_start_apply_on: "None".to_owned(),
            vpc: None,
        },
        package: ZipPackage {
            code_sha256: Digest::from_bytes([1; 32]),
            code_size: 1,
            image: Digest::from_bytes([2; 32]),
            unzipped_bytes: 1,
        },
        architecture: Architecture::X86_64,
        state: State::Active,
        state_reason: None,
        last_update_status: LastUpdateStatus::Successful,
        last_update_status_reason: None,
    }
}
