"""Linear probes against scikit-learn by hand, planted labels and labels that say nothing."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from sklearn.linear_model import LogisticRegression

import neural_microscope as nm
from neural_microscope.analysis import probes
from neural_microscope.errors import DataError
from neural_microscope.statistics import halves

LABELS = np.arange(300) % 3


def acts(strength: float | list[float], seed: int = 0, labels: np.ndarray = LABELS, units: int = 8) -> xr.DataArray:
    """Noise with the class added to the first units; a list of strengths gives as many snapshots."""
    rng = np.random.default_rng(seed)
    planted = np.eye(labels.max() + 1, units)[labels]
    values = np.stack([s * planted + rng.normal(size=planted.shape) for s in np.atleast_1d(strength)])
    coords: dict[str, Any] = {"label": ("example", labels), "step": ("snapshot", 2 ** np.arange(len(values)) - 1)}
    array = xr.DataArray(values, dims=("snapshot", "example", "unit"), coords=coords, name="layers.0.hook_post")
    return array if isinstance(strength, list) else array.isel(snapshot=0)


@pytest.fixture(scope="module")
def digits() -> xr.DataArray:
    """A random layer's answer to real digits."""
    images = nm.data.load("digits").test
    model = nm.MLP(nm.MLPConfig(image_shape=images.image_shape, hidden=(24,)), seed=0)
    return nm.activations(model, images, "layers.0.hook_post")["layers.0.hook_post"]


def test_both_accuracies_are_those_of_scikit_learns_logistic_regression_on_standardized_halves(
    digits: xr.DataArray,
) -> None:
    train, judge = halves(digits["label"].values, key=digits.values)
    x, y = digits.values.astype(float), digits["label"].values
    scale = np.where(x[train].std(0) > 0, x[train].std(0), 1)
    z = (x - x[train].mean(0)) / scale
    by_hand = LogisticRegression(C=1.0, solver="newton-cholesky", max_iter=100).fit(z[train], y[train])
    table = probes.linear_probe(digits, controls=1, draws=10)
    one = 1.01 / len(judge)  # another solver may put one image on the other side
    assert float(table["accuracy"]) == pytest.approx(by_hand.score(z[judge], y[judge]), abs=one)
    assert float(table["accuracy_train"]) == pytest.approx(by_hand.score(z[train], y[train]), abs=one)
    assert table.attrs["n_judged"] == len(judge)


def test_the_order_of_the_images_changes_nothing(digits: xr.DataArray) -> None:
    again = digits.isel(example=np.random.default_rng(1).permutation(digits.sizes["example"]))
    first, second = (probes.linear_probe(one, controls=1, draws=9) for one in (digits, again))
    xr.testing.assert_identical(first, second)


def test_a_planted_label_is_read_as_well_as_the_best_possible_rule() -> None:
    """Two Gaussians 2 d apart along one unit: the best rule is right with probability Phi(d)."""
    labels = np.arange(6000) % 2
    x = np.random.default_rng(1).normal(size=(6000, 5)) + np.outer(np.where(labels, 1, -1), [1.2, 0, 0, 0, 0])
    table = probes.linear_probe(
        xr.DataArray(x, dims=("example", "unit"), coords={"label": ("example", labels)}), controls=1
    )
    assert float(table["accuracy"]) == pytest.approx(stats.norm.cdf(1.2), abs=0.012)
    assert float(table["accuracy_low"]) < stats.norm.cdf(1.2) < float(table["accuracy_high"])
    assert float(table["accuracy_p"]) == pytest.approx(1 / 501)


def test_what_training_added_is_the_gain_over_the_first_snapshot() -> None:
    table = probes.linear_probe(acts([0.0, 0.0, 3.0]), controls=1, draws=99)
    accuracy = table["accuracy"].values
    np.testing.assert_allclose(table["gain"], accuracy - accuracy[0], atol=1e-12)
    assert float(table["gain_low"][2]) > 0.4
    assert float(table["gain_low"][1]) < 0 < float(table["gain_high"][1])
    assert (table["accuracy_q"].values < 0.05).tolist() == [False, False, True]
    assert table["step"].values.tolist() == [0, 1, 3]
    assert "gain" not in probes.linear_probe(acts(3.0), controls=1, draws=9)


def test_control_labels_can_be_memorized_but_not_generalized() -> None:
    """With more units than training examples any labels are memorized; the judging half stays at chance."""
    table = probes.linear_probe(acts(3.0, units=400), controls=4, draws=99)
    assert float(table["control_train"]) > 0.99
    assert abs(float(table["control_test"]) - 1 / 3) < 0.1
    assert float(table["selectivity"]) == pytest.approx(float(table["accuracy"] - table["control_test"]))
    assert float(table["selectivity_low"]) < float(table["selectivity"]) < float(table["selectivity_high"])
    narrow = probes.linear_probe(acts(3.0, units=3), controls=4, draws=99)
    assert float(narrow["control_train"]) < 0.55


