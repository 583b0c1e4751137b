"""PCA against scikit-learn, planted low rank, and chance."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA

from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError, UnknownName


def acts(values: np.ndarray, labels: np.ndarray | None = None) -> xr.DataArray:
    coords = {} if labels is None else {"label": ("example", labels)}
    return xr.DataArray(
        values, dims=("snapshot", "example", "unit")[-values.ndim :], coords=coords, name="layers.0.hook_post"
    )


def test_pca_is_scikit_learns() -> None:
    x = np.random.default_rng(0).normal(size=(200, 12)) @ np.random.default_rng(1).normal(size=(12, 12))
    ours, theirs = geometry.pca(acts(x), components=3), PCA(3, svd_solver="full").fit(x)
    np.testing.assert_allclose(ours["explained"], theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(ours["direction"]), np.abs(theirs.components_), atol=1e-8)
    np.testing.assert_allclose(np.abs(ours["score"][0]), np.abs(theirs.transform(x)), atol=1e-8)


def test_the_largest_loading_is_positive() -> None:
    result = geometry.pca(acts(np.random.default_rng(0).normal(size=(60, 5))), components=5)
    for direction in result["direction"].values:
        assert direction[np.abs(direction).argmax()] > 0


def test_planted_rank_is_found_above_chance_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    loadings = np.array([[2.0, 2, 2, 2, 2, 2], [1.5, -1.5, 1.5, -1.5, 1.5, -1.5]])
    planted = rng.normal(size=(2000, 2)) @ loadings + 0.1 * rng.normal(size=(2000, 6))
    result = geometry.pca(acts(planted), components=3)
    assert (result["explained"] > result["explained_by_chance"]).values.tolist() == [True, True, False]
    noise = geometry.pca(acts(rng.normal(size=(2000, 6))), components=1)
    assert float(noise["explained"][0]) < 1.1 * float(noise["explained_by_chance"][0])


def test_all_snapshots_are_projected_on_the_basis_of_one() -> None:
    x = np.random.default_rng(0).normal(size=(3, 50, 4))
    result = geometry.pca(acts(x), components=2, fit_at=1)
    center = x[1].mean(0)
    np.testing.assert_allclose(result["score"][2], (x[2] - center) @ result["direction"].values.T)
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
        geometry.pca(acts(np.ones((5, 3))), components=4)
    with pytest.raises(DataError, match="diverged"):
        geometry.pca(acts(np.full((5, 3), np.nan)))
    with pytest.raises(DataError, match="unit or channel"):
        geometry.pca(xr.DataArray(np.ones((5, 3)), dims=("example", "class")))
    with pytest.raises(UnknownName, match="no snapshot at step 7; there are: 0, 1"):
        geometry.pca(acts(np.ones((2, 5, 3))), fit_at=7)
    with pytest.raises(UnknownName, match="aligned"):
        geometry.pca(acts(np.ones((5, 3))), basis="algined")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="label"):
        geometry.between_classes(geometry.pca(acts(np.eye(5))))


def planted(n: int = 20_000, seed: int = 0) -> np.ndarray:
    """Rank 3 with standard deviations 5, 3, 2 and noise of 0.1, turned into 20 units."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    return (rng.normal(size=(n, 3)) * (5, 3, 2)) @ turn[:3] + 0.1 * rng.normal(size=(n, 20))


def test_a_planted_rank_of_three_is_read_off() -> None:
    x = planted()
    result = geometry.pca(acts(x), components=6)
    assert int(result["above_chance"]) == 3
    eigenvalues = result["explained"].values * x.var(0, ddof=1).sum()
    np.testing.assert_allclose(eigenvalues[:3], (25.01, 9.01, 4.01), rtol=0.02)
    assert eigenvalues[3] == pytest.approx(0.01, rel=0.1)
    assert np.isclose(result["eigen_gap"][0], eigenvalues[0] / eigenvalues[1])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0][:3]
    cosines = np.linalg.svd(turn @ result["direction"].values[:3].T)[1]
    assert (cosines > 0.99999).all()


def test_parallel_analysis_is_the_shuffle_written_out() -> None:
    x = np.random.default_rng(3).exponential(size=(80, 5)) * (1, 2, 3, 4, 5)
    result = geometry.pca(acts(x), components=5, draws=2000)
    rng, drawn = np.random.default_rng(9), []
    for _ in range(2000):
        fake = np.stack([rng.permutation(column) for column in x.T], 1)
        values = np.linalg.svd(fake - fake.mean(0), compute_uv=False) ** 2
        drawn.append(values / values.sum())
    np.testing.assert_allclose(result["explained_by_chance"], np.percentile(drawn, 95, axis=0), rtol=0.02)
    np.testing.assert_allclose(result["explained_null_low"], np.percentile(drawn, 2.5, axis=0), rtol=0.02)


def test_the_pooled_basis_is_that_of_all_snapshots_in_one_table() -> None:
    x = np.random.default_rng(0).normal(size=(3, 50, 4)) * (3, 2, 1, 0.5) + np.arange(3)[:, None, None]
    result = geometry.pca(acts(x), components=2, basis="pooled")
    theirs = PCA(2, svd_solver="full").fit(x.reshape(-1, 4))
    np.testing.assert_allclose(result["explained"], theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(result["score"][1]), np.abs(theirs.transform(x[1])), atol=1e-10)


