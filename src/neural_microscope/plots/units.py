"""Pictures of single units: their weights, the images they like, their classes, their worth."""

from __future__ import annotations

import numpy as np
import xarray as xr

from . import style
from .style import Look, Plot, draws


@draws
def weights(
    trained: np.ndarray, untrained: np.ndarray, constant: np.ndarray | None = None, *, across: int = 16, look: Look
) -> Plot:
    """Weights of units as pictures, [unit, row, col], above those of the same units before training, on one scale.

    ``constant`` [row, col]: pixels that never change in training, so that their weights are still random; greyed.
    """
    limit = float(np.nanpercentile(np.abs(trained), 99.5)) or 1.0
    rows = -(-len(trained) // across)
    figure = style.new("wide", 0.9 + 12.4 * rows / across, look)
    # Kernels of a few pixels are drawn as large as whole images are, each pixel a block.
    block = max(1, 24 // trained.shape[1])
    gap = 6 if block == 1 else 14
    for axes, values, title in zip(
        figure.subplots(2, 1), (trained, untrained), ("Trained", "The same units untrained"), strict=True
    ):
        shown = values if constant is None else np.where(constant, np.nan, values)
        shown = shown.repeat(block, 1).repeat(block, 2)
        axes.imshow(style.mosaic(shown, across, look.signed_map, (-limit, limit), look, gap=gap))
        style.number_tiles(axes, len(values), across, shown.shape[1:], gap=gap, look=look)
        style.quiet(axes)
        axes.set_title(title)
        style.colour_bar(figure, axes, look.signed_map, (-limit, limit), "weight")
    grey = "; pixels that never change in training are grey" if constant is not None and constant.any() else ""
    figure.alt = (
        f"Weights of {len(trained)} units as pictures, trained above untrained, blue below 0, orange above{grey}."
    )
    return figure


@draws
def class_means(trained: xr.DataArray, untrained: xr.DataArray, *, look: Look) -> Plot:
    """Mean activation class × unit, trained beside untrained, each sorted by the class a unit likes most and scaled
    by the unit's highest.
    """
    figure = style.new("wide", 2.9, look)
    for axes, means, title in zip(
        figure.subplots(1, 2, sharey=True), (trained, untrained), ("Trained", "Untrained"), strict=True
    ):
        values = means.transpose("class", ...).values
        peak = values.max(0)
        order = np.lexsort((-peak, np.where(peak > 0, values.argmax(0), len(values))))
        shown = (values / np.where(peak > 0, peak, np.nan))[:, order]
        image = axes.imshow(shown, aspect="auto", cmap=look.amount_map, vmin=0, vmax=1)
        style.quiet(axes, ticks=True)
        axes.set_yticks(range(len(values)), [str(c) for c in range(len(values))])
        axes.set_xticks([])
        silent = "; grey: silent" if (peak <= 0).any() else ""
        axes.set_xlabel(f"{values.shape[1]} {means.dims[-1]}s, by the class they like most{silent}")
        axes.set_title(title)
    figure.axes[0].set_ylabel("class")
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.02, pad=0.01, label="share of the unit's highest mean")
    bar.outline.set_visible(False)
    figure.alt = "Mean activation of each unit for each class, trained beside untrained, units sorted by the class they like most."
    return figure


@draws
def selectivity(
    table: xr.Dataset, effects: xr.Dataset, untrained: xr.Dataset | None = None, *, named: int = 6, look: Look
) -> Plot:
    """Selectivity of each unit against what cutting it out costs; grey: what shuffled labels give, and the untrained
    network's units.

    ``table``, ``untrained``: `analysis.selectivity.class_selectivity`; ``effects``: `analysis.causal.ablate_all` of
    the same units, in the same order. ``named``: how many of the units that cost most are named.
    """
    figure = style.new("wide", 3.3, look)
    axes = figure.subplots()
    low, high = float(table["selectivity_null_low"].median()), float(table["selectivity_null_high"].median())
    axes.axvspan(low, high, color=look.null, alpha=0.3, linewidth=0)
    x, y = table["selectivity"].values, 100 * effects["accuracy_drop"].values
    ends = 100 * np.stack([effects["accuracy_drop_low"], effects["accuracy_drop_high"]])
    known = ~np.isnan(x)
    axes.axhline(0, color=look.quiet, linewidth=0.6)
    style.intervals(axes, x[known], *ends[:, known], color=look.quiet, linewidth=0.5, alpha=0.6)
    preferred = table["preferred"].values
    for label in np.unique(preferred[known]):
        there = known & (preferred == label)
        colour = look.of_class(int(label))
        axes.scatter(x[there], y[there], marker=f"${label}$", s=42, color=colour, linewidths=0, zorder=3)
    bottom, top = axes.get_ylim()
    if untrained is not None:
        values = untrained["selectivity"].values
        axes.plot(values, np.full(len(values), bottom - 0.06 * (top - bottom)), "|", color=look.null, markersize=7)
        axes.set_ylim(bottom - 0.12 * (top - bottom), top)
    costly = [unit for unit in np.argsort(-np.where(known, y, -np.inf))[:named] if known[unit]]
    style.label_points(axes, {str(unit): (x[unit], y[unit]) for unit in costly}, look)
    marks = ["digit: the class a unit prefers", "grey band: shuffled labels"]
    if untrained is not None:
        marks.append("grey ticks: the untrained network's units")
    axes.set_xlabel("class selectivity on held-out images\n" + " · ".join(marks))
    axes.set_ylabel("accuracy lost when cut out\n(percentage points)")
    axes.grid(True, axis="y")
    axes.margins(x=0.04)
    figure.alt = (
        f"Each unit of {table.attrs.get('hook_point', 'a layer')} by its class selectivity and the accuracy lost when it is cut out; "
        "a grey band shows what shuffled labels give, grey ticks below the units of the untrained network."
    )
    return figure


@draws
def top_images(images: np.ndarray, order: xr.DataArray, *, columns: int = 4, look: Look) -> Plot:
    """The images that excite each unit most, strongest first.

    ``images`` [example, row, col]; ``order``: `analysis.selectivity.top_examples`.
    """
    units, ranks = order.shape
    rows = -(-units // columns)
    height = images.shape[1]
    figure = style.new("wide", 0.1 + 0.235 * rows, look)
    for column, axes in enumerate(np.atleast_1d(figure.subplots(1, columns))):
        chosen = order.values[column * rows : (column + 1) * rows]
        style.quiet(axes, ticks=True)
        axes.set_xticks([])
        if not len(chosen):
            axes.set_visible(False)
            continue
        shown = np.where((chosen >= 0)[..., None, None], images[chosen] / 255, np.nan).reshape(-1, *images.shape[1:])
        axes.imshow(style.mosaic(shown, ranks, look.digit_map, (0, 1), look))
        names = [f"{column * rows + i}" + ("" if row[0] >= 0 else " dead") for i, row in enumerate(chosen)]
        axes.set_yticks([(i + 0.5) * (height + 2) - 1.5 for i in range(len(chosen))], names, fontsize=6.5)
    figure.alt = f"For each of {units} units the {ranks} probe images that excite it most, strongest first."
    return figure


@draws
def feature_maps(maps: np.ndarray, image: np.ndarray, *, across: int = 8, look: Look) -> Plot:
    """What each channel makes of one image: ``maps`` [channel, row, col], beside the ``image`` [row, col]."""
    rows = -(-len(maps) // across)
    figure = style.new("wide", 0.25 + 0.66 * rows, look)
    left, right = figure.subplots(1, 2, width_ratios=(1.3, across))
    left.imshow(style.mosaic(image[None] / 255, 1, look.digit_map, (0, 1), look))
    left.set_title("the image", fontsize=8, loc="center")
    limits = (min(0.0, float(maps.min())), float(maps.max()) or 1.0)
    right.imshow(style.mosaic(maps, across, look.amount_map, limits, look))
    style.number_tiles(right, len(maps), across, maps.shape[1:], look=look)
    right.set_title("its map in each channel", fontsize=8, loc="center")
    for axes in (left, right):
        style.quiet(axes)
    style.colour_bar(figure, right, look.amount_map, limits, "activation")
    figure.alt = f"One image and the {len(maps)} maps that a convolutional layer makes of it."
    return figure
