"""Functions that fail: AWS's `FunctionError`, payload and log lines for each way of failing."""

import re

import pytest

from support.functions import REQUEST_ID, create, fresh_name, invoke, report, succeed
from support.zips import package


def failed(answer, error_type, message):
    """The invocation failed the way AWS reports it. `message` is a pattern in which `ID` stands for this request's id."""
    assert answer.status == 200
    assert answer.error == "Unhandled", f"{answer.error}: {answer.raw[:500]!r}\n{answer.log}"
    assert answer.headers["x-amz-function-error"] == "Unhandled"
    assert answer.payload["errorType"] == error_type, answer.payload
    assert re.fullmatch(message.replace("ID", answer.request_id), answer.payload["errorMessage"]), answer.payload
    lines = [line for line in answer.log.splitlines() if line]
    started = [line for line in lines if line.startswith("START ")]
    assert started == [f"START RequestId: {answer.request_id} Version: $LATEST"], answer.log
    assert f"END RequestId: {answer.request_id}" in lines, answer.log
    return report(answer.log)


def test_an_exception_of_the_function(function, lambda_):
    name = function("class Mine(Exception):\n    pass\ndef handler(e, c):\n    raise Mine('한 번 더')\n")
    answer = invoke(lambda_, name, {})
    failed(answer, "Mine", "한 번 더")
    assert answer.payload["requestId"] == answer.request_id
    assert answer.payload["stackTrace"] == ['  File "/var/task/app.py", line 4, in handler\n    raise Mine(\'한 번 더\')\n']
    assert "[ERROR] Mine: 한 번 더" in answer.log
    # The environment goes on: a failed invocation is no crash.
    assert report(invoke(lambda_, name, {}).log).init is None


def test_a_timeout(function, lambda_):
    name = function("import time\ndef handler(e, c):\n    if e.get('hang'):\n        time.sleep(60)\n    return 'well'\n", Timeout=1)
    answer = invoke(lambda_, name, {"hang": True})
    figures = failed(answer, "Sandbox.Timedout", r"RequestId: ID Error: Task timed out after 1\.00 seconds")
    assert 1000 <= figures.duration < 3000 and figures.billed >= 1000
    assert figures.rest == "Status: timeout"
    line = rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z {answer.request_id} Task timed out after 1\.00 seconds$"
    assert re.search(line, answer.log, re.MULTILINE), answer.log
    # The next one gets a new environment, quickly.
    again = invoke(lambda_, name, {})
    assert again.payload == "well" and report(again.log).init is not None


