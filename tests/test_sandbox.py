"""Function code that looks around, reaches out, takes too much and stays too long. Each test fails when its one wall is missing."""

import concurrent.futures
import os
import pathlib
import re
import socket
import threading

import pytest

from support import leaks
from support.clients import DEFAULT_ACCOUNT, client
from support.functions import PROBE, REQUEST_ID, create, fresh_name, invoke, run_inside, succeed, wait_updated
from support.waiting import until

# What a refused access answers with: not there, or not allowed.
REFUSED = ["EACCES", "EPERM", "ENOENT", "EROFS", "ENOSYS", "EINVAL", "ENODEV", "ENXIO"]


def attempt(expression, setup=""):
    """A snippet whose result is the name of the errno that `expression` fails with, or what it gives."""
    return f"import errno, os, socket\n{setup}\ntry:\n    result = ['done', repr({expression})]\nexcept OSError as error:\n    result = ['refused', errno.errorcode.get(error.errno, str(error))]\n"


def refused(lambda_, name, expression, setup=""):
    """Runs the expression inside; returns the errno's name, and fails when it went through."""
    outcome, detail = run_inside(lambda_, name, attempt(expression, setup))
    assert outcome == "refused", f"{expression} went through: {detail[:500]}"
    return detail


def linux(name, *arguments, argument_types=""):
    """An expression that makes a system call by its number and raises OSError when it fails. x86-64's numbers."""
    numbers = {"mount": 165, "umount2": 166, "unshare": 272, "setns": 308, "ptrace": 101, "bpf": 321, "keyctl": 250, "add_key": 248,
               "perf_event_open": 298, "kexec_load": 246, "init_module": 175, "reboot": 169, "swapon": 167, "settimeofday": 164,
               "sethostname": 170, "pivot_root": 155, "chroot": 161, "open_by_handle_at": 304, "userfaultfd": 323, "io_uring_setup": 425,
               "process_vm_readv": 310, "mknod": 133, "acct": 163, "iopl": 172, "quotactl": 179, "syslog": 103, "personality": 135,
               "fanotify_init": 300, "fsopen": 430, "move_mount": 429, "clone3": 435}
    return f"call({numbers[name]}, {', '.join(map(str, arguments))})"


CALL = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    value = libc.syscall(ctypes.c_long(number), *[ctypes.c_char_p(a) if isinstance(a, bytes) else ctypes.c_long(a) for a in arguments])
    if value < 0:
        raise OSError(ctypes.get_errno(), 'system call')
    return value
