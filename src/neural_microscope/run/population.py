"""Which runs are one network trained from several seeds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from .run import Run


def same_but_seed(runs: Sequence[Run]) -> list[list[int]]:
    """Places of the runs in groups of one network, training and data, in the order given; no seed twice in a group.

    A run that tells no seed, and a seed that came already, begin a group of their own: nobody knows whether these are two
    networks or one.
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
