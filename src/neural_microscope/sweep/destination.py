"""Where a sweep's runs go, a local path or any fsspec URL: what is there already, and how a run gets there whole."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from .. import __version__, files
from ..errors import RunError
from ..run import Commit, commits
from .jobs import Sweep

TAIL = 1 << 16
"""Bytes from the end of a commit record that are read for its last line, which names a snapshot's files: some 3,000."""


def endings(system: Any, root: str, names: Sequence[str]) -> dict[str, Commit]:
    """The last line of the commit record of each run that is done with: finished, or diverged."""
    read = contents(system, [f"{root}/runs/{name}/{commits.NAME}" for name in names], TAIL)
    lasts = {name: commits.last(content) for name, content in zip(names, read, strict=True) if content is not None}
    return {name: end for name, end in lasts.items() if end and end.status.split()[0] in ("finished", "diverged")}


def contents(system: Any, paths: Sequence[str], tail: int | None = None) -> list[bytes | None]:
    """What each file holds, or its last bytes; None where there is none. What can't be read for another reason is that error."""
    for path in paths:
        _refuse_what_is_no_file(system, path)
    found = system.cat_ranges(list(paths), [-tail if tail else 0] * len(paths), [None] * len(paths), on_error="return")
    for content in found:
        if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
            raise content
    return [content if isinstance(content, bytes) else None for content in found]


def _refuse_what_is_no_file(system: Any, path: str) -> None:
    """Here, where a FIFO or a device may lie in a file's place."""
    if isinstance(system, LocalFileSystem) and os.path.lexists(path):
        files.opened(path).close()


def place(folder: str | Path) -> tuple[Any, str]:
    """(the file system, the path on it)."""
    try:
        return fsspec.core.url_to_fs(str(folder))
    except (ValueError, ImportError) as error:
        raise RunError(f"{folder} is no place for a sweep: {error}") from None


def claim(asked: Sweep, folder: str | Path) -> tuple[Any, str]:
    """The sweep's `place`, with its folder made, or found to hold what was asked for before. Errors: RunError where it holds something
    else, FileError where nothing can be written.
    """
    system, root = place(folder)
    if system.exists(f"{root}/sweep.json"):
        there = read(system.unstrip_protocol(root))
        new = asked.to_json()
        for part, old in there.to_json().items():
            if json.dumps(old) != json.dumps(new[part]):  # the order of settings counts: runs are named by it
                raise RunError(
                    f"{root} holds another sweep: its {part} is {json.dumps(old)}, asked for is {json.dumps(new[part])}. Give a "
                    "new folder, or ask for the same to go on with it"
                )
        return system, root
    if system.exists(root) and system.ls(root):
        raise RunError(f"{root} is not empty and holds no sweep.json: give a new folder")
    if isinstance(system, LocalFileSystem):
        files.writable(f"{root}/sweep.json")
    system.makedirs(f"{root}/runs", exist_ok=True)
    about = {"format_version": 1, "neural-microscope": __version__, "asked": asked.to_json()}
    system.pipe_file(f"{root}/sweep.json", json.dumps(about, indent=1).encode())
    return system, root


def read(folder: str | Path) -> Sweep:
    """What a sweep's folder was made for. Errors: RunError where it is none."""
    system, root = place(folder)
    _refuse_what_is_no_file(system, f"{root}/sweep.json")
    try:
        return Sweep.from_json(json.loads(system.cat_file(f"{root}/sweep.json"))["asked"])
    except FileNotFoundError:
        raise RunError(f"{folder} is not the folder of a sweep: it has no sweep.json") from None


def upload(folder: Path, system: Any, root: str) -> None:
    """Brings a finished run to ``root/runs``, so that nobody sees half of it as a whole.

    On a file system it is copied beside its place, then renamed: the first to come wins. Elsewhere nothing can be renamed in one step,
    and its commit record is put there when all else is.
    """
    target = f"{root}/runs/{folder.name}"
    if system.exists(target) and not endings(system, root, [folder.name]):
        system.rm(target, recursive=True)
    if isinstance(system, LocalFileSystem):
        beside = f"{root}/uploads/{folder.name}.{uuid.uuid4().hex}"
        shutil.copytree(folder, beside, ignore=shutil.ignore_patterns("run.lock"))
        try:
            os.rename(beside, target)
        except OSError:
            shutil.rmtree(beside)
            if not endings(system, root, [folder.name]):
                raise
        return
    last = folder / commits.NAME
    others = [path for path in folder.rglob("*") if path.is_file() and path != last and path.name != "run.lock"]
    system.put([str(path) for path in others], [f"{target}/{path.relative_to(folder).as_posix()}" for path in others])
    system.put_file(str(last), f"{target}/{last.name}")
