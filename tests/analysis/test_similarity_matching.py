"""Matching of units against planted permutations, scipy's assignment, and a shared space without shared units."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neural_microscope.analysis import similarity
from neural_microscope.analysis.similarity import matching
from neural_microscope.errors import DataError
from neural_microscope.statistics import halves

LABELS = np.arange(200) % 10
RNG = np.random.default_rng(0)


def acts(values: np.ndarray, axis: str = "unit") -> xr.DataArray:
    return xr.DataArray(
        values, dims=("example", axis), coords={"label": ("example", LABELS)}, name="layers.1.hook_post"
    )


def tuned(p: int = 12, seed: int = 1) -> np.ndarray:
    """Units that are each tuned to classes, so that all of them correlate, and are not normal, so that they are units."""
    rng = np.random.default_rng(seed)
    return np.maximum(rng.normal(size=(10, p))[LABELS] + 0.5 * rng.normal(size=(200, p)), 0)


X = tuned()
ORDER = RNG.permutation(12)


def test_a_planted_permutation_is_found_unit_by_unit() -> None:
    table = similarity.match_units(acts(X), acts(3 * X[:, ORDER] + 0.1 * RNG.normal(size=X.shape)), draws=200)
    np.testing.assert_array_equal(table["matched"], np.argsort(ORDER))
    assert (table["correlation"] > 0.9).all()
    assert (table["correlation_q"] < 0.05).all()
    assert (table["correlation_shuffled_q"] < 0.05).all()


def test_a_rotated_space_passes_the_weak_null_and_not_the_one_that_decides() -> None:
    turned = X @ stats.ortho_group.rvs(12, random_state=3)
    table = similarity.match_units(acts(X), acts(turned), draws=200)
    assert (table["correlation_shuffled_q"] < 0.05).sum() >= 6
    assert (table["correlation_q"] > 0.05).all()


def test_unrelated_units_pass_neither_null() -> None:
    table = similarity.match_units(acts(RNG.normal(size=(200, 12))), acts(RNG.normal(size=(200, 12))), draws=200)
    assert (table["correlation_q"] > 0.05).all()
    assert (table["correlation_shuffled_q"] > 0.05).all()


def test_the_assignment_is_the_best_of_all_on_one_half_and_is_judged_on_the_other() -> None:
    x, y = tuned(5), tuned(5, 2)
    choose, judge = halves(LABELS)
    chosen, judged = (np.corrcoef(x[part].T, y[part].T)[:5, 5:] for part in (choose, judge))
    best = max(permutations(range(5)), key=lambda order: chosen[range(5), order].sum())
    table = similarity.match_units(acts(x), acts(y), draws=2)
    np.testing.assert_array_equal(table["matched"], best)
    np.testing.assert_allclose(table["correlation"], judged[range(5), best], atol=1e-13)


def test_a_rotated_unit_has_the_values_of_a_unit_in_the_order_of_the_rotation() -> None:
    x = tuned(5)
    turned = matching._Rotations(x.T).drawn(np.random.default_rng(0)).T
    expected = {tuple(column) for column in np.sort(x, axis=0).T}
    assert {tuple(column) for column in np.sort(turned, axis=0).T} == expected
    mix = (x - x.mean(0)) @ _turn(5)
    for unit in range(5):
        assert (np.diff(turned[mix[:, unit].argsort(kind="stable"), unit]) >= 0).all()


def relu_layer(seed: int, width: int) -> np.ndarray:
    """Random ReLU units of one set of images, an untrained first layer."""
    images = np.random.default_rng(0).normal(size=(200, 12)) + 1
    return np.maximum(images @ np.random.default_rng(seed).normal(size=(12, width)), 0)


@pytest.mark.slow
@pytest.mark.parametrize("width", [8, 16, 32])
def test_unrelated_random_layers_raise_no_more_alarms_than_declared(width: int) -> None:
    tables = (
        similarity.match_units(acts(relu_layer(2 * i + 1, width)), acts(relu_layer(2 * i + 2, width)), draws=200)
        for i in range(200)
    )
    alarms = sum(bool(table["correlation_shown"].any()) for table in tables)
    assert alarms <= stats.binom.ppf(0.99, 200, 0.05)


@pytest.mark.parametrize("width", [8, 16, 32])
def test_a_permuted_random_layer_with_noise_is_found(width: int) -> None:
    x, rng = relu_layer(1, width), np.random.default_rng(width)
    noisy = x[:, rng.permutation(width)] + 0.3 * x.std() * rng.normal(size=x.shape)
    table = similarity.match_units(acts(x), acts(np.maximum(noisy, 0)), draws=200)
    assert float(table["correlation_shown"].mean()) >= 0.8


def test_only_magnitudes_find_a_unit_that_changed_its_sign() -> None:
    flipped = X * np.where(np.arange(12) == 4, -1, 1)
    signed, either = (similarity.match_units(acts(X), acts(flipped), absolute=a, draws=2) for a in (False, True))
    assert float(signed["correlation"][4]) < 0.5
    assert int(either["matched"][4]) == 4
    assert float(either["correlation"][4]) == pytest.approx(1)


def test_dead_units_and_units_left_over_have_no_match() -> None:
    x = X.copy()
    x[:, 3] = 0.1
    few = similarity.match_units(acts(x), acts(X[:, [5, 0, 3]], "channel"), draws=20)
    assert few["matched"].values[[0, 3, 5]].tolist() == [1, -1, 0]
    assert (few["matched"] >= 0).sum() == 3
    unmatched = few["matched"].values < 0
    for name in ("correlation", "correlation_p", "correlation_q", "correlation_shuffled_q"):
        np.testing.assert_array_equal(np.isnan(few[name]), unmatched)
    assert np.isnan(few["correlation_null_high"][3])
    assert "dead" in few.attrs["reason"]
    none = similarity.match_units(acts(X), acts(0 * X), draws=5)
    assert (none["matched"] == -1).all()
    assert np.isnan(none["correlation_null_low"]).all()


def test_replication_counts_the_networks_in_which_a_unit_is_found_again() -> None:
    """Units 0 to 7 in both other networks, 8 to 9 in one, 10 and 11 in none but as part of the space."""
    turn = np.eye(12)
    turn[8:, 8:] = stats.ortho_group.rvs(4, random_state=1)
    later = np.eye(12)
    later[10:, 10:] = stats.ortho_group.rvs(2, random_state=4)
    x = tuned()
    others = {"1": (x @ turn)[:, ORDER], "2": (x @ later)[:, ::-1]}
    table = similarity.replication({"0": acts(x), **{k: acts(v) for k, v in others.items()}}, draws=300)
    assert table["correlation_q"].dims == ("seed", "unit")
    assert table["seed"].values.tolist() == ["1", "2"]
    assert table["replicated"].values[:8].tolist() == [2] * 8
    assert (table["replicated"].values[8:10] >= 1).all()
    assert (table["replicated"].values[10:] <= 1).all()
    assert (table["of"] == 2).all()
    alone = similarity.match_units(acts(x), acts(others["2"]), draws=300)
    np.testing.assert_allclose(table["correlation"].sel(seed="2"), alone["correlation"])
    listed = similarity.replication([acts(x), acts(others["1"]), acts(others["2"])], draws=300)
    np.testing.assert_array_equal(listed["replicated"], table["replicated"])


@pytest.mark.parametrize("width", [1, 2])
def test_narrow_layers_without_units_of_their_own_raise_no_more_alarms_than_declared(width: int) -> None:
    alarms = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal((200, width))
        turn = stats.ortho_group.rvs(width, random_state=seed) if width > 1 else rng.choice([-1, 1], (1, 1))
        table = similarity.match_units(acts(x), acts(x @ turn), draws=39, seed=seed)
        alarms.append(bool((table["correlation_p"] <= 0.025).any()))
    assert sum(alarms) <= 8  # 2.5% for each unit; 9 or more of 60 come by chance once in a thousand


def test_replication_of_one_network_is_refused_and_its_dead_units_are_nan() -> None:
    with pytest.raises(DataError, match="replicated"):
        similarity.replication([acts(X)])
    x = X.copy()
    x[:, 0] = 0
    table = similarity.replication([acts(x), acts(X)], draws=5)
    assert np.isnan(table["replicated"][0])
    assert np.isnan(table["replicated_by_chance"][0])


def test_a_match_says_its_nulls_and_repeats_with_its_seed() -> None:
    table = similarity.match_units(acts(X), acts(X), draws=5, seed=3)
    assert {"null", "null_shuffled", "seed", "source", "n_judged", "n_examples"} <= set(table.attrs)
    xr.testing.assert_identical(table, similarity.match_units(acts(X), acts(X), draws=5, seed=3))


def test_other_images_maps_and_diverged_networks_are_refused() -> None:
    with pytest.raises(DataError, match="labels"):
        similarity.match_units(acts(X), acts(X).assign_coords(label=("example", LABELS[::-1].copy())))
    with pytest.raises(DataError, match="diverged"):
        similarity.match_units(acts(X), acts(np.where(X > 3, np.nan, X)))
    maps = xr.DataArray(np.zeros((200, 2, 3, 3)), dims=("example", "channel", "row", "col"))
    with pytest.raises(DataError, match="reduce"):
        similarity.match_units(acts(X), maps)
    with pytest.raises(DataError, match="8 or more"):
        similarity.match_units(acts(X)[:6], acts(X)[:6])


def test_images_that_are_alike_keep_their_order_in_a_rotation() -> None:
    x = np.repeat(np.random.default_rng(1).standard_normal((30, 4)), 2, axis=0)
    order = np.argsort((x - x.mean(0)) @ _turn(4), 0, kind="stable")
    expected = np.empty_like(x)
    rng = np.random.default_rng(0)
    rng.standard_normal((4, 4), np.float32)
    np.put_along_axis(expected, order, np.sort(x, axis=0)[:, rng.permutation(4)], 0)
    np.testing.assert_array_equal(matching._Rotations(x.T).drawn(np.random.default_rng(0)).T, expected)


def _turn(width: int) -> np.ndarray:
    turn, corner = np.linalg.qr(np.random.default_rng(0).standard_normal((width, width), np.float32))
    return turn * np.sign(np.diag(corner))
