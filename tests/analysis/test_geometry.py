"""PCA against scikit-learn, planted low rank, and chance."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.decomposition import PCA

from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError


def acts(values: np.ndarray, labels: np.ndarray | None = None) -> xr.DataArray:
    coords = {} if labels is None else {"label": ("example", labels)}
    return xr.DataArray(
        values, dims=("snapshot", "example", "unit")[-values.ndim :], coords=coords, name="layers.0.hook_post"
    )


def test_pca_is_scikit_learns() -> None:
    x = np.random.default_rng(0).normal(size=(200, 12)) @ np.random.default_rng(1).normal(size=(12, 12))
    ours, theirs = geometry.pca(acts(x), 3), PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(ours["explained"], theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(ours["direction"]), np.abs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(np.abs(ours["score"][0]), np.abs(theirs.transform(x)), atol=1e-8)


def test_the_largest_loading_is_positive() -> None:
    result = geometry.pca(acts(np.random.default_rng(0).normal(size=(60, 5))), 5)
    for direction in result["direction"].values:
        assert direction[np.abs(direction).argmax()] > 0


def test_planted_rank_is_found_above_chance_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    loadings = np.array([[2.0, 2, 2, 2, 2, 2], [1.5, -1.5, 1.5, -1.5, 1.5, -1.5]])
    planted = rng.normal(size=(2000, 2)) @ loadings + 0.1 * rng.normal(size=(2000, 6))
    result = geometry.pca(acts(planted), 3)
    assert (result["explained"] > result["explained_by_chance"]).values.tolist() == [True, True, False]
    noise = geometry.pca(acts(rng.normal(size=(2000, 6))), 1)
    assert float(noise["explained"][0]) < 1.1 * float(noise["explained_by_chance"][0])


def test_all_snapshots_are_projected_on_the_basis_of_one() -> None:
    x = np.random.default_rng(0).normal(size=(3, 50, 4))
    result = geometry.pca(acts(x), 2, fit_at=1)
    centre = x[1].mean(0)
    np.testing.assert_allclose(result["score"][2], (x[2] - centre) @ result["direction"].values.T)
    np.testing.assert_allclose(result["score"][1].mean("example"), 0, atol=1e-12)


def test_between_classes_is_one_for_points_and_small_for_nothing() -> None:
    labels = np.arange(500) % 10
    points = np.random.default_rng(0).normal(size=(10, 3))[labels]
    assert geometry.between_classes(geometry.pca(acts(points, labels)))[0] == pytest.approx(1)
    noise = np.random.default_rng(1).normal(size=(500, 3))
    assert geometry.between_classes(geometry.pca(acts(noise, labels)))[0] == pytest.approx(9 / 499, abs=0.02)


def test_constant_activations_have_no_shares() -> None:
    result = geometry.pca(acts(np.ones((20, 3)), np.arange(20) % 2))
    assert np.isnan(result["explained"]).all()
    assert np.isnan(geometry.between_classes(result)).all()


def test_what_can_not_be_fitted_is_refused() -> None:
    with pytest.raises(DataError, match="1 to 3"):
        geometry.pca(acts(np.ones((5, 3))), 4)
    with pytest.raises(DataError, match="diverged"):
        geometry.pca(acts(np.full((5, 3), np.nan)))
    with pytest.raises(DataError, match="unit or channel"):
        geometry.pca(xr.DataArray(np.ones((5, 3)), dims=("example", "class")))
