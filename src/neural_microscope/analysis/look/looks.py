"""Looks at a network, its layers, or a pair of networks: results by the name of their measure, computed on first access."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from torch import nn

from ...axes import UNIT_AXES, unit_axis
from ...doors import door
from ...errors import MicroscopeError, RunError, unknown
from ...measure import MEASURES, Scope, every
from ...run import Run

Progress = Callable[[str, int, int], None]
READ_AGAIN = ("acts", "peaks", "logits", "model")
FEWEST_IMAGES = 20
"""Groups of equal count and halves of halves need this many."""
POINTS = 16
"""Snapshots of a curve whose every point is costly: as many as a page can show."""


def some(snapshots: int) -> list[int]:
    """The numbers of up to `POINTS` of so many snapshots, evenly spread from the first to the last."""
    return sorted(set(np.linspace(0, snapshots - 1, min(snapshots, POINTS)).round().astype(int).tolist()))


class Unmeasured(RunError):
    """A result that a run of a module can't give, with the reason."""


@dataclass(eq=False)
class _Look:
    """Results by the names of their measures, computed when first asked for."""

    run: Run
    results: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict, kw_only=True)
    """Of a run of a module: why it has no such results, by their names."""

    scope: ClassVar[Scope] = "network"

    @cached_property
    def model(self) -> nn.Module:
        """The network at its last snapshot. For a run of a foreign module, the caller sets it to an instance."""
        if foreign(self.run):
            raise Unmeasured(
                f"this takes the module itself, and the run holds only the weights of a {foreign(self.run)}"
            )
        return self.run.model()

    def __getitem__(self, name: str) -> Any:
        if name not in self.results:
            measure, _, variant = name.partition("/")
            asked = MEASURES[measure].asked.get(variant) if measure in MEASURES else None
            if asked is None or asked.scope != self.scope:
                raise unknown("result", name, [*self.results, *asked_for(self.scope)])
            if name in self.missing:
                raise Unmeasured(self.missing[name])
            try:
                self.results[name] = asked.look(self)
            except MicroscopeError as error:
                if not foreign(self.run):
                    raise
                self.missing[name] = str(error).removeprefix(f"{self.run.folder} ")
                raise Unmeasured(self.missing[name]) from None
        return self.results[name]

    def get(self, name: str) -> Any:
        """The result, or None where a run of a module has none."""
        try:
            return self[name]
        except Unmeasured:
            return None

    def __getstate__(self) -> dict[str, Any]:
        """Without activations and model: they are read again from the run."""
        return {name: value for name, value in self.__dict__.items() if name not in READ_AGAIN}


@dataclass(eq=False)
class LayerLook(_Look):
    """Results of one hidden layer, by the names of their measures, computed when first asked for.

    Attributes:
        run: A recorded run.
        results: Results computed so far.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        axis: ``unit`` or ``channel``.
        missing: Of a run of a module: the reason it lacks a result, by the result's name.
    """

    hook_point: str = ""
    axis: str = "unit"

    scope: ClassVar[Scope] = "layer"

    @cached_property
    def acts(self) -> xr.DataArray:
        """Activations [snapshot, example, unit]; of a channel the mean over its map."""
        return self.run.activations(self.hook_point).load()

    @cached_property
    def peaks(self) -> xr.DataArray:
        """Activations [snapshot, example, unit]; of a channel the highest position of its map."""
        return self.run.activations(self.hook_point, "max").load()

    @property
    def points(self) -> xr.DataArray:
        """Activations at `some` of the snapshots, [snapshot, example, unit]."""
        return self.acts.isel(snapshot=some(self.acts.sizes["snapshot"]))

    @property
    def trained(self) -> xr.DataArray:
        """Activations at the last snapshot, [example, unit]."""
        return self.acts.isel(snapshot=-1)

    @property
    def size(self) -> int:
        """The number of units."""
        return self["dynamics.activity"].sizes[self.axis]

    @property
    def short(self) -> str:
        """The hook point's name without its suffix."""
        return self.hook_point.removesuffix(".hook_post")


