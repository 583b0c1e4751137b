"""The commit record: one line of JSON for each set of files that is safely on disk.

A line carries the SHA-256 of every file written since the line before, of that line (so lines form a chain) and of itself. All
lines together give the hash of every file then current; a file counts when a line names it. A writer that is killed while
appending leaves an incomplete last line; anything else that differs from what was written is damage.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from .. import documents, files
from ..documents import Count, Digest, Text
from ..errors import RunError

NAME = "commits.jsonl"

ARRAY = r"(?!\.{0,2}(?:/|\Z)|[A-Za-z]:)[^/\\\x00-\x1f\x7f\ud800-\udfff]+"
"""An array of the log: a name without a slash that can't leave its folder."""
_STATE = r"state/[0-9]{8,}\.safetensors"
_CHUNK = rf"log\.zarr/(?:(?:training|gradients)/)?{ARRAY}/c(?:\.[0-9]+)+"
WRITTEN = re.compile(rf"{_STATE}|weights/[0-9]{{8,}}\.safetensors|{_CHUNK}")
"""Paths that a writer adds to a run after its creation: only such files are ever deleted."""
_CREATED = re.compile(rf"run\.json|probe\.safetensors|log\.zarr/(?:(?:training|gradients)/)?(?:{ARRAY}/)?zarr\.json")

Fault = Literal["", "unfinished", "tail", "damage"]
"""Of a commit record: complete; its end was never written; only its end is damaged; damaged (or lost) before its end."""


@dataclass(frozen=True)
class Commit:
    """One line."""

    kind: Literal["created", "snapshot", "stopped"]
    """The reason for the line."""
    snapshots: Count = 0
    """The number of snapshots on disk."""
    step: Count = 0
    """Optimizer steps done at the last snapshot."""
    rows: Count = 0
    """The number of steps whose scalars are on disk, in the log or in the state file."""
    status: Annotated[Text, Meta(pattern=r"\S")] = "running"
    """The run's status, see `Run.status`."""
    files: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file written since the line before, by its path in the run folder."""
    removed: tuple[str, ...] = ()
    """Paths of the files that the writer deletes."""


@dataclass(frozen=True, kw_only=True)
class _Line(Commit):
    """A commit, and the hash that links its line to the one before it. Its names are checked separately: see `_foreign`."""

    files: dict[str, Any]
    removed: tuple[Any, ...]
    time: Text
    previous: Digest
    sha256: Digest


@dataclass(frozen=True)
class Record:
    """The valid lines of a commit record, and the fault of the rest."""

    commits: tuple[Commit, ...]
    lines: tuple[bytes, ...]
    fault: Fault = ""
    problem: str = ""
    """The fault in words."""

    @property
    def length(self) -> int:
        """The length of the valid lines in bytes."""
        return sum(map(len, self.lines))

    @property
    def chain(self) -> str:
        """The hash of the last line, to which the next line refers."""
        return _digest(self.lines[-1] if self.lines else b"")

    @property
    def snapshots(self) -> int:
        """The number of complete snapshots."""
        return sum(commit.kind == "snapshot" for commit in self.commits)

    def files(self) -> dict[str, str]:
        """SHA-256 of every current file, by its path in the run folder."""
        return self._files

    @cached_property
    def _files(self) -> dict[str, str]:
        current: dict[str, str] = {}
        for commit in self.commits:
            current.update(commit.files)
            for path in commit.removed:
                current.pop(path, None)
        return current

    def removed(self) -> set[str]:
        return {path for commit in self.commits for path in commit.removed}

    def without_last_snapshot(self) -> Record:
        """The record without its last snapshot."""
        end = max(i for i, commit in enumerate(self.commits) if commit.kind == "snapshot")
        return Record(self.commits[:end], self.lines[:end])


def sha256(path: Path, below: Path | None = None) -> str:
    """The SHA-256 of a regular file, see `files.opened`."""
    with files.opened(path, below) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append(folder: Path, commit: Commit, time: str, chain: str) -> str:
    """Appends a line after the one with the hash ``chain`` and waits until it is on disk; returns the new line's hash."""
    line = _line(commit, time, chain)
    with (folder / NAME).open("ab") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return _digest(line)


def read(folder: Path) -> Record:
    """The valid lines from the start. Reading stops at the first line that differs from what was written.

    A line that names a file that no writer creates, such as one outside the folder, is a RunError: it was forged.
    """
    path = folder / NAME
    try:
        with files.opened(path, folder) as file:
            lines = file.read().splitlines(keepends=True)
    except FileNotFoundError:
        return Record((), (), "damage", "missing")
    except OSError as error:
        raise RunError(f"{path} can't be read: {error.strerror}") from None
    commits: list[Commit] = []
    chain = _digest(b"")
    for number, line in enumerate(lines):
        commit, previous = _parse(line)
        if commit is None or previous != chain:
            return Record(tuple(commits), tuple(lines[:number]), *_fault(lines, number))
        foreign = next(_foreign(commit), None)
        if foreign:
            raise RunError(f"{path}: line {number + 1} names {foreign}, which no run holds; the folder is not used")
        commits.append(commit)
        chain = _digest(line)
    return Record(tuple(commits), tuple(lines), *(("", "") if commits else ("damage", "empty")))


def last(content: bytes) -> Commit | None:
    """The commit of the last line of a record, from the record's bytes or only their end. None if that line is not, byte for byte,
    what was written, or names a file that no run holds; its link to the lines before it is not checked.
    """
    lines = content.splitlines(keepends=True)
    commit = _parse(lines[-1])[0] if lines else None
    return None if commit is None or any(_foreign(commit)) else commit


def names_a_file(path: str) -> bool:
    """True if a writer creates a file of that path."""
    return bool(WRITTEN.fullmatch(path) or _CREATED.fullmatch(path))


def _foreign(commit: Commit) -> Iterator[str]:
    """Names in a commit that no writer creates."""
    for name, digest in commit.files.items():
        if not names_a_file(name):
            yield repr(name)
        elif not (isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest)):
            yield f"{name!r} with the hash {digest!r}"
    yield from (repr(n) for n in commit.removed if not (isinstance(n, str) and re.fullmatch(_STATE, n)))


def _fault(lines: list[bytes], number: int) -> tuple[Fault, str]:
    where = f"line {number + 1} of {len(lines)}"
    if any(_parse(line)[0] for line in lines[number:]):  # a valid line that does not follow from the one before it
        return "damage", f"{where} is damaged or missing"
    if number + 1 == len(lines) and not lines[number].endswith(b"\n"):
        return "unfinished", f"{where} was never finished"
    return "tail", f"{where} is damaged"


def _line(commit: Commit, time: str, chain: str) -> bytes:
    values = {**asdict(commit), "time": time, "previous": chain}
    return _canonical({**values, "sha256": _digest(_canonical(values))}) + b"\n"


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, ensure_ascii=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _parse(line: bytes) -> tuple[Commit | None, str]:
    """(the commit, the hash of the line before it), or None if the line is not, byte for byte, what `_line` wrote."""
    try:
        found = documents.decode(line, _Line, NAME, RunError)
    except RunError:
        return None, ""
    commit = Commit(**{one.name: getattr(found, one.name) for one in fields(Commit)})
    return (commit, found.previous) if line == _line(commit, found.time, found.previous) else (None, "")
