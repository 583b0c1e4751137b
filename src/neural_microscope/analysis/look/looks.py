"""The results of a look, and how they are computed: on demand, or all, in steps that a few processes can share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from torch import nn

from ...axes import unit_axis
from ...doors import door
from ...errors import RunError, unknown
from ...measure import MEASURES, Scope, every
from ...processes import Steps, one_by_one
from ...run import Run

Progress = Callable[[str, int, int], None]
READ_AGAIN = ("acts", "peaks", "logits", "model")
FEWEST_IMAGES = 20
"""Groups of equal count and halves of halves need this many."""


@dataclass(eq=False)
class _Look:
    """Results by the names of their measures, computed when first asked for."""

    run: Run
    results: dict[str, Any] = field(default_factory=dict)

    scope: ClassVar[Scope] = "network"

    @cached_property
    def model(self) -> nn.Module:
        """The network at its last snapshot. For a run of a foreign module, the caller sets it to an instance."""
        return self.run.model()

    def __getitem__(self, name: str) -> Any:
        if name not in self.results:
            measure, _, variant = name.partition("/")
            asked = MEASURES[measure].asked.get(variant) if measure in MEASURES else None
            if asked is None or asked.scope != self.scope:
                raise unknown("result", name, [*self.results, *asked_for(self.scope)])
            self.results[name] = asked.look(self)
        return self.results[name]

    def __getstate__(self) -> dict[str, Any]:
        """Without activations and model: they are read again from the run."""
        return {name: value for name, value in self.__dict__.items() if name not in READ_AGAIN}


@dataclass(eq=False)
class LayerLook(_Look):
    """The results for one hidden layer."""

    hook_point: str = ""
    axis: str = "unit"

    scope: ClassVar[Scope] = "layer"

    @cached_property
    def acts(self) -> xr.DataArray:
        """[snapshot, example, unit]; of a channel the mean over its map."""
        return self.run.activations(self.hook_point).load()

    @cached_property
    def peaks(self) -> xr.DataArray:
        """[snapshot, example, unit]; of a channel the highest position of its map."""
        return self.run.activations(self.hook_point, "max").load()

    @property
    def trained(self) -> xr.DataArray:
        """Activations at the last snapshot."""
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
    """The results for a network and for its hidden layers."""

    name: str = ""
    layers: tuple[LayerLook, ...] = ()

    @cached_property
    def logits(self) -> xr.DataArray:
        """[snapshot, example, class]"""
        return self.run.activations("logits").load()

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
    """A look that computes its results on access."""
    if reason := unlooked(run):
        raise RunError(f"{run.folder} {reason}")
    names = [name for name in run.hook_points if name.endswith("hook_post")]
    layers = tuple(LayerLook(run, {}, name, unit_axis(run.activations(name).dims)) for name in names)
    return FirstLook(run, {}, run.description["model"]["kind"].upper(), layers)


def unlooked(run: Run) -> str:
    """The reason a run can't be analyzed, to follow its name; empty if it can."""
    if run.description["model"]["kind"] == "module":
        return (
            f"records a {run.description['model']['class']}, whose layer names this analysis does not know. Compute "
            "the measures one by one: nm.analysis.… on run.activations(name), and causal ones on nm.hooked(your module)"
        )
    if len(run.probe) < FEWEST_IMAGES:
        larger = "RecordConfig(probe_size=…)", "record with a test set that has as many"
        advice = larger[run.description["record"]["probe_size"] > len(run.probe)]
        return f"has {len(run.probe)} probe images; this analysis needs {FEWEST_IMAGES} or more: {advice}"
    return ""


@door
def first_look(run: Run, progress: Progress | None = None) -> FirstLook:
    """Computes every measure of the default analysis. ``progress(part, done, total)`` counts the measures of each layer, and those of
    the whole network.
    """
    return one_by_one(looking(run), progress or (lambda part, done, total: None))


def looking(run: Run) -> Steps:
    """`first_look` in steps: layers are independent, and the network as a whole needs little of them."""
    look = begun(run)
    later = [name for name in asked_for("network") if name in OF_LAYERS]
    first = [name for name in asked_for("network") if name not in OF_LAYERS]
    jobs = [partial(_taken, layer, layer.short, list(asked_for("layer"))) for layer in look.layers]
    *layers, look.results = yield [*jobs, partial(_taken, look, "the whole network", first)]
    for layer, results in zip(look.layers, layers, strict=True):
        layer.results = results
    (look.results,) = yield [partial(_taken, look, "all layers together", later)]
    return look


OF_LAYERS = ("causal.cumulative_ablation",)
"""Results of a network that are computed from those of its layers."""


def _taken(look: _Look, part: str, names: Sequence[str], tell: Progress) -> dict[str, Any]:
    for done, name in enumerate(names):
        look[name]
        tell(part, done + 1, len(names))
    return look.results


@dataclass(eq=False)
class Pair(_Look):
    """Two networks on the same images."""

    first: FirstLook = field(kw_only=True)
    second: FirstLook = field(kw_only=True)

    scope: ClassVar[Scope] = "pair"

    @property
    def name(self) -> str:
        """``MLP and CNN``"""
        return f"{self.first.name} and {self.second.name}"


@door
def pairs(looks: Sequence[FirstLook]) -> list[Pair]:
    """The first network paired with each of the others that was probed with the same images and has hidden layers."""
    return [
        Pair(looks[0].run, first=looks[0], second=other)
        for other in looks[1:]
        if looks[0].layers and other.layers and np.array_equal(looks[0].run.probe.images, other.run.probe.images)
    ]
