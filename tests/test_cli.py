"""The binary's own command line: help, version, completions, configuration, refusals in sentences, reset."""

import json
import re
import socket
import ssl
import subprocess
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config

from support.clients import client
from support.functions import PYTHON, create, fresh_name, succeed
from support.server import BASE_IMAGES, BINARY, Server, clean_environment, free_port, run

COMMANDS = [[], ["up"], ["base-image"], ["base-image", "build"], ["base-image", "list"], ["base-image", "requirements"], ["reset"], ["key"],
            ["key", "rotate"], ["completions"]]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "bojagi")
def test_help_at_every_level(command):
    done = run(*command, "--help")
    assert f"Usage: {' '.join(['bojagi', *command])}" in done.stdout and done.stderr == ""
    assert len(done.stdout.splitlines()[0]) > 10


def test_help_names_every_command():
    listed = run("--help").stdout
    for command in {words[0] for words in COMMANDS if words}:
        assert re.search(rf"^  {command}\s+\S", listed, re.MULTILINE), command


def test_version():
    for words in (["--version"], ["-V"]):
        assert re.fullmatch(r"bojagi \d+\.\d+\.\d+\S*\n", run(*words).stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "elvish", "powershell"])
def test_completions(shell, tmp_path):
    script = run("completions", shell).stdout
    assert "base-image" in script and "data-dir" in script
    if shell == "bash":
        file = tmp_path / "bojagi.bash"
        file.write_text(script)
        assert subprocess.run(["bash", "-n", file]).returncode == 0


@pytest.mark.parametrize("words, hint", [(["upp"], "up"), (["up", "--data-dirr", "x"], "--data-dir"), (["up", "--network", "bridge"], "none"),
                                         (["base-image", "bild"], "build"), (["up", "--limit", "unziped-bytes=1"], "unzipped-bytes"),
                                         (["up", "--listen", "nowhere"], "--listen")])
def test_a_wrong_word_is_refused_with_a_suggestion(words, hint, tmp_path):
    done = run(*words, check=False, env=clean_environment(HOME=str(tmp_path), BOJAGI_DATA_DIR=str(tmp_path / "d"), BOJAGI_KEY_FILE=str(tmp_path / "k"),
                                                          **({} if "--listen" in words else {"BOJAGI_LISTEN": f"127.0.0.1:{free_port()}"})))
    assert done.returncode != 0 and hint in done.stderr and "panicked" not in done.stderr


def test_an_unknown_key_of_the_configuration_file_is_refused_with_a_suggestion(tmp_path):
    file = tmp_path / "bojagi.toml"
    file.write_text('regoin = "eu-central-1"\n')
    done = run("up", "--config", file, check=False)
    assert done.returncode != 0
    assert "unknown key `regoin`" in done.stderr and "did you mean `region`?" in done.stderr and str(file) in done.stderr


def test_file_environment_and_flags_have_the_same_names(new_server, tmp_path):
    file = tmp_path / "bojagi.toml"
    file.write_text('idle-timeout = 77\nlimit = ["concurrent-executions=7"]\n')
    server = new_server("--config", file).start()
    assert client(server).get_account_settings()["AccountLimit"]["ConcurrentExecutions"] == 7


def test_a_port_in_use_is_a_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("up", "--listen", f"127.0.0.1:{port}", "--data-dir", tmp_path / "d", "--key-file", tmp_path / "k", check=False, timeout=60)
    assert done.returncode != 0
    assert str(port) in done.stderr and "in use" in done.stderr and "--listen" in done.stderr and "panicked" not in done.stderr


def test_a_second_server_on_the_same_data_directory_is_refused(server):
    done = run("up", "--listen", f"127.0.0.1:{free_port()}", "--data-dir", server.data, "--key-file", server.keys, "--base-image-dir", BASE_IMAGES,
               check=False, timeout=60)
    assert done.returncode != 0
    assert str(server.data) in done.stderr and re.search("in use|another|already", done.stderr) and "panicked" not in done.stderr
    assert server.request("GET", "/_bojagi/health")[0] == 200


def test_a_key_file_inside_the_data_directory_is_refused(tmp_path):
    done = run("up", "--data-dir", tmp_path, "--key-file", tmp_path / "keys", "--listen", f"127.0.0.1:{free_port()}", check=False)
    assert done.returncode != 0 and "--key-file" in done.stderr


def test_a_lost_key_file_is_a_sentence_and_not_a_new_key(new_server):
    server = new_server().start()
    create(client(server), fresh_name(), Environment={"Variables": {"ONE": "b"}})
    server.stop()
    kept = server.keys.read_bytes()
    server.keys.unlink()
    done = run(*server.command()[1:], check=False, timeout=60)
    assert done.returncode != 0 and str(server.keys) in done.stderr, done.stderr
    server.keys.write_bytes(kept)
    server.keys.chmod(0o600)
    server.start()
    assert client(server).list_functions()["Functions"][0]["Environment"]["Variables"] == {"ONE": "b"}


