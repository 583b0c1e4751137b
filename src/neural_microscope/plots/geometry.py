"""Pictures of representations: maps of the images, variance, dimension, collapse and clusters over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import style
from .style import Look, Plot, draws

_LINES = ("-", (0, (4, 1.6)), (0, (1, 1.2)), "-.")
MOST = 350
"""Images drawn in a small map; more would cover each other."""


@draws
def pca_over_time(
    results: Mapping[str, xr.Dataset],
    untrained: Mapping[str, xr.Dataset],
    snapshots: Sequence[int],
    *,
    look: Look,
) -> Plot:
    """Each layer's images on its first two components (rows) at some snapshots (columns), on one basis a layer.

    ``results``: `analysis.geometry.pca` of each layer, on any basis; ``untrained``: the same fitted at snapshot 0, drawn
    first: what the untrained network looks like where it is given its own best view. Of many images some are drawn.
    """
    figure = style.new("wide", 0.5 + 1.65 * len(results), look)
    grid = figure.subplots(len(results), 1 + len(snapshots), squeeze=False)
    for row, (name, result) in zip(grid, results.items(), strict=True):
        labels, before, scores = result["label"].values, _scores(untrained[name]), _scores(result)
        each = slice(None, None, -(-len(labels) // MOST))
        _map(row[0], before[0, each], _limits(before[[0]]), labels[each], look)
        for axes, snapshot in zip(row[1:], snapshots, strict=True):
            _map(axes, scores[snapshot, each], _limits(scores[list(snapshots)]), labels[each], look)
        share, chance = (float(_last(result[n])[:2].sum()) for n in ("explained", "explained_by_chance"))
        row[0].set_ylabel(
            f"{name.removesuffix('.hook_post')}\n{style.share(share)} of variance\n(by chance {style.share(chance)})",
            fontsize=7.5,
        )
    grid[0][0].set_title("untrained,\nown axes", loc="center", fontsize=8)
    first = next(iter(results.values()))
    basis = {"fixed": "final axes", "pooled": "axes of all", "aligned": "axes turned"}[first.attrs["basis"]]
    for axes, snapshot in zip(grid[0][1:], snapshots, strict=True):
        step = int(first["step"][snapshot])
        axes.set_title(f"{f'step {step:,}' if step else 'untrained'},\n{basis}", loc="center", fontsize=8)
    figure.alt = (
        f"Probe images as digits on the first two principal components of {', '.join(results)}: first the untrained network on "
        f"axes of its own, then moments of training ({basis})."
    )
    return figure


@draws
def explained_variance(results: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """The share of variance of each principal component, largest first, over what shuffled units give, a panel a layer.

    ``results``: `analysis.geometry.pca` of each layer, with as many components as are to be seen; of bases that change
    with the snapshot the last.
    """
    figure = style.new("wide", 2.6, look)
    panels = np.atleast_1d(figure.subplots(1, len(results), sharey=True))
    counts = []
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        table = _last(result)
        number = np.arange(1, table.sizes["component"] + 1)
        low, high, shares = (_visible(table[f"explained{end}"]) for end in ("_null_low", "_null_high", ""))
        axes.fill_between(number, low, high, color=look.null, alpha=0.3, linewidth=0)
        axes.plot(number, (low + high) / 2, color=look.null, linewidth=0.8)
        axes.plot(number, shares, "o-", color=look.ink, markersize=3, linewidth=0.8)
        counts.append(int(table["above_chance"]))
        more = "all" if counts[-1] == len(number) else f"{counts[-1]} of"
        axes.set_title(f"{_short(name)}\n{more} {len(number)} above chance")
        style.log_axis(axes)
        axes.set_xlabel("principal component")
        axes.grid(True, axis="y")
    panels[0].set_ylabel("share of the variance (%)")
    at = min(len(number) - 1, 2 * len(number) // 3)
    axes.annotate("units shuffled", (number[at], high[at]), (0, 4), textcoords="offset points", ha="center", fontsize=8)
    figure.alt = (
        "Share of the variance that each principal component explains, on a log axis, over the share that shuffled units "
        f"give (grey, 2.5 to 97.5 %). Above chance: {_listed(results, counts)}."
    )
    return figure


@draws
def dimension_over_time(results: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """How many dimensions each layer fills, by four measures, against the step: `analysis.geometry.dimension` of each.

    Grey: the same with the units shuffled, where it was drawn, joined by straight lines.
    """
    figure = style.new("wide", 2.7, look)
    panels = figure.subplots(1, 4, sharey=True)
    titles = {
        "participation_ratio": "Participation ratio",
        "effective_rank": "Effective rank",
        "components_90": "90 % of variance",
        "two_nn": "TwoNN",
    }
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        for (name, table), line in zip(results.items(), _LINES * len(results), strict=False):
            drawn = np.isfinite(table[f"{measure}_null_low"].values)
            known = np.isfinite(table[measure].values)
            _band(axes, table.isel(snapshot=drawn), measure, look, line=line)
            axes.plot(table["step"][known], table[measure][known], color=look.ink, linestyle=line, label=_short(name))
        axes.set_title(title)
        style.log_axis(axes)
        axes.grid(True, axis="y")
        _steps(axes, results)
        if not any(np.isfinite(table[measure]).any() for table in results.values()):
            style.missing(axes, "not defined: every\nimage is answered alike", look)
        if any(float(table["step"][-1]) for table in results.values()):
            axes.set_xlabel("optimiser step")
    panels[0].set_ylabel("dimensions")
    handles, names = panels[0].get_legend_handles_labels()
    handles.append(panels[0].fill_between([], [], [], color=look.null, alpha=0.3))
    figure.legend(handles, [*names, "units shuffled"], loc="outside lower center", ncols=len(handles))
    ends = ", ".join(
        f"{_short(name)} {' to '.join(style.told(float(table['participation_ratio'][i]), 3) for i in (0, -1))}"
        for name, table in results.items()
    )
    figure.alt = (
        "Dimensions that each layer fills against the optimiser step, by four measures, and with shuffled units (grey). "
        f"Participation ratio, first to last: {ends}."
    )
    return figure


@draws
def collapse_over_time(result: xr.Dataset, *, look: Look) -> Plot:
    """Neural collapse of one layer against the step, over what shuffled labels give: `analysis.geometry.neural_collapse`."""
    figure = style.new("wide", 4.4, look)
    panels = {
        "Do the images of a class fall together?": {"nc1": "NC1", "nc1_trace": "tr Sw / tr Sb"},
        "Do the class means form a simplex?": {"nc2_norms": "NC2, lengths", "nc2_angles": "NC2, angles"},
        "Does the output mirror the means?": {"nc3": "NC3"},
        "Does the nearest mean decide?": {"nc4": "NC4"},
    }
    grid = figure.subplots(2, 2, sharex=True).ravel()
    for axes, (title, names) in zip(grid, panels.items(), strict=True):
        for (name, label), line in zip(names.items(), _LINES, strict=False):
            factor = 100 if name == "nc4" else 1
            _band(axes, result, name, look, factor=factor, line=line)
            axes.plot(result["step"], factor * result[name], color=look.ink, linestyle=line, label=label)
        axes.set_title(title)
        axes.grid(True, axis="y")
        _steps(axes, {"": result})
        if name == "nc4":
            axes.set_ylim(bottom=0)
            axes.set_ylabel("images where they differ (%)")
        else:
            style.log_axis(axes)
            axes.set_ylabel(f"{'' if len(names) > 1 else label + ', '}0: collapsed".lstrip())
        if not any(np.isfinite(result[name]).any() for name in names):
            style.missing(axes, "not measured", look)
        elif len(names) > 1:
            axes.legend(loc="best")
    for axes in grid[:2]:
        axes.set_xlabel("")
    grid[3].plot([], [], color=look.null, linewidth=5, alpha=0.4, label="labels shuffled")
    grid[3].legend(loc="best")
    ends = {name: label for names in panels.values() for name, label in names.items()}
    figure.alt = (
        f"Neural collapse of {result.attrs.get('hook_point') or 'a layer'} against the optimiser step, "
        "over what shuffled labels give (grey). "
        f"At the end {', '.join(f'{words} {style.told(float(result[name][-1]))}' for name, words in ends.items())}."
    )
    return figure


@draws
def clusters_over_time(results: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """Whether images of one class lie together, against the step, over shuffled labels: `analysis.geometry.clusters` of
    each layer.
    """
    figure = style.new("wide", 2.9, look)
    panels = figure.subplots(1, 2)
    first = next(iter(results.values()))
    titles = {
        "silhouette": "Silhouette of the classes",
        "purity": f"Neighbours of the own class (%), of {first.attrs['k']}",
    }
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        factor = 100 if measure == "purity" else 1
        for (name, table), line in zip(results.items(), _LINES * len(results), strict=False):
            _band(axes, table, measure, look, factor=factor, line=line)
            low, high = factor * table[f"{measure}_low"].values, factor * table[f"{measure}_high"].values
            axes.plot(table["step"], factor * table[measure], color=look.ink, linestyle=line, label=_short(name))
            style.intervals(axes, table["step"], low, high, color=look.ink, linewidth=0.8)
        axes.set_title(title)
        axes.grid(True, axis="y")
        _steps(axes, results)
    panels[0].plot([], [], color=look.null, linewidth=5, alpha=0.4, label="labels shuffled")
    panels[0].legend(loc="upper left")
    ends = ", ".join(f"{_short(n)} {style.told(float(t['silhouette'][-1]))}" for n, t in results.items())
    figure.alt = (
        "Silhouette and neighbour purity of the classes against the optimiser step, with shuffled labels in grey. "
        f"Silhouette at the end: {ends}."
    )
    return figure


@draws
def embedding(result: xr.Dataset, *, look: Look) -> Plot:
    """The layouts of all seeds side by side, each image as its digit: `analysis.geometry.embed`."""
    count = result.sizes["seed"]
    figure = style.new("wide", 0.95 + 6.6 / max(count, 2), look)
    labels = result["label"].values
    for number, axes in enumerate(np.atleast_1d(figure.subplots(1, count))):
        points = result["embedding"].values[number]
        low, high = _limits(points)
        half = (high - low).max() / 2  # distances mean the same along both axes
        _map(axes, points, np.array([(low + high) / 2 - half, (low + high) / 2 + half]), labels, look)
        axes.set_box_aspect(1)
        trust, chance = (float(result[f"trustworthiness{end}"][number]) for end in ("", "_null_high"))
        axes.set_title(
            f"seed {int(result['seed'][number])}: trustworthiness {style.told(trust)}", loc="center", fontsize=8
        )
        kept, by_chance = (style.share(float(result[f"knn_preservation{end}"][number])) for end in ("", "_null_high"))
        axes.set_xlabel(
            f"random places: {style.told(chance)}\n{kept} of neighbours kept, by chance {by_chance}", fontsize=7.5
        )
    agreed = result["agreement"].values
    known = agreed[~np.isnan(agreed)]
    shared = f" {style.share(known.mean())} of neighbours are shared between seeds." if len(known) else ""
    method = {"t-sne": "t-SNE", "umap": "UMAP"}.get(result.attrs.get("method", ""), "Layout")
    figure.suptitle(
        f"{method} of {result.attrs.get('hook_point') or 'a layer'}.{shared}", x=0.01, ha="left", fontsize=9
    )
    figure.alt = (
        f"{method} of {result.attrs['n_examples']} images as digits, one layout for each of {count} seeds, with the share of "
        f"neighbours kept and trustworthiness.{shared}"
    )
    return figure


@draws
def subspaces(result: xr.Dataset, *, look: Look) -> Plot:
    """Silhouette of the classes in a few chosen units against their number, over random units:
    `analysis.geometry.subspaces`. Filled dots beat random units (q < 0.05).
    """
    figure = style.new("middle", 3.2, look)
    axes = figure.subplots()
    size = result["rank"].values
    band = result.isel(parameter=0)
    axes.fill_between(
        size,
        band["silhouette_null_low"],
        band["silhouette_null_high"],
        color=look.null,
        alpha=0.3,
        linewidth=0,
        label="random units",
    )
    axes.axhline(0, color=look.quiet, linewidth=0.6)
    for number, line in zip(range(result.sizes["parameter"]), _LINES * result.sizes["parameter"], strict=False):
        name, values = str(result["parameter"].values[number]), result["silhouette"].values[number]
        real = result["silhouette_q"].values[number] < 0.05
        axes.plot(size, values, color=look.ink, linestyle=line, linewidth=1, label=name)
        axes.plot(size[real], values[real], "o", color=look.ink, markersize=4)
        axes.plot(size[~real], values[~real], "o", color=look.paper, markeredgecolor=look.ink, markersize=4)
    better = int((result["silhouette_q"] < 0.05).sum())
    axes.set_title(f"{better} of {result['silhouette'].size} sets of units beat random ones")
    axes.set_xlabel("units taken (filled: beats random units, q < 0.05)")
    axes.set_ylabel("silhouette, held-out images")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, axis="y")
    figure.legend(loc="outside right upper")
    figure.alt = (
        f"Silhouette of the classes in the first {int(size[0])} to {int(size[-1])} units of {result.sizes['parameter']} orders of "
        f"{result.attrs.get('hook_point') or 'a layer'}, over what random units of the same number give (grey)."
    )
    return figure


def _visible(share: xr.DataArray) -> np.ndarray:
    """In percent; NaN below 0.01 %, where a log axis would show nothing but rounding."""
    return np.where(share > 1e-4, 100 * share, np.nan)


def _band(axes: Axes, table: xr.Dataset, name: str, look: Look, *, factor: float = 1, line: Any = "-") -> None:
    """The null of a measure over the steps, with a thin line in the middle in the style of its value."""
    low, high = factor * table[f"{name}_null_low"].values, factor * table[f"{name}_null_high"].values
    axes.fill_between(table["step"].values, low, high, color=look.null, alpha=0.3, linewidth=0)
    axes.plot(table["step"].values, (low + high) / 2, color=look.null, linewidth=0.8, linestyle=line)


def _steps(axes: Axes, results: Mapping[str, xr.Dataset]) -> None:
    style.step_axis(axes, max(float(table["step"][-1]) for table in results.values()))


def _short(name: str) -> str:
    return name.removesuffix(".hook_post")


def _listed(results: Mapping[str, xr.Dataset], counts: list[int]) -> str:
    return ", ".join(f"{_short(name)} {count}" for name, count in zip(results, counts, strict=True))


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


def _map(axes: Axes, points: np.ndarray, limits: np.ndarray, labels: np.ndarray, look: Look) -> None:
    low, high = limits
    if points.shape[1] < 2 or not np.isfinite(points).any() or (np.ptp(points, axis=0) == 0).all():
        style.missing(axes, "all images\nin one place" if np.isfinite(points).any() else "not known", look)
    _glyphs(axes, np.clip(points, low, high), labels, look)
    axes.set(xlim=_wider(low[0], high[0]), ylim=_wider(low[1], high[1]))
    style.quiet(axes)


def _glyphs(axes: Axes, points: np.ndarray, labels: np.ndarray, look: Look, size: float = 9) -> None:
    """Each point as its digit, in its colour."""
    for label in np.unique(labels):
        x, y = points[labels == label].T
        dots = axes.scatter(x, y, marker=f"${label}$", s=size, color=look.of_class(int(label)), linewidths=0)
        dots.set_in_layout(False)  # they lie inside their axes


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
