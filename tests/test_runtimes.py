"""Real packages on real base images, each answering through AWS's own interface client."""

import json
import re
import zipfile

import pytest

from packages.build import build
from support.functions import REQUEST_ID, invoke, report, succeed
from support.zips import package


@pytest.fixture(scope="module")
def archive():
    """The bytes of a package of tests/packages, built when it is not there yet."""
    return lambda name: build(name).read_bytes()


def test_python_with_numpy_and_pandas_wheels(function, lambda_, archive):
    content = archive("python-pandas")
    assert len(content) > 20 << 20, "the wheels are in it"
    name = function(zip_file=content, Timeout=60, MemorySize=512)
    result = succeed(lambda_, name, {"values": [1, 2, 3, 10], "groups": ["a", "b", "a", "b"]})
    assert result["sums"] == {"a": 4.0, "b": 12.0} and result["mean"] == 4.0
    # 3x + y = 9, x + 2y = 8
    assert result["solved"] == [2.0, 3.0]
    assert result["numpy_file"].startswith("/var/task/numpy/")
    assert report(invoke(lambda_, name, {"values": [1], "groups": ["a"]}).log).used > 50


def test_node_with_a_native_addon(function, lambda_, archive, base_images):
    base_images("nodejs22.x")
    name = function(zip_file=archive("node-native"), Runtime="nodejs22.x", Handler="index.handler", MemorySize=256)
    result = succeed(lambda_, name, {"text": "보자기"})
    assert result["node"].startswith("v22.") and result["remaining"] is True
    # The hashes of nothing, as published with xxHash's test vectors.
    empty = succeed(lambda_, name, {"text": ""})
    assert (empty["xxh32"], empty["xxh64"]) == (0x02CC5D05, "ef46db3751d8e999")


NODE = {
    "index.js": "const { S3Client } = require('@aws-sdk/client-s3');\n"
                "exports.handler = async (event) => ({ sdk: typeof S3Client, cjs: true, path: process.env.NODE_PATH });\n",
    "module.mjs": "export const handler = async (event, context) => { console.log('said', event); console.error('wrong'); return { esm: true }; };\n",
    "callback.js": "exports.handler = (event, context, callback) => callback(null, { callback: event });\n",
    "throws.js": "exports.handler = async () => { throw new TypeError('no way'); };\n",
    "sub/deep.js": "exports.inner = { handler: async () => 'nested' };\n",
}


def test_node_modules_of_every_form(function, lambda_, base_images):
    base_images("nodejs22.x")
    content = package(NODE)
    common = {"zip_file": content, "Runtime": "nodejs22.x", "MemorySize": 256}
    result = succeed(lambda_, function(**common, Handler="index.handler"), {})
    assert (result["sdk"], result["cjs"]) == ("function", True)
    # Recorded from AWS.
    assert result["path"] == "/opt/nodejs/node22/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task"
    answer = invoke(lambda_, function(**common, Handler="module.handler"), {"a": 1})
    assert answer.payload == {"esm": True}
    assert re.search(rf"^\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z\t{REQUEST_ID}\tINFO\tsaid {{ a: 1 }}$", answer.log, re.MULTILINE), answer.log
    assert re.search(rf"\t{REQUEST_ID}\tERROR\twrong$", answer.log, re.MULTILINE)
    assert succeed(lambda_, function(**common, Handler="callback.handler"), 5) == {"callback": 5}
    assert succeed(lambda_, function(**common, Handler="sub/deep.inner.handler"), {}) == "nested"
    failed = invoke(lambda_, function(**common, Handler="throws.handler"), {})
    assert failed.error == "Unhandled" and (failed.payload["errorType"], failed.payload["errorMessage"]) == ("TypeError", "no way")
    missing = invoke(lambda_, function(**common, Handler="absent.handler"), {})
    assert missing.payload["errorType"] == "Runtime.ImportModuleError" and missing.payload["errorMessage"].startswith(
        "Error: Cannot find module 'absent'\nRequire stack:")


def test_java_built_with_maven(function, lambda_, archive, base_images):
    base_images("java21")
    name = function(zip_file=archive("java-maven"), Runtime="java21", Handler="example.Handler::handleRequest", MemorySize=512, Timeout=60)
    answer = invoke(lambda_, name, {"이름": "보자기", "n": 1})
    result = answer.payload
    assert answer.error is None, answer.raw
    assert json.loads(result["echo"]) == {"이름": "보자기", "n": 1}
    assert (result["function"], result["version"], result["java"], result["remaining"]) == (name, "$LATEST", "21", True)
    assert "java was asked\n" in answer.log


def test_java_handler_that_is_not_there(function, lambda_, archive, base_images):
    base_images("java21")
    name = function(zip_file=archive("java-maven"), Runtime="java21", Handler="example.Absent::handleRequest", MemorySize=512, Timeout=60)
    answer = invoke(lambda_, name, {})
    assert answer.error == "Unhandled"
    # AWS: Class not found: example.Absent, java.lang.ClassNotFoundException.
    assert (answer.payload["errorMessage"], answer.payload["errorType"]) == ("Class not found: example.Absent", "java.lang.ClassNotFoundException")


