"""Images in color and of several channels: models, training, the recorder, figures and the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.data import Dataset, ImageSet, convert
from neural_microscope.errors import DataError

NAMES = ("red", "green", "blue")


def colored(count: int, seed: int, channels: int = 3) -> ImageSet:
    """Noise whose class is the channel that is brighter."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 120, (count, 6, 6, channels))
    pixels[np.arange(count), :, :, labels] += 60
    if channels == 3:
        return ImageSet(pixels.astype(np.uint8), labels, 3, "colors", class_names=NAMES)
    images = pixels.astype(np.uint8)
    return convert(images, labels, axes="example row col channel", class_names=NAMES, name="colors")[0]


def data(channels: int = 3) -> Dataset:
    return Dataset("colors", colored(90, 0, channels), colored(45, 1, channels))


def networks(channels: int = 3) -> list[nm.MLP | nm.CNN]:
    size = {"image_shape": (6, 6), "image_channels": channels, "classes": 3}
    return [nm.MLP(nm.MLPConfig(hidden=(6,), **size)), nm.CNN(nm.CNNConfig(channels=(6,), head=(12,), **size))]


def test_the_weights_are_those_of_torchs_own_layers() -> None:
    mlp, cnn = networks()
    torch.manual_seed(0)
    assert mlp.layers[0].weights.weight.equal(nn.Linear(3 * 36, 6).weight)
    torch.manual_seed(0)
    assert cnn.layers[0].weights.weight.equal(nn.Conv2d(3, 6, 3, padding=1).weight)


@pytest.mark.parametrize("channels", [3, 5])
@pytest.mark.parametrize("kind", [0, 1])
def test_a_network_learns_colors_and_its_run_is_read_and_resumed(tmp_path: Path, channels: int, kind: int) -> None:
    model, folder, held = networks(channels)[kind], tmp_path / "run", data(channels)
    config = nm.TrainConfig(epochs=20, batch_size=30, learning_rate=0.02)
    history = nm.train(model, held, config, observers=[nm.Recorder(folder, small_runs.RECORD)])
    assert history.test.accuracy == 1
    run = nm.Run.open(folder)
    assert (run.probe.class_names, run.probe.image_channels) == (NAMES, channels)
    torch.testing.assert_close(run.model()(held.test.tensor()), model.eval()(held.test.tensor()))
    assert nm.analysis.selectivity.class_selectivity(run.activations("layers.0.hook_post")).sizes


def test_images_of_other_channels_are_refused_with_a_way_out() -> None:
    mlp = networks()[0]
    images = data().test.tensor()
    for wrong in (images.movedim(1, -1), images[0]):
        with pytest.raises(DataError) as caught:
            mlp(wrong)
        code = str(caught.value).rpartition("take ")[2]
        torch.testing.assert_close(eval(code, {"images": wrong}), images if wrong.ndim == 4 else images[:1])
    with pytest.raises(DataError, match=r"they are gray; take images\.expand\(-1, 3, -1, -1\)"):
        mlp(images[:, :1])
    gray = small_runs.mlp(image_shape=(6, 6))
    with pytest.raises(DataError, match="they are in color, for which the config has image_channels=3"):
        gray(images)
    with pytest.raises(DataError, match=r"the model takes images of 1 channels; colors has 3\. Set image_channels=3"):
        nm.train(gray, data(), nm.TrainConfig(epochs=1))


def test_parts_of_other_channels_make_no_data_set() -> None:
    gray = dataclasses.replace(small_runs.images(9, 0, side=6), class_names=NAMES)
    with pytest.raises(DataError, match="image_channels is 3 in train, 1 in test"):
        Dataset("odd", colored(9, 0), gray)


def test_a_pixel_is_constant_where_all_its_channels_are() -> None:
    images = np.ones((4, 2, 2, 3), np.uint8)
    images[:, 0, 1] = 0
    images[:, 1, 1, 0] = 0
    part = ImageSet(images, np.arange(4) % 2, 2)
    assert Dataset("dark", part, part).constant_pixels == [1]


def test_a_report_of_a_network_for_color_counts_each_channel_of_a_units_weights(tmp_path: Path) -> None:
    record = dataclasses.replace(small_runs.RECORD, probe_size=24, per_octave=0)
    nm.train(networks()[0], data(), nm.TrainConfig(epochs=2), observers=[nm.Recorder(tmp_path / "run", record)])
    page = nm.report.write([nm.Run.open(tmp_path / "run")], tmp_path / "report.html").read_text("utf-8")
    assert "the norm of a unit&#x27;s weights of one channel is" in page
    assert "(median of units and channels)" in page
    assert "units as pictures" not in page
    assert "(green)" in page
