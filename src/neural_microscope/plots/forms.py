"""The forms that pictures are made of: units, curves and rows over a band, matrices, maps of digits, and grids of images.

A form takes a table and the name ``x`` of a variable: its interval is ``x_low`` to ``x_high``, its null ``x_null_low`` to ``x_null_high``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from textwrap import fill
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PathCollection
from matplotlib.colors import Colormap, Normalize, to_rgba
from matplotlib.image import AxesImage
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox

from .style import Theme, called, lay_out, mark, narrow, plot_of, readable, theme_of, told

LINES: tuple[Any, ...] = ("-", (0, (4, 1.6)), (0, (1, 1.2)), "-.", (0, (8, 2)), (0, (2, 2, 6, 2)))
"""Line styles, for as many curves on the same axes; more start again."""
SMALL = 6
"""Points of a number above a picture."""
NAME = 16
"""Characters in a line of a name at the right end of a curve in a narrow figure."""
FEW = 2
"""As many measured snapshots are no curve: each gets a mark."""


def ends(table: xr.Dataset, name: str, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """``name_low`` and ``name_high``, times ``factor``."""
    low, high = (factor * np.asarray(table[f"{name}_{end}"].values, float) for end in ("low", "high"))
    return low, high


def null_band(
    axes: Axes,
    at: Any,
    table: xr.Dataset,
    name: str,
    *,
    factor: float = 1.0,
    label: str | None = None,
    step: Any = None,
    middle: Any = None,
) -> None:
    """The null of a variable as a gray band, behind all else. Without ``step``, places without a null are bridged; ``middle``: the style
    of a thin line halfway.
    """
    color = theme_of(axes).null
    at, low, high = np.broadcast_arrays(np.asarray(at, float), *ends(table, f"{name}_null", factor))
    if step is None:
        known = np.isfinite(low) & np.isfinite(high)
        at, low, high = at[known], low[known], high[known]
    else:  # the first and the last step are as wide as the others
        low, high = (np.pad(end, 1, mode="edge") for end in (low, high))
        at = np.concatenate([at[:1] - 0.5, at, at[-1:] + 0.5])
    band: dict[str, Any] = {"color": color, "alpha": 0.3, "linewidth": 0.6, "label": label}
    axes.fill_between(at, low, high, step=step, **band)
    if middle is not None:
        axes.plot(at, (low + high) / 2, color=color, linewidth=0.8, linestyle=middle)


def interval(
    axes: Axes, at: Any, table: xr.Dataset, name: str, *, factor: float = 1.0, color: str = "", linewidth: float = 0.8
) -> None:
    """The interval of a variable: upright lines, as one shape, because hundreds of them take most of a page's time and room."""
    low, high = ends(table, name, factor)
    at = np.broadcast_to(np.asarray(at, float), low.shape)
    strokes = np.stack([[at, low], [at, high]]).transpose(2, 0, 1)
    strokes = strokes[np.isfinite(strokes).all((1, 2))]
    path = Path(strokes.reshape(-1, 2), [Path.MOVETO, Path.LINETO] * len(strokes))
    color = color or theme_of(axes).quiet
    lines = PathCollection([path], facecolor="none", edgecolor=color, linewidth=linewidth)
    axes.add_collection(lines)
    axes.autoscale_view()


def curve(
    axes: Axes,
    at: Any,
    table: xr.Dataset,
    name: str,
    *,
    factor: float = 1.0,
    line: Any = "-",
    marker: str = "",
    label: str | None = None,
    null: str | None = None,
    middle: bool = False,
) -> None:
    """A variable over steps, factors or shares, with the interval and over the null band that its table has.

    ``label`` names the curve in a legend, ``null`` the band. ``middle``: a thin line halfway in the band, in the curve's style. Places
    without a value are bridged.
    """
    theme = theme_of(axes)
    at = np.asarray(at, float)
    if f"{name}_null_low" in table:
        null_band(axes, at, table, name, factor=factor, label=null, middle=line if middle else None)
    if f"{name}_low" in table:
        interval(axes, at, table, name, factor=factor, color=theme.ink, linewidth=0.7)
    value = factor * np.asarray(table[name].values, float)
    known = np.isfinite(value)
    few = 1 < known.sum() <= FEW < len(at)  # then dots tell what was measured
    dots = {"marker": "o", "linewidth": 0.5} if few else {"marker": marker}
    axes.plot(at[known], value[known], color=theme.ink, linestyle=line, markersize=3, label=label, **dots)
    axes.grid(True, axis="y")


