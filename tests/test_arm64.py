"""A function for the other architecture, on a machine without an interpreter for its programs: refused at once, with the cure."""

import pathlib
import platform
import time

import pytest
from botocore.exceptions import ClientError

from support.functions import ECHO, succeed, wait_updated
from support.zips import package

# The interpreters that are registered in this machine's kernel.
BINFMT = pathlib.Path("/proc/sys/fs/binfmt_misc")


@pytest.fixture(scope="module")
def foreign():
    """An architecture that this machine cannot run."""
    mine = platform.machine()
    other, interpreter = ("arm64", "qemu-aarch64") if mine == "x86_64" else ("x86_64", "qemu-x86_64")
    assert not (BINFMT / interpreter).exists(), f"{interpreter} is registered here: this file is about machines where it is not"
    return other


def test_an_invocation_fails_at_once_and_names_the_cure(function, lambda_, foreign):
    name = function(ECHO, Architectures=[foreign], Timeout=60)
    assert lambda_.get_function_configuration(FunctionName=name)["Architectures"] == [foreign]
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(ClientError) as caught:
            lambda_.invoke(FunctionName=name, Payload=b"{}")
        assert time.monotonic() - started < 5
        response = caught.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] >= 500
        message = response["Error"]["Message"]
        assert foreign in message and "qemu-user-static" in message and "apt-get install" in message, message


def test_others_go_on(function, lambda_, foreign):
    blocked = function(ECHO, Architectures=[foreign])
    with pytest.raises(ClientError):
        lambda_.invoke(FunctionName=blocked, Payload=b"{}")
    assert succeed(lambda_, function(ECHO), {"a": 1}) == {"a": 1}


def test_the_function_runs_once_it_is_for_this_machine(function, lambda_, foreign):
    name = function(ECHO, Architectures=[foreign])
    with pytest.raises(ClientError):
        lambda_.invoke(FunctionName=name, Payload=b"{}")
    native = "x86_64" if foreign == "arm64" else "arm64"
    lambda_.update_function_code(FunctionName=name, ZipFile=package({"app.py": ECHO}), Architectures=[native])
    wait_updated(lambda_, name)
    assert succeed(lambda_, name, "native") == "native"
