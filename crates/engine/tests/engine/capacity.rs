//! Concurrency, memory, and who gives way.

use std::time::Duration;

use bojagi_model::ErrorKind;
use bojagi_model::error::ThrottleReason;

use crate::support::{Bench, adjusted, deployable, start, within};

const THROTTLED: ErrorKind = ErrorKind::TooManyRequests(ThrottleReason::ConcurrentInvocationLimitExceeded);

#[tokio::test]
async fn every_concurrent_invocation_has_its_own_environment() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let calls: Vec<_> = (0..3).map(|_| bench.invoke(&function, "1")).collect();
    let mut runtimes = Vec::new();
    for _ in 0..3 {
        runtimes.push(start(&mut processes).await);
    }
    for (_, runtime) in &mut runtimes {
        runtime.serve_one(b"1").await;
    }
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    bench.until(|statistics| statistics.idle == 3).await;
    // The one used last is used first.
    let call = bench.invoke(&function, "2");
    runtimes[2].1.serve_one(b"2").await;
    within(call).await.unwrap().unwrap();
    assert!(processes.try_recv().is_err());
}

#[tokio::test]
async fn an_invocation_waits_for_an_environment_that_is_about_to_return() {
    let (bench, mut processes) = Bench::played(|_| {});
    let function = deployable("f");
    let call = bench.invoke(&function, "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    assert_eq!(runtime.respond(&id, b"1").await.status, 202);
    within(call).await.unwrap().unwrap();
    let call = bench.invoke(&function, "2");
    tokio::task::yield_now().await;
    runtime.ask_next().await;
    runtime.serve_one(b"2").await;
    assert_eq!(&within(call).await.unwrap().unwrap().payload[..], b"2");
    assert_eq!(bench.engine.statistics().cold, 1);
}

#[tokio::test]
async fn an_account_is_throttled_at_its_limit() {
    let (bench, mut processes) = Bench::played(|config| config.limits.concurrent_executions = 1);
    let call = bench.invoke(&deployable("f"), "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let refused = within(bench.invoke(&deployable("g"), "1")).await.unwrap().unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (THROTTLED, "Rate Exceeded."));
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    assert_eq!(bench.engine.statistics().throttled, 1);
}

#[tokio::test]
async fn idle_environments_of_others_give_way_the_oldest_first() {
    let (bench, mut processes) = Bench::played(|config| config.memory_budget_bytes = 256 << 20);
    let mut started = Vec::new();
    for name in ["a", "b"] {
        let call = bench.invoke(&deployable(name), "1");
        let (process, mut runtime) = start(&mut processes).await;
        runtime.serve_one(b"1").await;
        within(call).await.unwrap().unwrap();
        started.push((process, runtime));
        bench.until(|statistics| statistics.idle == started.len()).await;
    }
    let call = bench.invoke(&deployable("c"), "1");
    within(started[0].0.ended()).await;
    let (_process, mut runtime) = start(&mut processes).await;
    runtime.serve_one(b"1").await;
    within(call).await.unwrap().unwrap();
    bench.until(|statistics| statistics.idle == 2 && statistics.evicted == 1).await;
}

#[tokio::test]
async fn memory_that_is_in_use_is_waited_for_and_then_refused() {
    let (bench, mut processes) = Bench::played(|config| {
        config.memory_budget_bytes = 128 << 20;
        config.admission_wait = Duration::from_millis(50);
    });
    let busy = bench.invoke(&deployable("a"), "1");
    let (_process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    let refused = within(bench.invoke(&deployable("b"), "1")).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), THROTTLED);
    runtime.respond(&id, b"1").await;
    within(busy).await.unwrap().unwrap();

    let large = adjusted("large", |deployable| deployable.function.configuration.memory_mib = 129);
    let refused = within(bench.invoke(&large, "1")).await.unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Service);
    assert!(refused.message().contains("129 MB") && refused.message().contains("128 MB"), "{}", refused.message());
}

#[tokio::test]
async fn an_environment_that_becomes_idle_gives_way_to_who_waits() {
    let (bench, mut processes) = Bench::played(|config| {
        config.memory_budget_bytes = 128 << 20;
        config.admission_wait = Duration::from_secs(10);
    });
    let function = deployable("a");
    let first = bench.invoke(&function, "1");
    let (process, mut runtime) = start(&mut processes).await;
    let (id, _) = runtime.event().await;
    // One of the same function takes the environment itself; one of another has its memory.
    let same = bench.invoke(&function, "2");
    bench.until(|statistics| statistics.busy == 1).await;
    tokio::task::yield_now().await;
    runtime.respond(&id, b"1").await;
    runtime.ask_next().await;
    let (id, event) = runtime.event().await;
    assert_eq!(event.text(), "2");
    let other = bench.invoke(&deployable("b"), "3");
    tokio::task::yield_now().await;
    runtime.respond(&id, b"2").await;
    within(first).await.unwrap().unwrap();
    within(same).await.unwrap().unwrap();
    runtime.ask_next().await;
    let (_other, mut runtime) = start(&mut processes).await;
    within(process.ended()).await;
    runtime.serve_one(b"3").await;
    assert_eq!(&within(other).await.unwrap().unwrap().payload[..], b"3");
}