def test_go_with_awss_library(function, lambda_, archive, base_images, server):
    base_images("provided.al2023")
    name = function(zip_file=archive("go-custom"), Runtime="provided.al2023", Handler="my.handler")
    answer = invoke(lambda_, name, {"a": [1, 2]})
    result = answer.payload
    assert result["echo"] == {"a": [1, 2]} and result["deadline"] is True and result["request"] == answer.request_id
    assert result["arn"] == f"arn:aws:lambda:{server.region}:000000000000:function:{name}"
    # AWS_EXECUTION_ENV is absent on provided.*; _HANDLER is what was configured.
    assert result["execution_env"] is False and result["handler"] == "my.handler"


def test_rust_with_awss_library(function, lambda_, archive, base_images):
    base_images("provided.al2023")
    name = function(zip_file=archive("rust-custom"), Runtime="provided.al2023", Handler="bootstrap", MemorySize=256)
    answer = invoke(lambda_, name, {"a": "b"})
    assert answer.payload["echo"] == {"a": "b"} and answer.payload["request"] == answer.request_id and answer.payload["memory"] == 256
    failed = invoke(lambda_, name, {"fail": True})
    assert failed.error == "Unhandled" and failed.payload["errorMessage"] == "asked to fail"


def test_a_static_program_without_any_library(function, lambda_, archive, base_images):
    base_images("provided.al2023")
    name = function(zip_file=archive("static-bootstrap"), Runtime="provided.al2023", Handler="none")
    for value in (None, "text", {"k": [1]}, "x" * 1_000_000):
        assert succeed(lambda_, name, value) == value


SHELL = """#!/bin/sh
set -eu
while true; do
    headers=$(mktemp)
    event=$(curl -sS -LD "$headers" "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/next")
    id=$(grep -Fi Lambda-Runtime-Aws-Request-Id "$headers" | tr -d '[:space:]' | cut -d: -f2)
    rm -f "$headers"
    curl -sS "http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation/$id/response" -d "SUCCESS $event" > /dev/null
done
"""


def test_the_shell_runtime_of_awss_tutorial(function, lambda_, base_images):
    # "Tutorial: Building a custom runtime" needs a shell, curl, grep and cut in the image, and /tmp for mktemp.
    base_images("provided.al2023")
    name = function(zip_file=package({"bootstrap": SHELL}, {"bootstrap": 0o755}), Runtime="provided.al2023", Handler="function.handler")
    answer = invoke(lambda_, name, {"a": 1})
    assert answer.error is None and answer.raw == b'SUCCESS {"a": 1}', answer


def test_python_has_awss_sdk_and_layout(function, lambda_):
    name = function("import boto3, botocore, json, os, sys\n"
                    "def handler(e, c):\n    return [boto3.__version__, sys.executable, sorted(os.listdir('/')), os.getcwd(), sys.version_info[:2],\n"
                    "        os.path.exists('/lambda-entrypoint.sh'), os.environ['AWS_EXECUTION_ENV']]\n", MemorySize=256)
    version, executable, root, directory, python, entrypoint, execution = succeed(lambda_, name, {})
    assert re.fullmatch(r"1\.\d+\.\d+", version) and executable.startswith("/var/lang/bin/python")
    assert {"var", "opt", "tmp", "usr", "etc"} <= set(root) and directory == "/var/task"
    assert python == [3, 13] and entrypoint and execution == "AWS_Lambda_python3.13"


def test_packages_are_built_deterministically(archive):
    build_once = archive("static-bootstrap")
    with zipfile.ZipFile(build("static-bootstrap")) as opened:
        assert opened.namelist() == ["bootstrap"] and opened.infolist()[0].external_attr >> 16 & 0o111
    assert build("static-bootstrap").read_bytes() == build_once


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("runtime", ["python3.11", "python3.14", "nodejs20.x", "nodejs24.x", "java17", "provided.al2"])
def test_every_base_image_runs_its_packages(function, lambda_, archive, base_images, runtime):
    base_images(runtime)
    family = re.match("[a-z]+", runtime)[0]
    content, handler, event = {
        "python": (package({"app.py": "import boto3\ndef handler(e, c):\n    return e\n"}), "app.handler", {"text": "x"}),
        "nodejs": (archive("node-native"), "index.handler", {"text": ""}),
        "java": (archive("java-maven"), "example.Handler::handleRequest", {"text": "x"}),
        "provided": (archive("go-custom"), "any", {"text": "x"}),
    }[family]
    result = succeed(lambda_, function(zip_file=content, Runtime=runtime, Handler=handler, MemorySize=512, Timeout=60), event)
    assert result
