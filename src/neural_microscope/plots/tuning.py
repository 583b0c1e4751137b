"""Pictures of what units specialise in: tuning curves, images across a unit's range, lives, and bases beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from . import style
from .style import Look, Plot, draws

MEASURE_NAMES = {
    "selectivity": "selectivity",
    "auc": "AUC",
    "mutual_information": "information",
    "precision": "precision",
}


@draws
def tuning(
    curves: xr.Dataset,
    untrained: xr.Dataset | None = None,
    *,
    units: Sequence[int] | None = None,
    across: int = 4,
    look: Look,
) -> Plot:
    """Tuning curves of chosen ``units`` (the 8 with most variance between classes, where none are named), each scaled by
    its own highest mean; grey band: as many images of any class; grey line: the same unit untrained.

    ``curves``, ``untrained``: `analysis.selectivity.tuning` of the same units.
    """
    axis = str(curves["mean"].dims[-1])
    if units is None:
        units = np.argsort(-curves["explained"].fillna(-1).values, kind="stable")[:8].tolist()
    rows = -(-len(units) // across)
    figure = style.new("wide", 0.55 + 1.35 * rows, look)
    grid = np.atleast_1d(figure.subplots(rows, across, sharex=True, sharey=True, squeeze=False)).ravel()
    for axes, unit in zip(grid, units, strict=False):
        _curve(axes, curves.isel({axis: unit}), None if untrained is None else untrained.isel({axis: unit}), look)
        share = float(curves["explained"][unit])
        axes.set_title(f"{axis} {unit}" + ("" if np.isnan(share) else f": {share:.0%} by class"), fontsize=8)
    for axes in grid[len(units) :]:
        axes.set_visible(False)
    figure.supylabel("share of the highest mean", fontsize=8.5)
    grey = "grey band: images of any class" + ("" if untrained is None else "; grey line: untrained")
    figure.supxlabel(f"class shown ({grey}; %: variance between classes)", fontsize=8.5)
    figure.alt = (
        f"Mean activation of {len(units)} {axis}s for each class with a 95 % interval, beside what images of any class "
        "would give; the title of each says which share of its variance lies between the classes."
    )
    return figure


def _curve(axes: Axes, curve: xr.Dataset, untrained: xr.Dataset | None, look: Look) -> None:
    """One unit: its null, itself before training, its means as digits with their intervals."""
    classes = np.arange(curve.sizes["class"])
    scale = float(np.abs(curve["mean"]).max()) or 1.0
    low, mean, high = (curve[f"mean{end}"].values / scale for end in ("_low", "", "_high"))
    axes.fill_between(
        classes, curve["mean_null_low"] / scale, curve["mean_null_high"] / scale, color=look.null, alpha=0.3, lw=0
    )
    if untrained is not None:
        before = float(np.abs(untrained["mean"]).max()) or 1.0
        axes.plot(classes, untrained["mean"].values / before, color=look.null, linewidth=0.9)
    axes.plot(classes, mean, color=look.ink, linewidth=0.7)
    style.intervals(axes, classes, low, high, color=look.ink, linewidth=0.7)
    for label in classes[np.isfinite(mean)]:
        axes.plot(label, mean[label], "o", markersize=7, color=look.paper, zorder=3)
        axes.scatter(label, mean[label], marker=f"${label}$", s=34, color=look.of_class(label), linewidths=0, zorder=4)
    axes.set_xticks([])
    axes.set_yticks([0, 1])
    axes.margins(y=0.12)


@draws
def quantile_strips(images: np.ndarray, strips: xr.Dataset, *, units: Sequence[int] | None = None, look: Look) -> Plot:
    """Images across the range of each unit, from those it likes most to those that hardly excite it.

    ``images`` [example, row, col], the same examples; ``strips``: `analysis.selectivity.quantile_examples`. ``units``:
    which are drawn, the first 12 that are ever on where none are named. The number above a strip is its mean activation.
    """
    axis = str(strips["active"].dims[0])
    if units is None:
        units = np.flatnonzero(strips["active"].values > 0)[:12].tolist()
    if not len(units):
        return _nothing(f"No {axis} is ever on, so no image excites one", look)
    chosen = strips.isel({axis: list(units)})
    size, per, columns = images.shape[1], chosen.sizes["rank"], chosen.sizes["quantile"]
    gap = size // 2
    figure = style.new("wide", 0.4 + len(units) * (size + gap) * 6.4 / columns / (per * (size + 2)), look)
    for axes, quantile in zip(np.atleast_1d(figure.subplots(1, columns)), chosen["quantile"].values, strict=True):
        part = chosen.sel(quantile=quantile)
        numbers = part["examples"].values
        shown = np.where((numbers >= 0)[..., None, None], images[numbers] / 255, np.nan)
        axes.imshow(_rows(shown, gap, look))
        style.quiet(axes)
        for row, strength in enumerate(part["activation"].mean("rank").values):
            if np.isfinite(strength):
                axes.text(0, row * (size + gap) + gap - 1, f"{strength:.2g}", fontsize=5, va="bottom", color=look.quiet)
        axes.set_title(_quantile_name(float(quantile)), fontsize=8)
    middles = [row * (size + gap) + gap + size / 2 for row in range(len(units))]
    figure.axes[0].set_yticks(middles, [str(unit) for unit in units])
    figure.axes[0].set_ylabel(axis)
    figure.alt = (
        f"For {len(units)} {axis}s, {per} images each at several heights of its activation, from the strongest to those just "
        "above zero; where the classes mix further down, the strongest images alone would mislead."
    )
    return figure


def _nothing(why: str, look: Look) -> Plot:
    """A picture of what is not there, in words."""
    figure = style.new("wide", 0.6, look)
    axes = figure.subplots()
    style.quiet(axes)
    style.missing(axes, why, look)
    figure.alt = f"{why}: there is nothing to draw."
    return figure


def _rows(shown: np.ndarray, gap: int, look: Look) -> np.ndarray:
    """Strips [unit, rank, row, col] below each other as one picture, with room above each for a number."""
    strips = [style.mosaic(strip, shown.shape[1], look.digit_map, (0, 1), look) for strip in shown]
    room = np.tile(np.array([*to_rgb(look.paper), 1.0]), (gap, strips[0].shape[1], 1))
    return np.concatenate([part for strip in strips for part in (room, strip)])


def _quantile_name(quantile: float) -> str:
    return {1.0: "strongest", 0.5: "median", 0.0: "just above 0"}.get(quantile, f"{100 * quantile:.0f} % quantile")


@draws
def selectivity_over_time(lives: xr.Dataset, *, look: Look) -> Plot:
    """Which class each unit prefers at each snapshot: a row a unit, in the colour of its class, faint where that is not
    beyond chance, hatched where the unit is silent. Rows are sorted by the last class, then by since when it holds.

    ``lives``: `analysis.selectivity.over_time`.
    """
    axis = str(lives["since"].dims[0])
    preferred, beyond, gated = (
        lives[n].transpose("snapshot", axis).values.T for n in ("preferred", "auc_shown", "gated")
    )
    since = lives["since"].values
    last = np.where(beyond[:, -1], preferred[:, -1], 1 + preferred.max(initial=0))
    order = np.lexsort((np.nan_to_num(since, nan=np.inf), last))
    preferred, beyond, gated, last = preferred[order], beyond[order], gated[order], last[order]
    count, snapshots = preferred.shape
    paper = np.array(to_rgb(look.paper))
    hue = np.array([[to_rgb(look.of_class(max(c, 0))) for c in row] for row in preferred])
    shown = np.where(beyond[..., None], hue, 0.14 * hue + 0.86 * paper)
    shown[gated] = paper
    figure = style.new("wide", 1.0 + max(1.2, 0.062 * count), look)
    axes = figure.subplots()
    axes.imshow(shown, aspect="auto", extent=(-0.5, snapshots - 0.5, count - 0.5, -0.5))
    if gated.any():
        mask = np.ma.masked_where(~gated, np.zeros(gated.shape))
        silent = axes.pcolor(np.arange(snapshots), np.arange(count), mask, hatch="/////", linewidth=0)
        silent.set(facecolor="none", edgecolor=look.null)
    _glyphs(axes, preferred, beyond, look)
    _groups(axes, last, preferred[beyond].max(initial=-1), look)
    style.quiet(axes, ticks=True)
    steps = lives["step"].values if "step" in lives.coords else np.arange(snapshots)
    style.step_ticks(axes, steps)
    held = np.isfinite(since)
    middle = f"; half of them since step {int(np.median(since[held])):,}" if held.any() else ""
    axes.set_title(f"{held.sum()} of {count} {axis}s end with a class beyond chance{middle}")
    axes.set_xlabel(axes.get_xlabel() + "   faint: not beyond chance" + ("   hatched: silent" if gated.any() else ""))
    figure.alt = (
        f"A row for each of {count} {axis}s, a column for each snapshot, in the colour of the class the {axis} prefers there; "
        "faint where that is not beyond chance. Digits mark where a class begins."
    )
    return figure


def _glyphs(axes: Axes, preferred: np.ndarray, beyond: np.ndarray, look: Look) -> None:
    """The digit of a class where a unit takes it up, in ink or paper, whichever its colour lets stand out."""
    known = np.where(beyond, preferred, -1)
    before = np.hstack([np.full((len(known), 1), -1), known[:, :-1]])
    for row, column in zip(*np.nonzero((known >= 0) & (known != before)), strict=True):
        label = int(known[row, column])
        under = _light(look.of_class(label))
        from_ink, from_paper = (abs(_light(colour) - under) for colour in (look.ink, look.paper))
        colour = look.ink if from_ink > from_paper else look.paper
        text = axes.text(column, row, str(label), fontsize=5, ha="center", va="center", color=colour)
        text.set_in_layout(False)


def _light(colour: str) -> float:
    red, green, blue = to_rgb(colour)
    return 0.3 * red + 0.59 * green + 0.11 * blue


def _groups(axes: Axes, last: np.ndarray, highest: int, look: Look) -> None:
    """Names the blocks of rows by the class they end with."""
    places, names = [], []
    for label in np.unique(last):
        rows = np.flatnonzero(last == label)
        axes.axhline(rows[0] - 0.5, color=look.paper, linewidth=1.2)
        places.append(rows.mean())
        names.append(str(label) if label <= highest else "none")
    axes.set_yticks(places, names)
    axes.set_ylabel("class at the end")


@draws
def measure_agreement(result: xr.Dataset, *, look: Look) -> Plot:
    """How far the measures of selectivity rank the units alike: a matrix of rank correlations with their numbers; grey
    numbers lie within what random orders of the units give.

    ``result``: `analysis.selectivity.agreement`.
    """
    names = [MEASURE_NAMES.get(str(n), str(n)) for n in result["measure"].values]
    rho = result["agreement"].values
    count = len(names)
    figure = style.new("narrow", 3.0, look)
    axes = figure.subplots()
    own = np.eye(count, dtype=bool)
    axes.imshow(np.where(own, 0, rho), cmap=look.signed_map, vmin=-1, vmax=1)
    for a, b in zip(*np.nonzero(~own), strict=True):
        chance = bool(result["agreement_null_low"][a, b] <= rho[a, b] <= result["agreement_null_high"][a, b])
        text = "none" if np.isnan(rho[a, b]) else f"{rho[a, b]:.2f}".replace("-", "−")
        axes.text(b, a, text, ha="center", va="center", color=look.quiet if chance else look.ink)
    style.quiet(axes, ticks=True)
    axes.set_xticks(range(count), names, rotation=25, ha="right")
    axes.set_yticks(range(count), names)
    units = int(result["n"].max())
    axes.set_title(f"Do the measures rank {units} units alike?", fontsize=8.5)
    axes.set_xlabel("rank correlation, −1 to 1; grey: no more than by chance", fontsize=7.5)
    figure.alt = f"Rank correlation over {units} units between {', '.join(names)}; numbers in grey are no more than chance gives."
    return figure


@draws
def basis_comparison(result: xr.Dataset, *, look: Look) -> Plot:
    """How well single directions tell classes apart: one row a basis, a tick a direction, a dot their mean; grey band:
    the mean over as many random directions.

    ``result``: `analysis.selectivity.basis_comparison`.
    """
    bases = [str(b) for b in result["basis"].values]
    figure = style.new("wide", 1.15 + 0.42 * len(bases), look)
    panels = (("auc", "AUC of its best class (0.5: none)"), ("mutual_information", "information on the class (bit)"))
    for axes, (name, label) in zip(figure.subplots(1, 2, sharey=True), panels, strict=True):
        for row in range(len(bases)):
            low, high = (float(result[f"{name}_null_{end}"][row]) for end in ("low", "high"))
            if np.isfinite(low):
                axes.fill_between([low, high], row - 0.36, row + 0.36, color=look.null, alpha=0.3, linewidth=0)
            each = result[f"{name}_by_component"].values[row]
            axes.plot(each, np.full(len(each), row), "|", color=look.quiet, alpha=0.5, markersize=7)
            axes.plot(float(result[name][row]), row, "o", color=look.ink, markersize=5)
        axes.set_xlabel(label)
        axes.grid(True, axis="x")
        axes.margins(y=0.2)
    left = figure.axes[0]
    counts = result["n_components"].values
    left.set_yticks(range(len(bases)), [f"{b} ({n})" for b, n in zip(bases, counts, strict=True)])
    left.invert_yaxis()
    figure.suptitle(_title(result, bases[0]), x=0.01, ha="left", fontsize=9, fontweight="bold")
    figure.alt = (
        f"For {', '.join(bases)}: how well each direction tells classes apart, and their mean, beside the mean over as many "
        "random directions of the same space as a grey band."
    )
    return figure


def _title(result: xr.Dataset, units: str) -> str:
    """What is compared; whether they differ is said by the page's claim."""
    if np.isnan(float(result["auc"][0])):
        return "No direction varies"
    return f"How well single {units} tell the classes apart, and random directions (grey)"
