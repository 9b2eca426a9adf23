"""Who asks: Signature Version 4, accounts by access key, GetCallerIdentity."""

import datetime
import hashlib
import json
import re
import xml.etree.ElementTree as tree

import pytest
from botocore.exceptions import ClientError

from support import sigv4
from support.clients import ROLE, client
from support.functions import ECHO, PYTHON, create, fresh_name
from support.zips import package

FUNCTIONS = "/2015-03-31/functions/"
MISMATCH = ("The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
            "signing method. Consult the service documentation for details.")


def refused(answer, code):
    """A Lambda error's message, when it has that code in header and 403 as status."""
    status, headers, body = answer
    assert status == 403, (status, body)
    assert headers["x-amzn-errortype"].split(":")[0] == code, headers
    parsed = json.loads(body)
    return parsed.get("message") or parsed.get("Message")


def listed(server, **how):
    return sigv4.request(server, "GET", FUNCTIONS, **how)


def test_a_request_signed_by_hand_is_accepted(server):
    status, headers, body = listed(server)
    assert status == 200 and "Functions" in json.loads(body), body
    assert re.fullmatch(r"[0-9a-f-]{36}", headers["x-amzn-requestid"])


def test_a_wrong_secret_is_refused(server):
    assert refused(listed(server, secret="tset"), "InvalidSignatureException").startswith(MISMATCH)
    with pytest.raises(ClientError) as caught:
        client(server, secret="wrong").list_functions()
    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"


def test_an_unknown_key_is_refused(server):
    message = refused(listed(server, key="AKIAIOSFODNN7EXAMPLE"), "UnrecognizedClientException")
    assert message == "The security token included in the request is invalid."


@pytest.mark.parametrize("key", ["12345678901", "1234567890123", "12345678901a", "TEST", ""])
def test_only_twelve_digits_name_an_account(server, key):
    status, _, _ = listed(server, key=key)
    assert status == 403


def test_a_tampered_body_query_header_or_path_is_refused(server):
    body = json.dumps({"FunctionName": "f", "Role": ROLE, "Code": {}}).encode()
    for answer in (
        sigv4.request(server, "POST", FUNCTIONS, body, send_body=body.replace(b'"f"', b'"g"')),
        server.request("GET", FUNCTIONS + "?MaxItems=2", headers=sigv4.sign(server, "GET", FUNCTIONS + "?MaxItems=1")),
        server.request("GET", FUNCTIONS + "other", headers=sigv4.sign(server, "GET", FUNCTIONS)),
        server.request("POST", FUNCTIONS, headers=sigv4.sign(server, "GET", FUNCTIONS)),
        sigv4.request(server, "GET", FUNCTIONS, headers={"x-amz-meta": "a"}, send_headers={"x-amz-meta": "b"}),
    ):
        assert refused(answer, "InvalidSignatureException").startswith(MISMATCH)


def test_a_payload_hash_that_is_not_the_bodys_is_refused(server):
    body = b'{"FunctionName": "f"}'
    wrong = hashlib.sha256(b"something else").hexdigest()
    status, _, _ = sigv4.request(server, "POST", FUNCTIONS, body, payload_hash=wrong)
    assert status in (400, 403)


@pytest.mark.parametrize("minutes", [-16, -60, 16, 60 * 24])
def test_a_request_out_of_its_time_is_refused(server, minutes):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    message = refused(listed(server, when=when), "InvalidSignatureException")
    stamp = when.strftime("%Y%m%dT%H%M%SZ")
    # "Troubleshoot Signature Version 4": Signature expired: … is now earlier than … / Signature not yet current: … is still later than …
    expected = rf"Signature expired: {stamp} is now earlier than \d+T\d+Z" if minutes < 0 else (
        rf"Signature not yet current: {stamp} is still later than \d+T\d+Z")
    assert re.match(expected, message), message


@pytest.mark.parametrize("minutes", [-4, 4])
def test_a_clock_that_is_a_little_wrong_is_forgiven(server, minutes):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    assert listed(server, when=when)[0] == 200


def test_an_unsigned_request_is_refused(server):
    assert refused(server.request("GET", FUNCTIONS), "MissingAuthenticationTokenException") == "Missing Authentication Token"


@pytest.mark.parametrize("header", ["AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=test", "Bearer abc", "AWS4-HMAC-SHA256 Credential=a/b/c",
                                    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host",
                                    "AWS4-HMAC-SHA256 " + "x" * 4000])
def test_a_broken_authorization_header_is_refused_and_named(server, header):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    status, headers, body = server.request("GET", FUNCTIONS, headers={"authorization": header, "x-amz-date": now})
    assert 400 <= status < 404 and headers.get("x-amzn-errortype"), (status, headers, body)


def test_a_scope_of_another_date_is_refused(server):
    headers = sigv4.sign(server, "GET", FUNCTIONS)
    headers["authorization"] = re.sub(r"Credential=test/\d{8}", "Credential=test/20200101", headers["authorization"])
    assert server.request("GET", FUNCTIONS, headers=headers)[0] == 403


def test_a_presigned_query_is_accepted_until_it_expires(server, function):
    name = function()
    path = f"{FUNCTIONS}{name}/configuration"
    status, _, body = server.request("GET", sigv4.presign(server, "GET", path))
    assert status == 200 and json.loads(body)["FunctionName"] == name
    status, _, body = server.request("GET", sigv4.presign(server, "GET", path, secret="wrong"))
    assert status == 403
    old = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=90)
    status, _, body = server.request("GET", sigv4.presign(server, "GET", path, when=old, expires=60))
    assert status == 403, body
    assert server.request("GET", sigv4.presign(server, "GET", path, when=old, expires=120))[0] == 200


