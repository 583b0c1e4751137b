"""A first look at a recorded run: every analysis on every hidden layer, and what can be said in sentences.

A sentence carries its number, its null or interval, how many images and seeds stand behind it, and the call that
gives it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import stats

from ..axes import unit_axis
from ..run import Run
from ..statistics import INTERVAL, bootstrap_mean, halves, spearman
from . import causal, dynamics, geometry, predictions, selectivity

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LayerLook:
    """What was found in one hidden layer; the arrays are those of the analyses."""

    hook_point: str
    axis: str
    activity: xr.Dataset
    """Of each unit, or of each channel's highest position."""
    mean_activity: xr.Dataset
    """Of each unit, or of each channel's mean over its map."""
    histograms: xr.Dataset
    pca: xr.Dataset
    pca_untrained: xr.Dataset
    between: float
    """Share of the map's spread that lies between the classes, 0..1."""
    between_untrained: float
    means: xr.DataArray
    means_untrained: xr.DataArray
    selectivity: xr.Dataset
    selectivity_untrained: xr.Dataset
    effects: xr.Dataset
    top: xr.DataArray

    @property
    def size(self) -> int:
        return self.activity.sizes[self.axis]


@dataclass(frozen=True)
class FirstLook:
    """Everything the report shows of a run."""

    run: Run
    name: str
    curve: xr.Dataset
    confusion: xr.Dataset
    layers: tuple[LayerLook, ...]


@dataclass(frozen=True)
class Finding:
    """One sentence that a person can check, and the call that gives its numbers again."""

    text: str
    call: str
    holds: bool
    """Whether it beats its null. What does not is not called a finding."""


def first_look(run: Run, progress: Progress | None = None) -> FirstLook:
    """Runs every analysis of the report on a run's hidden layers. ``progress(layer, done, total)`` counts ablated
    units.
    """
    posts = [name for name in run.hook_points if name.endswith("hook_post")]
    kind = run.description["model"]["kind"]
    return FirstLook(
        run=run,
        name=run.description["model"]["class"] if kind == "module" else kind.upper(),
        curve=dynamics.learning_curve(run.training, run.log),
        confusion=predictions.confusion(run.activations("logits").isel(snapshot=-1)),
        layers=tuple(_layer(run, name, progress) for name in posts),
    )


def _layer(run: Run, name: str, progress: Progress | None) -> LayerLook:
    acts = run.activations(name).load()
    peaks = run.activations(name, "max").load()  # of a dense layer the same activations
    before = name.replace("hook_post", "hook_pre")
    model = run.model()
    untrained, trained = acts.isel(snapshot=[0]), acts.isel(snapshot=-1)
    maps = geometry.pca(acts), geometry.pca(untrained)
    return LayerLook(
        hook_point=name,
        axis=unit_axis(acts.dims),
        activity=dynamics.activity(peaks),
        mean_activity=dynamics.activity(acts),
        histograms=dynamics.histograms(run.activations(before if before in run.hook_points else name)),
        pca=maps[0],
        pca_untrained=maps[1],
        between=float(geometry.between_classes(maps[0])[-1]),
        between_untrained=float(geometry.between_classes(maps[1])[0]),
        means=selectivity.class_means(trained),
        means_untrained=selectivity.class_means(untrained.isel(snapshot=0)),
        selectivity=selectivity.class_selectivity(trained),
        selectivity_untrained=selectivity.class_selectivity(untrained),
        effects=causal.ablate_all(
            model,
            run.probe,
            name,
            progress=None if progress is None else lambda done, total: progress(name, done, total),
        ),
        top=selectivity.top_examples(trained, 6),
    )


def findings(look: FirstLook) -> list[Finding]:
    """What was asked of one run, and what came out. It holds on one seed only; another run is needed to say more."""
    found = [_reading(look)]
    for layer in look.layers:
        found += [_costliest(look, layer), _selective(look, layer), _link(look, layer)]
    return found


def _where(look: FirstLook, layer: LayerLook) -> str:
    return f"{look.name} {layer.hook_point.removesuffix('.hook_post')}"


