"""The remaining layers of a dense network for many changes of one pre-activation, each a column times a coefficient per image.

Replacing one unit moves the next pre-activation by that unit's column of weights times one number per image, and so does a
direction with a strength. Images lie along the last axis and each change passes through preallocated buffers: the
processor's cache then holds all data in use. The reference implementation is `Downstream.finish`; tests compare the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...models import Network

IN_PLACE: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {nn.ReLU: Tensor.relu_, nn.Tanh: Tensor.tanh_}
"""Nonlinearities that need no second buffer."""

LOGITS_AT_ONCE = 2**17
"""Logits requested at a time, so that they are still in the cache for the next operation."""


@dataclass(frozen=True)
class Dense:
    """The network after a pre-activation (or the logits themselves)."""

    base: Tensor
    """The value there, [unit, example]."""
    columns: Tensor
    """The contribution of each unit of the layer before, [unit before, unit]."""
    maps: tuple[tuple[Tensor, Tensor | None], ...]
    """Weights [out, in] and biases of the maps that follow, each after the nonlinearity; none if ``base`` are logits."""
    activate: Callable[[Tensor], Tensor]
    """The nonlinearity, in place."""

    @property
    def at_once(self) -> int:
        """The number of changes to request at a time."""
        classes = len(self.maps[-1][0]) if self.maps else len(self.base)
        return max(1, LOGITS_AT_ONCE // (classes * max(1, self.base.shape[1])))

    def logits(self, columns: Tensor, moves: Tensor) -> Tensor:
        """Logits [change, class, example] with each column [change, unit] times its move [change, example] added to ``base``."""
        base = self.base
        if not self.maps:
            return torch.addcmul(base, columns[..., None], moves[:, None])
        hidden = [base.new_empty(weight.shape[1], base.shape[1]) for weight, _ in self.maps]
        found = base.new_empty(len(columns), len(self.maps[-1][0]), base.shape[1])
        for column, move, out in zip(columns[..., None].unbind(), moves.unbind(), found.unbind(), strict=True):
            torch.addcmul(base, column, move, out=hidden[0])
            for (weight, bias), here, there in zip(self.maps, hidden, [*hidden[1:], out], strict=True):
                torch.mm(weight, self.activate(here), out=there)
                if bias is not None and there is not out:
                    there += bias[:, None]
        last = self.maps[-1][1]
        return found if last is None else found.add_(last[:, None])


def dense_rest(lens: Network, point: str, base: Tensor, weights: nn.Module) -> Dense | None:
    """The network from ``point`` on, where ``base`` [example, unit] is the output of ``weights``; None unless all that
    follows are dense layers without normalization or active dropout whose nonlinearity works in place.
    """
    if base.ndim != 2 or not isinstance(weights, nn.Linear):
        return None
    following: list[Any] = [] if point == "logits" else list(lens.layers)[int(point.split(".")[1]) :]
    if any(layer.kind != "linear" or layer.norm is not None or _drops(layer.dropout) for layer in following):
        return None
    nonlinearities = {type(layer.activation) for layer in following} or {nn.ReLU}  # logits need none
    if len(nonlinearities) > 1 or not nonlinearities <= set(IN_PLACE):
        return None
    linear = [layer.weights for layer in following[1:]] + ([lens.output] if following else [])
    maps = tuple((m.weight, m.bias) for m in linear)
    return Dense(base.T.contiguous(), weights.weight.T.contiguous(), maps, IN_PLACE[nonlinearities.pop()])


def _drops(dropout: nn.Module | None) -> bool:
    return dropout is not None and dropout.training
