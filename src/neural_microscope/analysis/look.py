"""A look at a recorded run: every measure of the default analysis on every hidden layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ..axes import unit_axis
from ..errors import RunError
from ..processes import Steps, one_by_one
from ..run import Run
from ..statistics import bootstrap, halves
from . import causal, dynamics, geometry, predictions, selectivity, similarity

Progress = Callable[[str, int, int], None]
FEWEST_IMAGES = 20
"""Groups of equal count and halves of halves need as many."""
TOP = 10
"""Strongest images of each unit that are kept."""
JUDGED = 150
"""Images on which orders of cutting out are judged: several hundred forward passes."""
OTHERS = 20
"""Units beside the costliest in its dose and response."""
SHARES = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0)
"""Shares of the units at which they are judged."""
ORDERS = 41
"""Random orders beside them: the fewest of which none being as far out gives p < 0.05, two-sided."""


@dataclass(frozen=True)
class LayerLook:
    """What was found in one hidden layer; the arrays are those of the measures."""

    hook_point: str
    axis: str
    # dynamics
    activity: xr.Dataset
    """Of each unit, or of each channel's highest position."""
    mean_activity: xr.Dataset
    """Of each unit, or of each channel's mean over its map."""
    histograms: xr.Dataset
    lives: xr.Dataset
    # geometry
    pca: xr.Dataset
    pca_untrained: xr.Dataset
    between: float
    """Share of the map's spread that lies between the classes, 0..1."""
    between_untrained: float
    dimension: xr.Dataset
    clusters: xr.Dataset
    """At the first and the last snapshot."""
    # specialisation
    means: xr.DataArray
    means_untrained: xr.DataArray
    selectivity: xr.Dataset
    selectivity_untrained: xr.Dataset
    agreement: xr.Dataset
    basis: xr.Dataset
    life: xr.Dataset
    top: xr.DataArray
    quantiles: xr.Dataset
    # drift
    drift: xr.Dataset
    unit_drift: xr.Dataset
    # causality
    effects: xr.Dataset
    dose: xr.Dataset | None
    """Of the unit whose absence adds most loss; None where none adds any."""

    @property
    def size(self) -> int:
        return self.activity.sizes[self.axis]

    @property
    def short(self) -> str:
        return self.hook_point.removesuffix(".hook_post")


@dataclass(frozen=True)
class FirstLook:
    """Everything the report shows of a run."""

    run: Run
    name: str
    # dynamics
    curve: xr.Dataset
    classes: xr.Dataset
    gradients: xr.Dataset | None
    spectra: xr.Dataset
    # predictions
    confusion: xr.Dataset
    confusions: xr.Dataset
    order: xr.Dataset
    reliability: xr.Dataset
    # geometry and similarity of the layers
    collapse: xr.Dataset | None
    """Of the last hidden layer; None without one."""
    collapse_change: tuple[float, float]
    """Bootstrap interval over images of tr(Sw) / tr(Sb) at the end over that before training."""
    similarity: xr.Dataset | None
    # causality of the layers together
    cumulative: xr.Dataset | None
    layers: tuple[LayerLook, ...]

    @property
    def seed(self) -> int | None:
        """The seed of the initial weights, where it is known."""
        return self.run.description["model"].get("seed")


def first_look(run: Run, progress: Progress | None = None) -> FirstLook:
    """Runs the default analysis on a run's hidden layers. ``progress(part, done, total)`` counts the measures of each layer, and
    what is asked of the whole network.
    """
    return one_by_one(looking(run), progress or (lambda part, done, total: None))


def looking(run: Run) -> Steps:
    """`first_look` in steps: the layers and the network as a whole need nothing of each other."""
    if run.description["model"]["kind"] == "module":
        raise RunError(
            f"{run.folder} records a {run.description['model']['class']}, whose layers have no names this analysis knows. Take its "
            "measures one by one: nm.analysis.… on run.activations(name), and causal ones on nm.hooked(your module)"
        )
    if len(run.probe) < FEWEST_IMAGES:
        raise RunError(
            f"{run.folder} has {len(run.probe)} probe images; this analysis needs {FEWEST_IMAGES} or more: RecordConfig(probe_size=…)"
        )
    names = [name for name in run.hook_points if name.endswith("hook_post")]
    *layers, whole = yield [*(partial(_layer, run, name) for name in names), partial(_whole, run, names)]
    (cumulative,) = yield [partial(_cumulative, run, layers)]
    name = run.description["model"]["kind"].upper()
    return FirstLook(run=run, name=name, layers=tuple(layers), cumulative=cumulative, **whole)


