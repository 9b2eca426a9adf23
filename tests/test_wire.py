"""The wire: every operation of the newest Lambda model answers, errors have their modelled shape, browsers are kept out."""

import contextlib
import http.client
import json
import re
import socket
import xml.etree.ElementTree as tree

import botocore.session
import pytest
from botocore.exceptions import ClientError

from support import sigv4
from support.clients import DEFAULT_ACCOUNT, ROLE, client
from support.functions import ECHO, fresh_name
from support.waiting import until
from support.zips import package

MODEL = botocore.session.get_session().get_service_model("lambda")
SUPPORTED = {"CreateFunction", "GetFunction", "GetFunctionConfiguration", "ListFunctions", "UpdateFunctionCode", "UpdateFunctionConfiguration",
             "DeleteFunction", "Invoke", "ListTags", "TagResource", "UntagResource", "GetAccountSettings"}
# What any operation may answer, beside the errors of its own model.
COMMON = {"ValidationException", "AccessDeniedException", "InvalidParameterValueException", "ResourceNotFoundException"}


def sample(shape, name=""):
    """A value that satisfies a shape of the model: the least that is asked for."""
    if shape.type_name == "structure":
        return {member: sample(shape.members[member], member) for member in shape.required_members}
    if shape.type_name == "list":
        return [sample(shape.member, name) for _ in range(max(1, shape.metadata.get("min", 1)))]
    if shape.type_name == "map":
        return {"key": sample(shape.value, name)}
    if shape.type_name in ("integer", "long", "float", "double"):
        return max(1, int(shape.metadata.get("min", 1)))
    if shape.type_name == "boolean":
        return True
    if shape.type_name == "timestamp":
        return 1_767_225_600
    if shape.type_name == "blob":
        return b"{}"
    if getattr(shape, "enum", None):
        return shape.enum[0]
    arn = f"arn:aws:lambda:us-east-1:{DEFAULT_ACCOUNT}"
    known = {
        "FunctionName": "absent-function", "Qualifier": "1", "Role": ROLE, "LayerName": "absent-layer", "Name": "absent", "StatementId": "statement",
        "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com", "FunctionVersion": "1", "Resource": f"{arn}:function:absent-function",
        "ResourceArn": f"{arn}:function:absent-function", "UUID": "6f1a3a4e-0000-4000-8000-0123456789ab", "Policy": "{}",
        "CodeSigningConfigArn": f"{arn}:code-signing-config:csc-0123456789abcdefg", "Arn": f"{arn}:layer:absent-layer:1",
        "DurableExecutionArn": f"{arn}:function:absent-function:1/durable-execution/absent/6f1a3a4e-0000-4000-8000-0123456789ab",
        "CapacityProviderName": "absent-provider", "CallbackId": "Y2FsbGJhY2s=", "CheckpointToken": "dG9rZW4=",
    }
    if name in known:
        return known[name]
    return "a" * max(1, shape.metadata.get("min", 1))


@pytest.mark.parametrize("operation", sorted(MODEL.operation_names))
def test_every_operation_answers(server, operation):
    lambda_ = client(server, validate=False)
    method = {name: python for python, name in lambda_.meta.method_to_api_mapping.items()}[operation]
    model = MODEL.operation_model(operation)
    parameters = sample(model.input_shape) if model.input_shape else {}
    if operation == "CreateFunction":
        parameters = {**parameters, "FunctionName": fresh_name("wire"), "Runtime": "python3.13", "Handler": "app.handler",
                      "Code": {"ZipFile": package({"app.py": ECHO})}}
    try:
        answer = getattr(lambda_, method)(**parameters)
    except ClientError as error:
        response = error.response
        code, message, status = response["Error"]["Code"], response["Error"]["Message"], response["ResponseMetadata"]["HTTPStatusCode"]
        assert message and response["ResponseMetadata"]["RequestId"], response
        if operation in SUPPORTED:
            assert 400 <= status < 500 and code in {shape.name for shape in model.error_shapes} | COMMON, response
        else:
            # A clear refusal names the operation; an unsupported operation never looks like a missing resource of a supported one.
            assert operation in message, response
            assert 400 <= status < 600 and status != 500, response
    else:
        assert operation in SUPPORTED, f"{operation} answered {answer}"
        if operation == "CreateFunction":
            lambda_.delete_function(FunctionName=parameters["FunctionName"])


