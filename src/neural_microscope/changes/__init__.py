"""Changes of a training in progress, for `nm.replay`: small objects that compose with ``+``.

Each holds from step ``since`` (None: from the fork on) until before step ``until`` (None: to the end); a step counts the updates done.
Of a unit change, ``layer`` is one of ours (``layers.1``); units are numbered from 0. Images are numbers of training images.

>>> nm.changes.Ablate("layers.1", 19) + nm.changes.LearningRate(0.5, until=800)
(Ablate(since=None, until=None, layer='layers.1', units=19), LearningRate(since=None, until=800, factor=0.5))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from .. import documents
from ..config import ConfigError
from ..doors import door
from ..errors import unknown
from .change import Change, changes_of
from .images import Blur, Relabel, Reorder, Withhold
from .settings import LearningRate, Schedule, WeightDecay
from .units import Ablate, Duplicate, Freeze, Reinitialize

__all__ = [
    "Ablate",
    "Blur",
    "Change",
    "Duplicate",
    "Freeze",
    "LearningRate",
    "Reinitialize",
    "Relabel",
    "Reorder",
    "Schedule",
    "WeightDecay",
    "Withhold",
    "changes_of",
    "from_json",
    "to_json",
]

KINDS: dict[str, type[Change]] = {
    kind.__name__: kind
    for kind in (
        Ablate,
        Freeze,
        Reinitialize,
        Duplicate,
        Withhold,
        Relabel,
        Reorder,
        Blur,
        LearningRate,
        WeightDecay,
        Schedule,
    )
}
APART = (LearningRate, WeightDecay, Schedule)
"""Changes of the optimizer's settings, for which each network needs an optimizer of its own."""


@door
def to_json(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Changes as plain values.

    Args:
        changes: Some changes.
    """
    return [{"kind": type(change).__name__, **dataclasses.asdict(change)} for change in changes]


@door
def from_json(values: Sequence[dict[str, Any]], name: object) -> tuple[Change, ...]:
    """The changes written by `to_json`.

    Args:
        values: Their plain values.
        name: The file that holds them, for errors.

    Raises:
        UnknownName: Another kind.
        ConfigError: Other fields or values.
    """
    found = []
    for value in values:
        fields = dict(value)
        kind = fields.pop("kind", "")
        if kind not in KINDS:
            raise unknown("kind of change", kind, KINDS)
        found.append(documents.convert(fields, KINDS[kind], name, ConfigError))
    return tuple(found)
