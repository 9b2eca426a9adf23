//! Process 1 inside, and that the runtime is not it.

use crate::support::{Host, PATIENCE, finish, read_until, spec};

/// Fails when the runtime is process 1: the kernel does not let such a process end itself by a signal.
#[tokio::test]
async fn privileged_a_signal_that_a_function_sends_itself_ends_it_and_is_reported() {
    let host = Host::start();
    for signal in [libc::SIGKILL, libc::SIGSEGV, libc::SIGTERM, libc::SIGUSR1, libc::SIGRTMAX()] {
        let (output, exit) = host.run(&["signal", &signal.to_string()]).await;
        assert_eq!((exit.status, exit.signal, exit.out_of_memory), (None, Some(signal), false), "{output}");
        assert_eq!(output, "");
    }
    for (fault, signal) in [("abort", libc::SIGABRT), ("segv", libc::SIGSEGV)] {
        let (output, exit) = host.run(&[fault]).await;
        assert_eq!((exit.status, exit.signal, exit.out_of_memory), (None, Some(signal), false), "{fault}: {output}");
    }
}

#[tokio::test]
async fn privileged_every_exit_status_is_told_from_a_signal() {
    let host = Host::start();
    for status in [0, 1, 9, 127, 128, 137, 143, 255] {
        let (_, exit) = host.run(&["exit", &status.to_string()]).await;
        assert_eq!((exit.status, exit.signal), (Some(status), None));
    }
}

#[tokio::test]
async fn privileged_terminate_reaches_the_runtime() {
    let host = Host::start();
    let sandbox = host.launch(spec(&["daemon", "pause"])).await;
    read_until(&sandbox.output, "pausing").await;
    sandbox.control.terminate();
    let (_, exit) = finish(sandbox).await;
    assert_eq!((exit.status, exit.signal), (None, Some(libc::SIGTERM)));
}

/// A process of the runtime's that goes on does not keep the sandbox alive.
#[tokio::test]
async fn privileged_the_end_of_the_runtime_is_the_end_of_all() {
    let host = Host::start();
    let (_, exit) = host.run(&["daemon", "daemon", "exit", "3"]).await;
    assert_eq!(exit.status, Some(3));
}

#[tokio::test]
async fn privileged_orphans_are_collected_by_init() {
    let host = Host::start();
    let (output, exit) = host.run(&["orphan"]).await;
    assert_eq!((output.as_str(), exit.status), ("orphan of 1\norphan: ESRCH\n", Some(0)));
}

/// Fails when init can be dumped and has the function's user, or keeps what it was forked with.
#[tokio::test]
async fn privileged_init_is_out_of_reach_and_has_nothing() {
    let host = Host::start();
    let (output, exit) = host.run(&["init"]).await;
    assert_eq!(exit.status, Some(0), "{output}");
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines.last(), Some(&"looked"), "{output}");
    let refused = |line: &&str| ["EACCES", "EPERM"].iter().any(|error| line.ends_with(error));
    assert!(lines.len() > 20 && lines[..lines.len() - 1].iter().all(refused), "{output}");

    let sandbox = host.launch(spec(&["pause"])).await;
    read_until(&sandbox.output, "pausing").await;
    let status = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let runtime = status(sandbox.control.pid());
    let init_pid: u32 = field(&runtime, "PPid:")[0].parse().unwrap();
    let init = status(init_pid);
    assert_eq!(field(&init, "NSpid:").last().map(String::as_str), Some("1"));
    assert_eq!(field(&runtime, "NSpid:").last().map(String::as_str), Some("2"));
    assert_eq!(field(&init, "Name:"), ["init"]);
    for name in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(&init, name), ["0000000000000000"], "{name}");
    }
    assert_eq!((field(&init, "NoNewPrivs:"), field(&init, "Seccomp:")), (vec!["1".into()], vec!["2".into()]));
    let user = |text: &str| field(text, "Uid:").iter().map(|id| id.parse::<u32>().unwrap()).collect::<Vec<_>>();
    assert!(user(&init).iter().all(|id| *id >= 0x7000_0000 && id + 993 == user(&runtime)[0]), "{init}");
    let descriptors = std::fs::read_dir(format!("/proc/{init_pid}/fd")).unwrap().flatten();
    let descriptors: Vec<_> = descriptors.map(|entry| std::fs::read_link(entry.path()).unwrap()).collect();
    assert_eq!(descriptors, [std::path::Path::new("anon_inode:[eventfd]")]);
    for namespace in ["mnt", "net", "ipc", "uts", "pid", "cgroup"] {
        let of = |pid: u32| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_eq!(of(init_pid), of(sandbox.control.pid()), "{namespace}");
    }
    // From outside it can be ended, and everything with it.
    let pid = rustix::process::Pid::from_raw(i32::try_from(init_pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let exit = tokio::time::timeout(PATIENCE, sandbox.control.wait()).await.unwrap();
    assert_eq!((exit.status, exit.signal), (None, Some(libc::SIGKILL)));
}
