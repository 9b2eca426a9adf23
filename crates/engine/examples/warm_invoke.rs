//! Measures warm invocations through the engine, without front door and without isolation, with a runtime as fast as it can be: the
//! engine's own share of a warm invocation.
//!
//! `cargo run --release -p bojagi-engine --example warm_invoke [COMMAND ARGUMENT…]`; without a command a minimal runtime inside this
//! process serves. A command is started as a custom runtime, with the
//! current directory as `/var/task`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bojagi_engine::{
    CredentialSource, Deployable, EndpointServer, Engine, EngineConfig, Invocation, LogEvent, LogOrigin, LogSink,
};
use bojagi_model::Function;
use bojagi_model::identity::Credentials;
use bojagi_model::limits::Limits;
use bojagi_sandbox::simulated::{SimulatedLauncher, SimulatedProcess};
use bojagi_sandbox::{CodeImage, CodeImageForm, Launcher, Mount, Network};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

struct Nothing;

impl CredentialSource for Nothing {
    fn credentials(&self, _function: &Function) -> Credentials {
        Credentials { access_key_id: String::new(), secret_access_key: String::new(), session_token: None }
    }
}

impl LogSink for Nothing {
    fn append(&self, _origin: &Arc<LogOrigin>, _events: Vec<LogEvent>) {}
}

impl EndpointServer for Nothing {
    fn serve(&self, _stream: tokio::net::TcpStream) -> BoxFuture<'static, ()> {
        async {}.boxed()
    }
}

/// A runtime that answers `1` to everything, on one connection, with blocking calls.
fn runtime(process: &SimulatedProcess) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(process.runtime_api)?;
    stream.set_nodelay(true)?;
    let mut buffer = [0; 65536];
    loop {
        stream.write_all(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let length = stream.read(&mut buffer)?;
        let head = String::from_utf8_lossy(&buffer[..length]);
        let Some(id) = head.split("Request-Id: ").nth(1).and_then(|rest| rest.get(..36)) else { return Ok(()) };
        let path = format!("/2018-06-01/runtime/invocation/{id}/response");
        stream.write_all(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1").as_bytes())?;
        if stream.read(&mut buffer)? == 0 {
            return Ok(());
        }
    }
}

fn function() -> Result<Function, serde_json::Error> {
    serde_json::from_value(serde_json::json!({
        "arn": { "region": "us-east-1", "account": "000000000000", "name": "f" },
        "version": "Latest",
        "revision_id": Uuid::new_v4(),
        "last_modified": "2026-01-01T00:00:00Z",
        "configuration": {
            "runtime": "provided.al2023", "handler": "app.handler", "role": "", "description": "", "timeout_seconds": 60,
            "memory_mib": 1769, "ephemeral_storage_mib": 512, "environment": null, "tracing": "PassThrough", "layers": [],
            "logging": { "format": "Text", "application_level": null, "system_level": null, "log_group": "/aws/lambda/f" },
            "dead_letter_target": null, "kms_key_arn": null, "snap_start_apply_on": "None", "vpc": null
        },
        "package": {
            "code_sha256": format!("sha256:{}", "00".repeat(32)), "code_size": 0,
            "image": format!("sha256:{}", "00".repeat(32)), "unzipped_bytes": 0
        },
        "architecture": std::env::consts::ARCH,
        "state": "Active", "state_reason": null, "last_update_status": "Successful", "last_update_status_reason": null
    }))
}

fn invocation() -> Invocation {
    Invocation {
        request_id: Uuid::new_v4(),
        payload: Bytes::from_static(b"{}"),
        client_context: None,
        trace_id: None,
        invoked_function_arn: "arn:aws:lambda:us-east-1:000000000000:function:f".to_owned(),
        log_tail: false,
    }
}

#[expect(clippy::print_stdout, reason = "its output is what it is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let command: Vec<String> = std::env::args().skip(1).collect();
    let launcher: Arc<dyn Launcher> = if command.is_empty() {
        let (launcher, mut processes) = SimulatedLauncher::in_process();
        std::thread::spawn(move || {
            while let Some(process) = processes.blocking_recv() {
                std::thread::spawn(move || runtime(&process));
            }
        });
        launcher
    } else {
        SimulatedLauncher::processes()
    };
    let engine = Engine::new(EngineConfig {
        launcher,
        credentials: Arc::new(Nothing),
        logs: Arc::new(Nothing),
        endpoint: Arc::new(Nothing),
        limits: Limits::default(),
        memory_budget_bytes: 8 << 30,
        idle_timeout: Duration::from_secs(600),
        admission_wait: Duration::from_secs(1),
        network: Network::None,
        endpoint_services: Vec::new(),
        resolvers: Vec::new(),
    });
    let command = if command.is_empty() { vec!["/bootstrap".to_owned()] } else { command };
    let here =
        CodeImage { digest: "sha256:00".to_owned(), path: std::env::current_dir()?, form: CodeImageForm::Directory };
    let deployable = Arc::new(Deployable {
        function: function()?,
        root: Vec::new(),
        mounts: vec![Mount { at: "/var/task".into(), images: vec![here] }],
        command,
        runtime_environment: vec![("LD_LIBRARY_PATH".to_owned(), String::new())],
    });
    let begun = Instant::now();
    let first = engine.invoke(deployable.clone(), invocation()).await?;
    println!("cold: {:.3} ms, answer {}", begun.elapsed().as_secs_f64() * 1e3, String::from_utf8_lossy(&first.payload));
    let mut taken: Vec<Duration> = Vec::with_capacity(20_000);
    let begun = Instant::now();
    for _ in 0..taken.capacity() {
        let begun = Instant::now();
        engine.invoke(deployable.clone(), invocation()).await?;
        taken.push(begun.elapsed());
    }
    let elapsed = begun.elapsed();
    taken.sort_unstable();
    let at = |share: f64| taken[(taken.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "warm: p50 {:.3} ms, p99 {:.3} ms, {:.0} /s; {:?}",
        at(0.5),
        at(0.99),
        taken.len() as f64 / elapsed.as_secs_f64(),
        engine.statistics()
    );
    engine.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
