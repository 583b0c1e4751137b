"""Groups of runs that are one network trained from several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .. import files
from ..doors import door
from .run import Run


@door
def same_but_seed(runs: Sequence[Run]) -> list[list[int]]:
    """Indices of the runs in groups of one network, training and data, in the order given; no seed twice in a group.

    A run without a known seed, and a repeated seed, start a group of their own: they may be two networks or one.

    Args:
        runs: Recorded runs.
    """
    groups: dict[str, dict[Any, int]] = {}
    for place, run in enumerate(runs):
        about = run.description
        parts = [{k: v for k, v in about[part].items() if k != "seed"} for part in ("model", "train")]
        key, seed = json.dumps([*parts, about["data"]["sha256"]], sort_keys=True), about["model"].get("seed")
        if seed is None or seed in groups.get(key, {}):
            key += f" {place}"
        groups.setdefault(key, {})[seed] = place
    return [list(group.values()) for group in groups.values()]


@door
def network_names(runs: Sequence[Run]) -> list[str]:
    """A name for each network: MLP and CNN, or a module's class.

    Equal names are followed by the setting in which the networks differ, ``MLP (learning rate 0.001)``; where it is not
    one, by as much of the folder's path as distinguishes them.

    Args:
        runs: Recorded runs.
    """
    about = [run.description["model"] for run in runs]
    kinds = [a["class"] if a["kind"] == "module" else a["kind"].upper() for a in about]
    names: list[str] = []
    for run, kind in zip(runs, kinds, strict=True):
        alike = [other for other, k in zip(runs, kinds, strict=True) if k == kind]
        name = kind if len(alike) == 1 else f"{kind} ({_setting(run, alike) or _path(run, alike)})"
        name = files.shown(name)
        names.append(f"{name} {names.count(name) + 1}" if name in names else name)  # one run given twice
    return names


def in_words(value: Any) -> str:
    """The value of a setting: ``0.001``, ``128-64``, ``none`` of an empty list.

    Args:
        value: A number, a text or a list.
    """
    if isinstance(value, list | tuple):
        return "-".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _setting(run: Run, alike: Sequence[Run]) -> str:
    """The one setting in which each of these runs differs from all others; empty if there is none."""
    settings = [{**one.description["model"], **one.description["train"], "seed": None} for one in alike]
    different = [key for key in settings[0] if any(one.get(key) != settings[0][key] for one in settings)]
    values = [one.get(key) for one in settings for key in different]
    one = len(different) == 1 and all(values.count(value) == 1 and _short(value) for value in values)
    return f"{different[0].replace('_', ' ')} {in_words(settings[alike.index(run)][different[0]])}" if one else ""


def _short(value: Any) -> bool:
    """True for a value that a name can hold."""
    return isinstance(value, int | float | str) or (
        isinstance(value, list) and all(isinstance(x, int) for x in value) and len(value) < 8
    )


def _path(run: Run, alike: Sequence[Run]) -> str:
    own, paths = run.folder.parts, [other.folder.parts for other in alike]
    parts = next((n for n in range(1, len(own)) if [p[-n:] for p in paths].count(own[-n:]) == 1), 1)
    return "/".join(own[-parts:])
