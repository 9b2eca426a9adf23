"""Errors recorded from AWS: each one that a supported operation can give is provoked, and answers to the letter.

`data/recorded_errors.tsv` holds what AWS answered: operation, status, code, message, type. `<…>` stands for a value. A row has
a recipe here that provokes it, or a reason why there is none; one that has neither fails.
"""

import csv
import json
import pathlib
import re

import botocore.session
import pytest
from botocore.exceptions import ClientError

from support.clients import DEFAULT_ACCOUNT, ROLE, client
from support.functions import ECHO, PYTHON, fresh_name
from support.zips import Entry, archive, package

TABLE = pathlib.Path(__file__).parent / "data/recorded_errors.tsv"
ACCOUNT_RECORDED = "111111111111"

with open(TABLE, newline="") as file:
    ROWS = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))

MODEL = botocore.session.get_session().get_service_model("lambda")

S3 = "code from S3 is not supported yet"
LAYERS = "layers are not supported yet"
# (operation, a part of the message) → why nothing provokes it.
WITHOUT_RECIPE = {
    ("lambda.CreateFunction", '{"SMALL_VAR"'): "AWS writes the measured variables in the request's order; Bojagi keeps them by name and writes them so",
    ("lambda.CreateFunction", "S3 Error Code: NoSuchBucket"): S3,
    ("lambda.CreateFunction", "S3 Error Code: NoSuchKey"): S3,
    ("lambda.UpdateFunctionCode", "S3 Error Code: NoSuchKey"): S3,
    ("lambda.CreateFunction (guessed)", "Layers are not in the same region"): LAYERS,
    ("lambda.UpdateFunctionConfiguration", "Layer version arn"): LAYERS,
    ("lambda.UpdateFunctionConfiguration", "Two different versions of the same layer"): LAYERS,
    ("lambda.UpdateFunctionCode", "An update is in progress"): "a race; test_concurrency.py holds its message whenever it is lost",
}


