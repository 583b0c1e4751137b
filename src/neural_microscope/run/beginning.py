"""A folder whose writer was killed before anything was recorded. The run starts over if the folder holds only that writer's files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import files
from ..errors import RunError
from . import commits, description
from .verify import LOCK, difference, no_run

_GROUPS = r"log\.zarr(?:/(?:training|gradients))?"
_FILE = re.compile(
    rf"run\.json|probe\.safetensors|{re.escape(commits.NAME)}|(?:state|weights)/0{{8}}\.safetensors|"
    rf"{_GROUPS}(?:/{commits.ARRAY})?/(?:zarr\.json|zarr\.[0-9a-f]{{32}}|c\.0(?:\.0)*)"
)
_FOLDER = re.compile(rf"state|weights|{_GROUPS}(?:/{commits.ARRAY})?")


def leftovers(folder: Path) -> list[str]:
    """Files that such a writer left, in an order in which they can be deleted; none for an empty or missing folder.

    A RunError if there is a run, a file in the folder's place, or anything else, by name.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise RunError(f"{folder} is a file; give a new folder")
    found = {name: kind for name, kind in files.walk(folder) if name != LOCK}
    record = commits.read(folder) if commits.NAME in found else commits.Record((), ())
    if _recorded(record):
        raise RunError(
            f"{folder} holds a run already: give a new folder, or continue that run with `microscope resume {folder}`; "
            "if it records a training loop of your own, with nm.record(…, resume=True)"
        )
    foreign = min((name for name, kind in found.items() if not _ours(name, kind)), default="")
    if not foreign and found:
        foreign = "" if _description(folder, record) or set(found) <= {"run.json.partial"} else min(found)
    if foreign:
        raise RunError(f"{folder} is not empty (it holds {foreign!r}): give a new folder")
    return sorted(found, key=lambda name: (name == "run.json", -name.count("/"), found[name] == "folder", name))


def remove(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


def to_start_over(folder: Path) -> dict[str, Any] | None:
    """run.json's content for a run in which nothing was recorded; None if something was. A RunError if its description is unknown,
    or if the folder holds anything else.
    """
    record = commits.read(folder)
    if _recorded(record):
        return None
    about = _description(folder, record)
    if about is None:
        if not folder.is_dir() or any(folder.glob("*/run.json")):
            raise no_run(folder)
        raise RunError(
            f"{folder} is not a run folder, or nothing was recorded in it: the command that trains it starts it over"
        )
    leftovers(folder)
    return about


def _recorded(record: commits.Record) -> bool:
    return bool(record.snapshots) or (record.fault == "damage" and record.problem not in ("missing", "empty"))


def _ours(name: str, kind: str) -> bool:
    return bool(
        _FOLDER.fullmatch(name)
        if kind == "folder"
        else kind == "file" and _FILE.fullmatch(name.removesuffix(".partial"))
    )


def _description(folder: Path, record: commits.Record) -> dict[str, Any] | None:
    """run.json, if a recorder has written it."""
    path, expected = folder / "run.json", record.files().get("run.json")
    try:
        if expected is not None and difference(folder, path.name, expected):
            return None
        with files.opened(path, folder) as file:
            return description.read(file.read(), path)
    except (OSError, RunError):
        return None
