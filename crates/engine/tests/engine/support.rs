//! A started engine, a runtime that the test plays, and what the log holds.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bojagi_engine::{
    CredentialSource, Deployable, EndpointServer, Engine, EngineConfig, Invocation, LogEvent, LogOrigin, LogSink,
    Outcome,
};
use bojagi_model::function::{LastUpdateStatus, LoggingConfig, State, TracingMode};
use bojagi_model::identity::Credentials;
use bojagi_model::limits::Limits;
use bojagi_model::{
    AccountId, Architecture, Digest, Error, Function, FunctionArn, FunctionConfiguration, Version, ZipPackage,
};
use bojagi_sandbox::simulated::{SimulatedLauncher, SimulatedProcess};
use bojagi_sandbox::{CodeImage, CodeImageForm, Network};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Beyond this a test has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub struct Logs(Mutex<String>);

impl Logs {
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl LogSink for Logs {
    fn append(&self, _origin: &Arc<LogOrigin>, events: Vec<LogEvent>) {
        let mut text = self.0.lock().unwrap();
        for event in events {
            text.push_str(&String::from_utf8_lossy(&event.line));
            text.push('\n');
        }
    }
}

struct Keys;

impl CredentialSource for Keys {
    fn credentials(&self, _function: &Function) -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLE".to_owned(),
            secret_access_key: "secret".to_owned(),
            session_token: Some("token".to_owned()),
        }
    }
}

/// Answers whoever connects with one line.
struct Greeter;

impl EndpointServer for Greeter {
    fn serve(&self, mut stream: TcpStream) -> BoxFuture<'static, ()> {
        async move { stream.write_all(b"the endpoint\n").await.unwrap() }.boxed()
    }
}

pub struct Bench {
    pub engine: Arc<Engine>,
    pub launcher: Arc<SimulatedLauncher>,
    pub logs: Arc<Logs>,
}

impl Bench {
    fn new(launcher: Arc<SimulatedLauncher>, adjust: impl FnOnce(&mut EngineConfig)) -> Bench {
        let logs = Arc::new(Logs::default());
        let mut config = EngineConfig {
            launcher: launcher.clone(),
            credentials: Arc::new(Keys),
            logs: logs.clone(),
            endpoint: Arc::new(Greeter),
            limits: Limits::default(),
            memory_budget_bytes: 4 << 30,
            idle_timeout: Duration::from_secs(600),
            admission_wait: Duration::from_millis(100),
            network: Network::Nat,
            endpoint_services: vec!["LAMBDA".to_owned()],
            resolvers: Vec::new(),
        };
        adjust(&mut config);
        Bench { engine: Engine::new(config), launcher, logs }
    }

    /// The test plays the runtimes.
    pub fn played(adjust: impl FnOnce(&mut EngineConfig)) -> (Bench, UnboundedReceiver<SimulatedProcess>) {
        let (launcher, processes) = SimulatedLauncher::in_process();
        (Bench::new(launcher, adjust), processes)
    }

    /// Real processes are the runtimes.
    pub fn processes(adjust: impl FnOnce(&mut EngineConfig)) -> Bench {
        Bench::new(SimulatedLauncher::processes(), adjust)
    }

    /// Invokes in the background.
    pub fn invoke(&self, deployable: &Arc<Deployable>, payload: &str) -> JoinHandle<Result<Outcome, Error>> {
        let (engine, deployable, invocation) = (self.engine.clone(), deployable.clone(), invocation(payload));
        tokio::spawn(async move { engine.invoke(deployable, invocation).await })
    }

    /// Invokes and waits for the outcome.
    pub async fn call(&self, deployable: &Arc<Deployable>, payload: &str) -> Outcome {
        within(self.invoke(deployable, payload)).await.unwrap().unwrap()
    }

