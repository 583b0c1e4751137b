"""Units over training, the images across a unit's range, and other bases: against scipy, planted lives and rotations."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neural_microscope.analysis import selectivity
from neural_microscope.errors import DataError
from neural_microscope.statistics import halves

LABELS = np.arange(400) % 10
STEPS = np.array([0, 1, 2, 4, 8, 16])


def acts(values: np.ndarray, labels: np.ndarray = LABELS) -> xr.DataArray:
    dims = ("snapshot", "example", "unit")[-values.ndim :]
    coords = {"label": ("example", labels)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", STEPS[: len(values)])
    return xr.DataArray(values, dims=dims, coords=coords, name="layers.0.hook_post")


def life(*classes: int | None) -> np.ndarray:
    """A unit [snapshot, example] that prefers a class at each snapshot: -1 none, None dead."""
    rng = np.random.default_rng(0)
    noise = rng.exponential(1, 400)
    return np.stack([np.zeros(400) if c is None else noise + 2.0 * (c == LABELS) for c in classes])


@pytest.fixture(scope="module")
def lives() -> xr.Dataset:
    units = [
        life(-1, -1, 3, 3, 3, 3),
        life(-1, 7, 7, 3, 3, 3),
        life(3, 3, -1, 3, 3, 3),
        life(3, 3, None, 3, 3, 3),
        life(3, 3, 3, 3, 3, None),
        life(3, 3, 3, 3, 3, -1),
        life(3, 7, 3, 7, 3, 7),
        life(-1, -1, -1, -1, -1, -1),
    ]
    return selectivity.over_time(acts(np.stack(units, -1)))


def test_planted_lives_are_told_since_when_and_how_often_they_changed(lives: xr.Dataset) -> None:
    expected = [2, 4, 4, 0, np.nan, np.nan, 16, np.nan]
    np.testing.assert_array_equal(lives["since"], expected)
    assert lives["changes"].values.tolist() == [0, 1, 0, 0, 0, 0, 5, 0]


def test_a_unit_that_seldom_fires_is_judged_where_its_layer_goes_below_zero_at_any_snapshot() -> None:
    seldom = np.where(np.arange(400) < 5, 1.0, 0.0)
    other = np.random.default_rng(0).exponential(1, (2, 400))
    layer = np.stack([np.stack([seldom, seldom]), other], -1)
    signed = np.stack([layer[0], layer[1] - [0, 1]])
    assert selectivity.over_time(acts(layer))["gated"][:, 0].all()
    assert not selectivity.over_time(acts(signed))["gated"].any()


def test_dead_snapshots_are_gated_and_count_for_nothing(lives: xr.Dataset) -> None:
    there = lives.isel(unit=3, snapshot=2)
    assert bool(there["gated"])
    assert not bool(there["auc_shown"])
    assert int(there["preferred"]) == -1
    assert np.isnan([float(there[name]) for name in ("auc", "selectivity", "auc_p", "auc_q", "auc_null_low")]).all()


def test_a_unit_of_two_equal_classes_does_not_waver_between_them() -> None:
    rng = np.random.default_rng(0)
    both = 2.0 * np.isin(LABELS, (3, 7))
    found = selectivity.over_time(acts(rng.exponential(1, (6, 400, 40)) + both[:, None]))
    flips = (np.diff(found["preferred"], axis=0) != 0).sum(0)
    assert flips.mean() > 2
    assert float(found["changes"].mean()) < flips.mean() / 3


def test_each_snapshot_is_what_class_selectivity_says_of_it() -> None:
    x = acts(np.random.default_rng(0).exponential(1, (3, 400, 5)) + (LABELS[:, None] == np.arange(5)))
    found = selectivity.over_time(x, seed=2)
    for snapshot in range(3):
        table = selectivity.class_selectivity(x.isel(snapshot=snapshot), draws=1, seed=2)
        for name in ("preferred", "selectivity", "auc"):
            np.testing.assert_allclose(found[name][snapshot], table[name])


def chosen_and_judged(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """(images of the class that the other half chose, the half) of each unit [example] and half."""
    first, second = halves(LABELS, key=x)
    found = []
    for unit in x.T:
        for choose, judge in ((first, second), (second, first)):
            chosen = np.argmax([unit[choose][LABELS[choose] == c].mean() for c in range(10)])
            found.append((LABELS[judge] == chosen, unit[judge]))
    return found


@pytest.mark.parametrize("density", [1.0, 0.3])
def test_the_chance_of_an_auc_is_what_shuffled_labels_give(density: float) -> None:
    """p of each half as random images give it; the band of their mean holds about 95% of shuffles of all labels."""
    rng = np.random.default_rng(1)
    x = rng.exponential(1, (400, 6)) * (rng.random((400, 6)) < density) * (1 + (LABELS == 2)[:, None])
    found = selectivity.over_time(acts(x[None]))
    judged = chosen_and_judged(x)
    for unit in range(6):
        p = []
        for mine, values in judged[2 * unit : 2 * unit + 2]:
            ranks = stats.rankdata(values)
            drawn = np.stack([rng.permutation(200)[:20] for _ in range(4000)])
            p.append((ranks[drawn].sum(1) >= ranks[mine].sum()).mean())
        assert float(found["auc_p"][0, unit]) == pytest.approx(min(1, 2 * min(p)), abs=0.04)
    fake = xr.DataArray(
        np.stack([x[rng.permutation(400)] for _ in range(150)]),
        dims=("snapshot", "example", "unit"),
        coords={"label": ("example", LABELS)},
    )
    null = selectivity.over_time(fake)
    inside = (null["auc"] >= null["auc_null_low"]) & (null["auc"] <= null["auc_null_high"])
    assert 0.92 < float(inside.mean()) < 0.99


def test_without_ties_the_chance_is_close_to_mann_and_whitneys() -> None:
    x = np.random.default_rng(3).exponential(1, (400, 8)) + 0.3 * (LABELS == 1)[:, None]
    found = selectivity.over_time(acts(x[None]))
    judged = chosen_and_judged(x)
    for unit in range(8):
        p = [
            stats.mannwhitneyu(values[mine], values[~mine], alternative="greater", use_continuity=False).pvalue
            for mine, values in judged[2 * unit : 2 * unit + 2]
        ]
        assert float(found["auc_p"][0, unit]) == pytest.approx(min(1, 2 * min(p)), abs=0.006)


@pytest.mark.parametrize("density", [1.0, 0.04])
def test_an_empty_layer_holds_no_unit_beyond_chance_more_often_than_declared(density: float) -> None:
    alarms, p = 0, []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        x = rng.exponential(1, (1, 400, 20)) * (rng.random((1, 400, 20)) < density)
        found = selectivity.over_time(acts(x), seed=seed)
        alarms += bool(found["auc_shown"].any())
        p.append(found["auc_p"].values)
    for level in (0.05, 0.01):  # with some eight active images a half, few values are possible: right on average
        assert np.nanmean(np.array(p) <= level) == pytest.approx(level, abs=4 * np.sqrt(level / 2000))
    assert alarms <= 12  # 5 declared; more than 12 come by chance in 1 of 1,000


def test_one_snapshot_alone_and_activations_that_diverged_are_refused() -> None:
    with pytest.raises(DataError, match="snapshot"):
        selectivity.over_time(acts(np.ones((400, 2))))
    x = np.ones((4, 400, 2))
    x[2:, 0, 0] = np.inf
    with pytest.raises(DataError, match=r"layers\.0\.hook_post at step 2"):
        selectivity.over_time(acts(x))


def test_a_unit_that_is_dead_throughout_has_no_life() -> None:
    found = selectivity.over_time(acts(np.zeros((3, 400, 2))))
    assert np.isnan(found["since"]).all()
    assert found["gated"].all()


def test_images_are_those_about_the_quantiles_of_what_a_unit_does_when_on() -> None:
    x = np.zeros((400, 1))
    on = np.random.default_rng(0).permutation(400)[:101]
    x[on, 0] = np.arange(1, 102)
    found = selectivity.quantile_examples(acts(x), per=3).isel(unit=0)
    expected = {1.0: [101, 100, 99], 0.75: [77, 76, 75], 0.5: [52, 51, 50], 0.25: [27, 26, 25], 0.0: [3, 2, 1]}
    for quantile, values in expected.items():
        strip = found.sel(quantile=quantile)
        assert strip["activation"].values.tolist() == values
        assert x[strip["examples"], 0].tolist() == values
        if 0 < quantile < 1:
            assert np.quantile(x[on, 0], quantile) == pytest.approx(values[1])
    assert int(found["active"]) == 101


def test_places_that_no_image_fills_hold_none() -> None:
    x = np.zeros((400, 3))
    x[[5, 9], 1] = 1, 2
    x[:, 2] = -1
    found = selectivity.quantile_examples(acts(x), quantiles=(1.0, 0.0), per=3)
    assert found["examples"].values[1].tolist() == [[9, 5, -1], [9, 5, -1]]
    assert (found["examples"].values[[0, 2]] == -1).all()
    assert np.isnan(found["activation"].values[0]).all()
    assert found["active"].values.tolist() == [0, 2, 0]


@pytest.mark.parametrize("wrong", [{"quantiles": (1.5,)}, {"quantiles": (np.nan,)}, {"per": 0}])
def test_quantiles_outside_the_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match=f"quantiles|{next(iter(wrong))} is"):
        selectivity.quantile_examples(acts(np.ones((400, 2))), **wrong)  # type: ignore[arg-type]


def rotation(size: int, seed: int = 0) -> np.ndarray:
    return stats.ortho_group.rvs(size, random_state=seed)


def test_directions_are_taken_as_arrays_or_as_named_arrays_in_any_order_of_axes() -> None:
    x = np.random.default_rng(0).exponential(1, (400, 6)) + (LABELS[:, None] == np.arange(6))
    named = xr.DataArray(rotation(6).T, dims=("unit", "component"))
    found = selectivity.basis_comparison(acts(x), {"same": np.eye(6), "a": rotation(6), "b": named}, draws=2)["auc"]
    assert found[0] == found[1] > found[2] == found[3]


@pytest.mark.parametrize(
    "directions",
    [
        np.ones((2, 4)),
        np.ones(5),
        np.full((2, 5), np.nan),
        xr.DataArray(np.ones((2, 5)), dims=("component", "channel")),
    ],
)
def test_directions_that_do_not_fit_are_refused(directions: object) -> None:
    with pytest.raises(DataError, match="directions"):
        selectivity.basis_comparison(acts(np.ones((400, 5))), {"wrong": directions}, draws=2)  # type: ignore[dict-item]


def test_units_are_privileged_where_they_are_and_their_rotation_finds_them() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(400, 10)) + 3 * np.eye(10)[LABELS]) @ rotation(10)
    found = selectivity.basis_comparison(acts(x), {"planted": rotation(10)}, draws=60)
    units, planted = found["auc"].values
    assert found["basis"].values.tolist() == ["units", "planted"]
    assert planted == pytest.approx(stats.norm.cdf(3 / np.sqrt(2)), abs=0.02)
    assert planted > found["auc_null_high"][1] > units > found["auc_null_low"][0]
    assert found["auc_p"][1] == pytest.approx(2 / 61)
    assert found["mutual_information_p"][1] < 0.05 < found["mutual_information_p"][0]


def test_bases_are_compared_without_regard_to_sign_and_length() -> None:
    x = np.random.default_rng(0).normal(size=(400, 4)) + np.eye(10)[LABELS][:, :4]
    found = selectivity.basis_comparison(acts(x), {"other": -3 * np.eye(4)}, draws=3)
    for name in ("auc", "mutual_information"):
        assert found[name][0] == pytest.approx(found[name][1])


def test_dead_units_take_no_part_and_a_dead_layer_gives_nan() -> None:
    x = np.abs(np.random.default_rng(0).normal(size=(400, 4)))
    x[:, 1] = 0
    found = selectivity.basis_comparison(acts(x), draws=3)
    assert int(found["n_components"][0]) == 3
    assert np.isfinite(found["auc"]).all()
    dead = selectivity.basis_comparison(acts(np.zeros((400, 4))), draws=3)
    assert np.isnan(dead["auc"]).all()
    assert np.isnan(dead["auc_p"]).all()
