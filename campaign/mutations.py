"""Mutations of a file: bytes, JSON values, headers of safetensors files, other things in its place. All drawn from one seed."""

from __future__ import annotations

import copy
import json
import math
import os
import random
import shutil
import socket
import stat
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Chance = random.Random

DEEP = "@deep@"
"""Stands for a value that is nested deeper than `json.dumps` can write."""
PATHS = (
    "../../victim.txt",
    "/etc/passwd",
    "state/../../victim.txt",
    "weights/../../victim.txt",
    "C:\\x",
    "~/x",
    "a/../b",
    ".",
    "..",
)
WORDS = (
    "",
    "\x00",
    "\u202egnp",
    "\ud800",
    "\u0000\n\r\x1b[31m",
    "é" * 200,
    "x" * 300_000,
    "NaN",
    "__proto__",
    "<script>",
    *PATHS,
)
NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    10**30,
    10**400,
    -(2**63) - 1,
    1e308,
    math.nan,
    math.inf,
    -math.inf,
    0.5,
    1e-320,
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"": 0}, DEEP)
DTYPES = ("F32", "F64", "I64", "U8", "F128", "", "BOOL", "F8_E4M3", "F4", "C64", "f32")


# --- bytes ------------------------------------------------------------------------------------------------------------------


def flip(content: bytes, chance: Chance) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8))):
        if changed:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def overwrite(content: bytes, chance: Chance) -> bytes:
    start = chance.randrange(len(content) + 1)
    new = chance.choice((b"\x00", b"\xff", chance.randbytes(1), chance.randbytes(8), chance.randbytes(64)))
    return content[:start] + new + content[start + len(new) :]


