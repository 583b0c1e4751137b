"""The picture of probes draws what it was given, with its null, in both themes."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgba

from neural_microscope import plots
from neural_microscope.analysis import probes
from neural_microscope.plots import style


@pytest.fixture(scope="module")
def table() -> xr.Dataset:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    values = np.stack([s * np.eye(6)[labels] + rng.normal(size=(120, 6)) for s in (0, 1, 3)])
    coords = {"step": ("snapshot", [0, 10, 100]), "label": ("example", labels)}
    acts = xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords)
    return probes.probe_layers({"layers.0.hook_post": acts, "layers.1.hook_post": acts}, controls=1, draws=39)


def test_layers_share_one_scale_which_is_written_once(table: xr.Dataset) -> None:
    first, second = plots.probes(table, theme="light").axes
    assert first.get_ylim() == second.get_ylim()
    assert [axes.yaxis.get_tick_params()["labelleft"] for axes in (first, second)] == [True, False]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_each_layer_has_its_accuracy_its_null_band_and_the_untrained_network(
    table: xr.Dataset, theme: style.ThemeName
) -> None:
    figure = plots.probes(table, theme=theme)
    theme = style.Theme.named(theme)
    assert len(figure.axes) == 2
    for axes, number in zip(figure.axes, range(2), strict=True):
        drawn = [np.asarray(line.get_ydata(), float) for line in axes.lines]
        accuracy = 100 * table["accuracy"].values[number]
        assert any(y.shape == accuracy.shape and np.allclose(y, accuracy) for y in drawn)
        assert any(np.allclose(y, accuracy[0]) and len(y) == 2 for y in drawn)
        band = axes.collections[0]
        assert tuple(band.get_facecolor()[0][:3]) == to_rgba(theme.null)[:3]
        heights = band.get_paths()[0].vertices[:, 1]
        assert heights.min() == pytest.approx(100 * table["accuracy_null_low"].values[number].min())
    assert "shuffled labels" in figure.alt
    figure.canvas.draw()
