"""Secrets at rest: sealed with a key that lies elsewhere, and sealed again with a new one."""

import sqlite3

import pytest

from support.clients import client
from support.functions import create, fresh_name, invoke, succeed, wait_updated
from support.server import run

SECRET = "canary-3f1d9a70-of-an-environment-variable"
READ = "import os\ndef handler(event, context):\n    return os.environ['SECRET']\n"


def in_the_clear(folder, *secrets):
    """Files below a folder that contain one of the secrets."""
    return [(str(path.relative_to(folder)), secret) for path in sorted(folder.rglob("*")) if path.is_file()
            for secret in secrets if secret.encode() in path.read_bytes()]


def words(server):
    """The command line that rotates a server's keys."""
    return "key", "rotate", "--data-dir", server.data, "--key-file", server.keys


def sealed_with(server):
    """The numbers of the keys with which the values in the database are sealed."""
    with sqlite3.connect(f"file:{server.data / 'metadata.sqlite'}?mode=ro", uri=True) as database:
        columns = [(table, column) for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
                   for _, column, *_ in database.execute(f"PRAGMA table_info({table})") if column.startswith("sealed")]
        values = [value for table, column in columns for (value,) in database.execute(f"SELECT {column} FROM {table}") if value is not None]
    assert len(columns) >= 3 and values
    return {int.from_bytes(value[1:5], "big") for value in values}


def test_environment_variables_are_sealed_at_rest(new_server):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name("sealed"), READ, Environment={"Variables": {"SECRET": SECRET}})
    assert succeed(mine, name) == SECRET
    mine.update_function_configuration(FunctionName=name, Environment={"Variables": {"SECRET": SECRET + "-later"}})
    wait_updated(mine, name)
    assert succeed(mine, name) == SECRET + "-later"
    # Neither while it runs, in the write-ahead log or what the sandbox was given, nor afterwards. The root key's secret was printed once.
    root = next(line.split("=")[1].strip() for line in server.log.read_text().splitlines() if "AWS_SECRET_ACCESS_KEY=" in line)
    assert in_the_clear(server.data, SECRET, root) == []
    server.stop()
    assert in_the_clear(server.data, SECRET, root) == []
    key = server.keys.read_text().split()[1]
    assert in_the_clear(server.data, key) == []
    assert server.keys.stat().st_mode & 0o777 == 0o600
    server.start()
    assert succeed(mine, name) == SECRET + "-later"


def test_rotated_keys_seal_everything_again_and_old_ones_still_open(new_server):
    server = new_server().start()
    mine = client(server)
    names = [create(mine, fresh_name("rotated"), READ, Environment={"Variables": {"SECRET": f"{SECRET}-{n}"}}, wait=n == 2) for n in range(3)]
    kept = server.keys.read_bytes()
    refused = run(*words(server), check=False)
    assert refused.returncode == 1 and refused.stderr.startswith("bojagi: ") and refused.stderr.count("\n") == 1, refused.stderr
    assert str(server.data) in refused.stderr and "in use" in refused.stderr, refused.stderr
    assert server.keys.read_bytes() == kept, "a refused rotation changes nothing"
    server.stop()
    assert sealed_with(server) == {1}
    for number in (2, 3):
        done = run(*words(server))
        assert f"Key {number} " in done.stdout, done.stdout
        assert sealed_with(server) == {number}
    lines = server.keys.read_bytes().splitlines()
    assert len(lines) == 3 and lines[0] + b"\n" == kept and server.keys.stat().st_mode & 0o777 == 0o600
    server.start()
    for number, name in enumerate(names):
        assert succeed(mine, name) == f"{SECRET}-{number}"
        assert mine.get_function_configuration(FunctionName=name)["Environment"]["Variables"]["SECRET"] == f"{SECRET}-{number}"
    server.stop()
    # The newest alone opens everything, so that an old key can be thrown away.
    newer, server.keys = server.keys, server.directory / "only-the-newest"
    server.keys.write_bytes(lines[2] + b"\n")
    server.keys.chmod(0o600)
    server.start()
    assert succeed(mine, names[0]) == f"{SECRET}-0"
    server.stop()
    server.keys = newer


