"""Changes of a training in progress, for `nm.replay`: small objects that compose with ``+``.

Each holds from step ``since`` (None: from the fork on) until before step ``until`` (None: to the end); a step counts the updates done.
Of a unit change, ``layer`` is one of ours (``layers.1``); units are numbered from 0. Images are numbers of training images.

>>> nm.changes.Ablate("layers.1", 19) + nm.changes.LearningRate(0.5, until=800)
(Ablate(since=None, until=None, layer='layers.1', units=19), LearningRate(since=None, until=800, factor=0.5))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from . import documents
from .config import ConfigError, TrainConfig
from .data import ImageSet
from .doors import door, typed
from .errors import unknown
from .models import Network, build
from .training import Observer, Training, learning_rate
from .training.feed import DataChange

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

Numbers = int | tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of a training; the base of all."""

    since: int | None = None
    """The first step at which it holds; None: from the fork on."""
    until: int | None = None
    """The first step at which it no longer holds; None: to the end."""

    def __post_init__(self) -> None:
        for name, value in (("since", self.since), ("until", self.until)):
            _require(value is None or value >= 0, f"{name} is {value}; it must be 0 or more, or None")
        if self.since is not None and self.until is not None:
            _require(self.since < self.until, f"it holds from step {self.since} until before {self.until}: never")

    def __add__(self, other: Change | tuple[Change, ...]) -> tuple[Change, ...]:
        return (self, *changes_of(other))

    def __radd__(self, other: tuple[Change, ...]) -> tuple[Change, ...]:
        return (*other, self)

    def holds(self, step: int) -> bool:
        """True while it holds.

        Args:
            step: Updates done.
        """
        return (self.since or 0) <= step and (self.until is None or step < self.until)

    def observer(self, fork: Fork) -> Observer | None:
        """The observer that applies it to a network in training; None for a change of data.

        Args:
            fork: The place of the fork.
        """
        return None

    def feed(self, images: ImageSet) -> DataChange | None:
        """Its effect on the batches; None if there is none.

        Args:
            images: The training images.
        """
        return None

    def check(self, network: Any, images: ImageSet) -> None:
        """A ConfigError if it can't be made in this network or these images.

        Args:
            network: The network at the fork.
            images: The training images.
        """

    def matched(self, random: np.random.Generator, network: Any, images: ImageSet) -> Change | None:
        """A random change of the same kind and size elsewhere, the null; None if there is none of this kind.

        Args:
            random: A random generator.
            network: The network at the fork.
            images: The training images.
        """
        return None

    def moved(self, other: Change) -> Change:
        """This change at the place of another one.

        Args:
            other: A change about units, or classes or images, as this one.
        """
        return self

    @property
    def where(self) -> tuple[str, frozenset[int]]:
        """A layer and its units, or classes or images; two draws differ in it."""
        return "", frozenset()


@dataclass(frozen=True)
class Fork:
    """The place of a fork in a training."""

    step: int
    """Optimizer steps done."""
    end: int
    """Optimizer steps in the whole training after it."""
    config: TrainConfig
    """The settings of the original training."""
    total_steps: int
    """Its optimizer steps."""


