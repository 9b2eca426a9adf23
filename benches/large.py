"""A package like a large Node.js or Python one: 28,000 files in 73 MB. Made of the text of Python's own library and of bytes
that no compressor shrinks, in the proportion real packages have; the same bytes every time."""

import os
import pathlib
import random
import sysconfig
import zipfile

from support.server import CACHE

FILES = 28_000
ZIPPED_BYTES = 73 << 20


def corpus():
    """Text of the standard library, as much as 24 MB."""
    library = pathlib.Path(sysconfig.get_path("stdlib"))
    parts, size = [], 0
    for path in sorted(library.rglob("*.py")):
        if "site-packages" not in path.parts:
            parts.append(path.read_bytes())
            size += len(parts[-1])
            if size > 24 << 20:
                break
    return b"".join(parts)


def entry(name):
    """An entry that everybody may read, at one fixed time."""
    info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def package():
    """The path of the archive, made when it is not there yet."""
    out = CACHE / "bench" / "large-3.zip"
    if out.exists():
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    text, chance = corpus(), random.Random(73)
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr(entry("app.py"), "def handler(event, context):\n    return event\n")
        for number in range(FILES - 1):
            left = FILES - 1 - number
            mean = max(200, (ZIPPED_BYTES - archive.fp.tell()) // left)
            packed = min(int(chance.expovariate(1 / mean)) + 40, 400_000)
            start = chance.randrange(len(text) - 1_600_000)
            noisy = number % 25 == 0
            content = chance.randbytes(packed) if noisy else text[start : start + packed * 4]
            info = entry(f"lib/{number % 211:03}/{number % 17:02}/module_{number}.{'bin' if noisy else 'py'}")
            archive.writestr(info, content)
    os.replace(partial, out)
    return out


def variant(number, directory):
    """The archive with one more file, so that none is known from before."""
    copy = directory / f"large-{number}.zip"
    copy.write_bytes(package().read_bytes())
    with zipfile.ZipFile(copy, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(entry("variant.txt"), f"{number} {os.urandom(16).hex()}\n")
    return copy
