"""Pictures of single units: their weights, their top-activating images, their classes, their worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from . import forms, style
from .style import Plot, Theme, draws


@draws
def weights(
    trained: np.ndarray, untrained: np.ndarray, constant: np.ndarray | None = None, *, across: int = 16, theme: Theme
) -> Plot:
    """Weights of units as pictures, [unit, row, col], above those of the same units before training, on one scale.

    ``constant`` [row, col]: pixels that never change in training, so that their weights are still random; grayed.
    """
    limit = float(np.nanpercentile(np.abs(trained), 99.5)) or 1.0
    rows = -(-len(trained) // across)
    figure = style.new("wide", 0.9 + 12.4 * rows / across, theme)
    # Kernels of a few pixels are drawn as large as whole images are, each pixel a block.
    block = max(1, 24 // trained.shape[1])
    settings: dict[str, Any] = {"gap": 6 if block == 1 else 14, "numbered": True, "label": "weight"}
    sides = (("Trained", trained), ("The same units untrained", untrained))
    for axes, (title, values) in zip(figure.subplots(2, 1), sides, strict=True):
        shown = values if constant is None else np.where(constant, np.nan, values)
        forms.images(axes, shown.repeat(block, 1).repeat(block, 2), across, (-limit, limit), **settings)
        axes.set_title(title)
    gray = "; pixels that never change in training are gray" if constant is not None and constant.any() else ""
    figure.alt = (
        f"Weights of {len(trained)} units as pictures, trained above untrained, blue below 0, orange above{gray}."
    )
    return figure


@draws
def class_means(trained: xr.DataArray, untrained: xr.DataArray, *, theme: Theme) -> Plot:
    """Mean activation class × unit, trained beside untrained, each sorted by the class with a unit's highest mean and scaled
    by that mean.
    """
    figure = style.new("wide", 2.9, theme)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, means, title in zip(panels, (trained, untrained), ("Trained", "Untrained"), strict=True):
        values = means.transpose("class", ...).values
        peak = values.max(0)
        order = np.lexsort((-peak, np.where(peak > 0, values.argmax(0), len(values))))
        forms.matrix(axes, (values / np.where(peak > 0, peak, np.nan))[:, order], (0, 1), aspect="auto")
        axes.set_yticks(range(len(values)), [str(c) for c in range(len(values))])
        silent = "; gray: silent" if (peak <= 0).any() else ""
        words = f"{values.shape[1]} {means.dims[-1]}s, by class of highest mean{silent}"
        axes.set(title=title, xticks=[], xlabel=words)
    panels[0].set_ylabel("class")
    forms.color_bar(panels, theme.amount_map, (0, 1), "share of the unit's highest mean")
    figure.alt = "Mean activation of each unit for each class, trained beside untrained, units sorted by the class of their highest mean."
    return figure


@draws
def selectivity(
    table: xr.Dataset, effects: xr.Dataset, untrained: xr.Dataset | None = None, *, named: int = 6, theme: Theme
) -> Plot:
    """Selectivity of each unit against the accuracy lost when it is ablated; gray: what shuffled labels give, and the untrained
    network's units.

    ``table``, ``untrained``: `analysis.selectivity.class_selectivity`; ``effects``: `analysis.causal.ablate_all` of
    the same units, in the same order. ``named``: how many of the units that lose most are named.
    """
    figure = style.new("wide", 3.3, theme)
    axes = figure.subplots()
    low, high = (float(np.nanmedian(end)) for end in forms.ends(table.fillna(0), "selectivity_null"))
    axes.axvspan(low, high, color=theme.null, alpha=0.3, linewidth=0)
    x, y = table["selectivity"].values, 100 * effects["accuracy_drop"].values
    known = ~np.isnan(x)
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    forms.interval(axes, x, effects, "accuracy_drop", factor=100, linewidth=0.5)
    forms.digits(axes, np.stack([x, y], 1)[known], table["preferred"].values[known], size=42, zorder=3)
    marks = ["digit: the class a unit prefers", "gray band: shuffled labels"]
    if untrained is not None:
        bottom, top = axes.get_ylim()
        values = untrained["selectivity"].values
        axes.plot(values, np.full(len(values), bottom - 0.06 * (top - bottom)), "|", color=theme.null, markersize=7)
        axes.set_ylim(bottom - 0.12 * (top - bottom), top)
        marks.append("gray ticks: the untrained network's units")
    axes.set(
        xlabel="class selectivity on held-out images\n" + " · ".join(marks),
        ylabel="accuracy lost when ablated\n(percentage points)",
    )
    axes.grid(True, axis="y")
    axes.margins(x=0.04)
    most = [unit for unit in np.argsort(-np.where(known, y, -np.inf), kind="stable")[:named] if known[unit]]
    forms.label_points(axes, {str(unit): (x[unit], y[unit]) for unit in most})
    figure.alt = (
        f"Each unit of {table.attrs.get('hook_point', 'a layer')} by its class selectivity and the accuracy lost when it is ablated; "
        "a gray band shows what shuffled labels give, gray ticks below the units of the untrained network."
    )
    return figure


@draws
def top_images(images: np.ndarray, order: xr.DataArray, *, columns: int = 4, theme: Theme) -> Plot:
    """The top-activating images of each unit, strongest first.

    ``images`` [example, row, col]; ``order``: `analysis.selectivity.top_examples`.
    """
    units, ranks = order.shape
    rows, height = -(-units // columns), images.shape[1]
    figure = style.new("wide", 0.1 + 0.235 * rows, theme)
    for column, axes in enumerate(figure.subplots(1, columns, squeeze=False)[0]):
        chosen = order.values[column * rows : (column + 1) * rows]
        axes.set_visible(len(chosen) > 0)
        if not len(chosen):
            continue
        forms.images(axes, forms.chosen_images(images, chosen), ranks)
        names = [f"{column * rows + i}" + ("" if row[0] >= 0 else " dead") for i, row in enumerate(chosen)]
        axes.set_yticks([(i + 0.5) * (height + 2) - 1.5 for i in range(len(chosen))], names, fontsize=6.5)
    figure.alt = f"For each of {units} units its {ranks} top-activating probe images, strongest first."
    return figure


@draws
def feature_maps(maps: np.ndarray, image: np.ndarray, *, across: int = 8, theme: Theme) -> Plot:
    """What each channel makes of one image: ``maps`` [channel, row, col], beside the ``image`` [row, col]."""
    rows = -(-len(maps) // across)
    figure = style.new("wide", 0.25 + 0.66 * rows, theme)
    left, right = figure.subplots(1, 2, width_ratios=(1.3, across))
    forms.images(left, image[None] / 255, 1)
    left.set_title("the image", fontsize=8, loc="center")
    limits = (min(0.0, float(maps.min())), float(maps.max()) or 1.0)
    forms.images(right, maps, across, limits, colors=theme.amount_map, numbered=True, label="activation")
    right.set_title("its map in each channel", fontsize=8, loc="center")
    figure.alt = f"One image and the {len(maps)} maps that a convolutional layer makes of it."
    return figure