def test_botos_own_presigned_addresses_work(server, sts):
    from urllib.parse import urlsplit

    url = urlsplit(sts.generate_presigned_url("get_caller_identity", HttpMethod="GET"))
    status, _, body = server.request("GET", f"{url.path or '/'}?{url.query}")
    assert status == 200 and b"<Account>000000000000</Account>" in body


def test_an_unsigned_payload_is_accepted_where_it_says_so(server, function):
    name = function()
    status, _, body = sigv4.request(server, "POST", f"{FUNCTIONS}{name}/invocations", b'{"u": 1}', payload_hash=sigv4.UNSIGNED)
    assert (status, json.loads(body)) == (200, {"u": 1})


def test_caller_identity_of_the_development_key(sts, server):
    identity = sts.get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    assert identity["UserId"] == "000000000000"
    other = client(server, "sts", key="123456789012").get_caller_identity()
    assert (other["Account"], other["Arn"]) == ("123456789012", "arn:aws:iam::123456789012:root")


def test_errors_of_the_query_services_are_xml(server):
    body = "Action=GetCallerIdentity&Version=2011-06-15"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for how, code in (({"key": "AKIAIOSFODNN7EXAMPLE"}, "InvalidClientTokenId"), ({"secret": "wrong"}, "SignatureDoesNotMatch")):
        status, answer_headers, answer = sigv4.request(server, "POST", "/", body, service="sts", headers=headers, **how)
        assert status == 403 and answer_headers["content-type"].startswith("text/xml"), (status, answer)
        root = tree.fromstring(answer)
        name = root.tag.rpartition("}")[2]
        assert name == "ErrorResponse"
        found = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
        assert found["Code"] == code and found["Type"] == "Sender" and re.fullmatch(r"[0-9a-f-]{36}", found["RequestId"])


def test_two_accounts_see_nothing_of_each_other(server):
    mine, yours = client(server, key="111111111111"), client(server, key="999999999999")
    name = create(mine, fresh_name("private"), code="def handler(e, c):\n    return c.invoked_function_arn\n",
                  Role="arn:aws:iam::111111111111:role/any")
    arn = f"arn:aws:lambda:{server.region}:111111111111:function:{name}"
    assert mine.get_function(FunctionName=name)["Configuration"]["FunctionArn"] == arn
    assert name not in [each["FunctionName"] for each in yours.list_functions()["Functions"]]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        yours.get_function(FunctionName=name)
    for call in (lambda: yours.get_function(FunctionName=arn), lambda: yours.invoke(FunctionName=arn), lambda: yours.delete_function(FunctionName=arn),
                 lambda: yours.list_tags(Resource=arn), lambda: yours.tag_resource(Resource=arn, Tags={"a": "b"})):
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] in ("AccessDeniedException", "ResourceNotFoundException"), caught.value
    # The same name is free in the other account, and both live side by side.
    create(yours, name, code="def handler(e, c):\n    return 'yours'\n", Role="arn:aws:iam::999999999999:role/any")
    assert json.load(yours.invoke(FunctionName=name)["Payload"]) == "yours"
    assert json.load(mine.invoke(FunctionName=name)["Payload"]) == arn
    for each in (mine, yours):
        each.delete_function(FunctionName=name)


def test_a_functions_own_credentials_are_of_its_account(server):
    mine = client(server, key="111111111111")
    name = create(mine, fresh_name("who"), code=(
        "import boto3\ndef handler(e, c):\n    who = boto3.client('sts').get_caller_identity()\n    return [who['Account'], who['Arn']]\n"),
        Role="arn:aws:iam::111111111111:role/its-role", MemorySize=512)
    account, arn = json.load(mine.invoke(FunctionName=name)["Payload"])
    assert account == "111111111111"
    assert arn == f"arn:aws:sts::111111111111:assumed-role/its-role/{name}"
    mine.delete_function(FunctionName=name)


def test_a_root_key_is_made_and_printed_once_and_outlives_a_restart(new_server):
    server = new_server().start()
    log = server.log.read_text()
    key = re.search(r"\b(AKIA[A-Z0-9]{16})\b", log)
    assert key, f"no access key id in the log:\n{log}"
    secret = re.search(r"(?<![A-Za-z0-9/+])([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])", log)
    assert secret, f"no secret access key in the log:\n{log}"
    identity = client(server, "sts", key=key[1], secret=secret[1]).get_caller_identity()
    assert re.fullmatch(r"\d{12}", identity["Account"]) and identity["Arn"] == f"arn:aws:iam::{identity['Account']}:root"
    server.stop()
    server.start()
    assert client(server, "sts", key=key[1], secret=secret[1]).get_caller_identity()["Account"] == identity["Account"]
    assert server.log.read_text().count(secret[1]) == 1, "the secret is printed once"
    with pytest.raises(ClientError):
        client(server, "sts", key=key[1], secret=secret[1][::-1]).get_caller_identity()


def test_development_keys_can_be_switched_off(new_server):
    server = new_server("--development-keys", "false").start()
    assert refused(listed(server), "UnrecognizedClientException")
    assert refused(listed(server, key="123456789012"), "UnrecognizedClientException")


def test_a_function_made_with_one_key_is_owned_by_its_account(server):
    third = client(server, key="555555555555")
    response = third.create_function(FunctionName=fresh_name(), Runtime=PYTHON, Handler="app.handler", Role="arn:aws:iam::555555555555:role/r",
                                     Code={"ZipFile": package({"app.py": ECHO})})
    assert ":555555555555:" in response["FunctionArn"]
    third.delete_function(FunctionName=response["FunctionName"])
