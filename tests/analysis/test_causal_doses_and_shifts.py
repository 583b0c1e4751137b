"""Dose and response, confusion shifts and cumulative ablation against loops written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import trapezoid
from sklearn.metrics import confusion_matrix, log_loss

import neural_microscope as nm
from neural_microscope.analysis import causal
from neural_microscope.errors import DataError, HookError, UnknownName

LAYER = "layers.0.hook_post"


@pytest.fixture(scope="module")
def digits() -> nm.data.ImageSet:
    return nm.data.load("digits").test.subset(slice(0, 120))


@pytest.fixture(scope="module")
def mlp() -> nm.MLP:
    """Trained for a moment, so that its units matter."""
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)), seed=1)
    nm.train(model, nm.data.load("digits"), nm.TrainConfig(epochs=3, batch_size=32, learning_rate=0.01))
    return model


@pytest.fixture(scope="module")
def cnn() -> nm.CNN:
    return nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(4, 3), head=(5,)), seed=1)


def answers(model: nm.MLP | nm.CNN, images: nm.data.ImageSet, hooks: list) -> np.ndarray:
    with torch.no_grad():
        return model.run_with_hooks(images.tensor(), fwd_hooks=hooks).numpy()


def loss(logits: np.ndarray, labels: np.ndarray) -> float:
    p = torch.from_numpy(logits).double().softmax(1).numpy()
    return float(log_loss(labels, p, labels=range(10)))


def scaled(unit: int | list[int], factor: float) -> list:
    return [(LAYER, nm.interventions.scale(factor, unit=unit))]


def test_a_dose_is_the_forward_pass_with_the_unit_scaled(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    table = causal.dose_response(mlp, digits, LAYER, 4)
    base = answers(mlp, digits, [])
    for number, factor in enumerate(table["factor"].values):
        logits = answers(mlp, digits, scaled(4, factor))
        expected = loss(logits, digits.labels) - loss(base, digits.labels)
        assert float(table["loss_increase"][number]) == pytest.approx(expected, abs=1e-6)
        assert float(table["accuracy"][number]) == pytest.approx((logits.argmax(1) == digits.labels).mean())
        np.testing.assert_allclose(table["logits"][number], logits.mean(0), atol=1e-5)
        threes = digits.labels == 3
        assert float(table["accuracy_by_class"][number, 3]) == pytest.approx((logits.argmax(1) == 3)[threes].mean())


@pytest.mark.parametrize("factors", [(0, 0.5, 1, 3), (-1, 0, 1, 2)])
def test_scaled_channels_pass_the_pooling_as_in_the_forward_pass(
    cnn: nm.CNN, digits: nm.data.ImageSet, factors: tuple[float, ...]
) -> None:
    table = causal.dose_response(cnn, digits, LAYER, [1, 2], factors=factors)
    for number, factor in enumerate(factors):
        logits = answers(cnn, digits, [(LAYER, nm.interventions.scale(factor, channel=[1, 2]))])
        np.testing.assert_allclose(table["logits"][number], logits.mean(0), atol=1e-6)


def test_its_null_is_the_other_units_scaled_alike(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    table = causal.dose_response(mlp, digits, LAYER, 4, factors=(0, 2))
    base = loss(answers(mlp, digits, []), digits.labels)
    others = [
        [loss(answers(mlp, digits, scaled(u, f)), digits.labels) - base for f in (0, 2)] for u in range(12) if u != 4
    ]
    np.testing.assert_allclose(table["loss_increase_null_low"], np.percentile(others, 2.5, axis=0), atol=1e-6)
    np.testing.assert_allclose(table["loss_increase_null_high"], np.percentile(others, 97.5, axis=0), atol=1e-6)
    p = (1 + (np.array(others) >= table["loss_increase"].values).sum(0)) / 12
    np.testing.assert_allclose(table["loss_increase_p"], p)


def test_factor_one_changes_exactly_nothing_and_a_dead_unit_never_does(
    mlp: nm.MLP, cnn: nm.CNN, digits: nm.data.ImageSet
) -> None:
    for model in (mlp, cnn):
        alive = int(np.abs(causal.ablate_all(model, digits, LAYER, draws=1)["loss_increase"].values).argmax())
        table = causal.dose_response(model, digits, LAYER, alive, factors=(0, 1, 3))
        assert float(table["loss_increase"][1]) == 0
        assert float(table["loss_increase_null_high"][1]) == 0
        assert float(abs(table["loss_increase"][0])) > 0
    dead = nm.MLP(mlp.config, seed=1)
    torch.nn.init.constant_(dead.layers[0].linear.bias, -50)
    assert (causal.dose_response(dead, digits, LAYER, 3)["loss_increase"] == 0).all()


def test_several_units_are_scaled_together_beside_random_sets_as_large(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    table = causal.dose_response(mlp, digits, LAYER, [1, 5, 7], factors=(0.5,), draws=9)
    change = loss(answers(mlp, digits, scaled([1, 5, 7], 0.5)), digits.labels) - loss(
        answers(mlp, digits, []), digits.labels
    )
    assert float(table["loss_increase"][0]) == pytest.approx(change, abs=1e-6)
    assert table.attrs["null"].startswith("9 ")


def test_what_can_not_be_scaled_is_refused_and_without_others_there_is_no_null(
    mlp: nm.MLP, digits: nm.data.ImageSet
) -> None:
    for wrong in (12, -1, [], [2, 2]):
        with pytest.raises(HookError, match="units 0 to 11"):
            causal.dose_response(mlp, digits, LAYER, wrong)
    with pytest.raises(UnknownName, match="did you mean"):
        causal.dose_response(mlp, digits, "layers.0.hook_pots", 1)
    everything = causal.dose_response(mlp, digits, LAYER, range(12), factors=(0, 1))
    assert np.isnan(everything["loss_increase_p"]).all()
    assert np.isnan(everything["loss_increase_null_low"]).all()


@pytest.mark.parametrize("factors", [(), (1, np.nan), (np.inf,)])
def test_doses_are_numbers(mlp: nm.MLP, digits: nm.data.ImageSet, factors: tuple[float, ...]) -> None:
    with pytest.raises(DataError, match="one or more, all finite"):
        causal.dose_response(mlp, digits, LAYER, 4, factors=factors)


def test_a_shift_is_the_difference_of_two_confusion_tables(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    hooks = [(LAYER, nm.interventions.zero(unit=[1, 2, 3]))]
    table = causal.confusion_shift(mlp, digits, hooks, size=3, draws=30)
    tables = [confusion_matrix(digits.labels, answers(mlp, digits, h).argmax(1), labels=range(10)) for h in (hooks, [])]
    np.testing.assert_array_equal(table["shift"], tables[0] - tables[1])
    assert (table["shift"].sum("predicted") == 0).all()
    read = [answers(mlp, digits, h).argmax(1) for h in (hooks, [])]
    assert float(table["moved"]) == np.mean(read[0] != read[1]) > 0
    assert "30 times 3 random units" in table.attrs["null"]


def test_a_shift_stands_beside_those_of_single_random_units(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    table = causal.confusion_shift(mlp, digits, [(LAYER, nm.interventions.zero(unit=2))])
    base = answers(mlp, digits, []).argmax(1)
    cut = [answers(mlp, digits, scaled(u, 0)).argmax(1) for u in range(12)]
    moved = np.array([np.mean(c != base) for c in cut])
    assert float(table["moved_null_high"]) == pytest.approx(np.percentile(moved, 97.5))
    assert float(table["moved_p"]) == pytest.approx((1 + (moved >= moved[2]).sum()) / 13)
    shifts = [
        confusion_matrix(digits.labels, c, labels=range(10)) - confusion_matrix(digits.labels, base, labels=range(10))
        for c in cut
    ]
    np.testing.assert_allclose(table["shift_null_high"], np.percentile(shifts, 97.5, axis=0))


def test_nothing_changed_shifts_nothing_and_filters_have_no_null(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    table = causal.confusion_shift(mlp, digits, [(lambda name: name == LAYER, nm.interventions.scale(1.0))])
    assert (table["shift"] == 0).all()
    assert float(table["moved"]) == 0
    assert np.isnan(table["moved_p"])
    assert "give hook_point=" in table.attrs["null"]


def test_cumulative_ablation_is_the_forward_pass_with_the_first_units_cut(
    mlp: nm.MLP, digits: nm.data.ImageSet
) -> None:
    layers = [LAYER, "layers.1.hook_post"]
    order = np.random.default_rng(3).permutation(18)
    table = causal.cumulative_ablation(mlp, digits, layers, {"mixed": order}, shares=(0, 0.25, 0.5, 1), draws=3)
    expected = []
    for count in (0, 4, 9, 18):
        cut = order[:count]
        hooks = [
            (layer, nm.interventions.zero(unit=[int(u) for u in units]))
            for layer, units in ((layers[0], cut[cut < 12]), (layers[1], cut[cut >= 12] - 12))
            if len(units)
        ]
        expected.append(np.mean(answers(mlp, digits, hooks).argmax(1) == digits.labels))
    np.testing.assert_allclose(table["accuracy"].sel(order="mixed"), expected)
    assert float(table["auc"][0]) == pytest.approx(trapezoid(expected, [0, 0.25, 0.5, 1]))
    drawn = table["random_auc"].values
    assert float(table["auc_null_low"]) == pytest.approx(np.percentile(drawn, 2.5))
    assert (table["random_accuracy"][:, 0] == expected[0]).all()
    assert (table["random_accuracy"][:, -1] == expected[-1]).all()


def test_cumulative_ablation_takes_hook_points_in_any_order(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    first, second = LAYER, "layers.1.hook_post"
    order = np.random.default_rng(3).permutation(18)
    there = causal.cumulative_ablation(mlp, digits, [first, second], {"mixed": order}, draws=1)
    back = causal.cumulative_ablation(mlp, digits, [second, first], {"mixed": (order + 6) % 18}, draws=1)
    np.testing.assert_array_equal(there["accuracy"], back["accuracy"])


def test_by_layer_every_order_ablates_the_same_share_of_each_layer(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    layers, shares = [LAYER, "layers.1.hook_post"], (0, 0.25, 0.5, 1)
    first, second = np.random.default_rng(3).permutation(12), np.random.default_rng(4).permutation(6)
    orders = {"first": [*first, *(second + 12)], "last": [*(second + 12), *first]}
    table = causal.cumulative_ablation(mlp, digits, layers, orders, shares=shares, by_layer=True, draws=3)
    expected = []
    for a, b in ((0, 0), (3, 2), (6, 3), (12, 6)):  # of 12 and of 6
        cut = ((layers[0], first[:a]), (layers[1], second[:b]))
        hooks = [(name, nm.interventions.zero(unit=units.tolist())) for name, units in cut if len(units)]
        expected.append(np.mean(answers(mlp, digits, hooks).argmax(1) == digits.labels))
    np.testing.assert_allclose(table["accuracy"], [expected, expected])
    assert table.attrs["null"] == "3 random orders, each with the same share of every layer"
    mixed = causal.cumulative_ablation(mlp, digits, layers, orders, shares=shares, draws=3)
    assert (mixed["accuracy"][0] != mixed["accuracy"][1]).any()
    alone = [causal.cumulative_ablation(mlp, digits, LAYER, by_layer=one, draws=3) for one in (True, False)]
    np.testing.assert_array_equal(*(one["random_accuracy"] for one in alone))


def test_random_orders_by_layer_take_units_of_every_layer(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    """Half of each layer in every draw: its accuracy is that of some half of the first with some half of the second."""
    layers = [LAYER, "layers.1.hook_post"]
    table = causal.cumulative_ablation(mlp, digits, layers, shares=(0, 0.5, 1), by_layer=True, draws=4, seed=5)
    rng = np.random.default_rng(5)
    for draw in range(4):
        order = rng.permutation(18)
        cut = ((layers[0], order[order < 12][:6]), (layers[1], order[order >= 12][:3] - 12))
        hooks = [(name, nm.interventions.zero(unit=units.tolist())) for name, units in cut]
        right = answers(mlp, digits, hooks).argmax(1) == digits.labels
        assert float(table["random_accuracy"][draw, 1]) == pytest.approx(right.mean())


def test_the_order_by_effect_does_more_harm_than_chance(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    effect = causal.ablate_all(mlp, digits, LAYER, draws=1)["loss_increase"].values
    orders = {"costly first": np.argsort(-effect), "costly last": np.argsort(effect)}
    table = causal.cumulative_ablation(mlp, digits, LAYER, orders, draws=60)
    assert float(table["auc"].sel(order="costly first")) < float(table["auc_null_low"])
    assert float(table["auc"].sel(order="costly last")) > float(table["auc_null_high"])
    assert (table["auc_q"] < 0.05).all()


def test_channels_are_cut_as_whole_maps(cnn: nm.CNN, digits: nm.data.ImageSet) -> None:
    table = causal.cumulative_ablation(cnn, digits, LAYER, {"first": [2, 0, 1, 3]}, shares=(0, 0.5, 1), draws=1)
    hooks = [(LAYER, nm.interventions.zero(channel=[2, 0]))]
    assert float(table["accuracy"][0, 1]) == np.mean(answers(cnn, digits, hooks).argmax(1) == digits.labels)


def test_what_is_no_order_is_refused(mlp: nm.MLP, digits: nm.data.ImageSet) -> None:
    for wrong in ([0, 1], list(range(1, 13)), [0] * 12):
        with pytest.raises(DataError, match="'mine'"):
            causal.cumulative_ablation(mlp, digits, LAYER, {"mine": wrong})
    for shares in ((0,), (0, 0.5), (0.1, 1), (0, 1, 1)):
        with pytest.raises(DataError, match="rise from 0 to 1"):
            causal.cumulative_ablation(mlp, digits, LAYER, shares=shares)


def test_any_module_can_be_asked(digits: nm.data.ImageSet) -> None:
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 5), torch.nn.ReLU(inplace=True), torch.nn.Linear(5, 10)
    )
    tables: list[xr.Dataset] = [
        causal.dose_response(net, digits, "2.hook_out", 1),
        causal.confusion_shift(net, digits, [("2.hook_out", nm.interventions.zero(unit=1))]),
        causal.cumulative_ablation(net, digits, "2.hook_out"),
        causal.ablate_directions(net, digits, "2.hook_out", draws=3),
    ]
    assert all(table.attrs["n_examples"] == 120 and table.attrs["source"] and table.attrs["null"] for table in tables)
