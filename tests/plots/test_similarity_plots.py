"""Pictures of likeness draw what they were given, in both themes, with words for those who can't see them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
import xarray as xr

from neural_microscope import plots
from neural_microscope.analysis import similarity
from neural_microscope.plots import style

LABELS = np.arange(80) % 10
STEPS = np.array([0, 1, 10, 100])


@cache
def acts(units: int = 24, seed: int = 0) -> xr.DataArray:
    """Four snapshots that drift toward the last; unit 3 is dead until then."""
    rng = np.random.default_rng(seed)
    last = rng.normal(size=(80, units))
    values = np.stack([share * last + (1 - share) * rng.normal(size=last.shape) for share in (0, 0.3, 0.8, 1)]).clip(0)
    values[:2, :, 3] = 0
    coords = {"step": ("snapshot", STEPS), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")


def matrix() -> xr.Dataset:
    layers = {"layers.0.hook_post": acts(), "layers.1.hook_post": acts(8, 1)}
    return similarity.matrix(layers, {**layers, "layers.2.hook_post": acts(6, 2)}, draws=5)


def two_sides() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(1)
    last = acts().isel(snapshot=-1, drop=True)
    return last, last + np.where(np.arange(24) < 12, 0.1, 3) * rng.normal(size=last.shape)


PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "similarity_matrix": lambda **k: plots.similarity_matrix(matrix(), rows="MLP", columns="CNN", **k),
    "drift": lambda **k: plots.drift(similarity.drift(acts(), draws=5), **k),
    "drift_between_neighbors": lambda **k: plots.drift(similarity.drift(acts(), reference="previous", draws=5), **k),
    "displacement": lambda **k: plots.displacement(similarity.compare(*two_sides(), draws=5), **k),
    "unit_drift": lambda **k: plots.unit_drift(similarity.unit_drift(acts()), **k),
}


@cache
def drawn(name: str, theme: style.ThemeName = "light") -> plots.Plot:
    figure = PICTURES[name](theme=theme)
    figure.canvas.draw()
    return figure


def test_the_matrix_prints_each_value_and_what_chance_gives() -> None:
    table, figure = matrix(), drawn("similarity_matrix")
    for axes, name, end, sign in zip(
        figure.axes, ("cka", "procrustes", "svcca"), ("high", "low", "high"), "≤≥≤", strict=True
    ):
        shown = [text.get_text().replace("−", "-") for text in axes.texts]
        for row in range(2):
            for column in range(3):
                assert f"{float(table[name][row, column]) + 0:.2f}".replace("-0.00", "0.00") in shown
                bound = float(table[f"{name}_null_{end}"][row, column])
                chance = f"{bound:.2f}" if abs(bound) >= 0.005 else f"{bound:.1g}"  # never "≤ 0.00"
                assert f"{sign} {chance}" in shown


def test_the_matrix_draws_the_measures_that_it_was_given() -> None:
    figure = plots.similarity_matrix(matrix()[["cka", "cka_null_high"]])
    assert [axes.get_title("left") or axes.get_title() for axes in figure.axes] == ["CKA"]
    assert "by CKA, as" in figure.alt


def test_the_split_is_stacked_to_what_no_scaling_mends() -> None:
    table, figure = similarity.drift(acts(), draws=5), drawn("drift")
    left_out = float((table["shift"] + table["scaling"]).max())
    assert f"not drawn: shift and scale,\nup to {left_out:.2f}" in figure.axes[0].get_xlabel()
    tops = [np.asarray(area.get_paths()[0].vertices)[:, 1].max() for area in figure.axes[0].collections[:2]]
    assert tops[0] == pytest.approx(float(table["function"].max()))
    assert tops[1] == pytest.approx(float((table["function"] + table["rotation"]).max()))


def test_dead_units_are_hatched_and_units_like_any_other_are_gray() -> None:
    axes = drawn("unit_drift").axes[0]
    hatched = [c for c in axes.collections if c.get_hatch()]
    assert len(hatched) == 1
    (outline,) = hatched[0].get_paths()  # one shape: each would render the strokes again
    places = [cell.mean(0).tolist() for cell in outline.vertices.reshape(-1, 5, 2)[:, :4]]
    assert sorted(places) == [[0, 3], [1, 3]]  # unit 3 at the first two snapshots
    q = similarity.unit_drift(acts())["correlation_q"]
    shown = np.ma.filled(np.ma.masked_invalid(axes.images[0].get_array()), np.nan)
    assert np.isfinite(shown).sum() == int((q < 0.05).sum())


def test_a_layer_with_itself_has_no_bound() -> None:
    figure = plots.similarity_matrix(similarity.matrix({"layers.0": acts(), "layers.1": acts(8, 1)}, draws=5))
    for axes in figure.axes:
        bounds = {tuple(map(round, text.get_position())) for text in axes.texts if text.get_text()[0] in "≤≥"}
        assert bounds == {(0, 1), (1, 0)}


@pytest.mark.parametrize(("units", "tested"), [(20, False), (21, True)])
def test_units_too_few_for_a_test_are_drawn_and_called_untested(units: int, tested: bool) -> None:
    rng = np.random.default_rng(0)
    few = xr.DataArray(rng.normal(size=(3, 40, units)), dims=("snapshot", "example", "channel"), name="layer")
    few = few.assign_coords(step=("snapshot", [0, 1, 4]))
    (axes, *_) = plots.unit_drift(similarity.unit_drift(few)).axes
    cells = np.ma.filled(np.ma.masked_invalid(axes.images[0].get_array()), np.nan)
    assert np.isnan(cells).any() == tested
    assert (f"Not tested: too few channels ({units})" in axes.get_xlabel()) != tested
