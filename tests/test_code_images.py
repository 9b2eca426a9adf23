"""Code images by each of the three ways of making them visible: what a function sees is the same, and nothing is left."""

import base64
import hashlib
import random
import stat

import pytest

from support import leaks
from support.clients import client
from support.functions import PROBE, create, fresh_name, invoke, run_inside
from support.waiting import until
from support.zips import Entry, archive

WAYS = ["file", "loop", "directory"]
NOISE = random.Random(20261122)
# Every size around a block, what compresses and what does not, odd names, links of all kinds, modes.
CONTENT = archive([
    Entry(b"app.py", PROBE.encode()),
    *[Entry(b"sizes/%d" % size, NOISE.randbytes(size)) for size in (0, 1, 4095, 4096, 4097, 70_000, 1 << 20)],
    Entry(b"zeros", b"\0" * 3_000_000),
    Entry(b"run me.sh", b"#!/bin/sh\necho ran \"$0\"\n", mode=stat.S_IFREG | 0o755),
    Entry(b"fixed", b"read only", mode=stat.S_IFREG | 0o444),
    Entry(b"closed", b"for its owner only", mode=stat.S_IFREG | 0o600),
    Entry(b"setuid", b"", mode=stat.S_IFREG | 0o4755),
    Entry("보자기/é/🎁 with spaces".encode(), b"unicode", flags=0x800),
    Entry(b"odd/new\nline\ttab\\backslash 'quote\" $(x) *", b"shell"),
    Entry(b"odd/\xff\xfe not utf-8", b"bytes"),
    Entry(b"odd/" + b"n" * 255, b"the longest name"),
    Entry(b"/".join([b"deep"] * 60) + b"/file", b"deep"),
    Entry(b"link", b"run me.sh", mode=stat.S_IFLNK | 0o777),
    Entry(b"odd/up", b"../fixed", mode=stat.S_IFLNK | 0o777),
    Entry(b"dangling", b"nowhere/at all", mode=stat.S_IFLNK | 0o777),
    Entry(b"empty/", method=0, mode=stat.S_IFDIR | 0o755),
    Entry(b"shut/", method=0, mode=stat.S_IFDIR | 0o700),
    Entry(b"shut/in", b"x"),
    *[Entry(b"many/%04d" % number, b"%d" % number) for number in range(2000)],
])

# All that stat and read tell of the tree: path, kind, mode, links, owner, group, size, time, content's digest or target.
LOOK = """
import base64, hashlib, os, stat
result = []
def look(path):
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        content = base64.b64encode(os.readlink(path)).decode()
    elif stat.S_ISREG(info.st_mode):
        try:
            content = hashlib.sha256(open(path, "rb").read()).hexdigest()
        except PermissionError:
            content = "refused"
    else:
        content = None
    size = None if stat.S_ISDIR(info.st_mode) else info.st_size
    owner = (info.st_uid, info.st_gid)
    result.append([base64.b64encode(path).decode(), oct(info.st_mode), owner, size, info.st_mtime_ns, content])
look(b"/var/task")
for folder, folders, files in os.walk(b"/var/task"):
    for name in folders + files:
        look(os.path.join(folder, name))
result.sort()
"""

REFUSED = """
import errno, os
result = {}
for name, work in {
    "write": lambda: open("/var/task/app.py", "a"), "make": lambda: open("/var/task/new", "w"), "unlink": lambda: os.unlink("/var/task/fixed"),
    "chmod": lambda: os.chmod("/var/task/fixed", 0o777), "rename": lambda: os.rename("/var/task/fixed", "/var/task/moved"),
    "touch": lambda: os.utime("/var/task/fixed"), "base": lambda: open("/usr/new", "w"),
}.items():
    try:
        work()
        result[name] = "done"
    except OSError as error:
        result[name] = errno.errorcode[error.errno]
"""

RUN = "import subprocess\nresult = subprocess.run(['/var/task/link'], capture_output=True, text=True).stdout"


@pytest.fixture(scope="module")
def seen():
    """What the function saw, by way."""
    return {}


def held(server):
    """Loop devices and mounts that belong to a server."""
    return leaks.loop_devices(server.data), leaks.mounts(str(server.data))


@pytest.mark.parametrize("way", WAYS)
def test_a_function_sees_its_package(new_server, seen, way):
    server = new_server("--code-images", way, "--network", "none").start()
    mine = client(server)
    name = create(mine, fresh_name(way), zip_file=CONTENT, MemorySize=512)
    assert invoke(mine, name, {"code": "result = 42"}).payload == 42
    tree = run_inside(mine, name, LOOK)
    seen[way] = tree
    by_name = {base64.b64decode(path).removeprefix(b"/var/task/"): rest for path, *rest in tree}
    assert by_name["보자기/é/🎁 with spaces".encode()][4] == hashlib.sha256(b"unicode").hexdigest()
    assert base64.b64decode(by_name[b"dangling"][4]) == b"nowhere/at all"
    assert by_name[b"odd/" + b"n" * 255][4] == hashlib.sha256(b"the longest name").hexdigest()
    assert by_name[b"odd/\xff\xfe not utf-8"][4] == hashlib.sha256(b"bytes").hexdigest()
    assert by_name[b"odd/new\nline\ttab\\backslash 'quote\" $(x) *"][4] == hashlib.sha256(b"shell").hexdigest()
    assert [by_name[file][0] for file in (b"run me.sh", b"fixed")] == ["0o100755", "0o100444"]
    assert by_name[b"closed"][4] == "refused", "as on AWS: packages need files that everybody may read"
    assert not int(by_name[b"setuid"][0], 8) & 0o6000, "no set-user-id program comes in by a package"
    assert sum(path.startswith(b"many/") for path in by_name) == 2000
    assert run_inside(mine, name, RUN) == "ran /var/task/link\n"
    assert {error for error in run_inside(mine, name, REFUSED).values()} <= {"EROFS", "EACCES", "EPERM"}
    # Each way does what it is called. (/tmp is on loop devices, too.)
    loops = leaks.loop_devices(server.data / "images")
    assert bool(loops) == (way == "loop"), loops
    assert bool(list((server.data / "images").rglob("*.tree"))) == (way == "directory")
    server.stop()
    assert held(server) == ([], [])


def test_the_three_are_the_same(seen):
    if set(seen) != set(WAYS):
        pytest.fail(f"one of the ways did not get that far: {sorted(seen)}")
    first = seen[WAYS[0]]
    assert len(first) > 2080
    for way in WAYS[1:]:
        assert [entry for entry in seen[way] if entry not in first] == []
        assert [entry for entry in first if entry not in seen[way]] == []


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_left_after_a_kill(new_server, way):
    server = new_server("--code-images", way, "--network", "none").start()
    mine = client(server)
    name = create(mine, fresh_name(way), PROBE)
    assert run_inside(mine, name, "result = 1") == 1
    server.kill()
    until(lambda: held(server) == ([], []), 20, lambda: f"mounts and loop devices went with the processes: {held(server)}")
    server.start()
    assert run_inside(mine, name, "result = 2") == 2


def test_a_data_directory_can_change_its_way(new_server):
    server = new_server("--code-images", "file", "--network", "none").start()
    mine = client(server)
    name = create(mine, fresh_name("change"), PROBE)
    server.stop()
    for way in ("loop", "directory", "file"):
        server.flags = [*server.flags[:-4], "--code-images", way, "--network", "none"]
        server.start()
        answer = invoke(mine, name, {"code": "result = 3"})
        assert (answer.error, answer.payload) == (None, 3), f"{way}: {answer.raw[:500]!r}"
        server.stop()