def test_an_aligned_basis_follows_a_turning_cloud_so_that_its_scores_stand_still() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.normal(size=(300, 3)) * (3, 2.9, 1)  # the first two would rotate freely
    turns = [np.linalg.qr(rng.normal(size=(6, 6)))[0][:3] for _ in range(4)]
    x = np.stack([cloud @ turn + 5 * i for i, turn in enumerate(turns)])
    result = geometry.pca(acts(x), components=3, basis="aligned", draws=0)
    for now in range(4):
        np.testing.assert_allclose(result["score"][now], result["score"][0], atol=1e-9)
        directions = result["direction"].values[now]
        np.testing.assert_allclose(directions @ directions.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose((x[now] - x[now].mean(0)) @ directions.T, result["score"][now], atol=1e-9)
    assert result["explained"].dims == ("snapshot", "component")


def test_the_alignment_is_scipys_orthogonal_procrustes() -> None:
    x = np.random.default_rng(1).normal(size=(2, 40, 5))
    result = geometry.pca(acts(x), components=3, basis="aligned", draws=0)
    alone = geometry.pca(acts(x[1]), components=3, draws=0)["score"].values[0]
    turn, _ = orthogonal_procrustes(alone, result["score"].values[0])
    np.testing.assert_allclose(result["score"][1], alone @ turn, atol=1e-10)


def test_nearly_equal_eigenvalues_are_warned_of_and_distinct_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    scores = np.linalg.qr(rng.normal(size=(100, 4)) - 0)[0]
    scores = np.linalg.qr(scores - scores.mean(0))[0]
    close = geometry.pca(acts(scores * np.sqrt((4, 2.1, 2, 1))), components=3, draws=0)
    np.testing.assert_allclose(close["eigen_gap"], (4 / 2.1, 2.1 / 2, 2), rtol=1e-9)
    assert "components 2 and 3" in close.attrs["warning"]
    apart = geometry.pca(acts(scores * np.sqrt((8, 4, 2, 1))), components=4, draws=0)
    assert "warning" not in apart.attrs
    assert np.isnan(apart["eigen_gap"][3])
    assert np.isnan(apart["explained_p"]).all()


def test_a_component_before_nothing_has_an_infinite_gap() -> None:
    line = np.linspace(-1, 1, 30)[:, None] * np.array([1.0, 2, 3])
    gap = geometry.pca(acts(line), components=3)["eigen_gap"].values
    assert gap[0] == np.inf
    assert np.isnan(gap[1:]).all()


def test_whole_maps_have_directions_that_are_maps() -> None:
    maps = np.random.default_rng(0).normal(size=(2, 12, 3, 4, 4))
    array = xr.DataArray(maps, dims=("snapshot", "example", "channel", "row", "col"))
    result = geometry.pca(array, components=4)
    assert result["direction"].dims == ("component", "channel", "row", "col")
    theirs = PCA(4, svd_solver="full").fit(maps[1].reshape(12, -1))
    np.testing.assert_allclose(result["explained"], theirs.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(result["score"][1]), np.abs(theirs.transform(maps[1].reshape(12, -1))))


@pytest.mark.parametrize("size", [7, 100, 400])
def test_streamed_components_are_those_in_memory_whatever_the_batches(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(400, 12)) @ np.random.default_rng(1).normal(size=(12, 12)) + 1000
    whole = geometry.pca(acts(x), components=5)
    parts = geometry.pca_streaming((acts(x[i : i + size]) for i in range(0, 400, size)), components=5)
    np.testing.assert_allclose(parts["explained"], whole["explained"], rtol=1e-10)
    np.testing.assert_allclose(parts["direction"], whole["direction"], atol=1e-10)
    np.testing.assert_allclose(parts["mean"], x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(parts["eigen_gap"], whole["eigen_gap"], rtol=1e-9)
    assert float(parts["total_variance"]) == pytest.approx(x.var(0, ddof=1).sum(), rel=1e-10)
    assert parts.attrs["n_examples"] == 400


@pytest.mark.parametrize("n", [60, 1000])
def test_the_streamed_null_is_about_that_of_the_shuffle(n: int) -> None:
    x = np.random.default_rng(0).exponential(size=(n, 80)) * np.linspace(1, 3, 80)
    shuffled = geometry.pca(acts(x), components=10, draws=60)
    drawn = geometry.pca_streaming([acts(x)], components=10, draws=60)
    for end in ("explained_null_low", "explained_null_high"):
        np.testing.assert_allclose(drawn[end], shuffled[end], rtol=0.06)


def test_batches_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(DataError, match="a batch has 4 units, those before 3"):
        geometry.pca_streaming([acts(np.eye(3)), acts(np.eye(4))])
    with pytest.raises(DataError, match="fewer than two examples"):
        geometry.pca_streaming([])
    with pytest.raises(DataError, match="it must be 1 to 3"):
        geometry.pca_streaming([acts(np.eye(3))], components=4)
    assert np.isnan(geometry.pca_streaming([acts(np.ones((9, 3)))])["explained"]).all()
