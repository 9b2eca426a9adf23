"""Functions: create, read, list, update, delete, through the AWS CLI and boto3."""

import base64
import datetime
import hashlib
import json
import re
import urllib.request

import pytest
from botocore.exceptions import ClientError

from support.clients import ROLE, CliError, aws
from support.functions import ECHO, PYTHON, create, fresh_name, invoke, succeed, wait_updated
from support.waiting import until
from support.zips import package

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
LAST_MODIFIED = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000"


def sha256(archive):
    """`CodeSha256` as AWS defines it: base64 of the archive's SHA-256."""
    return base64.b64encode(hashlib.sha256(archive).digest()).decode()


def without_metadata(response):
    return {key: value for key, value in response.items() if key != "ResponseMetadata"}


def fails(call, code, status):
    """Calls, and returns the message of the error that AWS has for it."""
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), response
    return response["Error"]["Message"]


def test_the_whole_life_of_a_function_with_the_aws_cli(server, tmp_path):
    name = fresh_name("cli")
    first, second = package({"app.py": ECHO}), package({"app.py": "def handler(e, c):\n    return {'second': e}\n"})
    (tmp_path / "first.zip").write_bytes(first)
    (tmp_path / "second.zip").write_bytes(second)
    arn = f"arn:aws:lambda:{server.region}:000000000000:function:{name}"

    created = aws(server, "lambda", "create-function", "--function-name", name, "--runtime", PYTHON, "--handler", "app.handler",
                  "--role", ROLE, "--zip-file", f"fileb://{tmp_path}/first.zip", "--tags", "team=blue")
    assert created["FunctionArn"] == arn
    assert created["State"] == "Pending"
    aws(server, "lambda", "wait", "function-active-v2", "--function-name", name)
    got = aws(server, "lambda", "get-function", "--function-name", name)
    assert got["Configuration"]["State"] == "Active"
    assert got["Tags"] == {"team": "blue"}
    assert urllib.request.urlopen(got["Code"]["Location"]).read() == first

    out = tmp_path / "answer.json"
    answer = aws(server, "lambda", "invoke", "--function-name", name, "--payload", '{"hello": "보자기"}', "--log-type", "Tail", out)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(out.read_text()) == {"hello": "보자기"}
    assert "END RequestId: " in base64.b64decode(answer["LogResult"]).decode()

    updated = aws(server, "lambda", "update-function-code", "--function-name", name, "--zip-file", f"fileb://{tmp_path}/second.zip")
    assert updated["CodeSha256"] == sha256(second)
    aws(server, "lambda", "wait", "function-updated-v2", "--function-name", name)
    aws(server, "lambda", "invoke", "--function-name", name, "--payload", "1", out)
    assert json.loads(out.read_text()) == {"second": 1}

    aws(server, "lambda", "update-function-configuration", "--function-name", name, "--timeout", 7, "--environment", "Variables={ONE=b}")
    aws(server, "lambda", "wait", "function-updated-v2", "--function-name", name)
    configuration = aws(server, "lambda", "get-function-configuration", "--function-name", name)
    assert (configuration["Timeout"], configuration["Environment"]) == (7, {"Variables": {"ONE": "b"}})

    aws(server, "lambda", "tag-resource", "--resource", arn, "--tags", "cost=low")
    assert aws(server, "lambda", "list-tags", "--resource", arn)["Tags"] == {"team": "blue", "cost": "low"}
    assert name in [each["FunctionName"] for each in aws(server, "lambda", "list-functions")["Functions"]]
    aws(server, "lambda", "delete-function", "--function-name", name)
    with pytest.raises(CliError, match=rf"ResourceNotFoundException.*Function not found: {re.escape(arn)}"):
        aws(server, "lambda", "get-function", "--function-name", name)


