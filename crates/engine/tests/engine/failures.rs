//! Failures inside the function, in AWS's words.

use std::io::Write;
use std::time::Duration;

use bojagi_engine::{FunctionError, Outcome};
use bojagi_model::ErrorKind;
use bojagi_sandbox::{Exit, LaunchError};

use crate::support::{Bench, Runtime, adjusted, deployable, start, within};

fn failed(outcome: &Outcome) -> (String, String) {
    assert_eq!(outcome.function_error, Some(FunctionError::Unhandled));
    let payload = String::from_utf8(outcome.payload.to_vec()).unwrap();
    let tail = String::from_utf8(outcome.log_tail.clone().unwrap()).unwrap();
    (payload, tail)
}

#[tokio::test]
async fn a_task_that_times_out_is_ended() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = adjusted("f", |deployable| deployable.function.configuration.timeout_seconds = 1);
    let call = bench.invoke(&function, "1");
    let (mut process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    process.output.write_all(b"before\n").unwrap();
    let (payload, tail) = failed(&within(call).await.unwrap().unwrap());
    assert_eq!(
        payload,
        format!(
            "{{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":\"RequestId: {id} Error: Task timed out after 1.00 seconds\"}}"
        )
    );
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(lines[2], "before");
    assert!(lines[3].ends_with(&format!("Z {id} Task timed out after 1.00 seconds")), "{tail}");
    assert_eq!((lines[4], lines[5]), ("", format!("END RequestId: {id}").as_str()));
    assert!(lines[6].starts_with(&format!("REPORT RequestId: {id}\tDuration: 1000.00 ms\t")), "{tail}");
    assert!(lines[6].ends_with("\tStatus: timeout"), "{tail}");
    within(process.ended()).await;
    bench.until(|statistics| statistics.memory_bytes == 0).await;
}

#[tokio::test]
async fn a_process_that_ends_is_reported_with_its_reason() {
    let exit = |status, signal, out_of_memory| Exit { status, signal, out_of_memory };
    let table = [
        (exit(Some(127), None, false), "Runtime.ExitError", "Runtime exited with error: exit status 127"),
        (exit(Some(0), None, false), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (exit(None, Some(9), false), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (exit(None, Some(9), true), "Runtime.OutOfMemory", "Runtime exited with error: signal: killed"),
    ];
    for (exit, kind, reason) in table {
        let (bench, mut processes) = Bench::played(|_| {});
        let call = bench.invoke(&deployable("f"), "1");
        let (mut process, mut runtime) = start(&mut processes).await;
        let (id, _) = runtime.event().await;
        process.output.write_all(b"last words\n").unwrap();
        process.exit(exit);
        drop(runtime);
        let (payload, tail) = failed(&within(call).await.unwrap().unwrap());
        assert_eq!(
            payload,
            format!("{{\"errorType\":\"{kind}\",\"errorMessage\":\"RequestId: {id} Error: {reason}\"}}")
        );
        let expected = format!("last words\nRequestId: {id} Error: {reason}\n{kind}\nEND RequestId: {id}\nREPORT ");
        assert!(tail.contains(&expected), "{tail}");
        assert!(tail.ends_with(&format!("\tStatus: error\tError Type: {kind}\n")), "{tail}");
    }
}

#[tokio::test]
async fn an_answer_that_was_sent_before_the_process_ended_counts() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    runtime.send("POST", &format!("runtime/invocation/{id}/response"), "", b"\"done\"").await;
    process.exit(Exit { status: Some(0), signal: None, out_of_memory: false });
    drop(runtime);
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!((&outcome.payload[..], outcome.function_error), (&b"\"done\""[..], None));
}

#[tokio::test]
async fn an_answer_cut_off_in_the_middle_is_truncated() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let mut cut = Runtime::connect(&process).await;
    let head = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc");
    tokio::io::AsyncWriteExt::write_all(&mut cut.0, head.as_bytes()).await.unwrap();
    drop(cut);
    let (payload, _) = failed(&within(call).await.unwrap().unwrap());
    assert!(payload.contains("Runtime.TruncatedResponse"), "{payload}");
    within(process.ended()).await;
}

