"""The principal components of MNIST's pixels, against published figures and a plain computation in float64 (T11)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
from neural_microscope.analysis import geometry

pytestmark = pytest.mark.mnist

FIRST_TWENTY = (
    "9.705 7.096 6.169 5.389 4.869 4.312 3.272 2.884 2.762 2.357 "
    "2.109 2.023 1.716 1.692 1.579 1.483 1.325 1.277 1.187 1.153"
)
"""Percent of the variance of the 60,000 training images."""


@pytest.fixture(scope="module")
def pixels(mnist_folder: Path) -> xr.Dataset:
    images = nm.data.load("mnist", folder=mnist_folder).train.images.reshape(-1, 784)

    def batches() -> Iterator[xr.DataArray]:
        for start in range(0, len(images), 10_000):
            yield xr.DataArray(images[start : start + 10_000] / 255, dims=("example", "unit"), name="input")

    return geometry.pca_streaming(batches(), components=784, draws=1)


def test_the_first_twenty_components_explain_the_published_shares(pixels: xr.Dataset) -> None:
    shares = 100 * pixels["explained"].values
    assert [f"{share:.3f}" for share in shares[:20]] == FIRST_TWENTY.split()
    assert round(shares[:20].sum(), 2) == 64.36


def test_44_87_154_and_331_components_hold_80_90_95_and_99_percent(pixels: xr.Dataset) -> None:
    held = np.cumsum(pixels["explained"].values)
    assert [1 + int(np.searchsorted(held, share)) for share in (0.8, 0.9, 0.95, 0.99)] == [44, 87, 154, 331]


def test_total_variance_and_dimensions_of_the_pixels(pixels: xr.Dataset) -> None:
    assert float(pixels["total_variance"]) == pytest.approx(52.7259, abs=1e-3)
    part = pixels["explained"].values
    part = part[part > 1e-12]
    assert 1 / (part**2).sum() == pytest.approx(30.694, abs=1e-3)
    assert np.exp(-(part * np.log(part)).sum()) == pytest.approx(69.30, abs=0.01)
