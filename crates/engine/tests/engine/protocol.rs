//! The Runtime API as a runtime sees it.

use std::io::Write;

use bojagi_engine::FunctionError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Bench, Runtime, adjusted, deployable, invocation, start, within};

#[tokio::test]
async fn an_event_goes_in_and_the_answer_comes_out() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let mut given = invocation("{\"a\":1}");
    given.client_context = Some("{\"custom\":{}}".to_owned());
    given.trace_id = Some("Root=1-x".to_owned());
    let id = given.request_id.to_string();
    let engine = bench.engine.clone();
    let call = tokio::spawn({
        let function = function.clone();
        async move { engine.invoke(function, given).await }
    });
    let (mut process, mut runtime) = start(&mut processes).await;
    let (seen, event) = runtime.event().await;
    assert_eq!((seen.as_str(), event.text()), (id.as_str(), "{\"a\":1}"));
    assert_eq!(event.header("Lambda-Runtime-Client-Context"), "{\"custom\":{}}");
    assert_eq!(event.header("Lambda-Runtime-Trace-Id"), "Root=1-x");
    assert!(event.header("Lambda-Runtime-Invoked-Function-Arn").ends_with(":function:f"));
    assert_eq!(event.header("Content-Type"), "application/json");
    let deadline_ms: i128 = event.header("Lambda-Runtime-Deadline-Ms").parse().unwrap();
    let left_ms = deadline_ms - time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    assert!((5_000..=10_000).contains(&left_ms), "{left_ms}");

    process.output.write_all(b"hello\nhalf a line").unwrap();
    let accepted = runtime.respond(&seen, b"\"out\"").await;
    assert_eq!((accepted.status, accepted.text().trim()), (202, "{\"status\":\"OK\"}"));
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!((&outcome.payload[..], outcome.function_error), (&b"\"out\""[..], None));

    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert_eq!(tail, bench.logs.text());
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "INIT_START Runtime Version: python:3.13\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:0a0b",
            &format!("START RequestId: {id} Version: $LATEST"),
            "hello",
            "half a line",
            &format!("END RequestId: {id}"),
        ]
    );
    let fields: Vec<&str> = lines[5].split('\t').collect();
    assert_eq!(fields[0], format!("REPORT RequestId: {id}"));
    assert!(fields[1].starts_with("Duration: ") && fields[1].ends_with(" ms"), "{fields:?}");
    assert!(fields[2].starts_with("Billed Duration: ") && fields[5].starts_with("Init Duration: "), "{fields:?}");
    assert_eq!((fields[3], fields[4], fields[6]), ("Memory Size: 128 MB", "Max Memory Used: 0 MB", ""));

    // The next one is warm: the same environment, no initialisation.
    runtime.ask_next().await;
    let call = bench.invoke(&function, "2");
    runtime.serve_one(b"4").await;
    let outcome = within(call).await.unwrap().unwrap();
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert!(tail.starts_with("START ") && !tail.contains("Init Duration"), "{tail}");
    let statistics = bench.engine.statistics();
    assert_eq!((statistics.cold, statistics.warm), (1, 1));
    assert!(processes.try_recv().is_err());
}

