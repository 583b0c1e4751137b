"""Changes of units: lost, frozen, started over, copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data import ImageSet
from ..doors import typed
from ..errors import unknown
from ..models import Network, build
from ..training import Observer, Training
from .change import Change, Fork, Numbers, require


@dataclass(frozen=True)
class UnitChange(Change):
    """A change of some units of a hidden layer."""

    layer: str
    """The layer: ``layers.1``."""
    units: Numbers
    """Numbers of the units, or channels."""

    @property
    def chosen(self) -> list[int]:
        """The units as a list."""
        return [self.units] if isinstance(self.units, int) else list(self.units)

    @property
    def where(self) -> tuple[str, frozenset[int]]:
        return self.layer, frozenset(self.chosen)

    def moved(self, other: Change) -> Change:
        return replace(self, units=other.units) if isinstance(other, UnitChange) else self

    def check(self, network: Any, images: ImageSet) -> None:
        size = width(network, self.layer)
        require(bool(self.chosen), f"{type(self).__name__} of no unit changes nothing; give units")
        require(len({*self.chosen}) == len(self.chosen), f"units of {self.layer} repeat: {self.chosen}")
        for unit in self.chosen:
            require(0 <= unit < size, f"{self.layer} has units 0 to {size - 1}; got {unit}")

    def matched(self, random: np.random.Generator, network: Any, images: ImageSet) -> Change | None:
        others = [unit for unit in range(width(network, self.layer)) if unit not in self.chosen]
        if len(others) < len(self.chosen):
            return None
        drawn = sorted(random.choice(others, len(self.chosen), replace=False).tolist())
        return replace(self, units=drawn[0] if len(drawn) == 1 else tuple(drawn))


@typed
@dataclass(frozen=True)
class Ablate(UnitChange):
    """Units are lost: their outgoing weights are 0 while it holds, and so are their activations without normalization.

    After ``until`` their weights are what they were when they were lost.

    >>> nm.changes.Ablate("layers.1", (3, 19), until=100).holds(100)
    False
    """

    def observer(self, fork: Fork) -> Observer:
        return _Held(self, lost=True)


@typed
@dataclass(frozen=True)
class Freeze(UnitChange):
    """Units stop learning: their incoming weights and biases do not change while it holds."""

    def observer(self, fork: Fork) -> Observer:
        return _Held(self, lost=False)


@typed
@dataclass(frozen=True)
class Reinitialize(UnitChange):
    """Units start over: their incoming and outgoing weights and biases are drawn again, once, as those of a new network are.

    The optimizer's moments of these weights become 0.
    """

    seed: int = 0
    """Seed of the new network from which they come."""

    def observer(self, fork: Fork) -> Observer:
        return _Once(self, fork, _start_over)


@typed
@dataclass(frozen=True)
class Duplicate(UnitChange):
    """A unit gets a copy with the same incoming weights; both have half of its outgoing weights, so that nothing else changes.

    The copy is one more unit at the end of the layer. In the unchanged twins and the null branches that unit is dead (all its weights
    are 0 and stay 0), so that all networks have the same size. Only without normalization.
    """

    def check(self, network: Any, images: ImageSet) -> None:
        super().check(network, images)
        require(len(self.chosen) == 1, f"Duplicate takes one unit; got {len(self.chosen)}: compose several with +")
        require(
            network.config.norm == "none", f"Duplicate would change {network.config.norm} normalization over the layer"
        )

    def observer(self, fork: Fork) -> Observer:
        return _Once(self, fork, _copy)


class _Held(Observer):
    """Holds weights of some units at 0, or where they were."""

    def __init__(self, change: UnitChange, lost: bool) -> None:
        self.change, self.lost = change, lost
        self.before: list[tuple[Tensor, Tensor]] = []

    def started(self, training: Training) -> None:
        self._apply(training)

    def stepped(self, training: Training) -> None:
        self._apply(training)

    @torch.no_grad()
    def _apply(self, training: Training) -> None:
        if not self.change.holds(training.step):
            if self.lost:
                for place, value in self.before:
                    place.copy_(value)
            self.before = []
            return
        if not self.before:
            self.before = [(place, place.clone()) for place in self._places(training.model)]
        for place, value in self.before:
            place.zero_() if self.lost else place.copy_(value)

    def _places(self, network: Any) -> Iterator[Tensor]:
        for unit in self.change.chosen:
            if self.lost:
                yield from outgoing(network, self.change.layer, unit)
            if not self.lost or network.config.norm == "none":
                yield from incoming(network, self.change.layer, unit)


class _Once(Observer):
    """Applies a function (change, training) once."""

    def __init__(self, change: UnitChange, fork: Fork, apply: Any) -> None:
        self.change, self.apply = change, apply
        self.at = fork.step if change.since is None else change.since

    def started(self, training: Training) -> None:
        self.stepped(training)

    @torch.no_grad()
    def stepped(self, training: Training) -> None:
        if training.step == self.at:
            self.apply(self.change, training)


def _start_over(change: Reinitialize, training: Training) -> None:
    network: Any = training.model
    fresh = build(network.config, change.seed)
    for unit in change.chosen:
        for ends in (incoming, outgoing):
            for place, drawn in zip(ends(network, change.layer, unit), ends(fresh, change.layer, unit), strict=True):
                place.copy_(drawn)
            for _, moments in _moments(training):
                for place in ends(training.model, change.layer, unit, moments):
                    place.zero_()


def _copy(change: Duplicate, training: Training) -> None:
    network, layer, unit = training.model, change.layer, change.chosen[0]
    last = width(network, layer) - 1
    for values in ({}, *(moments for _, moments in _moments(training))):
        for here, there in zip(
            incoming(network, layer, unit, values), incoming(network, layer, last, values), strict=True
        ):
            there.copy_(here)
        for here, there in zip(
            outgoing(network, layer, unit, values), outgoing(network, layer, last, values), strict=True
        ):
            if not values:
                here.mul_(0.5)
            there.copy_(here)


def _moments(training: Training) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(slot, tensor of each parameter by name) of the optimizer's state that has the parameters' shapes."""
    named = dict(training.model.named_parameters())
    slots = {slot for state in training.optimizer.state.values() for slot in state}
    for slot in sorted(slots):
        held = {
            name: training.optimizer.state[p].get(slot) for name, p in named.items() if p in training.optimizer.state
        }
        if all(tensor is not None and tensor.shape == named[name].shape for name, tensor in held.items()):
            yield slot, held


