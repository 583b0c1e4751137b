"""Evaluation mode for the duration of a block, also when several threads use one network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..doors import typed

Modes = list[tuple[nn.Module, bool]]

_lock = threading.Lock()
_before: list[tuple[nn.Module, Modes]] = []
"""The blocks that threads are in, in the order of entry: the model, and the modes to restore."""


@typed
@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the duration of the block; every submodule's mode is restored.

    With blocks of several threads, the last one to end restores the modes found by the first.

    Args:
        model: Any torch module.
    """
    with _lock:
        entry = model, [(module, module.training) for module in model.modules()]
        _before.append(entry)
        model.eval()
    try:
        yield
    finally:
        with _lock:
            place = next(number for number, one in enumerate(_before) if one is entry)
            modes, after = dict(entry[1]), _before[place + 1 :]
            del _before[place]
            for _, later in after:  # they found evaluation mode, and would keep it
                for number, (module, _mode) in enumerate(later):
                    if module in modes:
                        later[number] = module, modes.pop(module)
            for module, mode in modes.items():
                module.training = mode
