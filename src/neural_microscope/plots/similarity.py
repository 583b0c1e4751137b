"""Plots of similarity: between layers and networks, of a layer over training, and of single units."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..statistics import ALPHA
from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws, fixed, told

_MEASURES = (("cka", "CKA", 1.0), ("procrustes", "Procrustes distance", 2**0.5), ("svcca", "SVCCA", 1.0))


@draws
def similarity_matrix(table: xr.Dataset, *, rows: str = "layer", columns: str = "layer", theme: Theme) -> Plot:
    """Every layer against every other by each measure of the table, a stronger color for higher similarity, with the null.

    Args:
        table: Result of `analysis.similarity.matrix`, or some of its measures, each with its null.
        rows: Name of the first side.
        columns: Name of the second side.

    >>> table = nm.analysis.similarity.matrix({"layers.1": acts[-1]}, draws=2)
    >>> nm.plots.similarity_matrix(table).alt
    'Similarity of layers.1 (layer) with layers.1 (layer) by CKA, Procrustes distance and SVCCA, ...'
    """
    first, second = (table[dim].values.astype(str) for dim in ("layer", "layer_b"))
    measures = [measure for measure in _MEASURES if measure[0] in table]
    width = "wide" if len(measures) > 1 else "middle"
    figure, panels = style.new(width, 1.55 + 0.5 * len(first), theme, columns=len(measures), sharey=True)
    table = table.transpose("layer", "layer_b", ...)
    for axes, (name, title, top) in zip(panels, measures, strict=True):
        distance = name == "procrustes"
        colors = theme.amount_map.reversed() if distance else theme.amount_map
        image = forms.matrix(axes, table[name].values, (0, top), colors=colors, aspect="auto")
        chance = table[f"{name}_null_{'low' if distance else 'high'}"].values
        forms.write(image, {place: fixed(value) for place, value in np.ndenumerate(table[name].values)}, shift=-0.13)
        sign = "≥" if distance else "≤"
        itself = [[rows == columns and one == other for other in second] for one in first]
        by_chance = {
            place: f"{sign} {_bound(value)}" for place, value in np.ndenumerate(chance) if not np.asarray(itself)[place]
        }
        forms.write(image, by_chance, shift=0.25, fontsize=6.5)
        axes.set_xticks(range(len(second)), second, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(first)), first)
        axes.set(xlabel=columns, title=title)
    panels[0].set_ylabel(rows)
    words = "stronger color: more similar; small: bound for shuffled images (97.5%)"
    figure.supxlabel(words, fontsize=8, color=theme.quiet)
    titles = " and ".join(", ".join(title for _, title, _ in measures).rsplit(", ", 1))
    return figure.says(
        f"Similarity of {', '.join(first)} ({rows}) with {', '.join(second)} ({columns}) by {titles}, as numbers in cells, each with "
        "the bound for shuffled images."
    )


def _bound(value: float) -> str:
    """A bound to two places, and one that would read as 0 to one digit."""
    return fixed(value) if abs(value) >= 0.005 or not abs(value) > 1e-6 else told(value, 1)


@draws
def drift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """A layer against itself at a reference snapshot: rotation and change of shape, similarity, and angles.

    The last two panels show CKA with the Procrustes distance, and the angle of its leading directions over the floor
    between two sets of images of one network.

    Args:
        table: Result of `analysis.similarity.drift`.

    >>> nm.plots.drift(nm.analysis.similarity.drift(acts, components=2, draws=2)).alt
    'Drift of layers.1.hook_post over training against itself at step 69. ...'
    """
    figure, panels = style.new("wide", 3.0, theme, columns=3)
    steps, layer = table["step"].values, table.attrs.get("hook_point", "a layer")
    _split(panels[0], table, steps)
    alike = [("CKA", table, "cka"), ("Procrustes", table, "procrustes")]
    words: dict[str, Any] = {"title": "CKA and Procrustes distance", "ylim": (-0.1, 1.95), "yticks": [0, 0.5, 1, 1.4]}
    forms.over_steps(panels[1], alike, null="{}, shuffled", missing="", **words)
    floor = {f"subspace_angle_floor_{end}": f"subspace_angle_null_{end}" for end in ("low", "high")}
    angle = table[["subspace_angle", *floor]].rename(floor)
    words = {"title": f"Angle of {table.attrs.get('components', '')} main axes (°)", "ylim": (0, 112)}
    null, each = "same snapshot,\nother images", [("", angle, "subspace_angle")]
    forms.over_steps(panels[2], each, factor=180 / np.pi, null=null, missing="", yticks=[0, 30, 60, 90], **words)
    for axes, name in zip(panels, ("function", "cka", "subspace_angle"), strict=True):
        axes.set_xlabel("optimizer step")
        forms.fewer_ticks(axes)
        if axes is not panels[0]:
            forms.name_ends(axes)
        if np.isnan(table[name].values).all():
            forms.say_missing(axes, "not defined: equal\nactivations for every image,\nor one unit")
    if np.isfinite(
        moved := (table["shift"] + table["scaling"]).values
    ).any():  # it may be many times as large as what is drawn
        panels[0].set_xlabel(
            f"optimizer step\nnot drawn: shift and scale,\nup to {style.fixed(np.nanmax(moved))} times the variance"
        )
    parts = {"function": "change of shape", "rotation": "rotation", "cka": "CKA"}
    text = forms.first_to_last((words, table, name) for name, words in parts.items())
    left_out = forms.first_to_last((words, table, words) for words in ("shift", "scaling"))
    return figure.says(
        f"Drift of {layer} over training against itself {_reference(table)}. First to last: {text}. "
        f"Not drawn: {left_out}. Gray: the nulls and the floor.",
        title=f"{style.short(layer)} against itself {_reference(table)}",
    )


def _split(axes: Axes, table: xr.Dataset, steps: np.ndarray) -> None:
    """The change of shape, and the rotation stacked on it."""
    theme, shape = style.theme_of(axes), table["function"].values
    parts = (("change of shape", 0 * shape, shape, 0.85), ("rotation", shape, shape + table["rotation"].values, 0.3))
    for label, low, high, alpha in parts:
        axes.fill_between(steps, low, high, color=theme.amount, linewidth=0, alpha=alpha, label=label)
    forms.null_band(axes, steps, table, "function")
    high = table["function_null_high"].values
    if np.isfinite(high).any():
        words: dict[str, Any] = {"color": theme.quiet, "fontsize": 7.5, "ha": "right", "va": "bottom"}
        axes.text(float(steps[-1]), float(np.nanmax(high)) + 0.01, "shuffled images", **words)
    forms.interval(axes, steps, table, "function", color=theme.ink)
    forms.step_axis(axes, float(steps[-1]))
    axes.set(ylim=(0, 1.45), yticks=[0, 0.5, 1], title="What changed", ylabel="share of variance")
    axes.legend(loc="upper left", ncols=2, fontsize=7.5, handlelength=1, columnspacing=1, borderaxespad=0)
    axes.grid(True, axis="y")


def _reference(table: xr.Dataset) -> str:
    reference = table.attrs.get("reference", -1)
    if reference == "previous":
        return "one snapshot before"
    return f"at step {int(table['step'][reference] if reference < 0 else reference):,}"


_ROWS = {
    "cka": "CKA",
    "cka_without_top": "CKA, 1% farthest left out",
    "procrustes": "Procrustes distance",
    "svcca": "SVCCA",
    "pwcca": "PWCCA",
    "rsa": "RSA",
}


@draws
def displacement(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Distance of each image from its counterpart after the best rotation, and every measure with its null.

    Args:
        table: Result of `analysis.similarity.compare`.

    >>> found = nm.analysis.similarity.compare(acts[0], acts[-1], draws=5)
    >>> nm.plots.displacement(found).alt
    'Histogram of the distance of each of 60 images from its counterpart after the best rotation; ...'
    """
    figure, (left, right) = style.new("wide", 2.7, theme, columns=2, width_ratios=(1, 1.2))
    values = table["displacement"].values
    known = values[~np.isnan(values)]
    if len(known):
        left.hist(known, bins=40, color=theme.amount, alpha=0.85)
    else:
        forms.say_missing(left, "no distance is defined:\none side is constant")
    left.set(
        xlim=(0, None),
        xlabel="distance from its counterpart after the best\nrotation and scaling (1: the mean norm)",
        ylabel="images",
        title="Distance of each image",
    )
    ends = ("", "_low", "_high", "_null_low", "_null_high")
    of_each = {f"x{end}": ("measure", [float(table.get(f"{name}{end}", np.nan)) for name in _ROWS]) for end in ends}
    forms.rows(right, xr.Dataset(of_each), "x", list(_ROWS.values()), null="images shuffled")
    right.set(title="The same pair by every measure", xlabel="line: other images, gray: shuffled (95%)")
    text = ", ".join(f"{words} {fixed(float(table[name]))}" for name, words in _ROWS.items())
    return figure.says(
        f"Histogram of the distance of each of {len(values)} images from its counterpart after the best rotation; and {text}."
    )


