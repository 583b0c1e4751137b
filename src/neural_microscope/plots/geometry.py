"""Pictures of representations: maps of the images, variance, dimension, collapse and clusters over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import forms, style
from .style import Plot, Theme, draws

MOST = 350
"""Images drawn in a small map; more would cover each other."""


@draws
def pca_over_time(
    results: Mapping[str, xr.Dataset],
    untrained: Mapping[str, xr.Dataset],
    snapshots: Sequence[int],
    *,
    theme: Theme,
) -> Plot:
    """Each layer's images on its first two components (rows) at some snapshots (columns), on one basis a layer.

    ``results``: `analysis.geometry.pca` of each layer, on any basis; ``untrained``: the same fitted at snapshot 0, drawn
    first: what the untrained network looks like where it is given its own best view. Of many images some are drawn.
    """
    figure = style.new("wide", 0.5 + 1.65 * len(results), theme)
    grid = figure.subplots(len(results), 1 + len(snapshots), squeeze=False)
    for row, (name, result) in zip(grid, results.items(), strict=True):
        labels, before, scores = result["label"].values, _scores(untrained[name]), _scores(result)
        each = slice(None, None, -(-len(labels) // MOST))
        _map(row[0], before[0, each], _limits(before[[0]]), labels[each])
        for axes, snapshot in zip(row[1:], snapshots, strict=True):
            _map(axes, scores[snapshot, each], _limits(scores[list(snapshots)]), labels[each])
        share, chance = (float(_last(result[n])[:2].sum()) for n in ("explained", "explained_by_chance"))
        words = f"{style.short(name)}\n{style.share(share)} of variance\n(by chance {style.share(chance)})"
        row[0].set_ylabel(words, fontsize=7.5)
    grid[0][0].set_title("untrained,\nown axes", loc="center", fontsize=8)
    first = next(iter(results.values()))
    basis = {"fixed": "final axes", "pooled": "axes of all", "aligned": "axes turned"}[first.attrs["basis"]]
    for axes, snapshot in zip(grid[0][1:], snapshots, strict=True):
        step = int(first["step"][snapshot])
        axes.set_title(f"{f'step {step:,}' if step else 'untrained'},\n{basis}", loc="center", fontsize=8)
    figure.alt = (
        f"Probe images as digits on the first two principal components of {', '.join(results)}: first the untrained network on "
        f"axes of its own, then snapshots of training ({basis})."
    )
    return figure


@draws
def explained_variance(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The share of variance of each principal component, largest first, over what shuffled units give, a panel a layer.

    ``results``: `analysis.geometry.pca` of each layer, with as many components as are to be seen; of bases that change
    with the snapshot the last. What is below 0.01% is left out: on a log axis it would be rounding.
    """
    figure = style.new("wide", 2.6, theme)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    counts = []
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        table = _last(result)
        shares = table[["explained", "explained_null_low", "explained_null_high"]]
        number = np.arange(1, table.sizes["component"] + 1)
        forms.curve(
            axes, number, shares.where(shares > 1e-4), "explained", factor=100, marker="o", null="units shuffled"
        )
        counts.append(f"{style.short(name)} {int(table['above_chance'])} of {len(number)}")
        axes.set(title=f"{counts[-1].replace(' ', chr(10), 1)} above chance", xlabel="principal component")
        forms.log_axis(axes)
        axes.grid(True, axis="y")
    panels[0].set_ylabel("share of the variance (%)")
    panels[0].legend(loc="upper right")
    figure.alt = (
        "Share of the variance that each principal component explains, on a log axis, over the share that shuffled units "
        f"give (gray, 2.5 to 97.5%). Above chance: {', '.join(counts)}."
    )
    return figure


