//! A control plane in a temporary directory, and what the tests send to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bojagi_control::base_images::{BaseImages, Form, Mode, Settings};
use bojagi_control::functions::{
    CodeSource, ConfigurationRequest, CreateFunction, Target, UpdateFunctionCode, UpdateFunctionConfiguration,
};
use bojagi_control::{Caller, Clock, Control, ControlConfig, FunctionCredentials};
use bojagi_engine::{
    CodeImageForm, CredentialSource, EndpointServer, Engine, EngineConfig, LogEvent, LogOrigin, LogSink,
};
use bojagi_model::function::{LastUpdateStatus, State};
use bojagi_model::identity::Principal;
use bojagi_model::limits::Limits;
use bojagi_model::{AccountId, Error, ErrorKind, Function};
use bojagi_sandbox::simulated::SimulatedLauncher;
use bojagi_store::blobs::DirectoryBlobs;
use bojagi_store::sqlite::SqliteMetadata;
use bojagi_store::{DataDirectory, Images, Keyring, LogSettings, LogStore, Metadata};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A clock that a test sets.
pub struct TestClock(pub Mutex<OffsetDateTime>);

impl Clock for TestClock {
    fn now(&self) -> OffsetDateTime {
        *self.0.lock().unwrap()
    }
}

struct NoLogs;

impl LogSink for NoLogs {
    fn append(&self, _origin: &Arc<LogOrigin>, _events: Vec<LogEvent>) {}
}

struct NoEndpoint;

impl EndpointServer for NoEndpoint {
    fn serve(&self, _stream: TcpStream) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

/// A control plane with everything under it.
pub struct Plane {
    pub control: Arc<Control>,
    pub directory: Arc<DataDirectory>,
    pub metadata: Arc<SqliteMetadata>,
    pub clock: Arc<TestClock>,
    pub credentials: FunctionCredentials,
    pub images: Images,
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

/// What differs between tests.
pub struct Options {
    pub limits: Limits,
    pub code_images: CodeImageForm,
    pub background: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { limits: Limits::default(), code_images: CodeImageForm::File, background: true }
    }
}

impl Plane {
    pub async fn open(parent: &Path, options: Options) -> Plane {
        let directory = Arc::new(DataDirectory::open(&parent.join("data")).unwrap());
        let keyring = Arc::new(Keyring::open(&parent.join("key")).unwrap());
        let metadata = Arc::new(SqliteMetadata::open(&directory.metadata(), Arc::clone(&keyring)).await.unwrap());
        let clock = Arc::new(TestClock(Mutex::new(OffsetDateTime::now_utc())));
        let as_clock: Arc<dyn Clock> = clock.clone();
        let source = || FunctionCredentials::new(Arc::clone(&keyring), Arc::clone(&as_clock));
        let credentials: Arc<dyn CredentialSource> = Arc::new(source());
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (logs, writer) = LogStore::open(LogSettings::new(directory.logs())).unwrap();
        tracker.spawn(writer.run(shutdown.clone()));
        let engine = Engine::new(EngineConfig {
            launcher: SimulatedLauncher::in_process().0,
            credentials,
            logs: Arc::new(NoLogs),
            endpoint: Arc::new(NoEndpoint),
            limits: options.limits.clone(),
            memory_budget_bytes: 1 << 30,
            idle_timeout: Duration::from_secs(60),
            admission_wait: Duration::from_secs(1),
            network: bojagi_sandbox::Network::None,
            endpoint_services: Vec::new(),
            resolvers: Vec::new(),
        });
        let settings =
            Settings { directory: directory.base_images(), mode: Mode::Manual, form: Form::Image, registry: None };
        let images = Images::new(&directory);
        let control = Control::new(ControlConfig {
            directory: Arc::clone(&directory),
            metadata: Arc::clone(&metadata) as Arc<dyn Metadata>,
            blobs: Arc::new(DirectoryBlobs::new(&directory)),
            images: images.clone(),
            logs: Arc::new(logs),
            keyring: Arc::clone(&keyring),
            engine,
            base_images: BaseImages::open(settings, shutdown.clone()).unwrap(),
            limits: options.limits,
            clock: as_clock.clone(),
            code_images: options.code_images,
            development_keys: true,
            concurrent_ingestions: 2,
        });
        if options.background {
            control.start(&tracker, &shutdown);
        }
        tracker.close();
        Plane { control, directory, metadata, clock, credentials: source(), images, tracker, shutdown }
    }

    /// Ends the background work, as a process that stops.
    pub async fn close(self) {
        self.shutdown.cancel();
        self.tracker.wait().await;
        self.metadata.close().await;
    }