def test_a_backup_from_before_a_rotation_opens_with_the_key_file_of_after_it(new_server, tmp_path):
    server = new_server().start()
    mine = client(server)
    name = create(mine, fresh_name("backup"), READ, Environment={"Variables": {"SECRET": SECRET}})
    server.stop()
    with sqlite3.connect(server.data / "metadata.sqlite") as database:
        database.execute("VACUUM INTO ?", (str(tmp_path / "backup.sqlite"),))
    run(*words(server))
    for ending in ("-wal", "-shm"):
        (server.data / f"metadata.sqlite{ending}").unlink(missing_ok=True)
    (server.data / "metadata.sqlite").write_bytes((tmp_path / "backup.sqlite").read_bytes())
    assert sealed_with(server) == {1}
    server.start()
    assert succeed(mine, name) == SECRET


@pytest.fixture
def stopped(new_server):
    """A server that has sealed something and was stopped."""
    server = new_server().start()
    create(client(server), fresh_name("locked"), READ, Environment={"Variables": {"SECRET": SECRET}})
    server.stop()
    return server


def start_or_rotate(server, command):
    arguments = server.command()[1:] if command == "up" else words(server)
    done = run(*arguments, check=False, timeout=60)
    assert done.returncode == 1 and "panicked" not in done.stderr, done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("bojagi: ") and str(server.keys) in sentence, done.stderr
    return sentence


def test_a_missing_key_file_is_a_sentence_and_no_new_one_is_made(stopped):
    kept = stopped.keys.read_bytes()
    stopped.keys.unlink()
    for command in ("up", "rotate"):
        sentence = start_or_rotate(stopped, command)
        assert "is not there" in sentence and "--key-file" in sentence, sentence
        assert not stopped.keys.exists()
    stopped.keys.write_bytes(kept)
    stopped.keys.chmod(0o600)
    stopped.start()


def test_a_wrong_key_file_is_a_sentence_and_is_left_as_it_is(stopped):
    kept = stopped.keys.read_bytes()
    wrong = b"1 " + b"A" * 43 + b"=\n"
    # Another key of the same number, and one that has not the number.
    for content in (wrong, b"7" + wrong[1:]):
        stopped.keys.write_bytes(content)
        for command in ("up", "rotate"):
            sentence = start_or_rotate(stopped, command)
            assert "do not open" in sentence and "--key-file" in sentence and str(stopped.data) in sentence, sentence
            assert stopped.keys.read_bytes() == content
    stopped.keys.write_bytes(kept)
    stopped.start()


@pytest.mark.parametrize("content, mode, what", [(b"no key\n", 0o600, "line 1"), (b"", 0o600, "line 1"), (None, 0o644, "chmod 600")])
def test_a_malformed_or_readable_key_file_is_a_sentence(stopped, content, mode, what):
    if content is not None:
        stopped.keys.write_bytes(content)
    stopped.keys.chmod(mode)
    for command in ("up", "rotate"):
        assert what in start_or_rotate(stopped, command)


def test_a_key_file_inside_the_data_directory_is_refused(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / "link").symlink_to(data)
    for file in (data / "keys", data / "deeper/keys", tmp_path / "link/keys", tmp_path / "x/../data/keys"):
        for command in (("up", "--listen", "127.0.0.1:0"), ("key", "rotate")):
            done = run(*command, "--data-dir", data, "--key-file", file, check=False, timeout=30)
            assert done.returncode == 1 and "inside the data directory" in done.stderr and "--key-file" in done.stderr, (file, done.stderr)
    assert list(data.iterdir()) == [], "nothing was made"


def test_logs_and_errors_do_not_say_secrets(new_server):
    server = new_server("--log", "debug").start()
    mine = client(server)
    name = create(mine, fresh_name("quiet"), READ.replace("'SECRET'", "'ABSENT'"), Environment={"Variables": {"SECRET": SECRET}})
    assert invoke(mine, name).error == "Unhandled"
    mine.get_function(FunctionName=name)
    assert SECRET not in server.log.read_text()