class Kitchen:
    """What recipes work with: clients that let wrong requests through, and a function that is there."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.lambda_ = client(server, validate=False)
        self.iam = client(server, "iam", validate=False)
        self.prefix = f"arn:aws:lambda:{server.region}:{DEFAULT_ACCOUNT}"
        self.arn = f"{self.prefix}:function:{name}"

    def create(self, name=None, content=None, **more):
        settings = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": content or package({"app.py": ECHO})}}
        return self.lambda_.create_function(FunctionName=name or fresh_name(), **{**settings, **more})

    def configure(self, **more):
        return self.lambda_.update_function_configuration(FunctionName=self.name, **more)


def too_much():
    zeros = b"\0" * (60 << 20)
    return archive([Entry(b"app.py", ECHO.encode()), *[Entry(b"z%d" % n, zeros) for n in range(5)]])


def noise(size):
    return archive([Entry(b"app.py", ECHO.encode()), Entry(b"noise", bytes(size), method=0)])


def recorded_variables(row):
    """The variables whose text AWS measured. The recording cut the long one off; it was longer than 4 KB."""
    names = re.findall(r'"([A-Z_]+)":"(ok)?', row["message"])
    return {name: short or "x" * 4100 for name, short in names}


FAR = "arn:aws:lambda:ap-southeast-1:000000000000:function:any"
ABSENT = "absent-function"
STALE = "3b7a2c58-0000-4000-8000-0123456789ab"
ESM = "event-source-mapping:6f1a3a4e-0000-4000-8000-0123456789ab"

# (operation, a pattern in the message) → what provokes it.
RECIPES = [
    ("iam.AttachRolePolicy", "Could not be parsed", lambda k, row: k.iam.attach_role_policy(RoleName=k.role(), PolicyArn="no-arn-but-long-enough")),
    ("iam.AttachRolePolicy", "does not exist or is not attachable",
     lambda k, row: k.iam.attach_role_policy(RoleName=k.role(), PolicyArn=f"arn:aws:iam::{DEFAULT_ACCOUNT}:policy/absent123")),
    ("iam.CreateRole", "invalid Json", lambda k, row: k.iam.create_role(RoleName=fresh_name(), AssumeRolePolicyDocument='{"Version": "2012-10-17",')),
    ("lambda.CreateFunction", "Value 'aaaaa", lambda k, row: k.create(name=re.search("'(a+)'", row["message"])[1])),
    ("lambda.CreateFunction", "Could not unzip", lambda k, row: k.create(content=b"no archive")),
    ("lambda.CreateFunction", "4KB limit(?!.*SMALL_VAR)", lambda k, row: k.create(Environment={"Variables": recorded_variables(row)})),
    ("lambda.CreateFunction", "Number of tags", lambda k, row: k.create(Tags={f"k{n}": "v" for n in range(51)})),
    ("lambda.CreateFunction", "no longer supported",
     lambda k, row: k.create(Runtime=re.search("parameter of (\\S+) is", row["message"])[1])),
    ("lambda.CreateFunction", "Unzipped size", lambda k, row: k.create(content=too_much())),
    ("lambda.CreateFunction", "Value \\S+ at 'runtime'", lambda k, row: k.create(Runtime=re.match("Value (\\S+) at", row["message"])[1])),
    ("lambda.CreateFunction", "vpcConfig.securityGroupIds",
     lambda k, row: k.create(VpcConfig={"SubnetIds": ["subnet-0123456789abcdef0"], "SecurityGroupIds": ["no group"]})),
    ("lambda.CreateFunction", "vpcConfig.subnetIds",
     lambda k, row: k.create(VpcConfig={"SubnetIds": ["no subnet"], "SecurityGroupIds": ["sg-0123456789abcdef0"]})),
    ("lambda.CreateFunction", "less than or equal to 140", lambda k, row: k.create(name=f"{k.prefix}:function:{'n' * 120}")),
    ("lambda.CreateFunction", "invalid:function:name", lambda k, row: k.create(name="invalid:function:name")),
    ("lambda.CreateFunction", "snapStart.applyOn", lambda k, row: k.create(SnapStart={"ApplyOn": "invalidOption"})),
    ("lambda.CreateFunction", "not reachable in this region", lambda k, row: k.create(name=FAR)),
    ("lambda.CreateFunction", "Request must be smaller", lambda k, row: k.create(content=noise(53 << 20))),
    ("lambda.CreateFunction", "Zipped size", lambda k, row: k.create(content=noise(52_428_800))),
    ("lambda.DeleteFunction", r"\$LATEST version", lambda k, row: k.lambda_.delete_function(FunctionName=k.name, Qualifier="$LATEST")),
    ("lambda.DeleteFunction", "Function not found", lambda k, row: k.lambda_.delete_function(FunctionName=ABSENT)),
    ("lambda.GetFunction", "derived qualifier", lambda k, row: k.lambda_.get_function(FunctionName=f"{k.name}:$LATEST", Qualifier="1")),
    ("lambda.GetFunction", ":1221$", lambda k, row: k.lambda_.get_function(FunctionName=k.name, Qualifier="1221")),
    ("lambda.GetFunction", ":aliasdoesnotexist", lambda k, row: k.lambda_.get_function(FunctionName=k.name, Qualifier="aliasdoesnotexist")),
    ("lambda.GetFunction", r":\$LATEST$", lambda k, row: k.lambda_.get_function(FunctionName="some-function", Qualifier="$LATEST")),
    ("lambda.GetFunction", "not reachable", lambda k, row: k.lambda_.get_function(FunctionName=FAR)),
    ("lambda.GetFunctionConfiguration", "derived qualifier",
     lambda k, row: k.lambda_.get_function_configuration(FunctionName=f"{k.name}:$LATEST", Qualifier="1")),
    ("lambda.GetFunctionConfiguration", r":\$LATEST$",
     lambda k, row: k.lambda_.get_function_configuration(FunctionName="some-function", Qualifier="$LATEST")),
    ("lambda.GetFunctionConfiguration", "not reachable", lambda k, row: k.lambda_.get_function_configuration(FunctionName=FAR)),
    ("lambda.Invoke", ":non-existent-alias", lambda k, row: k.lambda_.invoke(FunctionName=k.name, Qualifier="non-existent-alias")),
    ("lambda.Invoke", ":doesnotexist$", lambda k, row: k.lambda_.invoke(FunctionName="doesnotexist")),
    ("lambda.Invoke", r":doesnotexist:\$LATEST$", lambda k, row: k.lambda_.invoke(FunctionName="doesnotexist", Qualifier="$LATEST")),
    ("lambda.Invoke", "not reachable", lambda k, row: k.lambda_.invoke(FunctionName=FAR)),
    ("lambda.ListFunctions", "functionVersion", lambda k, row: k.lambda_.list_functions(FunctionVersion="invalid")),
    ("lambda.ListTags", "aliases and versions", lambda k, row: k.lambda_.list_tags(Resource=f"{k.arn}:$LATEST")),
    ("lambda.ListTags", "^1 validation error.*capacity-provider:<resource-name>:alias", lambda k, row: k.lambda_.list_tags(Resource=f"{k.prefix}:capacity-provider:any:alias")),
    ("lambda.ListTags", "^1 validation error.*event-source-mapping:<resource-name>:alias", lambda k, row: k.lambda_.list_tags(Resource=f"{k.prefix}:{ESM}:alias")),
    ("lambda.ListTags", "Capacity provider not found", lambda k, row: k.lambda_.list_tags(Resource=f"{k.prefix}:capacity-provider:any")),
    ("lambda.ListTags", "Event source mapping not found", lambda k, row: k.lambda_.list_tags(Resource=f"{k.prefix}:{ESM}")),
    ("lambda.ListTags", "Function not found", lambda k, row: k.lambda_.list_tags(Resource=f"{k.prefix}:function:{ABSENT}")),
    ("lambda.TagResource", "Number of tags", lambda k, row: k.lambda_.tag_resource(Resource=k.arn, Tags={f"k{n}": "v" for n in range(51)})),
    ("lambda.TagResource", "aliases and versions", lambda k, row: k.lambda_.tag_resource(Resource=f"{k.arn}:$LATEST", Tags={"a": "b"})),
    ("lambda.TagResource", "^1 validation error", lambda k, row: k.lambda_.tag_resource(Resource="arn:aws:something", Tags={"a": "b"})),
    ("lambda.TagResource", "Capacity provider", lambda k, row: k.lambda_.tag_resource(Resource=f"{k.prefix}:capacity-provider:any", Tags={"a": "b"})),
    ("lambda.TagResource", "Event source mapping", lambda k, row: k.lambda_.tag_resource(Resource=f"{k.prefix}:{ESM}", Tags={"a": "b"})),
    ("lambda.TagResource", "Function not found", lambda k, row: k.lambda_.tag_resource(Resource=f"{k.prefix}:function:doesnotexist", Tags={"a": "b"})),
    ("lambda.UntagResource", "null at 'tagKeys'", lambda k, row: k.lambda_.untag_resource(Resource=k.arn)),
    ("lambda.UntagResource", "Event source mapping", lambda k, row: k.lambda_.untag_resource(Resource=f"{k.prefix}:{ESM}", TagKeys=["a"])),
    ("lambda.UntagResource", "Function not found", lambda k, row: k.lambda_.untag_resource(Resource=f"{k.prefix}:function:{ABSENT}", TagKeys=["a"])),
    ("lambda.UpdateFunctionCode", "ImageUri",
     lambda k, row: k.lambda_.update_function_code(FunctionName=k.name, ImageUri=f"{DEFAULT_ACCOUNT}.dkr.ecr.{k.server.region}.amazonaws.com/r:latest")),
    ("lambda.UpdateFunctionCode", "Revision Id",
     lambda k, row: k.lambda_.update_function_code(FunctionName=k.name, ZipFile=package({"app.py": ECHO}), RevisionId=STALE)),
    ("lambda.UpdateFunctionConfiguration", "Value \\S+ at 'runtime'", lambda k, row: k.configure(Runtime=re.match("Value (\\S+) at", row["message"])[1])),
    ("lambda.UpdateFunctionConfiguration", "at 'layers'", lambda k, row: k.configure(Layers=[f"{k.prefix}:layer:any"])),
    ("lambda.UpdateFunctionConfiguration", "Revision Id", lambda k, row: k.configure(Timeout=5, RevisionId=STALE)),
]


def recipe(row):
    """What provokes the row's error, or None."""
    found = [provoke for operation, part, provoke in RECIPES if operation == row["operation"] and re.search(part, row["message"])]
    assert len(found) <= 1, f"{len(found)} recipes fit {row}"
    return found[0] if found else None