def test_keys_are_rotated(new_server):
    server = new_server().start()
    name = create(client(server), fresh_name(), "import os\ndef handler(e, c):\n    return os.environ['ONE']\n", Environment={"Variables": {"ONE": "sealed"}})
    words = ("key", "rotate", "--data-dir", server.data, "--key-file", server.keys)
    refused = run(*words, check=False)
    assert refused.returncode != 0 and "panicked" not in refused.stderr, "not while the server runs"
    server.stop()
    before = server.keys.read_bytes()
    run(*words)
    assert server.keys.read_bytes() != before
    server.start()
    assert succeed(client(server), name) == "sealed"


@pytest.mark.parametrize("flags", [["--listen", "0.0.0.0:0"], ["--listen", "0.0.0.0:0", "--insecure-http", "--development-keys", "true"]])
def test_a_listener_that_is_not_loopback_is_refused_without_tls_or_with_development_keys(flags, tmp_path):
    done = run("up", *flags, "--data-dir", tmp_path / "d", "--key-file", tmp_path / "k", check=False, timeout=60)
    assert done.returncode != 0
    wanted = "development" if "--insecure-http" in flags else "--tls-cert"
    assert wanted in done.stderr, done.stderr


def test_https(new_server, tmp_path):
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert,
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)

    class Secure(Server):
        @property
        def url(self):
            return f"https://127.0.0.1:{self.port}"

        def _ready(self):
            if self.process.poll() is not None:
                raise AssertionError(self.tail())
            try:
                with urllib.request.urlopen(f"{self.url}/_bojagi/health", context=ssl.create_default_context(cafile=cert)) as answer:
                    return answer.status == 200
            except OSError:
                return False

    server = new_server("--tls-cert", cert, "--tls-key", key)
    server.__class__ = Secure
    server.start()
    sts = boto3.client("sts", endpoint_url=server.url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1", verify=str(cert),
                       config=Config(retries={"total_max_attempts": 1}))
    assert sts.get_caller_identity()["Account"] == "000000000000"


def test_base_images_are_listed(server, base_images):
    base_images(PYTHON)
    words = ("base-image", "list", "--data-dir", server.data, "--base-image-dir", BASE_IMAGES, "--key-file", server.keys)
    text = run(*words).stdout
    assert re.search(rf"^{re.escape(PYTHON)}\b.*\d", text, re.MULTILINE), text
    listed = json.loads(run(*words, "--json").stdout)
    assert PYTHON in json.dumps(listed)
    done = run("base-image", "build", "cobol7.x", "--data-dir", server.data, "--base-image-dir", BASE_IMAGES, "--key-file", server.keys, check=False)
    assert done.returncode != 0 and "cobol7.x" in done.stderr


def test_reset_wipes_a_development_server_in_under_a_second(new_server):
    server = new_server().start()
    mine = client(server)
    for _ in range(5):
        create(mine, fresh_name())
    name = create(mine, fresh_name(), "def handler(e, c):\n    return 1\n")
    assert succeed(mine, name) == 1
    client(server, "iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    began = time.monotonic()
    run("reset", "--listen", f"127.0.0.1:{server.port}")
    assert time.monotonic() - began < 1, "people reset between tests"
    assert mine.list_functions()["Functions"] == [] and client(server, "iam").list_roles()["Roles"] == []
    again = create(mine, name, "def handler(e, c):\n    return 2\n")
    assert succeed(mine, again) == 2


def test_reset_needs_what_a_web_page_cannot_send(new_server):
    server = new_server().start()
    mine = client(server)
    create(mine, fresh_name(), wait=False)
    for method, headers in (("POST", {}), ("GET", {}), ("POST", {"content-type": "text/plain"}), ("POST", {"origin": "http://evil.example"})):
        status, _, _ = server.request(method, "/_bojagi/reset", headers=headers)
        assert 400 <= status < 500, (method, headers, status)
    assert len(mine.list_functions()["Functions"]) == 1


def test_reset_is_refused_without_development_keys(new_server):
    server = new_server("--development-keys", "false").start()
    done = run("reset", "--listen", f"127.0.0.1:{server.port}", check=False)
    assert done.returncode != 0 and "development" in done.stderr, done.stderr


def test_reset_of_no_server_is_a_sentence():
    done = run("reset", "--listen", f"127.0.0.1:{free_port()}", check=False)
    assert done.returncode != 0 and "panicked" not in done.stderr and len(done.stderr) > 20


def test_structured_logs(new_server):
    server = new_server("--log-format", "json").start()
    mine = client(server)
    name = create(mine, fresh_name())
    with pytest.raises(Exception):
        mine.get_function(FunctionName="absent")
    succeed(mine, name, {})
    server.stop()
    lines = [line for line in server.log.read_text().splitlines() if line.startswith("{")]
    assert lines and all(isinstance(json.loads(line), dict) for line in lines)


def test_no_arguments_say_how_to_go_on():
    done = subprocess.run([BINARY], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "Usage: bojagi" in done.stderr
