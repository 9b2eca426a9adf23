"""Tags of functions."""

import pytest
from botocore.exceptions import ClientError


def arn_of(lambda_, name):
    return lambda_.get_function_configuration(FunctionName=name)["FunctionArn"]


def fails(call, code, status):
    with pytest.raises(ClientError) as caught:
        call()
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), response
    return response["Error"]["Message"]


def test_tags_are_set_changed_listed_and_removed(function, lambda_):
    name = function(Tags={"one": "1", "two": "", "한글": "값 with spaces =+-_.:/@"})
    arn = arn_of(lambda_, name)
    assert lambda_.list_tags(Resource=arn)["Tags"] == {"one": "1", "two": "", "한글": "값 with spaces =+-_.:/@"}
    response = lambda_.tag_resource(Resource=arn, Tags={"one": "uno", "three": "3"})
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    response = lambda_.untag_resource(Resource=arn, TagKeys=["two", "한글", "was never there"])
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert lambda_.list_tags(Resource=arn)["Tags"] == {"one": "uno", "three": "3"}
    assert lambda_.get_function(FunctionName=name)["Tags"] == {"one": "uno", "three": "3"}
    lambda_.untag_resource(Resource=arn, TagKeys=["one", "three"])
    assert lambda_.list_tags(Resource=arn)["Tags"] == {}
    assert "Tags" not in lambda_.get_function(FunctionName=name)


def test_tags_do_not_change_the_revision(function, lambda_):
    name = function()
    before = lambda_.get_function_configuration(FunctionName=name)
    lambda_.tag_resource(Resource=before["FunctionArn"], Tags={"a": "b"})
    after = lambda_.get_function_configuration(FunctionName=name)
    assert (after["RevisionId"], after["LastModified"]) == (before["RevisionId"], before["LastModified"])


def test_fifty_tags_are_the_most(function, lambda_):
    name = function(Tags={f"k{number}": "v" for number in range(50)})
    arn = arn_of(lambda_, name)
    message = fails(lambda: lambda_.tag_resource(Resource=arn, Tags={"one-more": "v"}), "InvalidParameterValueException", 400)
    assert message == "Number of tags exceeds resource tag limit."
    lambda_.tag_resource(Resource=arn, Tags={"k0": "changed"})
    assert len(lambda_.list_tags(Resource=arn)["Tags"]) == 50


def test_tags_die_with_their_function(function, lambda_):
    name = function(Tags={"old": "yes"})
    lambda_.delete_function(FunctionName=name)
    again = function(name=name)
    assert lambda_.list_tags(Resource=arn_of(lambda_, again))["Tags"] == {}


def test_only_functions_have_tags_and_not_their_versions(function, lambda_):
    arn = arn_of(lambda_, function())
    for call in (lambda: lambda_.list_tags(Resource=f"{arn}:$LATEST"), lambda: lambda_.tag_resource(Resource=f"{arn}:alias", Tags={"a": "b"})):
        assert fails(call, "InvalidParameterValueException", 400) == (
            "Tags on function aliases and versions are not supported. Please specify a function ARN.")


@pytest.mark.parametrize("operation", ["list_tags", "tag_resource", "untag_resource"])
def test_a_function_that_does_not_exist_has_no_tags(lambda_, server, operation):
    arn = f"arn:aws:lambda:{server.region}:000000000000:function:doesnotexist"
    more = {"list_tags": {}, "tag_resource": {"Tags": {"a": "b"}}, "untag_resource": {"TagKeys": ["a"]}}[operation]
    assert fails(lambda: getattr(lambda_, operation)(Resource=arn, **more), "ResourceNotFoundException", 404) == f"Function not found: {arn}"
