"""Verification of every byte of a run folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .. import files
from ..doors import door
from ..errors import RunError
from . import commits

LOCK = "run.lock"
RESULTS = "results.safetensors"
"""The cached results of the default analysis; not part of the recording."""
FOREIGN = "not part of this run"
"""The description of a file that no writer of runs made."""
_NOT_RECORDED = {LOCK, commits.NAME, RESULTS}
_OWN = {LOCK, commits.NAME, "run.json", "probe.safetensors", "log.zarr", "weights", "state"}


@dataclass(frozen=True)
class Problem:
    """A file that has changed since it was written."""

    path: str
    """Path in the run folder."""
    what: str
    """The change in words."""
    kind: Literal["damage", "interrupted"]
    """``damage``: committed and changed since. ``interrupted``: a writer was stopped before it was committed;
    resume redoes it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@door
def verify(folder: str | Path, record: commits.Record | None = None) -> list[Problem]:
    """Every missing, truncated or altered file of a run folder, by comparison with the hashes in the commit record.

    An empty list means that every committed byte is unchanged, and that the folder holds nothing else. While a run is
    being written, the files of the next snapshot are reported as not committed yet.

    Args:
        folder: A run folder.
        record: Its commit record, if it was read already; None: it is read.

    Raises:
        RunError: There is no folder.
    """
    folder = files.place(folder)
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}")
    record = record or commits.read(folder)
    present = sorted(name for name, kind in files.walk(folder) if kind != "folder")
    problems = []
    if record.problem:
        interrupted = record.fault == "unfinished" or _nothing_recorded(record, present)
        problems.append(Problem(commits.NAME, record.problem, "interrupted" if interrupted else "damage"))
    current = record.files()
    damage = {path: what for path, expected in current.items() if (what := difference(folder, path, expected))}
    problems += [Problem(path, what, "damage") for path, what in damage.items()]
    known = set(current) | record.removed() | _NOT_RECORDED
    return problems + [Problem(path, _stray(path), "interrupted") for path in present if path not in known]


def no_run(folder: Path) -> RunError:
    """The error for a folder without run.json, with the runs below it."""
    if not folder.is_dir():
        return RunError(f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}")
    held = sorted(found.parent for found in folder.glob("*/run.json"))
    if not held:
        wrote = "A run folder is what `microscope train --out FOLDER` or nm.Recorder(FOLDER) writes"
        return RunError(f"{folder} is not a run folder: it has no run.json. {wrote}")
    named = ", ".join([one.name for one in held[:10]] + ["…"] * (len(held) > 10))
    return RunError(
        f"{folder} is not a run folder: it has no run.json, but holds runs: {named}. Give one, such as {held[0]}"
    )


def _nothing_recorded(record: commits.Record, present: list[str]) -> bool:
    """True if a writer was stopped before it committed its first snapshot."""
    return not record.commits and not any(re.fullmatch(r"weights/0*[1-9]\d*\.safetensors", name) for name in present)


def _stray(path: str) -> str:
    """A description of a file that no commit names."""
    if commits.WRITTEN.fullmatch(path.removesuffix(".partial")):
        return (
            "not part of this run: a writer that was stopped has not committed it, and `microscope resume` deletes it"
        )
    return FOREIGN


def present(folder: Path) -> set[str]:
    """The files in a run folder. A RunError if a link, a folder, a FIFO, … is in the place of one of a run's own."""
    found = set()
    for name, kind in files.walk(folder):
        if kind == "file":
            found.add(name)
        elif (
            name.partition("/")[0] in _OWN if kind != "folder" else commits.names_a_file(name.removesuffix(".partial"))
        ):
            raise RunError(f"{folder / name} is a {kind}; a run holds only files and folders of its own")
    return found


def difference(folder: Path, path: str, expected: str) -> str:
    """The difference of a run's file from the one whose SHA-256 is ``expected``, in words; empty if there is none."""
    try:
        found = commits.sha256(folder / path, folder)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"can't be read ({error.strerror})"
    return (
        "" if found == expected else f"altered: its checksum (SHA-256) is {found[:12]}…, recorded was {expected[:12]}…"
    )


def checked(folder: Path, path: str, record: commits.Record) -> bytes:
    """A file's bytes, if they are those that were committed; otherwise a RunError that names it."""
    expected = record.files().get(path)
    if expected is None:
        raise RunError(f"{folder / path} is not in the commit record")
    try:
        with files.opened(folder / path, folder) as file:
            content = file.read()
    except OSError as error:
        raise RunError(
            f"{folder / path} can't be read: {error.strerror}. If the run is still being written, open it again"
        ) from None
    if hashlib.sha256(content).hexdigest() != expected:
        raise RunError(f"{folder / path} has changed since it was written: its SHA-256 differs")
    return content
