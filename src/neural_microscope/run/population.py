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

    Equal names are followed by as much of the folder's path as distinguishes them.

    Args:
        runs: Recorded runs.
    """
    about = [run.description["model"] for run in runs]
    kinds = [a["class"] if a["kind"] == "module" else a["kind"].upper() for a in about]
    names: list[str] = []
    for run, kind in zip(runs, kinds, strict=True):
        own, alike = run.folder.parts, [r.folder.parts for r, k in zip(runs, kinds, strict=True) if k == kind]
        parts = next((n for n in range(1, len(own)) if [p[-n:] for p in alike].count(own[-n:]) == 1), 1)
        name = kind if len(alike) == 1 else f"{kind} ({'/'.join(own[-parts:])})"
        name = files.shown(name)
        names.append(f"{name} {names.count(name) + 1}" if name in names else name)  # one run given twice
    return names