# --- units ------------------------------------------------------------------------------------------------------------------


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
        _require(bool(self.chosen), f"{type(self).__name__} of no unit changes nothing; give units")
        _require(len({*self.chosen}) == len(self.chosen), f"units of {self.layer} repeat: {self.chosen}")
        for unit in self.chosen:
            _require(0 <= unit < size, f"{self.layer} has units 0 to {size - 1}; got {unit}")

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
        _require(len(self.chosen) == 1, f"Duplicate takes one unit; got {len(self.chosen)}: compose several with +")
        _require(
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
    _require(isinstance(network, Network), f"unit changes need an nm.MLP or nm.CNN; this is {type(network).__name__}")
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


# --- data -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetChange(Change):
    """A change of a class, some classes, or a set of training images."""

    classes: Numbers | None = None
    """Numbers of classes; None: ``images``."""
    images: tuple[int, ...] | None = None
    """Numbers of training images; None: ``classes``."""

    @property
    def no_change(self) -> tuple[int, ...]:
        """Classes that it would leave as they are."""
        return ()

    @property
    def where(self) -> tuple[str, frozenset[int]]:
        kind = "images" if self.classes is None else "classes"
        return kind, frozenset((self.images or ()) if self.classes is None else _tuple(self.classes))

    def moved(self, other: Change) -> Change:
        if not isinstance(other, SetChange):
            return self
        return replace(self, classes=other.classes, images=other.images)

    def check(self, network: Any, images: ImageSet) -> None:
        name = type(self).__name__
        _require((self.classes is None) != (self.images is None), f"{name} takes classes= or images=, one of both")
        for number in _tuple(self.classes):
            _require(0 <= number < images.classes, f"there are classes 0 to {images.classes - 1}; got {number}")
        for number in self.images or ():
            _require(0 <= number < len(images), f"training images are 0 to {len(images) - 1}; got {number}")
        _require(bool(self.mask(images).any()), f"{name} of no image changes nothing")

    def mask(self, images: ImageSet) -> np.ndarray:
        """True for the images that it is about, [example].

        Args:
            images: The training images.
        """
        if self.images is not None:
            return np.isin(np.arange(len(images)), self.images)
        return np.isin(np.asarray(images.labels), _tuple(self.classes))

    def matched(self, random: np.random.Generator, network: Any, images: ImageSet) -> Change | None:
        if self.classes is not None:
            chosen = _tuple(self.classes)
            others = [number for number in range(images.classes) if number not in (*chosen, *self.no_change)]
            if len(others) < len(chosen):
                return None
            drawn = sorted(random.choice(others, len(chosen), replace=False).tolist())
            return replace(self, classes=drawn[0] if len(drawn) == 1 else tuple(drawn))
        labels, mask = np.asarray(images.labels), self.mask(images)
        found: list[int] = []
        for label, count in zip(*np.unique(labels[mask], return_counts=True), strict=True):
            there = np.flatnonzero((labels == label) & ~mask)
            if len(there) < count:
                return None
            found += random.choice(there, count, replace=False).tolist()
        return replace(self, images=tuple(sorted(found)))


class _Set(DataChange):
    """A change of the data of a set, while it holds."""

    def __init__(self, change: SetChange, images: ImageSet) -> None:
        self.change, self.inside = change, torch.from_numpy(change.mask(images))

    def active(self, step: int) -> bool:
        return self.change.holds(step)


@typed
@dataclass(frozen=True)
class Withhold(SetChange):
    """Images are left out of the batches: each batch's loss is the mean over the rest.

    >>> nm.changes.Withhold(classes=7, since=0, until=400)
    Withhold(since=0, until=400, classes=7, images=None)
    """

    def feed(self, images: ImageSet) -> DataChange:
        class Left(_Set):
            def weights(self, indices: Tensor, weights: Tensor | None) -> Tensor | None:
                kept = (~self.inside[indices]).float()
                return kept if weights is None else weights * kept

        return Left(self, images)


@typed
@dataclass(frozen=True)
class Relabel(SetChange):
    """Images are trained on with another label."""

    to: int = 0
    """The label."""

    @property
    def no_change(self) -> tuple[int, ...]:
        return (self.to,)

    def check(self, network: Any, images: ImageSet) -> None:
        super().check(network, images)
        _require(0 <= self.to < images.classes, f"there are classes 0 to {images.classes - 1}; got to={self.to}")

    def feed(self, images: ImageSet) -> DataChange:
        to = self.to

        class Other(_Set):
            def labels(self, indices: Tensor, labels: Tensor) -> Tensor:
                return torch.where(self.inside[indices], to, labels)

        return Other(self, images)


@typed
@dataclass(frozen=True)
class Reorder(SetChange):
    """Images come first, or last, in every epoch that begins while it holds; the order is otherwise kept."""

    place: Literal["first", "last"] = "first"
    """Their place in an epoch."""

    def feed(self, images: ImageSet) -> DataChange:
        last = self.place == "last"

        class Moved(_Set):
            def order(self, epoch: list[Tensor]) -> list[Tensor]:
                whole = torch.cat(epoch)
                inside = self.inside[whole]
                parts = [whole[inside], whole[~inside]]
                return list(torch.cat(parts[::-1] if last else parts).split([len(batch) for batch in epoch]))

        return Moved(self, images)


@typed
@dataclass(frozen=True)
class Blur(SetChange):
    """Images are trained on blurred by a Gaussian.

    >>> nm.changes.Blur(classes=(4, 9), sigma=1.5, until=100)
    Blur(since=None, until=100, classes=(4, 9), images=None, sigma=1.5)"""

    sigma: float = 2.0
    """Standard deviation of the Gaussian in pixels."""

    def check(self, network: Any, images: ImageSet) -> None:
        super().check(network, images)
        _require(0 < self.sigma < 1000, f"sigma is {self.sigma}; it must be above 0, in pixels")

    def feed(self, images: ImageSet) -> DataChange:
        sigma = self.sigma

        class Blurred(_Set):
            def images(self, indices: Tensor, images: Tensor) -> Tensor:
                inside = self.inside[indices]
                if not inside.any():
                    return images
                told = images.clone()
                flat = gaussian_filter(images[inside].cpu().numpy(), (0,) * (images.ndim - 2) + (sigma, sigma))
                told[inside] = torch.from_numpy(flat).to(images)
                return told

        return Blurred(self, images)


# --- the optimizer ----------------------------------------------------------------------------------------------------------


@typed
@dataclass(frozen=True)
class LearningRate(Change):
    """The learning rate times a factor.

    >>> nm.changes.LearningRate(0.5, since=400).holds(399)
    False
    """

    factor: float
    """The factor."""

    def observer(self, fork: Fork) -> Observer:
        return _Setting(self, "lr", lambda rate, step: rate * self.factor)


@typed
@dataclass(frozen=True)
class WeightDecay(Change):
    """Another weight decay."""

    value: float
    """The weight decay."""

    def observer(self, fork: Fork) -> Observer:
        return _Setting(self, "weight_decay", lambda decay, step: self.value)


@typed
@dataclass(frozen=True)
class Schedule(Change):
    """The schedule of the learning rate: that of the original training by its steps, or one that starts again at the fork."""

    how: Literal["continued", "restarted"] = "continued"
    """The schedule."""

    def observer(self, fork: Fork) -> Observer:
        first, steps = (0, fork.total_steps) if self.how == "continued" else (fork.step, fork.end - fork.step)
        return _Setting(self, "lr", lambda rate, step: learning_rate(fork.config, min(step - first, steps - 1), steps))


class _Setting(Observer):
    """Sets an optimizer's setting before each update: a function of its value and the step."""

    def __init__(self, change: Change, name: str, value: Any) -> None:
        self.change, self.name, self.value = change, name, value

    def started(self, training: Training) -> None:
        self.usual = training.optimizer.param_groups[0][self.name]

    def before_update(self, training: Training) -> None:
        for group in training.optimizer.param_groups:
            if self.change.holds(training.step):
                group[self.name] = self.value(group[self.name], training.step)
        if self.name == "lr":
            training.rows["learning_rate"][-1] = training.optimizer.param_groups[0]["lr"]

    def stepped(self, training: Training) -> None:
        for group in training.optimizer.param_groups:
            group[self.name] = self.usual  # before any other change sets it for the next step


# --- several ----------------------------------------------------------------------------------------------------------------

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
def changes_of(change: Change | Iterable[Change] | None) -> tuple[Change, ...]:
    """A change, several, or none, as a tuple.

    Args:
        change: A change, several, or None.
    """
    return () if change is None else (change,) if isinstance(change, Change) else tuple(change)


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


def _tuple(numbers: Numbers | None) -> tuple[int, ...]:
    return () if numbers is None else (numbers,) if isinstance(numbers, int) else numbers


def _require(condition: bool, text: str) -> None:
    if not condition:
        raise ConfigError(text)