    /// Waits until the statistics say so.
    pub async fn until(&self, reached: impl Fn(&bojagi_engine::Statistics) -> bool) {
        within(async {
            while !reached(&self.engine.statistics()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

pub fn invocation(payload: &str) -> Invocation {
    Invocation {
        request_id: Uuid::new_v4(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: None,
        trace_id: None,
        invoked_function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        log_tail: true,
    }
}

pub fn deployable(name: &str) -> Arc<Deployable> {
    adjusted(name, |_| {})
}

pub fn adjusted(name: &str, adjust: impl FnOnce(&mut Deployable)) -> Arc<Deployable> {
    let configuration = FunctionConfiguration {
        runtime: "python3.13".to_owned(),
        handler: "app.handler".to_owned(),
        role: "arn:aws:iam::000000000000:role/r".to_owned(),
        description: String::new(),
        timeout_seconds: 10,
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
    };
    let function = Function {
        arn: FunctionArn {
            region: "us-east-1".parse().unwrap(),
            account: AccountId::DEVELOPMENT,
            name: name.parse().unwrap(),
        },
        version: Version::Latest,
        revision_id: Uuid::new_v4(),
        last_modified: time::OffsetDateTime::UNIX_EPOCH,
        configuration,
        package: ZipPackage {
            code_sha256: Digest::from_bytes([1; 32]),
            code_size: 1,
            image: Digest::from_bytes([2; 32]),
            unzipped_bytes: 1,
        },
        architecture: Architecture::of_this_machine().unwrap_or_default(),
        state: State::Active,
        state_reason: None,
        last_update_status: LastUpdateStatus::Successful,
        last_update_status_reason: None,
    };
    let image = CodeImage { digest: "sha256:0a0b".to_owned(), path: "/nowhere".into(), form: CodeImageForm::File };
    let mut deployable = Deployable {
        function,
        root: vec![image],
        mounts: Vec::new(),
        command: vec!["/var/runtime/bootstrap".to_owned()],
        runtime_environment: Vec::new(),
    };
    adjust(&mut deployable);
    Arc::new(deployable)
}

/// A response of the Runtime API.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find(|line| line.starts_with(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head)).split_once(": ").unwrap().1
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// A runtime's connection, played by the test.
pub struct Runtime(pub TcpStream);

impl Runtime {
    pub async fn connect(process: &SimulatedProcess) -> Runtime {
        Runtime(TcpStream::connect(process.runtime_api).await.unwrap())
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "{method} /2018-06-01/{path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all(head.as_bytes()).await.unwrap();
        self.0.write_all(body).await.unwrap();
    }

    pub async fn receive(&mut self) -> Answer {
        within(async {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let mut answer = Answer { status: head[9..12].parse().unwrap(), head, body: Vec::new() };
            if answer.status != 100 {
                let length = answer
                    .head
                    .to_lowercase()
                    .split("content-length: ")
                    .nth(1)
                    .map(|rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                answer.body = vec![0; length.unwrap_or(0)];
                self.0.read_exact(&mut answer.body).await.unwrap();
            }
            answer
        })
        .await
    }

    pub async fn request(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.send(method, path, "", body).await;
        self.receive().await
    }

    pub async fn ask_next(&mut self) {
        self.send("GET", "runtime/invocation/next", "", b"").await;
    }

    /// Waits for an event: its request id and payload.
    pub async fn event(&mut self) -> (String, Answer) {
        let answer = self.receive().await;
        assert_eq!(answer.status, 200, "{answer:?}");
        (answer.header("Lambda-Runtime-Aws-Request-Id").to_owned(), answer)
    }

    pub async fn next(&mut self) -> (String, Answer) {
        self.ask_next().await;
        self.event().await
    }

    pub async fn respond(&mut self, id: &str, body: &[u8]) -> Answer {
        self.request("POST", &format!("runtime/invocation/{id}/response"), body).await
    }

    /// Answers one event and waits for the next.
    pub async fn serve_one(&mut self, body: &[u8]) {
        let (id, _) = self.event().await;
        assert_eq!(self.respond(&id, body).await.status, 202);
        self.ask_next().await;
    }
}

/// A started process and its runtime, which waits for its first event.
pub async fn start(processes: &mut UnboundedReceiver<SimulatedProcess>) -> (SimulatedProcess, Runtime) {
    let process = within(processes.recv()).await.unwrap();
    let mut runtime = Runtime::connect(&process).await;
    runtime.ask_next().await;
    (process, runtime)
}
