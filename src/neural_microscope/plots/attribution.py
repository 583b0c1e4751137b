"""Pictures of attribution: maps beside their images, what is left of them without the weights, and images made for units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from . import style
from .style import Look, Plot, draws


@draws
def attributions(
    images: np.ndarray,
    maps: Mapping[str, xr.DataArray | xr.Dataset],
    untrained: Mapping[str, xr.DataArray | xr.Dataset] | None = None,
    *,
    look: Look,
) -> Plot:
    """Images beside their maps by several methods, one column an image, and below each method its map of a network with random
    weights.

    ``images`` [example, row, col]; ``maps``: method -> what `analysis.attribution` returned for them, or its
    ``attribution``; ``untrained``: the same of a network with random weights. Every row has its own scale,
    symmetric about 0, and says its range.
    """
    rows: list[tuple[str, np.ndarray, str]] = [("the image", images / (images.max() or 1), "")]
    for name, result in maps.items():
        rows.append((name, _map(result), "signed"))
        if untrained is not None and name in untrained:
            rows.append(("random weights", _map(untrained[name]), "null"))
    count, gap = len(images), 2
    tile = 6.0 / max(count, 6)
    figure = style.new("wide", 0.25 + len(rows) * (tile + 0.05), look)
    for axes, (name, tiles, kind) in zip(np.atleast_1d(figure.subplots(len(rows), 1)), rows, strict=True):
        limit = float(abs(tiles[~np.isnan(tiles)]).max(initial=0)) or 1.0
        colours, limits = (look.digit_map, (0.0, 1.0)) if not kind else (look.signed_map, (-limit, limit))
        axes.imshow(style.mosaic(tiles, count, colours, limits, look, gap=gap))
        style.quiet(axes)
        text = name if not kind else f"{name}\n± {limit:.2g}"
        colour = look.quiet if kind == "null" else look.ink
        axes.set_ylabel(text, rotation=0, ha="right", va="center", fontsize=8, color=colour)
    first = next(iter(maps.values()))
    figure.suptitle(_words_of(first), x=0.01, ha="left", fontsize=9, fontweight="bold")
    null = "; below each the map of a network with random weights" if untrained else ""
    figure.alt = (
        f"{count} images and their maps by {', '.join(maps)}: orange pixels speak for the target, blue ones against it"
        f"{null}. Each row has a scale of its own, printed beside it."
    )
    return figure


def _map(result: xr.DataArray | xr.Dataset) -> np.ndarray:
    array = result["attribution"] if isinstance(result, xr.Dataset) else result
    return array.transpose("example", "row", "col").values


def _words_of(result: xr.DataArray | xr.Dataset) -> str:
    what = result.attrs.get("target", "answer")
    return f"Orange pixels speak for the {what}, blue ones against it"


@draws
def sanity(results: Mapping[str, xr.Dataset], *, absolute: bool = False, look: Look) -> Plot:
    """What is left of each method's maps as the weights are randomised from the top down, beside an edge detector's.

    ``results``: method -> `analysis.attribution.sanity_check`. ``absolute``: of the maps without their sign. The grey band of
    each panel: maps of wholly random networks.
    """
    name = "similarity_abs" if absolute else "similarity"
    figure = style.new("wide", 2.7, look)
    panels = np.atleast_1d(figure.subplots(1, len(results), sharey=True))
    for axes, (method, result) in zip(panels, results.items(), strict=True):
        layers = [str(layer) for layer in result["layer"].values]
        x = np.arange(len(layers) + 1)
        low, high = float(result[f"{name}_null_low"]), float(result[f"{name}_null_high"])
        _band(axes, low, high, look)
        axes.plot(x, np.ones(len(x)), color=look.quiet, linestyle=":", linewidth=1)
        value = np.append(1, result[name].values)
        axes.plot(x, value, "o-", color=look.ink, markersize=4)
        ends = [np.append(1, result[f"{name}{end}"].values) for end in ("_low", "_high")]
        style.intervals(axes, x, *ends, color=look.ink, linewidth=0.8)
        axes.set_xticks(x, ["trained", *layers], rotation=30, ha="right", fontsize=7)
        axes.set_title(f"{method}\n{_left(value[-1])}", fontsize=8)
        axes.set_ylim(min(-0.1, np.nan_to_num(low) - 0.05), 1.15)
        axes.grid(True, axis="y")
    panels[0].set_ylabel(f"rank correlation with\nthe trained map{' (no sign)' if absolute else ''}")
    panels[0].text(len(x) - 1, 1.02, "an edge detector", fontsize=7, ha="right", va="bottom", color=look.quiet)
    tops = [float(result[f"{name}_null_high"]) for result in results.values()]
    lowest = int(np.nanargmin(tops)) if not np.isnan(tops).all() else 0
    panels[lowest].text(
        0, np.nan_to_num(tops[lowest]) + 0.02, "random networks", fontsize=7, va="bottom", color=look.quiet
    )
    figure.supxlabel("weights randomised from the top down to …", fontsize=8.5)
    figure.alt = (
        f"Rank correlation of the maps by {', '.join(results)} with those of the trained network as its layers are randomised "
        "from the top down; a grey band shows wholly random networks, a dotted line an edge detector, which never changes."
    )
    return figure


def _left(last: float) -> str:
    if np.isnan(last):
        return "constant maps"
    return f"{'stays at' if last > 0.9 else 'falls to'} {round(last, 2) + 0.0:.2f}".replace("-", "−")


def _band(axes: Axes, low: float, high: float, look: Look) -> None:
    """The null, at least as thick as a line."""
    if np.isnan(low):
        return
    middle, half = (low + high) / 2, max((high - low) / 2, 0.006)
    axes.axhspan(middle - half, middle + half, color=look.null, alpha=0.3, linewidth=0)


@draws
def deletion_insertion(results: Mapping[str, xr.Dataset], *, look: Look) -> Plot:
    """How fast the answer falls as the highest-ranked pixels are deleted, and rises as they come in, by method.

    ``results``: method -> `analysis.attribution.deletion_insertion` of the same images and null. The grey band is the null.
    """
    figure = style.new("wide", 2.9, look)
    panels = figure.subplots(1, 2, sharey=True)
    lines = ("-", "--", ":", "-.")
    first = next(iter(results.values()))
    share = 100 * first["share"].values
    for axes, way, good in zip(panels, ("deletion", "insertion"), ("lower is better", "higher is better"), strict=True):
        low, high = first[f"{way}_null_low"], first[f"{way}_null_high"]
        axes.fill_between(share, low, high, color=look.null, alpha=0.3, linewidth=0)
        for number, (method, result) in enumerate(results.items()):
            area, p = float(result[f"{way}_mean"]), float(result[f"{way}_mean_p"])
            label = f"{method}: area {style.told(area)} (p {style.told(p)})"
            axes.plot(share, result[way], lines[number % 4], color=look.ink, alpha=1 - 0.15 * (number % 4), label=label)
            axes.fill_between(
                share, result[f"{way}_low"], result[f"{way}_high"], color=look.ink, alpha=0.07, linewidth=0
            )
        axes.set_title(f"{way.capitalize()}: {good}")
        axes.set_xlabel("pixels deleted (%)" if way == "deletion" else "pixels put in (%)")
        axes.set_xlim(0, 100)
        axes.grid(True, axis="y")
        axes.legend(loc="upper right" if way == "deletion" else "lower right", fontsize=7)
    answer = first.attrs.get("answer", "probability")
    panels[0].set_ylabel(f"{answer} of the target (mean)")
    null = first.attrs.get("null", "")
    figure.supxlabel(f"grey: {null}, 2.5–97.5 %", fontsize=7.5, color=look.quiet)
    figure.alt = (
        f"Mean {answer} of the target as pixels are deleted, left, or put in, right, in the order of the maps by "
        f"{', '.join(results)}; grey: {null}."
    )
    return figure


@draws
def maximised(result: xr.Dataset, images: np.ndarray | None = None, *, most: int = 5, look: Look) -> Plot:
    """Images made for a unit, from several starts, with how far each drives it; below, the same for random directions
    and for the unit of a network with random weights.

    ``result``: `analysis.attribution.activation_maximization`; ``images`` [example, row, col]: the images it was given, to show the best of
    them first. ``most``: pictures in a row.
    """
    seeds, nulls = result["picture"].values[:most], result["null_picture"].values[:most]
    rows: list[tuple[str, np.ndarray, list[str]]] = [
        ("made for\nthe unit", seeds, [f"{value:.1f}" for value in result["reach"].values[:most]]),
        ("random\ndirections", nulls, [f"{value:.1f}" for value in result["null_reach"].values[:most]]),
        (
            "random\nweights",
            result["untrained_picture"].values[:most],
            [f"{v:.1f}" for v in result["untrained_reach"].values[:most]],
        ),
    ]
    if images is not None:
        best = images[int(result["best_example"])] / images.max()
        rows[0] = (rows[0][0], np.concatenate([best[None], seeds])[: most + 1], ["best\nimage: 1", *rows[0][2]])
    across = max(len(tiles) for _, tiles, _ in rows)
    figure = style.new("middle", 0.75 + 0.95 * len(rows), look)
    panels = figure.subplots(len(rows), across, squeeze=False)
    for line, (name, tiles, texts) in zip(panels, rows, strict=True):
        for axes in line:
            style.quiet(axes)
            axes.patch.set_visible(False)
        for axes, tile, text in zip(line, tiles, texts, strict=False):
            axes.imshow(tile, cmap=look.digit_map, vmin=0, vmax=1)
            axes.set_title(text.replace("nan", "–"), fontsize=7.5, loc="center", fontweight="normal", pad=2)
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    where, unit = result.attrs.get("hook_point", ""), result.attrs.get("unit", "")
    low, high = float(result["reach_null_low"][0]), float(result["reach_null_high"][0])
    reach = float(result["reach"][0])
    said = (
        "is constant on the images"
        if np.isnan(reach)
        else f"driven to {reach:.1f}; random directions {low:.1f} to {high:.1f}"
    )
    figure.suptitle(f"{where} unit {unit} {said}", x=0.01, ha="left", fontsize=9, fontweight="bold")
    figure.supxlabel("numbers: activation reached; 0 is the mean over the images, 1 the best of them", fontsize=7.5)
    figure.alt = (
        f"Images made to drive {where} unit {unit} as high as possible, then images made for random directions of the same layer "
        f"and for the unit of a network with random weights. On a scale where the best real image is 1, the unit {said}."
    )
    return figure


@draws
def single_pixels(
    result: xr.Dataset,
    untrained: xr.Dataset | None = None,
    *,
    units: list[int] | None = None,
    most: int = 8,
    look: Look,
) -> Plot:
    """What each unit answers to one lit pixel, minus its answer to black, above the product of the weights on the way;
    below, the untrained network's.

    ``result``, ``untrained``: `analysis.attribution.single_pixels` of the same hook point. ``units``: which, by default the first
    ``most``. Each tile has the scale of its row, symmetric about 0; units without any answer are marked as absent.
    """
    chosen = list(range(min(most, result.sizes["unit"]))) if units is None else list(units)
    rows = [("one lit pixel", _answers(result, chosen))]
    if "path_product" in result:
        rows.append(("weights only", result["path_product"].values[chosen]))
    if untrained is not None:
        rows.append(("one lit pixel,\nuntrained", _answers(untrained, chosen)))
    figure = style.new("wide", 0.45 + len(rows) * 6.2 / max(len(chosen), 6), look)
    for number, (axes, (name, tiles)) in enumerate(
        zip(np.atleast_1d(figure.subplots(len(rows), 1)), rows, strict=True)
    ):
        known = abs(tiles[~np.isnan(tiles)])
        limit = float(known.max(initial=0)) or 1.0
        sheet: Any = style.mosaic(tiles, len(chosen), look.signed_map, (-limit, limit), look)
        axes.imshow(sheet)
        style.quiet(axes)
        if not number:
            places = [(i + 0.5) * (tiles.shape[2] + 2) - 1.5 for i in range(len(chosen))]
            axes.set_xticks(places, [str(unit) for unit in chosen])
            axes.xaxis.tick_top()
            axes.tick_params(length=0)
        axes.set_ylabel(f"{name}\n± {limit:.2g}", rotation=0, ha="right", va="center", fontsize=8)
    off = int(np.isnan(rows[0][1]).all((1, 2)).sum())
    point = result.attrs.get("hook_point", "the layer")
    title = f"{off} of {len(chosen)} units answer to no single pixel" if off else "every unit answers to single pixels"
    figure.suptitle(f"{point}: {title}", x=0.01, ha="left", fontsize=9, fontweight="bold")
    figure.alt = (
        f"For {len(chosen)} units of {point}: the answer to each single lit pixel minus the answer to black, orange above 0, blue "
        "below, grey where nothing changes it, above the product of the weights, and the untrained network's where given."
    )
    return figure


def _answers(result: xr.Dataset, chosen: list[int]) -> np.ndarray:
    """Change from black; NaN for a unit that no pixel changes."""
    change = (result["response"] - result["black"]).values[chosen]
    return np.where(abs(change).max((1, 2), keepdims=True) > 0, change, np.nan)
