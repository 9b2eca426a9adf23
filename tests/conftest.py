"""Fixtures: a server for the session, servers of a test's own, clients, and functions that go away with their test."""

import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

pytest.register_assert_rewrite("support")

from support import leaks  # noqa: E402
from support.clients import client as make_client  # noqa: E402
from support.functions import ECHO, PROBE, PYTHON, create, fresh_name  # noqa: E402
from support.server import BINARY, Server, base_image  # noqa: E402

def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true", help="also run what takes too long for every run")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--soak"):
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session", autouse=True)
def orphans():
    """What a server leaves running becomes a child of this process, and is seen."""
    leaks.adopt_orphans()


@pytest.fixture(scope="session")
def places():
    """A directory for this session's servers, on a disk rather than in memory."""
    assert BINARY.exists(), f"{BINARY} is not there: run `cargo build --release`, or name it with BOJAGI"
    with tempfile.TemporaryDirectory(prefix="bojagi-tests-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def python_image(places):
    """The base image that most tests need. Making one takes minutes, once; fixtures are outside of a test's time limit."""
    base_image(PYTHON, directory=places / "images")


@pytest.fixture(scope="session")
def base_images(places, python_image):
    """Makes the base images of the suite's packages, and more when asked: `base_images("java17")`."""
    base_image("provided.al2023", "nodejs22.x", "java21", directory=places / "images")
    return lambda *names: base_image(*names, directory=places / "images")


@pytest.fixture(scope="session")
def server(places, python_image):
    """The server that most tests share."""
    server = Server(places / "shared")
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def new_server(places, python_image):
    """Makes servers of a test's own: `new_server("--network", "none")`. They are started by the test, and stopped after it."""
    made = []

    def make(*flags, **more):
        made.append(Server(places / fresh_name("server"), *flags, **more))
        return made[-1]

    yield make
    problems = []
    for server in made:
        try:
            server.stop()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def lambda_(server):
    """A Lambda client of the shared server's default account."""
    return make_client(server)


@pytest.fixture(scope="session")
def iam(server):
    """An IAM client of the shared server's default account."""
    return make_client(server, "iam")


@pytest.fixture(scope="session")
def sts(server):
    """An STS client of the shared server's default account."""
    return make_client(server, "sts")


@pytest.fixture
def function(lambda_):
    """Makes functions that are deleted after the test: `function("def handler…", Timeout=1)` returns the name."""
    made = []

    def make(code=ECHO, name=None, **more):
        made.append(name or fresh_name())
        return create(lambda_, made[-1], code, **more)

    yield make
    for name in made:
        try:
            lambda_.delete_function(FunctionName=name)
        except lambda_.exceptions.ResourceNotFoundException:
            pass


@pytest.fixture(scope="module")
def probe(lambda_):
    """A function that runs the snippet it is sent, shared by a file's tests."""
    name = create(lambda_, fresh_name("probe"), PROBE, MemorySize=512)
    yield name
    lambda_.delete_function(FunctionName=name)