def test_create_answers_with_awss_fields_and_defaults(lambda_, server):
    # Recorded from AWS in November 2025 (State, its reason, the defaults of everything not given).
    archive = package({"app.py": ECHO})
    name = fresh_name()
    response = lambda_.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Code={"ZipFile": archive})
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 201
    created = without_metadata(response)
    revision, modified = created.pop("RevisionId"), created.pop("LastModified")
    assert re.fullmatch(UUID, revision)
    assert re.fullmatch(LAST_MODIFIED, modified), modified
    age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.strptime(modified, "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs(age.total_seconds()) < 60
    version_arn = created.pop("RuntimeVersionConfig")["RuntimeVersionArn"]
    assert re.fullmatch(rf"arn:aws:lambda:{server.region}::runtime:.+", version_arn)
    assert created == {
        "FunctionName": name,
        "FunctionArn": f"arn:aws:lambda:{server.region}:000000000000:function:{name}",
        "Runtime": PYTHON,
        "Role": ROLE,
        "Handler": "app.handler",
        "CodeSize": len(archive),
        "CodeSha256": sha256(archive),
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "Version": "$LATEST",
        "TracingConfig": {"Mode": "PassThrough"},
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
    }

    lambda_.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    got = without_metadata(lambda_.get_function(FunctionName=name))
    assert set(got) == {"Configuration", "Code"}
    assert got["Code"]["RepositoryType"] == "S3"
    configuration = got["Configuration"]
    for key in ("RevisionId", "LastModified", "RuntimeVersionConfig"):
        assert configuration.pop(key)
    expected = {**created, "State": "Active", "LastUpdateStatus": "Successful"}
    del expected["StateReason"], expected["StateReasonCode"]
    assert configuration == expected
    short = without_metadata(lambda_.get_function_configuration(FunctionName=name))
    assert short == {**expected, **{key: short[key] for key in ("RevisionId", "LastModified", "RuntimeVersionConfig")}}
    lambda_.delete_function(FunctionName=name)


def test_everything_given_is_kept_and_returned(function, lambda_):
    given = {
        "Description": "말 한마디",
        "Timeout": 900,
        "MemorySize": 3008,
        "Environment": {"Variables": {"ONE": "1", "EMPTY": "", "TEXT": "보자기 \"quoted\" \\ \n"}},
        "EphemeralStorage": {"Size": 1024},
        "TracingConfig": {"Mode": "Active"},
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/my/group", "ApplicationLogLevel": "WARN", "SystemLogLevel": "DEBUG"},
        "Handler": "app.handler",
        "Role": "arn:aws:iam::000000000000:role/service-role/some_Role+=,.@-",
    }
    name = function(**given)
    got = lambda_.get_function_configuration(FunctionName=name)
    assert {key: got[key] for key in given} == given


def test_json_logging_has_levels_by_default(function, lambda_):
    name = function(LoggingConfig={"LogFormat": "JSON"})
    assert lambda_.get_function_configuration(FunctionName=name)["LoggingConfig"] == {
        "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": f"/aws/lambda/{name}"}


def test_a_second_function_of_the_name_is_refused(function, lambda_):
    name = function()
    message = fails(lambda: create(lambda_, name, wait=False), "ResourceConflictException", 409)
    assert message == f"Function already exist: {name}"


@pytest.mark.parametrize("form", ["{name}", "000000000000:function:{name}", "function:{name}",
                                  "arn:aws:lambda:{region}:000000000000:function:{name}"])
def test_a_function_is_named_in_every_form_aws_has(function, lambda_, server, form):
    name = function()
    named = form.format(name=name, region=server.region)
    assert lambda_.get_function_configuration(FunctionName=named)["FunctionName"] == name
    assert lambda_.get_function_configuration(FunctionName=named, Qualifier="$LATEST")["FunctionName"] == name
    # The ARN is qualified where the request was.
    qualified = lambda_.get_function_configuration(FunctionName=f"{named}:$LATEST")
    assert qualified["FunctionArn"] == f"arn:aws:lambda:{server.region}:000000000000:function:{name}:$LATEST"
    assert succeed(lambda_, named, {"form": form}) == {"form": form}


def test_a_function_of_another_account_or_region_is_not_found(function, lambda_, server):
    name = function()
    other = f"arn:aws:lambda:{server.region}:999999999999:function:{name}"
    assert fails(lambda: lambda_.get_function(FunctionName=other), "AccessDeniedException", 403)
    away = f"arn:aws:lambda:eu-central-1:000000000000:function:{name}"
    message = fails(lambda: lambda_.get_function(FunctionName=away), "ResourceNotFoundException", 404)
    assert message == f"Functions from 'eu-central-1' are not reachable in this region ('{server.region}')"


def test_lists_are_paged_in_a_steady_order(lambda_, server):
    from support.clients import client

    lonely = client(server, key="222222222222")
    assert lonely.list_functions()["Functions"] == []
    archive = package({"app.py": ECHO})
    names = sorted(fresh_name("page") for _ in range(7))
    for name in names:
        create(lonely, name, zip_file=archive, wait=False, Role="arn:aws:iam::222222222222:role/any")
    first = lonely.list_functions(MaxItems=3)
    assert len(first["Functions"]) == 3 and first["NextMarker"]
    seen, marker = [each["FunctionName"] for each in first["Functions"]], first["NextMarker"]
    while marker:
        page = lonely.list_functions(MaxItems=3, Marker=marker)
        assert len(page["Functions"]) <= 3
        seen += [each["FunctionName"] for each in page["Functions"]]
        marker = page.get("NextMarker")
    assert sorted(seen) == names and len(seen) == len(set(seen))
    paged = [each["FunctionName"] for page in lonely.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2})
             for each in page["Functions"]]
    assert paged == seen
    everything = lonely.list_functions(FunctionVersion="ALL")["Functions"]
    assert {each["FunctionArn"] for each in everything} == {f"arn:aws:lambda:{server.region}:222222222222:function:{name}:$LATEST"
                                                            for name in names}
    for name in names:
        lonely.delete_function(FunctionName=name)


