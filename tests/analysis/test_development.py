"""Changes of training, takeovers and barriers, on arrays whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

import neural_microscope as nm
from neural_microscope.errors import DataError, HookError

STEPS = [10, 20, 40]
barrier, change, takeover = (
    getattr(nm.analysis.development, name) for name in ("barrier", "change_of_learning", "takeover")
)


def as_replayed(x: np.ndarray) -> xr.DataArray:
    """[order, network, snapshot, …]: twin, branch and null branches."""
    names = ["twin", "branch", *(f"null {number}" for number in range(x.shape[1]))][: x.shape[1]]
    dims = ("order", "network", "snapshot", "unit")[: x.ndim]
    return xr.DataArray(x, {"network": names, "step": ("snapshot", STEPS)}, dims)


def drawn(*shape: int, nulls: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(5, 2 + nulls, 3, *shape))


# --- a change of learning ---------------------------------------------------------------------------------------------------


def test_a_branch_is_compared_with_the_twin_of_its_order_and_with_null_branches() -> None:
    x = drawn()
    x[:, 1] = x[:, 0] + np.array([0.1, 0.2, 0.3, 0.4, 0.5])[:, None] * [0, 1, -100]
    x[:, 2:] = x[:, :1] + 0.01 * x[:, 2:]
    found = change(as_replayed(x))
    np.testing.assert_allclose(found["change"], [0, 0.3, -30], atol=1e-12)
    expected = stats.ttest_1samp(x[:, 1, 1] - x[:, 0, 1], 0).confidence_interval(0.95)
    np.testing.assert_allclose([found["change_low"][1], found["change_high"][1]], expected)
    np.testing.assert_allclose(found["order_sd"], x[:, 0].std(0, ddof=1))
    np.testing.assert_allclose(found["change_p"], [1, 1 / 25, 1 / 25])  # both signs are as far as it gets
    assert found["change_shown"].values.tolist() == [False, True, True]
    assert "caution" not in found.attrs


def test_the_orders_own_effect_does_not_enter_the_change() -> None:
    x = drawn(nulls=0)
    x[:, 1] = x[:, 0] + 1
    found = change(as_replayed(1000 * x))
    np.testing.assert_allclose(found["change_high"] - found["change_low"], 0, atol=1e-9)
    assert (found["order_sd"] > 100).all()


@pytest.mark.parametrize(
    ("nulls", "said"), [(0, "nothing is tested"), (1, "1 null branch can't"), (19, "is 0.050"), (20, "")]
)
def test_too_few_null_branches_are_said_and_show_nothing(nulls: int, said: str) -> None:
    x = drawn(nulls=nulls)
    x[:, 1] = x[:, 0] + 100
    found = change(as_replayed(x))
    assert said in found.attrs.get("caution", "")
    assert bool(found["change_shown"].all()) is (nulls == 20)
    assert ("caution" in found.attrs) is (nulls < 20)


def test_one_order_has_no_interval_and_a_replay_without_a_change_is_refused() -> None:
    found = change(as_replayed(drawn()[:1]))
    assert np.isnan(found[["change_low", "change_high", "order_sd"]].to_array()).all()
    with pytest.raises(DataError, match="the networks are twin; there must be a 'twin' and a 'branch'"):
        change(as_replayed(drawn()[:, :1]))
    with pytest.raises(DataError, match="without names"):
        change(as_replayed(drawn()).drop_vars("network"))


# --- takeover ---------------------------------------------------------------------------------------------------------------


def effects() -> np.ndarray:
    """Six units; unit 4 is lost in the branch, others in null branches; unit 2 takes over from step 20 on, in 4 of 5 orders."""
    x = 0.2 + 0.01 * drawn(6, nulls=30)
    x[:4, 1, 1:, 2] += 1.5
    x[:, 1, :, 4] = 0
    for null in range(30):
        x[:, 2 + null, :, null % 4] = 0
    return x


def test_the_unit_that_takes_over_is_found_with_its_step_and_its_orders() -> None:
    found = takeover(as_replayed(effects()), 4)
    assert found["rise_shown"].values.tolist() == [False, False, True, False, False, False]
    assert float(found["rise"][2]) == pytest.approx(1.2, abs=0.05)
    assert np.isnan(found["rise"][4])
    assert np.isnan(found["rise_p"][4])
    assert float(found["rise_p"][2]) == pytest.approx(1 / 31)
    assert float(found["by"][2]) == 20
    assert np.isnan(found["by"].values[[0, 1, 3, 4, 5]]).all()
    assert found["orders"].values.tolist() == [0, 0, 4, 0, 0, 0]
    assert found.attrs["lost_effect"] == pytest.approx(0.2, abs=0.02)


def test_the_null_is_the_largest_rise_of_any_unit_whichever_it_is() -> None:
    x = effects()
    x[:, 2:, 2, 5] += 2  # another unit rises in every null branch
    assert not takeover(as_replayed(x), 4)["rise_shown"].any()
    x = effects()
    x[:, 2:, 2, :4] += 2 * (x[:, 2:, 2, :4] == 0)  # a lost unit is none that works, whatever it did
    x[:, 0, 2, :4] -= 2
    assert takeover(as_replayed(x), 4).attrs["lost"] == [4]


def test_a_unit_that_is_beyond_the_null_only_on_the_way_has_no_step() -> None:
    x = effects()
    x[:, 1, 2, 2] -= 1.5
    found = takeover(as_replayed(x), 4)
    assert not found["rise_shown"].any()
    assert np.isnan(found["by"]).all()


def test_several_lost_units_and_units_that_are_not_there() -> None:
    found = takeover(as_replayed(effects()), (4, 0))
    assert np.isnan(found["rise"].values[[0, 4]]).all()
    assert found.attrs["lost_effect"] == pytest.approx(0.4, abs=0.03)
    for wrong in (6, -1, ()):
        with pytest.raises(HookError, match="units 0 to 5"):
            takeover(as_replayed(effects()), wrong)


# --- barriers ---------------------------------------------------------------------------------------------------------------


def lines(heights: np.ndarray, ends: tuple[float, float] = (0.0, 0.0)) -> xr.DataArray:
    """[fork, pair, share] with bumps of these heights [fork, pair] halfway between two ends."""
    share = np.linspace(0, 1, 5)
    bump = np.multiply.outer(heights, 4 * share * (1 - share))
    return xr.DataArray(
        bump + ends[0] * (1 - share) + ends[1] * share,
        {"step": ("fork", 60 * np.arange(len(heights)))},
        ("fork", "pair", "share"),
    )


def test_a_barrier_is_the_rise_above_the_line_between_the_ends() -> None:
    heights = np.random.default_rng(0).uniform(0.2, 0.4, (3, 8))
    heights[1:] *= 0.01
    found = barrier(lines(heights, (0.0, 0.1)))
    np.testing.assert_allclose(found["barrier"], heights.mean(1))
    expected = stats.ttest_rel(heights[0], heights[2]).confidence_interval(0.95)
    np.testing.assert_allclose([found["excess_low"][0], found["excess_high"][0]], expected)
    assert found["barrier_shown"].values.tolist() == [True, False, False]
    assert found.attrs["decided"] == 60
    assert float(found["barrier_p"][0]) < 0.02  # of 256 ways to swap 8 pairs one is as high
    assert float(found["barrier_p"][2]) == 1


def test_paths_below_the_line_are_no_barrier_and_equal_forks_decide_nothing() -> None:
    found = barrier(lines(-np.ones((2, 6))))
    assert found["barrier"].values.tolist() == [0, 0]
    assert np.isnan(found.attrs["decided"])


@pytest.mark.parametrize("sizes", [{"fork": [0]}, {"pair": [0]}, {"share": [0, 4]}])
def test_too_few_forks_pairs_or_shares_are_refused(sizes: dict[str, list[int]]) -> None:
    with pytest.raises(DataError, match="two forks, two pairs and three shares"):
        barrier(lines(np.ones((2, 4))).isel(sizes))
