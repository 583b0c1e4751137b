"""Dimensions against closed forms, the published formula written out, and what shuffled units fill."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import cdist

from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError, UnknownName


def acts(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("snapshot", "example", "unit")[-values.ndim :], name="layers.0.hook_post")


def read(values: np.ndarray, name: str) -> float:
    return float(geometry.dimension(acts(values), draws=0)[name][0])


def exact(spectrum: list[float], n: int = 60) -> np.ndarray:
    """Examples whose covariance has exactly this spectrum."""
    x = np.random.default_rng(0).normal(size=(n, len(spectrum)))
    x = np.linalg.qr(x - x.mean(0))[0]
    return (x - x.mean(0)) * np.sqrt(spectrum)


def test_equal_eigenvalues_count_themselves() -> None:
    x = exact([2.0, 2, 2, 2, 0, 0])
    for name in ("participation_ratio", "effective_rank", "components_90"):
        assert read(x, name) == pytest.approx(4, abs=1e-9)


def test_the_formulas_on_a_known_spectrum() -> None:
    part = np.array([0.5, 0.3, 0.15, 0.05])
    x = exact(part.tolist())
    assert read(x, "participation_ratio") == pytest.approx(1 / (part**2).sum())
    assert read(x, "effective_rank") == pytest.approx(np.exp(-(part * np.log(part)).sum()))
    assert read(x, "components_90") == 3
    assert read(exact([0.8, 0.1, 0.1]), "components_90") == 2  # exactly 90%


def test_the_participation_ratio_of_the_planted_rank_and_of_isotropic_noise() -> None:
    rng = np.random.default_rng(0)
    planted = np.pad(rng.normal(size=(20_000, 3)) * (5, 3, 2), ((0, 0), (0, 61))) + 0.1 * rng.normal(size=(20_000, 64))
    table = geometry.dimension(acts(planted), two_nn_at=(), draws=0)
    assert float(table["participation_ratio"][0]) == pytest.approx(2.066, rel=0.02)
    noise = geometry.dimension(acts(rng.normal(size=(50_000, 10))), two_nn_at=(), draws=0)
    assert float(noise["participation_ratio"][0]) == pytest.approx(10, rel=1e-3)


@pytest.mark.parametrize(("d", "read_here"), [(2, 1.94), (5, 4.67), (10, 8.79)])
def test_two_nn_of_a_uniform_cube_is_that_of_its_authors_with_its_known_bias(d: int, read_here: float) -> None:
    cube = np.random.default_rng(d).uniform(size=(5000, d))
    turned = cube @ np.linalg.qr(np.random.default_rng(0).normal(size=(12, d)))[0].T
    assert read(turned, "two_nn") == pytest.approx(read_here, abs=0.06 * d)


def test_two_nn_is_the_fit_written_out() -> None:
    x = np.random.default_rng(0).normal(size=(150, 4))
    x = np.concatenate([x, x[:20]])  # duplicates do not count
    near = np.sort(cdist(x[:150], x[:150]), axis=1)
    mu = np.sort(near[:, 2] / near[:, 1])
    share = np.arange(1, 151) / 150
    across, up = np.log(mu[:135]), -np.log(1 - share[:135])
    expected = np.linalg.lstsq(across[:, None], up, rcond=None)[0][0]
    assert read(x, "two_nn") == pytest.approx(expected, rel=1e-9)


def test_two_nn_keeps_its_digits_where_neighbors_are_very_close() -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    assert read(1e-7 * x + 1, "two_nn") == pytest.approx(read(x, "two_nn"), rel=1e-3)


def test_units_with_something_in_common_fill_fewer_dimensions_than_shuffled_and_independent_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 10)) + 0.1 * rng.normal(size=(300, 10))
    own = rng.normal(size=(300, 10))
    table = geometry.dimension(acts(np.stack([own, shared])), draws=40)
    for name in ("participation_ratio", "effective_rank", "components_90", "two_nn"):
        low, p = table[f"{name}_null_low"].values, table[f"{name}_p"].values
        assert p[0] > 0.05
        assert p[1] < 0.05
        assert table[name].values[1] < low[1]


def test_nulls_and_two_nn_are_taken_where_they_are_asked_for() -> None:
    x = np.random.default_rng(0).normal(size=(4, 40, 3))
    table = geometry.dimension(acts(x), two_nn_at=(1, -1), null_at=(2,), draws=5)
    assert np.isfinite(table["two_nn"]).values.tolist() == [False, True, False, True]
    assert np.isfinite(table["effective_rank_null_high"]).values.tolist() == [False, False, True, False]
    assert np.isnan(table["two_nn_p"]).all()
    with pytest.raises(UnknownName, match="no snapshot at step 4; there are: 0, 1, 2, 3"):
        geometry.dimension(acts(x), null_at=(4,))


def test_a_rotation_a_shift_and_a_scale_change_no_dimension() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 5)) * (3, 2, 1, 1, 0.5)
    moved = 7 * x @ np.linalg.qr(rng.normal(size=(5, 5)))[0] + 3
    for name in ("participation_ratio", "effective_rank", "components_90", "two_nn"):
        assert read(moved, name) == pytest.approx(read(x, name), rel=1e-9)


def test_what_fills_nothing_has_no_dimension() -> None:
    assert np.isnan(
        [float(v[0]) for v in geometry.dimension(acts(np.ones((20, 3))))[["two_nn", "effective_rank"]].values()]
    ).all()
    two_points = np.repeat([[0.0, 0], [1, 1]], 10, axis=0)
    assert np.isnan(read(two_points, "two_nn"))
    assert read(two_points, "participation_ratio") == pytest.approx(1)
    assert np.isnan(read(np.eye(6), "two_nn"))  # a simplex: all distances are equal
    with pytest.raises(DataError, match="diverged"):
        geometry.dimension(acts(np.full((4, 2), np.inf)))


def test_whole_maps_are_points_in_the_space_of_all_their_places() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 30, 2, 3, 3))
    array = xr.DataArray(maps, dims=("snapshot", "example", "channel", "row", "col"))
    flat = geometry.dimension(acts(maps.reshape(2, 30, -1)), draws=3)
    xr.testing.assert_allclose(geometry.dimension(array, draws=3), flat)
