"""Safe file access: reads regular files only, and writes whole files or none.

A link, FIFO, device or socket in place of a file is refused, never followed or waited for. Output paths are tested
before the work begins.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from .errors import FileError, MissingFile, reason

LARGEST = 1 << 32
"""The most bytes of a file: nothing in this package comes near, and a sparse file may claim to be endless."""

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}


def kind(mode: int) -> str:
    """``file`` for a regular one; otherwise ``folder``, ``link``, ``FIFO``, ``socket`` or ``device``."""
    return "file" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "device")


def place(path: str | Path) -> Path:
    """``path``, if it is a valid name, whether or not it exists; a name that is too long is a FileError."""
    path = Path(path)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero byte
        raise FileError(getattr(error, "errno", None) or errno.EINVAL, reason(error), str(path)) from None
    return path


_STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


def shown(text: str) -> str:
    """Untrusted text for pages and terminals: characters that would redirect, end or hide what follows are escaped."""
    return _STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def opened(path: str | Path, below: Path | None = None) -> BufferedReader:
    """A regular file, open for reading. With ``below``, a folder above it, neither the file nor a folder between the two may be a link.

    Anything else in its place is a FileError that names its kind, and a missing file a MissingFile; it never blocks.
    """
    try:
        return _opened(place(path), below)
    except FileError:
        raise
    except FileNotFoundError as error:
        raise MissingFile(error.errno, reason(error), str(path)) from None
    except OSError as error:
        raise FileError(error.errno, reason(error), str(path)) from None


def _opened(path: Path, below: Path | None) -> BufferedReader:
    if below:
        for parent in [*path.relative_to(below).parents][-2::-1]:
            _refuse(below / parent, kind((below / parent).lstat().st_mode), "folder")
    _refuse(
        path, kind((path.lstat() if below else path.stat()).st_mode)
    )  # first: opening a device may have side effects
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))
    file = os.fdopen(os.open(path, flags | (getattr(os, "O_NOFOLLOW", 0) if below else 0)), "rb")
    try:
        found = os.fstat(file.fileno())
        _refuse(path, kind(found.st_mode))
        if found.st_size > LARGEST:
            raise FileError(errno.EFBIG, f"it has {found.st_size:,} bytes; at most {LARGEST:,} are allowed", str(path))
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
            elif os.path.lexists(entry):  # or it was just deleted
                yield name, kind(entry.stat(follow_symlinks=False).st_mode)


def writable(path: str | Path) -> Path:
    """``path``, if a file can be written there: parent folders are created, and a temporary file next to it, which is deleted again.

    A FileError gives the reason otherwise. An existing file is left unchanged.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _refuse(path, kind(path.stat().st_mode))
        partial = _beside(path)
        partial.touch(exist_ok=False)
        partial.unlink()
    except FileError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name that holds a zero byte
        raise _unwritable(path, error) from None
    return path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """System errors in the block, such as a full disk, as FileErrors that name ``path``."""
    try:
        yield
    except FileError:
        raise
    except OSError as error:
        raise _unwritable(path, error) from None


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """A temporary path next to ``path``: its content becomes ``path`` when the block ends, and is deleted if it fails."""
    path = writable(path)
    partial = _beside(path)
    try:
        with naming(path):
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{uuid.uuid4().hex}.partial{path.suffix[:9]}")


def _unwritable(path: Path, error: Exception) -> FileError:
    above = next((p for p in path.parents if os.path.lexists(p) and not p.is_dir()), None)
    reason = f"{above} is not a folder" if above else getattr(error, "strerror", None) or str(error)
    return FileError(getattr(error, "errno", None) or errno.EINVAL, f"it can't be written: {reason}", str(path))


def _refuse(path: Path, found: str, wanted: str = "file") -> None:
    if found != wanted:
        raise FileError(errno.EINVAL, f"expected a {wanted}, found a {found}", str(path))
