//! What a sandbox can see and do.

use std::io::Write;

use bojagi_sandbox::{CodeImageForm, LaunchError, Mount};

use crate::support::{Host, finish, fixtures, read_until, spec, spec_of};

#[tokio::test]
async fn privileged_starts_in_every_form_of_code_image() {
    let host = Host::start();
    let mut forms = vec![CodeImageForm::Loop, CodeImageForm::Directory];
    // Linux 6.12.
    forms.extend(
        (bojagi_sandbox::probe(host.data_dir.path()).unwrap() == CodeImageForm::File).then_some(CodeImageForm::File),
    );
    for form in forms {
        let mut wanted =
            spec_of(&["env", "cwd", "cat", "/var/task/handler", "list", "/opt", "cat", "/opt/both", "exit", "7"], form);
        let layers = ["layer-1", "layer-2"].map(|name| fixtures().image(name, form)).to_vec();
        wanted.mounts.push(Mount { at: "/opt".into(), images: layers });
        let (output, exit) = finish(host.launch(wanted).await).await;
        assert_eq!((exit.status, exit.signal, exit.out_of_memory), (Some(7), None, false), "{form:?}: {output}");
        assert!(output.starts_with("GREETING=hello\n/var/task\ncode"), "{form:?}: {output}");
        assert!(output.ends_with("layer-2"), "the later layer wins: {output}");
        assert!(output.contains("one") && output.contains("two"), "{output}");
    }
}

#[tokio::test]
async fn privileged_a_root_that_lacks_mount_points_is_given_them() {
    let host = Host::start();
    let mut wanted = spec(&["list", "/", "cat", "/etc/resolv.conf", "cat", "/var/task/handler"]);
    wanted.root = vec![fixtures().image("bare", CodeImageForm::Loop)];
    let (output, exit) = finish(host.launch(wanted).await).await;
    assert_eq!(exit.status, Some(0), "{output}");
    assert!(
        output.contains("probe") && output.contains("nameserver 169.254.100.1") && output.ends_with("code"),
        "{output}"
    );
}

#[tokio::test]
async fn privileged_sees_only_what_it_was_given() {
    let host = Host::start();
    let secret = host.data_dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let path = secret.to_string_lossy().into_owned();
    let (output, _) = host
        .run(&[
            "list",
            "/",
            "cat",
            &path,
            "list",
            "/dev",
            "list",
            "/proc/self/root/",
            "list",
            "/tmp",
            "cat",
            "/proc/mounts",
        ])
        .await;
    let mut lines = output.lines();
    let mut names: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    names.sort_unstable();
    assert_eq!(names, ["dev", "etc", "open", "opt", "probe", "proc", "tmp", "var"]);
    assert!(lines.next().unwrap().ends_with("ENOENT"), "{output}");
    let mut devices: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    devices.sort_unstable();
    assert_eq!(devices, ["fd", "full", "null", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]);
    assert!(!output.contains("sandbox/images") && !output.contains("/sys/fs/cgroup"), "{output}");
    assert!(
        !output.contains(&*host.data_dir.path().to_string_lossy().into_owned())
            || output.matches("ENOENT").count() == 1
    );
}

#[tokio::test]
async fn privileged_sees_no_process_but_its_own() {
    let host = Host::start();
    let other = host.launch(spec(&["pause"])).await;
    read_until(&other.output, "pausing").await;
    let (output, _) = host.run(&["list", "/proc", "kill", "3"]).await;
    let processes: Vec<&str> = output.split_whitespace().filter(|name| name.parse::<u32>().is_ok()).collect();
    assert_eq!(processes, ["1", "2"], "{output}");
    assert!(output.contains("kill: ESRCH"), "{output}");
}

#[tokio::test]
async fn privileged_proc_does_not_tell_of_the_host_nor_change_it() {
    let host = Host::start();
    let (output, _) = host
        .run(&[
            "cat",
            "/proc/keys",
            "cat",
            "/proc/kcore",
            "cat",
            "/proc/timer_list",
            "write",
            "/proc/sysrq-trigger",
            "write",
            "/proc/sys/kernel/hostname",
        ])
        .await;
    // What the kernel has is empty or refused.
    let refused = |line: &str| ["EROFS", "EACCES", "ENOENT"].iter().any(|error| line.ends_with(error));
    assert!(output.lines().all(refused) && output.lines().count() >= 2, "{output}");
}

/// Fails without the read-only mount: the directories let anybody write, and the form is a directory of the host.
#[tokio::test]
async fn privileged_writes_nowhere_but_in_tmp() {
    let host = Host::start();
    for form in [CodeImageForm::Directory, CodeImageForm::Loop] {
        let wanted = spec_of(
            &["write", "/open/file", "write", "/var/task/open/file", "write", "/tmp/file", "write", "/dev/file"],
            form,
        );
        let (output, _) = finish(host.launch(wanted).await).await;
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines[0], "/open/file: EROFS", "{form:?}");
        assert_eq!(lines[1], "/var/task/open/file: EROFS", "{form:?}");
        assert!(lines[2].starts_with("/tmp/file: ok"), "{output}");
        assert_eq!(lines[3], "/dev/file: EROFS", "{form:?}");
    }
}

