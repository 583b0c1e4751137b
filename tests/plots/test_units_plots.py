"""Pictures of units draw what the measures returned: marks where a result is, words for those who can't see them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb

from apart import apart
from neural_microscope import plots
from neural_microscope.analysis import selectivity
from neural_microscope.plots import style

LABELS = np.arange(200) % 10
STEPS = np.array([0, 1, 4, 16])
IMAGES = np.random.default_rng(1).integers(0, 255, (200, 8, 8)).astype(np.uint8)


def acts() -> xr.DataArray:
    """24 units that come to prefer a class; unit 0 is dead, unit 1 dies, unit 2 prefers nothing."""
    rng = np.random.default_rng(0)
    growing = np.array([0, 0.5, 2, 3])[:, None, None] * (LABELS[:, None] == np.arange(24) % 10)
    growing[..., 2] = 0
    values = rng.exponential(1, (200, 24)) + growing
    values[..., 0] = 0
    values[-1, :, 1] = 0
    coords = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")


A = acts()
LIVES = selectivity.over_time(A)
BASES = selectivity.basis_comparison(A, {"random": np.random.default_rng(0).normal(size=(5, 24))}, draws=8)
PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "tuning": lambda **k: plots.tuning(
        selectivity.tuning(A, draws=20), selectivity.tuning(A.isel(snapshot=0), draws=20), **k
    ),
    "tuning_of_three": lambda **k: plots.tuning(selectivity.tuning(A, draws=20), units=[0, 3, 5], **k),
    "quantile_strips": lambda **k: plots.quantile_strips(IMAGES, selectivity.quantile_examples(A, per=4), **k),
    "one_strip": lambda **k: plots.quantile_strips(
        IMAGES, selectivity.quantile_examples(A, quantiles=(1.0,), per=4), units=[3], **k
    ),
    "selectivity_over_time": lambda **k: plots.selectivity_over_time(LIVES, **k),
    "basis_comparison": lambda **k: plots.basis_comparison(BASES, **k),
}


def raster() -> tuple[np.ndarray, np.ndarray]:
    """The raster's colors, and the units' order as the picture sorts them."""
    figure = plots.selectivity_over_time(LIVES)
    last = np.where(LIVES["auc_shown"][-1], LIVES["preferred"][-1], 99)
    order = np.lexsort((LIVES["since"].fillna(np.inf).values, last))
    return np.asarray(figure.axes[0].images[0].get_array()), order


def test_a_life_is_in_its_classes_colors_and_faint_where_not_beyond_chance() -> None:
    shown, order = raster()
    theme = style.Theme.named("light")
    for row, unit in enumerate(order):
        for snapshot in range(4):
            color = np.array(to_rgb(theme.of_class(int(LIVES["preferred"][snapshot, unit]))))
            if LIVES["auc_shown"][snapshot, unit]:
                np.testing.assert_allclose(shown[row, snapshot], color)
            else:
                paper = np.array(to_rgb(theme.paper))
                assert np.abs(shown[row, snapshot] - paper).max() < 0.2


def test_strips_show_the_images_named_and_leave_places_without_one_empty() -> None:
    strips = selectivity.quantile_examples(A, quantiles=(1.0,), per=4).isel(unit=[3])
    sheet = np.asarray(plots.quantile_strips(IMAGES, strips).axes[0].images[0].get_array())
    theme = style.Theme.named("light")
    first = IMAGES[int(strips["examples"][0, 0, 0])] / 255
    np.testing.assert_allclose(sheet[:8, :8], theme.digit_map(first), atol=0.01)
    none = strips.assign(examples=strips["examples"] * 0 - 1)
    sheet = np.asarray(plots.quantile_strips(IMAGES, none).axes[0].images[0].get_array())
    np.testing.assert_allclose(sheet[:8, :8, :3], np.broadcast_to(to_rgb(theme.absent), (8, 8, 3)), atol=0.01)


def test_the_picture_of_a_basis_decides_nothing() -> None:
    titles = {
        plots.basis_comparison(BASES.assign(auc=("basis", [auc, auc]))).get_suptitle() for auc in (0.5, 0.65, 0.8)
    }
    assert len(titles) == 1


@pytest.mark.parametrize("narrow", [True, False])
def test_blocks_too_low_for_a_name_of_their_own_are_named_together(narrow: bool) -> None:
    """Ten classes and the units without one, on 24 rows: some names would lie over each other."""
    figure = plots.selectivity_over_time(LIVES, narrow=narrow)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    known = {*LIVES["preferred"].values[-1, LIVES["auc_shown"].values[-1]].tolist()}
    assert ", ".join(names).split(", ") == [*map(str, sorted(known)), "none"]
    assert any(", " in name for name in names)
    assert apart(figure.axes[0].yaxis)
