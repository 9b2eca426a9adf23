"""Deployment packages: odd archives that are legitimate, and hostile ones that end in AWS's error and leave nothing."""

import base64
import io
import random
import stat
import struct
import subprocess
import urllib.request
import zipfile
import zlib

import pytest
from botocore.exceptions import ClientError

from support.clients import client
from support.functions import ECHO, PROBE, create, fresh_name, run_inside
from support.zips import Entry, archive, package

APP = Entry(b"app.py", PROBE.encode())
UNZIP = "Could not unzip uploaded file. Please check your file, then try to upload again."
EMPTY = "Uploaded file must be a non-empty zip"
UNZIPPED = "Unzipped size must be smaller than 262144000 bytes"
ZIPPED = "Zipped size must be smaller than 52428800 bytes"

# Answers with the tree under /var/task: path → (kind, mode, content or target).
TREE = """
import base64, os, stat
result = {}
for folder, folders, files in os.walk(b"/var/task"):
    for name in folders + files:
        path = os.path.join(folder, name)
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            entry = ["link", 0, base64.b64encode(os.readlink(path)).decode()]
        elif stat.S_ISDIR(info.st_mode):
            entry = ["folder", info.st_mode & 0o7777, ""]
        else:
            entry = ["file", info.st_mode & 0o7777, base64.b64encode(open(path, "rb").read()).decode()]
        result[base64.b64encode(path[len(b"/var/task/"):]).decode()] = entry
"""


def tree(lambda_, name):
    """What the function finds at /var/task: path → (kind, mode, content or target)."""
    found = run_inside(lambda_, name, TREE)
    return {base64.b64decode(path): (kind, mode, base64.b64decode(content)) for path, (kind, mode, content) in found.items()}


def files(found):
    return {path: content for path, (kind, _, content) in found.items() if kind == "file"}


def test_modes_links_and_empty_folders_are_kept(function, lambda_):
    content = archive([
        APP,
        Entry(b"bin/tool", b"#!/bin/sh\n", mode=stat.S_IFREG | 0o755),
        Entry(b"fixed.txt", b"s", mode=stat.S_IFREG | 0o444),
        Entry(b"link", b"bin/tool", mode=stat.S_IFLNK | 0o777),
        Entry(b"deep/up", b"../bin", mode=stat.S_IFLNK | 0o777),
        Entry(b"empty/", method=0, mode=stat.S_IFDIR | 0o755),
        Entry(b"closed/", method=0, mode=stat.S_IFDIR | 0o600),
        Entry(b"closed/file", b"x"),
        Entry(b"zero", b"", method=0),
    ])
    found = tree(lambda_, function(zip_file=content))
    assert found[b"bin/tool"] == ("file", 0o755, b"#!/bin/sh\n")
    assert found[b"link"] == ("link", 0, b"bin/tool") and found[b"deep/up"] == ("link", 0, b"../bin")
    assert found[b"empty"][:2] == ("folder", 0o755) and found[b"zero"] == ("file", 0o644, b"")
    # "Lambda … 755": folders it could not enter are opened.
    assert found[b"closed"][:2] == ("folder", 0o755) and found[b"closed/file"][2] == b"x"
    assert found[b"fixed.txt"] == ("file", 0o444, b"s")