def test_any_property_of_an_image_can_be_probed() -> None:
    layer = acts(4.0)
    parity = probes.linear_probe(layer, layer["label"].values == 1, controls=1, draws=99)
    names = np.array(["none", "one", "two"])[LABELS]
    assert float(parity["accuracy"]) > 0.95
    assert float(parity["chance"]) == pytest.approx(2 / 3)
    np.testing.assert_array_equal(
        probes.linear_probe(layer, names, controls=1, draws=99)["accuracy"],
        probes.linear_probe(layer, controls=1, draws=99)["accuracy"],
    )


def test_labels_that_say_nothing_lie_within_their_null() -> None:
    found = [probes.linear_probe(acts(0.0, seed), controls=1, draws=99, seed=seed) for seed in range(40)]
    inside = [t["accuracy_null_low"] <= t["accuracy"] <= t["accuracy_null_high"] for t in found]
    assert np.mean(inside) >= 0.85
    assert np.mean([float(t["accuracy_p"]) < 0.05 for t in found]) <= 0.15


def test_constant_activations_say_the_commonest_label_and_raise_no_warning() -> None:
    labels = np.array([0] * 60 + [1] * 30)
    layer = xr.DataArray(np.full((90, 4), 0.1), dims=("example", "unit"), coords={"label": ("example", labels)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = probes.linear_probe(layer, controls=2, draws=39)
    assert float(table["accuracy"]) == float(table["chance"]) == pytest.approx(2 / 3)
    assert float(table["accuracy_p"]) == 1


def test_channels_whole_maps_and_logits_are_probed_flattened() -> None:
    images = nm.data.load("digits").test.subset(slice(0, 120))
    network = nm.CNN(nm.CNNConfig(image_shape=images.image_shape, channels=(4, 5), head=(6,)), seed=0)
    found = nm.activations(network, images)
    maps = found["layers.0.hook_post"]
    flat = xr.DataArray(maps.values.reshape(120, -1), dims=("example", "unit"), coords={"label": maps["label"]})
    np.testing.assert_array_equal(
        probes.linear_probe(maps, controls=1)["accuracy"], probes.linear_probe(flat, controls=1)["accuracy"]
    )
    assert float(probes.linear_probe(maps.mean(("row", "col")), controls=1)["accuracy"]) > 0.2
    assert float(probes.linear_probe(found["logits"], controls=1)["accuracy"]) > 0.2


def test_layers_are_probed_at_moments_spread_from_the_first_to_the_last() -> None:
    layers = {"a": acts([0.0, 1.0, 2.0, 3.0, 4.0]), "b": acts([0.0, 0.5, 1.0, 1.5, 2.0], units=4)}
    table = probes.probe_layers(layers, snapshots=3, controls=1, draws=39)
    assert table["accuracy"].dims == ("layer", "snapshot")
    assert table["step"].values.tolist() == [0, 3, 15]
    assert table["layer"].values.tolist() == ["a", "b"]
    alone = probes.linear_probe(layers["b"].isel(snapshot=[0, 2, 4]), controls=1, draws=39)
    np.testing.assert_array_equal(table["accuracy"].sel(layer="b"), alone["accuracy"])
    assert probes.probe_layers({"a": acts(1.0)}, controls=1, draws=39)["accuracy"].dims == ("layer",)


def test_the_same_seed_gives_the_same_table_and_another_other_halves() -> None:
    layer = acts([0.5, 1.0])
    xr.testing.assert_identical(probes.linear_probe(layer, seed=3), probes.linear_probe(layer, seed=3))
    assert not probes.linear_probe(layer, seed=3)["accuracy"].equals(probes.linear_probe(layer, seed=4)["accuracy"])


def test_input_that_can_not_be_probed_is_refused_in_words() -> None:
    layer = acts([1.0, 1.0])
    with pytest.raises(DataError, match=r"shape \(5,\); there are 300"):
        probes.linear_probe(layer, np.arange(5))
    with pytest.raises(DataError, match="bin continuous values"):
        probes.linear_probe(layer, np.linspace(0, 1, 300))
    with pytest.raises(DataError, match="one label only"):
        probes.linear_probe(layer, np.zeros(300, int))
    broken = layer.copy()
    broken[1, 7, 2] = np.nan
    with pytest.raises(DataError, match=r"layers.0.hook_post at step 1: not all values are finite"):
        probes.linear_probe(broken)
    with pytest.raises(DataError, match="label"):
        probes.linear_probe(layer.drop_vars("label"))
    with pytest.raises(DataError, match="there are no layers"):
        probes.probe_layers({})
    with pytest.raises(DataError, match="different labels"):
        probes.probe_layers({"a": layer, "b": layer.assign_coords(label=("example", LABELS[::-1]))})
    with pytest.raises(DataError, match="different steps"):
        probes.probe_layers({"a": layer, "b": layer.isel(snapshot=[0])})