#[tokio::test]
async fn what_the_state_does_not_allow_is_refused() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let process = within(processes.recv()).await.unwrap();
    let mut runtime = Runtime::connect(&process).await;
    let early = runtime.respond(&uuid::Uuid::new_v4().to_string(), b"1").await;
    assert_eq!(early.status, 403);
    assert!(early.text().contains("\"errorType\":\"InvalidStateTransition\""), "{early:?}");

    let (id, _) = runtime.next().await;
    let mut second = Runtime::connect(&process).await;
    assert_eq!(second.request("GET", "runtime/invocation/next", b"").await.status, 403);
    for wrong in [uuid::Uuid::new_v4().to_string(), "nonsense".to_owned()] {
        let answer = second.respond(&wrong, b"1").await;
        assert_eq!(answer.status, 400);
        assert!(answer.text().contains("\"errorType\":\"InvalidRequestID\""), "{answer:?}");
    }
    assert_eq!(second.request("POST", "runtime/init/error", b"{}").await.status, 403);
    assert_eq!(second.request("GET", "ping", b"").await.text(), "pong");
    assert_eq!(second.request("GET", "runtime/nothing", b"").await.status, 404);
    second.0.write_all(b"POST /2020-01-01/extension/register HTTP/1.1\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let extension = second.receive().await;
    assert_eq!(extension.status, 501);
    assert!(extension.text().contains("does not support extensions"), "{extension:?}");

    assert_eq!(runtime.respond(&id, b"1").await.status, 202);
    assert_eq!(runtime.respond(&id, b"2").await.status, 403, "answered twice");
    assert_eq!(&within(call).await.unwrap().unwrap().payload[..], b"1");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_and_the_environment_lives() {
    let (bench, mut processes) = Bench::played(|config| config.limits.payload_bytes = 1000);
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let refused = runtime.respond(&id, &[b'x'; 200_000]).await;
    assert_eq!(refused.status, 413);
    assert!(refused.text().contains("Exceeded maximum allowed payload size (1000 bytes)."), "{refused:?}");
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!(outcome.function_error, Some(FunctionError::Unhandled));
    assert_eq!(
        &outcome.payload[..],
        b"{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":\"Response payload size exceeded maximum allowed payload size (1000 bytes).\"}"
    );
    runtime.ask_next().await;
    let call = bench.invoke(&function, "1");
    runtime.serve_one(&[b'y'; 1000]).await;
    assert_eq!(within(call).await.unwrap().unwrap().payload.len(), 1000);
}

#[tokio::test]
async fn answers_come_chunked_or_announced_or_in_pieces() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    runtime.0.write_all(format!("{path}Transfer-Encoding: chunked\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n3\r\nabc\r\n").as_bytes()).await.unwrap();
    runtime.0.write_all(b"2\r\nde\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(runtime.receive().await.status, 202);
    assert_eq!(&within(call).await.unwrap().unwrap().payload[..], b"abcde");

    // As curl sends a large body.
    runtime.ask_next().await;
    let call = bench.invoke(&function, "1");
    let (id, _) = runtime.event().await;
    let large = vec![b'z'; 3_000_000];
    let path = format!("POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\n");
    let head = format!("{path}Expect: 100-continue\r\nContent-Length: {}\r\n\r\n", large.len());
    runtime.0.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(runtime.receive().await.status, 100);
    runtime.0.write_all(&large).await.unwrap();
    assert_eq!(runtime.receive().await.status, 202);
    assert_eq!(within(call).await.unwrap().unwrap().payload, large);

    // A response mode that there is not.
    runtime.ask_next().await;
    let call = bench.invoke(&function, "1");
    let (id, _) = runtime.event().await;
    let path = format!("runtime/invocation/{id}/response");
    runtime.send("POST", &path, "Lambda-Runtime-Function-Response-Mode: odd\r\n", b"1").await;
    assert_eq!(runtime.receive().await.status, 400);
    assert_eq!(within(call).await.unwrap().unwrap().function_error, Some(FunctionError::Unhandled));
}

#[tokio::test]
async fn an_error_of_the_runtimes_own_goes_to_the_caller_as_it_is() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let document = b"{\"errorMessage\": \"boom\", \"errorType\": \"ValueError\", \"stackTrace\": []}";
    assert_eq!(runtime.request("POST", &format!("runtime/invocation/{id}/error"), document).await.status, 202);
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!(&outcome.payload[..], document);
    assert_eq!(outcome.function_error, Some(FunctionError::Unhandled));
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    assert!(!tail.contains("Status: error"), "{tail}");
}

#[tokio::test]
async fn the_endpoint_and_the_environment_are_given_to_the_process() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = adjusted("f", |deployable| {
        deployable.function.configuration.ephemeral_storage_mib = 600;
        deployable.runtime_environment = vec![("PYTHONPATH".to_owned(), "/var/runtime".to_owned())];
    });
    let call = bench.invoke(&function, "1");
    let (process, mut runtime) = start(&mut processes).await;
    let mut stream = within(tokio::net::TcpStream::connect(process.endpoint)).await.unwrap();
    let mut greeting = String::new();
    within(stream.read_to_string(&mut greeting)).await.unwrap();
    assert_eq!(greeting, "the endpoint\n");
    let spec = &process.spec;
    let value = |name: &str| spec.process.environment.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_str());
    assert_eq!(value("PYTHONPATH"), Some("/var/runtime"));
    assert_eq!(value("AWS_LAMBDA_RUNTIME_API"), Some("169.254.100.1:9001"));
    assert_eq!(value("AWS_ENDPOINT_URL_LAMBDA"), Some("http://169.254.100.1:4566"));
    assert_eq!((spec.limits.memory_bytes, spec.limits.tmp_bytes), (128 << 20, 600 << 20));
    assert_eq!((spec.limits.processes, spec.limits.file_descriptors), (1024, 1024));
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    assert_eq!((spec.limits.cpu_millis, process.cpu_millis()), (2000, 72), "more CPU while it initialises");
}

#[tokio::test]
async fn the_json_log_format_is_lambdas() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = adjusted("f", |deployable| {
        deployable.function.configuration.logging.format = "JSON".to_owned();
    });
    let call = bench.invoke(&function, "1");
    let (mut process, mut runtime) = start(&mut processes).await;
    let environment = &process.spec.process.environment;
    assert!(environment.contains(&("AWS_LAMBDA_LOG_FORMAT".to_owned(), "JSON".to_owned())));
    process.output.write_all(b"as it is\n").unwrap();
    runtime.serve_one(b"1").await;
    let outcome = within(call).await.unwrap().unwrap();
    let tail = String::from_utf8(outcome.log_tail.unwrap()).unwrap();
    let (own, platform): (Vec<&str>, Vec<&str>) = tail.lines().partition(|line| *line == "as it is");
    assert_eq!(own.len(), 1);
    let kinds: Vec<String> = platform
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["platform.initStart", "platform.start", "platform.report"]);
}
