"""The distance of an edited network from retrained ones, and the price of an edit, against other ways to compute them."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from neural_microscope.analysis import edits, similarity
from neural_microscope.errors import DataError, UnknownName

LABELS = np.arange(40) % 4


def logits(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("example", "class"), coords={"label": ("example", LABELS)})


def layer(values: np.ndarray) -> xr.DataArray:
    return xr.DataArray(values, dims=("example", "unit"))


def network(seed: int, common: np.ndarray, far: float = 1.0) -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(seed)
    values = common + far * rng.standard_normal((40, 4))
    return {"logits": logits(values), "layer": layer(values @ rng.standard_normal((4, 6)))}


COMMON = 2 * np.random.default_rng(9).standard_normal((40, 4))
RETRAINED = [network(seed, COMMON) for seed in range(8)]


def variation(a: xr.DataArray, b: xr.DataArray) -> float:
    p, q = (np.exp(one.values) / np.exp(one.values).sum(1, keepdims=True) for one in (a, b))
    return float(np.mean([max(abs((p - q)[i, list(s)].sum()) for s in SETS) for i in range(len(p))]))


SETS = [[c for c in range(4) if number >> c & 1] for number in range(1, 16)]
"""Every set of classes: the total variation is the largest difference of probability of any of them."""


def test_outputs_are_compared_by_total_variation_and_layers_by_the_librarys_cka() -> None:
    edited = network(20, COMMON)
    table = edits.distance_from_retrained(edited, RETRAINED)
    found = table["distances"]
    for number, other in enumerate(RETRAINED):
        assert float(found.sel(layer="logits")[number]) == pytest.approx(variation(edited["logits"], other["logits"]))
        cka = float(similarity.cka(edited["layer"], other["layer"], draws=1)["cka"])
        assert float(found.sel(layer="layer")[number]) == pytest.approx(1 - cka)
    pairs = [variation(RETRAINED[i]["logits"], RETRAINED[j]["logits"]) for i in range(8) for j in range(i)]
    assert float(table["own"][0]) == pytest.approx(np.mean(pairs))
    assert float(table["own_max"][0]) == pytest.approx(max(pairs))
    assert np.allclose(table["within"], table["limit"] - table["distance"])
    assert np.allclose(table["excess"], table["distance"] - table["own"])


def test_a_network_like_them_lies_within_and_a_far_one_beyond_their_spread() -> None:
    random = [network(seed, COMMON, far=8) for seed in range(100, 139)]
    like = edits.distance_from_retrained({"logits": network(20, COMMON, 0.9)["logits"]}, RETRAINED, random)
    assert like["within_shown"].all()
    assert not like["excess_shown"].any()
    far = edits.distance_from_retrained({"logits": network(20, COMMON, 2)["logits"]}, RETRAINED, random)
    assert not far["within_shown"].any()
    assert far["excess_shown"].all()
    assert float(far["limit_p"][0]) > 0.5


def test_nothing_is_within_that_random_edits_reach_too() -> None:
    """As near as the retrained networks, and no nearer than random edits; or without any to compare."""
    random = [network(seed, COMMON) for seed in range(100, 139)]
    edited = {"logits": network(20, COMMON, 0.9)["logits"]}
    assert not edits.distance_from_retrained(edited, RETRAINED, [*random, edited])["within_shown"].any()
    without = edits.distance_from_retrained(edited, RETRAINED)
    assert np.isnan(without["within_p"]).all()
    assert not without["within_shown"].any()
    assert float(without["limit_p"][0]) < 0.05


def test_the_p_of_the_limit_is_students() -> None:
    table = edits.distance_from_retrained(network(20, COMMON), RETRAINED)
    for place in range(2):
        p = stats.ttest_1samp(table["distances"][place], float(table["limit"][place]), alternative="less").pvalue
        assert float(table["limit_p"][place]) == pytest.approx(p)


def test_one_more_retrained_network_is_beyond_at_the_declared_rate() -> None:
    """Also with four networks, whose own parts are mixed most with those of the others."""
    for count in (4, 8):
        alarms = []
        for seed in range(0, 6000, 20):
            first, *rest = (network(seed + i, COMMON) for i in range(count + 1))
            alarms.append(bool(edits.distance_from_retrained({"logits": first["logits"]}, rest)["excess_shown"][0]))
        assert np.mean(alarms) < 0.09


def test_a_constant_layer_has_no_distance() -> None:
    still = {"layer": layer(np.ones((40, 3)))}
    table = edits.distance_from_retrained(still, RETRAINED, [network(1, COMMON)])
    assert np.isnan(table["distance"]).all()
    assert not table["within_shown"].any()


def test_what_can_not_be_compared_is_refused() -> None:
    edited = network(20, COMMON)
    with pytest.raises(DataError, match="2 retrained networks came; their spread needs 3"):
        edits.distance_from_retrained(edited, RETRAINED[:2])
    with pytest.raises(DataError, match="there are no layers"):
        edits.distance_from_retrained({}, RETRAINED)
    with pytest.raises(UnknownName, match="no layer 'other'; there are"):
        edits.distance_from_retrained({"other": edited["layer"]}, RETRAINED)
    with pytest.raises(DataError, match="same images"):
        edits.distance_from_retrained({"layer": edited["layer"][:30]}, RETRAINED)


def sure(moved: list[int]) -> xr.DataArray:
    values = 5 * np.eye(4)[LABELS]
    values[moved] = np.roll(values[moved], 1, axis=1)
    return logits(values)


GOAL = np.where(LABELS == 2, 2, -1)


def test_the_price_is_what_counting_gives() -> None:
    """Of 10 images of class 2, six are moved, of the 30 others three."""
    table = edits.edit_price(sure([]), sure([2, 6, 10, 14, 18, 22, 0, 1, 3]), GOAL)
    assert float(table["share_before"]) == 1
    assert float(table["share"]) == pytest.approx(0.4)
    assert float(table["gain"]) == pytest.approx(0.6)
    assert float(table["accuracy_drop"]) == pytest.approx(0.1)
    assert float(table["net_gain"]) == pytest.approx(0.5)
    assert float(table["loss_increase"]) == pytest.approx(0.1 * 5)
    assert table.attrs["n_about"] == 10
    assert np.isnan(table["gain_p"])
    low, high = stats.t.interval(0.95, 9, 0.6, stats.sem([1] * 6 + [0] * 4))
    assert (float(table["gain_low"]), float(table["gain_high"])) == (pytest.approx(low), pytest.approx(high))


def test_an_edit_that_destroys_everything_gains_but_not_beyond_what_it_costs() -> None:
    ruined = [*range(40)]
    random = xr.concat([sure(ruined[i:]) for i in range(40)], "draw")
    table = edits.edit_price(sure([]), sure(ruined), GOAL, random)
    assert float(table["gain"]) == 1
    assert float(table["net_gain"]) == 0
    assert not table["net_gain_shown"]
    assert not table["loss_increase_shown"]
    exact = edits.edit_price(sure([]), sure([*range(2, 40, 4)]), GOAL, random)
    assert exact["net_gain_shown"]
    assert exact["loss_increase_shown"]


def test_an_edit_about_nothing_has_a_price_and_no_gain() -> None:
    table = edits.edit_price(sure([]), sure([0]), np.full(40, -1))
    assert np.isnan(table["gain"])
    assert float(table["accuracy_drop"]) == pytest.approx(1 / 40)


def test_prices_of_other_things_are_refused() -> None:
    for goal in (GOAL[:-1], GOAL.astype(float), np.where(LABELS == 2, 4, -1)):
        with pytest.raises(DataError, match="goal must be the number of a class, or -1, for each of 40 images"):
            edits.edit_price(sure([]), sure([]), goal)
    with pytest.raises(DataError, match="logits of 4 and 3 classes"):
        edits.edit_price(sure([]), sure([])[:, :3], GOAL)
    with pytest.raises(DataError, match="logits of random edits"):
        edits.edit_price(sure([]), sure([]), GOAL, sure([])[:, :3].expand_dims("draw"))