def _layer(run: Run, name: str, tell: Progress) -> LayerLook:
    acts = run.activations(name).load()
    found: dict[str, Any] = {}
    for done, measure in enumerate(_MEASURES):
        found |= measure(run, name, acts)
        tell(name.removesuffix(".hook_post"), done + 1, len(_MEASURES))
    return LayerLook(hook_point=name, axis=unit_axis(acts.dims), **found)


def _whole(run: Run, names: Sequence[str], tell: Progress) -> dict[str, Any]:
    """What concerns the network as a whole."""
    acts = {name: run.activations(name).load() for name in names}
    logits = run.activations("logits").load()
    has_gradients = run.description["record"]["norms_every"] and run.training.sizes["step"] > 0
    found: dict[str, Any] = {
        "curve": dynamics.learning_curve(run.training, run.log),
        "classes": dynamics.learning_by_class(run.log),
        "gradients": dynamics.gradient_flow(run.gradients) if has_gradients else None,
        "spectra": dynamics.weight_spectra((run.weights(step) for step in run.steps), run.steps),
    }
    tell("the whole network", 1, 3)
    found |= {
        "confusion": predictions.confusion(logits),
        "confusions": predictions.confusion_over_time(logits),
        "order": predictions.learning_order(logits),
        "reliability": predictions.calibration_error(logits),
    }
    tell("the whole network", 2, 3)
    last = list(acts.values())[-1:]
    found |= {
        "collapse": geometry.neural_collapse(last[0], *_output(run, last[0]), logits=logits) if last else None,
        "collapse_change": _collapse_change(last[0]) if last else (np.nan, np.nan),
        "similarity": similarity.matrix(_at_end(acts), _at_end(acts)) if last else None,
    }
    tell("the whole network", 3, 3)
    return found


def _collapse_change(acts: xr.DataArray) -> tuple[float, float]:
    ends = acts.isel(snapshot=[0, -1])

    def change(examples: np.ndarray) -> float:
        start, end = geometry.neural_collapse(ends.isel(example=examples), draws=1)["nc1_trace"].values
        return float(end / start)

    low, high = bootstrap(change, acts.sizes["example"], draws=40)
    return float(low), float(high)


def _at_end(acts: dict[str, xr.DataArray]) -> dict[str, xr.DataArray]:
    return {name.removesuffix(".hook_post"): array.isel(snapshot=-1) for name, array in acts.items()}


def _output(run: Run, acts: xr.DataArray) -> tuple[xr.DataArray | None, xr.DataArray | None]:
    """Weights [snapshot, class, unit] and bias of our own networks' output, where it reads the last hidden layer directly."""
    weights = [run.weights(step) for step in run.steps] if "output.weight" in run.description["parameters"] else []
    axis = unit_axis(acts.dims)
    if not weights or weights[0]["output.weight"].shape[1] != acts.sizes[axis]:
        return None, None
    matrices = np.stack([w["output.weight"].numpy() for w in weights])
    offsets = np.stack(
        [w["output.bias"].numpy() if "output.bias" in w else np.zeros(matrices.shape[1]) for w in weights]
    )
    return xr.DataArray(matrices, dims=("snapshot", "class", axis)), xr.DataArray(offsets, dims=("snapshot", "class"))


def _dynamics(run: Run, name: str, acts: xr.DataArray) -> dict[str, Any]:
    peaks = run.activations(name, "max").load()  # of a dense layer the same activations
    before = name.replace("hook_post", "hook_pre")
    return {
        "activity": dynamics.activity(peaks),
        "mean_activity": dynamics.activity(acts),
        "histograms": dynamics.histograms(run.activations(before if before in run.hook_points else name)),
        "lives": dynamics.lives(peaks),
    }