    /// The function once its change has come to its end.
    pub async fn settled(&self, name: &str) -> Function {
        for _ in 0..2_000 {
            let function = self.control.get_function_configuration(&caller(), target(name)).await.unwrap();
            if function.state == State::Active && function.last_update_status == LastUpdateStatus::Successful {
                return function;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{name} does not become active");
    }

    /// Everything below blobs and images, and what is left in the temporary directory.
    pub fn content(&self) -> Vec<String> {
        let mut found = Vec::new();
        for part in ["blobs", "images", "tmp"] {
            walk(&self.directory.root().join(part), &mut found);
        }
        found
    }
}

fn walk(directory: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let tree = path.extension().is_some_and(|extension| extension == "tree");
        if path.is_dir() && !tree { walk(&path, found) } else { found.push(path.display().to_string()) }
    }
}

pub fn account() -> AccountId {
    "111111111111".parse().unwrap()
}

pub fn caller_of(account: &str, development: bool) -> Caller {
    Caller {
        principal: Principal {
            account: account.parse().unwrap(),
            arn: format!("arn:aws:iam::{account}:root"),
            user_id: account.to_owned(),
            development,
        },
        region: "us-east-1".parse().unwrap(),
        request_id: uuid::Uuid::new_v4(),
    }
}

pub fn caller() -> Caller {
    caller_of("111111111111", true)
}

pub fn target(name: &str) -> Target {
    Target { function: name.parse().unwrap(), qualifier: None }
}

pub fn qualified(name: &str, qualifier: &str) -> Target {
    Target { function: name.parse().unwrap(), qualifier: Some(qualifier.parse().unwrap()) }
}

/// A .zip archive of stored entries.
pub fn zip(entries: &[(&str, &[u8])]) -> Bytes {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let le = |value: usize| u32::try_from(value).unwrap().to_le_bytes();
    for (name, content) in entries {
        let offset = archive.len();
        let mut common = Vec::new();
        common.extend_from_slice(&[20, 0, 0, 0, 0, 0, 0, 0, 33, 0]);
        common.extend_from_slice(&crc32fast::hash(content).to_le_bytes());
        common.extend_from_slice(&le(content.len()));
        common.extend_from_slice(&le(content.len()));
        common.extend_from_slice(&le(name.len())[..2]);
        common.extend_from_slice(&[0, 0]);
        archive.extend_from_slice(b"PK\x03\x04");
        archive.extend_from_slice(&common);
        archive.extend_from_slice(name.as_bytes());
        archive.extend_from_slice(content);
        directory.extend_from_slice(b"PK\x01\x02\x14\x03");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
        directory.extend_from_slice(&(0o100_644_u32 << 16).to_le_bytes());
        directory.extend_from_slice(&le(offset));
        directory.extend_from_slice(name.as_bytes());
    }
    let start = archive.len();
    archive.extend_from_slice(&directory);
    archive.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    archive.extend_from_slice(&le(entries.len())[..2]);
    archive.extend_from_slice(&le(entries.len())[..2]);
    archive.extend_from_slice(&le(directory.len()));
    archive.extend_from_slice(&le(start));
    archive.extend_from_slice(&[0, 0]);
    Bytes::from(archive)
}

/// An archive that differs for each text.
pub fn archive(text: &str) -> Bytes {
    zip(&[("app.py", text.as_bytes()), ("lib/data.txt", b"data")])
}

pub fn code(zip: Bytes) -> CodeSource {
    CodeSource { zip: Some(zip), ..CodeSource::default() }
}

pub fn create(name: &str) -> CreateFunction {
    CreateFunction {
        function: name.parse().unwrap(),
        code: code(archive("one")),
        package_type: None,
        architectures: Vec::new(),
        configuration: ConfigurationRequest {
            runtime: Some("python3.13".to_owned()),
            handler: Some("app.handler".to_owned()),
            role: Some("arn:aws:iam::111111111111:role/service/r".to_owned()),
            ..ConfigurationRequest::default()
        },
        publish: false,
        tags: BTreeMap::new(),
    }
}

pub fn update_code(name: &str, text: &str) -> UpdateFunctionCode {
    UpdateFunctionCode {
        function: name.parse().unwrap(),
        code: code(archive(text)),
        architectures: Vec::new(),
        publish: false,
        dry_run: false,
        revision_id: None,
    }
}

pub fn update_configuration(name: &str, configuration: ConfigurationRequest) -> UpdateFunctionConfiguration {
    UpdateFunctionConfiguration { function: name.parse().unwrap(), configuration, revision_id: None }
}

/// Asserts which error it is, in AWS's words.
#[track_caller]
pub fn refused<T>(outcome: Result<T, Error>, kind: ErrorKind, message: &str) {
    match outcome {
        Ok(_) => panic!("accepted, expected: {message}"),
        Err(error) => assert_eq!((error.kind(), error.message()), (kind, message), "{error:?}"),
    }
}
