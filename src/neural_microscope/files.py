"""Reading only what is a file: a link, a FIFO, a device or a socket in a file's place is refused, never followed or waited for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from .errors import FileError

LARGEST = 1 << 32
"""Bytes of a file that is read: nothing in this package comes near, and a file with a hole may claim to be without end."""

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}


def kind(mode: int) -> str:
    """``file`` for a regular one; else ``folder``, ``link``, ``FIFO``, ``socket`` or ``device``."""
    return "file" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "device")


def opened(path: str | Path, below: Path | None = None) -> BufferedReader:
    """A regular file, open for reading. With ``below``, a folder above it, neither the file nor a folder between the two may be a link.

    Anything else in its place is a FileError that says what it is; nothing is waited for. What can't be opened is its OSError.
    """
    path = Path(path)
    if below:
        for parent in [*path.relative_to(below).parents][-2::-1]:
            _refuse(below / parent, kind((below / parent).lstat().st_mode), "folder")
    _refuse(path, kind((path.lstat() if below else path.stat()).st_mode))  # first: to open a device may do something
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    file = os.fdopen(os.open(path, flags | (getattr(os, "O_NOFOLLOW", 0) if below else 0)), "rb")
    try:
        found = os.fstat(file.fileno())
        _refuse(path, kind(found.st_mode))
        if found.st_size > LARGEST:
            raise FileError(errno.EFBIG, f"it has {found.st_size:,} bytes; at most {LARGEST:,} are read", str(path))
    except FileError:
        file.close()
        raise
    return file


def read(path: str | Path) -> bytes:
    """The content of a regular file; see `opened`."""
    with opened(path) as file:
        return file.read()


def walk(folder: Path) -> Iterator[tuple[str, str]]:
    """(path below ``folder``, with slashes, and kind) of everything in it; no link is followed."""
    waiting = [""]
    while waiting:
        above = waiting.pop()
        try:
            entries = list(os.scandir(folder / above))
        except OSError as error:
            yield above.rstrip("/"), f"folder that can't be listed ({error.strerror})"
            continue
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                waiting.append(f"{name}/")
                yield name, "folder"
            elif entry.is_file(follow_symlinks=False):
                yield name, "file"
            elif os.path.lexists(entry):  # or it has just gone
                yield name, kind(entry.stat(follow_symlinks=False).st_mode)


def _refuse(path: Path, found: str, wanted: str = "file") -> None:
    if found != wanted:
        raise FileError(errno.EINVAL, f"a {found} is in the place of a {wanted}", str(path))
