"""Invoke: payloads, types, log tails, context, headers."""

import base64
import datetime
import json
import re

import pytest
from botocore.exceptions import ClientError

from support.clients import DEFAULT_ACCOUNT, client
from support.functions import REQUEST_ID, invoke, report, succeed
from support.sigv4 import request

CONTEXT = """
import os, time
started = time.time()
def handler(event, context):
    identity = context.identity
    return {
        "name": context.function_name, "version": context.function_version, "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb, "request": context.aws_request_id, "group": context.log_group_name,
        "stream": context.log_stream_name, "remaining": context.get_remaining_time_in_millis(),
        "client": {"custom": context.client_context.custom, "env": context.client_context.env,
                   "title": context.client_context.client.app_title} if context.client_context else None,
        "trace": os.environ.get("_X_AMZN_TRACE_ID"), "started": started,
    }
"""


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "", "text", "보자기 \U0001f381 \u2028", [], {}, [1, [2, {"three": [None]}]],
                                   {"": "", "a b": {"nested": ["x"] * 100}}])
def test_payloads_travel_unchanged(function, lambda_, value):
    assert succeed(lambda_, function(), value) == value


def test_no_payload_at_all_is_an_empty_object(function, lambda_):
    # The Invoke API: without a payload the function gets an empty JSON object.
    assert succeed(lambda_, function()) == {}


def test_a_payload_of_nearly_six_megabytes_travels_both_ways(function, lambda_):
    name = function(MemorySize=1024)
    text = "x" * (6 * 1024 * 1024 - 1000)
    assert succeed(lambda_, name, text) == text


def test_status_headers_and_version(function, lambda_):
    name = function()
    answer = invoke(lambda_, name, {"a": 1}, log=False)
    assert (answer.status, answer.version, answer.error) == (200, "$LATEST", None)
    assert answer.headers["x-amz-executed-version"] == "$LATEST"
    assert re.fullmatch(REQUEST_ID, answer.headers["x-amzn-requestid"])
    assert answer.headers["content-type"] == "application/json"
    assert "x-amz-log-result" not in answer.headers and "x-amz-function-error" not in answer.headers
    assert answer.raw == b'{"a": 1}'


def test_the_answer_is_the_functions_own_bytes(function, lambda_, server):
    # The Python client writes its separators its own way; nobody on the way back reformats them.
    name = function("def handler(e, c):\n    return {'a': [1, 2.50, 'é']}\n")
    status, headers, body = request(server, "POST", f"/2015-03-31/functions/{name}/invocations", b"{}")
    assert (status, json.loads(body)) == (200, {"a": [1, 2.5, "é"]})
    assert headers["content-length"] == str(len(body))


def test_a_dry_run_checks_and_does_not_run(function, lambda_):
    name = function("import sys\nsys.exit(9)\n")
    answer = invoke(lambda_, name, {}, log=False, InvocationType="DryRun")
    assert (answer.status, answer.raw, answer.error) == (204, b"", None)
    with pytest.raises(ClientError) as caught:
        invoke(lambda_, "no-such-function", {}, InvocationType="DryRun")
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_an_event_invocation_is_accepted_or_refused_by_name(function, lambda_):
    name = function()
    try:
        assert invoke(lambda_, name, {}, log=False, InvocationType="Event").status == 202
    except ClientError as error:
        message = error.response["Error"]["Message"]
        assert "Event" in message, message


def test_the_log_tail_has_awss_lines(function, lambda_):
    name = function("def handler(e, c):\n    print('seen', e)\n    return 1\n")
    cold = invoke(lambda_, name, {"n": 1})
    lines = [line for line in cold.log.splitlines() if not line.startswith("INIT_START ")]
    request_id = re.fullmatch(rf"START RequestId: ({REQUEST_ID}) Version: \$LATEST", lines[0])[1]
    assert request_id == cold.request_id
    assert lines[1] == "seen {'n': 1}"
    assert lines[2] == f"END RequestId: {request_id}"
    assert lines[3].startswith(f"REPORT RequestId: {request_id}\t") and len(lines) == 4
    figures = report(cold.log)
    assert figures.memory == 128 and 0 < figures.used <= 128 and figures.init > 0 and figures.rest == ""
    assert figures.billed >= figures.duration
    warm = invoke(lambda_, name, {"n": 2})
    assert report(warm.log).init is None
    assert warm.log.splitlines()[1] == "seen {'n': 2}"
    assert "{'n': 1}" not in warm.log


def test_the_log_tail_is_the_last_four_kilobytes(function, lambda_):
    name = function("def handler(e, c):\n    for n in range(2000):\n        print('line', n)\n")
    answer = invoke(lambda_, name, {})
    size = len(base64.b64decode(answer.headers["x-amz-log-result"]))
    assert 3000 < size <= 4096
    assert "line 1999\n" in answer.log and "REPORT RequestId: " in answer.log and "START RequestId: " not in answer.log


def test_standard_error_and_logging_reach_the_log(function, lambda_):
    name = function("import logging, sys\nlogging.getLogger().setLevel('INFO')\n"
                    "def handler(e, c):\n    print('to stderr', file=sys.stderr)\n    logging.info('by logging')\n    sys.stdout.write('no newline')\n")
    log = invoke(lambda_, name, {}).log
    assert "to stderr\n" in log and "no newline" in log
    # AWS's interface client formats records with level, time and request id.
    assert re.search(rf"^\[INFO\]\t\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{REQUEST_ID}\tby logging$", log, re.MULTILINE)


