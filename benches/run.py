"""Measures Bojagi beside its peers and floors, and prints the ratios that are the goals.

    python benches/run.py [warm] [cold] [upload]      all of them by default; --quick takes fewer samples

Both sides of a ratio are measured in turn in one run, with the same client and the same base image; figures are medians.
Absolute times are of this machine at this moment and are never asserted.
"""

import argparse
import base64
import http.client
import json
import multiprocessing
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "tests"), str(HERE)]

import large  # noqa: E402
import peers  # noqa: E402
from packages.build import build  # noqa: E402
from support import sigv4  # noqa: E402
from support.clients import ROLE, client  # noqa: E402
from support.functions import create, wait_active  # noqa: E402
from support.server import Server, base_image  # noqa: E402
from support.zips import package  # noqa: E402

PYTHON = "python3.13"
ECHO = "def handler(event, context):\n    return event\n"
EVENT = b'{"key1": "value1", "key2": "value2", "key3": "value3"}'
EMULATED = "/2015-03-31/functions/function/invocations"

rows = []


def row(what, ours, theirs, unit, goal):
    """A line of the table: both sides, which are medians unless it says otherwise, and their ratio against the goal."""
    ratio = ours / theirs if theirs else float("nan")
    verdict = "" if goal is None else ("reached" if ratio <= goal else "MISSED")
    rows.append((what, f"{ours:.2f} {unit}", f"{theirs:.2f} {unit}", f"{ratio:.2f}", "" if goal is None else f"≤ {goal}", verdict))


def undisturbed(what, ours, theirs):
    """The fastest of both sides: on a machine that others use as well, one that changes hands between processes waits for a CPU more
    often than one that does not, and the medians say how busy the machine was. No goal: it stands beside the medians."""
    row(f"  {what}, fastest", min(ours), min(theirs), "ms", None)


def fact(what, ours, theirs="", goal="", verdict=""):
    """A line of the table that is no ratio."""
    rows.append((what, ours, theirs, "", goal, verdict))


def table():
    head = ("", "Bojagi", "beside it", "ratio", "goal", "")
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, tuple("-" * width for width in widths), *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def progress(text):
    print(f"… {text}", file=sys.stderr, flush=True)


def signed(server, name, body=EVENT):
    """Path and headers of an Invoke request. Signing is the client's own cost and happens before the clock starts."""
    path = f"/2015-03-31/functions/{name}/invocations"
    return path, sigv4.sign(server, "POST", path, body)


def one(connection, path, headers, body=EVENT):
    """Milliseconds of one request over an open connection; fails when the function did."""
    began = time.perf_counter()
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    got = answer.read()
    elapsed = (time.perf_counter() - began) * 1000
    if answer.status != 200 or answer.headers.get("x-amz-function-error") or json.loads(got) != json.loads(body):
        raise RuntimeError(f"{answer.status}: {got[:200]!r}")
    return elapsed


def hammer(target):
    """Asks `count` times over one connection: times and the number of errors."""
    port, requests = target
    times, errors = [], 0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for path, headers in requests:
        try:
            times.append(one(connection, path, headers))
        except Exception:
            errors += 1
            connection.close()
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.close()
    return times, errors


