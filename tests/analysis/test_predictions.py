"""Predictions against scikit-learn, scipy, torch and histories written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, confusion_matrix

from neural_microscope.analysis import predictions
from neural_microscope.errors import DataError

STEPS = [0, 1, 4, 16, 64]


def named(values: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    """Logits [example, class], or [snapshot, example, class] with steps."""
    coords: dict[str, Any] = {"label": ("example", labels)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", STEPS[: len(values)])
    return xr.DataArray(values, dims=("snapshot", "example", "class")[-values.ndim :], coords=coords, name="logits")


def made_up(seed: int = 0, examples: int = 100, classes: int = 4) -> xr.DataArray:
    """Logits that come closer to the labels, one class sooner than the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, examples)
    toward = np.linspace(0, 3, len(STEPS))[:, None] * (1 + (labels == 1))
    return named(rng.normal(size=(len(STEPS), examples, classes)) + toward[..., None] * np.eye(classes)[labels], labels)


def history(right: np.ndarray, labels: np.ndarray) -> xr.DataArray:
    """Logits of two classes, classified correctly where ``right`` [snapshot, example] is True."""
    said = np.where(right, labels, 1 - labels)
    return named(np.eye(2)[said], labels)


def test_confusion_is_scikit_learns() -> None:
    logits = made_up()
    labels, last = logits["label"].values, logits.values[-1]
    table = predictions.confusion(logits.isel(snapshot=-1))
    np.testing.assert_array_equal(table["images"], confusion_matrix(labels, last.argmax(1)))
    assert table.attrs["n_right"] == (last.argmax(1) == labels).sum()
    np.testing.assert_array_equal(predictions.confusion(logits)["images"], table["images"])
    over_time = predictions.confusion_over_time(logits)
    for values, count, accuracy in zip(logits.values, over_time["images"], over_time["accuracy"], strict=True):
        np.testing.assert_array_equal(count, confusion_matrix(labels, values.argmax(1), labels=range(4)))
        assert float(accuracy) == (values.argmax(1) == labels).mean()
    assert not over_time["images"].diff("snapshot").sum("predicted").any()


@pytest.mark.parametrize(
    "measure",
    [
        predictions.confusion,
        predictions.confusion_over_time,
        predictions.margins,
        predictions.learning_order,
        predictions.calibration_error,
    ],
)
def test_logits_that_could_mislead_are_refused(measure: Callable[[xr.DataArray], xr.Dataset]) -> None:
    with pytest.raises(DataError, match="diverged"):
        measure(made_up().where(made_up()["class"] != 1))
    with pytest.raises(DataError, match="label"):
        measure(made_up().drop_vars("label"))
    with pytest.raises(DataError, match="labels go up to 3"):
        measure(made_up().isel({"class": slice(0, 2)}))
    with pytest.raises(DataError, match=r"they must be .*example, class\]"):
        measure(made_up().rename({"class": "unit"}))


def test_margins_are_what_torch_says() -> None:
    logits = made_up()
    table = predictions.margins(logits)
    values, labels = torch.tensor(logits.values), torch.tensor(logits["label"].values)
    for i, moment in enumerate(values):
        loss = torch.nn.functional.cross_entropy(moment, labels, reduction="none")
        np.testing.assert_allclose(table["loss"][i], loss, atol=1e-12)
        np.testing.assert_allclose(table["probability"][i], moment.softmax(1)[range(100), labels], atol=1e-12)
        others = moment.masked_fill(torch.nn.functional.one_hot(labels, 4).bool(), -torch.inf).max(1).values
        np.testing.assert_allclose(table["margin"][i], moment[range(100), labels] - others, atol=1e-12)
    assert table["right"].dims == ("snapshot", "example")
    np.testing.assert_array_equal(table["right"], table["margin"] > 0)
    one = predictions.margins(logits.isel(snapshot=2))
    assert one["margin"].dims == ("example",)
    np.testing.assert_array_equal(one["margin"], table["margin"][2])


