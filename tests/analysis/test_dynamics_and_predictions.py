"""Activity, histograms, learning curves and confusion, each against a count made by hand."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from sklearn.metrics import confusion_matrix

from neural_microscope.analysis import dynamics, predictions
from neural_microscope.errors import DataError


def test_activity_knows_the_dead_the_rare_and_the_always_on() -> None:
    x = np.zeros((200, 4))
    x[0, 1] = 3.0
    x[:, 2] = 1.0
    x[:100, 3] = 2.0
    table = dynamics.activity(xr.DataArray(x, dims=("example", "unit")))
    assert table["density"].values.tolist() == [0, 1 / 200, 1, 0.5]
    assert table["dead"].values.tolist() == [True, False, False, False]
    assert table["low"].values.tolist() == [False, True, False, False]
    assert table["always_on"].values.tolist() == [False, False, True, False]
    assert table["mean"].values.tolist() == [0, 0.015, 1, 1]
    assert table["highest"].values.tolist() == [0, 3, 1, 2]


def test_histograms_share_bins_and_account_for_every_value() -> None:
    x = np.random.default_rng(0).normal(size=(3, 100, 5)) * np.array([1, 2, 4])[:, None, None]
    acts = xr.DataArray(x, dims=("snapshot", "example", "unit"), coords={"step": ("snapshot", [0, 1, 2])})
    table = dynamics.histograms(acts, bins=20, limits=(-3, 3))
    np.testing.assert_allclose(table["share"].sum("bin") + table["outside"], 1)
    np.testing.assert_allclose(table["share"][0], np.histogram(x[0], 20, (-3, 3))[0] / 500)
    np.testing.assert_allclose(table["spread"], x.std((1, 2)))
    assert (dynamics.histograms(acts.where(acts > 0, 0))["zero"] > 0.4).all()


def test_histograms_of_equal_values_have_a_bin() -> None:
    table = dynamics.histograms(xr.DataArray(np.zeros((4, 2)), dims=("example", "unit")))
    assert float(table["share"].sum()) == 1
    assert float(table["zero"][0]) == 1


def test_a_learning_curve_averages_log_spaced_stretches() -> None:
    steps = np.arange(1, 9)
    training = xr.Dataset({"loss": ("step", 1.0 / steps), "accuracy": ("step", steps / 10)}, coords={"step": steps})
    log = xr.Dataset(
        {"test_loss": ("snapshot", [2.0]), "test_accuracy": ("snapshot", [0.25])}, coords={"step": ("snapshot", [0])}
    )
    curve = dynamics.learning_curve(training, log, per_octave=1)
    stretches = [[1], [2, 3], [4, 5, 6, 7], [8]]
    np.testing.assert_allclose(curve["train_loss"], [np.mean([1 / s for s in stretch]) for stretch in stretches])
    np.testing.assert_allclose(curve["at"], [np.exp(np.mean(np.log(stretch))) for stretch in stretches])
    assert curve["test_error"].values.tolist() == [0.75]


def test_confusion_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(100, 4)), rng.integers(0, 4, 100)
    table = predictions.confusion(
        xr.DataArray(logits, dims=("example", "class"), coords={"label": ("example", labels)})
    )
    np.testing.assert_array_equal(table["images"], confusion_matrix(labels, logits.argmax(1)))
    assert table.attrs["n_right"] == (logits.argmax(1) == labels).sum()


def test_confusion_refuses_what_would_silently_be_class_zero() -> None:
    logits = xr.DataArray(np.full((3, 4), np.nan), dims=("example", "class"), coords={"label": ("example", [0, 1, 2])})
    with pytest.raises(DataError, match="diverged"):
        predictions.confusion(logits)
    with pytest.raises(DataError, match="label"):
        predictions.confusion(logits.drop_vars("label"))
