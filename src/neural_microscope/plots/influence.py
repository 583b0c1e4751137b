"""Plots of influence: estimates beside the ceiling that retrained networks set, and the training images of most influence."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws, theme_of


@draws
def influence_agreement(table: xr.Dataset, *, theme: Theme) -> Plot:
    """The agreement of each estimate with retraining, over that of permuted sets and below the ceiling.

    The last row is the ceiling with its interval, and a dashed line across. Without agreements, because the question
    was refused, the reason stands in their place.

    Args:
        table: Result of `influence.verify`.

    >>> sets, targets = nm.influence.halves(digits.train, n=8), nm.influence.Prediction(tuple(range(10)))
    >>> found = nm.influence.verify(run, sets, targets, data=digits, seeds=2, methods=["tracin", "pixels"], draws=99)
    >>> nm.plots.influence_agreement(found).alt
    'Agreement of influence, as tracin and pixels estimate it, with retraining, ...'
    """
    methods = [str(name) for name in table["estimate"].values]
    figure, (axes,) = style.new("middle", 1.2 + 0.34 * (len(methods) + 1), theme)
    value, low, high = (float(table[name]) for name in ("ceiling", "ceiling_low", "ceiling_high"))
    forms.rows(axes, table, "agreement", [*methods], null="permuted sets")
    last = len(methods)
    axes.axvline(value, color=theme.ink, linewidth=0.9, linestyle="--", zorder=1)
    axes.hlines(last, low, high, color=theme.ink, linewidth=1)
    axes.plot(value, last, "o", color=theme.ink, markerfacecolor=theme.paper, markersize=5)
    axes.set_yticks(range(last + 1), [*methods, "ceiling"])
    axes.set_ylim(last + 0.5, -0.5)
    axes.axvline(0, color=theme.quiet, linewidth=0.6)
    axes.set(xlabel="rank correlation with retraining", title="Agreement and its ceiling")
    known = np.isfinite(table["agreement"].values)
    if known.any():
        low = float(np.nanmin([table["agreement_null_low"], table["agreement_low"]]))
        axes.set_xlim(min(low, 0) - 0.05, 1)
        forms.legend_below(figure, axes)
        each = ", ".join(
            f"{name} {style.fixed(float(one))}" for name, one in zip(methods, table["agreement"].values, strict=True)
        )
    else:
        axes.set_xlim(-0.2, 1)
        forms.say_missing(axes, "agreement not asked:\nthe ceiling is too low, or not shown")
        each = "not asked"
    named = " and ".join([", ".join(methods[:-1]), methods[-1]] if last > 1 else methods)
    return figure.says(
        f"Agreement of influence, as {named} estimate{'s' * (last == 1)} it, with retraining, over the band of permuted sets: {each}. "
        f"The ceiling is {style.fixed(value)}."
    )


@draws
def influential_images(influence: xr.DataArray, images: np.ndarray, *, n: int = 8, theme: Theme) -> Plot:
    """The training images that raise a target most and those that lower it most, with their labels and influences.

    Args:
        influence: Influence of each training image on one target, [example], perhaps with the coordinate ``label``.
        images: Training images [example, row, col] or [example, row, col, 3], 0..255.
        n: Images of each kind.

    >>> influence = nm.influence.estimate(run, nm.influence.Prediction(0), data=digits, method="tracin")[0]
    >>> nm.plots.influential_images(influence, digits.train.images, n=5).alt
    'The 5 training images that raise the margin of image 0 most, by ...'
    """
    values = np.asarray(influence.values, float)
    order = np.argsort(-values, kind="stable")
    kinds = {"raise": order[values[order] > 0][: max(n, 0)], "lower": order[values[order] < 0][::-1][: max(n, 0)]}
    most = max(map(len, kinds.values()))
    target = str(influence["target"].values) if "target" in influence.coords else "target"
    across = max(min(most, 4) if style.narrow() else most, 1)
    figure, panels = style.new("wide", 0.9 + 1.4 * max(-(-most // across), 1), theme, rows=2)
    for axes, (name, chosen) in zip(panels, kinds.items(), strict=True):
        axes.set_title(f"Training images that {name} the {target} most", fontsize=8)
        if len(chosen):
            _labeled(axes, influence[chosen], images, chosen, across)
        else:
            forms.quiet(axes)
            forms.say_missing(axes, "none is known to")
    panels[-1].set_xlabel(f"{'label and ' * ('label' in influence.coords)}influence of each", fontsize=7.5)
    said = [
        f"the {count(len(chosen), 'training images')} that {name} the {target} most, by {style.told(abs(float(values[chosen[0]])))} at most"
        if len(chosen)
        else f"no training image is known to {name} the {target}"
        for name, chosen in kinds.items()
    ]
    return figure.says(f"{said[0][0].upper()}{said[0][1:]}; {said[1]}.")


def _labeled(axes: Axes, influence: xr.DataArray, images: np.ndarray, chosen: np.ndarray, across: int) -> None:
    """Images in rows, each with its label and influence below."""
    height, width = images.shape[1:3]
    gap = (max(6, height // 2), max(3, width // 4))
    forms.images(axes, forms.chosen_images(images, chosen), across, gap=gap)
    for place, one in enumerate(influence):
        row, col = divmod(place, across)
        at = col * (width + gap[1]) + (width - 1) / 2, row * (height + gap[0]) + height
        label = f"{style.called(int(one['label']))}: " if "label" in one.coords else ""
        words = f"{label}{'+' * bool(one > 0)}{style.told(float(one))}"
        axes.text(*at, words, ha="center", va="top", fontsize=6.5, color=theme_of(axes).quiet)
    axes.set_ylim(axes.get_ylim()[0] + gap[0], axes.get_ylim()[1])
