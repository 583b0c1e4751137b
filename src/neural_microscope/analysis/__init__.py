"""Measures of a network's activations, weights and training. They take named arrays (causal ones a model and images) and return
xarray datasets.

Imported on first use: ``nm.analysis.selectivity.class_selectivity(acts)``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__all__ = [
    "attribution",
    "causal",
    "development",
    "dictionary",
    "dynamics",
    "edits",
    "findings",
    "geometry",
    "influence",
    "look",
    "predictions",
    "probes",
    "selectivity",
    "similarity",
    "streaming",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")


if TYPE_CHECKING:
    from . import (
        attribution,
        causal,
        development,
        dictionary,
        dynamics,
        edits,
        findings,
        geometry,
        influence,
        look,
        predictions,
        probes,
        selectivity,
        similarity,
        streaming,
    )