def over_steps(
    axes: Axes,
    curves: Iterable[tuple[str, xr.Dataset, str]],
    *,
    factor: float = 1.0,
    log: bool = False,
    null: str | None = None,
    missing: str = "not measured",
    **words: Any,
) -> None:
    """Curves (label, table, variable) against the optimizer step, each in a line style of its own; ``missing`` stands where none has a
    value. ``words`` are the title and labels of the axes. Two snapshots stand side by side, without an axis of steps, because nothing is
    known of those between. ``null`` names the first band, or with ``{}`` for a label each.
    """
    curves = list(curves)
    steps = np.unique(np.concatenate([table["step"].values for _, table, _ in curves]))
    few = len(steps) == FEW
    for number, (label, table, name) in enumerate(curves):
        line, named = LINES[number % len(LINES)], null.format(label) if null and (number == 0 or "{" in null) else None
        at = table["step"].values
        at, marker = (np.searchsorted(steps, at), "o") if few else (at, "")
        curve(axes, at, table, name, factor=factor, line=line, marker=marker, label=label, null=named, middle=True)
    if few:
        _side_by_side(axes, steps)
    else:
        step_axis(axes, float(steps[-1]))
    if log:
        log_axis(axes)
    axes.set(**words)
    if not any(np.isfinite(table[name]).any() for _, table, name in curves):
        say_missing(axes, missing)


def units(
    axes: Axes,
    table: xr.Dataset,
    name: str,
    *,
    factor: float = 1.0,
    ascending: bool = False,
    named: int = 0,
    level: float | None = 0.0,
    null: str | None = None,
    words: str = "",
    **labels: Any,
) -> np.ndarray:
    """The values of all units in falling order (``ascending``: rising), dots with their intervals over the null band, and gives the order.

    The first ``named`` are listed in the corner that is free, with ``words`` below where there is room; ``level`` is drawn across;
    ``labels`` are the title and labels of the axes.
    """
    values = factor * np.asarray(table[name].values, float)
    order = np.argsort(values if ascending else -values, kind="stable")
    if level is not None:
        axes.axhline(level, color=theme_of(axes).quiet, linewidth=0.6)
    dots(axes, table.isel({table[name].dims[-1]: order}), name, factor=factor, null=null)
    axes.margins(x=0.02)
    axes.set(xticks=[], **labels)
    first = [str(unit) for unit in order[np.isfinite(values[order])][:named]]
    listed = [f"from the left: {table[name].dims[-1]} {', '.join(first)}"] if first else []
    below = [words] if words and not narrow() else []
    if listed or below:
        _corner(axes, "\n".join([*listed, *below]), "upper center" if ascending else "upper right")
    return order


def dots(
    axes: Axes, table: xr.Dataset, name: str, *, factor: float = 1.0, null: str | None = None, label: str | None = None
) -> None:
    """Values side by side in their own order, each a dot with its interval over its null band."""
    at = np.arange(table[name].size)
    null_band(axes, at, table, name, factor=factor, step="mid", label=null)
    if f"{name}_low" in table:
        interval(axes, at, table, name, factor=factor)
    axes.plot(at, factor * table[name].values, "o", color=theme_of(axes).ink, markersize=3, label=label)


def farthest(size: Any, x: Any, y: Any, most: int, names: Any = None) -> dict[str, tuple[float, float]]:
    """The ``most`` points of the largest known size, by their names (numbers unless given): for `label_points`."""
    known = np.isfinite(size)
    order = np.argsort(np.where(known, -size, np.inf), kind="stable")[: min(most, int(known.sum()))]
    return {str(i if names is None else names[i]): (float(x[i]), float(y[i])) for i in order}