def number(value: float, digits: int = 2) -> str:
    """A number for prose: a fixed number of decimals and a true minus sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no minus before a zero


def _reading(look: FirstLook) -> Finding:
    run = look.run
    accuracy, start = (100 * float(run.log["test_accuracy"][i]) for i in (-1, 0))
    by_class = 100 * run.log["test_accuracy_by_class"][-1].values
    worst = int(np.nanargmin(by_class))
    return Finding(
        f"The {look.name} reads {number(accuracy)} % of the test images rightly (untrained: {number(start, 1)} %); "
        f"it does worst on class {worst} ({number(by_class[worst], 1)} %).",
        'run.log["test_accuracy"], run.log["test_accuracy_by_class"]',
        accuracy > start,
    )


def _costliest(look: FirstLook, layer: LayerLook) -> Finding:
    """The unit whose ablation costs most on one half of the images, judged on the other."""
    loss, right = (layer.effects[name].values.astype(float) for name in ("loss_change", "right_change"))
    choose, judge = halves(layer.effects["label"].values)
    unit = int(loss[:, choose].mean(1).argmax())
    added = loss[:, judge].mean(1)
    low, high = (float(end) for end in bootstrap_mean(loss[unit, judge]))
    others = np.percentile(np.delete(added, unit), INTERVAL) if len(added) > 1 else (np.nan, np.nan)
    holds = bool(low > max(0.0, others[1]))
    return Finding(
        f"{_where(look, layer)}: cutting out {layer.axis} {unit}, the costliest on one half of the probe images, adds "
        f"{number(added[unit], 3)} nat to the loss on the other half (95 % interval over {len(judge)} images {number(low, 3)} to "
        f"{number(high, 3)}; other {layer.axis}s {number(others[0], 3)} to {number(others[1], 3)}) and costs "
        f"{number(-100 * right[unit, judge].mean(), 1)} points of accuracy"
        + (": it stands out." if holds else ": it does not stand out from the others."),
        f'nm.analysis.causal.ablate_all(run.model(), run.probe, "{layer.hook_point}")',
        holds,
    )


def _selective(look: FirstLook, layer: LayerLook) -> Finding:
    trained, untrained = (t["selectivity"].values for t in (layer.selectivity, layer.selectivity_untrained))
    trained, untrained = trained[~np.isnan(trained)], untrained[~np.isnan(untrained)]
    p = stats.mannwhitneyu(trained, untrained).pvalue if len(trained) and len(untrained) else 1.0
    counts = [
        f"{int((t['selectivity_q'] < 0.05).sum())} of {layer.size}"
        for t in (layer.selectivity, layer.selectivity_untrained)
    ]
    medians = [number(float(np.median(values))) if len(values) else "none" for values in (trained, untrained)]
    verdict = "learning has changed it" if p < 0.05 else "learning has not changed it by more than chance"
    return Finding(
        f"{_where(look, layer)}: {counts[0]} {layer.axis}s prefer a class more than shuffled labels allow (5 % false-discovery rate), "
        f"but so do {counts[1]} of the untrained network's. The median selectivity is {medians[0]}, untrained {medians[1]}: {verdict} "
        f"(rank test, p {'< 0.001' if p < 0.001 else '= ' + number(p, 3)}).",
        f'nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))',
        bool(p < 0.05),
    )


def _link(look: FirstLook, layer: LayerLook) -> Finding:
    rho, low, high = spearman(layer.selectivity["selectivity"].values, layer.effects["loss_increase"].values)
    call = 'nm.statistics.spearman(table["selectivity"].values, effects["loss_increase"].values)'
    if np.isnan(rho):
        return Finding(
            f"{_where(look, layer)}: too few {layer.axis}s have a selectivity to ask whether it matters.", call, False
        )
    holds = not low <= 0 <= high
    verdict = f"the more selective matter {'more' if rho > 0 else 'less'}" if holds else "no link is shown"
    return Finding(
        f"{_where(look, layer)}: between a {layer.axis}'s selectivity and the loss its absence adds the rank correlation is "
        f"{number(rho)} (95 % interval {number(low)} to {number(high)} over {layer.size} {layer.axis}s): {verdict}.",
        call,
        holds,
    )
