"""Pictures of predictions show what the tables say, in both themes, with words and no text cut off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from neural_microscope import plots
from neural_microscope.analysis import predictions
from neural_microscope.plots import style

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


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_stands_on_its_themes_paper_with_words_and_cuts_no_text_off(
    name: str, theme: style.ThemeName
) -> None:
    figure = PICTURES[name](theme=theme)
    figure.canvas.draw()
    shown = np.asarray(figure.canvas.buffer_rgba())[..., :3] / 255
    paper = np.array(to_rgb(style.Theme.named(theme).paper))
    np.testing.assert_allclose(shown[0, 0], paper, atol=0.01)
    assert 0.01 < (np.abs(shown - paper).max(-1) > 0.15).mean() < 0.9
    assert len(figure.alt) > 40
    width, height = figure.canvas.get_width_height()
    for axes in figure.axes:
        for text in [axes._left_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]:
            if text.get_text() and text.get_visible():
                box = text.get_window_extent()
                assert min(box.x0, box.y0) >= -1, text
                assert box.x1 <= width + 1, text
                assert box.y1 <= height + 1, text


def test_images_are_sorted_by_when_they_were_learnt_and_the_hardest_are_named() -> None:
    table = predictions.learning_order(L, draws=5)
    figure = plots.image_lives(table, IMAGES, hardest=4)
    raster = np.asarray(figure.axes[0].images[0].get_array(), bool)
    since = [len(row) - np.logical_and.accumulate(~row[::-1]).sum() for row in raster]
    assert since == sorted(since)
    hardest = np.argsort(-(~table["right"].values).sum(0), kind="stable")[:4]
    words = [text.get_text() for text in figure.axes[1].texts]
    assert "When each class" in figure.axes[2].get_title("left")
    assert figure.axes[2].lines[0].get_ydata().tolist() == table["class_order"].values.tolist()
    said = table["said"].values[-1]
    assert words == [f"{LABELS[i]}" if LABELS[i] == said[i] else f"{LABELS[i]}, not {said[i]}" for i in hardest]
