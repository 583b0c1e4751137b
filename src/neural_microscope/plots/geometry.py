"""Pictures of representations: the map of the probe images on two principal components, over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from . import style
from .style import Look, Plot, draws


@draws
def pca_over_time(
    results: Mapping[str, xr.Dataset],
    untrained: Mapping[str, xr.Dataset],
    snapshots: Sequence[int],
    *,
    look: Look,
) -> Plot:
    """Each layer's images on its first two components (rows) at some snapshots (columns), on one basis a layer.

    ``results``: `analysis.geometry.pca` of each layer, fitted at the end; ``untrained``: the same fitted at snapshot
    0, drawn first: what the untrained network looks like where it is given its own best view.
    """
    figure = style.new("wide", 0.5 + 1.65 * len(results), look)
    grid = figure.subplots(len(results), 1 + len(snapshots), squeeze=False)
    for row, (name, result) in zip(grid, results.items(), strict=True):
        labels = result["label"].values
        scores = _scores(result)
        _map(row[0], _scores(untrained[name])[0], _limits(_scores(untrained[name])[[0]]), labels, look)
        for axes, snapshot in zip(row[1:], snapshots, strict=True):
            _map(axes, scores[snapshot], _limits(scores[list(snapshots)]), labels, look)
        share, chance = result["explained"].values[:2].sum(), result["explained_by_chance"].values[:2].sum()
        row[0].set_ylabel(
            f"{name.removesuffix('.hook_post')}\n{100 * share:.0f} % of variance\n(by chance {100 * chance:.0f} %)",
            fontsize=7.5,
        )
    grid[0][0].set_title("untrained,\nown axes", loc="center", fontsize=8)
    steps = next(iter(results.values()))["step"].values
    for axes, snapshot in zip(grid[0][1:], snapshots, strict=True):
        step = int(steps[snapshot])
        axes.set_title(
            "untrained,\nfinal axes" if step == 0 else f"step {step:,},\nfinal axes", loc="center", fontsize=8
        )
    figure.alt = (
        f"Probe images as digits on the first two principal components of {', '.join(results)}: first the untrained network on "
        "axes of its own, then moments of training on the axes fitted at the end."
    )
    return figure


def _scores(result: xr.Dataset) -> np.ndarray:
    return result["score"].transpose("snapshot", "example", "component").values[..., :2]


def _limits(scores: np.ndarray) -> np.ndarray:
    """(low, high) of both axes. A few far-out images would squeeze all others into a dot: they are drawn at the edge."""
    return np.percentile(scores.reshape(-1, 2), (0.3, 99.7), axis=0)


def _map(axes: Axes, points: np.ndarray, limits: np.ndarray, labels: np.ndarray, look: Look) -> None:
    low, high = limits
    _glyphs(axes, np.clip(points, low, high), labels, look)
    axes.set(xlim=_wider(low[0], high[0]), ylim=_wider(low[1], high[1]))
    style.quiet(axes)


def _glyphs(axes: Axes, points: np.ndarray, labels: np.ndarray, look: Look, size: float = 9) -> None:
    """Each point as its digit, in its colour."""
    for label in np.unique(labels):
        x, y = points[labels == label].T
        dots = axes.scatter(x, y, marker=f"${label}$", s=size, color=look.of_class(int(label)), linewidths=0)
        dots.set_in_layout(False)  # they lie inside their axes


def _wider(low: float, high: float) -> tuple[float, float]:
    margin = 0.05 * (high - low) or 1.0
    return low - margin, high + margin
