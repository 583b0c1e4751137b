"""The commit record: one line of JSON for each thing that is safely on disk.

A line carries the SHA-256 of every file written since the line before, of that line (so lines form a chain) and of itself. All lines together give
the hash of every file then current; a file counts when a line names it. Only the last line can be torn, by a writer that was killed while
appending it; damage anywhere else is damage.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAME = "commits.jsonl"


@dataclass(frozen=True)
class Commit:
    """One line. ``kind``: ``created``, ``snapshot`` or ``stopped``."""

    kind: str
    snapshots: int = 0
    """Snapshots that are on disk now."""
    step: int = 0
    """Optimiser steps done at the last snapshot."""
    rows: int = 0
    """Steps whose scalars are on disk now, in the log or in the state file."""
    status: str = "running"
    files: dict[str, str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Record:
    """The lines of a commit record that can be trusted, and what is wrong with the rest."""

    commits: tuple[Commit, ...]
    length: int
    """Bytes of the good lines."""
    problem: str = ""
    torn: bool = False
    """Whether the problem is in the last line only, so that what it stood for can be redone."""

    def files(self) -> dict[str, str]:
        """SHA-256 of every file now current, by its path in the run folder."""
        current: dict[str, str] = {}
        for commit in self.commits:
            current.update(commit.files)
            for path in commit.removed:
                current.pop(path, None)
        return current

    def removed(self) -> set[str]:
        return {path for commit in self.commits for path in commit.removed}


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append(folder: Path, commit: Commit, time: str) -> None:
    """Adds a line and waits until it is on disk."""
    path = folder / NAME
    last = path.read_bytes().splitlines()[-1] if path.exists() and path.stat().st_size else b""
    line = _line(commit, time, hashlib.sha256(last).hexdigest())
    with path.open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _line(commit: Commit, time: str, previous: str) -> bytes:
    values = {**commit.__dict__, "removed": list(commit.removed), "time": time, "previous": previous}
    digest = hashlib.sha256(_canonical(values)).hexdigest()
    return _canonical({**values, "sha256": digest}) + b"\n"


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, ensure_ascii=True).encode()


def read(folder: Path) -> Record:
    """The good lines from the start. Reading stops at the first line that is not exactly what was written."""
    path = folder / NAME
    if not path.exists():
        return Record((), 0, "missing")
    content = path.read_bytes()
    commits: list[Commit] = []
    length, previous = 0, b""
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        commit = _parse(line, previous)
        if commit is None:
            what = "is damaged" if line.endswith(b"\n") else "was never finished"
            return Record(tuple(commits), length, f"line {number} of {len(lines)} {what}", number == len(lines))
        commits.append(commit)
        length += len(line)
        previous = line.rstrip(b"\n")
    return Record(tuple(commits), length, "" if commits else "empty")


def _parse(line: bytes, previous: bytes) -> Commit | None:
    try:
        values = json.loads(line)
        digest, time, chain = values.pop("sha256"), values.pop("time"), values.pop("previous")
        commit = Commit(**{**values, "removed": tuple(values["removed"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    if chain != hashlib.sha256(previous).hexdigest() or line != _line(commit, time, chain):
        return None
    return commit if json.loads(line)["sha256"] == digest else None