/// Fails without the filter: an ordinary user may call `unshare(CLONE_NEWUSER)`, `clone3`, `keyctl`, `userfaultfd` and `io_uring_setup`.
#[tokio::test]
async fn privileged_system_calls_are_filtered() {
    let host = Host::start();
    let (output, exit) = host.run(&["syscalls"]).await;
    assert_eq!(exit.status, Some(0), "{output}");
    let expected = "mount: EPERM\nunshare: EPERM\nclone: EPERM\nclone3: ENOSYS\nkeyctl: EPERM\nbpf: EPERM\nuserfaultfd: EPERM\n\
                    io_uring: EPERM\nperf: EPERM\nptrace_file: EPERM\nvsock: EPERM\npacket: EPERM\naudit: EPERM\nroute: ok\n\
                    personality: EPERM\nx32: ENOSYS\ntiocsti: EPERM\nreboot: EPERM\n";
    assert_eq!(output, expected);
}

/// Fails without the user namespace, by the map and by the user that the host sees.
#[tokio::test]
async fn privileged_has_no_privileges_and_host_ids_of_its_own() {
    let host = Host::start();
    let (output, _) = host.run(&["privileges"]).await;
    let expected = "ids: 993 993 990 990\nsetuid: EPERM\nremount: EPERM\numount: EPERM\nmknod: EPERM\nsethostname: EPERM\n\
                    chroot: EPERM\nbound: ok 0\nno_new_privs: ok 1\nsecurebits: ok 235\n";
    let (privileges, map) = output.split_at(output.find("         ").unwrap());
    assert_eq!(privileges, expected);
    let map: Vec<u32> = map.split_whitespace().map(|word| word.parse().unwrap()).collect();
    assert!(map[0] == 0 && map[1] >= 0x7000_0000 && map[2] == 65_536, "{map:?}");

    let (one, two) = (host.launch(spec(&["pause"])).await, host.launch(spec(&["pause"])).await);
    let users = [one.control.pid(), two.control.pid()].map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap().to_owned();
        assert!(status.contains("CapBnd:\t0000000000000000"), "{status}");
        line.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    });
    assert!(users.iter().all(|user| *user >= 0x7000_0000 && (user - 0x7000_0000) % 65_536 == 993), "{users:?}");
    assert_ne!(users[0], users[1]);
}

#[tokio::test]
async fn privileged_reaches_the_service_address_and_nothing_else() {
    let host = Host::start();
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port().to_string();
    let sandbox = host
        .launch(spec(&[
            "connect",
            "169.254.100.1",
            "9001",
            "connect",
            "169.254.100.1",
            "4566",
            "connect",
            "127.0.0.1",
            &port,
            "connect",
            "192.0.2.1",
            "80",
            "connect",
            "169.254.169.254",
            "80",
        ]))
        .await;
    for (listener, word) in [(&sandbox.runtime_api, "runtime"), (&sandbox.endpoint, "endpoint")] {
        let listener = tokio::net::TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
        let (connection, _) = listener.accept().await.unwrap();
        connection.into_std().unwrap().write_all(word.as_bytes()).unwrap();
    }
    assert_eq!(sandbox.dns_tcp.local_addr().unwrap().to_string(), "169.254.100.1:53");
    assert_eq!(sandbox.dns_udp.local_addr().unwrap().to_string(), "169.254.100.1:53");
    let (output, _) = finish(sandbox).await;
    let expected =
        "connect: runtime\nconnect: endpoint\nconnect: ECONNREFUSED\nconnect: ENETUNREACH\nconnect: ENETUNREACH\n";
    assert_eq!(output, expected);
}

#[tokio::test]
async fn privileged_a_command_that_cannot_be_executed_is_told_apart() {
    let host = Host::start();
    for (command, errno) in [("/no/such", libc::ENOENT), ("/etc/hosts", libc::EACCES)] {
        let mut wanted = spec(&[]);
        wanted.process.command = vec![command.into()];
        match host.try_launch(wanted).await {
            Err(LaunchError::Exec { command: failed, source }) => {
                assert_eq!((failed.as_str(), source.raw_os_error()), (command, Some(errno)));
            }
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("{command} was executed"),
        }
    }
    let mut wanted = spec(&[]);
    wanted.process.working_directory = "/missing".into();
    assert!(matches!(host.try_launch(wanted).await, Err(LaunchError::Setup { step, .. }) if step.contains("/missing")));
    let mut wanted = spec(&[]);
    wanted.root[0].digest = "sha256:other".into();
    wanted.root[0].path = "/no/such/image".into();
    assert!(
        matches!(host.try_launch(wanted).await, Err(LaunchError::Setup { step, .. }) if step.contains("/no/such/image"))
    );
    let (_, exit) = host.run(&["exit", "0"]).await;
    assert_eq!(exit.status, Some(0));
}