#[tokio::test]
async fn an_initialisation_that_fails_twice_is_the_outcome() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let document = b"{\"errorMessage\": \"Unable to import module 'x'\", \"errorType\": \"Runtime.ImportModuleError\"}";
    for _ in 0..2 {
        let process = within(processes.recv()).await.unwrap();
        let mut runtime = Runtime::connect(&process).await;
        let header = "Lambda-Runtime-Function-Error-Type: Runtime.ImportModuleError\r\n";
        runtime.send("POST", "runtime/init/error", header, document).await;
        within(process.ended()).await;
    }
    let outcome = within(call).await.unwrap().unwrap();
    let (payload, tail) = failed(&outcome);
    assert_eq!(payload.as_bytes(), document);
    let lines: Vec<&str> = tail.lines().collect();
    assert!(lines[0].starts_with("INIT_START "), "{tail}");
    for (line, phase) in [(lines[1], "init"), (lines[2], "invoke")] {
        assert!(line.starts_with("INIT_REPORT Init Duration: "), "{tail}");
        let end = format!("\tPhase: {phase}\tStatus: error\tError Type: Runtime.ImportModuleError");
        assert!(line.ends_with(&end), "{tail}");
    }
    assert!(lines[3].starts_with("START ") && lines[4].starts_with("END "), "{tail}");
    assert!(lines[5].ends_with("\tStatus: error\tError Type: Runtime.ImportModuleError"), "{tail}");
    bench.until(|statistics| statistics.memory_bytes == 0).await;
}

#[tokio::test]
async fn an_initialisation_that_times_out_is_tried_again_within_the_invocation() {
    let (bench, mut processes) = Bench::played(|config| config.limits.init_ms = 50);
    let call = bench.invoke(&deployable("f"), "1");
    let first = within(processes.recv()).await.unwrap();
    within(first.ended()).await;
    let (_second, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"1").await;
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!(outcome.function_error, None);
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert!(tail.contains(" ms\tPhase: init\tStatus: timeout\nSTART "), "{tail}");
}

#[tokio::test]
async fn a_second_initialisation_is_bounded_by_the_timeout() {
    let (bench, mut processes) = Bench::played(|config| config.limits.init_ms = 50);
    let function = adjusted("f", |deployable| deployable.function.configuration.timeout_seconds = 1);
    let call = bench.invoke(&function, "1");
    let _first = within(processes.recv()).await.unwrap();
    let second = within(processes.recv()).await.unwrap();
    within(second.ended()).await;
    let (payload, tail) = failed(&within(call).await.unwrap().unwrap());
    assert!(payload.contains("Task timed out after 1.00 seconds"), "{payload}");
    assert!(tail.contains("Phase: invoke\tStatus: timeout"), "{tail}");
}

#[tokio::test]
async fn a_command_that_cannot_be_executed_is_the_functions_fault() {
    let table = [
        (2, "fork/exec /var/runtime/bootstrap: no such file or directory"),
        (13, "fork/exec /var/runtime/bootstrap: permission denied"),
        (8, "fork/exec /var/runtime/bootstrap: exec format error"),
    ];
    for (errno, reason) in table {
        let (bench, _processes) = Bench::played(|_| {});
        for _ in 0..2 {
            let source = std::io::Error::from_raw_os_error(errno);
            bench.launcher.fail_next(LaunchError::Exec { command: "/var/runtime/bootstrap".to_owned(), source });
        }
        let (payload, tail) = failed(&bench.call(&deployable("f"), "1").await);
        assert!(
            payload.contains("\"errorType\":\"Runtime.InvalidEntrypoint\"") && payload.contains(reason),
            "{payload}"
        );
        assert!(tail.contains("Phase: init\tStatus: error\tError Type: Runtime.InvalidEntrypoint"), "{tail}");
    }
}

#[tokio::test]
async fn a_package_without_bootstrap_is_told_so() {
    let (bench, _processes) = Bench::played(|_| {});
    let function = adjusted("f", |deployable| deployable.command.clear());
    let (payload, tail) = failed(&bench.call(&function, "1").await);
    assert!(payload.contains("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"), "{payload}");
    assert!(tail.contains("\nRuntime.InvalidEntrypoint\nEND "), "{tail}");
}

#[tokio::test]
async fn a_machine_that_cannot_start_a_sandbox_is_no_fault_of_the_function() {
    let (bench, _processes) = Bench::played(|_| {});
    let source = std::io::Error::from_raw_os_error(12);
    bench.launcher.fail_next(LaunchError::Setup { step: "mount /var/task".to_owned(), source });
    let error = within(bench.invoke(&deployable("f"), "1")).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Service);
    assert!(!error.message().contains("mount"), "{}", error.message());
    assert_eq!(bench.engine.statistics().memory_bytes, 0);
}

#[tokio::test]
async fn a_flood_of_output_stalls_nobody() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let mut output = process.output.try_clone().unwrap();
    let flood = tokio::task::spawn_blocking(move || {
        let begun = std::time::Instant::now();
        while begun.elapsed() < Duration::from_millis(300) && output.write_all(&[b'x'; 65536]).is_ok() {}
    });
    assert_eq!(runtime.respond(&id, b"1").await.status, 202);
    let outcome = within(call).await.unwrap().unwrap();
    assert!(outcome.log_tail.unwrap().len() <= 4096);
    within(flood).await.unwrap();
}
