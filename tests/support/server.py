"""A Bojagi server started for tests: its own data directory, key file, port and log."""

import http.client
import os
import pathlib
import signal
import socket
import subprocess

from . import leaks
from .waiting import until

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("BOJAGI_TEST_CACHE", REPOSITORY / ".cache"))
BINARY = pathlib.Path(os.environ.get("BOJAGI", REPOSITORY / "target/release/bojagi"))
BASE_IMAGES = pathlib.Path(os.environ.get("BOJAGI_BASE_IMAGE_DIR", CACHE / "base-images"))

READY_SECONDS = 60
STOP_SECONDS = 60


def clean_environment(**more):
    """This process's environment without anything that configures Bojagi or an AWS client, and with `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BOJAGI", "AWS_")) or key == "AWS_CA_BUNDLE"}
    return {**kept, **more}


def run(*arguments, check=True, timeout=120, env=None, **more):
    """Runs the binary and returns the finished process, with text output."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, env=env or clean_environment(), **more)
    if check and done.returncode != 0:
        raise AssertionError(f"bojagi {' '.join(map(str, arguments))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def free_port():
    """A TCP port of the loopback address that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


_built = set()


def base_image(*names, directory):
    """Makes sure that base images are there; they are kept from run to run."""
    wanted = [name for name in names if name not in _built]
    if wanted:
        BASE_IMAGES.mkdir(parents=True, exist_ok=True)
        run("base-image", "build", *wanted, "--data-dir", directory / "data", "--base-image-dir", BASE_IMAGES,
            "--key-file", directory / "keys", timeout=1500)
        _built.update(wanted)


# Servers that were started and not stopped: what is below them is no leak.
running = set()


class Server:
    """One server. `directory` holds its data directory, key file and log, and outlives a restart."""

    def __init__(self, directory, *flags, region="us-east-1", prefix=()):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.keys = self.directory / "keys"
        self.log = self.directory / "log"
        # Where this machine cannot give every server a network: BOJAGI_TEST_FLAGS="--network none".
        more = os.environ.get("BOJAGI_TEST_FLAGS", "").split()
        self.flags = [*flags] if set(more) & set(flags) else [*more, *flags]
        self.region = region
        self.prefix = list(prefix)
        self.port = free_port()
        self.process = None
        self.before = None
        self.cgroups = set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def command(self):
        """The command line, with the flags that every test server has."""
        return [*self.prefix, BINARY, "up", "--data-dir", self.data, "--base-image-dir", BASE_IMAGES, "--key-file", self.keys,
                "--listen", f"127.0.0.1:{self.port}", "--region", self.region, "--base-images", "manual", *self.flags]

    def start(self):
        """Starts the server and waits until it says that it is ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.before is None:
            self.before = leaks.snapshot()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(list(map(str, self.command())), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=clean_environment(), start_new_session=True)
        running.add(self)
        until(self._ready, READY_SECONDS, lambda: f"the server is ready; its log:\n{self.tail()}")
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.tail()}")
        try:
            return self.request("GET", "/_bojagi/health")[0] == 200
        except OSError:
            return False

    def request(self, method, path, body=None, headers=None, timeout=30):
        """One HTTP request without any signature: status, headers (lower-cased) and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def tail(self, size=6000):
        """The end of the server's log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else "(no log)"

    def _note_cgroups(self):
        self.cgroups |= leaks.cgroups_of([self.process.pid, *leaks.descendants(self.process.pid)])

    def kill(self):
        """`kill -9` of the server's process, as a power cut would end it."""
        self._note_cgroups()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        """Ends the server as an operator does, and checks that nothing is left of it."""
        if self.process is not None and self.process.poll() is None:
            self._note_cgroups()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"SIGTERM did not end the server within {STOP_SECONDS} s:\n{self.tail()}") from None
            assert self.process.returncode == 0, f"after SIGTERM the server ended with {self.process.returncode}:\n{self.tail()}"
        self.process = None
        running.discard(self)
        self.assert_nothing_left()

    def assert_nothing_left(self):
        """No process, mount, cgroup, loop device, network interface or firewall table of this server is there any more."""
        left = None

        def clean():
            nonlocal left
            left = leaks.since(self.before, self.data, self.cgroups, [server.process.pid for server in running if server.process])
            return not left

        until(clean, 20, lambda: f"nothing is left of the server, but there is {left}")
