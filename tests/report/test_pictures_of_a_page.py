"""Pictures of a page speak of the layer's own units, and have what their claims compare with."""

from __future__ import annotations

import re

import numpy as np
import pytest
import xarray as xr

from neural_microscope.analysis.look import FirstLook
from neural_microscope.measure import MEASURES
from neural_microscope.report.drawing import _given, draw


@pytest.mark.parametrize(("axis", "other"), [("unit", "channel"), ("channel", "unit")])
def test_a_caption_calls_a_layers_units_by_their_name(axis: str, other: str) -> None:
    measure = MEASURES["similarity.unit_drift"]
    coords = {"step": ("snapshot", [0, 1, 4])}
    acts = xr.DataArray(
        np.random.default_rng(0).normal(size=(3, 40, 6)),
        dims=("snapshot", "example", axis),
        coords=coords,
        name="layer",
    )
    drawn = draw(measure, measure.pictures[0], (measure.function(acts),), axis=axis)
    (caption,) = re.findall("<figcaption>(.*?)</figcaption>", drawn)
    assert (f"{axis}s" in caption, other in caption) == (True, False)


def test_purity_is_drawn_beside_that_of_untrained_networks(looks: list[FirstLook]) -> None:
    measure, look = MEASURES["geometry.clusters"], looks[0]
    given = _given(measure, measure.pictures[0], look)
    assert isinstance(given, tuple)
    for layer in look.layers:
        xr.testing.assert_identical(given[1][layer.hook_point], layer["controls.untrained_networks"])
    assert "that of untrained ones" in draw(measure, measure.pictures[0], given)