def test_there_are_ninety_one_operations():
    # The newest model when this was written; a refreshed one may have more.
    assert len(MODEL.operation_names) >= 91 and SUPPORTED <= set(MODEL.operation_names)


@pytest.mark.parametrize("service, operation, body", [
    ("sts", "AssumeRole", "Action=AssumeRole&Version=2011-06-15&RoleArn=arn:aws:iam::000000000000:role/r&RoleSessionName=s1"),
    ("iam", "CreateUser", "Action=CreateUser&Version=2010-05-08&UserName=u"),
    ("iam", "NoSuchOperation", "Action=NoSuchOperation&Version=2010-05-08"),
])
def test_other_operations_of_the_query_services_are_refused_by_name(server, service, operation, body):
    status, headers, answer = sigv4.request(server, "POST", "/", body, service=service, headers={"content-type": "application/x-www-form-urlencoded"})
    found = {element.tag.rpartition("}")[2]: element.text for element in tree.fromstring(answer).iter()}
    assert 400 <= status < 600 and status != 500 and headers["content-type"].startswith("text/xml")
    assert operation in found["Message"] and found["Code"], answer


def test_a_service_that_is_not_served_is_refused_by_name(server):
    status, _, body = sigv4.request(server, "POST", "/", b"{}", service="dynamodb", headers={"x-amz-target": "DynamoDB_20120810.ListTables"})
    assert 400 <= status < 600 and status != 500 and b"dynamodb" in body.lower(), body


def lambda_error(server, method, path, body=b"", **how):
    status, headers, answer = sigv4.request(server, method, path, body, **how)
    return status, headers, json.loads(answer)


def test_the_shape_of_errors_follows_the_model(server):
    status, headers, body = lambda_error(server, "GET", "/2015-03-31/functions/absent-one")
    # ResourceNotFoundException is modelled with `Message`, most others with `message`.
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (404, "ResourceNotFoundException")
    assert set(body) == {"Type", "Message"} and body["Type"] == "User"
    assert headers["content-type"] == "application/json" and headers["content-length"] and re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])
    request = {"FunctionName": "f", "Role": ROLE, "Runtime": "python3.13", "Handler": "a.b", "Code": {"ZipFile": "bm90IGEgemlw"}}
    status, headers, body = lambda_error(server, "POST", "/2015-03-31/functions", json.dumps(request).encode())
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (400, "InvalidParameterValueException")
    assert set(body) == {"Type", "message"} and body["Type"] == "User"
    status, headers, body = lambda_error(server, "POST", "/2015-03-31/functions", json.dumps({**request, "Timeout": 0}).encode())
    assert (status, headers["x-amzn-errortype"].split(":")[0]) == (400, "ValidationException")
    assert "message" in body


@pytest.mark.parametrize("method, path", [("GET", "/2015-03-31/nothing"), ("PATCH", "/2015-03-31/functions"), ("GET", "/2099-01-01/functions"),
                                          ("GET", "/2015-03-31/functions/%00"), ("GET", "/2015-03-31/functions/" + "x" * 3000), ("DELETE", "/")])
def test_paths_that_are_no_operation_are_refused(server, method, path):
    status, headers, body = sigv4.request(server, method, path)
    assert 400 <= status < 500 and headers.get("x-amzn-errortype") and json.loads(body), (status, body)


def test_a_percent_encoded_arn_in_the_path_is_a_name(server, function):
    name = function()
    arn = f"arn%3Aaws%3Alambda%3A{server.region}%3A{DEFAULT_ACCOUNT}%3Afunction%3A{name}"
    status, _, body = sigv4.request(server, "GET", f"/2015-03-31/functions/{arn}/configuration")
    assert (status, json.loads(body)["FunctionName"]) == (200, name)


def test_trailing_slashes_of_the_model_are_optional(server):
    # The model's URI of ListFunctions is /2015-03-31/functions/; older clients leave the slash out.
    for path in ("/2015-03-31/functions/", "/2015-03-31/functions"):
        assert sigv4.request(server, "GET", path)[0] == 200


