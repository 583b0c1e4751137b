"""Run folders whose author has altered a file and then recomputed every hash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

from neural_microscope.run import commits


def forge(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """The commit record after ``change``, with every hash of its chain made right again."""
    path, chain, content = folder / commits.NAME, sha256(b"").hexdigest(), b""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(lines)
    for line in lines:
        line.pop("sha256", None)
        line["previous"] = chain
        text = _canonical({**line, "sha256": sha256(_canonical(line)).hexdigest()}) + b"\n"
        chain, content = sha256(text).hexdigest(), content + text
    path.write_bytes(content)


def forged(folder: Path, name: str, content: bytes) -> None:
    """A file with another content, and a commit record that says that it was always so."""

    def change(lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if name in line["files"]:
                line["files"][name] = sha256(content).hexdigest()

    (folder / name).write_bytes(content)
    forge(folder, change)


def changed(document: Any, where: float, how: str, value: Any) -> None:
    """Changes one place of a JSON document, ``where`` from 0 to 1 through all of them."""
    places = [*_places(document)]
    if not places:
        return
    above, key = places[int(where * len(places))]
    if how == "delete":
        del above[key]
    elif how == "rename" and isinstance(above, dict):
        above[str(value)] = above.pop(key)
    elif how == "repeat" and isinstance(above, list):
        above.append(deepcopy(above[key]))
    elif how == "count" and isinstance(above[key], int):
        above[key] += 1
    else:
        above[key] = deepcopy(value)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield value, key
        yield from _places(below)


def _canonical(values: dict[str, Any]) -> bytes:
    return json.dumps(values, sort_keys=True, ensure_ascii=True).encode()