def test_a_timeout_that_ignores_sigterm(function, lambda_):
    name = function("import signal, time\ndef handler(e, c):\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                    "    while True:\n        pass\n", Timeout=1)
    failed(invoke(lambda_, name, {}), "Sandbox.Timedout", r"RequestId: ID Error: Task timed out after 1\.00 seconds")


@pytest.mark.parametrize("code, message", [
    ("import os\ndef handler(e, c):\n    os._exit(0)\n", "Runtime exited without providing a reason"),
    ("import os\ndef handler(e, c):\n    os._exit(1)\n", "Runtime exited with error: exit status 1"),
    ("import os\ndef handler(e, c):\n    os._exit(127)\n", "Runtime exited with error: exit status 127"),
    ("import sys\ndef handler(e, c):\n    sys.exit(3)\n", "Runtime exited with error: exit status 3"),
    ("import os, signal\ndef handler(e, c):\n    os.kill(os.getpid(), signal.SIGSEGV)\n", "Runtime exited with error: signal: segmentation fault"),
    ("import os, signal\ndef handler(e, c):\n    os.kill(os.getpid(), signal.SIGKILL)\n", "Runtime exited with error: signal: killed"),
    ("import os\ndef handler(e, c):\n    os.abort()\n", "Runtime exited with error: signal: aborted"),
])
def test_an_exit_in_the_middle(function, lambda_, code, message):
    name = function(code)
    answer = invoke(lambda_, name, {})
    figures = failed(answer, "Runtime.ExitError", f"RequestId: ID Error: {re.escape(message)}( .*)?")
    assert figures.rest.startswith("Status: error\tError Type: Runtime.ExitError"), figures
    assert f"RequestId: {answer.request_id} Error: {message}" in answer.log
    assert "Runtime.ExitError" in answer.log
    # Not once, but every time: each invocation gets an environment that works.
    assert invoke(lambda_, name, {}).payload["errorType"] == "Runtime.ExitError"


def test_running_out_of_memory(function, lambda_):
    name = function("def handler(e, c):\n    if not e:\n        return 'fits'\n    kept = []\n    while True:\n        kept.append(b'x' * (8 << 20))\n",
                    MemorySize=128)
    answer = invoke(lambda_, name, {"grow": True})
    assert answer.error == "Unhandled"
    # AWS: signal: killed. The type is Runtime.OutOfMemory in new logs, Runtime.ExitError in older ones.
    assert answer.payload["errorType"] in ("Runtime.OutOfMemory", "Runtime.ExitError"), answer.payload
    assert re.fullmatch(rf"RequestId: {answer.request_id} Error: Runtime exited with error: signal: killed( .*)?", answer.payload["errorMessage"])
    figures = report(answer.log)
    assert (figures.memory, figures.used) == (128, 128)
    assert figures.rest == "Status: error\tError Type: Runtime.OutOfMemory"
    assert succeed(lambda_, name, {}) == "fits"


def test_a_module_that_cannot_be_imported(function, lambda_):
    name = function("import nonexistent_module\ndef handler(e, c):\n    return 1\n")
    for _ in range(2):
        answer = invoke(lambda_, name, {})
        assert answer.error == "Unhandled"
        assert answer.payload["errorType"] == "Runtime.ImportModuleError"
        assert answer.payload["errorMessage"] == "Unable to import module 'app': No module named 'nonexistent_module'"
        assert "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'nonexistent_module'" in answer.log


def test_a_module_that_is_not_there(function, lambda_):
    answer = invoke(lambda_, function(zip_file=package({"other.py": "x = 1\n"})), {})
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == (
        "Runtime.ImportModuleError", "Unable to import module 'app': No module named 'app'")


def test_a_handler_that_is_not_there(function, lambda_):
    answer = invoke(lambda_, function("x = 1\n"), {})
    assert answer.error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'")


def test_a_handler_that_is_no_name(function, lambda_):
    answer = invoke(lambda_, function(Handler="nodots"), {})
    assert answer.payload["errorType"] == "Runtime.MalformedHandlerName", answer.payload


def test_a_syntax_error(function, lambda_):
    answer = invoke(lambda_, function("def handler(e, c)\n    return 1\n"), {})
    assert answer.payload["errorType"] == "Runtime.UserCodeSyntaxError"
    assert answer.payload["errorMessage"].startswith("Syntax error in module 'app': ")


def test_an_exception_while_initialising(function, lambda_):
    name = function("raise ValueError('not today')\n")
    for _ in range(2):
        answer = invoke(lambda_, name, {})
        assert answer.error == "Unhandled"
        assert (answer.payload["errorType"], answer.payload["errorMessage"]) == ("ValueError", "not today")
        assert "[ERROR] ValueError: not today" in answer.log


def test_an_exit_while_initialising(function, lambda_):
    name = function("import os\nos._exit(7)\n")
    answer = invoke(lambda_, name, {})
    failed(answer, "Runtime.ExitError", r"RequestId: ID Error: Runtime exited with error: exit status 7")


def test_initialisation_that_takes_too_long(function, lambda_):
    # "Lambda execution environment lifecycle": Init is limited to 10 seconds; then it is tried again within the invocation's own timeout.
    name = function("import time\nprint('initialising')\ntime.sleep(60)\ndef handler(e, c):\n    return 1\n", Timeout=1)
    answer = invoke(lambda_, name, {})
    failed(answer, "Sandbox.Timedout", r"RequestId: ID Error: Task timed out after 1\.00 seconds")


def test_initialisation_longer_than_the_timeout_but_within_ten_seconds(function, lambda_):
    # Init does not count toward the function's timeout.
    name = function("import time\ntime.sleep(3)\ndef handler(e, c):\n    return 'ready'\n", Timeout=1)
    answer = invoke(lambda_, name, {})
    assert answer.payload == "ready", answer.raw
    figures = report(answer.log)
    assert figures.init >= 3000 and figures.duration < 1000


@pytest.mark.parametrize("result, what", [("{1, 2}", "set"), ("object()", "object"), ("lambda: 1", "function")])
def test_a_result_that_cannot_be_written_as_json(function, lambda_, result, what):
    answer = invoke(lambda_, function(f"def handler(e, c):\n    return {result}\n"), {})
    assert answer.error == "Unhandled"
    assert (answer.payload["errorType"], answer.payload["errorMessage"]) == (
        "Runtime.MarshalError", f"Unable to marshal response: Object of type {what} is not JSON serializable")


def test_a_response_that_is_too_large(function, lambda_):
    name = function("def handler(e, c):\n    return 'x' * e\n", MemorySize=512)
    answer = invoke(lambda_, name, 7 * 1024 * 1024)
    # Recorded from AWS.
    failed(answer, "Function.ResponseSizeTooLarge", r"Response payload size exceeded maximum allowed payload size \(6291556 bytes\)\.")
    assert succeed(lambda_, name, 5) == "xxxxx"


def test_an_error_that_is_too_large_is_still_an_error(function, lambda_):
    name = function("def handler(e, c):\n    raise ValueError('x' * (8 << 20))\n", MemorySize=512)
    answer = invoke(lambda_, name, {})
    assert answer.error == "Unhandled" and answer.payload["errorType"]


def test_a_custom_runtime_without_its_bootstrap(lambda_, base_images, function):
    base_images("provided.al2023")
    name = function(zip_file=package({"readme.txt": "no bootstrap"}), Runtime="provided.al2023")
    answer = invoke(lambda_, name, {})
    # "Troubleshoot invocation issues": Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]
    failed(answer, "Runtime.InvalidEntrypoint", r"RequestId: ID Error: Couldn't find valid bootstrap\(s\): \[/var/task/bootstrap /opt/bootstrap\]")


def test_a_custom_runtime_that_is_no_program(lambda_, base_images, function):
    base_images("provided.al2023")
    name = function(zip_file=package({"bootstrap": "\x00\x01 not a program"}, {"bootstrap": 0o755}), Runtime="provided.al2023")
    answer = invoke(lambda_, name, {})
    failed(answer, "Runtime.InvalidEntrypoint", r"RequestId: ID Error: fork/exec /var/task/bootstrap: exec format error")


def test_a_custom_runtime_that_may_not_be_executed(lambda_, base_images, function):
    base_images("provided.al2023")
    name = function(zip_file=package({"bootstrap": "#!/bin/sh\n"}, {"bootstrap": 0o644}), Runtime="provided.al2023")
    answer = invoke(lambda_, name, {})
    failed(answer, "Runtime.InvalidEntrypoint", r"RequestId: ID Error: fork/exec /var/task/bootstrap: permission denied")


def test_a_custom_runtime_that_ends_at_once(lambda_, base_images, function):
    base_images("provided.al2023")
    name = function(zip_file=package({"bootstrap": "#!/bin/sh\necho gone\nexit 0\n"}, {"bootstrap": 0o755}), Runtime="provided.al2023")
    answer = invoke(lambda_, name, {})
    failed(answer, "Runtime.ExitError", r"RequestId: ID Error: Runtime exited without providing a reason")


def test_failures_leave_no_environment_behind(new_server):
    from support.clients import client
    from support.leaks import descendants

    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name(), "import os, subprocess\ndef handler(e, c):\n"
                  "    subprocess.Popen(['sleep', '4242'], start_new_session=True)\n    os._exit(1)\n")
    for _ in range(5):
        assert invoke(mine, name, {}).payload["errorType"] == "Runtime.ExitError"
    from support.waiting import until

    until(lambda: not [command for command in descendants(server.process.pid).values() if "sleep 4242" in command], 10,
          "what a dead environment had started is dead, too")
    assert re.search(REQUEST_ID, server.log.read_text()), "the operator's log names the request"
