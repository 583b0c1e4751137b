"""The destination of a sweep's runs, a local path or any fsspec URL: its content, and atomic delivery of runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import fsspec
import msgspec
from fsspec.implementations.local import LocalFileSystem
from msgspec import Meta, Struct

from .. import __version__, documents, files
from ..doors import door
from ..errors import MicroscopeError, RunError, reason
from ..run import RESULTS, Commit, commits
from ..training.population import Order
from .jobs import MOST_NETWORKS, Sweep, plan

FORMAT_VERSION = 2
"""1 had no seal."""
TAIL = 1 << 16
"""Bytes at the end of a commit record that are read for its last line, which names a snapshot's files: about 3,000."""


def endings(system: Any, root: str, names: Sequence[str]) -> dict[str, Commit]:
    """The last line of the commit record of each run that has ended: finished, or diverged."""
    read = contents(system, root, [f"{root}/runs/{name}/{commits.NAME}" for name in names], TAIL)
    lasts = {name: commits.last(content) for name, content in zip(names, read, strict=True) if content is not None}
    return {name: end for name, end in lasts.items() if end and end.status.split()[0] in ("finished", "diverged")}


def contents(system: Any, root: str, paths: Sequence[str], tail: int | None = None) -> list[bytes | None]:
    """Each file's content, or its last bytes; None if it does not exist. Other read errors are raised."""
    for path in paths:
        _refuse_what_is_no_file(system, root, path)
    found = system.cat_ranges(list(paths), [-tail if tail else 0] * len(paths), [None] * len(paths), on_error="return")
    for content in found:
        if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
            raise content
    return [content if isinstance(content, bytes) else None for content in found]


def _refuse_what_is_no_file(system: Any, root: str, path: str) -> None:
    """On this machine, where a link, a FIFO or a device may take the place of a file or a folder of the sweep."""
    if isinstance(system, LocalFileSystem):
        with suppress(FileNotFoundError):
            files.opened(path, below=Path(root)).close()


def place(folder: str | Path) -> tuple[Any, str]:
    """(the file system, the path on it)."""
    try:
        return fsspec.core.url_to_fs(str(folder))
    except (ValueError, ImportError) as error:
        raise RunError(f"{folder} can't hold a sweep: {error}") from None


@door
def claim(asked: Sweep, folder: str | Path) -> tuple[Any, str]:
    """The sweep's file system and the path on it, with its folder created, or found to hold the same sweep.

    Args:
        asked: Settings of the sweep.
        folder: A local path or any fsspec URL.

    Raises:
        RunError: The folder holds anything else.
        FileError: Nothing can be written.
    """
    system, root = place(folder)
    if system.exists(f"{root}/sweep.json"):
        there = read(system.unstrip_protocol(root))
        new = Sweep.from_json(
            json.loads(json.dumps(asked.to_json()))
        ).to_json()  # with 1.0 for 1, as when it is read back
        for part, old in there.to_json().items():
            if json.dumps(old) != json.dumps(new[part]):  # the order of settings matters: runs are named by it
                raise RunError(
                    f"{root} holds another sweep: its {part} is {json.dumps(old)}, requested is {json.dumps(new[part])}. Give a "
                    "new folder, or use the same settings to continue it"
                )
        system.makedirs(
            f"{root}/runs", exist_ok=True
        )  # the process that claimed the folder may have been killed before this
        return system, root
    foreign = min((name for name in _names(system, root) if not _BEGINNING.fullmatch(name)), default="")
    if foreign or _names(system, f"{root}/runs"):
        raise RunError(f"{root} is not empty (it holds {foreign or 'runs'}) and has no sweep.json: give a new folder")
    about = {"format_version": FORMAT_VERSION, "sha256": documents.UNSEALED}
    about |= {"neural-microscope": __version__, "asked": asked.to_json()}
    content = documents.sealed(json.dumps(about, indent=1).encode())
    if isinstance(system, LocalFileSystem):
        with files.whole(f"{root}/sweep.json") as partial:
            partial.write_bytes(content)
    else:
        system.pipe_file(f"{root}/sweep.json", content)
    system.makedirs(f"{root}/runs", exist_ok=True)
    return system, root


_BEGINNING = re.compile(r"runs|\.[0-9a-f]{32}\.partial\.json")
"""Files left by a process that was killed while it claimed a folder."""