def reason(row):
    """Why nothing provokes the row's error, or None."""
    for (operation, part), why in WITHOUT_RECIPE.items():
        if operation == row["operation"] and part in row["message"]:
            return why
    return None


def today(row):
    """The recorded message with the constraints of today's model, which has grown since: longer patterns, more runtimes."""
    text = row["message"]
    if " at 'resource' failed" in text:
        shape = MODEL.shape_for("TaggableResource")
        return text.partition("regular expression pattern: ")[0] + "regular expression pattern: " + shape.metadata["pattern"]
    return text


def pattern(row, region):
    """The recorded message as a pattern: names of values stand for values."""
    text = today(row)
    # AWS's order of a set is its language's; which runtimes there are is checked apart.
    text = re.sub(r"enum value set: \[[^]]*\] or be", "enum value set: [<runtimes>] or be", text)
    text = text.replace(ACCOUNT_RECORDED, DEFAULT_ACCOUNT).replace("<partition>", "aws").replace("<region>", region)
    if "4KB limit" in text:
        # The recording ends within the long value.
        text = re.sub(r"x{100,}.*", "<value>", text)
    return "".join(".+?" if part.startswith("<") and part.endswith(">") else re.escape(part) for part in re.split(r"(<[^<>]+>)", text))


@pytest.fixture(scope="module")
def kitchen(server, lambda_):
    from support.functions import create

    name = create(lambda_, fresh_name("errors"))
    kitchen = Kitchen(server, name)
    roles = []

    def role():
        if not roles:
            roles.append(fresh_name("errors-role"))
            kitchen.iam.create_role(RoleName=roles[0], AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
        return roles[0]

    kitchen.role = role
    yield kitchen
    lambda_.delete_function(FunctionName=name)
    for each in roles:
        for policy in kitchen.iam.list_attached_role_policies(RoleName=each)["AttachedPolicies"]:
            kitchen.iam.detach_role_policy(RoleName=each, PolicyArn=policy["PolicyArn"])
        kitchen.iam.delete_role(RoleName=each)


def title(row):
    return f"{row['operation']}-{row['message'][:60]}"


@pytest.mark.parametrize("row", [row for row in ROWS if recipe(row)], ids=title)
def test_a_recorded_error_is_given_to_the_letter(kitchen, server, row):
    with pytest.raises(ClientError) as caught:
        recipe(row)(kitchen, row)
    response = caught.value.response
    message = response["Error"]["Message"]
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (row["code"], int(row["http_status"])), message
    assert re.fullmatch(pattern(row, server.region), message, re.DOTALL), f"\nrecorded {row['message'][:700]}\nanswered {message[:700]}"
    offered = re.search(r"enum value set: \[([^]]*)\] or be", message)
    if offered:
        before = re.search(r"enum value set: \[([^]]*)\] or be", row["message"])[1]
        assert set(before.split(", ")) <= set(offered[1].split(", ")) <= set(MODEL.shape_for("Runtime").enum)
    if row["type"]:
        assert response.get("Type") == row["type"], response


def test_every_recorded_error_has_a_recipe_or_a_reason():
    neither = [title(row) for row in ROWS if not recipe(row) and not reason(row)]
    both = [title(row) for row in ROWS if recipe(row) and reason(row)]
    assert not neither and not both, (neither, both)
    assert len(ROWS) > 60


# Constraint violations that were not recorded, by the same forms and the model's own figures.
JOINED = re.compile(r"(\d+) validation errors? detected: (.*)")


@pytest.mark.parametrize("more, parts", [
    ({"MemorySize": 64}, ["Value '64' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128"]),
    ({"Timeout": 0}, ["Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1"]),
    ({"MemorySize": 1, "Timeout": 0}, ["'memorySize'", "'timeout'"]),
    ({"Description": "d" * 257}, ["at 'description' failed to satisfy constraint: Member must have length less than or equal to 256"]),
    ({"Handler": "h" * 129}, ["at 'handler' failed to satisfy constraint: Member must have length less than or equal to 128"]),
    ({"Role": "not-an-arn"}, ["Value 'not-an-arn' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: "
                              r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"]),
    ({"PackageType": "Tar"}, ["Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: ["]),
    ({"EphemeralStorage": {"Size": 100}},
     ["Value '100' at 'ephemeralStorage.size' failed to satisfy constraint: Member must have value greater than or equal to 512"]),
    ({"TracingConfig": {"Mode": "Sometimes"}}, ["Value 'Sometimes' at 'tracingConfig.mode' failed to satisfy constraint: Member must satisfy enum value set: ["]),
    ({"Role": None}, ["Value null at 'role' failed to satisfy constraint: Member must not be null"]),
    ({"Code": None}, ["Value null at 'code' failed to satisfy constraint: Member must not be null"]),
])
def test_constraint_violations_have_awss_form(kitchen, more, parts):
    settings = {"Runtime": PYTHON, "Handler": "app.handler", "Role": ROLE, "Code": {"ZipFile": package({"app.py": ECHO})}, **more}
    with pytest.raises(ClientError) as caught:
        kitchen.lambda_.create_function(FunctionName=fresh_name(), **{key: value for key, value in settings.items() if value is not None})
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == ("ValidationException", 400), error
    found = JOINED.fullmatch(error["Error"]["Message"])
    assert found and int(found[1]) == len(parts) == len(found[2].split("; ")), error["Error"]["Message"]
    for part in parts:
        assert part in found[2]


@pytest.mark.parametrize("key", ["AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT"])
def test_reserved_environment_variables_are_refused(kitchen, key):
    with pytest.raises(ClientError) as caught:
        kitchen.create(Environment={"Variables": {key: "x"}})
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterValueException"
    assert error["Message"] == (
        "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys "
        f"that are currently not supported for modification. Reserved keys used in this request: {key}")


def test_a_request_that_is_no_json_is_a_serialization_error(server):
    from support.sigv4 import request

    status, headers, body = request(server, "POST", "/2015-03-31/functions", b"{nope", headers={"content-type": "application/json"})
    assert status == 400 and headers["x-amzn-errortype"].split(":")[0] in ("SerializationException", "InvalidRequestContentException"), body
