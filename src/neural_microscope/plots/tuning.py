"""Plots of unit specialization: tuning curves, images at activation quantiles, preferred classes over training, and bases."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws


@draws
def tuning(
    curves: xr.Dataset,
    untrained: xr.Dataset | None = None,
    *,
    units: Sequence[int] | None = None,
    theme: Theme,
) -> Plot:
    """Tuning curves of chosen units, each scaled by its own highest mean.

    Gray band: as many images of any class; gray line: the same unit untrained.

    Args:
        curves: Result of `analysis.selectivity.tuning`.
        untrained: The same of the same units, untrained; None: not drawn.
        units: Numbers of the units; None: the 8 with most variance between classes.

    >>> nm.plots.tuning(nm.analysis.selectivity.tuning(acts[-1], draws=20), units=[3]).alt
    'Mean activation of 1 unit for each class with a 95% interval, ...'
    """
    axis = str(curves["mean"].dims[-1])
    if units is None:
        units = np.argsort(-curves["explained"].fillna(-1).values, kind="stable")[:8].tolist()
    rows = -(-len(units) // 4)
    figure, panels = style.new("wide", 0.55 + 1.35 * rows, theme, rows=rows, columns=4, sharex=True, sharey=True)
    for axes, unit in zip(panels, units, strict=False):
        if untrained is not None:
            before = untrained["mean"].isel({axis: unit}).values
            axes.plot(before / forms.limit_of(before), color=theme.null, linewidth=0.9)
        _curve(axes, curves.isel({axis: unit}))
        axes.set_title(f"{axis} {unit}", fontsize=8)
    for axes in panels[len(units) :]:
        axes.set_visible(False)
    figure.supylabel("share of the highest mean")
    figure.supxlabel(
        "class shown (gray band: labels shuffled" + ("" if untrained is None else "; gray line: untrained") + ")"
    )
    between = ", ".join(f"{unit} {style.share(float(curves['explained'][unit]))}" for unit in units)
    return figure.says(
        f"Mean activation of {count(len(units), f'{axis}s')} for each class with a 95% interval, with random images of any class "
        f"as the null. Variance between the classes: {between}."
    )


def _curve(axes: Axes, curve: xr.Dataset) -> None:
    """One unit: its null, its means as digits with their intervals."""
    factor = 1 / forms.limit_of(curve["mean"].values)
    mean = factor * curve["mean"].values
    known = np.flatnonzero(np.isfinite(mean))
    forms.curve(axes, np.arange(len(mean)), curve, "mean", factor=factor)
    axes.plot(known, mean[known], "o", markersize=7, color=style.theme_of(axes).paper, zorder=3)
    forms.digits(axes, np.stack([known, mean[known]], 1), known, size=34, zorder=4)
    axes.set(xticks=[], yticks=[0, 1])
    axes.margins(y=0.12)


@draws
def quantile_strips(
    images: np.ndarray, strips: xr.Dataset, *, units: Sequence[int] | None = None, theme: Theme
) -> Plot:
    """Images across the range of each unit, from its top-activating ones to those just above zero.

    The number above a strip is its mean activation.

    Args:
        images: Images [example, row, col] or [example, row, col, 3], 0..255, the same examples.
        strips: Result of `analysis.selectivity.quantile_examples`.
        units: Numbers of the units; None: the first 12 that are ever active.

    >>> strips = nm.analysis.selectivity.quantile_examples(acts[-1], quantiles=(1.0, 0.0), per=2)
    >>> nm.plots.quantile_strips(run.probe.images, strips, units=[3]).alt
    'For 1 unit, 2 images each at several heights of its activation, ...'
    """
    axis = str(strips["active"].dims[0])
    if units is None:
        units = np.flatnonzero(strips["active"].values > 0)[:12].tolist()
    chosen = strips.isel({axis: list(units)} | ({"rank": slice(2)} if style.narrow() else {}))
    size, per, columns = images.shape[1], chosen.sizes["rank"], chosen.sizes["quantile"]
    gap = size // 2
    width = 2.9 if style.narrow() else 6.4
    height = 0.4 + len(units) * (size + gap) * width / columns / (per * (size + 2))
    figure, panels = style.new("wide", max(0.6, height), theme, columns=columns if len(units) else 1)
    if not len(units):
        forms.quiet(panels[0])
        forms.say_missing(panels[0], f"No {axis} is ever active, so no image activates one")
        return figure.says(f"No {axis} is ever active: there is nothing to draw.")
    for number, axes in enumerate(panels):
        part = chosen.isel(quantile=number)
        tiles = forms.chosen_images(images, part["examples"].values)
        forms.images(axes, tiles, per, gap=(gap, 2), names=[str(unit) for unit in units] if number == 0 else ())
        for row, strength in enumerate(part["activation"].mean("rank").values):
            if np.isfinite(strength):
                above, words = row * (size + gap) - 1, style.told(float(strength))
                axes.text(0, above, words, fontsize=forms.SMALL, va="bottom", color=theme.quiet)
        axes.set_ylim(None, -gap)
        axes.set_title(_quantile_name(float(part["quantile"])), fontsize=8)
    panels[0].set_ylabel(axis)
    return figure.says(
        f"For {count(len(units), f'{axis}s')}, {per} images each at several heights of its activation, from the strongest to those just "
        "above zero."
    )


def _quantile_name(quantile: float) -> str:
    if style.narrow():
        return {1.0: "max", 0.5: "median", 0.0: "> 0"}.get(quantile, f"{100 * quantile:.0f}%")
    return {1.0: "strongest", 0.5: "median", 0.0: "just above 0"}.get(quantile, f"{100 * quantile:.0f}% quantile")


@draws
def selectivity_over_time(lives: xr.Dataset, *, theme: Theme) -> Plot:
    """Preferred class of each unit (row) at each snapshot (column), in the color of its class.

    Faint: not beyond chance; hatched: silent. Rows are sorted by the last class, then by the step at which it settles.

    Args:
        lives: Result of `analysis.selectivity.over_time`.

    >>> nm.plots.selectivity_over_time(nm.analysis.selectivity.over_time(acts)).alt
    'A row for each of 8 units, a column for each snapshot, ...'
    """
    axis = str(lives["since"].dims[0])
    preferred, beyond, gated = (
        lives[n].transpose("snapshot", axis).values.T for n in ("preferred", "auc_shown", "gated")
    )
    since = np.nan_to_num(lives["since"].values, nan=np.inf)
    last = np.where(beyond[:, -1], preferred[:, -1], 1 + preferred.max(initial=0))
    order = np.lexsort((since, last))
    preferred, beyond, gated, last = preferred[order], beyond[order], gated[order], last[order]
    size, snapshots = preferred.shape
    paper = np.array(to_rgb(theme.paper))
    hues = np.array([to_rgb(theme.of_class(c)) for c in range(1 + preferred.max(initial=0))])
    hue = hues[np.maximum(preferred, 0)]
    shown = np.where(beyond[..., None], hue, 0.14 * hue + 0.86 * paper)
    shown[gated] = paper
    figure, (axes,) = style.new("wide", 1.0 + max(1.2, 0.062 * size), theme)
    axes.imshow(shown, aspect="auto")
    if gated.any():
        forms.hatch(axes, gated)
    _glyphs(axes, preferred, beyond)
    _groups(axes, last, preferred[beyond].max(initial=-1))
    forms.quiet(axes, ticks=True)
    forms.step_ticks(axes, lives["step"].values if "step" in lives.coords else np.arange(snapshots))
    axes.set_title(f"The class each of {count(size, f'{axis}s')} prefers, at each snapshot")
    axes.set_xlabel(axes.get_xlabel() + "   faint: not beyond chance" + ("   hatched: silent" if gated.any() else ""))
    return figure.says(
        f"A row for each of {count(size, f'{axis}s')}, a column for each snapshot, in the color of the class the {axis} prefers there; "
        "faint where that is not beyond chance. Digits mark where a class begins."
    )


def _glyphs(axes: Axes, preferred: np.ndarray, beyond: np.ndarray) -> None:
    """The digit of a class where a unit takes it up, in ink or paper, whichever its color lets stand out."""
    theme, known = style.theme_of(axes), np.where(beyond, preferred, -1)
    before = np.hstack([np.full((len(known), 1), -1), known[:, :-1]])
    places = np.argwhere((known >= 0) & (known != before))
    labels = known[tuple(places.T)]
    for label in np.unique(labels):
        color, own = style.readable(theme.of_class(int(label)), theme), labels == label
        forms.digits(axes, places[own, ::-1], labels[own], size=13, color=color)


def _groups(axes: Axes, last: np.ndarray, highest: int) -> None:
    """Names the blocks of rows by the class they end with, those that are too low for a name of their own together."""
    apart = 0.13 * len(last) / (style.height(axes) - 1.1)  # rows that a name takes
    places: list[float] = []
    names: list[str] = []
    for label in np.unique(last):
        rows, name = np.flatnonzero(last == label), style.called(int(label)) if label <= highest else "none"
        axes.axhline(rows[0] - 0.5, color=style.theme_of(axes).paper, linewidth=1.2)
        if places and rows.mean() - places[-1] < apart:
            names[-1] += f", {name}"
        else:
            places.append(float(rows.mean()))
            names.append(name)
    axes.set_yticks(places, names)
    axes.set_ylabel("class at the end")


@draws
def basis_comparison(result: xr.Dataset, *, theme: Theme) -> Plot:
    """Class AUC and information of single directions: one row per basis, a tick per direction, a dot for their mean.

    Gray band: the mean over as many random directions.

    Args:
        result: Result of `analysis.selectivity.basis_comparison`.
    """
    bases = [str(b) for b in result["basis"].values]
    names = [f"{basis} ({components})" for basis, components in zip(bases, result["n_components"].values, strict=True)]
    figure, panels = style.new("wide", 1.15 + 0.42 * len(bases), theme, columns=2, sharey=True)
    words = {"auc": "AUC, best class (0.5: none)", "mutual_information": "information on the class (bits)"}
    for axes, (name, label) in zip(panels, words.items(), strict=True):
        forms.rows(axes, result, name, names)
        for row, each in enumerate(result[f"{name}_by_component"].values):
            axes.plot(each, np.full(len(each), row), "|", color=theme.quiet, alpha=0.5, markersize=7, zorder=1.5)
        axes.set_xlabel(label)
    varies = np.isfinite(float(result["auc"][0]))
    title = f"Class selectivity of single {bases[0]} and of random directions (gray)"
    return figure.says(
        f"For {', '.join(bases)}: the class selectivity of each direction, and their mean, with the mean over as many "
        "random directions of the same space as a gray band.",
        title=title if varies else "No direction varies",
    )
