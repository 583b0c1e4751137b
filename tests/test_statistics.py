"""Chance levels and intervals against scipy, closed forms and their own promise."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neural_microscope import statistics
from neural_microscope.statistics import FEWEST_FITTED


@settings(max_examples=50, deadline=None)
@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), seed=st.integers(0, 9))
def test_halves_share_no_example_cover_all_and_split_each_class_evenly(labels: list[int], seed: int) -> None:
    y = np.array(labels)
    a, b = statistics.halves(y, seed)
    assert sorted([*a, *b]) == list(range(len(y)))
    for label in np.unique(y):
        assert abs((y[a] == label).sum() - (y[b] == label).sum()) <= 1


@pytest.mark.parametrize("tied", [False, True])
def test_halves_by_what_the_examples_are_do_not_depend_on_their_order(tied: bool) -> None:
    rng = np.random.default_rng(0)
    y, key = rng.integers(0, 4, 61), rng.normal(size=(61, 3))
    key[:, 0] = 0 if tied else key[:, 0]  # as of a dead unit: the next value decides
    order = rng.permutation(61)
    for half, again in zip(
        statistics.halves(y, 5, key=key), statistics.halves(y[order], 5, key=key[order]), strict=True
    ):
        assert sorted(order[again]) == sorted(half)
    assert sorted(np.concatenate(statistics.halves(y, key=key))) == list(range(61))
    assert not np.array_equal(statistics.halves(y, 5, key=key)[0], statistics.halves(y, 6, key=key)[0])


def test_shuffles_keep_the_labels_and_repeat_with_the_seed() -> None:
    y = np.arange(20) % 4
    first, second = (list(statistics.shuffles(y, 5, seed=3)) for _ in range(2))
    assert all(np.array_equal(np.sort(s), np.sort(y)) for s in first)
    assert all(np.array_equal(s, t) for s, t in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_p_values_count_the_value_itself_and_keep_nan() -> None:
    null = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    p = statistics.p_values(np.array([2.0, np.nan]), null)
    assert p[0] == (1 + 1) / (1 + 3)
    assert np.isnan(p[1])


def test_a_draw_that_equals_the_value_but_for_rounding_or_is_nan_counts_against_the_claim() -> None:
    third = np.array([0.1 + 0.2])
    assert third[0] > 0.3
    assert statistics.p_values(third, np.full((9, 1), 0.3))[0] == 1
    assert statistics.p_values(third, np.full((9, 1), np.nan))[0] == 1
    assert statistics.p_values(-third, np.full((9, 1), -0.3))[0] == 1
    assert statistics.p_values(third, np.full((9, 1), 0.29))[0] == 0.1


def test_false_discovery_is_scipys_over_the_tests_there_are() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.2])
    q = statistics.false_discovery(p)
    assert np.isnan(q[1])
    np.testing.assert_allclose(q[[0, 2, 3]], stats.false_discovery_control([0.01, 0.04, 0.2]))
    assert np.isnan(statistics.false_discovery(np.array([np.nan]))).all()


def test_bootstrap_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    low, high = statistics.bootstrap_mean(rng.normal(3, 1, (400, 60)), draws=500)
    assert 0.90 < ((low <= 3) & (high >= 3)).mean() < 0.98  # 95% declared; percentile intervals run a little short


def test_bootstrap_of_equal_values_has_no_width() -> None:
    low, high = statistics.bootstrap_mean(np.full((2, 10), 0.5))
    np.testing.assert_allclose([low, high], 0.5)


def test_spearman_is_scipys_and_its_interval_holds_zero_where_there_is_nothing() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 80))
    rho, low, high = statistics.spearman(x, y)
    assert rho == pytest.approx(stats.spearmanr(x, y).statistic)
    assert low < 0 < high
    rho, low, _ = statistics.spearman(x, x + 0.1 * y)
    assert low > 0.9
    assert low <= rho


def test_spearman_leaves_nan_pairs_out_and_gives_nan_where_nothing_is_left() -> None:
    x = np.array([1.0, 2, 3, np.nan, 5])
    assert statistics.spearman(x, x)[0] == pytest.approx(1)
    assert np.isnan(statistics.spearman(x, np.ones(5))[0])
    assert np.isnan(statistics.spearman(x[:2], x[:2])[0])


def test_two_sided_p_values_see_both_ends_and_never_exceed_one() -> None:
    null = np.arange(99.0)[:, None]
    low, middle, high = (float(statistics.p_values(np.array([v]), null, side="both")[0]) for v in (-1.0, 49.0, 99.0))
    assert low == pytest.approx(2 / 100)
    assert high == pytest.approx(2 / 100)
    assert middle == 1


def test_a_null_band_is_numpys_percentiles_and_nan_where_there_is_no_null() -> None:
    null = np.random.default_rng(0).normal(size=(200, 2))
    low, high = statistics.null_band(np.column_stack([null, np.full(200, np.nan)]))
    np.testing.assert_allclose(np.stack([low, high])[:, :2], np.percentile(null, (2.5, 97.5), axis=0))
    assert np.isnan([low[2], high[2]]).all()


def test_a_bootstrap_of_the_mean_is_the_normal_interval_for_many_examples() -> None:
    values = np.random.default_rng(0).normal(2, 3, 4000)
    low, high = statistics.bootstrap(lambda pick: values[pick].mean(), len(values), draws=600)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert [float(low), float(high)] == pytest.approx([values.mean() - half, values.mean() + half], abs=0.15 * half)


def test_an_interval_over_seeds_is_scipys_and_needs_five_of_them() -> None:
    values = np.random.default_rng(0).normal(size=(3, 6))
    mean, low, high = statistics.over_seeds(values)
    expected = stats.t.interval(0.95, 5, values.mean(1), stats.sem(values, axis=1))
    np.testing.assert_allclose([low, high], expected)
    np.testing.assert_allclose(mean, values.mean(1))
    mean, low, high = statistics.over_seeds(values[:, :4])
    assert np.isfinite(mean).all()
    assert np.isnan([low, high]).all()


def test_random_directions_have_unit_length_and_no_preferred_side() -> None:
    drawn = statistics.random_directions(4000, 5, seed=1)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1)
    np.testing.assert_allclose(drawn.T @ drawn / 4000, np.eye(5) / 5, atol=0.015)
    np.testing.assert_allclose(drawn.mean(0), 0, atol=0.03)


def test_an_interval_from_sums_is_scipys_of_the_values() -> None:
    values = np.random.default_rng(0).exponential(size=(3, 40))
    low, high = statistics.mean_interval(values.sum(1), (values**2).sum(1), 40)
    expected = stats.t.interval(0.95, 39, values.mean(1), stats.sem(values, axis=1))
    np.testing.assert_allclose((low, high), expected)
    assert np.isnan(statistics.mean_interval(values.sum(1), (values**2).sum(1), 1)).all()


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 100), min_size=1, max_size=10))
def test_sign_flips_never_claim_more_than_all_flips_written_out(values: list[int]) -> None:
    x = np.array(values, float)
    signs = np.array(list(product((-1, 1), repeat=len(x))))
    flipped = np.abs(signs @ x)
    p, reach = statistics.sign_flips(flipped, np.full(len(flipped), (x**2).sum()))
    exact = (flipped >= flipped[:, None] * (1 - 1e-9)).mean(1)
    assert (p >= exact - 1e-12).all()
    assert (flipped <= reach[0] * (1 + 1e-9)).mean() >= 0.95


def test_sign_flips_find_what_is_there_and_claim_nothing_of_nothing() -> None:
    p, reach = statistics.sign_flips(np.array([0.0, 20.0, -20.0]), np.array([0.0, 20.0, 20.0]))
    assert p[0] == 1
    assert reach[0] == 0
    assert p[1] == p[2] == pytest.approx(2 * 3.178 * stats.norm.sf(np.sqrt(20)), rel=1e-3)
    edge = statistics.sign_flips(reach[1:2], np.array([20.0]))[0]
    assert edge[0] == pytest.approx(0.05)


def test_beside_sets_a_value_beside_its_null_and_gives_one_verdict() -> None:
    null = np.tile(np.arange(99.0)[:, None], (1, 3))
    table = statistics.beside(
        "x", [100.0, 50.0, np.nan], null, "unit", units="nats", interval=([99, 49, 0], [101, 51, 0])
    )
    names = ("x", "x_low", "x_high", "x_null_low", "x_null_high", "x_p", "x_q", "x_shown")
    assert tuple(table) == names
    dims, p, attrs = table["x_p"]
    assert dims == "unit"
    assert attrs["draws"] == 99
    assert attrs["floor"] == 0.01
    np.testing.assert_allclose(p, [0.01, 0.5, np.nan])
    np.testing.assert_allclose(table["x_q"][1], [0.02, 0.5, np.nan])
    assert table["x_shown"][1].tolist() == [True, False, False]
    np.testing.assert_allclose(table["x_null_high"][1], [np.percentile(np.arange(99), 97.5)] * 2 + [np.nan])
    assert np.isnan(table["x_low"][1][2])
    assert table["x"][2] == {"units": "nats"}
    assert table["x_q"][2] == {"units": "1"}


def test_beside_knows_sides_ties_families_laws_and_that_no_draws_show_nothing() -> None:
    null = np.zeros((39, 2))
    assert statistics.beside("x", [-1.0, 1.0], null, "unit", side="below")["x_p"][1].tolist() == [1 / 40, 1.0]
    both = statistics.beside("x", [-1.0, 1.0], null, "unit", side="both")["x_p"]
    assert both[1].tolist() == [0.05, 0.05]
    assert both[2]["floor"] == 0.05
    assert statistics.beside("x", [1e-7, 1.0], null, "unit", rounding=1e-6)["x_p"][1].tolist() == [1.0, 1 / 40]
    assert not statistics.beside("x", [1.0, 1.0], np.zeros((0, 2)), "unit")["x_shown"][1].any()
    law = statistics.Law(np.zeros((2, 2)), np.ones((2, 2)), np.array([[0.01, 0.04], [0.04, 0.04]]))
    by_row = statistics.beside("x", np.ones((2, 2)), law, ("snapshot", "unit"), family="unit")["x_q"][1]
    np.testing.assert_allclose(by_row, [[0.02, 0.04], [0.04, 0.04]])
    alone = statistics.beside("x", 0.5, np.zeros(39), family=False)
    assert "x_q" not in alone
    assert bool(alone["x_shown"][1])
    assert float(alone["x_p"][1]) == 1 / 40
    assert not statistics.beside("x", [1.0, 1.0], null, "unit", where=[False, True])["x_shown"][1][0]


def test_family_wise_is_holms() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(statistics.family_wise(p), [0.03, np.nan, 0.06, 0.06, 0.02])
    assert np.isnan(statistics.family_wise(np.array([np.nan]))).all()
    assert not len(statistics.family_wise(np.array([])))


@pytest.mark.parametrize("density", [0.04, 0.15, 1.0])
def test_rank_sum_gives_its_p_on_noise_as_often_as_it_says_also_for_rarely_firing_units(density: float) -> None:
    rng = np.random.default_rng(1)
    x = np.where(rng.random((300, 1500)) < density, rng.exponential(1, (300, 1500)), 0)
    mine = np.arange(300) % 10 == 0
    ranks = stats.rankdata(x, axis=0)
    auc = (ranks[mine].sum(0) - 30 * 31 / 2) / (30 * 270)
    law = statistics.rank_sum(auc, ranks, np.full(1500, 30))
    for level in (0.01, 0.05, 0.2):
        assert np.mean(law.p <= level) <= stats.binom.ppf(0.999, 1500, level) / 1500
    assert np.mean(law.p <= 0.05) > 0.02 or density == 0.04
    assert np.mean((law.low <= auc) & (auc <= law.high)) > 0.93


def test_rank_sum_equals_the_exact_test_and_sees_a_perfect_unit_of_a_wide_layer() -> None:
    x = np.array([[0.0], [0], [0], [0], [0], [0], [0], [3], [2], [1]])
    ranks, size = stats.rankdata(x, axis=0), np.array([3])
    exact = statistics.rank_sum(np.array([1.0]), ranks, size)
    assert exact.p[0] == pytest.approx(1 / 120)
    wide = np.random.default_rng(0).exponential(1, (1000, 64))
    wide[:, 5] = np.arange(1000) % 10 == 0
    ranks = stats.rankdata(wide, axis=0)
    mine = np.arange(1000) % 10 == 0
    auc = (ranks[mine].sum(0) - 100 * 101 / 2) / (100 * 900)
    law = statistics.rank_sum(auc, ranks, np.full(64, 100))
    assert np.flatnonzero(statistics.beside("auc", auc, law, "unit")["auc_shown"][1]).tolist() == [5]
    assert np.isnan(statistics.rank_sum(np.array([np.nan]), np.ones((5, 1)), np.array([0])).p).all()


@pytest.mark.parametrize(("n", "k", "density"), [(9, 3, 0.4), (9, 7, 0.6), (8, 4, 1.0)])
def test_rank_sums_of_few_images_count_every_set_of_them(n: int, k: int, density: float) -> None:
    rng = np.random.default_rng(n + k)
    ranks = stats.rankdata(np.where(rng.random((n, 1)) < density, rng.integers(1, 5, (n, 1)), 0), axis=0)
    every = np.array([ranks[list(chosen), 0].sum() for chosen in combinations(range(n), k)])
    auc = (every - k * (k + 1) / 2) / (k * (n - k))
    for value in np.unique(auc):
        law = statistics.rank_sum(np.array([value]), ranks, np.array([k]))
        assert law.p[0] == pytest.approx((auc >= value - 1e-12).mean())
        assert law.low[0] == pytest.approx(np.percentile(auc, 2.5, method="inverted_cdf"))
        assert law.high[0] == pytest.approx(np.percentile(auc, 97.5, method="inverted_cdf"))


def test_rank_sums_of_a_few_active_among_thousands_are_a_hypergeometric_count() -> None:
    x = np.zeros((5000, 1))
    x[:12] = 1
    ranks, k = stats.rankdata(x, axis=0), 500
    for active in (2, 5):
        rank_sum = active * ranks[0, 0] + (k - active) * ranks[-1, 0]
        auc = (rank_sum - k * (k + 1) / 2) / (k * (5000 - k))
        law = statistics.rank_sum(np.array([auc]), ranks, np.array([k]))
        assert law.p[0] == pytest.approx(stats.hypergeom.sf(active - 1, 5000, 12, k))


@pytest.mark.parametrize("pairs", [3, 4, 5])
def test_a_rank_correlation_of_few_pairs_has_a_value_and_no_interval(pairs: int) -> None:
    rho, low, high = statistics.spearman(np.arange(pairs), np.arange(pairs) ** 2)
    assert rho == pytest.approx(1)
    assert np.isnan(low)
    assert np.isnan(high)
    assert np.isfinite(statistics.spearman(np.arange(6), np.random.default_rng(0).random(6))).all()


def test_the_tail_of_few_draws_is_what_many_draws_count() -> None:
    rng = np.random.default_rng(3)
    many = rng.gamma(4.0, size=(400_000, 1)) + rng.normal(size=(400_000, 1))
    value = np.quantile(many, [0.9999])
    few = many[:1000]
    counted = statistics.p_values(value, few)
    fitted = statistics.tail_p(value, few, counted)
    assert counted[0] >= 1 / 1001
    assert 1e-4 / 4 < fitted[0] < 1e-4 * 4
    middle = np.quantile(many, [0.9])
    assert statistics.tail_p(middle, few, statistics.p_values(middle, few)) == statistics.p_values(middle, few)
    for beyond in (9, 10):  # with the tenth draw beyond it, the count alone gives its p
        value_there = np.sort(few, axis=0)[-beyond]
        counted_there = statistics.p_values(value_there, few)
        assert (statistics.tail_p(value_there, few, counted_there) == counted_there) == (beyond == 10)
    assert statistics.tail_p(np.array([1.0]), np.zeros((199, 1)), np.array([0.01])) == 0.01, (
        "draws that do not vary have no tail"
    )
    assert np.isnan(statistics.p_values(np.array([np.nan]), few, tail=True))
    fewer = few[: FEWEST_FITTED - 1]
    assert statistics.p_values(value, fewer, tail=True) == 1 / FEWEST_FITTED, "too few draws have no tail"
    assert statistics.beside("x", value, fewer, "unit", tail=True)["x_p"][2]["floor"] == 1 / FEWEST_FITTED
    assert statistics.beside("x", value, few, "unit", tail=True)["x_p"][2]["floor"] == 0


@pytest.mark.parametrize("side", ["above", "below", "both"])
def test_one_more_network_like_the_others_is_claimed_to_differ_as_rarely_as_declared(side: statistics.Side) -> None:
    drawn = np.random.default_rng(0).normal(3, 2, (21, 4000))
    law = statistics.networks(drawn[0], drawn[1:], side=side)
    assert abs(np.mean(law.p < 0.05) - 0.05) < 0.012
    assert abs(np.mean((law.low <= drawn[0]) & (drawn[0] <= law.high)) - 0.95) < 0.012
    assert np.isnan(statistics.networks(np.array(1.0), np.array([1.0, np.nan, 2.0])).p)
    assert statistics.networks(np.array(1.0), np.ones(5), side=side).p >= 0.5, "equal to others that do not vary"


def test_the_canonical_order_is_the_same_however_examples_come_and_looks_at_every_value() -> None:
    rng = np.random.default_rng(0)
    labels, key = np.arange(40) % 3, rng.integers(0, 2, (40, 2, 4)).astype(float)
    key[:, 0, 0] = 1  # the first value tells nothing apart
    order = statistics.canonical_order(labels, key)
    mixed = rng.permutation(40)
    again = mixed[statistics.canonical_order(labels[mixed], key[mixed])]
    np.testing.assert_array_equal(labels[order], labels[again])
    np.testing.assert_array_equal(key[order], key[again])
    rows = [(label, *values.ravel()) for label, values in zip(labels[order], key[order], strict=True)]
    assert rows == sorted(rows), "by label, then by the first value, then by the next"


def test_an_interval_excludes_a_value_on_either_side_but_not_at_its_ends() -> None:
    low, high = [0.1, -0.3, -0.1, 0.0, np.nan], [0.3, -0.1, 0.1, 0.2, np.nan]
    assert statistics.excludes(low, high).tolist() == [True, True, False, False, False]
    assert statistics.excludes(low, high, 0.25).tolist() == [False, True, True, True, False]


@pytest.mark.parametrize("silent", [0.0, 0.3, 0.9, 0.97, 1.0])
def test_units_that_are_rarely_active_are_those_with_few_active_images(silent: float) -> None:
    """Whatever value is the most frequent: 0 is the lowest in half of the units and the highest in the others."""
    rng = np.random.default_rng(0)
    for n, fewest in product((1, 3, 39, 40, 41, 200), (1, 10, 20, 40)):
        x = rng.exponential(1, (n, 40)) * rng.choice([-1, 1], 40)
        x[rng.random(x.shape) < silent] = 0
        expected = statistics.active_images(x) < fewest
        np.testing.assert_array_equal(statistics.rarely_active(x, fewest), expected)
