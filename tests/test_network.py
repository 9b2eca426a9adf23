"""What functions reach beyond Bojagi: the internet by NAT, and nothing of this host or its private networks.

The server runs in one network namespace and an 'internet' in another, so that every address can be had, whatever this machine's
own network is. The internet also serves a metadata service and a private host, to which the server's host has routes."""

import concurrent.futures
import contextlib
import ctypes
import http.server
import os
import pathlib
import shutil
import socket
import socketserver
import struct
import subprocess
import threading

import pytest

from support.clients import client
from support.functions import PROBE, create, fresh_name, run_inside
from support.server import Server

INTERNET, HOST = "11.22.33.1", "11.22.33.2"
INTERNET6, HOST6 = "2a00:1234::1", "2a00:1234::2"
METADATA, METADATA6, PRIVATE, PRIVATE6 = "169.254.169.254", "fd00:ec2::254", "10.9.9.9", "fd12:3456::9"
NAME = "service.example"
CLONE_NEWNET = 0x40000000


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def enter(namespace):
    """Moves the calling thread into a named network namespace."""
    with open(f"/run/netns/{namespace}") as file:
        if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Inside:
    """Threads in a network namespace. What they open belongs there."""

    def __init__(self, namespace):
        self.pool = concurrent.futures.ThreadPoolExecutor(4, initializer=enter, initargs=(namespace,))

    def __call__(self, work, *arguments, **more):
        return self.pool.submit(work, *arguments, **more).result(180)


class Web(http.server.ThreadingHTTPServer):
    """Answers with the caller's address."""

    daemon_threads = True

    def __init__(self, address):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 80), Caller)


class Caller(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Names(socketserver.ThreadingUDPServer):
    """A name server that knows one name."""

    daemon_threads = True


class NameHandler(socketserver.BaseRequestHandler):
    def handle(self):
        query, reply_to = self.request
        end = query.index(b"\0", 12) + 5
        labels, place = [], 12
        while query[place]:
            labels.append(query[place + 1 : place + 1 + query[place]].decode())
            place += query[place] + 1
        kind = struct.unpack(">H", query[end - 4 : end - 2])[0]
        known = ".".join(labels).lower() == NAME
        data = {1: socket.inet_aton(INTERNET), 28: socket.inet_pton(socket.AF_INET6, INTERNET6)}.get(kind) if known else None
        head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if data else 0, 0, 0) + query[12:end]
        answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(data)) + data if data else b""
        reply_to.sendto(head + answer, self.client_address)


@contextlib.contextmanager
def serving(servers):
    threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def world():
    """Two namespaces, a cable between them, and servers at the far end."""
    mark = f"bj{os.getpid() % 100000}"
    near, far = f"{mark}-host", f"{mark}-net"
    resolver = pathlib.Path(f"/etc/netns/{near}")
    with contextlib.ExitStack() as after:
        for namespace in (near, far):
            ip("netns", "add", namespace)
            after.callback(ip, "netns", "delete", namespace)
            ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", near, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", far)
        for namespace, addresses in ((near, [f"{HOST}/24", f"{HOST6}/64"]),
                                     (far, [f"{INTERNET}/24", f"{INTERNET6}/64", f"{METADATA}/32", f"{METADATA6}/128", f"{PRIVATE}/32", f"{PRIVATE6}/128"])):
            for address in addresses:
                ip("-n", namespace, "address", "add", address, "dev", "cable", *(["nodad"] if ":" in address else []))
            ip("-n", namespace, "link", "set", "cable", "up")
        ip("-n", near, "route", "add", "default", "via", INTERNET)
        ip("-n", near, "-6", "route", "add", "default", "via", INTERNET6)
        resolver.mkdir(parents=True)
        after.callback(shutil.rmtree, resolver)
        (resolver / "resolv.conf").write_text(f"nameserver {INTERNET}\n")
        beyond, here = Inside(far), Inside(near)
        servers = beyond(lambda: [*[Web(address) for address in (INTERNET, INTERNET6, METADATA, METADATA6, PRIVATE, PRIVATE6)],
                                  Names((INTERNET, 53), NameHandler)])
        servers += here(lambda: [Web(HOST), Web(HOST6)])
        after.enter_context(serving(servers))
        yield near, here


class Hidden(Server):
    """A server in a network namespace of its own, asked from there."""

    inside = None

    def _ready(self):
        return self.inside(super()._ready)


