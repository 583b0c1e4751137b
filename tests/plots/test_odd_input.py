"""Pictures of what is not there: one snapshot, one unit, nothing but NaN or 0. Each is drawn without a warning and says so."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PolyCollection
from matplotlib.text import Text

import neural_microscope as nm
from neural_microscope import plots
from neural_microscope.analysis import causal, dynamics, geometry, predictions, selectivity, similarity
from neural_microscope.plots import forms, style

RNG = np.random.default_rng(0)
LABELS = np.arange(40) % 4
LAYER = "layers.0.hook_post"


def acts(units: int = 6, dead: bool = False, axis: str = "unit") -> xr.DataArray:
    values = np.zeros((3, 40, units)) if dead else RNG.normal(size=(3, 40, units)).clip(0)
    coords = {"step": ("snapshot", [0, 1, 4]), "label": ("example", LABELS)}
    return xr.DataArray(values, dims=("snapshot", "example", axis), coords=coords, name=LAYER)


def emptied(table: xr.Dataset, fill: float = np.nan) -> xr.Dataset:
    return table.map(lambda v: xr.full_like(v, fill) if v.dtype.kind == "f" else v, keep_attrs=True)


ODD = {
    "one snapshot": acts().isel(snapshot=[0]),
    "one unit": acts(1),
    "dead": acts(dead=True),
    "channels": acts(axis="channel"),
}
IMAGES = nm.data.load("digits").test.subset(slice(0, 40))
MLP = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(4,)), seed=1)
OF_ACTIVATIONS: dict[str, Callable[[xr.DataArray], plots.Plot]] = {
    "activity": lambda a: plots.activity_over_time({LAYER: dynamics.activity(a)}),
    "histograms": lambda a: plots.histograms_over_time({LAYER: dynamics.histograms(a)}),
    "states": lambda a: plots.unit_states({LAYER: dynamics.activity(a)}),
    "lives": lambda a: plots.unit_lives({LAYER: dynamics.lives(a)}),
    "pca": lambda a: plots.pca_over_time(
        {LAYER: geometry.pca(a, components=min(2, a.shape[2]))},
        {LAYER: geometry.pca(a.isel(snapshot=[0]), components=min(2, a.shape[2]))},
        [0],
    ),
    "dimension": lambda a: plots.dimension_over_time({LAYER: geometry.dimension(a)}),
    "collapse": lambda a: plots.collapse_over_time(geometry.neural_collapse(a, draws=5)),
    "drift": lambda a: plots.drift(similarity.drift(a, components=1)),
    "unit drift": lambda a: plots.unit_drift(similarity.unit_drift(a)),
    "classes": lambda a: plots.selectivity_over_time(selectivity.over_time(a)),
    "means": lambda a: plots.class_means(selectivity.class_means(a[-1]), selectivity.class_means(a[0])),
    "strips": lambda a: plots.quantile_strips(IMAGES.images, selectivity.quantile_examples(a[-1])),
}
EMPTY: dict[str, Callable[[], plots.Plot]] = {
    "effects": lambda: plots.ablation(emptied(causal.ablate_all(MLP, IMAGES, LAYER, draws=5))),
    "dose": lambda: plots.dose_response(emptied(causal.dose_response(MLP, IMAGES, LAYER, 1))),
    "cumulative": lambda: plots.cumulative_ablation(emptied(causal.cumulative_ablation(MLP, IMAGES, LAYER, draws=5))),
    "interactions": lambda: plots.interactions(emptied(causal.interactions(MLP, IMAGES, LAYER))),
    "interactions at 0": lambda: plots.interactions(emptied(causal.interactions(MLP, IMAGES, LAYER), 0)),
    "reliability": lambda: plots.reliability(emptied(predictions.calibration_error(_logits()))),
    "image lives": lambda: plots.image_lives(emptied(predictions.learning_order(_logits())), IMAGES.images),
    "drift": lambda: plots.drift(emptied(similarity.drift(acts(), components=1))),
    "dimension at 0": lambda: plots.dimension_over_time({LAYER: emptied(geometry.dimension(acts()), 0)}),
    "collapse at 0": lambda: plots.collapse_over_time(emptied(geometry.neural_collapse(acts(), draws=5), 0)),
}


def _logits() -> xr.DataArray:
    return acts(4).rename(unit="class")


def words(plot: plots.Plot) -> str:
    return "\n".join([plot.alt, *(text.get_text() for text in plot.findobj(Text) if text.get_visible())])


def checked(plot: plots.Plot) -> str:
    """Draws it (a warning is an error) and gives its words, none of which is an empty number."""
    style.as_svg(plot)
    said = words(plot)
    assert not re.search(r"\b(nan|inf)\b", said, re.IGNORECASE), said
    return said


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", OF_ACTIVATIONS)
def test_odd_activations_are_drawn_and_no_number_is_empty(name: str, odd: str) -> None:
    checked(OF_ACTIVATIONS[name](ODD[odd]))


@pytest.mark.parametrize("name", EMPTY)
def test_tables_of_nothing_are_drawn_and_no_number_is_empty(name: str) -> None:
    checked(EMPTY[name]())


def test_what_is_missing_is_said() -> None:
    assert "not defined" in checked(plots.drift(similarity.drift(acts(dead=True), components=1)))
    assert "No unit is ever active" in checked(OF_ACTIVATIONS["strips"](ODD["dead"]))
    assert "one snapshot" in checked(OF_ACTIVATIONS["states"](ODD["one snapshot"]))
    assert "all silent" in checked(OF_ACTIVATIONS["activity"](ODD["dead"]))


def test_a_lone_point_has_a_mark_and_a_lone_band_a_width() -> None:
    axes = OF_ACTIVATIONS["drift"](ODD["one snapshot"]).axes[1]
    assert all(line.get_marker() == "o" for line in axes.lines if len(line.get_xdata()) == 1)
    assert any(line.get_marker() == "o" for line in axes.lines)
    bands = [band for band in axes.collections if isinstance(band, PolyCollection) and band.get_paths()]
    assert bands
    assert all(band.get_linewidth()[0] >= 1 for band in bands)


def test_a_log_axis_stays_ordinary_where_nothing_lies_above_zero() -> None:
    plot, panels = style.new("narrow", 2, style.Theme.named("light"), columns=2)
    for axes, values in zip(panels, ([0.0, 0.0], [0.0, 5.0]), strict=True):
        axes.plot(values)
        forms.log_axis(axes)
    assert [axes.get_yscale() for axes in plot.axes] == ["linear", "log"]
