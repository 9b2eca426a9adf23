//! A server in a temporary directory, and a client that says exactly what a test wants to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bojagi_api::{Endpoint, HostNames, Server, ServerConfig};
use bojagi_aws::sigv4::{self, Payload, Scope};
use bojagi_control::base_images::{BaseImages, Form, Mode, Settings};
use bojagi_control::{Clock, Control, ControlConfig, FunctionCredentials, SystemClock};
use bojagi_engine::{CodeImageForm, Engine, EngineConfig, LogEvent, LogOrigin, LogSink};
use bojagi_model::identity::Credentials;
use bojagi_model::limits::Limits;
use bojagi_sandbox::simulated::{SimulatedLauncher, SimulatedProcess};
use bojagi_store::blobs::DirectoryBlobs;
use bojagi_store::sqlite::SqliteMetadata;
use bojagi_store::{DataDirectory, Images, Keyring, LogSettings, LogStore, Metadata};
use http::{HeaderMap, HeaderName, HeaderValue};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub const ROLE: &str = "arn:aws:iam::000000000000:role/r";

struct NoLogs;

impl LogSink for NoLogs {
    fn append(&self, _origin: &Arc<LogOrigin>, _events: Vec<LogEvent>) {}
}

/// A server with everything under it.
pub struct Harness {
    pub address: SocketAddr,
    pub control: Arc<Control>,
    pub server: Server,
    pub shutdown: CancellationToken,
    pub running: tokio::task::JoinHandle<()>,
    /// The sandboxes that were started; the test plays what runs in them.
    pub processes: tokio::sync::mpsc::UnboundedReceiver<SimulatedProcess>,
    /// Where base images are.
    pub base_images: std::path::PathBuf,
    tracker: TaskTracker,
    _directory: tempfile::TempDir,
}

impl Harness {
    pub async fn start() -> Harness {
        Harness::with(true).await
    }

    pub async fn with(development_keys: bool) -> Harness {
        Harness::configured(development_keys, |_| ()).await
    }

    pub async fn configured(development_keys: bool, change: impl FnOnce(&mut ServerConfig)) -> Harness {
        let parent = tempfile::tempdir().unwrap();
        let directory = Arc::new(DataDirectory::open(&parent.path().join("data")).unwrap());
        let keyring = Arc::new(Keyring::open(&parent.path().join("key")).unwrap());
        let metadata = Arc::new(SqliteMetadata::open(&directory.metadata(), Arc::clone(&keyring)).await.unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (logs, writer) = LogStore::open(LogSettings::new(directory.logs())).unwrap();
        tracker.spawn(writer.run(shutdown.clone()));
        let endpoint = Arc::new(Endpoint::default());
        let (launcher, processes) = SimulatedLauncher::in_process();
        let engine = Engine::new(EngineConfig {
            launcher,
            credentials: Arc::new(FunctionCredentials::new(Arc::clone(&keyring), Arc::clone(&clock))),
            logs: Arc::new(NoLogs),
            endpoint: endpoint.clone(),
            limits: Limits::default(),
            memory_budget_bytes: 1 << 30,
            idle_timeout: Duration::from_secs(60),
            admission_wait: Duration::from_secs(1),
            network: bojagi_sandbox::Network::None,
            endpoint_services: Vec::new(),
            resolvers: Vec::new(),
        });
        let base_images = directory.base_images();
        let settings =
            Settings { directory: base_images.clone(), mode: Mode::Manual, form: Form::Image, registry: None };
        let control = Control::new(ControlConfig {
            metadata: metadata as Arc<dyn Metadata>,
            blobs: Arc::new(DirectoryBlobs::new(&directory)),
            images: Images::new(&directory),
            logs: Arc::new(logs),
            keyring,
            engine,
            base_images: BaseImages::open(settings, shutdown.clone()).unwrap(),
            limits: Limits::default(),
            clock,
            code_images: CodeImageForm::File,
            development_keys,
            concurrent_ingestions: 2,
            directory,
        });
        control.start(&tracker, &shutdown);
        tracker.close();
        let mut config = ServerConfig::new(Arc::clone(&control));
        config.hosts = HostNames::new(["bojagi.example".to_owned()]);
        config.drain_deadline = Duration::from_secs(5);
        change(&mut config);
        let server = Server::new(config);
        endpoint.attach(server.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (runner, token) = (server.clone(), shutdown.clone());
        let running = tokio::spawn(async move { runner.run(vec![listener], token).await });
        Harness { address, control, server, shutdown, running, processes, base_images, tracker, _directory: parent }
    }

    /// Sends a request over a connection of its own and reads the answer.
    pub async fn send(&self, request: &Request) -> Answer {
        send(self.address, request).await
    }

    /// Signs with the `test` key and sends.
    pub async fn call(&self, service: &str, request: Request) -> Answer {
        self.send(&request.sign(self.address, &key("test", "test"), service)).await
    }

    /// Calls a Lambda operation.
    pub async fn lambda(&self, method: &str, target: &str, body: &str) -> Answer {
        self.call("lambda", Request::new(method, target).body(body)).await
    }

    /// Calls IAM or STS.
    pub async fn query(&self, service: &str, form: &str) -> Answer {
        let version = if service == "iam" { "2010-05-08" } else { "2011-06-15" };
        let request = Request::new("POST", "/")
            .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(format!("{form}&Version={version}"));
        self.call(service, request).await
    }

    /// Stops the server and everything under it.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
        self.tracker.wait().await;
    }
}

/// Sends a request over a connection of its own and reads the answer.
pub async fn send(address: SocketAddr, request: &Request) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.head(address)).await.unwrap();
    stream.write_all(&request.body).await.unwrap();
    Answer::read(&mut stream, request.method == "HEAD").await
}