@draws
def dimension_over_time(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """How many dimensions each layer fills, by four measures, against the step: `analysis.geometry.dimension` of each.

    Gray: the same with the units shuffled, where it was drawn, joined by straight lines.
    """
    figure = style.new("wide", 2.7, theme)
    panels = figure.subplots(1, 4, sharey=True)
    titles = {
        "participation_ratio": "Participation ratio",
        "effective_rank": "Effective rank",
        "components_90": "90% of variance",
        "two_nn": "TwoNN",
    }
    why = "not defined: every\nimage is answered alike"
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        curves = [(style.short(name), table, measure) for name, table in results.items()]
        forms.over_steps(axes, curves, log=True, null="units shuffled", missing=why)
        axes.set_title(title)
        axes.set_xlabel(axes.get_xlabel().removesuffix(" (0: untrained)"))
    panels[0].set_ylabel("dimensions")
    forms.legend_below(figure, panels[0])
    ratios = {style.short(name): table["participation_ratio"].values for name, table in results.items()}
    said = ", ".join(f"{name} {style.told(r[0], 3)} to {style.told(r[-1], 3)}" for name, r in ratios.items())
    figure.alt = (
        "Dimensions that each layer fills against the optimizer step, by four measures, and with shuffled units (gray). "
        f"Participation ratio, first to last: {said}."
    )
    return figure


_COLLAPSE = {
    "Within-class variability (NC1)": {"nc1": "NC1", "nc1_trace": "tr Sw / tr Sb"},
    "Class means against a simplex (NC2)": {"nc2_norms": "NC2, lengths", "nc2_angles": "NC2, angles"},
    "Output weights against the means (NC3)": {"nc3": "NC3"},
    "Predictions and the nearest mean (NC4)": {"nc4": "NC4"},
}


@draws
def collapse_over_time(result: xr.Dataset, *, theme: Theme) -> Plot:
    """Neural collapse of one layer against the step, over what shuffled labels give: `analysis.geometry.neural_collapse`."""
    figure = style.new("wide", 4.4, theme)
    grid = figure.subplots(2, 2, sharex=True).ravel()
    for axes, (title, names) in zip(grid, _COLLAPSE.items(), strict=True):
        last = "nc4" in names
        curves = [(label, result, name) for name, label in names.items()]
        forms.over_steps(axes, curves, factor=100 if last else 1, log=not last, null="labels shuffled")
        axes.set(title=title, ylabel="images where they differ (%)" if last else "0: collapsed")
        if any(np.isfinite(result[name]).any() for name in names):
            axes.legend(loc="best")
    grid[3].set_ylim(bottom=0)
    for axes in grid[:2]:
        axes.set_xlabel("")
    labels = {name: label for names in _COLLAPSE.values() for name, label in names.items()}
    figure.alt = (
        f"Neural collapse of {result.attrs.get('hook_point') or 'a layer'} against the optimizer step, "
        "over what shuffled labels give (gray). "
        f"At the end {', '.join(f'{words} {style.told(float(result[name][-1]))}' for name, words in labels.items())}."
    )
    return figure


@draws
def clusters_over_time(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Whether images of one class lie together, against the step, over shuffled labels: `analysis.geometry.clusters` of
    each layer.
    """
    figure = style.new("wide", 2.9, theme)
    panels = figure.subplots(1, 2)
    k = next(iter(results.values())).attrs["k"]
    titles = {"silhouette": "Silhouette of the classes", "purity": f"Neighbors of the same class (%), of {k}"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        curves = [(style.short(name), table, measure) for name, table in results.items()]
        forms.over_steps(axes, curves, factor=100 if measure == "purity" else 1, null="labels shuffled")
        axes.set_title(title)
    panels[0].legend(loc="upper left")
    said = ", ".join(f"{style.short(n)} {style.told(float(t['silhouette'][-1]))}" for n, t in results.items())
    figure.alt = (
        "Silhouette and neighbor purity of the classes against the optimizer step, with shuffled labels in gray. "
        f"Silhouette at the end: {said}."
    )
    return figure


@draws
def embedding(result: xr.Dataset, *, theme: Theme) -> Plot:
    """The layouts of all seeds side by side, each image as its digit: `analysis.geometry.embed`."""
    count = result.sizes["seed"]
    figure = style.new("wide", 0.95 + 6.6 / max(count, 2), theme)
    for number, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        points = result["embedding"].values[number]
        low, high = _limits(points)
        half = (high - low).max() / 2  # distances mean the same along both axes
        middle = (low + high) / 2
        _map(axes, points, np.array([middle - half, middle + half]), result["label"].values)
        axes.set_box_aspect(1)
        one = result.isel(seed=number)
        trust, chance = (style.told(float(one[f"trustworthiness{end}"])) for end in ("", "_null_high"))
        kept, by_chance = (style.share(float(one[f"knn_preservation{end}"])) for end in ("", "_null_high"))
        axes.set_title(f"seed {int(one['seed'])}: trustworthiness {trust}", loc="center", fontsize=8)
        words = f"random places: {chance}\n{kept} of neighbors kept, by chance {by_chance}"
        axes.set_xlabel(words, fontsize=7.5)
    known = result["agreement"].values[~np.isnan(result["agreement"].values)]
    shared = f" {style.share(known.mean())} of neighbors are shared between seeds." if len(known) else ""
    method = {"t-sne": "t-SNE", "umap": "UMAP"}.get(result.attrs.get("method", ""), "Layout")
    where = result.attrs.get("hook_point") or "a layer"
    figure.suptitle(f"{method} of {where}.{shared}", x=0.01, ha="left", fontsize=9)
    figure.alt = (
        f"{method} of {result.attrs['n_examples']} images as digits, one layout for each of {count} seeds, with the share of "
        f"neighbors kept and trustworthiness.{shared}"
    )
    return figure


@draws
def subspaces(result: xr.Dataset, *, theme: Theme) -> Plot:
    """Silhouette of the classes in a few chosen units against their number, over random units:
    `analysis.geometry.subspaces`. Filled dots lie beyond random units.
    """
    figure = style.new("middle", 3.2, theme)
    axes = figure.subplots()
    size, orders = result["rank"].values, [str(name) for name in result["parameter"].values]
    forms.null_band(axes, size, result.isel(parameter=0), "silhouette", label="random units")
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    for number, (name, line) in enumerate(zip(orders, forms.LINES * len(orders), strict=False)):
        values, shown = (result[each].values[number] for each in ("silhouette", "silhouette_shown"))
        axes.plot(size, values, color=theme.ink, linestyle=line, linewidth=1, label=name)
        for where, fill in ((shown, theme.ink), (~shown, theme.paper)):
            axes.plot(size[where], values[where], "o", color=fill, markeredgecolor=theme.ink, markersize=4)
    axes.set(
        title="Classes in a few chosen units",
        xlabel="units taken (filled: beyond random units)",
        ylabel="silhouette, held-out images",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, axis="y")
    figure.legend(loc="outside right upper")
    figure.alt = (
        f"Silhouette of the classes in the first {int(size[0])} to {int(size[-1])} units of {len(orders)} orders of "
        f"{result.attrs.get('hook_point') or 'a layer'}, over what random units of the same number give (gray)."
    )
    return figure


def _last(table: Any) -> Any:
    """The last snapshot, where there is such an axis."""
    return table.isel(snapshot=-1) if "snapshot" in table.dims else table


def _scores(result: xr.Dataset) -> np.ndarray:
    scores = result["score"].transpose("snapshot", "example", "component").values[..., :2]
    return np.pad(scores, ((0, 0), (0, 0), (0, 2 - scores.shape[2])))  # one unit has one component


def _limits(scores: np.ndarray) -> np.ndarray:
    """(low, high) of both axes. A few far-out images would squeeze all others into a dot: they are drawn at the edge."""
    known = scores.reshape(-1, 2)[np.isfinite(scores).reshape(-1, 2).all(1)]
    return np.percentile(known, (0.3, 99.7), axis=0) if len(known) else np.array([[-1.0, -1.0], [1.0, 1.0]])


def _map(axes: Axes, points: np.ndarray, limits: np.ndarray, labels: np.ndarray) -> None:
    low, high = limits
    if not np.isfinite(points).any() or (np.ptp(points, axis=0) == 0).all():
        forms.say_missing(axes, "all images\nin one place" if np.isfinite(points).any() else "not known")
    forms.digits(axes, np.clip(points, low, high), labels)
    margin = np.where(high > low, 0.05 * (high - low), 1.0)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    forms.quiet(axes)
