"""Evaluation mode for a while, also where several threads look at one network."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..doors import typed

Modes = list[tuple[nn.Module, bool]]

_lock = threading.Lock()
_before: list[tuple[nn.Module, Modes]] = []
"""Of each block that some thread is in, in the order of entry: the model, and the modes to give back."""


@typed
@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode while the block lasts; every submodule gets back the mode it had. With blocks of several threads the last one
    that ends gives back what the first has found.
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
            for _, later in after:  # they found evaluation mode, and would leave it
                for number, (module, _mode) in enumerate(later):
                    if module in modes:
                        later[number] = module, modes.pop(module)
            for module, mode in modes.items():
                module.training = mode
