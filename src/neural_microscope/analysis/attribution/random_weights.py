"""Networks of the same build with random weights, wholly or from the top down."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from ...errors import DataError
from ...models import CNN, MLP, build


def random_networks(model: nn.Module, n: int, seed: int) -> Iterator[nn.Module]:
    """``n`` random networks; their seeds are drawn, so that none is the seed the model itself began from."""
    if n < 1:
        raise DataError(f"{n} random networks can't be compared with; take at least 1, and 39 for a p value of 0.025")
    for number in np.random.default_rng(seed).integers(2**31, size=n):
        yield fresh(model, int(number))


def fresh(model: nn.Module, seed: int) -> nn.Module:
    """A network of the same build with the random weights of a new one; the model stays as it is.

    An MLP or CNN is built anew from its config; of any other module a copy is made and each submodule's
    ``reset_parameters`` called. A submodule that holds parameters and has none is a DataError.
    """
    parameter = next(model.parameters(), torch.zeros(()))
    if type(model) in (MLP, CNN):
        return build(model.config, seed).to(parameter)  # type: ignore[arg-type]
    new = copy.deepcopy(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for name in layers(new):
            new.get_submodule(name).reset_parameters()  # type: ignore[operator]
    return new


def layers(model: nn.Module) -> list[str]:
    """The modules that hold parameters themselves, in the model's order."""
    names = [name for name, module in model.named_modules() if next(module.parameters(recurse=False), None) is not None]
    fixed = [name for name in names if not hasattr(model.get_submodule(name), "reset_parameters")]
    if fixed or not names:
        what = f"{fixed[0] or 'the model'!r} holds parameters but has no reset_parameters" if fixed else "no parameters"
        raise DataError(f"{what}: the network can't be drawn anew with random weights; give that module the method")
    return names


def cascade(model: nn.Module, random: nn.Module, names: list[str]) -> Iterator[nn.Module]:
    """A copy of the model, after each layer of ``names`` has taken the random network's weights as well."""
    net = copy.deepcopy(model)
    for name in names:
        net.get_submodule(name).load_state_dict(random.get_submodule(name).state_dict())
        yield net