def _geometry(run: Run, name: str, acts: xr.DataArray) -> dict[str, Any]:
    two = min(2, acts.sizes[unit_axis(acts.dims)])
    maps = geometry.pca(acts, components=two), geometry.pca(acts.isel(snapshot=[0]), components=two)
    return {
        "pca": maps[0],
        "pca_untrained": maps[1],
        "between": float(geometry.between_classes(maps[0])[-1]),
        "between_untrained": float(geometry.between_classes(maps[1])[0]),
        "dimension": geometry.dimension(acts, two_nn_at=(0, -1)),
        "clusters": geometry.clusters(acts, at=(0, -1)),
    }


def _specialisation(run: Run, name: str, acts: xr.DataArray) -> dict[str, Any]:
    untrained, trained = acts.isel(snapshot=0), acts.isel(snapshot=-1)
    table = selectivity.class_selectivity(trained)
    components = geometry.pca(trained, components=min(trained.shape[1], trained.shape[0] - 1))["direction"]
    return {
        "means": selectivity.class_means(trained),
        "means_untrained": selectivity.class_means(untrained),
        "selectivity": table,
        "selectivity_untrained": selectivity.class_selectivity(untrained),
        "agreement": selectivity.agreement(table),
        "basis": selectivity.basis_comparison(trained, {"principal components": components}),
        "life": selectivity.over_time(acts),
        "top": selectivity.top_examples(trained, n=TOP),
        "quantiles": selectivity.quantile_examples(trained),
    }


def _drift(run: Run, name: str, acts: xr.DataArray) -> dict[str, Any]:
    components = min(5, acts.sizes[unit_axis(acts.dims)])
    return {"drift": similarity.drift(acts, components=components), "unit_drift": similarity.unit_drift(acts)}


def _causality(run: Run, name: str, acts: xr.DataArray) -> dict[str, Any]:
    effects = causal.ablate_all(run.model(), run.probe, name)
    costliest = int(effects["loss_increase"].values.argmax())
    adds = float(effects["loss_increase"][costliest]) > 0
    return {
        "effects": effects,
        "dose": causal.dose_response(run.model(), run.probe, name, costliest, draws=OTHERS) if adds else None,
    }


_MEASURES: tuple[Callable[[Run, str, xr.DataArray], dict[str, Any]], ...] = (
    _dynamics,
    _geometry,
    _specialisation,
    _drift,
    _causality,
)


def _cumulative(run: Run, layers: Sequence[LayerLook], tell: Progress) -> xr.Dataset | None:
    """Units of all hidden layers cut out one after the other, the most selective first, the costliest first, or at random."""
    if not layers:
        return None
    selective = np.concatenate(
        [np.nan_to_num(layer.selectivity["selectivity"].values, nan=-np.inf) for layer in layers]
    )
    choose = halves(run.probe.labels)[0]
    costly = np.concatenate([layer.effects["loss_change"].values[:, choose].mean(1) for layer in layers])
    orders = {
        "most selective first": np.argsort(-selective, kind="stable"),
        "least selective first": np.argsort(selective, kind="stable"),
        "costliest first": np.argsort(-costly, kind="stable"),
    }
    # Judged on images that no order was chosen on.
    judge = run.probe.subset(halves(run.probe.labels)[1])
    images = judge.balanced(min(JUDGED, judge.most_balanced))
    names = [layer.hook_point for layer in layers]
    found = causal.cumulative_ablation(run.model(), images, names, orders, shares=SHARES, draws=ORDERS)
    tell("all layers together", 1, 1)
    return found


@dataclass(frozen=True)
class Pair:
    """Two networks on the same images, every layer of one against every layer of the other."""

    first: FirstLook
    second: FirstLook
    trained: xr.Dataset
    untrained: xr.Dataset


def pairs(looks: Sequence[FirstLook]) -> list[Pair]:
    """The first network against each of the others that was probed with the same images and has hidden layers."""
    return [
        Pair(looks[0], other, *(_layers_compared(looks[0].run, other.run, snapshot) for snapshot in (-1, 0)))
        for other in looks[1:]
        if looks[0].layers and other.layers and np.array_equal(looks[0].run.probe.images, other.run.probe.images)
    ]


def _layers_compared(a: Run, b: Run, snapshot: int) -> xr.Dataset:
    sides = [
        {
            name.removesuffix(".hook_post"): run.activations(name).isel(snapshot=snapshot)
            for name in run.hook_points
            if name.endswith("hook_post")
        }
        for run in (a, b)
    ]
    return similarity.matrix(*sides)
