"""Two plain pictures for experiments that have no picture of their own: lines against one axis, and points in a plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

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
    """Named lines against one axis, each with its name at its end; grey bands behind them are nulls, level lines are marks.

    ``values``: name -> (x, y), two sequences of one length; a y of [seed, x] is drawn as its mean, with a thin line for each seed.
    ``null``: name -> (x, low, high). ``marks``: name -> y. ``x`` and ``y`` name quantity and unit; ``title`` says what is seen.
    ``steps``: the x axis is that of optimiser steps, log with room for 0. NaN is a gap.
    """
    figure = style.new("middle", 3.0, theme)
    axes = figure.subplots()
    for name, (at, low, high) in (null or {}).items():
        axes.fill_between(at, low, high, color=theme.null, alpha=0.3, linewidth=0)
        _name(axes, at, (np.asarray(low) + np.asarray(high)) / 2, name, theme.quiet)
    for name, level in (marks or {}).items():
        axes.axhline(level, color=theme.null, linewidth=0.9, zorder=1)
        axes.annotate(
            name,
            (0.02, level),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=theme.quiet,
            fontsize=7.5,
        )
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
        _log_x(axes)
    elif all((np.asarray(at) % 1 == 0).all() for at, _ in values.values()):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # what is counted has no halves
    if log_y:
        forms.log_axis(axes)
    axes.set(xlabel=axes.get_xlabel() if steps else x, ylabel=y, title=title)
    axes.grid(True, axis="y")
    _spread(axes)
    figure.alt = f"{title}. {y} against {x}: {'; '.join(ends)}."
    return figure


def _log_x(axes: Any) -> None:
    """A log axis with plain numbers, also the twos and fives where it holds few powers of ten."""
    low, high = axes.dataLim.minposx, axes.dataLim.x1
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def _name(axes: Any, at: Any, y: Any, name: str, colour: str) -> None:
    known = np.flatnonzero(np.isfinite(np.asarray(y, float)))
    if len(known):
        last = (float(np.asarray(at)[known[-1]]), float(np.asarray(y)[known[-1]]))
        axes.annotate(name, last, (5, 0), textcoords="offset points", va="center", fontsize=8, color=colour, gid="name")


def _spread(axes: Any) -> None:
    """Names at the ends of lines that lie close are moved apart, up and down."""
    figure = axes.figure
    figure.get_layout_engine().execute(figure)
    names = sorted((t for t in axes.texts if t.get_gid() == "name"), key=lambda t: t.get_window_extent().y0)
    top = -np.inf
    for text in names:
        box = text.get_window_extent()
        lift = max(0.0, top - box.y0)
        dx, dy = text.xyann
        text.xyann = (dx, dy + lift * 72 / figure.dpi)
        top = box.y1 + lift


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
    """Points [example, 2] in a plane, each drawn as its label; behind them the answer of a network.

    ``surface``: (x [col], y [row], value [row, col]), drawn orange where positive, blue where negative, with a line at 0.
    ``names``: what is written for each label instead of its number.
    """
    figure = style.new("narrow" if surface is None else "middle", 3.4, theme)
    axes = figure.subplots()
    points, labels = np.asarray(points), np.asarray(labels)
    if surface is not None:
        at_x, at_y, value = (np.asarray(part) for part in surface)
        top = float(np.abs(value).max()) or 1.0
        axes.pcolormesh(at_x, at_y, value, cmap=theme.signed_map, vmin=-top, vmax=top, alpha=0.6, rasterized=True)
        axes.contour(at_x, at_y, value, levels=[0], colors=theme.ink, linewidths=1)
        forms.color_bar(axes, theme.signed_map, (-top, top), "the network's answer")
    for label in np.unique(labels):
        mine = points[labels == label]
        text = names[label] if names is not None else str(label)
        marker = f"${text}$" if len(text) <= 2 else "o"
        axes.scatter(
            mine[:, 0],
            mine[:, 1],
            s=26,
            marker=marker,
            color=theme.of_class(int(label)) if surface is None else theme.ink,
            linewidths=0.3,
        )
    axes.set(xlabel=x, ylabel=y, title=title)
    axes.set_aspect("equal", adjustable="box" if surface is not None else "datalim")
    figure.alt = f"{title}. {len(points)} points in a plane, in {len(np.unique(labels))} classes."
    return figure
