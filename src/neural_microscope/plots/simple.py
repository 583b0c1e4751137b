"""Two plain plots for experiments without a plot of their own: lines against one axis, and points in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import forms, style
from .style import Plot, Theme, draws


@draws
def lines(
    values: Mapping[str, tuple[Any, Any]],
    *,
    x: str,
    y: str,
    title: str,
    null: Mapping[str, tuple[Any, Any, Any]] | None = None,
    marks: Mapping[str, float] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    steps: bool = False,
    theme: Theme,
) -> Plot:
    """Named lines against one axis, each with its name at its end; gray bands are nulls, level lines are marks.

    NaN is a gap.

    Args:
        values: Two sequences of one length, x and y, by the line's name; a y of [seed, x] is drawn as its mean, with a
            thin line for each seed.
        x: Quantity and unit of the x axis.
        y: Quantity and unit of the y axis.
        title: Description of the plot.
        null: The null as x, low, high, by its name; None: no null.
        marks: Height of a level line by its name; None: no lines.
        log_x: True for a log x axis.
        log_y: True for a log y axis.
        steps: True for an x axis of optimizer steps: log, with room for 0.

    >>> losses = {"training images": (range(3), [2.3, 1.1, 0.4])}
    >>> nm.plots.lines(losses, x="step", y="loss (nats)", title="Loss").alt
    'Loss. loss (nats) against step: training images from 2.3 to 0.4.'
    """
    figure, (axes,) = style.new("middle", 3.0, theme)
    for name, (at, low, high) in (null or {}).items():
        band = xr.Dataset({"y_null_low": ("x", np.asarray(low)), "y_null_high": ("x", np.asarray(high))})
        forms.null_band(axes, at, band, "y")
        _name(axes, at, (np.asarray(low) + np.asarray(high)) / 2, name, theme.quiet)
    for name, level in (marks or {}).items():
        axes.axhline(level, color=theme.null, linewidth=0.9, zorder=1)
        left, right = np.nanmean(
            np.abs([np.atleast_2d(of).mean(0)[[0, -1]] - level for _, of in values.values()]), axis=0
        )
        at, side = (0.98, "right") if right > left else (0.02, "left")  # where the lines are farther away
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "ha": side}
        axes.annotate(name, (at, level), (0, 3), color=theme.quiet, fontsize=7.5, **place)
    ends = []
    for (name, (at, of)), line in zip(values.items(), forms.LINES * len(values), strict=False):
        rows = np.atleast_2d(np.asarray(of, float))
        for row in rows if len(rows) > 1 else ():
            axes.plot(at, row, color=theme.null, linewidth=0.6)
        mean = rows.mean(0)
        axes.plot(at, mean, color=theme.ink, linestyle=line)
        _name(axes, at, mean, name, theme.ink)
        ends.append(f"{name} from {style.told(float(mean[0]), 3)} to {style.told(float(mean[-1]), 3)}")
    if steps:
        forms.step_axis(axes, max(float(np.max(at)) for at, _ in values.values()))
    elif log_x:
        low, high = axes.dataLim.minposx, axes.dataLim.x1
        axes.set_xscale("log")
        forms.plain_log(axes.xaxis, low, high)
    elif all((np.asarray(at) % 1 == 0).all() for at, _ in values.values()):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # counts are integers
    if log_y:
        forms.log_axis(axes)
    axes.set(xlabel=axes.get_xlabel() if steps else x, ylabel=y, title=title)
    axes.grid(True, axis="y")
    return figure.says(f"{title}. {y} against {x}: {'; '.join(ends)}.")


def _name(axes: Axes, at: Any, y: Any, name: str, color: str) -> None:
    known = np.flatnonzero(np.isfinite(np.asarray(y, float)))
    if len(known):
        forms.name_end(axes, (np.asarray(at)[known[-1]], np.asarray(y)[known[-1]]), name, color)


@draws
def plane(
    points: Any,
    labels: Any,
    *,
    title: str,
    surface: tuple[Any, Any, Any] | None = None,
    x: str = "x₀",
    y: str = "x₁",
    names: Sequence[str] | None = None,
    theme: Theme,
) -> Plot:
    """Points in a plane, each drawn as its label; over the output of a network, if it is given.

    Args:
        points: Points [example, 2].
        labels: Class of each point, [example].
        title: Description of the plot.
        surface: x [col], y [row] and the output [row, col], drawn orange where positive, blue where negative, with a
            line at 0; None: no output.
        x: Name of the x axis.
        y: Name of the y axis.
        names: Text for each label; None: its number.

    >>> nm.plots.plane([[0, 0], [1, 1]], [0, 1], title="Two points").alt
    'Two points. 2 points in a plane, in 2 classes.'
    """
    figure, (axes,) = style.new("narrow" if surface is None else "middle", 3.4, theme)
    if surface is not None:
        at_x, at_y, value = (np.asarray(part) for part in surface)
        top = forms.limit_of(value)
        axes.pcolormesh(at_x, at_y, value, cmap=theme.signed_map, vmin=-top, vmax=top, alpha=0.6, rasterized=True)
        axes.contour(at_x, at_y, value, levels=[0], colors=theme.ink, linewidths=1)
        forms.color_bar(axes, theme.signed_map, (-top, top), "the network's output")
    color = "" if surface is None else theme.ink
    forms.digits(axes, points, labels, size=26, names=names, color=color)
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.set_aspect("equal", adjustable="box" if surface is not None else "datalim")
    return figure.says(f"{title}. {len(points)} points in a plane, in {len(np.unique(labels))} classes.")
