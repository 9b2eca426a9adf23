"""HTTPS, and what the server refuses to do in the clear."""

import http.client
import json
import socket
import ssl
import subprocess

import pytest
from botocore.exceptions import ClientError, SSLError

from support.clients import aws, client
from support.functions import ECHO, create, fresh_name, succeed
from support.server import Server, run
from support.zips import package


class Secure(Server):
    """A server that speaks HTTPS."""

    authority = None

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def request(self, method, path, body=None, headers=None, timeout=30):
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=ssl.create_default_context(cafile=self.authority))
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost from an authority of its own: the chain, its key, the authority."""
    folder = tmp_path_factory.mktemp("tls")
    authority, authority_key, request = folder / "ca.pem", folder / "ca.key", folder / "server.csr"
    chain, key = folder / "server.pem", folder / "server.key"
    elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *elliptic, "-keyout", authority_key, "-out", authority, "-days", 2, "-subj", "/CN=Test authority",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", *elliptic, "-keyout", key, "-out", request, "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", authority_key, "-CAcreateserial", "-days", 2, "-copy_extensions", "copy",
            "-out", chain)
    return chain, key, authority


@pytest.fixture(scope="module")
def secure(places, base_images, certificate):
    base_images("python3.13")
    chain, key, authority = certificate
    server = Secure(places / "secure", "--tls-cert", chain, "--tls-key", key, "--network", "none")
    server.authority = str(authority)
    try:
        yield server.start()
    finally:
        server.stop()


def test_the_cli_works_over_https(secure, monkeypatch, tmp_path):
    (tmp_path / "p.zip").write_bytes(package({"app.py": ECHO}))
    monkeypatch.setenv("AWS_CA_BUNDLE", secure.authority)
    name = fresh_name("secure")
    aws(secure, "lambda", "create-function", "--function-name", name, "--runtime", "python3.13", "--handler", "app.handler",
        "--role", "arn:aws:iam::000000000000:role/any", "--zip-file", f"fileb://{tmp_path / 'p.zip'}")
    aws(secure, "lambda", "wait", "function-active-v2", "--function-name", name)
    aws(secure, "lambda", "invoke", "--function-name", name, "--payload", '{"a": "보자기"}', tmp_path / "out")
    assert json.loads((tmp_path / "out").read_text()) == {"a": "보자기"}
    # The link to the package is of this server, too, so that what follows it stays with HTTPS.
    location = aws(secure, "lambda", "get-function", "--function-name", name)["Code"]["Location"]
    assert location.startswith(secure.url + "/"), location
    status, _, body = secure.request("GET", location.removeprefix(secure.url))
    assert status == 200 and body == (tmp_path / "p.zip").read_bytes()


def test_a_client_that_does_not_trust_the_authority_sends_nothing(secure):
    with pytest.raises(SSLError):
        client(secure).list_functions()


def test_plain_http_gets_no_answer_on_the_tls_port(secure):
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain:
        plain.sendall(b"GET /_bojagi/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200" not in plain.recv(1000)
    assert secure.request("GET", "/_bojagi/health")[0] == 200


@pytest.mark.parametrize("protocol", ["h2", "http/1.1"])
def test_both_versions_of_http_are_offered(secure, protocol):
    context = ssl.create_default_context(cafile=secure.authority)
    context.set_alpn_protocols([protocol])
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain, context.wrap_socket(plain, server_hostname="localhost") as wrapped:
        assert wrapped.selected_alpn_protocol() == protocol
        assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_old_versions_of_tls_are_refused(secure):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(secure.authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_functions_reach_the_server_without_knowing_of_tls(secure, monkeypatch):
    # Inside a sandbox the server is at its link-local address, in the clear: nobody else is on that wire.
    monkeypatch.setenv("AWS_CA_BUNDLE", secure.authority)
    mine = client(secure)
    name = create(mine, fresh_name(), "import boto3\ndef handler(e, c):\n    return boto3.client('sts').get_caller_identity()['Account']\n")
    assert succeed(mine, name) == "000000000000"


# ---- what is wrong with the files -------------------------------------------------------------------------------------------------------


def refusal(tmp_path, *flags):
    """What a server that does not start says last."""
    done = run("up", "--data-dir", tmp_path / "data", "--key-file", tmp_path / "keys", *flags, check=False, timeout=30)
    assert done.returncode != 0 and "panicked" not in done.stderr, done.stderr
    return done.stderr


def test_files_that_cannot_be_used_are_a_sentence(tmp_path, certificate):
    chain, key, authority = certificate
    local = ["--listen", "127.0.0.1:0"]
    (tmp_path / "empty.pem").write_text("")
    absent = tmp_path / "absent.pem"
    assert str(absent) in refusal(tmp_path, *local, "--tls-cert", absent, "--tls-key", key)
    assert str(absent) in refusal(tmp_path, *local, "--tls-cert", chain, "--tls-key", absent)
    assert "contains no certificate" in refusal(tmp_path, *local, "--tls-cert", tmp_path / "empty.pem", "--tls-key", key)
    assert "cannot be used with the key" in refusal(tmp_path, *local, "--tls-cert", authority, "--tls-key", key)
    assert "--tls-key" in refusal(tmp_path, *local, "--tls-cert", chain)
    assert "--tls-cert" in refusal(tmp_path, *local, "--tls-key", key)


# ---- addresses that others reach --------------------------------------------------------------------------------------------------------


def test_in_the_clear_only_this_machine_is_served(tmp_path):
    for address in ("0.0.0.0:0", "[::]:0"):
        text = refusal(tmp_path, "--listen", address)
        assert address in text and all(flag in text for flag in ("--tls-cert", "--tls-key", "--insecure-http")), text
    text = refusal(tmp_path, "--listen", "0.0.0.0:0", "--insecure-http", "--development-keys")
    assert "--development-keys" in text and "loopback" in text, text


class Open(Server):
    """A server on all addresses of this machine."""

    def command(self):
        command = super().command()
        command[command.index("--listen") + 1] = f"0.0.0.0:{self.port}"
        return command


@pytest.mark.parametrize("how", ["--insecure-http", "tls"])
def test_on_other_addresses_everybodys_key_is_refused(places, base_images, certificate, how, monkeypatch):
    base_images("python3.13")
    chain, key, authority = certificate
    kind = type("OpenSecure", (Open, Secure), {}) if how == "tls" else Open
    server = kind(places / fresh_name("open"), "--network", "none", *(["--tls-cert", chain, "--tls-key", key] if how == "tls" else ["--insecure-http"]))
    server.authority = str(authority)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
    server.start()
    try:
        for known in ("test", "111111111111"):
            with pytest.raises(ClientError) as caught:
                client(server, key=known).list_functions()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
            assert caught.value.response["Error"]["Code"] == "UnrecognizedClientException", caught.value.response
        status, _, body = server.request("POST", "/_bojagi/reset", headers={"x-bojagi-reset": "1"})
        assert status == 403 and b"development" in body, body
        # The root key, which was printed once, is what opens it.
        printed = dict(line.strip().split("=", 1) for line in server.log.read_text().splitlines() if line.strip().startswith("AWS_"))
        mine = client(server, key=printed["AWS_ACCESS_KEY_ID"], secret=printed["AWS_SECRET_ACCESS_KEY"])
        assert succeed(mine, create(mine, fresh_name(), ECHO), 7) == 7
    finally:
        server.stop()