pub fn key(id: &str, secret: &str) -> Credentials {
    Credentials { access_key_id: id.to_owned(), secret_access_key: secret.to_owned(), session_token: None }
}

/// A request, before it is written.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub time: OffsetDateTime,
}

impl Request {
    pub fn new(method: &str, target: &str) -> Request {
        Request {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
            time: OffsetDateTime::now_utc(),
        }
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        let name: HeaderName = name.parse().unwrap();
        self.headers.append(name, HeaderValue::from_str(value).unwrap());
        self
    }

    /// Signs it as it is now, for `us-east-1`.
    pub fn sign(mut self, address: SocketAddr, credentials: &Credentials, service: &str) -> Request {
        if !self.headers.contains_key("host") {
            self.headers.insert("host", address.to_string().parse().unwrap());
        }
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let scope = Scope { region: "us-east-1", service };
        let payload = Payload::Bytes(&self.body);
        sigv4::sign(&self.method, path, query, &mut self.headers, payload, credentials, scope, self.time);
        self
    }

    /// The head as it goes over the wire, with a length unless the headers say otherwise.
    pub fn head(&self, address: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        if !self.headers.contains_key("host") {
            head.extend_from_slice(format!("host: {address}\r\n").as_bytes());
        }
        for (name, value) in &self.headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let framed = self.headers.contains_key("content-length") || self.headers.contains_key("transfer-encoding");
        let bodiless = self.body.is_empty() && self.method == "GET";
        if !framed && !bodiless {
            head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads one answer, which has a length.
    pub async fn read(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            let read = stream.read(&mut byte).await.expect("the answer can be read");
            assert_eq!(read, 1, "the connection was closed after {:?}", String::from_utf8_lossy(&head));
            head.push(byte[0]);
        }
        let text = String::from_utf8(head).unwrap();
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(": ").unwrap();
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let length = headers.get("content-length").map_or(0, |length| length.to_str().unwrap().parse().unwrap());
        let mut body = vec![0; if head_only { 0 } else { length }];
        stream.read_exact(&mut body).await.unwrap();
        Answer { status, headers, body }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The text of an element of an XML body.
    pub fn element(&self, name: &str) -> &str {
        let rest = self.text().split_once(&format!("<{name}>")).map_or("", |(_, rest)| rest);
        rest.split_once("</").map_or("", |(text, _)| text)
    }

    /// Asserts a JSON error: status, code in header, message in body, request id.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str, message: &str) {
        assert_eq!((self.status, self.header("x-amzn-errortype")), (status, code), "{}", self.text());
        let body = self.json();
        let found = body.get("message").or(body.get("Message")).and_then(|text| text.as_str()).unwrap_or_default();
        assert!(found.starts_with(message), "{found:?} does not start with {message:?}");
        assert_eq!(self.header("x-amzn-requestid").len(), 36);
    }

    /// Asserts an error of the query protocol.
    #[track_caller]
    pub fn refused_xml(&self, status: u16, code: &str, message: &str) {
        assert_eq!((self.status, self.element("Code")), (status, code), "{}", self.text());
        assert!(self.element("Message").starts_with(message), "{}", self.text());
        assert_eq!(self.element("RequestId"), self.header("x-amzn-requestid"), "{}", self.text());
    }
}
