"""A picture of units cut out two at a time."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from . import style
from .style import Look, Plot, draws


@draws
def interactions(table: xr.Dataset, *, named: int = 4, look: Look) -> Plot:
    """What two units cut out together cost beyond the sum of the two alone: every pair as a tile, and beside that sum.

    ``table``: `analysis.causal.interactions`. Orange: the two stand in for each other; blue: they need each other; grey dots lie
    within their null. The units of the tiles are sorted by what each costs alone; their colours end at the 99.5th percentile of
    all sizes. ``named``: how many of the strongest pairs are named.
    """
    axis, layer = str(table["interaction"].dims[0]), table.attrs["hook_point"]
    alone = table["loss_increase"].values
    one, other = np.triu_indices(len(alone), 1)
    value, q = (table[name].values[one, other] for name in ("interaction", "interaction_q"))
    beat = q < 0.05
    redundant, needed = int((beat & (value > 0)).sum()), int((beat & (value < 0)).sum())
    figure = style.new("wide", 3.7, look)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.05))
    _tiles(left, table["interaction"].values, np.argsort(-np.nan_to_num(alone), kind="stable"), look)
    left.set_xlabel(f"{len(alone)} {axis}s of {layer},\ncostliest alone first")
    left.set_title("Every pair, cut out together" if len(value) else f"One {axis} has no pairs")
    for chosen, colour in (
        (~beat, look.null),
        (beat & (value > 0), look.positive),
        (beat & (value < 0), look.negative),
    ):
        right.plot((alone[one] + alone[other])[chosen], value[chosen], ".", color=colour, markersize=2.5, alpha=0.7)
    right.axhline(0, color=look.quiet, linewidth=0.6)
    right.set_xlabel(f"cost of the two alone, summed (nat)\ngrey: within chance, {table.attrs['n_examples']} images")
    right.set_ylabel("cost together − that sum (nat)")
    right.set_title("Beyond the sum of the two alone")
    right.margins(0.08, 0.15)
    words = f"{redundant:,} pairs stand in for each other", f"{needed:,} pairs need each other"
    right.text(0.02, 0.98, words[0], transform=right.transAxes, va="top")
    right.text(0.02, 0.02, words[1], transform=right.transAxes, va="bottom")
    strongest = [i for i in np.argsort(-np.nan_to_num(np.abs(value)), kind="stable")[:named] if beat[i]]
    points = {f"{one[i]}, {other[i]}": (float(alone[one[i]] + alone[other[i]]), float(value[i])) for i in strongest}
    style.label_points(right, points, look)
    figure.alt = (
        f"What cutting out two {axis}s of {layer} together adds to the loss beyond the sum of the two alone. Of {len(value):,} "
        f"pairs {redundant:,} are redundant (above 0) and {needed:,} need each other (below 0); the others lie within their null."
    )
    if strongest:
        a, b, most = one[strongest[0]], other[strongest[0]], style.told(float(value[strongest[0]]), 2)
        figure.alt += f" The strongest: {axis}s {a} and {b}, {most} nat."
    return figure


def _tiles(axes: Axes, matrix: np.ndarray, order: np.ndarray, look: Look) -> None:
    sizes = np.abs(matrix[np.isfinite(matrix)])
    limit = (float(np.percentile(sizes, 99.5)) or float(sizes.max()) if sizes.size else 0.0) or 1.0
    axes.imshow(matrix[np.ix_(order, order)], cmap=look.signed_map, vmin=-limit, vmax=limit)
    style.quiet(axes, ticks=True)
    for ticks in (axes.xaxis, axes.yaxis):
        ticks.set_major_locator(MaxNLocator(5, integer=True))
    style.colour_bar(axes.get_figure(root=True), axes, look.signed_map, (-limit, limit), "nat, clipped")