def test_update_code_answers_as_aws_does(function, lambda_):
    name = function()
    before = lambda_.get_function_configuration(FunctionName=name)
    archive = package({"app.py": "def handler(e, c):\n    return 'new'\n"})
    updated = lambda_.update_function_code(FunctionName=name, ZipFile=archive)
    assert updated["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert updated["CodeSha256"] == sha256(archive) and updated["CodeSize"] == len(archive)
    assert updated["RevisionId"] != before["RevisionId"]
    assert (updated["LastUpdateStatus"], updated["LastUpdateStatusReason"], updated["LastUpdateStatusReasonCode"]) == (
        "InProgress", "The function is being created.", "Creating")
    wait_updated(lambda_, name)
    after = lambda_.get_function_configuration(FunctionName=name)
    assert after["LastUpdateStatus"] == "Successful" and "LastUpdateStatusReason" not in after
    assert after["LastModified"] >= before["LastModified"]
    assert succeed(lambda_, name) == "new"


def test_a_dry_run_of_update_code_changes_nothing(function, lambda_):
    name = function()
    before = without_metadata(lambda_.get_function_configuration(FunctionName=name))
    archive = package({"app.py": "def handler(e, c):\n    return 'never'\n"})
    response = lambda_.update_function_code(FunctionName=name, ZipFile=archive, DryRun=True)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert without_metadata(lambda_.get_function_configuration(FunctionName=name)) == before
    assert succeed(lambda_, name, {"still": "old"}) == {"still": "old"}
    message = fails(lambda: lambda_.update_function_code(FunctionName=name, ZipFile=b"no zip", DryRun=True),
                    "InvalidParameterValueException", 400)
    assert message == "Could not unzip uploaded file. Please check your file, then try to upload again."


def test_updates_hold_to_the_revision_they_name(function, lambda_):
    name = function()
    archive = package({"app.py": ECHO})
    stale = "3b7a2c58-0000-4000-8000-0123456789ab"
    expected = ("The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve the "
                "latest Revision Id")
    assert fails(lambda: lambda_.update_function_code(FunctionName=name, ZipFile=archive, RevisionId=stale),
                 "PreconditionFailedException", 412) == expected
    assert fails(lambda: lambda_.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=stale),
                 "PreconditionFailedException", 412) == expected
    current = lambda_.get_function_configuration(FunctionName=name)["RevisionId"]
    lambda_.update_function_configuration(FunctionName=name, Timeout=9, RevisionId=current)
    wait_updated(lambda_, name)
    current = lambda_.get_function_configuration(FunctionName=name)["RevisionId"]
    lambda_.update_function_code(FunctionName=name, ZipFile=archive, RevisionId=current)
    wait_updated(lambda_, name)
    assert lambda_.get_function_configuration(FunctionName=name)["Timeout"] == 9


def test_update_configuration_changes_what_it_names_and_nothing_else(function, lambda_):
    name = function(Description="before", Environment={"Variables": {"ONE": "1"}}, MemorySize=256)
    before = without_metadata(lambda_.get_function_configuration(FunctionName=name))
    updated = lambda_.update_function_configuration(FunctionName=name, Description="after")
    assert updated["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert updated["LastUpdateStatus"] == "InProgress" and updated["State"] == "Active"
    wait_updated(lambda_, name)
    after = without_metadata(lambda_.get_function_configuration(FunctionName=name))
    changing = {"Description", "RevisionId", "LastModified"}
    assert {key for key in after if after[key] != before.get(key)} <= changing and after["Description"] == "after"
    # An empty set of variables takes them away; not naming them leaves them.
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {}})
    wait_updated(lambda_, name)
    assert not lambda_.get_function_configuration(FunctionName=name).get("Environment", {}).get("Variables")