def test_the_tree_is_the_one_that_unzip_gives(function, lambda_, tmp_path):
    seed = random.Random(20261122)
    entries = {"app.py": PROBE}
    for number in range(300):
        folder = "/".join(seed.choice(["a", "b", "c d", "é", "보자기"]) for _ in range(seed.randrange(4)))
        size = seed.choice([0, 1, 10, 4095, 4096, 4097, 70_000])
        body = seed.randbytes(size) if seed.random() < 0.5 else b"text " * (size // 5)
        entries[f"{folder}/f{number}" if folder else f"f{number}"] = body
    content = package(entries)
    (tmp_path / "p.zip").write_bytes(content)
    subprocess.run(["unzip", "-q", tmp_path / "p.zip", "-d", tmp_path / "out"], check=True)
    expected = {str(path.relative_to(tmp_path / "out")).encode(): path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    name = function(zip_file=content, MemorySize=1024)
    assert files(tree(lambda_, name)) == expected


LEGITIMATE = {
    "data descriptors": archive([Entry(b"app.py", PROBE.encode(), descriptor=True), Entry(b"d", b"descriptor", descriptor=True)]),
    "stored entries": archive([Entry(b"app.py", PROBE.encode(), method=0), Entry(b"d", b"descriptor", method=0)]),
    "zip64 entries": archive([Entry(b"app.py", PROBE.encode(), zip64=True), Entry(b"d", b"descriptor", zip64=True)]),
    "zip64 end record": archive([APP, Entry(b"d", b"descriptor")], zip64=True),
    "zip64 everywhere, with descriptors": archive([Entry(b"app.py", PROBE.encode(), zip64=True, descriptor=True), Entry(b"d", b"descriptor", zip64=True)],
                                                  zip64=True),
    "comments and extra fields": archive([Entry(b"app.py", PROBE.encode(), comment=b"entry comment", extra=struct.pack("<HH4s", 0x7855, 4, b"abcd")),
                                          Entry(b"d", b"descriptor")], comment=b"archive comment " * 100),
    "a self-extracting prefix": archive([APP, Entry(b"d", b"descriptor")], prefix=b"#!/bin/sh\nexit 1\n"),
    "a leading ./": archive([Entry(b"./app.py", PROBE.encode()), Entry(b"./d", b"descriptor")]),
    "made on Windows (no Unix modes)": archive([Entry(b"app.py", PROBE.encode(), creator=0, mode=0), Entry(b"d", b"descriptor", creator=0, mode=0)]),
    "UTF-8 names": archive([APP, Entry(b"d", b"descriptor"), Entry("보자기/파일.txt".encode(), b"k", flags=0x800)]),
    "names that are no UTF-8": archive([APP, Entry(b"d", b"descriptor"), Entry(b"\x82\xff\xfe.txt", b"raw")]),
    "a backslash in a name": archive([APP, Entry(b"d", b"descriptor"), Entry(b"dir\\file", b"literal")]),
    "a long name": archive([APP, Entry(b"d", b"descriptor"), Entry(b"n" * 255, b"long")]),
    "parents that are not listed": archive([APP, Entry(b"d", b"descriptor"), Entry(b"a/b/c/d/e/f", b"deep")]),
    "folders after their files": archive([APP, Entry(b"d", b"descriptor"), Entry(b"q/r", b"1"), Entry(b"q/", method=0, mode=stat.S_IFDIR | 0o755)]),
}


@pytest.mark.parametrize("case", LEGITIMATE)
def test_odd_but_legitimate(function, lambda_, case):
    content = LEGITIMATE[case]
    name = function(zip_file=content)
    found = tree(lambda_, name)
    assert found[b"app.py"][2] == PROBE.encode() and found[b"d"][2] == b"descriptor"
    assert all(mode & 0o444 for _, mode, _ in found.values() if mode)
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        expected = {info.filename: opened.read(info) for info in opened.infolist() if not info.is_dir()}
    assert len(files(found)) == len(expected) and sorted(files(found).values()) == sorted(expected.values())
    with urllib.request.urlopen(lambda_.get_function(FunctionName=name)["Code"]["Location"]) as answer:
        assert answer.read() == content


def test_a_package_from_the_zip_command_works(function, lambda_, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "app.py").write_text(PROBE)
    (tmp_path / "sub/run.sh").write_text("#!/bin/sh\necho ran\n")
    (tmp_path / "sub/run.sh").chmod(0o755)
    (tmp_path / "alias").symlink_to("sub/run.sh")
    subprocess.run(["zip", "-q", "-r", "-y", "p.zip", "app.py", "sub", "alias"], cwd=tmp_path, check=True)
    name = function(zip_file=(tmp_path / "p.zip").read_bytes())
    code = "import subprocess\nresult = subprocess.run(['/var/task/alias'], capture_output=True, text=True).stdout"
    assert run_inside(lambda_, name, code) == "ran\n"


def hostile():
    """Archives that must end in AWS's error: name → (bytes, message)."""
    link = Entry(b"link", b"/etc", mode=stat.S_IFLNK | 0o777)
    up = Entry(b"up", b"../../../etc", mode=stat.S_IFLNK | 0o777)
    good = archive([APP])
    zeros = b"\0" * (300 << 20)
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = engine.compress(zeros) + engine.flush()
    bomb = Entry(b"zeros", b"", packed=packed, size=len(zeros), crc=zlib.crc32(zeros))
    liar = Entry(b"zeros", b"", packed=packed, size=1000, crc=zlib.crc32(zeros))
    del zeros
    return {
        "not an archive": (b"this is no archive", UNZIP),
        "empty": (b"", None),
        "only an end record": (archive([]), EMPTY),
        "truncated in the directory": (good[:-30], UNZIP),
        "truncated in the data": (good[: len(good) // 2], UNZIP),
        "its first bytes cut off": (good[20:], UNZIP),
        "garbage in the data": (good[:60] + b"\xff" * 40 + good[100:], UNZIP),
        "a wrong CRC": (archive([APP, Entry(b"x", b"content", crc=1)]), UNZIP),
        "a size larger than the content": (archive([APP, Entry(b"x", b"content", size=5000)]), UNZIP),
        "a size smaller than the content": (archive([APP, Entry(b"x", b"content" * 100, size=5)]), UNZIP),
        "a packed size that runs past the end": (archive([APP, Entry(b"x", b"content", packed_size=1 << 30)]), UNZIP),
        "an offset past the end": (archive([APP, Entry(b"x", b"content", offset=1 << 30, omit_data=True)]), UNZIP),
        "more entries claimed than there are": (archive([APP], count=500), UNZIP),
        "a directory past the end": (archive([APP], directory_offset=1 << 30), UNZIP),
        "an end record that claims four thousand million entries": (archive([APP], count=0xFFFF_FFFF, zip64=True), UNZIP),
        "a name that climbs out": (archive([APP, Entry(b"../evil", b"x")]), UNZIP),
        "a name that climbs out later": (archive([APP, Entry(b"a/../../evil", b"x")]), UNZIP),
        "an absolute name": (archive([APP, Entry(b"/etc/evil", b"x")]), UNZIP),
        "an empty name": (archive([APP, Entry(b"", b"x")]), UNZIP),
        "a name with a NUL": (archive([APP, Entry(b"a\0b", b"x")]), UNZIP),
        "a name too long for a file system": (archive([APP, Entry(b"n" * 300, b"x")]), UNZIP),
        "a write through a link": (archive([APP, link, Entry(b"link/evil", b"x")]), UNZIP),
        "a write through a relative link": (archive([APP, up, Entry(b"up/evil", b"x")]), UNZIP),
        "a device": (archive([APP, Entry(b"dev", b"", mode=stat.S_IFCHR | 0o666)]), UNZIP),
        "a pipe": (archive([APP, Entry(b"pipe", b"", mode=stat.S_IFIFO | 0o666)]), UNZIP),
        "one name twice": (archive([APP, Entry(b"x", b"1"), Entry(b"x", b"2")]), UNZIP),
        "a file that is a folder, too": (archive([APP, Entry(b"x", b"1"), Entry(b"x/y", b"2")]), UNZIP),
        "names that differ between the headers": (archive([APP, Entry(b"x", b"1", local_name=b"y")]), UNZIP),
        "encrypted": (archive([APP, Entry(b"x", b"1", flags=1)]), UNZIP),
        "an unknown method": (archive([APP, Entry(b"x", b"1", method=99)]), UNZIP),
        "entries on top of each other": (archive([APP, Entry(b"x", b"1" * 5000), Entry(b"y", b"1" * 5000, offset=0, omit_data=True, local_name=b"app.py")]), UNZIP),
        "a bomb that says so": (archive([APP, bomb]), UNZIPPED),
        "a bomb that lies": (archive([APP, liar]), UNZIP),
        "many bombs": (archive([APP, *[Entry(b"z%d" % n, b"\0" * (60 << 20)) for n in range(5)]]), UNZIPPED),
    }


@pytest.fixture(scope="module")
def cases():
    return hostile()


CASES = ["not an archive", "empty", "only an end record", "truncated in the directory", "truncated in the data", "its first bytes cut off",
         "garbage in the data", "a wrong CRC", "a size larger than the content", "a size smaller than the content",
         "a packed size that runs past the end", "an offset past the end", "more entries claimed than there are", "a directory past the end",
         "an end record that claims four thousand million entries", "a name that climbs out", "a name that climbs out later",
         "an absolute name", "an empty name", "a name with a NUL", "a name too long for a file system", "a write through a link",
         "a write through a relative link", "a device", "a pipe", "one name twice", "a file that is a folder, too",
         "names that differ between the headers", "encrypted", "an unknown method", "entries on top of each other", "a bomb that says so",
         "a bomb that lies", "many bombs"]


def blobs(server):
    """Names and sizes of all files below the data directory, without the database's own."""
    return {str(path.relative_to(server.data)): path.stat().st_size for path in server.data.rglob("*")
            if path.is_file() and ".sqlite" not in path.name and ".db" not in path.name}


def resident(pid):
    """Resident memory of a process in bytes, and the most it ever was."""
    status = open(f"/proc/{pid}/status").read()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS", "VmHWM"))}
    return int(values["VmRSS"]) * 1024, int(values["VmHWM"]) * 1024


@pytest.mark.parametrize("case", CASES)
def test_hostile_archives_end_in_awss_error_and_leave_nothing(server, lambda_, cases, case):
    content, message = cases[case]
    name = fresh_name("hostile")
    before = blobs(server)
    with pytest.raises(ClientError) as caught:
        create(lambda_, name, zip_file=content, wait=False)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400, response
    assert response["Error"]["Code"] in ("InvalidParameterValueException", "ValidationException"), response
    if message:
        assert response["Error"]["Message"] == message
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        lambda_.get_function(FunctionName=name)
    assert set(blobs(server)) <= set(before), "a refused archive leaves no file"


def test_every_case_is_run(cases):
    assert sorted(CASES) == sorted(cases)


def test_hostile_archives_do_not_grow_the_server(new_server, cases):
    server = new_server().start()
    mine = client(server)
    create(mine, fresh_name(), zip_file=package({"app.py": ECHO}))
    _, most_before = resident(server.process.pid)
    largest = max(len(content) for content, _ in cases.values()) * 4 // 3
    for content, _ in cases.values():
        with pytest.raises(ClientError):
            create(mine, fresh_name(), zip_file=content, wait=False)
    _, most_after = resident(server.process.pid)
    # The goal: peak memory for any archive stays below 64 MB above the request body.
    assert most_after - most_before < largest + (64 << 20), f"{(most_after - most_before) >> 20} MiB more for bodies of {largest >> 20} MiB"


def test_an_update_with_a_bad_archive_changes_nothing(function, lambda_):
    name = function(code=PROBE)
    before = lambda_.get_function_configuration(FunctionName=name)
    with pytest.raises(ClientError, match=UNZIP):
        lambda_.update_function_code(FunctionName=name, ZipFile=b"PK nonsense")
    after = lambda_.get_function_configuration(FunctionName=name)
    assert (after["RevisionId"], after["CodeSha256"]) == (before["RevisionId"], before["CodeSha256"])
    assert run_inside(lambda_, name, "result = 1") == 1


def test_more_than_fifty_megabytes_zipped_is_refused(lambda_):
    content = archive([APP, Entry(b"noise", random.Random(1).randbytes(52_428_800), method=0)])
    assert len(content) * 4 // 3 < 70_000_000, "the request itself is not too big"
    with pytest.raises(ClientError) as caught:
        create(lambda_, fresh_name(), zip_file=content, wait=False)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("RequestEntityTooLargeException", 413)
    assert response["Error"]["Message"] == ZIPPED


def test_a_request_of_more_than_seventy_megabytes_is_refused(lambda_):
    content = archive([APP, Entry(b"noise", random.Random(1).randbytes(53 << 20), method=0)])
    with pytest.raises(ClientError) as caught:
        create(lambda_, fresh_name(), zip_file=content, wait=False)
    response = caught.value.response
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == ("RequestEntityTooLargeException", 413)
    assert response["Error"]["Message"] == "Request must be smaller than 70167211 bytes for the CreateFunction operation"


def test_just_under_fifty_megabytes_is_accepted(function, lambda_):
    content = archive([APP, Entry(b"noise", random.Random(2).randbytes((50 << 20) - 20_000), method=0)])
    assert 52_000_000 < len(content) < 52_428_800
    name = function(zip_file=content)
    size = run_inside(lambda_, name, "import os\nresult = os.path.getsize('/var/task/noise')")
    assert size == (50 << 20) - 20_000


def test_just_under_the_unzipped_limit_is_accepted(function, lambda_):
    zeros = b"\0" * (262_144_000 - 100_000)
    name = function(zip_file=archive([APP, Entry(b"zeros", zeros)]), MemorySize=512)
    code = "result = [sum(map(len, iter(lambda f=open('/var/task/zeros','rb'): f.read(1<<20), b'')))]"
    assert run_inside(lambda_, name, code) == [len(zeros)]


def test_twenty_thousand_small_files(function, lambda_):
    name = function(zip_file=package({"app.py": PROBE, **{f"d{n % 97}/f{n}.txt": f"file {n}\n" for n in range(20_000)}}), MemorySize=512)
    code = ("import os\nresult = [sum(len(f) for _, _, f in os.walk('/var/task')), open('/var/task/d5/f102.txt').read(),"
            " open('/var/task/d%d/f19999.txt' % (19999 % 97)).read()]")
    assert run_inside(lambda_, name, code) == [20_001, "file 102\n", "file 19999\n"]


def test_the_same_archive_is_stored_once(lambda_, server):
    content = package({"app.py": ECHO, "noise": random.Random(3).randbytes(2 << 20)})
    first = create(lambda_, zip_file=content)
    size = sum(blobs(server).values())
    second = create(lambda_, zip_file=content)
    assert sum(blobs(server).values()) - size < 1 << 20
    lambda_.delete_function(FunctionName=first)
    assert run_inside(lambda_, create(lambda_, fresh_name(), PROBE), "result = 2") == 2
    answer = lambda_.invoke(FunctionName=second, Payload=b"3")
    assert answer["Payload"].read() == b"3"
    lambda_.delete_function(FunctionName=second)
