"""Neural collapse in the terminal phase of training (Papyan, Han & Donoho 2020), on 1,000 digits (T13)."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr

import neural_microscope as nm
from neural_microscope.analysis import geometry

pytestmark = [pytest.mark.mnist, pytest.mark.slow]
LAYER = "layers.2.hook_post"


@pytest.fixture(scope="module")
def collapse(mnist_folder: Path) -> xr.Dataset:
    """Before and after training: three layers of 256 with batch normalization, each image seen 200 times."""
    images = nm.data.load("mnist", folder=mnist_folder).train.balanced(1000)
    data = nm.data.Dataset("a balanced thousand", images, images)
    model = nm.MLP(nm.MLPConfig(hidden=(256, 256, 256), norm="batch"), seed=0)
    config = nm.TrainConfig(
        epochs=200,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=5e-3,
        schedule="step",
    )
    seen = [_look(model, images)]
    nm.train(model, data, config)
    return xr.concat([*seen, _look(model, images)], "snapshot")


def _look(model: nm.MLP, images: nm.data.ImageSet) -> xr.Dataset:
    acts = nm.activations(model, images, (LAYER, "logits"))
    weights = xr.DataArray(model.output.weight.detach().numpy(), dims=("class", "unit"))
    return geometry.neural_collapse(acts[LAYER], weights, logits=acts["logits"], draws=40)


def test_the_classes_collapse_to_points_and_the_output_mirrors_them(collapse: xr.Dataset) -> None:
    before, after = collapse.isel(snapshot=0), collapse.isel(snapshot=1)
    assert before["nc1"] > 1
    assert after["nc1"] < 0.02
    assert after["nc1_trace"] < 0.02
    assert before["nc3"] > 1.5
    assert after["nc3"] < 0.03
    assert after["nc4"] == 0


def test_the_class_means_come_near_a_simplex(collapse: xr.Dataset) -> None:
    before, after = (float(collapse["nc2_angles"][i]) for i in (0, 1))
    assert before > 0.1
    assert after < 0.06


def test_what_collapsed_beats_shuffled_labels(collapse: xr.Dataset) -> None:
    for name in ("nc1", "nc1_trace", "nc3", "nc4"):
        assert collapse[f"{name}_p"][1] < 0.05
