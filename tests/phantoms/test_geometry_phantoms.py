"""Geometry makes its claims where something is planted, also where its phantoms' own truth is another."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from neural_microscope.analysis.geometry import dimension, neural_collapse
from neural_microscope.analysis.geometry.clouds import CLASSES, rank_three
from neural_microscope.analysis.geometry.collapse import _corners


def test_a_cloud_of_low_dimension_is_claimed_by_its_neighbors() -> None:
    found = dimension(rank_three(0, 100), two_nn_at=(0,), draws=39)
    assert float(found["two_nn_p"][0]) < 0.05


@pytest.mark.parametrize("measure", ["nc3", "nc4"])
def test_an_output_that_mirrors_the_classes_is_claimed(measure: str) -> None:
    acts = _corners(0, True)
    means = np.stack([acts.values[acts["label"].values == c].mean(0) for c in range(CLASSES)])
    centered = means - means.mean(0)
    weights = xr.DataArray(centered, dims=("class", "unit"))
    bias = xr.DataArray(-centered @ means.mean(0), dims="class")
    found = neural_collapse(acts, weights, bias, draws=199)
    assert float(found[f"{measure}_p"][0]) < 0.05


def test_the_planted_rank_has_the_variances_it_says() -> None:
    values = np.linalg.eigvalsh(np.cov(rank_three(3).values.T))[::-1]
    np.testing.assert_allclose(values[:3], (25.01, 9.01, 4.01), rtol=0.01)
    assert values[3] < 0.02