def warm(server, mine, directory, quick):
    """Warm invocations, one client and eight, beside the emulator with the same base image and interface client."""
    progress("warm invocations beside AWS's Runtime Interface Emulator")
    name = create(mine, "bench-warm", ECHO, MemorySize=1769)
    ours, theirs = [], []
    rounds, each = (4, 100) if quick else (15, 200)
    with peers.Root(PYTHON, ECHO, directory / "root-warm") as root:
        with root.emulated() as port:
            for number in range(rounds + 1):
                mine_now = hammer((server.port, [signed(server, name) for _ in range(each)]))
                theirs_now = hammer((port, [(EMULATED, {})] * each))
                assert not mine_now[1] and not theirs_now[1], "one client at a time meets no error"
                if number:
                    ours += mine_now[0]
                    theirs += theirs_now[0]
        row("warm invoke, Python, 1 client, p50", statistics.median(ours), statistics.median(theirs), "ms", 0.7)
        row("warm invoke, Python, 1 client, p99", statistics.quantiles(ours, n=100)[98], statistics.quantiles(theirs, n=100)[98], "ms", None)
        began = time.perf_counter()
        for _ in range(500):
            signed(server, name)
        fact("  (signing in the client, outside these times)", f"{(time.perf_counter() - began) * 2:.3f} ms")

        clients, count = 8, 60 if quick else 250
        with multiprocessing.get_context("fork").Pool(clients) as pool:
            pool.map(hammer, [(server.port, [signed(server, name) for _ in range(5)])] * clients)
            plans = [(server.port, [signed(server, name) for _ in range(count)]) for _ in range(clients)]
            began = time.perf_counter()
            ours = pool.map(hammer, plans, chunksize=1)
            mine_seconds = time.perf_counter() - began
            with root.emulated() as port:
                hammer((port, [(EMULATED, {})] * 5))
                try:
                    began = time.perf_counter()
                    theirs = pool.map_async(hammer, [(port, [(EMULATED, {})] * (count // 5))] * clients, chunksize=1).get(120)
                    their_seconds = time.perf_counter() - began
                except multiprocessing.TimeoutError:
                    theirs, their_seconds = [([], clients * (count // 5))], float("inf")
            errors, their_errors = sum(each[1] for each in ours), sum(each[1] for each in theirs)
            served, their_served = sum(len(each[0]) for each in ours), sum(len(each[0]) for each in theirs)
            fact("warm invoke, Python, 8 clients, errors", f"{errors} of {clients * count}", f"{their_errors} of {clients * (count // 5)}", "0",
                 "MISSED" if errors else "reached")
            fact("warm invoke, Python, 8 clients, throughput", f"{served / mine_seconds:.0f} /s", f"{their_served / their_seconds:.0f} /s")
    mine.delete_function(FunctionName=name)


def colds(server, mine, stem, archive, count, **settings):
    """Makes functions that were never invoked; gives a function that invokes the next one for the first time."""
    names = [f"{stem}-{number}" for number in range(count)]
    for name in names:
        mine.create_function(FunctionName=name, Role=ROLE, Timeout=30, Code={"ZipFile": archive}, **settings)
    for name in names:
        wait_active(mine, name)
    left = iter(names)

    def first():
        # What a first invocation costs, not what it costs beside the end of the environment before: that is taken down, and the pool
        # of prepared sandboxes refilled, within some twenty milliseconds.
        time.sleep(0.1)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.connect()
        name = next(left)
        elapsed = one(connection, *signed(server, name))
        connection.close()
        mine.delete_function(FunctionName=name)
        return elapsed

    return first


def cold(server, mine, directory, quick):
    """First invocations, beside the process that each cannot do without."""
    count = 8 if quick else 30
    progress("cold invocations of a static custom runtime beside fork and exec of it")
    static = build("static-bootstrap")
    base_image("provided.al2023", directory=directory / "images")
    with peers.zipfile.ZipFile(static) as opened:
        program = directory / "bootstrap"
        program.write_bytes(opened.read("bootstrap"))
        program.chmod(0o755)
    first = colds(server, mine, "bench-static", static.read_bytes(), count, Runtime="provided.al2023", Handler="none", MemorySize=1769)
    ours, floor = [], []
    for _ in range(count):
        done = subprocess.run([peers.spawner(), "20", program, "--exit"], check=True, capture_output=True, text=True)
        floor.append(statistics.median(int(line) for line in done.stdout.split()) / 1000)
        ours.append(first())
    row("cold invoke, static custom runtime (fork + exec)", statistics.median(ours), statistics.median(floor), "ms", 6)
    undisturbed("cold invoke, static custom runtime", ours, floor)

    progress("cold invocations of Python beside the import of its interface client")
    first = colds(server, mine, "bench-python", package({"app.py": ECHO}), count, Runtime=PYTHON, Handler="app.handler", MemorySize=1769)
    ours, floor = [], []
    with peers.Root(PYTHON, ECHO, directory / "root-cold") as root:
        root.times(2, "/var/lang/bin/python3", "-c", "import awslambdaric.bootstrap")
        for _ in range(count):
            floor.append(statistics.median(root.times(3, "/var/lang/bin/python3", "-c", "import awslambdaric.bootstrap")) / 1000)
            ours.append(first())
    row("cold invoke, Python (import awslambdaric.bootstrap)", statistics.median(ours), statistics.median(floor), "ms", 1.4)
    undisturbed("cold invoke, Python", ours, floor)


def memory(pid):
    """Resident bytes of a process now, and the most since the mark was last cleared."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return values["VmRSS"], values["VmHWM"]


def upload(directory, quick):
    """A large package: from the first byte sent to Active, beside `unzip -q` and `sync` on the same disk."""
    progress("making a package of 73 MB and 28,000 files")
    path = large.package()
    size = path.stat().st_size
    # Larger than AWS takes in a request: an operator's limits.
    server = Server(directory / "upload", "--limit", "zipped-bytes=200MiB", "--limit", "unzipped-bytes=2GiB", "--limit", "code-request-bytes=300MiB")
    server.start()
    ours, theirs, peaks = [], [], []
    try:
        mine = client(server)
        for number in range(2 if quick else 5):
            progress(f"upload beside unzip and sync, {number + 1}")
            archive = large.variant(number, directory)
            target = directory / f"unzipped-{number}"
            subprocess.run(["sync"], check=True)
            began = time.perf_counter()
            subprocess.run(f"unzip -q {archive} -d {target} && sync", shell=True, check=True)
            theirs.append(time.perf_counter() - began)
            subprocess.run(["rm", "-rf", target], check=True)

            name = f"bench-large-{number}"
            body = json.dumps({"FunctionName": name, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE,
                               "Code": {"ZipFile": base64.b64encode(archive.read_bytes()).decode()}}).encode()
            headers = sigv4.sign(server, "POST", "/2015-03-31/functions", body, headers={"content-type": "application/json"})
            subprocess.run(["sync"], check=True)
            pathlib.Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
            before, _ = memory(server.process.pid)
            began = time.perf_counter()
            status, _, answer = server.request("POST", "/2015-03-31/functions", body, headers, timeout=120)
            assert status == 201, answer[:500]
            while mine.get_function_configuration(FunctionName=name)["State"] == "Pending":
                time.sleep(0.002)
            ours.append(time.perf_counter() - began)
            peaks.append(memory(server.process.pid)[1] - before - len(body))
            answer = mine.invoke(FunctionName=name, Payload=EVENT)["Payload"].read()
            assert json.loads(answer) == json.loads(EVENT), answer
            mine.delete_function(FunctionName=name)
            archive.unlink()
    finally:
        server.stop()
    row(f"{size / 1e6:.0f} MB zip to Active (unzip -q + sync)", statistics.median(ours), statistics.median(theirs), "s", 0.5)
    most = max(peaks) / (1 << 20)
    fact("  peak memory above the request body", f"{most:.0f} MiB", goal="< 64 MiB", verdict="reached" if most < 64 else "MISSED")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", choices=["warm", "cold", "upload", []], default=[])
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    arguments = parser.parse_args()
    which = arguments.which or ["warm", "cold", "upload"]
    if os.geteuid() != 0:
        raise SystemExit("benches/run.py: the sandboxes need root: run `sudo -E make bench`")
    with tempfile.TemporaryDirectory(prefix="bojagi-bench-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        directory = pathlib.Path(folder)
        base_image(PYTHON, directory=directory / "images")
        if {"warm", "cold"} & set(which):
            server = Server(directory / "server").start()
            try:
                mine = client(server)
                for name, measure in (("warm", warm), ("cold", cold)):
                    if name in which:
                        measure(server, mine, directory, arguments.quick)
            finally:
                server.stop()
        if "upload" in which:
            upload(directory, arguments.quick)
    print(f"\n{os.cpu_count()} CPUs, Linux {platform.release()}. Medians; both sides measured in turn.\n")
    table()


if __name__ == "__main__":
    main()