@contextlib.contextmanager
def probing(world, places, base_images, *flags):
    """A server in the near namespace with a probe function; gives what runs a snippet inside it."""
    near, here = world
    base_images("python3.13")
    # Not `ip netns exec`, which hides the control groups behind a /sys of its own.
    script = f"mount --bind /etc/netns/{near}/resolv.conf /etc/resolv.conf && exec nsenter --net=/run/netns/{near} \"$@\""
    server = Hidden(places / fresh_name("network"), *(flags or ["--network", "nat"]), prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    server.inside = here
    before = links(near)
    server.start()
    try:
        mine = client(server)
        name = here(create, mine, fresh_name(), PROBE, MemorySize=512)
        yield lambda code: here(run_inside, mine, name, code)
    finally:
        server.stop()
    left = links(near) - before
    assert not left, f"interfaces are left: {left}"


def links(namespace):
    """Names of the interfaces in a network namespace."""
    listing = subprocess.run(["ip", "-n", namespace, "-o", "link"], capture_output=True, text=True, check=True).stdout
    return {line.split(":")[1].strip() for line in listing.splitlines()}


@pytest.fixture(scope="module")
def run(world, places, base_images):
    with probing(world, places, base_images) as inside:
        yield inside


def fetch(address):
    host = f"[{address}]" if ":" in address else address
    return ("import urllib.request\ntry:\n    result = urllib.request.urlopen('http://" + host + "/', timeout=4).read().decode()\n"
            "except OSError as error:\n    result = 'refused: ' + str(error)\n")


def test_the_internet_is_reached_from_the_hosts_address(run):
    assert run(fetch(INTERNET)) == HOST


def test_the_internet_is_reached_over_ipv6(run):
    assert run(fetch(INTERNET6)) == HOST6


def test_names_are_resolved_by_the_hosts_resolver(run):
    assert run(f"import socket\nresult = socket.gethostbyname('{NAME}')") == INTERNET
    assert run(fetch(NAME)) in (HOST, HOST6)
    assert "refused" in run(fetch("absent.example"))


@pytest.mark.parametrize("address", [HOST, HOST6, METADATA, METADATA6, PRIVATE, PRIVATE6])
def test_host_metadata_and_private_networks_are_not_reached(run, world, address):
    # They are there, and the host itself reaches them.
    assert world[1](lambda: urlopen(address))
    answer = run(fetch(address))
    assert answer.startswith("refused"), answer


def urlopen(address):
    import urllib.request

    return urllib.request.urlopen(f"http://{f'[{address}]' if ':' in address else address}/", timeout=5).read()


def test_an_ipv4_address_in_ipv6_clothes_is_no_way_around(run):
    for address in (f"::ffff:{PRIVATE}", f"::ffff:{METADATA}", f"64:ff9b::{METADATA}"):
        assert run(fetch(address)).startswith("refused"), address


def test_nothing_outside_reaches_in(run, world):
    addresses = run("text = open('/proc/net/fib_trie').read().split()\nresult = sorted({word for word in text if word.count('.') == 3 and not word.startswith(('127.', '0.'))})")
    listen = ("import socket\ns = socket.create_server(('0.0.0.0', 7777))\ns.settimeout(6)\ntry:\n    s.accept()\n    result = 'reached'\n"
              "except OSError:\n    result = 'alone'\n")

    def knock():
        for address in addresses:
            with contextlib.suppress(OSError):
                socket.create_connection((address, 7777), timeout=2).close()

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, listen)
        world[1](knock)
        assert running.result() == "alone"


def test_it_works_where_forwarding_is_dropped(world, places, base_images):
    # What a Docker engine does to the host that it runs on.
    near, _ = world
    for tool in ("iptables", "ip6tables"):
        if shutil.which(tool):
            subprocess.run(["ip", "netns", "exec", near, tool, "-P", "FORWARD", "DROP"], check=True, capture_output=True)
    try:
        with probing(world, places, base_images) as inside:
            assert inside(fetch(INTERNET)) == HOST
            assert inside(fetch(PRIVATE)).startswith("refused")
    finally:
        for tool in ("iptables", "ip6tables"):
            if shutil.which(tool):
                subprocess.run(["ip", "netns", "exec", near, tool, "-P", "FORWARD", "ACCEPT"], check=True, capture_output=True)


def test_without_a_network_nothing_is_reached(world, places, base_images):
    with probing(world, places, base_images, "--network", "none") as inside:
        for address in (INTERNET, INTERNET6, HOST, PRIVATE, METADATA):
            assert inside(fetch(address)).startswith("refused"), address
        assert inside("import boto3\nresult = boto3.client('sts').get_caller_identity()['Account']") == "000000000000"
