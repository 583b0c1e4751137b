"""Networks of the same architecture with random weights, fully or from the top down; checked to keep none of the model's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from ...errors import DataError
from ...hooks import evaluation
from ...models import CNN, MLP, build

POWER_ITERATIONS = 15
"""Power iterations after which a spectral norm has found the largest singular value of new weights."""


def random_networks(model: nn.Module, n: int, seed: int) -> Iterator[nn.Module]:
    """``n`` random networks; their seeds are drawn, so none is the model's own initial seed."""
    if n < 1:
        raise DataError(f"n is {n}; at least 1 random network is needed, and 39 for a p of 0.025")
    for number in np.random.default_rng(seed).integers(2**31, size=n):
        yield fresh(model, int(number))


def fresh(model: nn.Module, seed: int) -> nn.Module:
    """A network of the same architecture with new random weights; the model is unchanged.

    An MLP or CNN is built again from its config; any other module is copied and each submodule's ``reset_parameters`` called.
    Whatever lies between parameters and the weights in use is kept: parametrizations (weight norm, spectral norm, orthogonal, …), the older
    `weight_norm` and `spectral_norm`, and the masks of `prune`. Buffers unknown to ``reset_parameters`` stay, as part of the architecture.

    Checked: a second copy, whose parameters are first filled with noise, must become the same network, otherwise some of the model's
    weights were left; and the new network must differ from the model. Otherwise a DataError names the parameter.
    A DataError also names a submodule that
    holds parameters without ``reset_parameters``, and for a parametrization that can't be inverted.
    """
    parameter = next(model.parameters(), torch.zeros(()))
    if type(model) in (MLP, CNN):
        built = build(model.config, seed).to(parameter)  # type: ignore[arg-type]
        if built.state_dict().keys() == model.state_dict().keys():
            return built
    names = layers(model)
    new, other = _copy(model).cpu(), _copy(model).cpu()  # a device's own generator would give different numbers
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for weights in other.parameters():
            if weights.is_floating_point():
                weights.normal_()
        for net in (new, other):
            torch.default_generator.manual_seed(seed)
            for name in names:
                _redraw(net.get_submodule(name), name)
    _refuse_different(other, new, "keeps its value from before reset_parameters()")
    if all(torch.equal(one.cpu(), two) for one, two in zip(model.parameters(), new.parameters(), strict=True)):
        raise DataError("reset_parameters() gives the weights that the network already has: nothing in it is random")
    return new.to(parameter.device)


def layers(model: nn.Module) -> list[str]:
    """Modules that own parameters, or buffers that they can reset, in the model's order."""
    within = {
        id(m) for one in model.modules() if isinstance(one, parametrize.ParametrizationList) for m in one.modules()
    }
    names, fixed = [], []
    for name, module in model.named_modules():
        resets = hasattr(module, "reset_parameters")
        holds = next(module.parameters(recurse=False), None) is not None or parametrize.is_parametrized(module)
        if id(module) not in within and (holds or (resets and next(module.buffers(recurse=False), None) is not None)):
            names.append(name)
            fixed += [] if resets else [name]
    if fixed or not names:
        what = f"{fixed[0] or 'the model'!r} holds parameters but has no reset_parameters" if fixed else "no parameters"
        raise DataError(f"{what}: the network can't be given random weights; add that method to the module")
    return names


def cascade(model: nn.Module, random: nn.Module, names: list[str]) -> Iterator[nn.Module]:
    """Copies of the model: after each layer of ``names`` takes the random network's weights as well.

    Weights that layers share become random with the first of them. A layer that does not take them is a DataError.
    """
    net = _copy(model)
    for name in names:
        layer, other = net.get_submodule(name), random.get_submodule(name)
        layer.load_state_dict(other.state_dict())
        _refuse_different(layer, other, "does not take the random network's weights", f"{name}.")
        yield net


def _copy(model: nn.Module) -> Any:
    """A deep copy; weights computed by the older weight norm and prune are copied without their graph."""
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return copy.deepcopy(model, {id(value): value.detach().clone() for value in held if value.grad_fn is not None})


def _redraw(module: Any, name: str) -> None:
    """New random weights by ``reset_parameters``, stored where the weights in use are computed from."""
    hooks = [hook for hook in module._forward_pre_hooks.values() if isinstance(hook, OLD)]
    before = {_tensor_of(hook): getattr(module, _tensor_of(hook)).clone() for hook in hooks}
    if parametrize.is_parametrized(module):
        with evaluation(module):  # in training a spectral norm changes its buffers whenever a weight is read
            _redraw_parametrized(module, name)
    else:
        module.reset_parameters()
    for hook in hooks:
        tensor = _tensor_of(hook)
        value = getattr(module, tensor).detach()
        if torch.equal(value, before[tensor]):
            continue  # its source was reset itself, or nothing was: the check finds out
        if isinstance(hook, WeightNorm):
            getattr(module, f"{tensor}_g").copy_(torch.norm_except_dim(value, 2, hook.dim))
            getattr(module, f"{tensor}_v").copy_(value)
        else:
            getattr(module, f"{tensor}_orig").copy_(value)
    _settle(module, hooks)


OLD = (WeightNorm, SpectralNorm, BasePruningMethod)
"""Hooks that compute a weight before each forward pass from parameters of other names."""


def _tensor_of(hook: Any) -> str:
    return hook._tensor_name if isinstance(hook, BasePruningMethod) else hook.name


def _redraw_parametrized(module: Any, name: str) -> None:
    """The initial value of a plain module of the same kind, put through the inverse of each parametrization."""
    kind: Any = parametrize.type_before_parametrizations(module)
    parametrized = list(module.parametrizations)
    plain = kind.__new__(kind)  # removing parametrizations from a copy would take them from the module's class too
    plain.__dict__ = _copy(module).__dict__
    del plain.parametrizations
    for tensor in parametrized:
        plain.register_parameter(tensor, nn.Parameter(getattr(module, tensor).detach().clone()))
    plain.reset_parameters()
    for tensor, value in [*plain.named_parameters(recurse=False), *plain.named_buffers(recurse=False)]:
        if tensor not in parametrized:
            getattr(module, tensor).copy_(value)
            continue
        try:
            setattr(module, tensor, value.detach())
        except (NotImplementedError, RuntimeError, ValueError) as error:
            raise DataError(
                f"{f'{name}.{tensor}'!r} is parametrized without an inverse, so the network can't be given random "
                f"weights; give the parametrization a right_inverse ({error})"
            ) from error


def _settle(module: Any, hooks: list[Any]) -> None:
    """Lets spectral norms find the norm of the new weights, as in training, and old hooks compute the weights in use."""
    parametrized = list(module.parametrizations) if parametrize.is_parametrized(module) else []
    with evaluation(module):  # restores every mode
        module.train()
        for _ in range(POWER_ITERATIONS if hooks or parametrized else 0):
            for tensor in parametrized:
                getattr(module, tensor)
            for hook in hooks:
                hook(module, None)


def _refuse_different(one: nn.Module, other: nn.Module, what: str, prefix: str = "") -> None:
    """A DataError that names the first parameter or buffer in which two networks differ."""
    expected = other.state_dict()
    for name, value in one.state_dict().items():
        if isinstance(value, Tensor) and not torch.equal(value.nan_to_num(), expected[name].nan_to_num()):
            raise DataError(
                f"{prefix + name!r} {what}: the network would not be random. Have the module's reset_parameters() draw "
                "each of its parameters again"
            )