"""


# ---- what it is given -------------------------------------------------------------------------------------------------------------------


def test_the_environment_is_awss_and_nothing_else(lambda_, server):
    name = create(lambda_, fresh_name("env"), PROBE, MemorySize=256, Environment={"Variables": {"MINE": "1", "LANG": "C.UTF-8"}})
    found = run_inside(lambda_, name, "import os\nresult = dict(os.environ)")
    lambda_.delete_function(FunctionName=name)
    # Recorded from AWS, January 2026, python3.13.
    exact = {
        "AWS_LAMBDA_RUNTIME_API": "169.254.100.1:9001",
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib",
        "LANG": "C.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "PYTHONPATH": "/var/runtime",
        "_HANDLER": "app.handler",
        "AWS_REGION": server.region,
        "AWS_DEFAULT_REGION": server.region,
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "MINE": "1",
    }
    patterns = {
        "AWS_LAMBDA_LOG_STREAM_NAME": r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}",
        "AWS_ACCESS_KEY_ID": r"ASIA[A-Z0-9]{16}",
        "AWS_SECRET_ACCESS_KEY": r"\S{40}",
        "AWS_SESSION_TOKEN": r"\S{20,}",
        "_X_AMZN_TRACE_ID": r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}.*",
    }
    assert {key: found.get(key) for key in exact} == exact
    for key, pattern in patterns.items():
        assert re.fullmatch(pattern, found.get(key, "")), (key, found.get(key))
    # What AWS's own start script leaves behind, and Bojagi's endpoints of the services it serves.
    may = re.compile(r"PWD|SHLVL|_|AWS_XRAY_DAEMON_ADDRESS|_AWS_XRAY_DAEMON_(ADDRESS|PORT)|AWS_ENDPOINT_URL_[A-Z0-9_]+|LC_CTYPE|SSL_CERT_FILE")
    more = {key for key in found if key not in exact and key not in patterns and not may.fullmatch(key)}
    assert not more, more
    assert found["AWS_ENDPOINT_URL_LAMBDA"].startswith("http://169.254.100.1:") and "AWS_ENDPOINT_URL_STS" in found
    assert "AWS_ENDPOINT_URL" not in found and "AWS_ENDPOINT_URL_DYNAMODB" not in found


def test_the_users_own_values_win_where_aws_lets_them(function, lambda_):
    variables = {"PATH": "/mine", "TZ": "Asia/Seoul", "PYTHONPATH": "/var/runtime:/var/task/lib", "AWS_ENDPOINT_URL_LAMBDA": "http://mine"}
    found = run_inside(lambda_, function(PROBE, Environment={"Variables": variables}), "import os\nresult = dict(os.environ)")
    assert {key: found[key] for key in variables} == variables


def test_identity_inside(lambda_, probe):
    found = run_inside(lambda_, probe, (
        "import os, socket\nresult = {'uid': os.getuid(), 'gid': os.getgid(), 'groups': os.getgroups(), 'host': socket.gethostname(), 'cwd': os.getcwd(),\n"
        "    'status': dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line),\n"
        "    'map': open('/proc/self/uid_map').read().split(), 'seen': [p for p in os.listdir('/proc') if p.isdigit()]}"))
    assert found["uid"] != 0 and found["gid"] != 0 and 0 not in found["groups"]
    assert found["host"] != socket.gethostname()
    status = found["status"]
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0, f"{kind} {status[kind]}"
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    # The host's ids behind them are a range of their own, and never the host's root.
    triples = [found["map"][index : index + 3] for index in range(0, len(found["map"]), 3)]
    assert all(int(outside) >= 65536 and int(count) <= 1 << 20 for _, outside, count in triples), triples
    assert len(found["seen"]) < 20


def test_environments_have_user_ids_of_their_own(server, lambda_, function):
    names = [function(PROBE) for _ in range(2)]
    code = "result = open('/proc/self/uid_map').read().split()[1]"
    assert len({run_inside(lambda_, name, code) for name in names}) == 2


def test_devices_are_few(lambda_, probe):
    found = set(run_inside(lambda_, probe, "import os\nresult = os.listdir('/dev')"))
    assert {"null", "zero", "urandom", "random", "full"} <= found
    allowed = {"null", "zero", "urandom", "random", "full", "tty", "shm", "pts", "ptmx", "fd", "stdin", "stdout", "stderr", "mqueue", "console"}
    assert found <= allowed, found - allowed
    assert run_inside(lambda_, probe, "open('/dev/null','w').write('x')\nresult = [len(open('/dev/urandom','rb').read(10)), len(open('/dev/zero','rb').read(3))]") == [10, 3]


def test_no_foreign_descriptor_is_inherited(lambda_, probe):
    targets = run_inside(lambda_, probe, "import os\nresult = []\nfor n in os.listdir('/proc/self/fd'):\n    try:\n        result.append(os.readlink('/proc/self/fd/' + n))\n"
                                         "    except OSError:\n        pass\n")
    for target in targets:
        assert re.match(r"(pipe:|socket:|anon_inode:|/dev/|/proc/|/var/(task|runtime|lang)|/memfd:)", target), targets


def test_multiprocessing_and_threads_work(lambda_, probe):
    # AWS has no /dev/shm; pipes, threads and processes work.
    code = ("import multiprocessing, threading\n"
            "a, b = multiprocessing.Pipe()\np = multiprocessing.get_context('fork').Process(target=lambda: b.send('child'))\np.start()\nfirst = a.recv()\np.join()\n"
            "out = []\nts = [threading.Thread(target=out.append, args=(n,)) for n in range(20)]\n[t.start() for t in ts]\n[t.join() for t in ts]\nresult = [first, len(out)]")
    assert run_inside(lambda_, probe, code) == ["child", 20]


# ---- what it must not see ----------------------------------------------------------------------------------------------------------------


def test_no_file_of_the_host_can_be_read(lambda_, probe, server, tmp_path):
    marker = tmp_path / "marker"
    marker.write_text("host secret")
    marker.chmod(0o644)
    for path in (marker, server.data, server.keys, server.log, pathlib.Path(__file__), "/proc/1/root" + str(marker), "/etc/bojagi",
                 "/root/.bashrc", "/home", f"/proc/{os.getpid()}/environ"):
        code = f"import os\nresult = os.path.lexists({str(path)!r}) and (os.listdir({str(path)!r}) if os.path.isdir({str(path)!r}) else open({str(path)!r}).read())"
        outcome = invoke(lambda_, probe, {"code": code})
        assert outcome.error or not outcome.payload, f"{path}: {outcome.raw[:300]}"


def test_no_process_of_the_host_can_be_seen(lambda_, probe):
    # Process 1 is the sandbox's own init, a fork of the launcher by its command line; what it is made of cannot be read.
    commands = run_inside(lambda_, probe, "import os\nresult = [open(f'/proc/{p}/cmdline').read() for p in os.listdir('/proc') if p.isdigit() and p != '1']")
    assert not [command for command in commands if "bojagi" in command or "pytest" in command], commands
    assert run_inside(lambda_, probe, "result = open('/proc/1/comm').read()") == "init\n"
    for file in ("environ", "maps", "mem"):
        assert refused(lambda_, probe, f"open('/proc/1/{file}').read()") in ("EACCES", "EPERM")
    # This number is a process of the host, and none in there.
    assert refused(lambda_, probe, f"os.kill({max(os.getpid(), 5000)}, 0)") == "ESRCH"


def test_kernel_files_are_masked(lambda_, probe):
    for path in ("/proc/kcore", "/proc/keys", "/proc/sysrq-trigger", "/proc/timer_list", "/proc/sched_debug", "/proc/scsi", "/proc/acpi"):
        code = f"import os\nif os.path.isdir({path!r}):\n    result = os.listdir({path!r})\nelif os.path.exists({path!r}):\n    result = len(open({path!r}, 'rb').read(64))\nelse:\n    result = None"
        answer = invoke(lambda_, probe, {"code": code})
        assert answer.error or not answer.payload, f"{path} has {answer.payload}"
    for path in ("/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"):
        refused(lambda_, probe, f"open({path!r}, 'w').write('x')")


def test_sys_cannot_be_written(lambda_, probe):
    code = ("import os\nwritten = []\nfor folder, folders, files in os.walk('/sys'):\n    folders[:] = folders[:20]\n    for f in files[:50]:\n        p = os.path.join(folder, f)\n"
            "        try:\n            os.close(os.open(p, os.O_WRONLY))\n            written.append(p)\n        except OSError:\n            pass\n    if len(written) > 5: break\nresult = written")
    assert run_inside(lambda_, probe, code) == []


# ---- what it must not reach --------------------------------------------------------------------------------------------------------------


def host_addresses():
    """Addresses of this host that are not loopback."""
    found = set()
    for address in ("198.51.100.1", "10.255.255.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, 9))
                found.add(probe.getsockname()[0])
            except OSError:
                pass
    return {address for address in found if not address.startswith("127.")}


CONNECT = "socket.create_connection(({address!r}, {port}), timeout=3)"


def test_no_port_of_the_host_can_be_reached(lambda_, probe, server):
    reached = []
    with socket.create_server(("0.0.0.0", 0)) as listener:
        listener.settimeout(0.2)
        stop = threading.Event()

        def accept():
            while not stop.is_set():
                try:
                    reached.append(listener.accept()[1])
                except OSError:
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            port = listener.getsockname()[1]
            gateways = run_inside(lambda_, probe, "import socket, struct\nresult = [socket.inet_ntoa(struct.pack('<I', int(line.split()[2], 16))) for line in open('/proc/net/route').read().splitlines()[1:]]")
            addresses = {"127.0.0.1", "169.254.100.1", *host_addresses(), *[gateway for gateway in gateways if gateway != "0.0.0.0"]}
            for address in addresses:
                refused(lambda_, probe, CONNECT.format(address=address, port=port))
            for address in addresses - {"169.254.100.1"}:
                refused(lambda_, probe, CONNECT.format(address=address, port=server.port))
        finally:
            stop.set()
            thread.join()
    assert not reached


@pytest.mark.parametrize("address", ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200"])
def test_no_metadata_service_can_be_reached(lambda_, probe, address):
    refused(lambda_, probe, CONNECT.format(address=address, port=80))


@pytest.mark.parametrize("address", ["10.0.0.1", "172.16.0.1", "192.168.0.1", "fe80::1", "224.0.0.1", "255.255.255.255"])
def test_no_private_network_can_be_reached(lambda_, probe, address):
    refused(lambda_, probe, CONNECT.format(address=address, port=80))


def test_no_unix_socket_of_the_host_can_be_reached(lambda_, probe):
    name = f"bojagi-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("\0" + name)
        listener.listen()
        refused(lambda_, probe, "s.connect('\\0" + name + "')", "s = socket.socket(socket.AF_UNIX)")


@pytest.mark.parametrize("family, kind, protocol", [("AF_INET", "SOCK_RAW", 1), ("AF_PACKET", "SOCK_RAW", 3), ("AF_VSOCK", "SOCK_STREAM", 0),
                                                    ("AF_NETLINK", "SOCK_RAW", 12), ("AF_ALG", "SOCK_SEQPACKET", 0)])
def test_no_odd_socket_can_be_made(lambda_, probe, family, kind, protocol):
    refused(lambda_, probe, f"socket.socket(socket.{family}, socket.{kind}, {protocol})")


# ---- what it must not change -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/file", "/etc/passwd", "/var/task/file", "/opt/file", "/var/lang/file", "/var/runtime/bootstrap", "/usr/bin/file", "/dev/file", "/var/file"])
def test_only_tmp_can_be_written(lambda_, probe, path):
    assert refused(lambda_, probe, f"open({path!r}, 'w').write('x')") in REFUSED


def test_code_cannot_be_made_writable_again(lambda_, probe):
    for target in (b"/", b"/var/task", b"/opt"):
        # MS_REMOUNT | MS_BIND
        assert refused(lambda_, probe, linux("mount", b"none", target, b"none", 32 | 4096, 0), CALL) in REFUSED
    assert refused(lambda_, probe, "os.chmod('/var/task/app.py', 0o777)") in REFUSED
    assert refused(lambda_, probe, "os.utime('/var/task/app.py')") in REFUSED


@pytest.mark.parametrize("call, arguments", [
    ("mount", (b"tmpfs", b"/tmp", b"tmpfs", 0, 0)), ("umount2", (b"/tmp", 2)), ("unshare", (0x10000000,)), ("unshare", (0x00020000,)), ("setns", (0, 0)),
    ("bpf", (0, 0, 0)), ("keyctl", (0, 0)), ("add_key", (b"user", b"a", b"b", 1, -2)), ("perf_event_open", (0, 0, -1, -1, 0)), ("kexec_load", (0, 0, 0, 0)),
    ("init_module", (0, 0, b"")), ("reboot", (0xFEE1DEAD - (1 << 32), 672274793, 0, 0)), ("swapon", (b"/tmp/x", 0)), ("settimeofday", (0, 0)),
    ("sethostname", (b"x", 1)), ("pivot_root", (b"/tmp", b"/tmp")), ("chroot", (b"/tmp",)), ("open_by_handle_at", (0, 0, 0)), ("userfaultfd", (0,)),
    ("io_uring_setup", (1, 0)), ("mknod", (b"/tmp/dev", 0o60666, 0x700)), ("acct", (0,)), ("iopl", (3,)), ("quotactl", (0, 0, 0, 0)), ("syslog", (3, 0, 0)),
    ("fanotify_init", (0, 0)), ("fsopen", (b"tmpfs", 0)),
], ids=lambda value: value if isinstance(value, str) else "")
def test_dangerous_system_calls_are_refused(lambda_, probe, call, arguments):
    # EFAULT would mean that the kernel looked at the arguments: the call itself was let through.
    assert refused(lambda_, probe, linux(call, *arguments), CALL) in ("EPERM", "ENOSYS", "EACCES")


def test_a_set_user_id_program_gives_nothing(lambda_, function):
    from support.zips import Entry, archive
    import stat

    name = function(zip_file=archive([Entry(b"app.py", PROBE.encode()), Entry(b"su", b"#!/bin/sh\nid -u\n", mode=stat.S_IFREG | 0o4755)]))
    mode = run_inside(lambda_, name, "import os\nresult = os.stat('/var/task/su').st_mode & 0o6000")
    flags = run_inside(lambda_, name, "import os\nresult = os.statvfs('/var/task').f_flag & os.ST_NOSUID")
    assert mode == 0 or flags, "set-user-id bits are dropped, or their mount ignores them"


# ---- what it may take --------------------------------------------------------------------------------------------------------------------


FILL = ("import os\nwritten = 0\nchunk = b'x' * (1 << 20)\nwith open('/tmp/fill', 'wb', buffering=0) as f:\n    try:\n        while written < {limit} << 20:\n            written += f.write(chunk)\n"
        "        error = None\n    except OSError as e:\n        import errno\n        error = errno.errorcode[e.errno]\nresult = [written >> 20, error]\nos.unlink('/tmp/fill')\n")


def test_a_small_function_writes_500_megabytes_to_tmp(function, lambda_):
    # The room in /tmp is not charged to the function's memory.
    name = function(PROBE, MemorySize=128, Timeout=120)
    assert run_inside(lambda_, name, FILL.format(limit=500)) == [500, None]


def test_tmp_is_as_large_as_asked_and_then_full(function, lambda_):
    name = function(PROBE, MemorySize=128, Timeout=120)
    written, error = run_inside(lambda_, name, FILL.format(limit=700))
    assert error == "ENOSPC" and 480 <= written <= 512, (written, error)
    larger = function(PROBE, MemorySize=128, Timeout=120, EphemeralStorage={"Size": 1024})
    written, error = run_inside(lambda_, larger, FILL.format(limit=1200))
    assert error == "ENOSPC" and 960 <= written <= 1024, (written, error)


def test_tmp_is_writable_kept_while_warm_and_gone_with_its_environment(function, lambda_):
    name = function(PROBE)
    write = "import os, uuid\nopen('/tmp/kept', 'w').write(str(uuid.uuid4()))\nos.symlink('/etc', '/tmp/link')\nresult = open('/tmp/kept').read()"
    written = run_inside(lambda_, name, write)
    assert run_inside(lambda_, name, "result = open('/tmp/kept').read()") == written
    assert run_inside(lambda_, function(PROBE), "import os\nresult = os.listdir('/tmp')") == []
    lambda_.update_function_configuration(FunctionName=name, Description="another environment")
    wait_updated(lambda_, name)
    assert run_inside(lambda_, name, "import os\nresult = os.listdir('/tmp')") == []


def test_environments_of_one_function_do_not_share_tmp(function, lambda_):
    name = function(PROBE)
    code = ("import os, time, uuid\nmine = str(uuid.uuid4())\nopen('/tmp/' + mine, 'w').close()\ntime.sleep(1.5)\nresult = [mine, os.listdir('/tmp')]")
    barrier = threading.Barrier(3)

    def one(_):
        barrier.wait()
        return run_inside(lambda_, name, code)

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(one, range(3)))
    assert all(listed == [mine] for mine, listed in answers) and len({mine for mine, _ in answers}) == 3


def test_memory_is_limited_to_what_was_asked(function, lambda_):
    name = function(PROBE, MemorySize=256)
    assert run_inside(lambda_, name, "x = b'x' * (150 << 20)\nresult = len(x) >> 20") == 150
    answer = invoke(lambda_, name, {"code": "kept = []\nwhile True:\n    kept.append(b'x' * (4 << 20))"})
    assert answer.error == "Unhandled" and "signal: killed" in answer.payload["errorMessage"], answer.raw
    assert run_inside(lambda_, name, "result = 'again'") == "again"


def test_memory_of_children_counts(function, lambda_):
    name = function(PROBE, MemorySize=128, Timeout=60)
    code = ("import os, time\npids = []\nfor _ in range(4):\n    pid = os.fork()\n    if not pid:\n        x = bytearray(os.urandom(1 << 20) * 60)\n        time.sleep(20)\n        os._exit(0)\n"
            "    pids.append(pid)\nstatuses = [os.waitpid(p, 0)[1] for p in pids]\nresult = statuses")
    answer = invoke(lambda_, name, {"code": code})
    assert answer.error or 9 in [status & 127 for status in answer.payload], answer.raw


def test_processes_are_limited(function, lambda_):
    name = function(PROBE, MemorySize=2048, Timeout=120)
    code = ("import errno, os, signal\npids = []\nerror = None\ntry:\n    while len(pids) < 3000:\n        pid = os.fork()\n        if not pid:\n            signal.pause()\n        pids.append(pid)\n"
            "except OSError as e:\n    error = errno.errorcode[e.errno]\nfor pid in pids:\n    os.kill(pid, 9)\nfor pid in pids:\n    os.waitpid(pid, 0)\nresult = [len(pids), error]")
    made, error = run_inside(lambda_, name, code)
    # "Lambda quotas": 1,024 processes and threads.
    assert error == "EAGAIN" and 900 <= made <= 1024, (made, error)
    assert run_inside(lambda_, name, "result = 'still here'") == "still here"


def test_a_fork_bomb_hurts_only_itself(function, lambda_):
    bomb = function("import os\ndef handler(e, c):\n    while True:\n        try:\n            os.fork()\n        except OSError:\n            pass\n", Timeout=3, MemorySize=256)
    other = function("def handler(e, c):\n    return 'fine'\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, lambda_, bomb, {})
        assert succeed(lambda_, other) == "fine"
        assert running.result().error == "Unhandled"
    assert succeed(lambda_, other) == "fine"


def test_descriptors_are_limited(lambda_, probe):
    code = ("import errno, os, resource\nopened = []\nerror = None\ntry:\n    while len(opened) < 5000:\n        opened.append(os.open('/dev/null', os.O_RDONLY))\nexcept OSError as e:\n"
            "    error = errno.errorcode[e.errno]\nfor fd in opened:\n    os.close(fd)\nresult = [len(opened), error, *resource.getrlimit(resource.RLIMIT_NOFILE)]")
    opened, error, soft, hard = run_inside(lambda_, probe, code)
    assert (error, soft, hard) == ("EMFILE", 1024, 1024) and 950 <= opened < 1024


def test_cpu_follows_memory(function, lambda_):
    code = ("import time\nbegan, used = time.monotonic(), time.process_time()\nwhile time.monotonic() - began < 3:\n    pass\nresult = (time.process_time() - used) / (time.monotonic() - began)")
    share = run_inside(lambda_, function(PROBE, MemorySize=128, Timeout=60), code)
    # 1,769 MB are one vCPU, so 128 MB are 7 % of one. What other work takes away only lowers it.
    assert share < 0.15, share
    assert run_inside(lambda_, function(PROBE, MemorySize=1769, Timeout=60), code) > 3 * share


# ---- what it must not leave --------------------------------------------------------------------------------------------------------------


def test_nothing_stays_after_its_environment(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), PROBE)
    hidden = ("import os, subprocess\nfor n in range(3):\n    if not os.fork():\n        os.setsid()\n        if not os.fork():\n            os.execv('/bin/sleep', ['sleep', '4246'])\n        os._exit(0)\n"
              "open('/tmp/trace-4246', 'w').write('x')\nresult = 1")
    assert run_inside(mine, name, hidden) == 1

    def alive():
        return [pid for pid, (_, state, command) in leaks.processes().items() if command == "sleep 4246" and state != "Z"]

    until(alive, 10, "the hidden processes run")
    owners = {os.stat(f"/proc/{pid}").st_uid for pid in alive()}
    assert 0 not in owners and all(owner >= 65536 for owner in owners), "seen from the host they are nobody"
    mine.delete_function(FunctionName=name)
    until(lambda: not alive(), 15, "they are dead with their function")
    for path in [*server.data.rglob("trace-4246"), *pathlib.Path("/tmp").glob("trace-4246")]:
        raise AssertionError(f"{path} is left")


def test_an_environment_that_was_stopped_by_its_timeout_is_gone(function, lambda_):
    name = function("import subprocess, time\ndef handler(e, c):\n    subprocess.Popen(['sleep', '4247'], start_new_session=True)\n    time.sleep(30)\n", Timeout=1)
    assert invoke(lambda_, name, {}).payload["errorType"] == "Sandbox.Timedout"
    until(lambda: not [1 for _, state, command in leaks.processes().values() if command == "sleep 4247" and state != "Z"], 15, "all of it is dead")


# ---- every way of making code images visible ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["file", "loop", "directory"])
def test_code_images_in_every_form(new_server, way):
    import stat

    from support.zips import Entry, archive

    server = new_server("--code-images", way).start()
    mine = client(server)
    content = archive([Entry(b"app.py", PROBE.encode()), Entry(b"bin/run", b"#!/bin/sh\necho ran\n", mode=stat.S_IFREG | 0o755),
                       Entry(b"link", b"bin/run", mode=stat.S_IFLNK | 0o777), Entry(b"empty/", method=0, mode=stat.S_IFDIR | 0o755)])
    name = create(mine, fresh_name(), zip_file=content)
    code = "import os, subprocess\nresult = [subprocess.check_output('/var/task/link', text=True), os.listdir('/var/task/empty'), os.access('/var/task', os.W_OK)]"
    assert run_inside(mine, name, code) == ["ran\n", [], False]
    assert refused(mine, name, "open('/var/task/x', 'w')") in REFUSED
    if way == "loop":
        assert leaks.loop_devices("/"), "the images are behind loop devices"
    mine.delete_function(FunctionName=name)


def test_without_a_network_bojagi_itself_is_still_there(new_server):
    server = new_server("--network", "none").start()
    mine = client(server)
    name = create(mine, fresh_name(), PROBE, MemorySize=512)
    assert run_inside(mine, name, "import boto3\nresult = boto3.client('sts').get_caller_identity()['Account']") == DEFAULT_ACCOUNT
    for address in ("198.51.100.1", "1.1.1.1", "10.0.0.1"):
        refused(mine, name, CONNECT.format(address=address, port=80))
    interfaces = run_inside(mine, name, "import os\nresult = sorted(os.listdir('/sys/class/net')) if os.path.isdir('/sys/class/net') else [l.split(':')[0].strip() for l in open('/proc/net/dev').read().splitlines()[2:]]")
    assert interfaces in ([], ["lo"]), interfaces


def test_the_runtime_api_serves_only_its_own_environment(lambda_, probe, function):
    # Another request's id is not accepted, nor is an answer where none is asked for.
    code = ("import http.client, os\nc = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'], timeout=5)\n"
            "c.request('POST', '/2018-06-01/runtime/invocation/00000000-0000-4000-8000-000000000000/response', b'{}')\nr = c.getresponse()\nresult = [r.status, r.read().decode()]")
    status, body = run_inside(lambda_, probe, code)
    # "Lambda runtime API": errors have errorMessage and errorType.
    assert status in (400, 403) and "errorType" in body, (status, body)
    for wrong in ("/2018-06-01/runtime/nothing", "/", "/2018-06-01/runtime/invocation/x/y/z"):
        code = f"import http.client, os\nc = http.client.HTTPConnection(os.environ['AWS_LAMBDA_RUNTIME_API'], timeout=5)\nc.request('GET', {wrong!r})\nresult = c.getresponse().status"
        assert 400 <= run_inside(lambda_, probe, code) < 500


def test_two_sandboxes_cannot_reach_each_other(function, lambda_):
    listen = ("import socket, threading, time\ns = socket.create_server(('0.0.0.0', 34567))\ns.settimeout(6)\ntry:\n    s.accept()\n    result = 'reached'\nexcept OSError:\n    result = 'alone'\n")
    scan = ("import socket, struct, time\nfound = []\nlines = open('/proc/net/fib_trie').read().split()\nown = sorted({w for w in lines if w.count('.') == 3 and not w.startswith(('127.', '0.'))})\n"
            "for address in own:\n    parts = address.split('.')\n    for last in range(1, 255, 1):\n        s = socket.socket()\n        s.setblocking(False)\n        s.connect_ex(('.'.join(parts[:3] + [str(last)]), 34567))\n        found.append(s)\n"
            "    if len(found) > 700: break\ntime.sleep(2)\nresult = own")
    first, second = function(PROBE, MemorySize=256), function(PROBE, MemorySize=256)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_inside, lambda_, first, listen)
        invoke(lambda_, second, {"code": scan})
        assert running.result() == "alone"
    assert re.search(REQUEST_ID, invoke(lambda_, second, {"code": "result = context.aws_request_id"}).payload)
