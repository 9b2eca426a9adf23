"""Archives: ordinary ones by Python's own library, and odd or hostile ones byte by byte after APPNOTE.TXT."""

import dataclasses
import io
import stat
import struct
import zipfile
import zlib


def package(files, modes=None):
    """A .zip of text or bytes by name, with Unix modes (0644 unless `modes` says otherwise)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            info.create_system = 3
            mode = (modes or {}).get(name, 0o755 if name.endswith("/") else 0o644)
            kind = stat.S_IFDIR if name.endswith("/") else stat.S_IFREG
            info.external_attr = (mode if stat.S_IFMT(mode) else kind | mode) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return out.getvalue()


@dataclasses.dataclass
class Entry:
    """One entry, whose headers may say what is not so."""

    name: bytes
    content: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    method: int = 8
    flags: int = 0
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    descriptor: bool = False
    zip64: bool = False
    extra: bytes = b""
    comment: bytes = b""
    offset: int | None = None
    packed: bytes | None = None
    omit_data: bool = False
    creator: int = 3


def _deflate(content):
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(content) + engine.flush()


def archive(entries, comment=b"", prefix=b"", count=None, directory_offset=None, directory_size=None, zip64=False):
    """An archive of exactly these headers. `prefix` stands before it, as in a self-extracting archive."""
    out = bytearray(prefix)
    central = bytearray()
    for entry in entries:
        packed = entry.packed
        if packed is None:
            packed = _deflate(entry.content) if entry.method == 8 else entry.content
        crc = zlib.crc32(entry.content) if entry.crc is None else entry.crc
        size = len(entry.content) if entry.size is None else entry.size
        packed_size = len(packed) if entry.packed_size is None else entry.packed_size
        flags = entry.flags | (8 if entry.descriptor else 0)
        offset = len(out) - len(prefix) if entry.offset is None else entry.offset
        local_size = size if entry.local_size is None else entry.local_size
        extra = entry.extra
        local_extra = extra
        wide = 0xFFFFFFFF
        if entry.zip64:
            extra = struct.pack("<HHQQQ", 1, 24, size, packed_size, offset) + extra
            local_extra = struct.pack("<HHQQ", 1, 16, size, packed_size) + local_extra
        if not entry.omit_data:
            local_name = entry.name if entry.local_name is None else entry.local_name
            in_local = (0, 0, 0) if entry.descriptor else (crc, packed_size, local_size)
            if entry.zip64 and not entry.descriptor:
                in_local = (crc, wide, wide)
            out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 45 if entry.zip64 else 20, flags, entry.method, 0, 0x5C21, *in_local,
                               len(local_name), len(local_extra))
            out += local_name + local_extra + packed
            if entry.descriptor:
                out += struct.pack("<IIQQ" if entry.zip64 else "<IIII", 0x08074B50, crc, packed_size, size)
        central += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, entry.creator << 8 | 45, 45 if entry.zip64 else 20, flags, entry.method,
                               0, 0x5C21, crc, wide if entry.zip64 else packed_size, wide if entry.zip64 else size, len(entry.name),
                               len(extra), len(entry.comment), 0, 0, entry.mode << 16 & wide, wide if entry.zip64 else offset)
        central += entry.name + extra + entry.comment
    start = len(out) - len(prefix)
    out += central
    count = len(entries) if count is None else count
    start = start if directory_offset is None else directory_offset
    size = len(central) if directory_size is None else directory_size
    if zip64:
        record = len(out) - len(prefix)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, start)
        out += struct.pack("<IIQI", 0x07064B50, 0, record, 1)
        out += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(comment)) + comment
    else:
        out += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count & 0xFFFF, count & 0xFFFF, size, start, len(comment)) + comment
    return bytes(out)
