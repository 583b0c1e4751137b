"""Is every byte of a run folder what was written?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from . import commits

_NOT_RECORDED = {"run.lock", commits.NAME}


@dataclass(frozen=True)
class Problem:
    """A file that is not as it was written."""

    path: str
    what: str
    kind: Literal["damage", "interrupted"]
    """``damage``: it was committed and is no longer what it was. ``interrupted``: a writer was stopped before it was committed; resume redoes it."""

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


def verify(folder: str | Path, record: commits.Record | None = None) -> list[Problem]:
    """Every missing, truncated or altered file of a run folder, by comparison with the hashes in the commit record.

    An empty list means that each committed byte is as it was written, and that nothing else lies in the folder.
    """
    folder = Path(folder)
    record = record or commits.read(folder)
    problems = []
    if record.problem:
        kind: Literal["damage", "interrupted"] = (
            "interrupted" if record.problem.endswith("never finished") else "damage"
        )
        problems.append(Problem(commits.NAME, record.problem, kind))
    current = record.files()
    for path, expected in current.items():
        if not (folder / path).is_file():
            problems.append(Problem(path, "missing", "damage"))
        elif (found := commits.sha256(folder / path)) != expected:
            problems.append(Problem(path, f"SHA-256 is {found[:12]}…, {expected[:12]}… was written", "damage"))
    known = set(current) | record.removed() | _NOT_RECORDED
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        path = file.relative_to(folder).as_posix()
        if path not in known:
            problems.append(Problem(path, "not in the commit record: left by an interrupted writer", "interrupted"))
    return problems