@draws
def unit_drift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Correlation of each unit (row) with itself at the reference, by snapshot (column).

    Gray: no higher than with another unit. Units are in the network's order; dead units are hatched.

    Args:
        table: Result of `analysis.similarity.unit_drift`.

    >>> nm.plots.unit_drift(nm.analysis.similarity.unit_drift(acts)).alt
    'Heatmap of 8 units over training: correlation of each with itself ...'
    """
    values, shown = (table[name].transpose(..., "snapshot").values for name in ("correlation", "correlation_shown"))
    kind = next(str(dim) for dim in table["correlation"].dims if dim != "snapshot")
    figure, (axes,) = style.new("wide", 3.4, theme)
    unknown = np.isnan(values)
    gray = theme.signed_map.with_extremes(bad=theme.absent)
    judged = int((~unknown).sum(0).max())
    few = judged * ALPHA <= 1  # no p can be small enough
    seen = values if few else np.where(shown, values, np.nan)
    forms.matrix(axes, seen, (-1, 1), label="correlation with itself", colors=gray, aspect="auto")
    if unknown.any():
        forms.hatch(axes, unknown)
    if not shown.any() and not few:
        forms.say_missing(axes, f"no {kind} is shown to be\nmore like itself than like another")
    forms.step_ticks(axes, table["step"].values)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    gray_is = (
        f"Not tested: too few {kind}s ({judged})" if few else f"Gray: no more like itself than like another {kind}"
    )
    axes.set(
        title=f"Each {kind}'s correlation with itself {_reference(table)}",
        xlabel=f"{axes.get_xlabel()}. {gray_is}; hatched: dead",
        ylabel=kind,
    )
    return figure.says(
        f"Heatmap of {count(len(values), f'{kind}s')} over training: correlation of each with itself {_reference(table)}; "
        f"{f'not tested, too few {kind}s ({judged})' if few else 'gray where it is within its null'}."
    )