def _names(system: Any, folder: str) -> list[str]:
    """The names in a folder; none if it does not exist."""
    found = system.ls(folder, detail=False) if system.isdir(folder) else []
    return [str(path).rstrip("/").rpartition("/")[2] for path in found]


@door
def read(folder: str | Path) -> Sweep:
    """The sweep that a folder belongs to.

    Args:
        folder: A local path or any fsspec URL.

    Raises:
        RunError: It has none, or its sweep.json has changed since it was written.
    """
    system, root = place(folder)
    path = f"{root}/sweep.json"
    _refuse_what_is_no_file(system, root, path)
    try:
        content = system.cat_file(path, 0, documents.LARGEST + 1)
    except FileNotFoundError:
        raise RunError(f"{folder} is not the folder of a sweep: it has no sweep.json") from None
    about = documents.decode(content, _About, path, RunError)
    documents.check_seal(content, about.sha256, path, RunError, required=about.format_version > 1)
    try:
        asked = Sweep.from_json(msgspec.to_builtins(about.asked))
        plan(asked)
    except (MicroscopeError, ValueError, TypeError) as error:
        raise RunError(f"{path} holds invalid settings: {reason(error)}") from None
    return asked


class _Asked(Struct, forbid_unknown_fields=True):
    network: dict[str, Any]
    training: dict[str, Any]
    record: dict[str, Any]
    data: documents.Text
    seeds: Annotated[list[int], Meta(max_length=MOST_NETWORKS)]
    settings: dict[documents.Text, Annotated[list[Any], Meta(max_length=MOST_NETWORKS)]]
    order: Order


class _About(Struct, forbid_unknown_fields=True):
    """The content of sweep.json."""

    format_version: Literal[1, 2]
    asked: _Asked
    version: documents.Text = msgspec.field(name="neural-microscope")
    sha256: documents.Digest | None = None


def upload(folder: Path, system: Any, root: str) -> None:
    """Moves a finished run to ``root/runs`` so that a partial copy is never mistaken for a finished run.

    On a file system it is copied next to its place, then renamed: the first copy wins. Elsewhere renaming is not atomic,
    and its commit record is uploaded last.
    """
    target = f"{root}/runs/{folder.name}"
    if system.exists(target) and not endings(system, root, [folder.name]):
        refuse_what_no_run_holds(system, target)
        system.rm(target, recursive=True)
    if isinstance(system, LocalFileSystem):
        beside = f"{root}/uploads/{folder.name}.{uuid.uuid4().hex}"
        try:
            shutil.copytree(folder, beside, ignore=shutil.ignore_patterns("run.lock"))
            os.rename(beside, target)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            if not endings(system, root, [folder.name]):
                raise
        return
    last = folder / commits.NAME
    others = [path for path in folder.rglob("*") if path.is_file() and path != last and path.name != "run.lock"]
    system.put([str(path) for path in others], [f"{target}/{path.relative_to(folder).as_posix()}" for path in others])
    system.put_file(str(last), f"{target}/{last.name}")


def refuse_what_no_run_holds(system: Any, target: str) -> None:
    """Checks ``target`` before it is deleted for a new upload, and before its run is trained: it may be something else."""
    if isinstance(system, LocalFileSystem):
        held = [name for name, kind in files.walk(Path(target)) if kind != "folder"] if os.path.lexists(target) else []
    else:
        held = [path.partition(f"{target.strip('/')}/")[2] for path in system.find(target)]
    for name in held:
        if name not in (commits.NAME, RESULTS, "run.lock") and not commits.names_a_file(name):
            raise RunError(f"{target} is no finished run and holds {name!r}, which no run holds: move it away")


def clear_uploads(root: str, names: Sequence[str]) -> None:
    """Removes partial local copies of the runs called ``names``, left by killed workers."""
    uploads = Path(root, "uploads")
    if uploads.is_dir() and not uploads.is_symlink():
        for copy in uploads.iterdir():
            name, _, mark = copy.name.rpartition(".")
            if name in names and re.fullmatch("[0-9a-f]{32}", mark):
                shutil.rmtree(copy, ignore_errors=True)
        with suppress(OSError):  # it holds files of another process
            uploads.rmdir()
