"""Functions made for a test, and what an invocation of one answers."""

import base64
import dataclasses
import itertools
import json
import re
import typing

from .clients import ROLE
from .zips import package

PYTHON = "python3.13"

# Runs the snippet it is sent and answers with what the snippet calls `result`: how tests look around inside a sandbox.
PROBE = """
def handler(event, context):
    scope = {"event": event, "context": context}
    exec(compile(event["code"], "snippet", "exec"), scope)
    return scope.get("result")
"""

ECHO = "def handler(event, context):\n    return event\n"

_numbers = itertools.count(1)


def fresh_name(stem="f"):
    """A function name that no other test uses."""
    return f"{stem}-{next(_numbers)}"


@dataclasses.dataclass
class Answer:
    """What an invocation answered."""

    status: int
    payload: typing.Any
    raw: bytes
    error: str | None
    log: str
    request_id: str
    headers: dict
    version: str | None


NOTHING = object()


def invoke(client, name, event=NOTHING, log=True, raw=None, **more):
    """Invokes a function synchronously, without any payload unless one is given, and takes the answer apart."""
    if log:
        more.setdefault("LogType", "Tail")
    if raw is None and event is not NOTHING:
        raw = json.dumps(event)
    if raw is not None:
        more["Payload"] = raw
    response = client.invoke(FunctionName=name, **more)
    body = response["Payload"].read()
    try:
        payload = json.loads(body) if body else None
    except ValueError:
        payload = None
    tail = base64.b64decode(response.get("LogResult", "")).decode(errors="replace")
    meta = response["ResponseMetadata"]
    return Answer(response["StatusCode"], payload, body, response.get("FunctionError"), tail, meta["RequestId"],
                  meta["HTTPHeaders"], response.get("ExecutedVersion"))


def succeed(client, name, event=NOTHING, **more):
    """Invokes a function, fails when it failed, and returns its result."""
    answer = invoke(client, name, event, **more)
    assert answer.error is None, f"{answer.error}: {answer.raw[:2000]!r}\n{answer.log}"
    assert answer.status == 200
    return answer.payload


def run_inside(client, name, code, **values):
    """Runs a snippet inside a probe function and returns its `result`."""
    return succeed(client, name, {"code": code, **values})


def wait_active(client, name):
    """Waits as AWS's clients do, but asks more often."""
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def wait_updated(client, name):
    """Waits as AWS's clients do, but asks more often."""
    client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 600})


def create(client, name=None, code=ECHO, zip_file=None, wait=True, **more):
    """Creates a Python function of one file, or of the archive given, and returns its name."""
    name = name or fresh_name()
    archive = zip_file if zip_file is not None else package({"app.py": code})
    settings = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Timeout": 30, **more}
    client.create_function(FunctionName=name, Code={"ZipFile": archive}, **settings)
    if wait:
        wait_active(client, name)
    return name


REQUEST_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


@dataclasses.dataclass
class Report:
    """The figures of a REPORT line."""

    duration: float
    billed: int
    memory: int
    used: int
    init: float | None
    rest: str


def report(log):
    """The REPORT line of a log tail, by AWS's form."""
    pattern = (rf"^REPORT RequestId: {REQUEST_ID}\tDuration: (\d+\.\d\d) ms\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB"
               r"\tMax Memory Used: (\d+) MB\t?(?:Init Duration: (\d+\.\d\d) ms\t?)?(.*)$")
    found = re.search(pattern, log, re.MULTILINE)
    assert found, f"no REPORT line of AWS's form in:\n{log}"
    duration, billed, memory, used, init, rest = found.groups()
    return Report(float(duration), int(billed), int(memory), int(used), float(init) if init else None, rest.strip())
