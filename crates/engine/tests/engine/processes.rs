//! Real processes as runtimes: one written here with nothing but Python's standard library, and AWS's own for Python.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bojagi_engine::Deployable;
use bojagi_sandbox::{CodeImage, CodeImageForm, Mount};

use crate::support::{Bench, adjusted};

const BOOTSTRAP: &str = r#"#!/usr/bin/env python3
import http.client, json, os, signal, sys, time
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
print("initialised", flush=True)
while True:
    connection.request("GET", base + "next")
    event = connection.getresponse()
    request = event.headers["Lambda-Runtime-Aws-Request-Id"]
    payload = json.loads(event.read())
    if payload.get("say"):
        print(payload["say"], flush=True)
    if "exit" in payload:
        sys.exit(payload["exit"])
    if "signal" in payload:
        os.kill(os.getpid(), payload["signal"])
    if "loop" in payload:
        time.sleep(1000)
    result = os.environ.get(payload["name"]) if "name" in payload else os.getpid()
    connection.request("POST", base + request + "/response", json.dumps(result))
    assert connection.getresponse().read()
"#;

fn mounted(directory: &Path, command: &[&str], adjust: impl FnOnce(&mut Deployable)) -> Arc<Deployable> {
    adjusted("f", |deployable| {
        let image =
            CodeImage { digest: "sha256:0c".to_owned(), path: directory.to_owned(), form: CodeImageForm::Directory };
        deployable.mounts = vec![Mount { at: "/var/task".into(), images: vec![image] }];
        deployable.command = command.iter().map(|word| (*word).to_owned()).collect();
        // The host's interpreter needs the host's libraries.
        deployable.runtime_environment = vec![("LD_LIBRARY_PATH".to_owned(), String::new())];
        adjust(deployable);
    })
}

fn custom(directory: &Path, adjust: impl FnOnce(&mut Deployable)) -> Arc<Deployable> {
    let bootstrap = directory.join("bootstrap");
    std::fs::write(&bootstrap, BOOTSTRAP).unwrap();
    std::fs::set_permissions(&bootstrap, std::fs::Permissions::from_mode(0o755)).unwrap();
    mounted(directory, &["/var/task/bootstrap"], adjust)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_runtime_serves_crashes_and_serves_again() {
    let directory = tempfile::tempdir().unwrap();
    let function = custom(directory.path(), |deployable| {
        deployable.function.configuration.timeout_seconds = 2;
        let own = [("STAGE".to_owned(), "test".to_owned())];
        deployable.function.configuration.environment = Some(own.into());
    });
    let bench = Bench::processes(|_| {});
    let first = bench.call(&function, r#"{"say": "hello"}"#).await;
    let tail = String::from_utf8(first.log_tail.unwrap()).unwrap();
    let order = ["INIT_START", "initialised", "\nSTART", "hello", "END", "REPORT"].map(|word| tail.find(word).unwrap());
    assert!(order.is_sorted(), "{tail}");
    let second = bench.call(&function, "{}").await;
    assert_eq!(first.payload, second.payload, "the same process");
    assert_eq!(&bench.call(&function, r#"{"name": "STAGE"}"#).await.payload[..], b"\"test\"");

    let table = [
        (r#"{"exit": 3, "say": "bye"}"#, "Runtime exited with error: exit status 3"),
        (r#"{"exit": 0}"#, "Runtime exited without providing a reason"),
        (r#"{"signal": 11}"#, "Runtime exited with error: signal: segmentation fault"),
        (r#"{"loop": 1}"#, "Task timed out after 2.00 seconds"),
    ];
    for (payload, message) in table {
        let outcome = bench.call(&function, payload).await;
        let document = String::from_utf8(outcome.payload.to_vec()).unwrap();
        assert!(outcome.function_error.is_some() && document.contains(message), "{document}");
        let next = bench.call(&function, "{}").await;
        assert_eq!(next.function_error, None);
        assert_ne!(next.payload, first.payload);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_concurrent_invocations_all_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let function = custom(directory.path(), |_| {});
    let bench = Bench::processes(|_| {});
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let (engine, function) = (bench.engine.clone(), function.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    let outcome = engine.invoke(function.clone(), crate::support::invocation("{}")).await.unwrap();
                    assert_eq!(outcome.function_error, None);
                }
            })
        })
        .collect();
    for client in clients {
        crate::support::within(client).await.unwrap();
    }
    let statistics = bench.engine.statistics();
    assert_eq!(statistics.cold + statistics.warm, 400);
    assert!(statistics.cold <= 16, "{statistics:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_and_an_unexecutable_bootstrap_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let bench = Bench::processes(|_| {});
    let function = mounted(directory.path(), &["/var/task/bootstrap"], |_| {});
    let outcome = bench.call(&function, "{}").await;
    let document = String::from_utf8(outcome.payload.to_vec()).unwrap();
    assert!(document.contains("fork/exec /var/task/bootstrap: no such file or directory"), "{document}");

    std::fs::write(directory.path().join("bootstrap"), "x").unwrap();
    let outcome = bench.call(&function, "{}").await;
    let document = String::from_utf8(outcome.payload.to_vec()).unwrap();
    assert!(document.contains("fork/exec /var/task/bootstrap: permission denied"), "{document}");
}

/// AWS's runtime interface client for Python, from PyPI, kept beside the build's other products.
fn interface_client() -> String {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("awslambdaric");
    let python = home.join("bin/python");
    if !home.join("complete").exists() {
        let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(Command::new("python3").args(["-m", "venv"]).arg(&home));
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "awslambdaric"]));
        std::fs::write(home.join("complete"), "").unwrap();
    }
    python.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn awss_interface_client_for_python_runs_a_handler() {
    let python = tokio::task::spawn_blocking(interface_client).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let code = "def handler(event, context):\n    print('in', context.aws_request_id)\n    if event.get('raise'):\n        raise ValueError('boom')\n    if event.get('odd'):\n        return {1, 2}\n    return {'got': event, 'left': context.get_remaining_time_in_millis() > 0}\n";
    std::fs::write(directory.path().join("app.py"), code).unwrap();
    let function = mounted(directory.path(), &[&python, "-m", "awslambdaric", "app.handler"], |_| {});
    let bench = Bench::processes(|_| {});
    let outcome = bench.call(&function, r#"{"a": "보자기"}"#).await;
    let answer: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(answer, serde_json::json!({"got": {"a": "보자기"}, "left": true}), "{}", bench.logs.text());
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert!(tail.contains("\nin "), "{tail}");

    let outcome = bench.call(&function, r#"{"raise": 1}"#).await;
    let error: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!((&error["errorType"], &error["errorMessage"]), (&"ValueError".into(), &"boom".into()));
    let outcome = bench.call(&function, r#"{"odd": 1}"#).await;
    let error: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(error["errorType"], "Runtime.MarshalError");

    let broken = mounted(directory.path(), &[&python, "-m", "awslambdaric", "missing.handler"], |_| {});
    let outcome = bench.call(&broken, "{}").await;
    let error: serde_json::Value = serde_json::from_slice(&outcome.payload).unwrap();
    assert_eq!(error["errorType"], "Runtime.ImportModuleError");
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert!(tail.contains("Phase: invoke\tStatus: error\tError Type: Runtime.ImportModuleError"), "{tail}");
}
