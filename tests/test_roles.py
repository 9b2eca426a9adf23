"""IAM roles: records that tools make before they make a function."""

import datetime
import json
import re

import pytest
from botocore.exceptions import ClientError

from support.clients import aws, client
from support.functions import fresh_name

TRUST = {"Version": "2012-10-17",
         "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
INLINE = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


def fails(call, code, status):
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), response
    return response["Error"]["Message"]


@pytest.fixture
def role(iam):
    made = []

    def make(**more):
        made.append(fresh_name("role"))
        return iam.create_role(RoleName=made[-1], AssumeRolePolicyDocument=json.dumps(TRUST), **more)["Role"]

    yield make
    for name in made:
        try:
            for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
                iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
            iam.delete_role(RoleName=name)
        except iam.exceptions.NoSuchEntityException:
            pass


def test_create_and_get_answer_as_aws_does(role, iam):
    made = role(Description="Größe", Path="/service-role/", MaxSessionDuration=7200, Tags=[{"Key": "k", "Value": "v"}])
    assert made["Path"] == "/service-role/"
    assert made["Arn"] == f"arn:aws:iam::000000000000:role/service-role/{made['RoleName']}"
    # "IAM identifiers": unique ids of roles begin with AROA.
    assert re.fullmatch(r"AROA[A-Z0-9]{17}", made["RoleId"])
    assert abs((datetime.datetime.now(datetime.timezone.utc) - made["CreateDate"]).total_seconds()) < 60
    assert made["AssumeRolePolicyDocument"] == TRUST
    got = iam.get_role(RoleName=made["RoleName"])["Role"]
    assert {key: got[key] for key in ("RoleName", "Arn", "RoleId", "CreateDate", "AssumeRolePolicyDocument", "Path")} == {
        key: made[key] for key in ("RoleName", "Arn", "RoleId", "CreateDate", "AssumeRolePolicyDocument", "Path")}
    assert (got["Description"], got["MaxSessionDuration"], got["Tags"]) == ("Größe", 7200, [{"Key": "k", "Value": "v"}])


def test_defaults(role, iam):
    made = role()
    assert made["Path"] == "/" and made["Arn"] == f"arn:aws:iam::000000000000:role/{made['RoleName']}"
    assert iam.get_role(RoleName=made["RoleName"])["Role"]["MaxSessionDuration"] == 3600


def test_managed_policies_are_attached_listed_and_detached(role, iam):
    name = role()["RoleName"]
    for _ in range(2):
        iam.attach_role_policy(RoleName=name, PolicyArn=BASIC)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == [
        {"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert fails(lambda: iam.delete_role(RoleName=name), "DeleteConflict", 409) == (
        "Cannot delete entity, must detach all policies first.")
    iam.detach_role_policy(RoleName=name, PolicyArn=BASIC)
    assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
    fails(lambda: iam.detach_role_policy(RoleName=name, PolicyArn=BASIC), "NoSuchEntity", 404)
    iam.delete_role(RoleName=name)
    assert fails(lambda: iam.get_role(RoleName=name), "NoSuchEntity", 404) == f"The role with name {name} cannot be found."


def test_inline_policies_are_put_read_listed_and_deleted(role, iam):
    name = role()["RoleName"]
    iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=json.dumps(INLINE))
    got = iam.get_role_policy(RoleName=name, PolicyName="inline")
    assert (got["RoleName"], got["PolicyName"], got["PolicyDocument"]) == (name, "inline", INLINE)
    assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["inline"]
    assert fails(lambda: iam.delete_role(RoleName=name), "DeleteConflict", 409) == (
        "Cannot delete entity, must delete policies first.")
    iam.delete_role_policy(RoleName=name, PolicyName="inline")
    assert fails(lambda: iam.get_role_policy(RoleName=name, PolicyName="inline"), "NoSuchEntity", 404) == (
        "The role policy with name inline cannot be found.")


def test_roles_are_listed_in_pages_and_by_path(server):
    mine = client(server, "iam", key="444444444444")
    assert mine.list_roles()["Roles"] == []
    names = sorted(fresh_name("listed") for _ in range(5))
    for number, name in enumerate(names):
        mine.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), Path="/odd/" if number % 2 else "/")
    page = mine.list_roles(MaxItems=2)
    assert page["IsTruncated"] and page["Marker"] and len(page["Roles"]) == 2
    everything = [each["RoleName"] for part in mine.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2})
                  for each in part["Roles"]]
    assert sorted(everything) == names
    assert sorted(each["RoleName"] for each in mine.list_roles(PathPrefix="/odd/")["Roles"]) == [names[1], names[3]]
    for name in names:
        mine.delete_role(RoleName=name)


def test_errors_are_iams_own(role, iam):
    name = role()["RoleName"]
    assert fails(lambda: iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)), "EntityAlreadyExists", 409) == (
        f"Role with name {name} already exists.")
    for call in (lambda: iam.get_role(RoleName="absent"), lambda: iam.delete_role(RoleName="absent"),
                 lambda: iam.attach_role_policy(RoleName="absent", PolicyArn=BASIC),
                 lambda: iam.put_role_policy(RoleName="absent", PolicyName="p", PolicyDocument=json.dumps(INLINE)),
                 lambda: iam.list_attached_role_policies(RoleName="absent"), lambda: iam.list_role_policies(RoleName="absent")):
        assert fails(call, "NoSuchEntity", 404) == "The role with name absent cannot be found."
    for broken in ("no json", "{", "[1, 2"):
        fails(lambda: iam.create_role(RoleName=fresh_name(), AssumeRolePolicyDocument=broken), "MalformedPolicyDocument", 400)


def test_the_cli_does_what_tools_do_first(server):
    name = fresh_name("cli-role")
    made = aws(server, "iam", "create-role", "--role-name", name, "--assume-role-policy-document", json.dumps(TRUST))
    assert made["Role"]["AssumeRolePolicyDocument"] == TRUST
    aws(server, "iam", "attach-role-policy", "--role-name", name, "--policy-arn", BASIC)
    aws(server, "iam", "wait", "role-exists", "--role-name", name)
    assert name in [each["RoleName"] for each in aws(server, "iam", "list-roles")["Roles"]]
    aws(server, "iam", "detach-role-policy", "--role-name", name, "--policy-arn", BASIC)
    aws(server, "iam", "delete-role", "--role-name", name)
