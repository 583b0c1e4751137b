"""Plots of single units: their weights, their top-activating images, their classes, their effects; and all activations for one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from ..wording import count
from . import forms, style
from .style import Plot, Theme, draws


@draws
def weights(
    trained: np.ndarray, untrained: np.ndarray, constant: np.ndarray | None = None, *, across: int = 16, theme: Theme
) -> Plot:
    """Weights of units as pictures, above those of the same units before training, on one scale.

    Args:
        trained: Weights [unit, row, col].
        untrained: The same before training.
        constant: True for pixels [row, col] that are 0 on every training image, so that no gradient reaches their
            weights; they are grayed. None: there are none.
        across: Pictures in a row.

    >>> name = "layers.0.linear.weight"
    >>> first, last = (run.weights(step)[name].reshape(-1, 8, 8).numpy() for step in (0, run.steps[-1]))
    >>> nm.plots.weights(last, first).alt
    'Weights of 16 units as pictures, trained above untrained, blue below 0, orange above.'
    """
    limit = forms.limit_of(trained, 99.5)
    across = across // 2 if style.narrow() else across
    # Kernels of a few pixels are drawn as large as whole images are, each pixel a block.
    block = max(1, 24 // trained.shape[1])
    between = 14 if block > 1 or style.narrow() else 6  # room for a number above each
    settings: dict[str, Any] = {"gap": (between, 6 if block == 1 else 14), "numbered": True, "label": "weight"}
    rows = -(-len(trained) // across)
    figure, panels = style.new("wide", 0.9 + (6.4 if style.narrow() else 12.4) * rows / across, theme, rows=2)
    sides = {"Trained": trained, "The same units untrained": untrained}
    for axes, (title, values) in zip(panels, sides.items(), strict=True):
        shown = values if constant is None else np.where(constant, np.nan, values)
        forms.images(axes, shown.repeat(block, 1).repeat(block, 2), across, (-limit, limit), **settings)
        axes.set_ylim(None, -between)
        axes.set_title(title)
    gray = "; pixels that are 0 on every training image are gray" if constant is not None and constant.any() else ""
    return figure.says(
        f"Weights of {count(len(trained), 'units')} as pictures, trained above untrained, blue below 0, orange above{gray}."
    )


@draws
def class_means(trained: xr.DataArray, untrained: xr.DataArray, *, theme: Theme) -> Plot:
    """Mean activation of each unit (column) for each class (row), trained and untrained.

    Units are sorted by the class of their highest mean and scaled by that mean.

    Args:
        trained: Result of `analysis.selectivity.class_means`.
        untrained: The same of the untrained network.

    >>> trained, untrained = (nm.analysis.selectivity.class_means(acts[at]) for at in (-1, 0))
    >>> nm.plots.class_means(trained, untrained).alt
    'Mean activation of each unit for each class, trained and untrained, ...'
    """
    figure, panels = style.new("wide", 2.9, theme, columns=2, sharey=True)
    for axes, means, title in zip(panels, (trained, untrained), ("Trained", "Untrained"), strict=True):
        values = means.transpose("class", ...).values
        peak = values.max(0)
        order = np.lexsort((-peak, np.where(peak > 0, values.argmax(0), len(values))))
        forms.matrix(axes, (values / np.where(peak > 0, peak, np.nan))[:, order], (0, 1), aspect="auto")
        axes.set_yticks(range(len(values)), [style.called(c) for c in range(len(values))])
        silent = "; gray: silent" if (peak <= 0).any() else ""
        words = f"{values.shape[1]} {means.dims[-1]}s, by class of highest mean{silent}"
        axes.set(title=title, xticks=[], xlabel=words)
    panels[0].set_ylabel("class")
    forms.color_bar(panels, theme.amount_map, (0, 1), "share of the unit's highest mean")
    return figure.says(
        "Mean activation of each unit for each class, trained and untrained, units sorted by the class of their highest mean."
    )


@draws
def selectivity(
    table: xr.Dataset,
    effects: xr.Dataset,
    untrained: xr.Dataset | None = None,
    *,
    by: Literal["selectivity", "auc"] = "selectivity",
    theme: Theme,
) -> Plot:
    """Selectivity of each unit against its loss increase when ablated; gray: shuffled labels, and untrained units.

    The units with the largest increase are labeled.

    Args:
        table: Result of `analysis.selectivity.class_selectivity`.
        effects: Result of `analysis.causal.ablate_all` of the same units, in the same order.
        untrained: Result of `analysis.selectivity.class_selectivity` of the untrained network; None: not drawn.
        by: Measure of the preferred class: its index, or its AUC.

    >>> table = nm.analysis.selectivity.class_selectivity(acts[-1], draws=20)
    >>> effects = nm.analysis.causal.ablate_all(run.model(), run.probe, "layers.1.hook_post")
    >>> nm.plots.selectivity(table, effects).alt
    'Each unit of layers.1.hook_post by its class selectivity and its loss increase when ablated; ...'
    """
    name = {"selectivity": "class selectivity", "auc": "AUC"}[by]
    figure, (axes,) = style.new("wide", 3.3, theme)
    known = np.isfinite(table[by].values)
    low, high = (float(np.median(end[known])) if known.any() else 0.0 for end in forms.ends(table, f"{by}_null"))
    axes.axvspan(low, high, color=theme.null, alpha=0.3, linewidth=0)
    if known.any():
        axes.axvline(table[by].values[known].mean(), color=theme.ink, linewidth=0.8, linestyle=forms.LINES[1])
    x, y = table[by].values, effects["loss_increase"].values
    axes.axhline(0, color=theme.quiet, linewidth=0.6)
    forms.interval(axes, x, effects, "loss_increase", linewidth=0.5)
    forms.digits(axes, np.stack([x, y], 1)[known], table["preferred"].values[known], size=42, zorder=3)
    marks = ["digit: preferred class", "line: 95% interval", "band: shuffled labels"]
    if untrained is not None:
        bottom, top = axes.get_ylim()
        values = untrained[by].values
        axes.plot(values, np.full(len(values), bottom - 0.06 * (top - bottom)), "|", color=theme.null, markersize=7)
        if np.isfinite(values).any():
            ends = bottom - 0.115 * (top - bottom), bottom - 0.005 * (top - bottom)
            axes.vlines(np.nanmean(values), *ends, color=theme.null, linewidth=2)
        axes.set_ylim(bottom - 0.12 * (top - bottom), top)
        marks.append("ticks: untrained (long: mean)")
    axes.set(
        xlabel=f"{name} on held-out images (dashed: mean)" + ("" if style.narrow() else "\n" + " · ".join(marks)),
        ylabel="loss increase when ablated\n(nats)",
    )
    axes.grid(True, axis="y")
    axes.margins(x=0.04)
    kind = style.axis_of(table)
    names = [f"{kind} {unit}" for unit in range(len(y))]
    named = forms.farthest(np.where(known, y, np.nan), x, y, 4, names)
    forms.label_points(axes, named, around=np.stack([x, y], 1)[known], joined=True)
    return figure.says(
        f"Each unit of {table.attrs.get('hook_point', 'a layer')} by its {name} and its loss increase when ablated; "
        "a gray band shows shuffled labels, gray ticks below the units of the untrained network."
    )


@draws
def top_images(images: np.ndarray, order: xr.DataArray, *, columns: int = 4, theme: Theme) -> Plot:
    """The top-activating images of each unit, strongest first.

    Args:
        images: Images [example, row, col] or [example, row, col, 3], 0..255.
        order: Result of `analysis.selectivity.top_examples`: numbers of images [unit, rank], -1 for none; units have the
            numbers of its coordinate, where it has one.
        columns: Columns of units.

    >>> nm.plots.top_images(run.probe.images, nm.analysis.selectivity.top_examples(acts[-1], n=3)).alt
    'For each of 8 units its 3 top-activating probe images, strongest first.'
    """
    units, ranks = order.shape
    columns = 2 if style.narrow() else columns
    rows = -(-units // columns)
    kind = str(order.dims[0])
    numbers = order[kind].values  # 0, 1, ... without a coordinate
    names = [
        f"{kind} {unit}" + ("" if row[0] >= 0 else ", dead") for unit, row in zip(numbers, order.values, strict=True)
    ]
    figure, panels = style.new("wide", 0.1 + 0.235 * rows, theme, columns=columns)
    for column, axes in enumerate(panels):
        part = slice(column * rows, (column + 1) * rows)
        axes.set_visible(len(names[part]) > 0)
        if names[part]:
            shown = forms.chosen_images(images, order.values[part])
            forms.images(axes, shown, ranks, names=names[part], fontsize=6.5)
    return figure.says(f"For each of {count(units, 'units')} its {ranks} top-activating probe images, strongest first.")


@draws
def feature_maps(maps: np.ndarray, image: np.ndarray, *, theme: Theme) -> Plot:
    """Each channel's map of one image, with the image.

    Args:
        maps: Feature maps [channel, row, col], or [channel, col], drawn as one row each.
        image: The image [row, col], 0..255.

    >>> nm.plots.feature_maps(np.random.default_rng(0).random((4, 6, 6)), run.probe.images[0]).alt
    'One image and its 4 maps in a convolutional layer.'
    """
    maps = maps[:, None] if maps.ndim == 2 else maps
    across = 4 if style.narrow() and len(maps) <= 16 else 6 if style.narrow() else 8
    rows = -(-len(maps) // across)
    if style.narrow():  # the image is as large as a map
        figure = style.empty("narrow", 0.6 + 2.7 / across * (rows + 1), theme)
        left, right = figure.subplots(2, 1, height_ratios=(1, rows))
    else:
        figure, (left, right) = style.new("wide", 0.25 + 0.66 * rows, theme, columns=2, width_ratios=(1.3, across))
    forms.images(left, image[None] / 255, 1)
    left.set_title("the image", fontsize=8, loc="center")
    limits = (min(0.0, float(maps.min())), float(maps.max()) or 1.0)
    forms.images(right, maps, across, limits, colors=theme.amount_map, numbered=True, label="activation")
    right.set_title("its map in each channel", fontsize=8, loc="center")
    return figure.says(f"One image and its {len(maps)} maps in a convolutional layer.")


@draws
def one_image(
    image: np.ndarray,
    layers: Mapping[str, Mapping[str, np.ndarray]],
    probabilities: Mapping[str, np.ndarray],
    *,
    theme: Theme,
) -> Plot:
    """One image, and for each network the activations of each layer and the final probabilities.

    Each layer has its own scale.

    Args:
        image: The image [row, col], or [row, col, 3] in color, 0..1.
        layers: Activations of this image, [unit] or [channel, row, col], by the network's and then the layer's name.
        probabilities: Probabilities [class] by the network's name.

    >>> shown = {"MLP": {"layers.1": acts.values[-1, 0]}}
    >>> nm.plots.one_image(run.probe.images[0] / 255, shown, {"MLP": np.eye(10)[3]}).alt
    'One image, the activations of each layer of each network, and the probabilities of the classes: MLP predicts 3.'
    """
    columns = 2 + max((len(one) for one in layers.values()), default=0)
    widths, size = (1, *(1.35,) * (columns - 2), 1.1), {"rows": len(layers), "columns": columns}
    figure, panels = style.new("wide", 0.3 + 1.55 * len(layers), theme, **size, width_ratios=widths)
    for number, (network, own) in enumerate(layers.items()):
        first, *between, last = panels[columns * number :][:columns]
        forms.images(first, image[None], 1)
        first.set_title(network, loc="center")
        for axes, (layer, values) in zip(between, own.items(), strict=False):
            _layer(axes, layer, np.asarray(values, float))
        for axes in between[len(own) :]:
            axes.set_visible(False)
        _answer(last, np.asarray(probabilities[network]))
    predictions = ", ".join(
        f"{name} predicts {style.called(int(np.argmax(values)))}" for name, values in probabilities.items()
    )
    return figure.says(
        f"One image, the activations of each layer of each network, and the probabilities of the classes: {predictions}."
    )


def _layer(axes: Axes, layer: str, values: np.ndarray) -> None:
    maps = values if values.ndim == 3 else values[:, None, None].repeat(6, 1).repeat(6, 2)
    across = max(1, round(np.sqrt(len(maps) * (1.6 if values.ndim == 1 else 1))))
    most = forms.limit_of(maps)
    forms.images(axes, maps, across, (-most if (maps < 0).any() else 0.0, most), gap=1)
    axes.set_title(layer, loc="center", fontsize=8)
    low = style.told(-most) if (maps < 0).any() else "0"
    axes.set_xlabel(
        f"{count(len(maps), 'units' if values.ndim == 1 else 'channels')}, {low} to {style.told(most)}", fontsize=7.5
    )


def _answer(axes: Axes, values: np.ndarray) -> None:
    theme, best, classes = style.theme_of(axes), int(values.argmax()), range(len(values))
    axes.barh(classes, values, color=[theme.ink if k == best else theme.quiet for k in classes])
    axes.set_yticks(classes, [style.called(k) for k in classes], fontsize=7)
    axes.set(xlim=(0, 1), ylim=(len(values) - 0.4, -0.6), xticks=[0, 1])
    axes.set_title(f"predicts {style.called(best)}\n(p = {values[best]:.3f})", loc="center", fontsize=8)
    axes.set_xlabel("probability", fontsize=7.5)
