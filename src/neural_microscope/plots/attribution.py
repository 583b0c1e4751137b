"""Plots of attribution: maps with their images, maps under weight randomization, and single-pixel responses."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from . import forms, style
from .style import Plot, Theme, draws


@draws
def attributions(
    images: np.ndarray,
    maps: Mapping[str, xr.DataArray | xr.Dataset],
    untrained: Mapping[str, xr.DataArray | xr.Dataset] | None = None,
    *,
    theme: Theme,
) -> Plot:
    """Images and their maps by several methods, one column per image.

    Below each method stands its map of a network with random weights. Every row has its own scale and says its range.

    Args:
        images: Images [example, row, col], on any scale from 0 up.
        maps: The result of `analysis.attribution` for these images, or its ``attribution``, by the method's name.
        untrained: The same of a network with random weights; None: not drawn.

    >>> some = run.probe.subset(range(4))
    >>> maps = {"saliency": nm.analysis.attribution.saliency(run.model(), some)}
    >>> nm.plots.attributions(some.images, maps).alt
    '4 images and their maps by saliency: orange pixels raise the target...'
    """
    rows: list[tuple[str, np.ndarray]] = []
    for name, result in maps.items():
        rows.append((name, _map(result)))
        if untrained is not None and name in untrained:
            rows.append(("random weights", _map(untrained[name])))
    count = len(images)
    height = 0.25 + (len(rows) + 1) * (6.0 / max(count, 6) + 0.05)
    figure, (first, *panels) = style.new("wide", height, theme, rows=len(rows) + 1)
    forms.images(first, images / (images.max() or 1), count)
    first.set_ylabel("the image", rotation=0, ha="right", va="center", fontsize=8)
    forms.image_rows(panels, rows)
    for axes, (name, _) in zip(panels, rows, strict=True):
        axes.yaxis.label.set_color(theme.quiet if name == "random weights" else theme.ink)
    target = next(iter(maps.values())).attrs.get("target", "answer")
    null = "; below each the map of a network with random weights" if untrained else ""
    signed = any(np.nanmin(tiles, initial=0) < 0 for _, tiles in rows)
    words, title = "orange where the map is high", "Orange: where the map is high"
    if signed:
        words = "orange pixels raise the target, blue ones lower it"
        title = f"Orange pixels: for the {target}; blue pixels: against it"
    return figure.says(
        f"{count} images and their maps by {', '.join(maps)}: {words}{null}. Each row has its own scale, printed at its side.",
        title=title,
    )


def _map(result: xr.DataArray | xr.Dataset) -> np.ndarray:
    array = result["attribution"] if isinstance(result, xr.Dataset) else result
    return array.transpose("example", "row", "col").values


@draws
def sanity(results: Mapping[str, xr.Dataset], *, theme: Theme) -> Plot:
    """Similarity of each method's maps to the original as the weights are randomized from the top down.

    The gray band of each panel shows maps of fully random networks. The dotted line at 1 is a method that ignores the
    weights, such as an edge detector.

    Args:
        results: Result of `analysis.attribution.sanity_check` by the method's name, a panel each.

    >>> check = nm.analysis.attribution.sanity_check
    >>> saliency = nm.analysis.attribution.saliency
    >>> result = check(saliency, run.model(), run.probe.subset(range(4)), draws=2)
    >>> nm.plots.sanity({"saliency": result}).alt
    'Rank correlation of the maps by saliency with those of the trained network...'
    """
    figure, panels = style.new("wide", 2.9, theme, columns=len(results), sharey=True)
    for axes, (method, result) in zip(panels, results.items(), strict=True):
        layers = [str(layer) for layer in result["layer"].values]
        x = np.arange(len(layers) + 1)
        shown = result[["similarity", "similarity_low", "similarity_high"]].pad(layer=(1, 0), constant_values=1.0)
        null = result[["similarity_null_low", "similarity_null_high"]]
        axes.axhline(1, color=theme.quiet, linestyle=":", linewidth=1, label="a method that ignores the weights")
        curve = xr.merge([shown, null])
        forms.curve(axes, x, curve, "similarity", marker="o", label="these maps, 95%", null="random networks")
        axes.set_xticks(x, ["trained", *layers], rotation=30, ha="right", fontsize=7)
        lowest = min(float(np.nan_to_num(curve[f"similarity{end}"]).min()) for end in ("_low", "_null_low"))
        axes.set(title=method, xlabel="weights randomized down to …", ylim=(min(-0.1, lowest - 0.05), 1.15))
    panels[0].set_ylabel("rank correlation with\nthe trained map")
    forms.legend_below(figure, panels[0])
    return figure.says(
        f"Rank correlation of the maps by {', '.join(results)} with those of the trained network as its layers are randomized "
        "from the top down; a gray band shows fully random networks, a dotted line at 1 a method that ignores the weights."
    )


@draws
def single_pixels(result: xr.Dataset, untrained: xr.Dataset | None = None, *, theme: Theme) -> Plot:
    """Each unit's response to one lit pixel, minus its response to black.

    Below it the product of the weights on the path, and the untrained network's response. Each row has one scale,
    symmetric about 0; units without any response are marked as absent.

    Args:
        result: Result of `analysis.attribution.single_pixels`, of which the first 8 units are drawn.
        untrained: The same of the untrained network at the same hook point; None: not drawn.

    >>> lit = nm.analysis.attribution.single_pixels(run.model(), "layers.1.hook_post")
    >>> nm.plots.single_pixels(lit).alt
    "For 8 units of layers.1.hook_post: the response to each single lit pixel ..."
    """
    chosen = list(range(min(8, result.sizes["unit"])))
    rows = [("one lit pixel", _answers(result, chosen))]
    if "path_product" in result:
        rows.append(("weights only", result["path_product"].values[chosen]))
    if untrained is not None:
        rows.append(("one lit pixel,\nuntrained", _answers(untrained, chosen)))
    figure, panels = style.new("wide", 0.45 + len(rows) * 6.2 / max(len(chosen), 6), theme, rows=len(rows))
    forms.image_rows(panels, rows)
    places = [(i + 0.5) * (rows[0][1].shape[2] + 2) - 1.5 for i in range(len(chosen))]
    panels[0].set_xticks(places, [str(unit) for unit in chosen])
    panels[0].xaxis.tick_top()
    panels[0].tick_params(length=0)
    point = result.attrs.get("hook_point", "the layer")
    return figure.says(
        f"For {len(chosen)} units of {point}: the response to each single lit pixel minus the response to black, orange above 0, blue "
        "below, gray without a change, above the product of the weights, and the untrained network's where given.",
        title=f"Units of {style.short(point)}: their response to single lit pixels",
    )


def _answers(result: xr.Dataset, chosen: list[int]) -> np.ndarray:
    """Change from black; NaN for a unit that no pixel changes."""
    change = (result["response"] - result["black"]).values[chosen]
    return np.where(abs(change).max((1, 2), keepdims=True) > 0, change, np.nan)
