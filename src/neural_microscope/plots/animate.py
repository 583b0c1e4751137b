"""Animations: one frame per snapshot, on fixed axes and colors, written as a GIF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

from .. import files
from ..doors import door
from ..errors import DataError
from . import forms, geometry, style
from .style import Plot, Theme, ThemeName, draws

DOTS = 100
"""Pixels per inch."""


@door
def animate(
    frames: xr.Dataset | Iterable[Plot],
    path: str | Path,
    *,
    fps: float = 8,
    hold: float = 2.0,
    theme: ThemeName = "light",
) -> Path:
    """Writes a GIF that loops over a result's snapshots, one frame each; returns its path.

    Axes and colors are the same in every frame of a map, and the frame says its step. The file appears whole or not at
    all.

    Args:
        frames: Result of `analysis.geometry.pca` over two or more snapshots, drawn on its first two components; or
            plots of one size, one a frame.
        path: File to write; an existing one is replaced.
        fps: Frames per second.
        hold: Seconds that the last frame stays.
        theme: ``light`` or ``dark``; plots keep their own.

    Raises:
        DataError: Fewer than two frames, another kind of result, or plots of different sizes.
        FileError: The path can't be written.

    >>> frames = [nm.plots.plane([[0, 0], [1, at]], [0, 1], title=f"step {at}") for at in (0, 1)]
    >>> nm.plots.animate(frames, "two.gif").name
    'two.gif'
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
    # One palette for all frames, so that colors do not flicker; maximum coverage keeps the ends of a scale.
    palette = sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *rest = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    durations = [round(1000 / fps)] * len(rest) + [round(1000 * hold)]
    first.save(path, "GIF", save_all=True, append_images=rest, duration=durations, loop=0, optimize=False)


def _pixels(plot: Plot) -> Image.Image:
    plot.set_dpi(DOTS)
    plot.canvas.draw()
    return Image.fromarray(np.asarray(plot.canvas.buffer_rgba())).convert("RGB")


def _frames(frames: xr.Dataset | xr.DataArray | Iterable[Plot], theme: ThemeName) -> Iterator[Plot]:
    if not isinstance(frames, xr.Dataset | xr.DataArray):
        yield from frames
        return
    if not isinstance(frames, xr.Dataset) or "score" not in frames:
        raise DataError(
            "the result has no 'score', as geometry.pca gives it, and no moving picture; pass plots, one a frame"
        )
    if "snapshot" not in frames.dims:
        raise DataError("the result has no axis 'snapshot'; a moving picture needs a result over two or more snapshots")
    for number in range(frames.sizes["snapshot"]):
        yield _map(frames, number, theme=theme)


@draws
def _map(result: xr.Dataset, snapshot: int, *, theme: Theme) -> Plot:
    points, step = geometry.scores(result), forms.step_name(result, snapshot)
    figure, (axes,) = style.new(4.2, 4.4, theme)
    labels = result["label"].values if "label" in result.coords else np.zeros(points.shape[1], int)
    geometry.map_of(axes, points[snapshot], geometry.limits(points), labels, size=11)
    where = result.attrs.get("hook_point")
    title = f"{style.short(str(where))}, {step}" if where else step
    axes.set(title=title, xlabel="first principal component", ylabel="second")
    return figure.says(f"Images as digits on two fixed principal components, {step}.")
