"""Silhouettes and neighbors against scikit-learn, planted clusters, and shuffled labels."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

import neural_microscope as nm
from neural_microscope.analysis import geometry
from neural_microscope.errors import DataError
from neural_microscope.statistics import halves


def acts(values: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    dims = ("snapshot", "example", "unit")[-values.ndim :]
    return xr.DataArray(values, dims=dims, coords={"label": ("example", labels)}, name="layers.0.hook_post")


@pytest.fixture(scope="module")
def digits() -> xr.DataArray:
    """The pixels of 1,200 digits, more than one block of distances."""
    images = nm.data.load("digits").train.subset(slice(1200))
    pixels = images.images.reshape(1200, -1)[:, 10:40] / 16 + np.random.default_rng(0).uniform(0, 1e-6, (1200, 30))
    return acts(pixels, images.labels)


def test_silhouette_and_purity_are_scikit_learns(digits: xr.DataArray) -> None:
    found = geometry.clusters(digits, k=7, draws=3)
    labels = digits["label"].values
    assert float(found["silhouette"][0]) == pytest.approx(silhouette_score(digits.values, labels), abs=1e-9)
    near = NearestNeighbors(n_neighbors=7).fit(digits.values).kneighbors(return_distance=False)
    assert float(found["purity"][0]) == pytest.approx((labels[near] == labels[:, None]).mean(), abs=1e-12)


def test_standardized_units_are_scikit_learns_on_z_scores(digits: xr.DataArray) -> None:
    x = digits.values * np.linspace(1, 50, 30)
    x[:, 4] = 3.0  # a constant unit counts for nothing
    spread = x.std(0)
    z = (x - x.mean(0)) / np.where(spread > 0, spread, 1)
    z[:, 4] = 0
    labels = digits["label"].values
    found = geometry.clusters(acts(x, labels), standardize=True, draws=2)
    assert float(found["silhouette"][0]) == pytest.approx(silhouette_score(z, labels), abs=1e-9)


def test_digits_beat_shuffled_labels_and_shuffled_labels_do_not(digits: xr.DataArray) -> None:
    few = digits.isel(example=slice(300))
    shuffled = few.assign_coords(label=("example", np.random.default_rng(3).permutation(few["label"].values)))
    real, none = (geometry.clusters(a, draws=40) for a in (few, shuffled))
    for name in ("silhouette", "purity"):
        assert float(real[f"{name}_p"][0]) < 0.05
        assert float(none[f"{name}_p"][0]) > 0.05
        assert real[f"{name}_null_high"] < real[f"{name}_low"]
        assert real[f"{name}_low"] < real[name] < real[f"{name}_high"]


def test_the_null_is_the_silhouette_of_shuffled_labels(digits: xr.DataArray) -> None:
    few = digits.isel(example=slice(200))
    rng = np.random.default_rng(5)
    drawn = [silhouette_score(few.values, rng.permutation(few["label"].values)) for _ in range(200)]
    found = geometry.clusters(few, draws=200)
    assert float(found["silhouette_null_low"][0]) == pytest.approx(np.percentile(drawn, 2.5), abs=0.004)
    assert float(found["silhouette_null_high"][0]) == pytest.approx(np.percentile(drawn, 97.5), abs=0.004)


def test_two_tight_far_clusters_have_the_closed_form() -> None:
    """Pairs at distance 1 within, clusters 10 apart on a line: a = 1, b = mean of the distances across."""
    found = geometry.clusters(acts(np.array([[0.0], [1], [11], [12]]), np.array([0, 0, 1, 1])), k=1, draws=0)
    outer, inner = 1 - 1 / 11.5, 1 - 1 / 10.5
    assert float(found["silhouette"][0]) == pytest.approx((outer + inner) / 2)
    assert float(found["purity"][0]) == 1


def test_an_image_alone_in_its_class_counts_zero_as_in_scikit_learn() -> None:
    x = np.random.default_rng(0).normal(size=(21, 3))
    labels = np.array([0] * 10 + [1] * 10 + [4])  # classes 2 and 3 have no images
    found = geometry.clusters(acts(x, labels), k=3, draws=1)
    assert float(found["silhouette"][0]) == pytest.approx(silhouette_score(x, labels))


def drawn(seed: int, n: int, classes: int, apart: float) -> xr.DataArray:
    """Images of classes around random places, as many of each."""
    labels = np.arange(n) % classes
    places = apart * np.random.default_rng(7).normal(size=(classes, 5))
    return acts(places[labels] + np.random.default_rng(seed).normal(size=(n, 5)), labels)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "classes"), [(100, 4), (200, 10)])
@pytest.mark.parametrize("apart", [0.3, 1.0])
def test_the_interval_of_purity_covers_what_fresh_images_give(n: int, classes: int, apart: float) -> None:
    tables = [geometry.clusters(drawn(seed, n, classes, apart), draws=1) for seed in range(400)]
    purity, low, high = (np.array([float(t[f"purity{end}"][0]) for t in tables]) for end in ("", "_low", "_high"))
    covered = int(((low <= purity.mean()) & (purity.mean() <= high)).sum())
    assert stats.binom.ppf(0.005, 400, 0.93) <= covered <= stats.binom.ppf(0.995, 400, 0.97)


def test_purity_of_too_few_images_has_no_interval_and_says_why() -> None:
    enough, few = (geometry.clusters(drawn(0, n, 4, 0.5), k=3, draws=2) for n in (40, 36))
    assert float(enough["purity_low"][0]) < float(enough["purity"][0]) < float(enough["purity_high"][0])
    assert "reason" not in enough.attrs
    assert np.isnan(few["purity_low"][0])
    assert np.isfinite(few["purity"][0])
    assert "smallest class with 9; 20 and 10 a class are needed" in few.attrs["reason"]


def test_only_the_snapshots_asked_for_are_measured() -> None:
    x = np.random.default_rng(0).normal(size=(5, 40, 3))
    array = acts(x, np.arange(40) % 4).assign_coords(step=("snapshot", [0, 1, 2, 4, 8]))
    assert geometry.clusters(array, at=(4,), k=3, draws=2)["step"].values.tolist() == [4]
    found = geometry.clusters(array, at=(-1, 0), k=3, draws=2)
    assert found["step"].values.tolist() == [0, 8]
    alone = geometry.clusters(array.isel(snapshot=-1), k=3, draws=2)
    assert float(found["silhouette"][1]) == float(alone["silhouette"][0])


def test_coinciding_images_or_one_class_have_no_clusters() -> None:
    same = geometry.clusters(acts(np.ones((30, 2)), np.arange(30) % 3), k=3, draws=2)
    one = geometry.clusters(acts(np.random.default_rng(0).normal(size=(30, 2)), np.zeros(30, int)), k=3, draws=2)
    for found in (same, one):
        for name in ("silhouette", "purity", "silhouette_p", "purity_null_high"):
            assert np.isnan(found[name]).all()


def test_bad_input_is_refused_by_name() -> None:
    x = acts(np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 3)
    with pytest.raises(DataError, match="k is 30 with 30 examples"):
        geometry.clusters(x, k=30)
    with pytest.raises(DataError, match=r"layers\.0\.hook_post.*diverged"):
        geometry.clusters(x.where(x["label"] != 1))
    with pytest.raises(DataError, match="label"):
        geometry.clusters(x.drop_vars("label"))


def test_units_that_hold_the_classes_beat_random_ones_and_random_orders_do_not() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 4
    x = rng.normal(size=(240, 40))
    x[:, 30:34] += 4 * np.eye(4)[labels]
    orders = {"planted": np.arange(30, 40), "noise": np.arange(10)}
    found = geometry.subspaces(acts(x, labels), orders, sizes=(2, 4, 8), draws=60)
    assert (found.sel(parameter="planted")["silhouette_q"] < 0.05).all()
    assert (found.sel(parameter="noise")["silhouette_q"] > 0.05).all()
    assert found["rank"].values.tolist() == [2, 4, 8]


def test_a_subspace_is_scikit_learns_silhouette_on_the_judging_half(digits: xr.DataArray) -> None:
    few = digits.isel(example=slice(200))
    found = geometry.subspaces(few, {"a": np.array([4, 9, 2, 7])}, sizes=(3, 4), standardize=False, draws=2)
    _, judge = halves(few["label"].values)
    for size in (3, 4):
        expected = silhouette_score(few.values[judge][:, [4, 9, 2, 7][:size]], few["label"].values[judge])
        assert float(found["silhouette"].sel(parameter="a", rank=size)) == pytest.approx(expected, abs=1e-9)


def test_standardized_subspaces_do_not_depend_on_the_units_scale(digits: xr.DataArray) -> None:
    few = digits.isel(example=slice(100))
    louder = few * np.linspace(1, 900, 30)
    a, b = (geometry.subspaces(x, {"a": np.arange(30)}, sizes=(2, 5), draws=3) for x in (few, louder))
    np.testing.assert_allclose(a["silhouette"], b["silhouette"], atol=1e-9)
    loud = geometry.subspaces(louder, {"a": np.arange(30)}, sizes=(2, 5), standardize=False, draws=3)
    assert np.abs(loud["silhouette"] - a["silhouette"]).max() > 0.01


def test_a_function_ranks_units_on_the_choosing_half_only(digits: xr.DataArray) -> None:
    given = []

    def loudest(half: xr.DataArray) -> np.ndarray:
        given.append(half)
        return np.argsort(-half.mean("example").values)

    few = digits.isel(example=slice(100))
    geometry.subspaces(few, {"loudest": loudest}, sizes=(2,), draws=1)
    choose, _ = halves(few["label"].values)
    xr.testing.assert_identical(given[0], few.isel(example=choose))


def test_chosen_units_that_are_constant_have_no_silhouette(digits: xr.DataArray) -> None:
    few = digits.isel(example=slice(100)).copy()
    few[:, :2] = 0.0
    found = geometry.subspaces(few, {"dead": np.arange(4)}, sizes=(1, 2, 3), draws=5)
    assert np.isnan(found["silhouette"].values[0]).tolist() == [True, True, False]
    assert np.isnan(found["silhouette_q"].values[0]).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("order", "message"),
    [([0, 1], "at least 3 units"), ([0, 1, 1], "repeats units"), ([0, 1, 30], r"0\.\.29"), ([0.5, 1, 2], "float64")],
)
def test_orders_that_can_not_be_are_refused(digits: xr.DataArray, order: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        geometry.subspaces(digits.isel(example=slice(60)), {"mine": np.array(order)}, sizes=(3,), draws=1)
