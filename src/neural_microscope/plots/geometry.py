"""Plots of representations: principal components, variance, dimension, collapse and clusters over training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ..statistics import networks
from ..wording import count
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

    Args:
        results: Result of `analysis.geometry.pca` on any basis, by the layer's name. Of many images some are drawn.
        untrained: The same fitted at snapshot 0, drawn first: the untrained network on its own best axes.
        snapshots: Numbers of the snapshots to draw.

    >>> results, untrained = ({"layers.1": nm.analysis.geometry.pca(acts, fit_at=at, draws=2)} for at in (-1, 0))
    >>> nm.plots.pca_over_time(results, untrained, [1, -1]).alt
    'Probe images as digits on the first two principal components of layers.1: ...'
    """
    snapshots = snapshots[-1:] if style.narrow() else snapshots
    columns = 1 + len(snapshots)
    figure, panels = style.new("wide", 0.5 + 1.65 * len(results), theme, rows=len(results), columns=columns)
    for number, (name, result) in enumerate(results.items()):
        first, *others = panels[columns * number :][:columns]
        labels, before, after = result["label"].values, scores(untrained[name]), scores(result)
        each = slice(None, None, -(-len(labels) // (150 if style.narrow() else MOST)))
        map_of(first, before[0, each], limits(before[[0]]), labels[each])
        for axes, snapshot in zip(others, snapshots, strict=True):
            map_of(axes, after[snapshot, each], limits(after[list(snapshots)]), labels[each])
        share, chance = (float(_last(result[n])[:2].sum()) for n in ("explained", "explained_by_chance"))
        words = f"{style.short(name)}\n{style.share(share)} of variance\n(null {style.share(chance)})"
        first.set_ylabel(words, fontsize=7.5)
    panels[0].set_title("untrained,\nown axes", loc="center", fontsize=8)
    top = next(iter(results.values()))
    basis = {"fixed": "final axes", "pooled": "axes of all", "aligned": "axes turned"}[top.attrs["basis"]]
    for axes, snapshot in zip(panels[1:columns], snapshots, strict=True):
        axes.set_title(f"{forms.step_name(top, snapshot)},\n{basis}", loc="center", fontsize=8)
    return figure.says(
        f"Probe images as digits on the first two principal components of {', '.join(results)}: first the untrained network on "
        f"axes of its own, then snapshots of training ({basis})."
    )


@draws
def explained_variance(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The share of variance of each principal component, largest first, a panel a layer; gray: shuffled units.

    Shares below 0.01% are left out: they are rounding errors.

    Args:
        results: Result of `analysis.geometry.pca` by the layer's name, with as many components as are to be drawn; for
            bases that change with the snapshot the last.

    >>> nm.plots.explained_variance({"layers.1": nm.analysis.geometry.pca(acts, components=5, draws=2)}).alt
    'Share of the variance that each principal component of layers.1 explains, ...'
    """
    figure, panels = style.new("wide", 2.6, theme, columns=len(results), sharey=True)
    for axes, (name, result) in zip(panels, results.items(), strict=True):
        shares = _last(result)[["explained", "explained_null_low", "explained_null_high"]]
        number, shares = np.arange(1, shares.sizes["component"] + 1), shares.where(shares > 1e-4)
        forms.curve(axes, number, shares, "explained", factor=100, marker="o", null="units shuffled")
        axes.set(title=style.short(name), xlabel="principal component")
        forms.log_axis(axes)
    panels[0].set_ylabel("share of the variance (%)")
    panels[0].legend(loc="upper right")
    return figure.says(
        f"Share of the variance that each principal component of {', '.join(results)} explains, on a log axis, over the share that "
        "shuffled units give (gray, 2.5 to 97.5%)."
    )


@draws
def dimension_over_time(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """The dimension of each layer, by four measures, against the step.

    Gray: the same with the units shuffled, where it was drawn, joined by straight lines.

    Args:
        results: Result of `analysis.geometry.dimension` by the layer's name.
    """
    figure, panels = style.new("wide", 2.7, theme, columns=4, sharey=True)
    titles = {
        "participation_ratio": "Participation ratio",
        "effective_rank": "Effective rank",
        "components_90": "90% of variance",
        "two_nn": "TwoNN",
    }
    why = "not defined: equal activations\nfor every image"
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        curves = _of_layers(results, measure)
        forms.over_steps(axes, curves, log=True, missing=why, title=title)
        axes.set_xlabel(axes.get_xlabel().removesuffix(" (0: untrained)"))
    panels[0].set_ylabel("dimensions")
    # Most bands are too narrow to be seen: in the legend stand their lines.
    styles, layers = len(forms.LINES), [style.short(name) for name in results]
    names = [", ".join(layers[k::styles]) for k in range(min(styles, len(layers)))]  # more layers share a style
    gray = [f"{name}, units shuffled" for name in names] if len(layers) <= styles else ["gray: units shuffled"]
    lines = [Line2D([], [], color=theme.ink, linestyle=line) for line in forms.LINES[: len(names)]]
    lines += [Line2D([], [], color=theme.null, linestyle=line) for line in forms.LINES[: len(gray)]]
    names += gray
    across = (1 if max(map(len, names), default=0) > 28 else 2) if style.narrow() else max(len(names) - len(gray), 1)
    figure.legend(lines, names, loc="outside lower center", ncols=across, fontsize=7.5)
    return figure.says(
        "Dimension of each layer against the optimizer step, by four measures, and with shuffled units (gray). "
        f"Participation ratio, first to last: {forms.first_to_last(_of_layers(results, 'participation_ratio'))}."
    )


def _of_layers(results: Mapping[str, xr.Dataset], measure: str) -> list[tuple[str, xr.Dataset, str]]:
    return [(style.short(name), table, measure) for name, table in results.items()]


_COLLAPSE = {
    "Within-class variability (NC1)": {"nc1": "NC1", "nc1_trace": "tr Sw / tr Sb"},
    "Class means: lengths, angles (NC2)": {"nc2_norms": "NC2, lengths", "nc2_angles": "NC2, angles"},
    "Output weights against the means (NC3)": {"nc3": "NC3"},
    "Predictions, nearest mean (NC4)": {"nc4": "NC4"},
}


@draws
def collapse_over_time(result: xr.Dataset, *, theme: Theme) -> Plot:
    """Neural collapse of one layer against the step; gray: shuffled labels.

    Args:
        result: Result of `analysis.geometry.neural_collapse`.

    >>> nm.plots.collapse_over_time(nm.analysis.geometry.neural_collapse(acts, draws=2)).alt
    'Neural collapse of layers.1.hook_post against the optimizer step, ...'
    """
    rows, columns = (4, 1) if style.narrow() else (2, 2)
    figure, panels = style.new("wide", 2.4 + rows, theme, rows=rows, columns=columns, sharex=True)
    every: list[tuple[str, xr.Dataset, str]] = []
    for axes, (title, names) in zip(panels, _COLLAPSE.items(), strict=True):
        last = "nc4" in names
        words = {"title": title, "ylabel": "images where they differ (%)" if last else "lower: more collapsed"}
        curves = [(label, result, name) for name, label in names.items()]
        shuffled = "{}, shuffled" if len(curves) > 1 else "labels shuffled"
        forms.over_steps(axes, curves, factor=100 if last else 1, log=not last, null=shuffled, **words)
        forms.name_ends(axes)
        every += curves
    panels[3].set_ylim(bottom=0)
    for axes in panels[:2]:
        axes.set_xlabel("")
    return figure.says(
        f"Neural collapse of {result.attrs.get('hook_point') or 'a layer'} against the optimizer step, "
        f"with shuffled labels in gray. First to last: {forms.first_to_last(every)}."
    )


@draws
def clusters_over_time(
    results: Mapping[str, xr.Dataset], controls: Mapping[str, xr.Dataset] | None = None, *, theme: Theme
) -> Plot:
    """Silhouette and neighbor purity of the classes against the step; gray: shuffled labels.

    Args:
        results: Result of `analysis.geometry.clusters` by the layer's name.
        controls: Result of `controls.untrained_networks` by the layer's name, on fewer images, for a panel with the
            purity of untrained networks in gray; None: no such panel.
    """
    figure, every = style.new("wide", 2.9, theme, columns=3 if controls else 2)
    panels = every[:2]
    k = next(iter(results.values())).attrs["k"]
    titles = {"silhouette": "Silhouette of the classes", "purity": f"Same-class neighbors of {k} (%)"}
    for axes, (measure, title) in zip(panels, titles.items(), strict=True):
        factor = 100 if measure == "purity" else 1
        forms.over_steps(axes, _of_layers(results, measure), factor=factor, null="shuffled labels", title=title)
    for axes in panels:
        forms.name_ends(axes)
    if controls:
        _against_untrained(every[2], controls)
    compared = "Below, the purity of the trained network over that of untrained ones (gray). " if controls else ""
    return figure.says(
        "Silhouette and neighbor purity of the classes against the optimizer step, with shuffled labels in gray. "
        f"{compared}Silhouette, first to last: {forms.first_to_last(_of_layers(results, 'silhouette'))}."
    )


def _against_untrained(axes: Axes, controls: Mapping[str, xr.Dataset]) -> None:
    """The purity of each layer (row) over what one more untrained network would have, on the same images."""
    laws = [networks(one["purity"].values, one["purity_untrained"].values) for one in controls.values()]
    ends = {"": [float(one["purity"]) for one in controls.values()]}
    ends |= {f"_null_{end}": [float(getattr(law, end)) for law in laws] for end in ("low", "high")}
    table = xr.Dataset({f"purity{end}": ("layer", 100 * np.asarray(values)) for end, values in ends.items()})
    forms.rows(axes, table, "purity", [style.short(name) for name in controls])
    one = next(iter(controls.values()))
    others = int(np.isfinite(one["purity_untrained"]).sum())
    images = count(int(one.attrs["n_examples"]), "images")
    words = f"same-class neighbors (%) on {images}; gray: {count(others, 'untrained networks')}"
    axes.set(title="Trained network", xlabel=fill(words, 35 if style.narrow() else 22))


@draws
def embedding(result: xr.Dataset, *, theme: Theme) -> Plot:
    """The layouts of all seeds side by side, each image as its digit.

    Args:
        result: Result of `analysis.geometry.embed`.

    >>> layout = nm.analysis.geometry.embed(acts[-1], seeds=(0,), perplexity=5, draws=2)
    >>> nm.plots.embedding(layout).alt
    't-SNE of 60 images as digits, one layout for each of 1 seeds, ...'
    """
    count = result.sizes["seed"]
    figure, panels = style.new("wide", 1.35 + 6.6 / max(count, 2), theme, columns=count)
    for number, axes in enumerate(panels):
        points, one = result["embedding"].values[number], result.isel(seed=number)
        low, high = limits(points)
        half = (high - low).max() / 2  # distances mean the same along both axes
        middle = (low + high) / 2
        map_of(axes, points, np.array([middle - half, middle + half]), result["label"].values)
        axes.set_box_aspect(1)
        trust, chance = (style.told(float(one[f"trustworthiness{end}"])) for end in ("", "_null_high"))
        kept, by_chance = (style.share(float(one[f"knn_preservation{end}"])) for end in ("", "_null_high"))
        axes.set_title(f"seed {int(one['seed'])}", loc="center", fontsize=8)
        words = f"trustworthiness {trust}\n(null: {chance})\n{kept} of neighbors kept\n(null: {by_chance})"
        axes.set_xlabel(words, fontsize=7.5)
    known = result["agreement"].values[~np.isnan(result["agreement"].values)]
    shared = f" {style.share(known.mean())} of neighbors are shared between seeds." if len(known) else ""
    method = {"t-sne": "t-SNE", "umap": "UMAP"}.get(result.attrs.get("method", ""), "Layout")
    return figure.says(
        f"{method} of {result.attrs['n_examples']} images as digits, one layout for each of {count} seeds, with the share of "
        f"neighbors kept and trustworthiness.{shared}",
        title=f"{method} of {style.short(result.attrs.get('hook_point') or 'a layer')}",
    )


@draws
def subspaces(result: xr.Dataset, *, theme: Theme) -> Plot:
    """Silhouette of the classes in a few chosen units against their number; gray: random units.

    Filled dots lie beyond random units.

    Args:
        result: Result of `analysis.geometry.subspaces`.

    >>> result = nm.analysis.geometry.subspaces(acts[-1], {"by number": range(8)}, sizes=(2, 4), draws=5)
    >>> nm.plots.subspaces(result).alt
    'Silhouette of the classes in the first 2 to 4 units of 1 orders of layers.1.hook_post, ...'
    """
    figure, (axes,) = style.new("middle", 3.2, theme)
    size, orders = result["rank"].values, [str(name) for name in result["parameter"].values]
    forms.null_band(axes, size, result.isel(parameter=0), "silhouette", label="random units")
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    for number, (name, line) in enumerate(zip(orders, forms.LINES * len(orders), strict=False)):
        values, shown = (result[each].values[number] for each in ("silhouette", "silhouette_shown"))
        axes.plot(size, values, color=theme.ink, linestyle=line, linewidth=1, label=name)
        for where, face in ((shown, theme.ink), (~shown, theme.paper)):
            axes.plot(size[where], values[where], "o", color=face, markeredgecolor=theme.ink, markersize=4)
    axes.set(
        title="Classes in a few chosen units",
        xlabel="units chosen (filled: beyond random units)",
        ylabel="silhouette, held-out images",
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(True, axis="y")
    figure.legend(loc="outside right upper")
    return figure.says(
        f"Silhouette of the classes in the first {int(size[0])} to {int(size[-1])} units of {len(orders)} orders of "
        f"{result.attrs.get('hook_point') or 'a layer'}, with as many random units in gray."
    )


def _last(table: Any) -> Any:
    """The last snapshot, where there is such an axis."""
    return table.isel(snapshot=-1) if "snapshot" in table.dims else table


def scores(result: xr.Dataset) -> np.ndarray:
    """The first two components [snapshot, example, 2]; one unit has one component, and 0 for the other."""
    found = result["score"].transpose("snapshot", "example", "component").values[..., :2]
    return np.pad(found, ((0, 0), (0, 0), (0, 2 - found.shape[2])))


def limits(points: np.ndarray) -> np.ndarray:
    """(low, high) of both axes. A few far-out images would squeeze all others into a dot: they are drawn at the edge."""
    known = points.reshape(-1, 2)[np.isfinite(points).reshape(-1, 2).all(1)]
    return np.percentile(known, (0.3, 99.7), axis=0) if len(known) else np.array([[-1.0, -1.0], [1.0, 1.0]])


def map_of(axes: Axes, points: np.ndarray, ends: np.ndarray, labels: np.ndarray, size: float = 9, **how: Any) -> None:
    """Points [example, 2] as digits within the ends, (low, high) of both axes. ``how``: further options of `forms.digits`."""
    low, high = ends
    if len(points) and (not np.isfinite(points).any() or (np.ptp(points, axis=0) == 0).all()):
        forms.say_missing(axes, "all images\nin one place" if np.isfinite(points).any() else "not known")
        points, labels = points[:0], labels[:0]
    forms.digits(axes, np.clip(points, low, high), labels, size=size, **how)
    margin = np.where(high > low, 0.05 * (high - low), 1.0)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    forms.quiet(axes)
