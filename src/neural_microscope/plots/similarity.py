"""Pictures of likeness: between layers and networks, of a layer with its own past, and of single units with others."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from . import forms, style
from .style import Plot, Theme, draws

FOUND = 0.05
"""Highest q at which a unit counts as told from its null."""


@draws
def similarity_matrix(table: xr.Dataset, *, rows: str = "layer", columns: str = "layer", theme: Theme) -> Plot:
    """Every layer against every other by three measures, a stronger colour meaning more alike, each value over what chance gives.

    ``table``: `analysis.similarity.matrix`. ``rows``, ``columns``: what the two sides are, for the axes.
    """
    first, second = (table[dim].values.astype(str) for dim in ("layer", "layer_b"))
    figure = style.new("wide", 1.55 + 0.5 * len(first), theme)
    panels = np.atleast_1d(figure.subplots(1, 3, sharey=True))
    for axes, (name, title, top) in zip(panels, _MEASURES, strict=True):
        colours = theme.amount_map.reversed() if name == "procrustes" else theme.amount_map
        values = table[name].transpose("layer", "layer_b").values
        axes.imshow(values, aspect="auto", cmap=colours, vmin=0, vmax=top)
        end, sign = ("low", "≥") if name == "procrustes" else ("high", "≤")
        chance = table[f"{name}_null_{end}"].transpose("layer", "layer_b").values
        for (row, column), value in np.ndenumerate(values):
            ink = _readable(colours, value / top, theme)
            axes.text(column, row - 0.13, _number(float(value)), ha="center", va="center", color=ink)
            by_chance = f"{sign} {_number(float(chance[row, column]))}"
            axes.text(column, row + 0.25, by_chance, ha="center", va="center", color=ink, fontsize=6.5)
        forms.quiet(axes, ticks=True)
        axes.set_xticks(range(len(second)), second, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(first)), first)
        axes.set_xlabel(columns)
        axes.set_title(title)
    panels[0].set_ylabel(rows)
    figure.supxlabel(
        "stronger colour: more alike; small: what shuffled images stay within (97.5 %)", fontsize=8, color=theme.quiet
    )
    best = {row: second[int(np.nanargmax(v))] for row, v in zip(first, table["cka"].values, strict=True) if _known(v)}
    figure.alt = (
        "Likeness of every layer with every other by CKA, Procrustes distance and SVCCA, with the range that shuffled "
        "images give. By CKA the nearest: " + ", ".join(f"{row} to {column}" for row, column in best.items()) + "."
    )
    return figure


_MEASURES = (("cka", "CKA", 1.0), ("procrustes", "Procrustes distance", 2**0.5), ("svcca", "SVCCA", 1.0))


@draws
def drift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """A layer against itself at a reference snapshot: what rotated and what changed, CKA beside Procrustes, and the angle
    of its leading directions over the floor that two sets of images of one network give.

    ``table``: `analysis.similarity.drift`.
    """
    figure = style.new("wide", 3.0, theme)
    panels = figure.subplots(1, 3)
    steps = table["step"].values
    for axes in panels:
        forms.step_axis(axes, float(steps[-1]))
        axes.grid(True, axis="y")
    _split(panels[0], table, steps, theme)
    _alike(panels[1], table, steps, theme)
    _angle(panels[2], table, steps, theme)
    known = np.flatnonzero(~np.isnan(table["function"].values))
    if not len(known):
        for axes, name in zip(panels, ("function", "cka", "subspace_angle"), strict=True):
            if np.isnan(table[name].values).all():
                forms.say_missing(axes, "not defined: the layer\nanswers every image alike,\nor is one unit")
    figure.suptitle(
        f"{table.attrs.get('hook_point', 'a layer')} against itself {_reference(table)}", fontsize=9, color=theme.ink
    )
    said = "No change of shape is defined for it."
    if len(known):
        at, *ends = (float(table[name][known[0]]) for name in ("step", "function", "rotation", "cka"))
        shape, rotation, cka = (_number(end) for end in ends)
        said = f"At step {int(at)}: change of shape {shape}, rotation {rotation}, CKA {cka}."
    figure.alt = (
        f"Drift of {table.attrs.get('hook_point', 'a layer')} over training against itself {_reference(table)}. {said} "
        "Grey: the chance levels and the floor."
    )
    return figure


def _split(axes: Axes, table: xr.Dataset, steps: np.ndarray, theme: Theme) -> None:
    function, rotation = table["function"].values, table["rotation"].values
    axes.fill_between(steps, 0, function, color=theme.amount, linewidth=0, alpha=0.85, label="change of shape")
    axes.fill_between(
        steps, function, function + rotation, color=theme.amount, linewidth=0, alpha=0.3, label="rotation"
    )
    low, high = table["function_null_low"].values, table["function_null_high"].values
    axes.fill_between(steps, low, high, color=theme.null, alpha=0.6, linewidth=0, label="nothing in common")
    for end in ("low", "high"):
        axes.plot(steps, table[f"function_{end}"], color=theme.ink, linewidth=0.5)
    axes.set_ylim(0, 1.32)
    axes.set_yticks([0, 0.5, 1])
    axes.set_title("What changed (share)")
    axes.legend(loc="upper right", handlelength=1.1, labelspacing=0.25, borderaxespad=0.1)


def _alike(axes: Axes, table: xr.Dataset, steps: np.ndarray, theme: Theme) -> None:
    for name, line, label in (("cka", "-", "CKA"), ("procrustes", (0, (4, 1.6)), "Procrustes distance")):
        band = [table[f"{name}_null_{end}"].values for end in ("low", "high")]
        axes.fill_between(steps, band[0], band[1], color=theme.null, alpha=0.45, linewidth=1.5, edgecolor=theme.null)
        axes.fill_between(steps, table[f"{name}_low"], table[f"{name}_high"], color=theme.ink, alpha=0.25, linewidth=0)
        axes.plot(steps, table[name], color=theme.ink, linestyle=line, label=label)
    axes.fill_between([], [], [], color=theme.null, alpha=0.45, label="each by chance")
    axes.set_ylim(-0.1, 1.95)
    axes.set_yticks([0, 0.5, 1, 1.4])
    axes.set_title("How alike")
    axes.legend(loc="upper right", handlelength=1.6, labelspacing=0.25, borderaxespad=0.1)


def _angle(axes: Axes, table: xr.Dataset, steps: np.ndarray, theme: Theme) -> None:
    low, high = (np.degrees(table[f"subspace_angle_floor_{end}"].values) for end in ("low", "high"))
    axes.fill_between(
        steps, low, high, color=theme.null, alpha=0.3, linewidth=0, label="floor: other images,\nsame network"
    )
    axes.plot(steps, np.degrees(table["subspace_angle"].values), color=theme.ink)
    axes.set_ylim(0, 112)
    axes.set_yticks([0, 30, 60, 90])
    axes.set_title(f"Angle of {table.attrs.get('components', '')} directions (°)")
    axes.legend(loc="upper right", handlelength=1.1, borderaxespad=0.1)


def _reference(table: xr.Dataset) -> str:
    reference = table.attrs.get("reference", -1)
    return (
        "one snapshot before"
        if reference == "previous"
        else f"at step {int(table['step'][reference] if reference < 0 else reference):,}"
    )


@draws
def displacement(table: xr.Dataset, *, theme: Theme) -> Plot:
    """How far each image still is from its counterpart after the best rotation, beside every measure with its chance.

    ``table``: `analysis.similarity.compare`.
    """
    figure = style.new("wide", 2.7, theme)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    values = table["displacement"].values
    known = values[~np.isnan(values)]
    if len(known):
        left.hist(known, bins=40, color=theme.amount, alpha=0.85)
    else:
        forms.say_missing(left, "no distance is defined:\none side answers every image alike")
    left.set_xlim(left=0)
    left.set_xlabel("distance from its counterpart after the best\nrotation and scaling (1: the mean norm)")
    left.set_ylabel("images")
    left.set_title(f"How far {len(values):,} images lie off")
    forms.quiet(right)
    right.set_xlim(0, 1)
    right.set_ylim(-len(_ROWS) - 0.4, 0.9)
    right.set_title("The same pair by every measure")
    for x, word in ((0.48, "value"), (0.72, "other images"), (1.0, "by chance")):
        right.text(x, 0.25, word, ha="right", fontsize=7, color=theme.quiet)
    for line, (name, words) in enumerate(_ROWS, 1):
        right.text(0, -line, words)
        right.text(0.48, -line, _number(float(table[name])), ha="right")
        for x, ends, colour in ((0.72, ("low", "high"), theme.ink), (1.0, ("null_low", "null_high"), theme.quiet)):
            if f"{name}_{ends[0]}" in table:
                shown = " to ".join(_number(float(table[f"{name}_{end}"])) for end in ends)
                right.text(x, -line, shown, ha="right", color=colour)
    figure.alt = (
        f"Histogram of how far each of {len(values)} images lies from its counterpart after the best rotation, beside "
        + ", ".join(f"{words} {_number(float(table[name]))}" for name, words in _ROWS)
        + "."
    )
    return figure


_ROWS = (
    ("cka", "CKA"),
    ("cka_without_top", "  1 % farthest left out"),
    ("procrustes", "Procrustes"),
    ("svcca", "SVCCA"),
    ("pwcca", "PWCCA"),
    ("rsa", "RSA"),
)


@draws
def unit_drift(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Unit × snapshot: how much each unit answers like itself at the reference; grey where no more than like another unit.

    ``table``: `analysis.similarity.unit_drift`. Units in the network's order; dead units hatched.
    """
    values, told = (table[name].transpose(..., "snapshot").values for name in ("correlation", "correlation_shown"))
    kind = next(str(dim) for dim in table["correlation"].dims if dim != "snapshot")
    figure = style.new("wide", 3.4, theme)
    axes = figure.subplots()
    image = axes.imshow(np.where(told, values, np.nan), aspect="auto", cmap=_clear(theme.signed_map), vmin=-1, vmax=1)
    unclear, dead = ~told & ~np.isnan(values), np.isnan(values)
    axes.imshow(np.where(unclear, 1.0, np.nan), aspect="auto", cmap=_one(theme.null), vmin=0, vmax=1, alpha=0.5)
    edges = np.arange(values.shape[1] + 1) - 0.5, np.arange(len(values) + 1) - 0.5
    if dead.any():
        cells = np.ma.masked_where(~dead, np.ones(values.shape))
        axes.pcolor(
            *edges, cells, hatch="//////", facecolor="none", edgecolor=theme.null, linewidth=0, cmap=_one(theme.paper)
        )
    axes.set_xlim(edges[0][0], edges[0][-1])
    axes.set_ylim(edges[1][-1], edges[1][0])
    forms.quiet(axes, ticks=True)
    axes.set_ylabel(kind)
    forms.step_ticks(axes, table["step"].values)
    bar = figure.colorbar(image, ax=axes, fraction=0.02, pad=0.01, label="correlation with itself")
    bar.outline.set_visible(False)
    bar.set_ticks([-1, 0, 1], labels=["−1", "0", "1"])
    axes.set_title(f"Each {kind}'s correlation with itself {_reference(table)}")
    axes.set_xlabel(f"{axes.get_xlabel()}. Grey: no more like itself than like another {kind}; hatched: dead")
    figure.alt = (
        f"Heatmap of {len(values)} {kind}s over training: correlation of each with itself {_reference(table)}. "
        f"At first {int(told[:, 0].sum())} are told from the others, at the end {int(told[:, -1].sum())}."
    )
    return figure