def test_the_context_says_what_aws_says(function, lambda_, server):
    name = function(CONTEXT, Timeout=20, MemorySize=256)
    answer = invoke(lambda_, name, {})
    context = answer.payload
    assert context["name"] == name and context["version"] == "$LATEST" and context["memory"] in (256, "256")
    assert context["arn"] == f"arn:aws:lambda:{server.region}:{DEFAULT_ACCOUNT}:function:{name}"
    assert context["request"] == answer.request_id
    assert context["group"] == f"/aws/lambda/{name}"
    # 2026/11/22/[$LATEST]0123456789abcdef0123456789abcdef
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", context["stream"])
    assert 15_000 < context["remaining"] <= 20_000
    assert context["client"] is None
    assert re.match(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", context["trace"])
    # Recorded from AWS: the ARN as it was named, with the qualifier if there was one.
    qualified = succeed(lambda_, name, {}, Qualifier="$LATEST")
    assert qualified["arn"] == f"arn:aws:lambda:{server.region}:{DEFAULT_ACCOUNT}:function:{name}:$LATEST"


def test_the_client_context_arrives(function, lambda_):
    given = {"custom": {"k": "값"}, "env": {"locale": "ko"}, "client": {"app_title": "title"}}
    encoded = base64.b64encode(json.dumps(given).encode()).decode()
    assert succeed(lambda_, function(CONTEXT), {}, ClientContext=encoded)["client"] == {
        "custom": {"k": "값"}, "env": {"locale": "ko"}, "title": "title"}


def test_a_trace_header_is_handed_on(function, lambda_, server):
    name = function(CONTEXT)
    root = "Root=1-5759e988-bd862e3fe1be46a994272793"
    body = b"{}"
    status, _, answer = request(server, "POST", f"/2015-03-31/functions/{name}/invocations", body,
                                headers={"X-Amzn-Trace-Id": f"{root};Parent=53995c3f42cd8ad8;Sampled=1"})
    assert status == 200
    assert json.loads(answer)["trace"].startswith(root)


def test_an_environment_is_used_again(function, lambda_):
    name = function(CONTEXT)
    first, second = succeed(lambda_, name, {}), succeed(lambda_, name, {})
    assert first["started"] == second["started"] and first["stream"] == second["stream"]
    assert first["request"] != second["request"]


@pytest.mark.parametrize("body", [b"{", b"nope", b"{'a': 1}", b"\xff\xfe", b'{"a":1} trailing'])
def test_a_payload_that_is_not_json_is_refused(function, lambda_, body):
    name = function()
    with pytest.raises(ClientError) as caught:
        invoke(lambda_, name, raw=body)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("InvalidRequestContentException", 400)
    assert response["Error"]["Message"].startswith("Could not parse request body into json: ")


def test_a_payload_of_more_than_six_megabytes_is_refused(function, lambda_):
    name = function()
    with pytest.raises(ClientError) as caught:
        invoke(lambda_, name, raw=b'"' + b"x" * (6 * 1024 * 1024 + 1000) + b'"')
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("RequestEntityTooLargeException", 413)
    assert response["Error"]["Message"] == "Request must be smaller than 6291456 bytes for the InvokeFunction operation"


def test_a_function_that_is_pending_or_failed_is_not_invoked(server, lambda_):
    # Documented: while the state is Pending, invocations fail with ResourceConflictException. Winning the race is no error.
    from support.functions import create, fresh_name

    name = create(lambda_, fresh_name(), wait=False)
    try:
        assert invoke(lambda_, name, {"a": 1}).payload == {"a": 1}
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceConflictException"
        assert error.response["Error"]["Message"] == (
            "The operation cannot be performed at this time. The function is currently in the following state: Pending")
    lambda_.delete_function(FunctionName=name)


def test_function_code_can_call_bojagi_itself(function, lambda_, server):
    # Credentials of the function's own account and service endpoints come with the environment; boto3 is in AWS's Python images.
    inner = function("def handler(e, c):\n    return {'inner': e}\n")
    outer = function("import boto3, json, os\n"
                     "def handler(event, context):\n"
                     "    answer = boto3.client('lambda').invoke(FunctionName=event['name'], Payload=json.dumps(7))\n"
                     "    who = boto3.client('sts').get_caller_identity()\n"
                     "    return {'answer': json.load(answer['Payload']), 'account': who['Account'],\n"
                     "            'endpoints': sorted(k for k in os.environ if k.startswith('AWS_ENDPOINT_URL'))}\n",
                     MemorySize=512, Timeout=60)
    result = succeed(lambda_, outer, {"name": inner})
    assert result["answer"] == {"inner": 7} and result["account"] == DEFAULT_ACCOUNT
    assert "AWS_ENDPOINT_URL" not in result["endpoints"] and "AWS_ENDPOINT_URL_LAMBDA" in result["endpoints"]


def test_functions_of_two_regions_live_apart(server, function, lambda_):
    name = function()
    elsewhere = client(server, region="ap-northeast-2")
    with pytest.raises(ClientError, match="Function not found: arn:aws:lambda:ap-northeast-2:"):
        elsewhere.get_function(FunctionName=name)


def test_remaining_time_is_true(function, lambda_):
    name = function("import time\ndef handler(e, c):\n    a = c.get_remaining_time_in_millis()\n    time.sleep(0.2)\n"
                    "    return a - c.get_remaining_time_in_millis()\n")
    assert 195 <= succeed(lambda_, name, {}) < 2000


def test_dates_are_real(function, lambda_):
    name = function("import time\ndef handler(e, c):\n    return time.time()\n")
    assert abs(succeed(lambda_, name, {}) - datetime.datetime.now().timestamp()) < 5
