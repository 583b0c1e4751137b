"""Pictures of representations: the map of the probe images on two principal components, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from . import style
from .style import Look, Plot, draws


@draws
def pca_over_time(results: Mapping[str, xr.Dataset], snapshots: Sequence[int], *, look: Look) -> Plot:
    """Each layer's images on its first two components (rows) at some snapshots (columns): `analysis.geometry.pca` of
    each layer.
    """
    figure = style.new("wide", 0.5 + 1.75 * len(results), look)
    grid = figure.subplots(len(results), len(snapshots), squeeze=False)
    for row, (name, result) in zip(grid, results.items(), strict=True):
        scores = result["score"].transpose("snapshot", "example", "component").values
        # A few far-out images would squeeze all others into a dot; what lies beyond is drawn at the edge.
        low, high = np.percentile(scores[list(snapshots)].reshape(-1, 2), (0.2, 99.8), axis=0)
        for axes, snapshot in zip(row, snapshots, strict=True):
            _glyphs(axes, np.clip(scores[snapshot], low, high), result["label"].values, look)
            axes.set(xlim=_wider(low[0], high[0]), ylim=_wider(low[1], high[1]))
            style.quiet(axes)
            axes.set_facecolor(look.paper)
        share = result["explained"].values
        row[0].set_ylabel(f"{name.removesuffix('.hook_post')}\n{100 * share[:2].sum():.0f} % of variance", fontsize=8)
    for axes, snapshot in zip(grid[0], snapshots, strict=True):
        step = int(next(iter(results.values()))["step"].values[snapshot])
        axes.set_title("untrained" if step == 0 else f"step {step:,}", loc="center", fontsize=8.5)
    figure.alt = (
        f"Probe images as digits on the first two principal components of {', '.join(results)}, "
        "one column a moment in training, the basis fitted at the end."
    )
    return figure


def _glyphs(axes: style.Axes, points: np.ndarray, labels: np.ndarray, look: Look, size: float = 9) -> None:
    """Each point as its digit, in its colour."""
    for label in np.unique(labels):
        x, y = points[labels == label].T
        axes.scatter(x, y, marker=f"${label}$", s=size, color=look.of_class(int(label)), linewidths=0)


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