@draws
def unit_matches(table: xr.Dataset, *, theme: Theme) -> Plot:
    """Each unit's correlation with its match in another network, sorted, over what a rotated basis and what shuffled
    images give.

    ``table``: `analysis.similarity.match_units`. Full dots: beyond both nulls that decide (q < 0.05).
    """
    value = table["correlation"].values
    order = np.argsort(-np.where(np.isnan(value), -np.inf, value), kind="stable")[: int((~np.isnan(value)).sum())]
    figure = style.new("wide", 3.0, theme)
    axes = figure.subplots()
    x = np.arange(len(order))
    for name, words, alpha in (
        ("correlation_shuffled", "images shuffled: nothing in common", 0.25),
        ("correlation_null", "the same space and kind of unit, no match (decides)", 0.5),
    ):
        low, high = (table[f"{name}_{end}"].values[order] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=theme.null, alpha=alpha, linewidth=0, step="mid", label=words)
    found = table["correlation_q"].values[order] < FOUND
    y, kind = value[order], str(table["correlation"].dims[0])
    axes.scatter(x[found], y[found], s=14, color=theme.ink, zorder=3, label=f"found again as a {kind}")
    axes.scatter(
        x[~found],
        y[~found],
        s=14,
        facecolor=theme.paper,
        edgecolor=theme.ink,
        linewidths=0.8,
        zorder=3,
        label="not told from the space",
    )
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    axes.set_xlabel(f"{len(order)} matched {kind}s, by correlation")
    axes.set_ylabel("correlation with the match,\nother images")
    axes.set_ylim(min(-0.3, float(y.min(initial=0)) - 0.05), 1.05)
    axes.grid(True, axis="y")
    count = f"{int(found.sum())} of {len(order)} {kind}s are found again as {kind}s"
    axes.set_title(f"{count} ({table.attrs.get('hook_point', '')})")
    figure.legend(loc="outside lower center", ncols=2, columnspacing=1.4, handlelength=1.3)
    figure.alt = (
        f"{count} in another network: correlation of each with its match on images not used to match, sorted, over grey "
        "bands of what a rotated basis and shuffled images give."
    )
    return figure


def _clear(colours: Colormap) -> Colormap:
    """The same colours, with nothing drawn where a value is missing."""
    return colours.with_extremes(bad=(0, 0, 0, 0))


def _one(colour: str) -> Colormap:
    return style._map("one", (colour, colour), "#00000000")


def _readable(colours: Colormap, share: float, theme: Theme) -> str:
    """Ink or paper, whichever is told from the cell's colour."""
    if np.isnan(share):
        return theme.ink
    cell, ink, paper = (_light(c) for c in (colours(share), theme.ink, theme.paper))
    return theme.ink if abs(cell - ink) > abs(cell - paper) else theme.paper


def _light(colour: object) -> float:
    red, green, blue = style.to_rgba(colour)[:3]  # type: ignore[arg-type]
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _known(values: np.ndarray) -> bool:
    return bool((~np.isnan(values)).any())
