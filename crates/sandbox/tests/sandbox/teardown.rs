//! Nothing is left of a sandbox, however it, the launcher or the server ends.

use std::path::Path;
use std::time::{Duration, Instant};

use bojagi_sandbox::{Launcher, LauncherClient};

use crate::support::{Host, PATIENCE, config, fixtures, read_until, spec};

/// Waits until `done`; the kernel takes some things down after the process that held them.
async fn eventually(what: &str, done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "{what} is still there");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Control groups with processes or without, below directories that end in this launcher's name.
fn groups(data_dir: &Path) -> usize {
    let name = bojagi_sandbox::instance_name(&data_dir.canonicalize().unwrap());
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten().map(|entry| entry.path());
    let bases = hierarchies.map(|path| path.join(&name)).chain([Path::new("/sys/fs/cgroup").join(&name)]);
    bases
        .filter_map(|base| std::fs::read_dir(base).ok())
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .count()
}

/// Loop devices whose file lies below `directory`.
fn loop_devices(directory: &Path) -> usize {
    let devices =
        std::fs::read_dir("/sys/block").unwrap().flatten().map(|entry| entry.path().join("loop/backing_file"));
    let files = devices.filter_map(|path| std::fs::read_to_string(path).ok());
    files.filter(|file| file.starts_with(&*directory.to_string_lossy())).count()
}

#[tokio::test]
async fn privileged_kill_ends_everything_inside_and_is_idempotent() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["daemon", "daemon", "pause"])).await;
    read_until(&sandbox.output, "pausing").await;
    let before = groups(host.data_dir.path());
    assert!(before >= 1);
    sandbox.control.kill();
    sandbox.control.kill();
    let exit = sandbox.control.wait().await;
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    sandbox.control.kill();
    assert!(sandbox.control.freeze(true).is_err());
    drop(sandbox);
    host.client.shutdown().await.unwrap();
    assert_eq!(groups(host.data_dir.path()), 0);
    eventually("a loop device", || loop_devices(host.data_dir.path()) == 0).await;
}

#[tokio::test]
async fn privileged_dropping_a_sandbox_kills_it() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["pause"])).await;
    let pid = sandbox.control.pid();
    assert!(is_running(pid));
    drop(sandbox);
    eventually("the process", || !is_running(pid)).await;
}

#[tokio::test]
async fn privileged_a_frozen_sandbox_stands_still_and_can_be_killed() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["spin"])).await;
    sandbox.control.freeze(true).unwrap();
    // Nanoseconds on a CPU.
    let time = || {
        let text = std::fs::read_to_string(format!("/proc/{}/schedstat", sandbox.control.pid())).unwrap();
        text.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    let before = time();
    tokio::time::sleep(Duration::from_millis(200)).await;
    // The kernel accounts for the last slice a moment later.
    let used_ms = (time() - before) / 1_000_000;
    assert!(used_ms < 50, "{used_ms}");
    sandbox.control.freeze(false).unwrap();
    let before = time();
    eventually("the standstill", || time() > before).await;
    sandbox.control.freeze(true).unwrap();
    sandbox.control.kill();
    let exit = tokio::time::timeout(PATIENCE, sandbox.control.wait()).await.unwrap();
    assert_eq!(exit.signal, Some(libc::SIGKILL));
}

#[tokio::test]
async fn privileged_kill_9_of_the_launcher_leaves_nothing() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["daemon", "pause"])).await;
    let frozen = host.launch(spec(&["pause"])).await;
    frozen.control.freeze(true).unwrap();
    read_until(&sandbox.output, "pausing").await;
    let pids = [sandbox.control.pid(), frozen.control.pid(), host.launcher_pid];
    let launcher = rustix::process::Pid::from_raw(i32::try_from(host.launcher_pid).unwrap()).unwrap();
    rustix::process::kill_process(launcher, rustix::process::Signal::KILL).unwrap();
    let exit = tokio::time::timeout(PATIENCE, sandbox.control.wait()).await.unwrap();
    assert_eq!(exit.signal, Some(libc::SIGKILL));
    assert!(host.try_launch(spec(&["pause"])).await.is_err());
    // The next launcher sweeps what the kernel does not: control groups, and what was frozen in them.
    let process = bojagi_sandbox::start(config(host.data_dir.path())).unwrap();
    let next = LauncherClient::new(process).unwrap();
    for pid in pids {
        eventually("a process", || !is_running(pid)).await;
    }
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&*host.data_dir.path().to_string_lossy()), "{mounts}");
    let started = next.launch(spec(&["pause"])).await.unwrap();
    drop(started);
    next.shutdown().await.unwrap();
    eventually("a control group", || groups(host.data_dir.path()) == 0).await;
    eventually("a loop device", || loop_devices(host.data_dir.path()) == 0).await;
}

#[tokio::test]
async fn privileged_when_the_server_is_gone_so_is_the_launcher() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["pause"])).await;
    let pids = [sandbox.control.pid(), host.launcher_pid];
    // The kernel closes a dead server's socket; the launcher sees the same.
    let Host { client, data_dir, .. } = host;
    let waiting = client.launch(spec(&["pause"]));
    drop(waiting);
    drop(client);
    for pid in pids {
        eventually("a process", || !is_running(pid)).await;
    }
    eventually("a control group", || groups(data_dir.path()) == 0).await;
    eventually("a loop device", || loop_devices(data_dir.path()) == 0).await;
}

#[tokio::test]
async fn privileged_a_forgotten_image_is_unmounted_once_unused() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["pause"])).await;
    let image = fixtures().image("code", bojagi_sandbox::CodeImageForm::Loop);
    let directory = image.path.parent().unwrap();
    let others = loop_devices(directory);
    assert!(others >= 2);
    host.client.forget(vec![image.digest.clone(), "sha256:root".into()]).await.unwrap();
    assert!(is_running(sandbox.control.pid()));
    let (output, _) = host.run(&["cat", "/var/task/handler"]).await;
    assert_eq!(output, "code");
}
