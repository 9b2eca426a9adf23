//! What a sandbox may use.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::{Host, TMP_BYTES, finish, read_until, spec};

/// Fails without the memory limit.
#[tokio::test]
async fn privileged_memory_ends_at_the_limit_and_is_reported() {
    let host = Host::start();
    let (output, exit) = host.run(&["memory", "64", "memory", "200"]).await;
    assert_eq!(output, "memory: ok 64\n");
    assert_eq!((exit.status, exit.signal, exit.out_of_memory), (None, Some(libc::SIGKILL), true));
    let (output, exit) = host.run(&["memory", "100"]).await;
    assert_eq!((output.as_str(), exit.out_of_memory), ("memory: ok 100\n", false));
}

#[tokio::test]
async fn privileged_a_child_beyond_the_memory_limit_takes_the_sandbox_with_it() {
    let host = Host::start();
    let (_, exit) = host.run(&["child", "200"]).await;
    assert_eq!((exit.signal, exit.out_of_memory), (Some(libc::SIGKILL), true));
}

#[tokio::test]
async fn privileged_the_peak_of_memory_can_be_read() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["memory", "50", "pause"])).await;
    read_until(&sandbox.output, "pausing").await;
    let mut text = String::new();
    sandbox.memory_peak.as_ref().unwrap().read_to_string(&mut text).unwrap();
    let peak: u64 = text.trim().parse().unwrap();
    assert!((50 << 20..60 << 20).contains(&peak), "{peak}");
}

#[tokio::test]
async fn privileged_tmp_has_its_exact_size_and_ends_in_enospc() {
    let host = Host::start();
    for bytes in [TMP_BYTES, 512 << 20] {
        let mut wanted = spec(&["df", "/tmp", "list", "/tmp", "fill", "1024"]);
        wanted.limits.tmp_bytes = bytes;
        wanted.limits.memory_bytes = 128 << 20;
        let (output, exit) = finish(host.launch(wanted).await).await;
        assert_eq!(exit.status, Some(0), "{output}");
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[0], format!("df: {bytes}"));
        assert_eq!(lines[1], "");
        let written: u64 = lines[2].strip_prefix("fill: ENOSPC after ").unwrap().parse().unwrap();
        assert!(written <= bytes && bytes - written <= 64 << 10, "{written} of {bytes}");
    }
}

/// What is written to `/tmp` is not memory: a sandbox of 128 MB writes 500 MB.
#[tokio::test]
async fn privileged_tmp_is_not_charged_to_memory() {
    let host = Host::start();
    let mut wanted = spec(&["fill", "500", "memory", "60"]);
    wanted.limits.tmp_bytes = 512 << 20;
    let (output, exit) = finish(host.launch(wanted).await).await;
    assert_eq!(output, format!("fill: ok {}\nmemory: ok 60\n", 500 << 20));
    assert_eq!((exit.status, exit.out_of_memory), (Some(0), false));
}

#[tokio::test]
async fn privileged_tmp_is_empty_again_for_the_next() {
    let host = Host::start();
    for _ in 0..4 {
        let (output, _) = host.run(&["list", "/tmp", "fill", "1"]).await;
        assert_eq!(output, format!("\nfill: ok {}\n", 1 << 20));
    }
}

/// Fails without the process limit.
#[tokio::test]
async fn privileged_processes_and_descriptors_are_counted() {
    let host = Host::start();
    let mut wanted = spec(&["processes", "2000"]);
    wanted.limits.processes = 100;
    let (output, _) = finish(host.launch(wanted).await).await;
    assert_eq!(output, "processes: EAGAIN after 99\n");
    let (output, _) = host.run(&["descriptors", "2000"]).await;
    assert_eq!(output, "descriptors: EMFILE after 1021\n");
}

/// Fails without the CPU limit.
#[tokio::test]
async fn privileged_cpu_is_shared_out_and_can_be_changed() {
    let host = Host::start();
    let mut wanted = spec(&["spin"]);
    wanted.limits.cpu_millis = 100;
    let sandbox = host.launch(wanted).await;
    let used = async |sandbox: &bojagi_sandbox::Sandbox| {
        let before = cpu_time(sandbox.control.pid());
        let start = Instant::now();
        tokio::time::sleep(Duration::from_millis(600)).await;
        (cpu_time(sandbox.control.pid()) - before) / start.elapsed().as_secs_f64()
    };
    let share = used(&sandbox).await;
    assert!(share < 0.16, "{share}");
    sandbox.control.set_cpu(1000).unwrap();
    let more = used(&sandbox).await;
    assert!(more > share * 1.5, "{share} then {more}");
}

/// Seconds of CPU that a process has used.
fn cpu_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
