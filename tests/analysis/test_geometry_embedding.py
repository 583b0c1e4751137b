"""Layouts against scikit-learn's trustworthiness, planted neighbors and random places."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import xarray as xr
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

import neural_microscope as nm
from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError, MicroscopeError, UnknownName


@pytest.fixture(scope="module")
def digits() -> xr.DataArray:
    images = nm.data.load("digits").train.subset(slice(150))
    pixels = images.images.reshape(150, -1) / 16 + np.random.default_rng(0).uniform(0, 1e-6, (150, 64))  # no ties
    return xr.DataArray(pixels, dims=("example", "unit"), coords={"label": ("example", images.labels)}, name="pixels")


@pytest.fixture(scope="module")
def embedded(digits: xr.DataArray) -> xr.Dataset:
    return geometry.embed(digits, seeds=(0, 5))


def layout(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("seed", "example", "component"))


def test_trustworthiness_is_scikit_learns(digits: xr.DataArray, embedded: xr.Dataset) -> None:
    for seed in range(2):
        expected = trustworthiness(digits.values, embedded["embedding"].values[seed], n_neighbors=10)
        assert float(embedded["trustworthiness"][seed]) == pytest.approx(expected, abs=1e-12)
    places = layout(np.random.default_rng(0).normal(size=(1, 150, 2)))
    judged = geometry.faithfulness(digits, places, k=4)
    assert float(judged["trustworthiness"][0]) == pytest.approx(
        trustworthiness(digits.values, places[0], n_neighbors=4), abs=1e-12
    )


def test_neighbors_kept_and_shared_are_counted_one_by_one(digits: xr.DataArray, embedded: xr.Dataset) -> None:
    def near(x: np.ndarray) -> list[set[int]]:
        return [set(row) for row in NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False)]

    true, a, b = near(digits.values), *(near(e) for e in embedded["embedding"].values)
    kept = np.mean([len(s & t) / 10 for s, t in zip(true, a, strict=True)])
    shared = np.mean([len(s & t) / 10 for s, t in zip(a, b, strict=True)])
    assert float(embedded["knn_preservation"][0]) == pytest.approx(kept)
    assert embedded["agreement"].values[0, 1] == embedded["agreement"].values[1, 0] == pytest.approx(shared)
    assert np.isnan(np.diag(embedded["agreement"])).all()


def test_t_sne_of_digits_beats_random_places_and_repeats_with_its_seed(
    digits: xr.DataArray, embedded: xr.Dataset
) -> None:
    for name in ("trustworthiness", "knn_preservation"):
        assert (embedded[f"{name}_p"] < 0.05).all()
        assert (embedded[name] > embedded[f"{name}_null_high"]).all()
    assert embedded["embedding"].dims == ("seed", "example", "component")
    assert embedded["seed"].values.tolist() == [0, 5]
    again = geometry.embed(digits, seeds=(5,), draws=2)
    np.testing.assert_array_equal(again["embedding"][0], embedded["embedding"][1])
    assert not np.allclose(embedded["embedding"][0], embedded["embedding"][1])


def test_a_turned_copy_of_flat_data_is_faithful_and_random_places_are_at_chance() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(200, 2))
    turned = 3 * flat @ np.linalg.qr(rng.normal(size=(7, 7)))[0][:2] + 1
    x = xr.DataArray(turned, dims=("example", "unit"))
    judged = geometry.faithfulness(x, layout(np.stack([flat, rng.normal(size=(200, 2))])), k=10, draws=60)
    assert judged["trustworthiness"].values[0] == judged["knn_preservation"].values[0] == 1
    assert judged["knn_preservation"].values[1] == pytest.approx(10 / 199, abs=0.02)
    assert judged["trustworthiness"].values[1] == pytest.approx(0.5, abs=0.05)
    for name in ("trustworthiness", "knn_preservation"):
        assert float(judged[f"{name}_p"][1]) > 0.05
    assert judged["agreement_p"].values[0, 1] > 0.05
    assert judged["agreement_null_low"].values[0, 1] < 10 / 199 < judged["agreement_null_high"].values[0, 1]


@pytest.mark.skipif(importlib.util.find_spec("umap") is not None, reason="UMAP is installed here")
def test_without_the_extra_umap_says_how_to_install_it(digits: xr.DataArray) -> None:
    with pytest.raises(MicroscopeError, match=r"pip install neural-microscope\[umap\]"):
        geometry.embed(digits, method="umap")


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="needs the extra umap")
def test_umap_of_digits_beats_random_places(digits: xr.DataArray) -> None:
    found = geometry.embed(digits, method="umap", seeds=(0, 1))
    assert (found["trustworthiness_p"] < 0.05).all()
    assert found["embedding"].shape == (2, 150, 2)


def test_whole_maps_can_be_laid_out() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 40, 3, 2, 2))
    array = xr.DataArray(maps, dims=("snapshot", "example", "channel", "row", "col"))
    found = geometry.embed(array, seeds=(0,), k=5, draws=2)
    assert found["embedding"].shape == (1, 40, 2)


def test_what_can_not_be_laid_out_is_refused(digits: xr.DataArray) -> None:
    with pytest.raises(UnknownName, match="did you mean 't-sne'"):
        geometry.embed(digits, method="tsne")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="it must be 1 to 6"):
        geometry.embed(digits.isel(example=slice(20)))
    with pytest.raises(DataError, match="all examples of pixels are equal"):
        geometry.embed(digits * 0)
    with pytest.raises(DataError, match="150 examples, "):
        geometry.faithfulness(digits, layout(np.zeros((1, 90, 2))))
