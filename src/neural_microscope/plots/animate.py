"""Moving pictures: one frame a snapshot, on fixed axes and colours, written as a GIF."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from PIL import Image

from .. import files
from ..errors import DataError
from . import forms, style
from .style import Plot, Theme, ThemeName, draws

DOTS = 100
"""Pixels an inch."""


def animate(
    frames: xr.Dataset | xr.DataArray | Iterable[Plot],
    path: str | Path,
    *,
    fps: float = 8,
    hold: float = 2.0,
    theme: ThemeName = "light",
) -> Path:
    """Writes a GIF that plays a result over its snapshots, again and again, and gives back its path.

    ``frames``: `analysis.geometry.pca` (the map on its first two components); a confusion over time [snapshot, class,
    predicted] (variable ``images``); class means [snapshot, class, unit] (`analysis.selectivity.class_means`); weights as
    pictures [snapshot, unit, row, col]; or any plots, one a frame, of one size. Axes, order and colours are the same in
    every frame, and the frame says its step. ``fps`` frames a second; the last stays ``hold`` seconds. The file appears
    whole or not at all. DataError for fewer than two frames, another kind of result, or plots of different sizes; FileError
    where nothing can be written.
    """
    path = files.writable(path)
    pictures = [_pixels(plot) for plot in _frames(frames, theme)]
    if len(pictures) < 2:
        raise DataError(f"{len(pictures)} frame came; a moving picture needs a result over two or more snapshots")
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise DataError(f"the frames have the sizes {sorted(sizes)}; all frames of a moving picture have one")
    with files.whole(path) as partial:
        _write(pictures, partial, fps, hold)
    return path


def _write(pictures: list[Image.Image], path: Path, fps: float, hold: float) -> None:
    few = pictures[:: max(1, len(pictures) // 5)] + pictures[-1:]
    sheet = Image.fromarray(np.vstack([np.asarray(picture) for picture in few]))
    # One palette for all frames, so that colours do not flicker; maximum coverage keeps the ends of a scale.
    palette = sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    paletted = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [round(1000 / fps)] * (len(pictures) - 1) + [round(1000 * hold)]
    first, *rest = paletted
    first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)


def _pixels(plot: Plot) -> Image.Image:
    plot.set_dpi(DOTS)
    plot.canvas.draw()
    return Image.fromarray(np.asarray(plot.canvas.buffer_rgba())).convert("RGB")


def _frames(frames: xr.Dataset | xr.DataArray | Iterable[Plot], theme: ThemeName) -> Iterator[Plot]:
    if not isinstance(frames, xr.Dataset | xr.DataArray):
        yield from frames
        return
    kind = _kind(frames)
    if "snapshot" not in frames.dims:
        raise DataError("the result has no axis 'snapshot'; a moving picture needs a result over two or more snapshots")
    for number in range(frames.sizes["snapshot"]):
        yield kind(frames, number, theme=theme)


def _kind(result: xr.Dataset | xr.DataArray) -> Callable[..., Plot]:
    """What draws one snapshot of this kind of result."""
    if isinstance(result, xr.Dataset):
        for name, drawing in (("score", _pca), ("images", _confusion)):
            if name in result:
                return drawing
        raise DataError(f"a result with {', '.join(map(str, result.data_vars))} has no moving picture; pass plots")
    dims = {str(dim) for dim in result.dims} - {"snapshot"}
    if "class" in dims and len(dims) == 2:
        return _confusion if "predicted" in dims else _class_means
    if {"row", "col"} < dims and len(dims) == 3:
        return _weights
    raise DataError(f"an array [{', '.join(map(str, result.dims))}] has no moving picture; pass plots, one a frame")


def _step(result: xr.Dataset | xr.DataArray, snapshot: int) -> str:
    if "step" not in result.coords:
        return f"snapshot {snapshot}"
    step = int(result["step"].values[snapshot])
    return "untrained" if step == 0 else f"step {step:,}"


@draws
def _pca(result: xr.Dataset, snapshot: int, *, theme: Theme) -> Plot:
    scores = result["score"].transpose("snapshot", "example", "component").values[..., :2]
    low, high = np.percentile(scores.reshape(-1, 2), (0.3, 99.7), axis=0)  # a few far-out images lie at the edge
    points = np.clip(scores[snapshot], low, high)
    figure = style.new(4.2, 4.4, theme)
    axes = figure.subplots()
    labels = result["label"].values if "label" in result.coords else np.zeros(len(points), int)
    for label in np.unique(labels):
        marker = f"${label}$" if "label" in result.coords else "."
        x, y = points[labels == label].T
        axes.scatter(x, y, s=11, marker=marker, color=theme.of_class(int(label)), linewidths=0).set_in_layout(False)
    margin = np.where(high > low, 0.05 * (high - low), 1.0)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    forms.quiet(axes)
    axes.set_xlabel("first principal component")
    axes.set_ylabel("second")
    axes.set_title(f"{_name(result.attrs.get('hook_point'))}{_step(result, snapshot)}")
    figure.alt = f"Images as digits on two fixed principal components, {_step(result, snapshot)}."
    return figure


@draws
def _class_means(means: xr.DataArray, snapshot: int, *, theme: Theme) -> Plot:
    values = means.transpose("snapshot", "class", ...).values
    last = np.nan_to_num(values[-1], nan=-np.inf)
    order = np.lexsort((-last.max(0), last.argmax(0)))
    figure = style.new("wide", 2.6, theme)
    axes = figure.subplots()
    limits = _limits(values)
    _heat(figure, axes, values[snapshot][:, order], limits, "mean activation", theme)
    axes.set_yticks(range(values.shape[1]), [str(c) for c in range(values.shape[1])])
    axes.set_ylabel("class")
    axes.set_xlabel(f"{values.shape[2]} {means.dims[-1]}s, by the class they like most at the end")
    axes.set_title(f"{_name(means.name)}{_step(means, snapshot)}")
    figure.alt = f"Mean activation of each unit for each class, {_step(means, snapshot)}."
    return figure


@draws
def _weights(weights: xr.DataArray, snapshot: int, *, across: int = 16, theme: Theme) -> Plot:
    unit = next(dim for dim in weights.dims if dim not in ("snapshot", "row", "col"))
    values = weights.transpose("snapshot", unit, "row", "col").values
    limit = float(np.nanpercentile(np.abs(values), 99.5)) or 1.0
    block = max(1, 24 // values.shape[2])  # kernels of a few pixels are drawn as large as images
    shown = values[snapshot].repeat(block, 1).repeat(block, 2)
    rows = -(-len(shown) // across)
    figure = style.new("wide", 0.6 + 6.3 * rows / across, theme)
    axes = figure.subplots()
    axes.imshow(forms.mosaic(shown, across, theme.signed_map, (-limit, limit), theme, gap=4))
    forms.quiet(axes)
    forms.color_bar(axes, theme.signed_map, (-limit, limit), "weight")
    axes.set_title(f"Weights of {len(shown)} {unit}s, {_step(weights, snapshot)}")
    figure.alt = f"Weights of {len(shown)} units as pictures, {_step(weights, snapshot)}."
    return figure


@draws
def _confusion(table: xr.Dataset | xr.DataArray, snapshot: int, *, theme: Theme) -> Plot:
    counts = (table["images"] if isinstance(table, xr.Dataset) else table).transpose("snapshot", "class", "predicted")
    now = counts.values[snapshot]
    size = np.maximum(counts.values[0].sum(1, keepdims=True), 1)
    figure = style.new(4.4, 4.2, theme)
    axes = figure.subplots()
    _heat(figure, axes, now / size, (0.0, 1.0), "share of the class's images", theme)
    for (true, said), count in np.ndenumerate(now):
        if count:
            colour = theme.paper if count > 0.55 * size[true, 0] else theme.ink
            axes.text(said, true, f"{count:g}", ha="center", va="center", fontsize=7, color=colour).set_in_layout(False)
    classes = range(len(now))
    axes.set_xticks(classes, [str(c) for c in classes])
    axes.set_yticks(classes, [str(c) for c in classes])
    axes.set_xlabel("what the network says")
    axes.set_ylabel("what it is")
    right = 100 * np.trace(now) / max(now.sum(), 1)
    axes.set_title(f"{_step(table, snapshot)}: {right:.0f} % read rightly")
    figure.alt = f"Confusion matrix, {_step(table, snapshot)}: {right:.0f} % of the images read rightly."
    return figure


def _heat(figure: Plot, axes: Axes, values: np.ndarray, limits: tuple[float, float], label: str, theme: Theme) -> None:
    colours = theme.signed_map if limits[0] < 0 else theme.amount_map
    axes.imshow(values, aspect="auto", cmap=colours, vmin=limits[0], vmax=limits[1])
    forms.quiet(axes, ticks=True)
    forms.color_bar(axes, colours, limits, label)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """From 0 to the highest over all frames; symmetric about 0 where some are negative."""
    high = float(np.nanmax(np.abs(values))) or 1.0
    return (-high, high) if np.nanmin(values) < 0 else (0.0, high)


def _name(hook_point: object) -> str:
    return f"{str(hook_point).removesuffix('.hook_post')}, " if hook_point else ""