def test_a_very_sure_network_has_finite_margins_and_a_loss_of_at_least_0() -> None:
    table = predictions.margins(named(np.array([[4000.0, 0.0], [4000.0, 0.0], [0.0, 0.0]]), np.array([0, 1, 0])))
    assert table["loss"].values.tolist() == [0, 4000, pytest.approx(np.log(2))]
    assert table["margin"].values.tolist() == [4000, -4000, 0]
    assert table["right"].values.tolist() == [True, False, True]


def test_a_history_written_by_hand_is_read_back() -> None:
    right = np.array(
        [
            [1, 1, 1, 1, 1],  # right from the start
            [0, 0, 1, 1, 1],  # learned at step 4
            [0, 1, 0, 1, 1],  # forgotten once
            [1, 0, 1, 0, 1],  # twice
            [0, 0, 0, 0, 0],  # never right
            [0, 1, 1, 1, 0],  # right in between
        ],
        bool,
    ).T
    labels = np.array([0, 0, 0, 1, 1, 1])
    table = predictions.learning_order(history(right, labels))
    np.testing.assert_array_equal(table["right"], right)
    np.testing.assert_array_equal(table["said"] == labels, right)
    np.testing.assert_array_equal(table["first_right"], [0, 4, 1, 0, np.nan, 1])
    np.testing.assert_array_equal(table["learned_at"], [0, 4, 16, 64, np.nan, np.nan])
    assert table["forgotten"].values.tolist() == [0, 0, 1, 2, 0, 1]
    np.testing.assert_array_equal(
        table["class_learned_at"], [4, np.nan]
    )  # of class 1, one image in three is ever learned


def test_the_share_between_classes_is_kruskal_and_walliss_h() -> None:
    table = predictions.learning_order(made_up(), draws=10)
    learned = table["learned_at"].fillna(np.inf).values
    groups = [learned[table["label"].values == c] for c in range(4)]
    h = stats.kruskal(*(stats.rankdata(learned)[table["label"].values == c] for c in range(4))).statistic
    assert float(table["between"]) == pytest.approx(h / 99)
    ranks = stats.rankdata(learned)
    expected = [(ranks[table["label"].values == c].mean() - 0.5) / 100 for c in range(len(groups))]
    np.testing.assert_allclose(table["class_order"], expected)


def test_a_class_that_is_learned_sooner_is_found() -> None:
    table = predictions.learning_order(made_up(examples=400))
    assert float(table["between_p"]) == 1 / 201
    assert float(table["between"]) > float(table["between_null_high"])
    assert float(table["class_order"][1]) < float(table["class_order_null_low"][1])
    assert float(table["class_order_q"][1]) < 0.05
    assert float(table["class_order_low"][1]) < float(table["class_order"][1]) < float(table["class_order_high"][1])
    assert float(table["class_learned_at"][1]) < float(table["class_learned_at_null_low"][1])


def test_histories_that_have_nothing_to_do_with_the_classes_raise_no_more_alarms_than_declared() -> None:
    alarms = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = np.arange(60) % 2
        alarms.append(
            predictions.learning_order(history(rng.random((5, 60)) < 0.7, labels), draws=59, seed=seed)["between_p"]
            < 0.05
        )
    assert np.mean(alarms) <= 0.12  # 5% declared; 12 of 100 or fewer come by chance in 99.9% of such tests


def test_when_all_is_learned_at_once_or_a_class_is_empty_the_order_is_nan() -> None:
    at_once = predictions.learning_order(history(np.ones((5, 6), bool), np.arange(6) % 2))
    assert np.isnan(at_once["between"])
    assert np.isnan(at_once["between_p"])
    np.testing.assert_array_equal(at_once["class_order"], [0.5, 0.5])
    empty = predictions.learning_order(made_up().where(made_up()["label"] != 2, drop=True))
    for name in ("class_order", "class_order_low", "class_order_p", "class_order_null_high", "class_learned_at"):
        assert np.isnan(empty[name][2])
        assert not np.isnan(empty[name][3])