def rows(axes: Axes, table: xr.Dataset, name: str, names: Sequence[str], *, null: str | None = None) -> None:
    """A value a row, the first on top: a dot with its interval over its own null band."""
    theme, at = theme_of(axes), range(len(names))
    low, high = ends(table, f"{name}_null")
    axes.barh(at, high - low, 0.68, low, color=theme.null, alpha=0.3, label=null)
    if f"{name}_low" in table:
        axes.hlines(at, *ends(table, name), color=theme.ink, linewidth=1)
    axes.plot(table[name].values, at, "o", color=theme.ink, markersize=5)
    axes.set_yticks(at, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(True, axis="x")


def matrix(
    axes: Axes,
    values: np.ndarray,
    limits: tuple[float, float],
    *,
    label: str = "",
    names: Sequence[object] | None = None,
    colors: Colormap | None = None,
    **image: Any,
) -> AxesImage:
    """Values [row, col] as colors: one hue from 0, or the signed colors where the limits lie on both sides of it.

    ``label`` names the color bar, without it there is none; ``names`` stand along both sides; ``image``: options of ``imshow``.
    """
    theme = theme_of(axes)
    colors = colors or _colors(theme, limits)
    shown = axes.imshow(values, cmap=colors, vmin=limits[0], vmax=limits[1], **image)
    quiet(axes, ticks=True)
    if names is not None:
        _ticks(axes.xaxis, [str(name) for name in names])
        axes.set_yticks(range(len(names)), [str(name) for name in names])
    if label:
        color_bar(axes, colors, limits, label)
    return shown


def _colors(theme: Theme, limits: tuple[float, float]) -> Colormap:
    return theme.signed_map if limits[0] < 0 < limits[1] else theme.amount_map


def write(image: AxesImage, texts: Mapping[tuple[int, int], str], *, shift: float = 0.0, **font: Any) -> None:
    """Texts in the cells (row, col) of a matrix, ``shift`` rows below the middle, in ink or paper, whichever stands out."""
    theme = theme_of(image.axes)
    values: Any = np.ma.masked_invalid(np.ma.asarray(image.get_array()))
    painted = image.to_rgba(values)
    for (row, col), text in texts.items():
        color = theme.ink if np.ma.getmaskarray(values)[row, col] else readable(painted[row, col], theme)
        image.axes.text(col, row + shift, text, ha="center", va="center", color=color, **font).set_in_layout(False)


def hatch(axes: Axes, where: np.ndarray) -> None:
    """Gray strokes over the cells of a matrix in which ``where`` [row, col] is true: silent, dead. One shape, or each cell would render
    the strokes again.
    """
    around = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5]])
    corners = np.argwhere(where)[:, None, ::-1] + around
    path = Path(corners.reshape(-1, 2), [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(corners))
    cells = PathCollection([path], facecolor="none", edgecolor=theme_of(axes).null, hatch="/////", linewidth=0)
    axes.add_collection(cells, autolim=False)


def digits(
    axes: Axes,
    points: Any,
    labels: Any,
    *,
    size: float = 9,
    names: Sequence[str] | None = None,
    color: str = "",
    zorder: float = 1,
    halo: bool = False,
) -> None:
    """Points [example, 2], each as the digit of its class (or its name) and in its color (or one for all); ``halo``: on paper."""
    theme, points, labels = theme_of(axes), np.asarray(points), np.asarray(labels)
    plot_of(axes).numbered |= names is None and bool(len(labels))
    for label in np.unique(labels):
        marker = _marker(mark(int(label)) if names is None else str(names[label]))
        marks: dict[str, Any] = {"marker": marker, "color": color or theme.of_class(int(label)), "linewidths": 0}
        x, y = points[labels == label].T
        around = [marks | {"color": theme.paper, "linewidths": 3}] if halo else []
        for each in (*around, marks):
            axes.scatter(x, y, s=size, zorder=zorder, **each).set_in_layout(False)  # they lie inside their axes


def class_ticks(axis: Axis, count: int) -> None:
    """A tick with the name of each class, turned where names are long."""
    _ticks(axis, [called(c) for c in range(count)])


def _ticks(axis: Axis, names: Sequence[str]) -> None:
    turned: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    axis.set_ticks(range(len(names)), names, **(turned if max(map(len, names), default=0) > 3 else {}))


@cache
def _marker(text: str) -> MarkerStyle:
    """A text as a marker, whose shape matplotlib would compute again for each scatter."""
    return MarkerStyle(f"${text}$" if text.isdecimal() else f"$\\mathrm{{{text}}}$")


def mosaic(
    tiles: np.ndarray,
    across: int,
    colors: Colormap,
    limits: tuple[float, float],
    theme: Theme,
    *,
    gap: int | tuple[int, int] = 2,
) -> np.ndarray:
    """Pictures [tile, row, col], or [tile, row, col, 3] in color, laid out in rows of ``across`` as one RGBA image, the paper between
    them: ``gap`` pixels, or (below each other, side by side).

    NaN is drawn in the color of absent values. One image is drawn much faster than hundreds of axes, and stays
    pixel-exact.
    """
    count, height, width = tiles.shape[:3]
    below, beside = np.broadcast_to(gap, 2)
    size = (-(-count // across) * (height + below) - below, across * (width + beside) - beside, 1)
    sheet = np.tile(np.array(to_rgba(theme.paper)), size)
    low, high = limits
    shades = np.ma.masked_invalid((tiles - low) / ((high - low) or 1.0)).clip(0, 1)
    if tiles.ndim == 4:
        painted = np.where(
            np.ma.getmaskarray(shades).any(-1, keepdims=True),
            colors.get_bad(),
            np.insert(np.nan_to_num(np.ma.getdata(shades)), 3, 1, axis=-1),
        )
    else:
        painted = colors(shades)
    for number in range(count):
        top, left = (number // across) * (height + below), (number % across) * (width + beside)
        sheet[top : top + height, left : left + width] = painted[number]
    return sheet


def chosen_images(images: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Images [example, row, col] or [example, row, col, 3] in 0..255 by their numbers, in 0..1; NaN for -1, no image."""
    there = np.expand_dims(chosen >= 0, tuple(range(1 - images.ndim, 0)))
    return np.where(there, images[chosen] / 255, np.nan).reshape(-1, *images.shape[1:])


def images(
    axes: Axes,
    tiles: np.ndarray,
    across: int,
    limits: tuple[float, float] | None = None,
    *,
    gap: int | tuple[int, int] = 2,
    colors: Colormap | None = None,
    numbered: bool = False,
    label: str = "",
    names: Sequence[str] = (),
    fontsize: float = 8,
) -> None:
    """Pictures [tile, row, col] or [tile, row, col, 3] in rows of ``across``: without ``limits`` ink on paper (0 to 1), else in the colors
    of `matrix`.

    ``numbered``: each tile's number stands at its upper left; ``label`` names the color bar, without it there is none; ``names``
    stand at the left of the rows.
    """
    theme = theme_of(axes)
    if limits is None:
        colors, limits = theme.digit_map, (0.0, 1.0)
    colors = colors or _colors(theme, limits)
    axes.imshow(mosaic(tiles, across, colors, limits, theme, gap=gap))
    quiet(axes)
    below, beside = np.broadcast_to(gap, 2)
    name_rows(axes, names, tiles.shape[1], below, fontsize)
    for number in range(len(tiles) if numbered else 0):
        top, left = (number // across) * (tiles.shape[1] + below), (number % across) * (tiles.shape[2] + beside)
        place = "bottom" if below > 4 else "top"
        size = SMALL if below > 4 else 4.5
        text = axes.text(left, top, str(number), fontsize=size, va=place, color=theme.quiet)
        text.set_in_layout(False)  # hundreds of them would be measured to lay out the page, and change nothing
    if label:
        color_bar(axes, colors, limits, label)


def name_rows(axes: Axes, names: Sequence[str], height: int, gap: int = 2, fontsize: float = 8) -> None:
    """Names at the left of rows of pictures, ``height`` pixels each and ``gap`` apart."""
    axes.set_yticks((height - 1) / 2 + (height + gap) * np.arange(len(names)), names, fontsize=fontsize)


def image_rows(panels: Iterable[Axes], named: Iterable[tuple[str, np.ndarray]]) -> None:
    """Rows of pictures, each on a scale of its own, symmetric about 0, with its name and range at its left."""
    for axes, (name, tiles) in zip(panels, named, strict=True):
        limit = limit_of(tiles)
        images(axes, tiles, len(tiles), (-limit, limit))
        scale = f"± {limit:.2g}" if np.nanmin(tiles, initial=0) < 0 else f"0 to {limit:.2g}"
        axes.set_ylabel(f"{name}\n{scale}", rotation=0, ha="right", va="center", fontsize=8)


def limit_of(values: np.ndarray, percentile: float = 100) -> float:
    """The largest size of the known values, or a percentile of their sizes; 1 if all are 0 or there are none."""
    sizes = np.abs(values[np.isfinite(values)])
    return (float(np.percentile(sizes, percentile)) or float(sizes.max()) if sizes.size else 0.0) or 1.0


def color_bar(axes: Axes | Sequence[Axes], colors: Colormap, limits: tuple[float, float], label: str) -> Any:
    """A bar that prints its range."""
    figure = (axes if isinstance(axes, Axes) else axes[0]).figure
    bar = figure.colorbar(
        ScalarMappable(Normalize(*limits), colors),
        ax=axes,
        fraction=0.015,
        pad=0.025 if narrow() else 0.01,
        label=label,
    )
    bar.outline.set_visible(False)
    low, high = limits
    ticks = sorted({low, 0.0, high}) if low <= 0 <= high else [low, high]
    bar.set_ticks(ticks, labels=[told(tick) if abs(tick) < 100 else f"{tick:,.0f}" for tick in ticks])
    return bar


def name_ends(axes: Axes) -> None:
    """The label of each curve, and of the first band, at its right end instead of in a legend, where it could cover them."""
    theme, ends = theme_of(axes), []
    for line in axes.lines:
        points = np.asarray(line.get_xydata())[np.isfinite(line.get_xydata()).all(1)]
        if len(points) and not str(line.get_label()).startswith("_"):
            ends.append((str(line.get_label()), points[-1], theme.ink))
    for band in axes.collections:
        if not str(band.get_label()).startswith("_") and band.get_paths():
            points = np.concatenate([np.asarray(path.vertices) for path in band.get_paths()])
            last = points[points[:, 0] == points[:, 0].max()]
            ends.append((str(band.get_label()), last.mean(0), theme.quiet))
    for label, place, color in ends:
        name_end(axes, place, label, color)


def name_end(axes: Axes, place: Any, name: str, color: str) -> None:
    """A name at the right of a place, with a blank at its end for a font that is wider than the one it is measured in. Names that lie
    close are moved apart when the figure is done: `style.draws`.
    """
    name = "\n".join(f"{line} " for line in (fill(name, NAME).split("\n") if narrow() else [name]))
    words: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5, "gid": "name"}
    axes.annotate(name, (float(place[0]), float(place[1])), (5, 0), color=color, annotation_clip=False, **words)


def note(axes: Axes, text: str, corner: str = "upper right") -> None:
    """A few words in a corner of the axes, or in the middle, above or below."""
    if narrow():
        return  # the caption says it, and there is no room
    _corner(axes, text, corner)


def _corner(axes: Axes, text: str, corner: str) -> None:
    height, side = corner.split()
    x = {"left": 0.02, "center": 0.5, "right": 0.98}[side]
    y, va = {"upper": (0.97, "top"), "center": (0.5, "center"), "lower": (0.03, "bottom")}[height]
    theme = theme_of(axes)
    under = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1.0, "alpha": 0.85}
    axes.text(x, y, text, transform=axes.transAxes, ha=side, va=va, fontsize=7.5, color=theme.quiet, bbox=under)


def say_missing(axes: Axes, why: str) -> None:
    """Says in the middle of the axes why nothing stands there."""
    _corner(axes, why, "center center")


def quiet(axes: Axes, *, ticks: bool = False) -> None:
    """No frame; without ``ticks``, no ticks either."""
    axes.spines[:].set_visible(False)
    if not ticks:
        axes.set_xticks([])
        axes.set_yticks([])
    axes.tick_params(length=0)


def legend_below(figure: Any, axes: Axes, **options: Any) -> None:
    """One legend below all panels, with the labels of any of them."""
    handles, names = axes.get_legend_handles_labels()
    across = (1 if max(map(len, names), default=0) > 24 else 2) if narrow() else len(names)
    figure.legend(handles, names, loc="outside lower center", ncols=across, fontsize=7.5, **options)


def log_axis(axes: Axes) -> None:
    """A log axis for the data drawn so far, that labels also the twos and fives where it holds few powers of ten; an ordinary one
    if no value is above 0.
    """
    drawn = [each.dataLim for each in axes.get_shared_y_axes().get_siblings(axes)]
    lowest = min(float(box.minposy) for box in drawn)
    if not np.isfinite(lowest):
        return
    axes.set_yscale("log")
    plain_log(axes.yaxis, lowest, max(float(box.y1) for box in drawn))


def plain_log(axis: Any, low: float, high: float) -> None:
    """Plain numbers on a log axis, also the twos and fives where it holds few powers of ten."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    axis.set_major_formatter(lambda value, _: _plain(value))
    axis.set_minor_locator(NullLocator())


def _plain(value: float) -> str:
    """A number on a log axis, a power of ten where it would be long."""
    if 1e-4 <= value < 1e6:
        return f"{value:,g}"
    digits, _, power = f"{value:e}".partition("e")
    return f"{'' if float(digits) == 1 else f'{float(digits):g}·'}$10^{{{int(power)}}}$"


def step_axis(axes: Axes, last: float) -> None:
    """A log axis of steps that also has room for step 0, the untrained network, which may be all there is."""
    if not last > 0:
        axes.set_xlim(-1, 1)
        axes.set_xticks([0], ["0"])
        axes.set_xlabel("one snapshot: untrained")
        return
    axes.set_xscale("symlog", linthresh=1, linscale=0.45)
    ticks = [0, *(10**k for k in range(7) if 10**k <= last)]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(-0.15, last * 1.1)
    axes.set_xlabel("optimizer step (0: untrained)")


def _side_by_side(axes: Axes, steps: np.ndarray) -> None:
    """An axis of two snapshots."""
    axes.set_xticks(range(len(steps)), [f"step {int(step):,}" if step else "untrained" for step in steps])
    axes.set_xlim(-0.3, len(steps) - 0.7)
    axes.set_xlabel(f"{len(steps)} snapshots; lines only join them")


BESIDE = ((6, 5), (-6, 5), (6, -11), (-6, -11), (0, 11), (0, -17), (15, -3), (-15, -3))
"""Places of a name beside its point, in points, the best first."""
LED = tuple(
    (x, y)
    for far in (1, 2, 3.5)
    for x, y in ((-10 * far, 6 * far), (10 * far, 6 * far), (0, 12 * far), (-14 * far, -3))
)
"""Places of a name to which a line leads."""
TICKS = 4
"""Ticks that fit on an axis of a small panel."""


def outer_labels(panels: Sequence[Axes]) -> None:
    """Leaves the name of the axis of steps to the lowest panel of each column."""
    places = [axes.get_subplotspec() for axes in panels]
    lowest = {place.colspan.start: place.rowspan.start for place in places if place}
    for axes, place in zip(panels, places, strict=True):
        if place and place.rowspan.start < lowest[place.colspan.start]:
            axes.set_xlabel("")


def fewer_ticks(axes: Axes) -> None:
    """Leaves out the words of every other tick of a small panel's axis of steps where there are more than four, and has at most as many
    ticks on its log axis.
    """
    words = axes.get_xticklabels()
    for tick in words[1::2] if len(words) > TICKS else []:
        tick.set_visible(False)
    if axes.get_yscale() == "log":
        low, high = axes.get_ylim()
        for subs in ((1, 2, 5), (1, 3), (1,)):
            axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=TICKS))
            if 1 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= TICKS:
                break


def step_name(table: Any, snapshot: int) -> str:
    """A snapshot by its step, for titles."""
    step = int(table["step"].values[snapshot]) if "step" in table.coords else None
    return f"snapshot {snapshot}" if step is None else f"step {step:,}" if step else "untrained"


def first_to_last(curves: Iterable[tuple[str, xr.Dataset, str]]) -> str:
    """The ends of curves (label, table, variable) in words."""
    of_each = [(label, table[name].values.round(9)) for label, table, name in curves]  # rounding errors become 0
    return ", ".join(f"{label} {told(float(y[0]), 3)} to {told(float(y[-1]), 3)}" for label, y in of_each)


def step_ticks(axes: Axes, steps: Any) -> None:
    """Labels a snapshot axis, one column a snapshot, with powers of ten, each where it lies between the snapshots' steps, and the last
    step; where few of them fit, with the steps of some snapshots.
    """
    count = len(steps)
    gaps = 4 if narrow() else 6
    wanted = {round(i * (count - 1) / gaps): int(steps[round(i * (count - 1) / gaps)]) for i in range(gaps + 1)}
    powers = _powers(np.asarray(steps, float), (count - 1) / (1.7 * gaps)) if count > gaps + 1 else {}
    ticks = powers if len(powers) > TICKS - 1 else wanted
    axes.set_xticks(list(ticks), [f"{step:,}" for step in ticks.values()])
    axes.set_xlabel("optimizer step (0: untrained)" if count > 1 else "one snapshot, at this optimizer step")


def _powers(steps: np.ndarray, apart: float) -> dict[float, int]:
    """Step 0, powers of ten and the last step by their places among the snapshots, at least so many snapshots apart."""
    after = np.flatnonzero(steps > 0)
    found: dict[float, int] = {0.0: 0} if steps[0] == 0 else {}
    for step in [10**k for k in range(int(np.log10(steps[-1])) + 1)] if len(after) else []:
        place = float(np.interp(np.log10(step), np.log10(steps[after]), after)) if step >= steps[after[0]] else -1.0
        if place - max(found, default=-apart) >= apart:
            found[place] = step
    if len(steps) - 1 - max(found, default=0) >= 1.3 * apart:
        found[float(len(steps) - 1)] = int(steps[-1])
    return found


def label_points(
    axes: Axes, points: Mapping[str, tuple[float, float]], *, around: Any = None, joined: bool = False
) -> None:
    """Names points, each where it covers no other name and none of the marks ``around`` [mark, 2]; a name that fits nowhere is left out.
    ``joined``: a thin line leads from the point to its name, which lies inside the axes.
    """
    if points:
        lay_out(axes.get_figure(root=True))
    marks = axes.transData.transform(np.zeros((0, 2)) if around is None else np.asarray(around, float))
    half, inside = 6, axes.get_window_extent()  # of a mark, in pixels
    taken: list[Any] = [Bbox.from_extents(x - half, y - half, x + half, y + half) for x, y in marks]
    line = {"arrowprops": {"arrowstyle": "-", "color": theme_of(axes).quiet, "linewidth": 0.6, "shrinkB": 4}}
    for text, place in points.items():
        for dx, dy in LED if joined else BESIDE:
            side = "left" if dx > 0 else "right" if dx < 0 else "center"
            words: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "ha": side} | (
                line if joined else {}
            )
            note = axes.annotate(text, place, (dx, dy), **words)
            note.get_window_extent()  # brings it to its place; then of the words alone, without the line
            box = Text.get_window_extent(note).expanded(1.1, 1.1)
            fits = not joined or (inside.x0 <= box.x0 and box.x1 <= inside.x1 and box.y0 >= inside.y0)
            if fits and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()
