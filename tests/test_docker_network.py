"""Beside a Docker engine on the same host, whose policy for forwarded packets is DROP: functions reach the internet, and each of the
two leaves the other's rules alone.

A real engine runs in the network namespace that is the server's host, with everything else of its own in a directory of the test's.
"""

import ipaddress
import json
import shutil
import signal
import subprocess

import pytest

from support import server as support_server
from support.server import clean_environment
from support.waiting import until
from test_network import HOST, INTERNET, INTERNET6, METADATA, PRIVATE, fetch, probing, world  # noqa: F401 (a fixture)

# A private /run, so that this engine and one that the machine itself may have do not meet.
START = 'mount --make-rprivate / && mount -t tmpfs tmpfs /run && exec dockerd "$@"'


class Docker:
    """A Docker engine in a network namespace."""

    def __init__(self, namespace, directory):
        self.namespace, self.directory = namespace, directory
        self.process = None
        directory.mkdir(parents=True)
        (directory / "daemon.json").write_text("{}")

    def start(self):
        flags = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "daemon.json"}
        words = [f"--{flag}={self.directory / name}" for flag, name in flags.items()]
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "sh", "-c", START, "sh", *words, "--storage-driver=vfs",
                 f"--host=unix://{self.directory / 'sock'}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=clean_environment())
        # What goes on below it is no server's leak.
        support_server.running.add(self)
        until(self.answers, 60, lambda: f"the Docker engine answers; its log:\n{(self.directory / 'log').read_text()[-3000:]}")

    def answers(self):
        assert self.process.poll() is None, (self.directory / "log").read_text()[-3000:]
        return self.ask("version").returncode == 0

    def ask(self, *words):
        return subprocess.run(["docker", "--host", f"unix://{self.directory / 'sock'}", *words], capture_output=True, text=True, timeout=60,
                              env=clean_environment(DOCKER_CONFIG=str(self.directory)))

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None
        support_server.running.discard(self)


def inside(namespace, *words):
    done = subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rules(namespace):
    """The host's iptables rules, both families, and its nftables tables of Bojagi's."""
    listed = [line for tool in ("iptables", "ip6tables") for line in inside(namespace, tool, "-S").splitlines()]
    tables = json.loads(inside(namespace, "nft", "-j", "list", "tables"))["nftables"]
    return listed, [entry["table"]["name"] for entry in tables if "bojagi" in entry.get("table", {}).get("name", "")]


@pytest.fixture(scope="module")
def docker(world, places):  # noqa: F811
    """An engine that found forwarding switched off, and so forbids what it does not know."""
    assert shutil.which("dockerd"), "install docker.io (scripts/install test)"
    near, _ = world
    inside(near, "sysctl", "-q", "-w", "net.ipv4.ip_forward=0")
    engine = Docker(near, places / "docker")
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


def test_functions_reach_the_internet_and_nothing_else_while_docker_runs(docker, world, places, python_image):  # noqa: F811
    near, _ = world
    before = rules(near)
    assert "-P FORWARD DROP" in before[0] and "-N DOCKER" in before[0] and before[1] == [], before
    with probing(world, places) as run:
        assert run(fetch(INTERNET)) == HOST
        assert not run(fetch(INTERNET6)).startswith("refused")
        for address in (HOST, PRIVATE, METADATA):
            assert run(fetch(address)).startswith("refused"), address
        # The engine's own network is a private one.
        bridge = ipaddress.ip_network(json.loads(docker.ask("network", "inspect", "bridge").stdout)[0]["IPAM"]["Config"][0]["Subnet"])[1]
        assert run(fetch(str(bridge))).startswith("refused")
        # The engine puts its rules on top of all others whenever it starts.
        docker.stop()
        docker.start()
        inside(near, "iptables", "-P", "FORWARD", "DROP")
        assert run(fetch(INTERNET)) == HOST
        assert run(fetch(PRIVATE)).startswith("refused")
        during = rules(near)
        assert len(during[1]) == 1 and "-P FORWARD DROP" in during[0], during
        ours = [rule for rule in during[0] if "bojagi" in rule]
        assert ours and all(rule.startswith("-A FORWARD ") for rule in ours), ours
        assert sorted(rule for rule in during[0] if rule not in ours) == sorted(before[0]), "the engine's rules are as they were"
    after = rules(near)
    assert sorted(after[0]) == sorted(before[0]) and after[1] == []


def test_docker_that_starts_later_changes_nothing(docker, world, places, python_image):  # noqa: F811
    docker.stop()
    near, _ = world
    for tool in ("iptables", "ip6tables"):
        for words in (["-F"], ["-X"], ["-P", "FORWARD", "ACCEPT"], ["-t", "nat", "-F"]):
            inside(near, tool, *words)
    with probing(world, places) as run:
        assert run(fetch(INTERNET)) == HOST
        docker.start()
        # Newer engines forbid forwarding even where it was on before.
        inside(near, "iptables", "-P", "FORWARD", "DROP")
        assert run(fetch(INTERNET)) == HOST
        assert run(fetch(PRIVATE)).startswith("refused")