@dataclass(eq=False)
class FirstLook(_Look):
    """Results of a network and of its hidden layers, by the names of their measures, computed when first asked for.

    Attributes:
        run: A recorded run.
        results: Results computed so far.
        name: Name of the network.
        layers: Looks at the hidden layers, first to last.
        missing: Of a run of a module: the reason it lacks a result, by the result's name.
    """

    name: str = ""
    layers: tuple[LayerLook, ...] = ()

    @cached_property
    def logits(self) -> xr.DataArray:
        """Logits [snapshot, example, class]; of a module its output, if that is a number for each class."""
        if not foreign(self.run):
            return self.run.activations("logits").load()
        last = self.run.hook_points[-1]
        if self.run.description["hook_points"][last] != [self.run.probe.classes]:
            raise Unmeasured(f"this takes a number for each class, and {last} holds none")
        return self.run.activations(last).rename(unit="class").load()

    @property
    def seed(self) -> int | None:
        """The seed of the initial weights, if known."""
        return self.run.description["model"].get("seed")


def asked_for(scope: Scope) -> Iterator[str]:
    """The names of all results of the default analysis, for a network or a layer."""
    for measure in every():
        for variant, asked in measure.asked.items():
            if asked.scope == scope:
                yield f"{measure.name}/{variant}" if variant else measure.name


def begun(run: Run) -> FirstLook:
    """A look that computes what is asked of it."""
    if reason := unlooked(run):
        raise RunError(f"{run.folder} {reason}")
    layers = tuple(LayerLook(run, {}, name, axis) for name, axis in _layers(run))
    return FirstLook(run, {}, foreign(run) or run.description["model"]["kind"].upper(), layers)


def foreign(run: Run) -> str:
    """The class of a recorded module; empty of an MLP or a CNN."""
    about = run.description["model"]
    return str(about["class"]) if about["kind"] == "module" else ""


@door
def unpictured(run: Run) -> str:
    """The reason that a recorded module's first weights can't be shown as pictures of its inputs; empty if they can.

    Args:
        run: A recorded run.
    """
    weights = run.weights(0)
    first = next(
        (list(weights[name].shape) for name in run.description["parameters"] if weights[name].ndim in (2, 4)), []
    )
    if not foreign(run) or len(first) == 4:
        return ""
    if not first:
        return "no weight of this network is a matrix"
    example, pixels = run.probe.subset(np.arange(1)).tensor(), math.prod(run.probe.image_shape)
    if example.is_floating_point() and example.numel() == pixels == first[1]:
        return ""
    return f"the first weights are {first}, and an example holds {example.numel()} numbers"


def _layers(run: Run) -> Iterator[tuple[str, str]]:
    """The hook points that are looked at, and what stands along their axis. Of a module: all with units or channels, but for its logits."""
    if not foreign(run):
        names = [name for name in run.hook_points if name.endswith("hook_post")]
        yield from ((name, unit_axis(run.activations(name).dims)) for name in names)
        return
    shapes, names = run.description["hook_points"], run.hook_points
    while names and shapes[names[-1]] == [run.probe.classes]:
        names.pop()
    for name in names:
        axis = next((str(dim) for dim in run.activations(name).dims if dim in UNIT_AXES), "")
        yield from [(name, axis)] if axis else []


def unlooked(run: Run) -> str:
    """The reason a run can't be analyzed, to follow its name; empty if it can."""
    if len(run.probe) < FEWEST_IMAGES:
        larger = "RecordConfig(probe_size=…)", "record with a test set that has as many"
        advice = larger[run.description["record"]["probe_size"] > len(run.probe)]
        return f"has {len(run.probe)} probe images; this analysis needs {FEWEST_IMAGES} or more: {advice}"
    return ""


@dataclass(eq=False)
class Pair(_Look):
    """Results of two networks on the same images, by the names of their measures, computed when first asked for.

    Attributes:
        run: Run of the first network.
        results: Results computed so far.
        missing: Of a run of a module: the reason it lacks a result, by the result's name.
        first: Look at the first network.
        second: Look at the second network.
    """

    first: FirstLook = field(kw_only=True)
    second: FirstLook = field(kw_only=True)

    scope: ClassVar[Scope] = "pair"

    @property
    def name(self) -> str:
        """Names of the two networks, ``MLP and CNN``."""
        return f"{self.first.name} and {self.second.name}"


@door
def pairs(looks: Sequence[FirstLook]) -> list[Pair]:
    """The first network paired with each of the others that was probed with the same images and has hidden layers.

    Args:
        looks: Looks at networks, as `first_look` returns them.
    """
    return [
        Pair(looks[0].run, first=looks[0], second=other)
        for other in looks[1:]
        if looks[0].layers and other.layers and np.array_equal(looks[0].run.probe.images, other.run.probe.images)
    ]
