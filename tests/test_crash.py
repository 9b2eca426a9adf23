"""`kill -9` at any instant: what was acknowledged is there, what was not leaves nothing, and nothing keeps running."""

import base64
import concurrent.futures
import json
import random
import socket
import urllib.request

import pytest

from support import leaks, sigv4
from support.clients import ROLE, client
from support.functions import ECHO, PYTHON, create, fresh_name, invoke, succeed, wait_updated
from support.waiting import until
from support.zips import package


def create_body(name, archive):
    return json.dumps({"FunctionName": name, "Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE,
                       "Code": {"ZipFile": base64.b64encode(archive).decode()}}).encode()


def begin_upload(server, name, archive, fraction):
    """Sends the head and a part of the body of a CreateFunction request; returns the open socket."""
    body = create_body(name, archive)
    headers = sigv4.sign(server, "POST", "/2015-03-31/functions", body, headers={"content-type": "application/json"})
    head = "POST /2015-03-31/functions HTTP/1.1\r\n" + "".join(f"{key}: {value}\r\n" for key, value in headers.items())
    head += f"content-length: {len(body)}\r\n\r\n"
    open_socket = socket.create_connection(("127.0.0.1", server.port))
    open_socket.sendall(head.encode() + body[: int(len(body) * fraction)])
    return open_socket


def files(server):
    """Every file below the data directory that is no part of the database."""
    return {path for path in server.data.rglob("*") if path.is_file() and "sqlite" not in path.name and ".db" not in path.name}


def test_killed_in_the_middle_of_an_upload(new_server):
    server = new_server().start()
    mine = client(server)
    kept = create(mine, fresh_name(), "def handler(e, c):\n    return 'kept'\n")
    settled = files(server)
    archive = package({"app.py": ECHO, "noise": random.Random(5).randbytes(20 << 20)})
    lost = fresh_name("lost")
    with begin_upload(server, lost, archive, 0.7):
        server.kill()
    server.start()
    mine = client(server)
    assert [each["FunctionName"] for each in mine.list_functions()["Functions"]] == [kept]
    assert succeed(mine, kept) == "kept"
    until(lambda: files(server) <= settled | {path for path in files(server) if "log" in str(path)}, 10,
          lambda: f"nothing is left of the upload, but there is {files(server) - settled}")
    create(mine, lost, zip_file=archive)
    assert succeed(mine, lost, 5) == 5


def test_an_upload_that_is_broken_off_leaves_nothing(new_server):
    server = new_server().start()
    mine = client(server)
    create(mine, fresh_name())
    settled = files(server)
    archive = package({"app.py": ECHO, "noise": random.Random(6).randbytes(5 << 20)})
    name = fresh_name("broken")
    for fraction in (0.1, 0.5, 0.99):
        begin_upload(server, name, archive, fraction).close()
    until(lambda: files(server) <= settled, 10, lambda: f"nothing is left of it, but there is {files(server) - settled}")
    assert name not in [each["FunctionName"] for each in mine.list_functions()["Functions"]]


def test_killed_in_the_middle_of_an_invocation(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), "import subprocess, time\ndef handler(e, c):\n    if e:\n        subprocess.Popen(['sleep', '4244'])\n"
                  "        time.sleep(60)\n    return 'alive'\n", Timeout=90)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, mine, name, {"hang": True})
        until(lambda: sleepers("4244"), 60, "the invocation runs")
        server.kill()
        with pytest.raises(Exception):
            running.result(30)
    # The launcher is PID 1 of the sandboxes' PID namespace and dies with its server: nothing waits for a restart.
    until(lambda: not sleepers("4244"), 15, "the function's processes are dead")
    until(lambda: not leaks.mounts(str(server.data)), 15, lambda: f"nothing stays mounted: {leaks.mounts(str(server.data))}")
    server.start()
    assert succeed(client(server), name, {}) == "alive"


def sleepers(mark):
    return [pid for pid, (_, state, command) in leaks.processes().items() if command == f"sleep {mark}" and state != "Z"]


