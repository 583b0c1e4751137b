"""A folder whose writer was killed before anything was recorded. It is begun anew, where it holds nothing but what that writer made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .. import files
from ..errors import RunError
from . import commits, description
from .verify import LOCK, difference

_GROUPS = r"log\.zarr(?:/(?:training|gradients))?"
_FILE = re.compile(
    rf"run\.json|probe\.safetensors|{re.escape(commits.NAME)}|(?:state|weights)/0{{8}}\.safetensors|"
    rf"{_GROUPS}(?:/{commits.ARRAY})?/(?:zarr\.json|zarr\.[0-9a-f]{{32}}|c\.0(?:\.0)*)"
)
_FOLDER = re.compile(rf"state|weights|{_GROUPS}(?:/{commits.ARRAY})?")


def leftovers(folder: Path) -> list[str]:
    """What such a writer left behind, in an order in which it can be deleted; nothing of an empty folder or none.

    A RunError where there is a run, a file in the folder's place, or anything else, by name.
    """
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise RunError(f"{folder} is a file; give a new folder")
    found = {name: kind for name, kind in files.walk(folder) if name != LOCK}
    record = commits.read(folder) if commits.NAME in found else commits.Record((), ())
    if _recorded(record):
        raise RunError(
            f"{folder} holds a run already: give a new folder, or continue that run with `microscope resume {folder}`"
        )
    foreign = min((name for name, kind in found.items() if not _ours(name, kind)), default="")
    if not foreign and found:
        foreign = "" if _description(folder, record) or set(found) <= {"run.json.partial"} else min(found)
    if foreign:
        raise RunError(f"{folder} is not empty (it holds {foreign}): give a new folder")
    return sorted(found, key=lambda name: (name == "run.json", -name.count("/"), found[name] == "folder", name))


def remove(folder: Path, names: list[str]) -> None:
    for name in names:
        path = folder / name
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()


def to_begin_anew(folder: Path) -> dict[str, Any] | None:
    """What run.json says of a run in which nothing was recorded; None where something was. A RunError where nobody knows what was to be
    recorded, or where something else lies there.
    """
    record = commits.read(folder)
    if _recorded(record):
        return None
    about = _description(folder, record)
    if about is None:
        raise RunError(
            f"{folder} is not a run folder, or nothing was recorded in it: the command that was to train it begins it anew"
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
