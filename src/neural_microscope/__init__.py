"""A microscope for small neural networks.

Train an MLP or a CNN on handwritten digits, record the whole training run, and inspect the network's activations and weights.

This module imports nothing heavy: each name is fetched when it is first used (PEP 562).
"""

from __future__ import annotations

TYPE_CHECKING = False  # see `stops`
if TYPE_CHECKING:
    from typing import Any

__version__ = "0.1.0"
RELEASED = "2026-11-29"
"""The day of this version's release."""

_ROOMS = {
    "": "analysis changes config data edits errors explorer hooks influence interop interventions lessons phantoms plots replays report "
    "scalar statistics sweep training",
    "config": "CNNConfig MLPConfig RecordConfig TrainConfig",
    "hooks": "ActivationCache HookPoint HookedModel activations hooked",
    "loops": "record",
    "models": "CNN MLP",
    "recording": "Recorder resume",
    "replays": "Replay replay",
    "run": "Run",
    "training": "evaluate train train_population",
}
"""Public modules, and the public names of each."""

_NAMES = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = ["__version__", *_NAMES]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    import importlib

    room = importlib.import_module(f"{__name__}.{_NAMES[name] or name}")
    return getattr(room, name) if _NAMES[name] else room


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from . import (
        analysis,
        changes,
        config,
        data,
        edits,
        errors,
        explorer,
        hooks,
        influence,
        interop,
        interventions,
        lessons,
        phantoms,
        plots,
        replays,
        report,
        scalar,
        statistics,
        sweep,
        training,
    )
    from .config import CNNConfig, MLPConfig, RecordConfig, TrainConfig
    from .hooks import ActivationCache, HookedModel, HookPoint, activations, hooked
    from .loops import record
    from .models import CNN, MLP
    from .recording import Recorder, resume
    from .replays import Replay, replay
    from .run import Run
    from .training import evaluate, train, train_population
