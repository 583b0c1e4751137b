"""Pictures of influence draw what was estimated, what was measured, and nothing where nothing is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from neural_microscope import plots

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 255, (20, 8, 8)).astype(np.uint8)
METHODS = ["kernel", "tracin", "pixels"]
VALUES = np.array([0.6, 0.25, 0.1])


def verified(fill: float | None = None) -> xr.Dataset:
    """A result of `influence.verify`; with ``fill`` in place of the agreements."""
    agreement = VALUES if fill is None else np.full(3, fill)
    ends = {"low": -0.1, "high": 0.1, "null_low": -agreement - 0.2, "null_high": -agreement + 0.2}
    table = {f"agreement_{name}": ("estimate", agreement + end) for name, end in ends.items()}
    scalars = {"ceiling": 0.8, "ceiling_low": 0.7, "ceiling_high": 0.9}
    return xr.Dataset({"agreement": ("estimate", agreement), **table, **scalars}, {"estimate": METHODS})


def influences(values: np.ndarray) -> xr.DataArray:
    coords = {"target": "margin of image 3", "label": ("example", np.arange(len(values)) % 10)}
    return xr.DataArray(values, coords, ("example",), "influence")


SHUFFLED = RNG.permutation(np.arange(20) - 9.0)  # -9 to 10
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "agreement": lambda **k: plots.influence_agreement(verified(), **k),
    "agreement_refused": lambda **k: plots.influence_agreement(verified(np.nan), **k),
    "influential": lambda **k: plots.influential_images(influences(SHUFFLED), IMAGES, **k),
    "influential_narrow": lambda **k: plots.influential_images(influences(SHUFFLED), IMAGES, n=6, narrow=True, **k),
    "influential_none": lambda **k: plots.influential_images(influences(np.zeros(20)), IMAGES, **k),
}


def test_every_agreement_stands_in_its_row_and_the_ceiling_crosses_all() -> None:
    figure = plots.influence_agreement(verified())
    (axes,) = figure.axes
    drawn = {tuple(np.asarray(xy, float)) for line in axes.lines for xy in line.get_xydata()}
    assert drawn >= {(value, row) for row, value in enumerate(VALUES)} | {(0.8, 3)}
    assert [text.get_text() for text in axes.get_yticklabels()] == [*METHODS, "ceiling"]
    assert [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "--"] == [[0.8, 0.8]]
    assert "kernel 0.60, tracin 0.25, pixels 0.10" in figure.alt
    assert "ceiling is 0.80" in figure.alt


def test_a_question_that_was_refused_has_a_ceiling_and_no_agreement() -> None:
    figure = plots.influence_agreement(verified(np.nan))
    (axes,) = figure.axes
    assert any("not asked" in text.get_text() for text in axes.texts)
    assert "not asked. The ceiling is 0.80" in figure.alt


@pytest.mark.parametrize("n", [3, 30])
def test_images_are_those_of_most_influence_with_their_labels(n: int) -> None:
    values = SHUFFLED.copy()
    values[values == 10] = np.nan  # of an unknown influence
    figure = plots.influential_images(influences(values), IMAGES, n=n)
    for axes, sizes in zip(figure.axes, (np.arange(9, 0, -1), np.arange(-9, 0)), strict=True):
        wanted = [(int(np.flatnonzero(values == size)[0]) % 10, size) for size in sizes[:n]]
        told = [f"{label}: {size:+}".replace("-", "−") for label, size in wanted]
        assert [text.get_text() for text in axes.texts] == told
    first = IMAGES[np.flatnonzero(values == 9)[0]]
    shown = np.asarray(figure.axes[0].images[0].get_array())[:8, :8, :3].mean(-1)
    assert np.corrcoef(first.ravel(), shown.ravel())[0, 1] < -0.99  # ink is dark on paper
    assert figure.alt == (
        f"The {min(n, 9)} training images that raise the margin of image 3 most, by 9 at most; "
        f"the {min(n, 9)} training images that lower the margin of image 3 most, by 9 at most."
    )


def test_nothing_is_drawn_where_nothing_is_known() -> None:
    figure = plots.influential_images(influences(np.full(20, np.nan)), IMAGES)
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["none is known to"]] * 2
    assert "no training image is known to lower the margin of image 3" in figure.alt