def test_everything_acknowledged_survives_a_kill(new_server):
    server = new_server().start()
    for round_ in range(3):
        mine = client(server)
        names = []
        for number in range(5):
            code = f"def handler(e, c):\n    return [{round_}, {number}]\n"
            name = fresh_name("durable")
            archive = package({"app.py": code})
            mine.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": archive},
                                 Tags={"n": str(number)}, Environment={"Variables": {"SECRET": f"s{number}"}})
            names.append((name, archive))
        server.kill()
        server.start()
        mine = client(server)
        for number, (name, archive) in enumerate(names):
            mine.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
            got = mine.get_function(FunctionName=name)
            assert got["Tags"] == {"n": str(number)}
            assert got["Configuration"]["Environment"]["Variables"] == {"SECRET": f"s{number}"}
            assert urllib.request.urlopen(got["Code"]["Location"]).read() == archive
            assert succeed(mine, name) == [round_, number]


def test_an_acknowledged_update_or_deletion_survives_a_kill(new_server):
    server = new_server().start()
    mine = client(server)
    kept, gone = create(mine, fresh_name()), create(mine, fresh_name())
    mine.update_function_code(FunctionName=kept, ZipFile=package({"app.py": "def handler(e, c):\n    return 'updated'\n"}))
    mine.delete_function(FunctionName=gone)
    mine.tag_resource(Resource=mine.get_function_configuration(FunctionName=kept)["FunctionArn"], Tags={"late": "1"})
    server.kill()
    server.start()
    mine = client(server)
    wait_updated(mine, kept)
    assert succeed(mine, kept) == "updated"
    assert mine.get_function(FunctionName=kept)["Tags"] == {"late": "1"}
    assert [each["FunctionName"] for each in mine.list_functions()["Functions"]] == [kept]


def test_the_launchers_death_is_survived_or_ends_the_server(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), "def handler(e, c):\n    return 'served'\n")
    assert succeed(mine, name) == "served"
    launchers = [pid for pid, (parent, _, _) in leaks.processes().items() if parent == server.process.pid]
    assert launchers, "the launcher is a process of its own"
    import os
    import signal

    for pid in launchers:
        os.kill(pid, signal.SIGKILL)
    # Either the server starts another launcher, or it ends for its supervisor to start it again; it never lies there broken.
    def served_or_ended():
        if server.process.poll() is not None:
            return True
        try:
            return succeed(mine, name) == "served"
        except Exception:
            return False

    until(served_or_ended, 30, lambda: f"invocations work again, or the server ended:\n{server.tail()}")
    if server.process.poll() is not None:
        server.process = None
        server.start()
        assert succeed(client(server), name) == "served"


def test_state_survives_an_orderly_stop(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), "def handler(e, c):\n    return 'same'\n", Tags={"a": "b"}, Description="d")
    before = mine.get_function_configuration(FunctionName=name)
    server.stop()
    server.start()
    mine = client(server)
    after = mine.get_function_configuration(FunctionName=name)
    assert {k: v for k, v in after.items() if k != "ResponseMetadata"} == {k: v for k, v in before.items() if k != "ResponseMetadata"}
    assert succeed(mine, name) == "same"


def test_an_orderly_stop_lets_invocations_finish(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), "import subprocess, time\ndef handler(e, c):\n    subprocess.Popen(['sleep', '4245'])\n    time.sleep(3)\n    return 'finished'\n")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(succeed, mine, name)
        until(lambda: sleepers("4245"), 60, "the invocation runs")
        server.stop()
        assert running.result(30) == "finished"


def test_secrets_are_sealed_at_rest(new_server):
    server = new_server().start()
    mine = client(server)
    marker = "xyzzy-plugh-4711-kanari"
    create(mine, fresh_name(), Environment={"Variables": {"PASSWORD": marker}})
    server.stop()
    for path in server.data.rglob("*"):
        if path.is_file():
            assert marker.encode() not in path.read_bytes(), f"{path} has an environment variable in the clear"
    assert server.keys.exists() and server.keys.stat().st_mode & 0o077 == 0
    server.start()
    assert client(server).list_functions()["Functions"][0]["Environment"]["Variables"] == {"PASSWORD": marker}
