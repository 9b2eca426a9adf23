"""What a server may leave behind on a machine: processes, mounts, cgroups, loop devices, interfaces, firewall tables."""

import ctypes
import json
import os
import pathlib
import shutil
import subprocess

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans():
    """Makes this process the parent of every orphan below it, so that what a server leaves running is seen here."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def processes():
    """Every process: pid → (parent, state, command line)."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        found[int(entry.name)] = (int(after_name[1]), after_name[0], command)
    return found


def descendants(pid):
    """Processes below `pid`: pid → command line."""
    everything = processes()
    below, more = {}, [pid]
    while more:
        parent = more.pop()
        for child, (its_parent, state, command) in everything.items():
            if its_parent == parent and state != "Z" and child not in below:
                below[child] = command
                more.append(child)
    return below


def mounts(text):
    """Mounts, in every mount namespace that some process holds, whose description contains `text`."""
    seen, found = set(), []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            namespace = os.readlink(entry / "ns/mnt")
            if namespace in seen:
                continue
            table = (entry / "mountinfo").read_text()
            seen.add(namespace)
        except OSError:
            continue
        found += [f"{namespace}: {line}" for line in table.splitlines() if text in line]
    return found


def loop_devices(directory):
    """Loop devices whose file lies below `directory`."""
    found = []
    for backing in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            file = backing.read_text().strip()
        except OSError:
            continue
        if file.startswith(str(directory)):
            found.append(f"{backing.parent.parent.name}: {file}")
    return found


def cgroups_of(pids):
    """Names of the control groups, with Bojagi's name in them, that processes are in."""
    found = set()
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue
        for line in text.splitlines():
            found |= {part for part in line.split(":", 2)[2].split("/") if "bojagi-" in part}
    return found


def cgroups(names):
    """Where control groups of these names are."""
    found = []
    for folder, below, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(folder, name) for name in below if name in names]
    return found


def interfaces():
    """Network interfaces of this network namespace."""
    return set(os.listdir("/sys/class/net"))


def namespaces():
    """Named network namespaces."""
    folder = pathlib.Path("/run/netns")
    return set(os.listdir(folder)) if folder.exists() else set()


def tables():
    """nftables tables and iptables rules with Bojagi's name."""
    found = set()
    if shutil.which("nft"):
        listing = subprocess.run(["nft", "-j", "list", "tables"], capture_output=True, text=True)
        if listing.returncode == 0 and listing.stdout:
            for entry in json.loads(listing.stdout)["nftables"]:
                if "table" in entry:
                    found.add(f"{entry['table']['family']} {entry['table']['name']}")
    return {table for table in found if "bojagi" in table}


def snapshot():
    """What is there before a server starts."""
    return {"interfaces": interfaces(), "namespaces": namespaces(), "tables": tables()}


def since(before, data, groups=(), others=()):
    """What is there now that was not there `before`, and what belongs to the data directory; empty when nothing leaks.

    `groups` are names of the server's control groups; `others` are processes that go on, with all below them.
    """
    now = snapshot()
    # Everything of one server carries the same mark; another server of this machine has another.
    marks = {name.partition("-")[2] for name in groups}
    left = {kind: sorted(thing for thing in now[kind] - before[kind] if not marks or any(mark in thing for mark in marks)) for kind in now}
    going_on = set(others).union(*[descendants(pid) for pid in others])
    left["processes"] = [command for pid, command in descendants(os.getpid()).items() if pid not in going_on and command]
    left["cgroups"] = cgroups(groups)
    left["mounts"] = mounts(str(data))
    left["loop devices"] = loop_devices(data)
    return {kind: things for kind, things in left.items() if things}