def cut(content: bytes, chance: Chance) -> bytes:
    return content[: chance.choice((0, 1, 8, len(content) - 1, len(content) // 2, chance.randrange(len(content) + 1)))]


def insert(content: bytes, chance: Chance) -> bytes:
    start = chance.choice((0, len(content), chance.randrange(len(content) + 1)))
    new = chance.choice((b" ", b"\n", b"\x00", b"{}", chance.randbytes(chance.randrange(1, 64)), bytes(4096)))
    return content[:start] + new + content[start:]


def remove(content: bytes, chance: Chance) -> bytes:
    start = chance.randrange(len(content) + 1)
    return content[:start] + content[start + chance.choice((1, 2, 4, 8, 100)) :]


def double(content: bytes, chance: Chance) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:end] + content[end:]


BYTES: tuple[Callable[[bytes, Chance], bytes], ...] = (flip, flip, flip, overwrite, cut, insert, remove, double)


# --- JSON -------------------------------------------------------------------------------------------------------------------


def dumped(value: Any, **how: Any) -> bytes:
    """As JSON, with what stands for a deep value put in."""
    text = json.dumps(value, **how)
    return text.replace(f'"{DEEP}"', "[" * 100_000 + "]" * 100_000).encode()


def changed(value: Any, chance: Chance) -> Any:
    """A JSON value of which one part is another: ``value`` is changed in place where it has parts."""
    holders = [one for one in _parts(value) if one]
    if not holders or chance.random() < 0.03:
        return strange(value, chance)
    # Half the time near the top, where few but telling values stand.
    holder = chance.choice(holders[:8] if chance.random() < 0.5 else holders)
    key = chance.choice([*holder]) if isinstance(holder, dict) else chance.randrange(len(holder))
    match chance.randrange(8):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[chance.choice(WORDS)] = holder.pop(key)
        case 1:
            holder.append(holder[key])
        case 2 if isinstance(holder, dict):
            holder[chance.choice(WORDS)] = strange(None, chance)
        case 2:
            holder[key:key] = [strange(holder[key], chance)] * chance.choice((1, 2, 1000))
        case 3:
            other = chance.choice([*holder]) if isinstance(holder, dict) else chance.randrange(len(holder))
            holder[key], holder[other] = holder[other], holder[key]
        case _:
            holder[key] = strange(holder[key], chance)
    return value


def _parts(value: Any) -> list[Any]:
    """Every list and object in a JSON value, from the top down."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, dict | list):
            found.append(one)
            waiting += one.values() if isinstance(one, dict) else one
    return found


def strange(value: Any, chance: Chance) -> Any:
    """Another value, half the time of the same type."""
    if chance.random() < 0.5:
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            return chance.choice((value + 1, value - 1, -value, value * 1000, value << 40, [value], *NUMBERS))
        if isinstance(value, float):
            return chance.choice((-value, value * 1e9, *NUMBERS))
        if isinstance(value, str):
            return chance.choice((value.upper(), value + " ", value[:-1], f"../{value}", f"{value}\x00", *WORDS))
    # A copy: a later change of this document must not reach the documents of other cases.
    return copy.deepcopy(chance.choice((*OTHERS, *NUMBERS, *WORDS, 3, "3", [3], {"a": 3})))


def as_json(content: bytes, chance: Chance) -> bytes:
    """A JSON document with one to three parts changed, written as it was."""
    value = json.loads(content)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        value = changed(value, chance)
    return dumped(value, indent=chance.choice((None, 1)))


# --- safetensors ------------------------------------------------------------------------------------------------------------


def as_tensors(content: bytes, chance: Chance) -> bytes:
    """A safetensors file with another header, and at times a header's length that is not its own."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    for _ in range(chance.choice((1, 1, 2))):
        header = _other_header(header, chance)
    new = dumped(header)
    said = chance.choice((len(new), len(new), len(new), len(new) + 8, 0, 2**63, 2**64 - 1, len(content)))
    return said.to_bytes(8, "little") + new + content[8 + length :]


def _other_header(header: Any, chance: Chance) -> Any:
    names = [name for name in header if name != "__metadata__"] if isinstance(header, dict) else []
    if not names or not all(isinstance(header[name], dict) for name in names) or chance.random() < 0.4:
        return changed(header, chance)
    one = header[chance.choice(names)]
    match chance.randrange(6):
        case 0:
            one["dtype"] = chance.choice(DTYPES)
        case 1:
            one["shape"] = chance.choice(([2**62, 4], [0, 2**40], [-1], [1] * 40, [], [2**20, 2**20], [10**30], [0]))
        case 2:
            one["data_offsets"] = chance.choice(([0, 0], [0, 2**62], [4, 0], [-4, 4], [1, 2, 3], [0.5, 4]))
        case 3:
            one["data_offsets"] = header[chance.choice(names)].get("data_offsets")  # which overlaps
        case 4 if isinstance(one.get("shape"), list):
            one["shape"] = one["shape"][::-1]
        case _:
            header[chance.choice(WORDS)] = dict(one)
    return header


# --- IDX and pictures -------------------------------------------------------------------------------------------------------


def as_idx(content: bytes, chance: Chance) -> bytes:
    """Another type, number of axes or length of an axis."""
    length = chance.choice((0, 1, 2**16, 2**31, 2**32 - 1, chance.randrange(20)))
    start = chance.choice((0, 1, 2, 3, 4, 4, 8, 12))
    new = length.to_bytes(4, "big") if start >= 4 else chance.randbytes(1)
    return content[:start] + new + content[start + len(new) :]


def as_gzip(content: bytes, chance: Chance) -> bytes:
    """A file that unpacks to a changed IDX file, to zeros without end, or to more than one stream."""
    plain = zlib.decompress(content, 31)
    match chance.randrange(4):
        case 0:
            plain += bytes(1 << 25)
        case 1:
            return content + content
        case _:
            plain = as_idx(plain, chance)
    packer = zlib.compressobj(6, wbits=31)
    return packer.compress(plain) + packer.flush()


def as_png(content: bytes, chance: Chance) -> bytes:
    """A PNG with another header, or another chunk, whose checksum is right."""
    if not content.startswith(b"\x89PNG"):
        return flip(content, chance)
    header = list(struct.unpack(">IIBBBBB", content[16:29]))
    match chance.randrange(4):
        case 0:
            header[chance.randrange(2)] = chance.choice((0, 1, 2**16, 12_000, 2**31 - 1, 2**32 - 1))
        case 1:
            header[2:4] = [chance.choice((1, 2, 4, 8, 16, 99)), chance.choice((0, 2, 3, 4, 6, 77))]
        case 2:
            header[chance.randrange(4, 7)] = chance.randrange(256)
        case _:
            kind = chance.choice((b"tRNS", b"PLTE", b"iCCP", b"zTXt", b"acTL", b"IDAT", b"eXIf", b"gAMA"))
            return content[:33] + _chunk(kind, chance.randbytes(chance.choice((0, 2, 9, 300)))) + content[33:]
    return content[:8] + _chunk(b"IHDR", struct.pack(">IIBBBBB", *header)) + content[33:]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\n(/tmp/started) (w) file closefile showpage\n%%EOF\n"


def as_picture(content: bytes, chance: Chance) -> bytes:
    """PostScript under a picture's name, a plain PGM that is cut or huge, or a PNG with another header."""
    match chance.randrange(6):
        case 0:
            return POSTSCRIPT
        case 1:
            return b"P2 %d %d 255\n" % (
                chance.choice((4, 9000, 10**9)),
                chance.choice((4, 9000)),
            ) + b"7 " * chance.randrange(40)
        case _:
            return as_png(content, chance)


# --- other things in a file's place -----------------------------------------------------------------------------------------


def gone(path: Path) -> None:
    """Takes away whatever lies there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replaced(path: Path, outside: Path, chance: Chance) -> str:
    """Puts something else in the place of a file; says what."""
    healthy = path.read_bytes()
    gone(path)
    what = chance.choice(
        ("nothing", "folder", "link", "dangling", "loop", "zero", "device", "FIFO", "socket", "hole", "full folder")
    )
    match what:
        case "folder" | "full folder":
            path.mkdir()
            if what == "full folder":
                (path / path.name).write_bytes(healthy)
        case "link":
            (outside / "same").write_bytes(healthy)
            path.symlink_to(outside / "same")
        case "dangling":
            path.symlink_to(outside / "new.txt")
        case "loop":
            path.symlink_to(path)
        case "zero":
            path.symlink_to("/dev/zero")
        case "device":
            with suppress(PermissionError):
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        case "FIFO":
            os.mkfifo(path)
        case "socket":
            here = Path.cwd()
            with socket.socket(socket.AF_UNIX) as one:  # bound by its name alone: a path of a socket is short
                os.chdir(path.parent)
                one.bind(path.name[:90])
                os.chdir(here)
        case "hole":
            with path.open("wb") as file:
                file.truncate(chance.choice((1 << 20, 1 << 34)))
    return what
