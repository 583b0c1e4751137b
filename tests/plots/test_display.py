"""Every form draws null, interval and value each at its own place; trained and untrained stand under their own names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_rgba

from neural_microscope import plots
from neural_microscope.plots import forms, style

THEME = style.Theme.named("light")
ENDS = {"": 5.0, "_low": 3.0, "_high": 8.0, "_null_low": -2.0, "_null_high": 1.0}
TABLE = xr.Dataset(
    {f"x{end}": ("unit", value + np.array([0.3, 0.2, 0.1])) for end, value in ENDS.items()},
).assign_coords(step=("unit", [0, 1, 4]))
FORMS: dict[str, Callable[[Axes], object]] = {
    "curve": lambda axes: forms.curve(axes, range(3), TABLE, "x"),
    "curve with an area": lambda axes: forms.curve(axes, range(3), TABLE, "x", area=True),
    "over steps": lambda axes: forms.over_steps(axes, [("it", TABLE, "x")]),
    "units": lambda axes: forms.units(axes, TABLE, "x"),
    "rows": lambda axes: forms.rows(axes, TABLE, "x", "abc"),
}


def span(found: list, column: int) -> tuple[float, float]:
    ends = np.concatenate([path.vertices[:, column] for artist in found for path in artist.get_paths()])
    return float(ends.min()), float(ends.max())


@pytest.mark.parametrize("name", FORMS)
def test_null_interval_and_value_are_drawn_each_at_its_own_place(name: str) -> None:
    _, (axes,) = style.new("middle", 3, THEME)
    FORMS[name](axes)
    column = 0 if name == "rows" else 1
    filled = [c for c in axes.collections if isinstance(c, PolyCollection)]
    bands = [c for c in filled if np.allclose(c.get_facecolor()[0][:3], to_rgba(THEME.null)[:3])]
    others = [c for c in filled if c not in bands]
    strokes = [c for c in axes.collections if isinstance(c, PathCollection | LineCollection)]
    assert span(bands, column) == pytest.approx((-1.9, 1.3))
    assert span(others or strokes, column) == pytest.approx((3.1, 8.3))
    lines = [np.asarray(line.get_data()[column], float) for line in axes.lines if len(line.get_xdata()) == 3]
    assert any(np.allclose(line, TABLE["x"]) for line in lines)


def means(level: float) -> xr.DataArray:
    return xr.DataArray([[1.0, level], [level, 1.0]], dims=("class", "unit"))


def test_trained_and_untrained_stand_under_their_own_names() -> None:
    figure = plots.class_means(means(0.2), means(0.7))
    for axes, title, level in zip(figure.axes, ("Trained", "Untrained"), (0.2, 0.7), strict=False):
        assert axes.get_title("left") == title
        np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), [[1, level], [level, 1]])
    figure = plots.weights(np.ones((1, 24, 24)), -np.ones((1, 24, 24)))
    for axes, title, color in zip(
        figure.axes, ("Trained", "The same units untrained"), (THEME.positive, THEME.negative), strict=False
    ):
        assert axes.get_title("left") == title
        np.testing.assert_allclose(axes.images[0].get_array()[0, 0], to_rgba(color), atol=0.01)