def test_architectures_are_kept_and_arm64_never_hangs(function, lambda_):
    name = function(Architectures=["arm64"], wait=False)
    assert lambda_.get_function_configuration(FunctionName=name)["Architectures"] == ["arm64"]
    name = function()
    lambda_.update_function_code(FunctionName=name, ZipFile=package({"app.py": ECHO}), Architectures=["arm64"])
    wait_updated(lambda_, name)
    assert lambda_.get_function_configuration(FunctionName=name)["Architectures"] == ["arm64"]
    try:
        answer = invoke(lambda_, name, {"arm": True})
    except ClientError as error:
        assert "arm64" in error.response["Error"]["Message"], error
    else:
        assert answer.payload == {"arm": True} or (answer.error and "arm64" in answer.raw.decode()), answer


def test_publish_is_refused_by_name_or_makes_a_version(lambda_):
    name = fresh_name()
    try:
        created = lambda_.create_function(FunctionName=name, Runtime=PYTHON, Handler="app.handler", Role=ROLE, Publish=True,
                                          Code={"ZipFile": package({"app.py": ECHO})})
    except ClientError as error:
        assert re.search("[Pp]ublish|version", error.response["Error"]["Message"]), error
        assert fails(lambda: lambda_.get_function(FunctionName=name), "ResourceNotFoundException", 404)
    else:
        assert created["Version"] == "1" and created["FunctionArn"].endswith(f":{name}:1")
        lambda_.delete_function(FunctionName=name)


def test_delete_takes_everything_with_it(lambda_, server):
    name = create(lambda_)
    location = lambda_.get_function(FunctionName=name)["Code"]["Location"]
    response = lambda_.delete_function(FunctionName=name)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    arn = f"arn:aws:lambda:{server.region}:000000000000:function:{name}"
    for call in (lambda: lambda_.get_function(FunctionName=name), lambda: lambda_.get_function_configuration(FunctionName=name),
                 lambda: lambda_.delete_function(FunctionName=name), lambda: invoke(lambda_, name),
                 lambda: lambda_.update_function_configuration(FunctionName=name, Timeout=1),
                 lambda: lambda_.update_function_code(FunctionName=name, ZipFile=package({"app.py": ECHO}))):
        assert fails(call, "ResourceNotFoundException", 404).startswith(f"Function not found: {arn}")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(location)
    assert caught.value.code in (403, 404)
    # The name is free again, and what comes under it is new.
    again = create(lambda_, name, "def handler(e, c):\n    return 'again'\n")
    assert succeed(lambda_, again) == "again"
    lambda_.delete_function(FunctionName=again)


def test_code_location_is_a_presigned_address_of_the_identical_bytes(function, lambda_):
    # Bytes that are a valid archive but not what any library would write again: a comment, and odd dates.
    archive = package({"app.py": ECHO, "data.bin": bytes(range(256)) * 50})
    from support.zips import Entry
    from support.zips import archive as raw

    odd = raw([Entry(b"app.py", ECHO.encode()), Entry(b"x/", b"", mode=0o40755, method=0)], comment=b"not to be lost")
    for content in (archive, odd):
        name = function(zip_file=content)
        got = lambda_.get_function(FunctionName=name)
        with urllib.request.urlopen(got["Code"]["Location"]) as answer:
            assert answer.read() == content
        assert got["Configuration"]["CodeSha256"] == sha256(content)
        broken = re.sub(r"(Signature=)([0-9a-f])", lambda m: m[1] + ("0" if m[2] != "0" else "1"), got["Code"]["Location"])
        assert broken != got["Code"]["Location"]
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(broken)
        assert caught.value.code == 403


def test_every_runtime_that_aws_offers_can_be_created(lambda_):
    # "Lambda runtimes", supported runtimes.
    for runtime in ("nodejs24.x", "nodejs22.x", "nodejs20.x", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10",
                    "java25", "java21", "java17", "java11", "java8.al2", "dotnet10", "dotnet8", "ruby3.4", "ruby3.3", "ruby3.2",
                    "provided.al2023", "provided.al2"):
        name = create(lambda_, wait=False, Runtime=runtime)
        assert lambda_.get_function_configuration(FunctionName=name)["Runtime"] == runtime
        lambda_.delete_function(FunctionName=name)


@pytest.mark.parametrize("runtime", ["java25", "dotnet8"])
def test_a_runtime_without_its_base_image_says_how_to_get_it(function, lambda_, runtime):
    name = function(Runtime=runtime, Handler="example.Handler", wait=False)
    until(lambda: lambda_.get_function_configuration(FunctionName=name)["State"] != "Pending", 30, "creation succeeds all the same")
    try:
        answer = invoke(lambda_, name, {})
        text = answer.raw.decode()
        assert answer.error, text
    except ClientError as error:
        text = error.response["Error"]["Message"]
    assert runtime in text and "base" in text, text
