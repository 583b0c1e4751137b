"""A microscope for small neural networks.

Train an MLP or a CNN on handwritten digits, record the network's whole life, and see what happens inside.

This module imports nothing heavy: each name is fetched when it is first used (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_MODULES = (
    "analysis",
    "config",
    "data",
    "errors",
    "explorer",
    "hooks",
    "interop",
    "interventions",
    "lessons",
    "phantoms",
    "plots",
    "report",
    "scalar",
    "statistics",
    "sweep",
)
_NAMES = {
    "ActivationCache": "hooks",
    "HookPoint": "hooks",
    "HookedModel": "hooks",
    "activations": "hooks",
    "hooked": "hooks",
    "CNN": "models",
    "MLP": "models",
    "CNNConfig": "config",
    "MLPConfig": "config",
    "RecordConfig": "config",
    "TrainConfig": "config",
    "Recorder": "recording",
    "resume": "recording",
    "Run": "run",
    "evaluate": "training",
    "train": "training",
    "train_population": "training",
}

__all__ = ["__version__", *_MODULES, *_NAMES]


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from . import (
        analysis,
        config,
        data,
        errors,
        explorer,
        hooks,
        interop,
        interventions,
        lessons,
        phantoms,
        plots,
        report,
        scalar,
        statistics,
        sweep,
    )
    from .config import CNNConfig, MLPConfig, RecordConfig, TrainConfig
    from .hooks import ActivationCache, HookedModel, HookPoint, activations, hooked
    from .models import CNN, MLP
    from .recording import Recorder, resume
    from .run import Run
    from .training import evaluate, train, train_population