def test_an_order_needs_snapshots() -> None:
    with pytest.raises(DataError, match="snapshot"):
        predictions.learning_order(made_up().isel(snapshot=-1))


def test_calibration_is_its_definition_written_out() -> None:
    logits = made_up(examples=103).isel(snapshot=3)
    table = predictions.calibration_error(logits, bins=10, draws=20)
    chances, labels = softmax(logits.values, 1), logits["label"].values
    order = np.argsort(chances.max(1))
    parts = np.array_split(order, 10)
    gaps = np.array([abs((chances[p].argmax(1) == labels[p]).mean() - chances[p].max(1).mean()) for p in parts])
    assert float(table["ece"]) == pytest.approx((gaps * [len(p) for p in parts]).sum() / 103)
    np.testing.assert_array_equal(table["images"], [len(p) for p in parts])
    one_hot = np.eye(4)[labels]
    assert float(table["brier"]) == pytest.approx(((chances - one_hot) ** 2).sum(1).mean())
    two = named(logits.values[:, :2], labels % 2)
    expected = brier_score_loss(labels % 2, softmax(two.values, 1)[:, 1])
    assert float(predictions.calibration_error(two)["brier"]) == pytest.approx(2 * expected)


def test_every_snapshot_is_calibrated_by_itself() -> None:
    logits = made_up()
    over_time, last = predictions.calibration_error(logits), predictions.calibration_error(logits.isel(snapshot=-1))
    assert over_time["accuracy_null_low"].dims == ("snapshot", "bin")
    assert over_time["ece"].dims == ("snapshot",)
    assert last["ece"].dims == ()
    for name in ("ece", "brier", "accuracy", "confidence"):
        np.testing.assert_array_equal(over_time[name][-1], last[name])


def drawn(seed: int, temperature: float = 1.0, examples: int = 2000) -> xr.DataArray:
    """Logits whose labels come from their own probabilities, then sharpened."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(examples, 5))
    labels = (rng.random((examples, 1)) > softmax(logits, 1).cumsum(1)[:, :-1]).sum(1)
    return named(logits / temperature, labels)


def test_a_perfectly_calibrated_network_lies_within_its_null_and_an_overconfident_one_does_not() -> None:
    perfect = predictions.calibration_error(drawn(1))
    assert float(perfect["ece_p"]) > 0.05
    assert float(perfect["brier_p"]) > 0.05
    assert float(perfect["ece_null_low"]) < float(perfect["ece"]) < float(perfect["ece_null_high"])
    inside = (perfect["accuracy"] >= perfect["accuracy_null_low"]) & (
        perfect["accuracy"] <= perfect["accuracy_null_high"]
    )
    assert inside.mean() >= 0.8
    sure = predictions.calibration_error(drawn(1, temperature=0.3))
    assert float(sure["ece_p"]) == 1 / 201
    assert float(sure["brier_p"]) == 2 / 201
    assert float(sure["ece"]) > float(sure["ece_null_high"])


def test_the_null_is_the_mean_a_calibrated_network_would_show() -> None:
    logits = drawn(2)
    chances = softmax(logits.values, 1)
    table = predictions.calibration_error(logits, draws=1000)
    expected = (1 - (chances**2).sum(1)).mean()  # E|p - y|² with y drawn from p
    assert float(table["brier_null_low"]) < expected < float(table["brier_null_high"])
    middle = (table["accuracy_null_low"] + table["accuracy_null_high"]) / 2
    np.testing.assert_allclose(middle, table["confidence"], atol=0.02)


def test_more_groups_than_images_are_refused() -> None:
    with pytest.raises(DataError, match="bins is 15"):
        predictions.calibration_error(made_up(examples=10))