def width(network: Any, layer: str) -> int:
    """The number of units, or channels, of a hidden layer of one of our networks.

    Raises:
        ConfigError: A foreign module.
        UnknownName: No hidden layer.
    """
    require(isinstance(network, Network), f"unit changes need an nm.MLP or nm.CNN; this is {type(network).__name__}")
    names = [f"layers.{number}" for number in range(len(network.layers))]
    if layer not in names:
        raise unknown("hidden layer", layer, names)
    return len(network.get_submodule(layer).weights.weight)


def incoming(network: Any, layer: str, unit: int, values: dict[str, Tensor] | None = None) -> Iterator[Tensor]:
    """Views of a unit's incoming weights and bias.

    Args:
        network: One of our networks.
        layer: One of its hidden layers.
        unit: Number of the unit, or channel.
        values: Other tensors in place of the parameters, by name; empty or None: the parameters.
    """
    held = values or dict(network.named_parameters())
    kind = network.get_submodule(layer).kind
    for name in (f"{layer}.{kind}.weight", f"{layer}.{kind}.bias"):
        if name in held:
            yield held[name].detach()[unit]


def outgoing(network: Any, layer: str, unit: int, values: dict[str, Tensor] | None = None) -> Iterator[Tensor]:
    """Views of the weights that read a unit in the next layer; arguments as of `incoming`."""
    held = values or dict(network.named_parameters())
    number = int(layer.split(".")[1]) + 1
    following = f"layers.{number}.{network.layers[number].kind}" if number < len(network.layers) else "output"
    weight = held[f"{following}.weight"].detach()
    each = weight.shape[1] // width(network, layer) if weight.ndim == 2 else 1  # a flattened map has several columns
    yield weight[:, unit * each : (unit + 1) * each]
