"""Pictures of predictions show what the tables say, in both themes, with words and no text cut off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from neural_microscope import plots
from neural_microscope.analysis import predictions

STEPS = np.array([0, 1, 4, 16, 64])
LABELS = np.arange(80) % 10
IMAGES = np.random.default_rng(1).integers(0, 255, (80, 8, 8)).astype(np.uint8)


def logits() -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(5, 80, 10)) + np.linspace(0, 4, 5)[:, None, None] * np.eye(10)[LABELS]
    coords = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", "class"), coords=coords)


L = logits()
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "image_lives": lambda **k: plots.image_lives(predictions.learning_order(L, draws=5), IMAGES, **k),
    "reliability": lambda **k: plots.reliability(predictions.calibration_error(L, draws=20), **k),
    "reliability of one": lambda **k: plots.reliability(
        predictions.calibration_error(L.isel(snapshot=-1), draws=20), **k
    ),
}


def test_images_are_sorted_by_when_they_were_learned_and_the_hardest_are_named() -> None:
    table = predictions.learning_order(L, draws=5)
    figure = plots.image_lives(table, IMAGES, hardest=4)
    raster = np.asarray(figure.axes[0].images[0].get_array(), bool)
    since = [len(row) - np.logical_and.accumulate(~row[::-1]).sum() for row in raster]
    assert since == sorted(since)
    hardest = np.argsort(-(~table["right"].values).sum(0), kind="stable")[:4]
    words = [text.get_text() for text in figure.axes[1].texts]
    assert "Mean position" in figure.axes[2].get_title("left")
    assert figure.axes[2].lines[0].get_ydata().tolist() == table["class_order"].values.tolist()
    said = table["said"].values[-1]
    assert words == [f"{LABELS[i]}" if LABELS[i] == said[i] else f"{LABELS[i]}, not {said[i]}" for i in hardest]
