"""The picture that a page opens with: how a network learned, and its images before and after."""

from __future__ import annotations

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from . import forms, style
from .dynamics import classified
from .geometry import limits, map_of, scores
from .style import Plot, Theme, draws

MOST = 100
"""Images drawn in a map at most."""
DIGIT = 8.4
"""The size of a class's digit, in points."""
FEW = 20
"""With more classes, digits have no room beside each other and are left out."""


def some_of(total: int) -> slice:
    """The images that a map draws, evenly spaced."""
    return slice(None, None, -(-total // MOST))


def few(labels: np.ndarray) -> bool:
    """True if a map shows its classes as digits."""
    return len(np.unique(labels)) <= FEW


@draws
def overview(
    curve: xr.Dataset, untrained: xr.Dataset | None = None, trained: xr.Dataset | None = None, *, theme: Theme
) -> Plot:
    """Test accuracy against the step, and the images on a layer's first two principal components before and after.

    Where there is no accuracy, the loss. Each of the two maps has components of its own.

    Args:
        curve: Result of `analysis.dynamics.learning_curve`.
        untrained: Result of `analysis.geometry.pca` of one layer, untrained; None: no maps.
        trained: The same, trained; None: no maps.
    """
    names = "" if untrained is None or trained is None else "BC"
    if style.narrow() or not names:
        figure = style.empty("narrow", 3.3 if names else 1.9, theme)
        panels = figure.subplot_mosaic(f"AA;{names}" if names else "A")
    else:
        figure = style.empty(5.4, 1.75, theme)
        panels = figure.subplot_mosaic("ABC", width_ratios=(1.35, 1, 1))
    learning = panels["A"]
    accuracy = (1 - curve[["test_error"]]).rename(test_error="accuracy")
    if classified(curve):
        forms.over_steps(learning, [("", accuracy, "accuracy")], factor=100, title="Test accuracy (%)", ylim=(0, 103))
    else:
        forms.over_steps(learning, [("", curve, "test_loss")], log=True, title="Test loss")
    learning.set_xlabel("optimizer step", labelpad=1)
    style.lay_out(figure)
    for key, table, title in zip(names, (untrained, trained), ("Untrained", "Trained"), strict=False):
        assert table is not None
        points, labels = scores(table)[-1], table["label"].values
        _classes(panels[key], points, labels)
        panels[key].set_title(title, loc="center")
        panels[key].set_xlabel("component 1", labelpad=1)
        panels[key].set_ylabel("component 2", labelpad=1)
    last = style.share(float(np.asarray(accuracy["accuracy"])[-1]), 2)
    if not classified(curve):
        last = f"{float(curve['test_loss'][-1]):.3g}"
    means = ", each class at its mean" if trained is not None and few(trained["label"].values) else ""
    maps = f"; probe images on two principal components{means}, untrained and trained" if names else ""
    return figure.says(
        f"Test {'accuracy' if classified(curve) else 'loss'} against the optimizer step, {last} at the end{maps}."
    )


def _classes(axes: Axes, points: np.ndarray, labels: np.ndarray) -> None:
    """Some of the points [example, 2] as dots in their classes' colors, and each class as a digit at the mean of all its points."""
    ends, known, some = limits(points), np.unique(labels), some_of(len(labels))
    for label in known:
        x, y = np.clip(points[some][labels[some] == label], *ends).T
        color = style.theme_of(axes).of_class(int(label))
        axes.scatter(x, y, s=7, color=color, linewidths=0, alpha=0.6).set_in_layout(False)
    known = known if few(labels) else known[:0]
    means = np.array([points[labels == label].mean(axis=0) for label in known]).reshape(-1, 2)
    low, high = ends
    if len(known) and np.isfinite(means).all() and (high > low).all():
        box = axes.get_window_extent()
        digit = (high - low) * 1.2 * DIGIT * axes.figure.dpi / 72 / (box.width, box.height)
        means = digit * _apart(means / digit)
    map_of(axes, means, np.asarray(ends), known, size=DIGIT**2, halo=True, color=style.theme_of(axes).ink)


def _apart(places: np.ndarray) -> np.ndarray:
    """The places [digit, 2], in units of a digit's size, moved away from each other until none covers another."""
    for _ in range(100):
        apart = places[:, None] - places
        distance = np.maximum(np.linalg.norm(apart, axis=-1), 1e-9)
        places = places + (0.5 * np.clip(1 / distance - 1, 0, 1)[..., None] * apart).sum(1)
    return places
