"""Pictures of dynamics show what the tables say, in both themes, with words and no text cut off."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from apart import apart
from neural_microscope import plots
from neural_microscope.analysis import dynamics

STEPS = np.array([0, 1, 4, 16, 64])
RNG = np.random.default_rng(0)


def gradients() -> xr.Dataset:
    names = ["layers.0.linear.weight", "layers.0.linear.bias", "output.weight", "output.bias"]
    values = RNG.lognormal(-2, 0.5, (40, 4))
    recorded = {name: (("step", "parameter"), values) for name in ("grad_norm", "update_ratio")}
    return xr.Dataset(recorded, coords={"step": np.arange(1, 400, 10), "parameter": names})


def lives(silent: bool = True) -> xr.Dataset:
    x = RNG.exponential(size=(5, 20, 6))
    if silent:
        x[3:, :, 2] = x[:2, :, 4] = x[:, :, 5] = 0
    coords = {"step": ("snapshot", STEPS)}
    return dynamics.lives(
        xr.DataArray(x, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")
    )


def exponential(count: int) -> xr.DataArray:
    coords = {"step": ("snapshot", STEPS[:count])}
    return xr.DataArray(
        RNG.exponential(size=(count, 20, 6)), dims=("snapshot", "example", "unit"), coords=coords, name="layer"
    )


def by_class(counts: np.ndarray | None = None) -> xr.Dataset:
    accuracy = np.linspace(0, 1, 5)[:, None] * np.linspace(0.7, 1, 10)
    log = xr.Dataset(
        {"test_accuracy_by_class": (("snapshot", "class"), accuracy)}, coords={"step": ("snapshot", STEPS)}
    )
    return dynamics.learning_by_class(log, counts=counts)


def spectra() -> xr.Dataset:
    states = [{"a.weight": k * RNG.normal(size=(4, 9)), "b.weight": RNG.normal(size=(12, 9))} for k in range(1, 6)]
    return dynamics.weight_spectra(states, STEPS.tolist(), draws=10)


PICTURES: dict[str, Callable[..., plots.Plot]] = {
    "gradient_flow": lambda **k: plots.gradient_flow(dynamics.gradient_flow(gradients()), **k),
    "weight_spectra": lambda **k: plots.weight_spectra(spectra(), **k),
    "unit_lives": lambda **k: plots.unit_lives(
        {"layers.0.hook_post": lives(), "layers.1.hook_post": lives(False)}, **k
    ),
    "class_learning": lambda **k: plots.class_learning(by_class(np.full(10, 50)), **k),
    "class_learning without counts": lambda **k: plots.class_learning(by_class(), **k),
}


def test_the_spectrum_of_the_shuffled_entries_lies_behind_the_last_snapshots() -> None:
    table = spectra()
    upper = plots.weight_spectra(table).axes[0]
    np.testing.assert_array_equal(upper.lines[-1].get_ydata(), table["singular_value"][-1, 0, :4])
    band = upper.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == float(table["singular_value_null_high"][0].max())


def test_the_picture_of_lives_leaves_out_units_that_always_fire() -> None:
    figure = PICTURES["unit_lives"]()
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["5", "2", "4"]
    assert "no unit was ever silent" in [text.get_text() for text in figure.axes[1].texts]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["above 0 for some image", "silent"]


def test_the_rule_of_thumb_is_drawn_and_named_as_one() -> None:
    figure = PICTURES["gradient_flow"]()
    assert any(np.allclose(line.get_ydata(), 1e-3) for line in figure.axes[2].lines)
    assert "rule of thumb, not a null" in figure.alt


@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("decades", [0.5, 1, 2, 4, 6, 9])
def test_the_ticks_of_small_panels_lie_apart_and_are_some(decades: float, narrow: bool) -> None:
    flow = dynamics.gradient_flow(gradients())
    wide = flow.assign(
        {name: 0.02 * flow[name] ** 0 * 10 ** (decades * flow[name].bin / flow.sizes["bin"]) for name in flow.data_vars}
    )
    figure = plots.gradient_flow(wide.assign_attrs(flow.attrs), narrow=narrow)
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert 1 <= sum(low <= tick <= high for tick in axes.get_yticks()) <= 4
        assert apart(axes.yaxis)


@pytest.mark.filterwarnings("error:constrained_layout")
@pytest.mark.parametrize("narrow", [False, True])
def test_each_of_twenty_layers_has_a_panel_that_can_be_read(narrow: bool) -> None:
    layers = {f"layers.{n}": dynamics.activity(exponential(5)) for n in range(20)}
    plot = plots.unit_states(layers, narrow=narrow)
    plot.draw_without_rendering()
    inches = [axes.get_window_extent().width / plot.dpi for axes in plot.axes]
    assert (len(inches), min(inches) > 0.7) == (20, True)


@pytest.mark.parametrize(
    ("count", "axis"), [(2, "2 snapshots; lines only join them"), (4, "optimizer step (0: untrained)")]
)
def test_only_two_snapshots_stand_side_by_side(count: int, axis: str) -> None:
    table = dynamics.activity(exponential(count))
    assert plots.unit_states({"layers.0": table}).axes[0].get_xlabel() == axis