def test_keep_alive_serves_many_requests(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    for number in range(50):
        path = f"/2015-03-31/functions/?MaxItems={number % 9 + 1}"
        connection.request("GET", path, headers=sigv4.sign(server, "GET", path))
        answer = connection.getresponse()
        assert answer.status == 200
        json.loads(answer.read())
    local = connection.sock.getsockname()
    assert local
    connection.close()


def test_expect_100_continue(server):
    # botocore sends it with large bodies.
    body = json.dumps({"FunctionName": fresh_name(), "Role": ROLE, "Code": {"ZipFile": ""}}).encode()
    headers = sigv4.sign(server, "POST", "/2015-03-31/functions", body)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        head = "POST /2015-03-31/functions HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        raw.sendall(f"{head}expect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.sendall(body)
        assert re.match(rb"HTTP/1.1 4\d\d ", raw.recv(100))


@pytest.mark.parametrize("wire", [b"\x00\x01\x02\x03" * 100, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\n\r\n",
                                  b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -5\r\n\r\n",
                                  b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
                                  b"POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
                                  b"GET / HTTP/1.1\r\n" + b"".join(b"x%d: y\r\n" % n for n in range(5000)) + b"\r\n"])
def test_broken_http_does_not_hurt(server, wire):
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as raw:
        answer = b""
        # The server may have hung up before all of it was sent.
        with contextlib.suppress(OSError):
            raw.sendall(wire)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(200)
        assert answer == b"" or re.match(rb"HTTP/1.[01] [45]\d\d ", answer)
    assert server.request("GET", "/_bojagi/health")[0] == 200


def test_a_client_that_goes_away_frees_its_request(function, lambda_, server):
    name = function("import time\ndef handler(e, c):\n    time.sleep(e)\n    return e\n")
    body = b"2"
    headers = sigv4.sign(server, "POST", f"/2015-03-31/functions/{name}/invocations", body)
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        head = f"POST /2015-03-31/functions/{name}/invocations HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        raw.sendall(f"{head}content-length: 1\r\n\r\n2".encode())
    assert lambda_.invoke(FunctionName=name, Payload=b"0")["Payload"].read() == b"0"


# Development keys are public, so any web page could sign with them.
FOREIGN = "https://evil.example"


@pytest.mark.parametrize("headers", [{"origin": FOREIGN}, {"origin": "null"}, {"origin": "http://127.0.0.1:1"}])
def test_a_request_of_a_foreign_page_is_refused(server, headers):
    status, answer, body = sigv4.request(server, "GET", "/2015-03-31/functions/", send_headers=headers)
    assert status == 403, body
    assert "access-control-allow-origin" not in answer


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "169.254.169.254", "[::2]:80", ""])
def test_a_host_that_is_not_this_one_is_refused(server, host):
    # DNS rebinding: the page's own name resolves to this machine.
    status, _, body = sigv4.request(server, "GET", "/2015-03-31/functions/", headers={"host": host} if host else {"host": "x.example"})
    assert status in (400, 403), body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "lambda.us-east-1.localhost", "[::1]"])
def test_the_hosts_that_are_this_one_are_accepted(server, host):
    status, _, body = sigv4.request(server, "GET", "/2015-03-31/functions/", headers={"host": f"{host}:{server.port}"})
    assert status == 200, body


def test_a_preflight_gets_no_permission(server):
    status, headers, _ = server.request("OPTIONS", "/2015-03-31/functions/", headers={
        "origin": FOREIGN, "access-control-request-method": "POST", "access-control-request-headers": "authorization,x-amz-date"})
    assert status >= 400 and not [name for name in headers if name.startswith("access-control-")]


def test_bojagis_own_paths(server):
    status, headers, body = server.request("GET", "/_bojagi/health")
    assert status == 200 and headers["content-type"].startswith("application/json") and isinstance(json.loads(body), dict)
    assert server.request("GET", "/_bojagi/nothing-of-the-kind")[0] == 404
    status, headers, _ = server.request("GET", "/", headers={"accept": "text/html"})
    assert status in (302, 303, 307) and headers["location"].startswith("/_bojagi/")


def test_slow_clients_do_not_block_others(server, lambda_):
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    try:
        for each in idle:
            each.sendall(b"POST /2015-03-31/functions HTTP/1.1\r\nhost: x\r\ncontent-le")
        assert lambda_.list_functions()["Functions"] is not None
    finally:
        for each in idle:
            each.close()
    until(lambda: server.request("GET", "/_bojagi/health")[0] == 200, 5, "the server is well")
