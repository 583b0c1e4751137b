"""The results of `Run`, and its errors where something is not there."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError, UnknownName

DATA = small_runs.data()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reading") / "run"
    small_runs.train(folder)
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> nm.Run:
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    folder = tmp_path_factory.mktemp("reading") / "cnn"
    model = nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(3,), head=(5,)))
    small_runs.train(folder, model=model, record=nm.RecordConfig(per_octave=0, probe_size=9, gallery_size=4))
    return nm.Run.open(folder)


def test_its_repr_says_what_it_is(run: nm.Run, folder: Path) -> None:
    assert repr(run) == f"Run('{folder}': mlp, 8 snapshots to step 18 of 18, finished)"


def test_configs_come_back_equal(run: nm.Run) -> None:
    assert run.config == nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), dropout=0.2)
    assert run.train_config == nm.TrainConfig(epochs=2, batch_size=10, learning_rate=0.01, seed=3)
    assert run.steps == [0, 1, 2, 4, 8, 9, 16, 18]
    assert run.hook_points == ["layers.0.hook_pre", "layers.0.hook_post", "logits"]


def test_the_probe_is_a_balanced_part_of_the_test_images(run: nm.Run) -> None:
    np.testing.assert_array_equal(run.probe.images, DATA.test.images[run.probe_indices])
    np.testing.assert_array_equal(run.probe.labels, DATA.test.labels[run.probe_indices])
    assert np.bincount(run.probe.labels).tolist() == [4, 4, 4]
    assert (run.probe.name, run.probe.classes) == (DATA.test.name, 3)
    np.testing.assert_array_equal(run.log.label, run.probe.labels)
    np.testing.assert_array_equal(run.log.test_index, run.probe_indices)


def test_the_names_of_the_classes_lie_in_the_run_folder(tmp_path: Path) -> None:
    names = ("top", "middle", "bottom")
    parts = {part: dataclasses.replace(getattr(DATA, part), class_names=names) for part in ("train", "test")}
    recorder = nm.Recorder(tmp_path / "named", small_runs.RECORD)
    named = dataclasses.replace(DATA, **parts)
    nm.train(small_runs.mlp(), named, nm.TrainConfig(epochs=1, batch_size=30), observers=[recorder])
    assert nm.Run.open(tmp_path / "named").probe.class_names == names


def test_an_unknown_hook_point_offers_the_nearest(run: nm.Run) -> None:
    with pytest.raises(
        UnknownName, match=r"no recorded hook point 'layers.0.hook_pst'.*did you mean 'layers.0.hook_post'"
    ):
        run.activations("layers.0.hook_pst")


def test_an_unknown_step_offers_the_nearest(run: nm.Run) -> None:
    with pytest.raises(
        UnknownName, match="no snapshot at step 17; there are: 0, 1, 2, 4, 8, 9, 16, 18; did you mean '1'"
    ):
        run.weights(17)
    with pytest.raises(UnknownName, match="no snapshot at step 17"):
        run.model(step=17)


def test_an_unknown_reduction_is_named(run: nm.Run) -> None:
    with pytest.raises(UnknownName, match="no reduction 'median'; there are: mean, max, maps"):
        run.activations("logits", "median")  # type: ignore[arg-type]


def test_weights_are_checked_when_they_are_loaded(folder: Path) -> None:
    path = folder / "weights/00000008.safetensors"
    content = path.read_bytes()
    run = nm.Run.open(folder)
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(RunError, match=re.escape(f"{path} has changed since it was written")):
            run.weights(8)
        with pytest.raises(RunError, match=re.escape(f"{path} has changed since it was written")):
            run.model(8)
        run.weights(9)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["replaced", "deleted", "cut"])
def test_the_log_is_what_was_written_when_it_is_read_or_an_error(folder: Path, how: str) -> None:
    path = folder / "log.zarr/logits/c.3.0.0"
    content, other = path.read_bytes(), (folder / "log.zarr/logits/c.4.0.0").read_bytes()
    opened, read = nm.Run.open(folder).log, nm.Run.open(folder).log
    before = read.logits.to_numpy()
    try:
        path.unlink() if how == "deleted" else path.write_bytes(other if how == "replaced" else content[:-1])
        for use in (lambda: opened.logits.load(), lambda: opened.isel(snapshot=3).logits.to_numpy()):
            with pytest.raises(RunError, match=re.escape(str(path))):
                use()
        np.testing.assert_array_equal(opened.logits[:3], before[:3])
        np.testing.assert_array_equal(read.logits, before)  # what was read stays
    finally:
        path.write_bytes(content)
    np.testing.assert_array_equal(opened.logits, before)


@pytest.mark.parametrize("name", ["step/c.0", "label/c.0", "training/step/c.0"])
def test_a_coordinate_that_was_altered_is_named_by_its_file(folder: Path, name: str) -> None:
    path = folder / "log.zarr" / name
    content, run = path.read_bytes(), nm.Run.open(folder)
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(RunError, match=re.escape(f"{path} has changed since it was written")):
            _ = run.log, run.training
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    "key",
    [
        {"snapshot": 3},
        {"snapshot": [5, 0, 5], "example": [11, 2]},
        {"snapshot": slice(None, None, -2), "example": 4, "class": slice(1, 3)},
        {"snapshot": slice(2, 2)},
        {"snapshot": -1, "class": [2, 0]},
    ],
)
def test_any_part_of_the_log_is_that_part_of_the_whole(folder: Path, key: dict[str, Any]) -> None:
    run = nm.Run.open(folder)
    part = run.log.logits.isel(key).to_numpy()
    np.testing.assert_array_equal(part, run.log.logits.load().isel(key))
    points = {"snapshot": ("point", [6, 1, 1]), "example": ("point", [0, 9, 3])}
    lazy = nm.Run.open(folder).log.logits.isel({n: xr.DataArray(v[1], dims=v[0]) for n, v in points.items()})
    np.testing.assert_array_equal(lazy, run.log.logits.to_numpy()[[6, 1, 1], [0, 9, 3]])


def test_the_model_is_in_evaluation_mode_and_has_the_snapshots_weights(run: nm.Run) -> None:
    for step in (0, 8, None):
        model = run.model(step)
        assert not model.training
        weights = run.weights(step)
        assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    assert not torch.equal(run.weights(0)["output.weight"], run.weights()["output.weight"])


def test_dense_activations_come_with_their_axes_and_labels(run: nm.Run) -> None:
    activations = run.activations("layers.0.hook_post")
    assert activations.dims == ("snapshot", "example", "unit")
    assert activations.name == "layers.0.hook_post"
    np.testing.assert_array_equal(activations.label, run.probe.labels)
    assert activations.step.to_numpy().tolist() == run.steps
    assert run.activations("logits").dims == ("snapshot", "example", "class")


def test_convolutional_activations_come_as_mean_maximum_and_maps(cnn: nm.Run) -> None:
    point = "layers.0.hook_post"
    mean, largest, maps = (cnn.activations(point, how) for how in ("mean", "max", "maps"))  # type: ignore[arg-type]
    assert mean.dims == largest.dims == ("snapshot", "example", "channel")
    assert maps.dims == ("snapshot", "example", "channel", "row", "col")
    gallery = cnn.description["gallery"]
    assert maps.label.to_numpy().tolist() == [0, 1, 2, 0] == cnn.probe.labels[gallery].tolist()
    np.testing.assert_allclose(maps.mean(("row", "col")), mean[:, gallery], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(maps.max(("row", "col")), largest[:, gallery])
    assert {mean.name, largest.name, maps.name} == {point}


def test_maps_that_were_not_recorded_are_an_error(tmp_path: Path) -> None:
    model = nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(3,), head=()))
    record = nm.RecordConfig(per_octave=0, probe_size=9, gallery_size=0)
    small_runs.train(tmp_path / "run", model=model, record=record, epochs=0)
    run = nm.Run.open(tmp_path / "run")
    assert run.activations("layers.0.hook_post").sizes["channel"] == 3
    with pytest.raises(RunError, match=r"has no maps of layers\.0\.hook_post: .*gallery_size=0"):
        run.activations("layers.0.hook_post", "maps")


def test_norms_that_were_not_recorded_are_an_error(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", record=nm.RecordConfig(norms_every=0, probe_size=9))
    run = nm.Run.open(tmp_path / "run")
    assert run.training.sizes["step"] == 18
    with pytest.raises(RunError, match=r"has no gradient norms: .*norms_every=0"):
        _ = run.gradients


def test_a_folder_that_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"is not a run folder: it has no run\.json"):
        nm.Run.open(tmp_path)
    with pytest.raises(RunError, match="there is no folder"):
        nm.Run.open(tmp_path / "nothing")


def test_another_format_version_is_an_error(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("neural_microscope.recording.FORMAT_VERSION", 99)
    small_runs.train(tmp_path / "run", epochs=0)
    with pytest.raises(RunError, match="has format version 99; this release reads 1"):
        nm.Run.open(tmp_path / "run")


@pytest.mark.parametrize("name", ["run", "a run/with spaces", "ein Lauf – 7×7", "deep/er/and/deeper"])
@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("relative", [False, True])
def test_a_run_may_lie_anywhere(tmp_path: Path, monkeypatch: Any, name: str, kind: Any, relative: bool) -> None:
    monkeypatch.chdir(tmp_path)
    where = kind(name if relative else tmp_path / name)
    small_runs.train(where, epochs=0)
    run = nm.Run.open(where)
    assert run.folder == tmp_path / name
    monkeypatch.chdir(os.sep)  # what was opened stays open
    assert run.verify() == []
    assert run.log.logits.load().notnull().all()
    assert run.model() is not None


def test_a_population_is_recorded_into_a_folder_each(tmp_path: Path) -> None:
    config = nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,))
    training = nm.TrainConfig(epochs=1, batch_size=10)

    def recorders(seed: int) -> list[nm.Recorder]:
        return [nm.Recorder(tmp_path / f"mlp-{seed}", small_runs.RECORD)]

    population = nm.train_population(config, DATA, training, seeds=[3, 4], observers=recorders)
    for seed, (model, told) in population.items():
        run = nm.Run.open(tmp_path / f"mlp-{seed}")
        assert run.train_config.seed == run.description["model"]["seed"] == seed
        assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in run.weights().items())
        assert run.training.loss.to_numpy().tolist() == told.loss.tolist()


def test_a_run_is_made_from_the_config_that_left_the_device_open(run: nm.Run) -> None:
    for device in ("auto", "gpu", run.train_config.device):
        assert run.made_from(run.config, dataclasses.replace(run.train_config, device=device), small_runs.data())
    assert not run.made_from(run.config, dataclasses.replace(run.train_config, device="cuda"), small_runs.data())
