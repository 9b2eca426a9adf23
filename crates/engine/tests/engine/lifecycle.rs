//! Reuse, update, idle expiry, death and shutdown of environments.

use std::time::Duration;

use bojagi_model::ErrorKind;
use bojagi_sandbox::Exit;

use crate::support::{Bench, adjusted, deployable, start, within};

const CRASH: Exit = Exit { status: Some(1), signal: None, out_of_memory: false };

#[tokio::test]
async fn an_update_takes_effect_on_the_next_invocation() {
    let (bench, mut processes) = Bench::played(|_| {});
    let old = deployable("f");
    let (idle, busy) = (bench.invoke(&old, "1"), bench.invoke(&old, "2"));
    let (first, mut first_runtime) = start(&mut processes).await;
    let (second, mut second_runtime) = start(&mut processes).await;
    first_runtime.serve_one(b"1").await;
    let (id, _) = second_runtime.event().await;
    bench.until(|statistics| statistics.idle == 1).await;

    let new = adjusted("f", |_| {});
    let (arn, version) = (&new.function.arn, new.function.version);
    bench.engine.retire(arn, version, Some(new.function.revision_id));
    within(first.ended()).await;
    let call = bench.invoke(&new, "3");
    let (third, mut third_runtime) = start(&mut processes).await;
    third_runtime.serve_one(b"3").await;
    assert_eq!(&within(call).await.unwrap().unwrap().payload[..], b"3");

    // The one that served goes on to the end of its invocation, and no further.
    assert_eq!(second_runtime.respond(&id, b"2").await.status, 202);
    second_runtime.ask_next().await;
    within(second.ended()).await;
    within(idle).await.unwrap().unwrap();
    within(busy).await.unwrap().unwrap();
    bench.until(|statistics| statistics.idle == 1 && statistics.memory_bytes == 128 << 20).await;

    // A request that was resolved before the update still runs, and leaves nothing.
    let call = bench.invoke(&old, "4");
    let (fourth, mut fourth_runtime) = start(&mut processes).await;
    fourth_runtime.serve_one(b"4").await;
    within(call).await.unwrap().unwrap();
    within(fourth.ended()).await;

    bench.engine.retire(arn, version, None);
    within(third.ended()).await;
    bench.until(|statistics| statistics.memory_bytes == 0).await;
}

#[tokio::test]
async fn an_idle_environment_expires() {
    let (bench, mut processes) = Bench::played(|config| config.idle_timeout = Duration::from_millis(40));
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    assert_eq!(bench.engine.in_use().into_iter().collect::<Vec<_>>(), ["sha256:0a0b"]);
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    within(process.ended()).await;
    bench.until(|statistics| statistics.memory_bytes == 0).await;
    assert!(bench.engine.in_use().is_empty());
}

#[tokio::test]
async fn an_environment_that_does_not_come_back_expires_too() {
    let (bench, mut processes) = Bench::played(|config| config.idle_timeout = Duration::from_millis(40));
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    runtime.respond(&id, b"1").await;
    within(call).await.unwrap().unwrap();
    within(process.ended()).await;
}

#[tokio::test]
async fn a_dead_idle_environment_is_not_handed_out() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (process, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    bench.until(|statistics| statistics.idle == 1).await;
    process.exit(CRASH);
    bench.until(|statistics| statistics.memory_bytes == 0).await;

    let call = bench.invoke(&function, "2");
    let (_process, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"2").await;
    assert_eq!(&within(call).await.unwrap().unwrap().payload[..], b"2");
}

#[tokio::test]
async fn a_runtime_whose_connection_is_gone_is_not_handed_an_invocation() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (_first, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    bench.until(|statistics| statistics.idle == 1).await;
    // The invocation is under way before the engine can have seen that the connection is gone: it goes elsewhere, unseen by the caller.
    drop(runtime);
    let call = bench.invoke(&function, "2");
    let (_second, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"2").await;
    let outcome = within(call).await.unwrap().unwrap();
    assert_eq!((&outcome.payload[..], outcome.function_error), (&b"2"[..], None));
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_end_the_invocation() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    call.abort();
    assert!(within(call).await.unwrap_err().is_cancelled());
    assert_eq!(runtime.respond(&id, b"1").await.status, 202);
    runtime.ask_next().await;
    bench.until(|statistics| statistics.idle == 1).await;
    assert!(bench.logs.text().contains(&format!("REPORT RequestId: {id}")));
}

#[tokio::test]
async fn shutdown_waits_for_invocations_and_ends_everything() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let (first, second) = (bench.invoke(&function, "1"), bench.invoke(&function, "2"));
    let (idle, mut idle_runtime) = start(&mut processes).await;
    let (busy, mut busy_runtime) = start(&mut processes).await;
    idle_runtime.serve_one(b"x").await;
    let (id, _) = busy_runtime.event().await;
    bench.until(|statistics| statistics.idle == 1).await;
    let engine = bench.engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(Duration::from_secs(60)).await });
    // Refused from now on.
    within(async {
        loop {
            let refused = bench.engine.invoke(deployable("g"), crate::support::invocation("1"));
            tokio::select! {
                result = refused => {
                    assert_eq!(result.unwrap_err().kind(), ErrorKind::Service);
                    return;
                }
                _ = processes.recv() => {}
            }
        }
    })
    .await;
    assert_eq!(busy_runtime.respond(&id, b"y").await.status, 202);
    within(shutdown).await.unwrap();
    within(first).await.unwrap().unwrap();
    within(second).await.unwrap().unwrap();
    within(idle.ended()).await;
    within(busy.ended()).await;
    assert_eq!(bench.engine.statistics().memory_bytes, 0);
}

#[tokio::test]
async fn shutdown_ends_what_does_not_end_by_itself() {
    let (bench, mut processes) = Bench::played(|_| {});
    let call = bench.invoke(&deployable("f"), "1");
    let (process, mut runtime) = start(&mut processes).await;
    let _event = runtime.event().await;
    within(bench.engine.shutdown(Duration::from_millis(50))).await;
    within(process.ended()).await;
    assert!(within(call).await.unwrap().unwrap().function_error.is_some());
}
