"""Going on after a stop: when it is refused, and what is made again."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.data import Dataset, batches
from neural_microscope.errors import RunError
from neural_microscope.run import commits
from neural_microscope.training import Observer, Training

DATA = small_runs.data()


class Stopping(Observer):
    """As if someone had pressed Ctrl-C."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, training: Training) -> None:
        if training.step == self.step:
            raise KeyboardInterrupt


def stop(folder: Path, step: int = 11, **settings: Any) -> Path:
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(folder, observers=[Stopping(step)], **settings)
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("resume") / "whole"
    small_runs.train(folder)
    return folder


@pytest.fixture(scope="module")
def halted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stopped after step 11; its last snapshot is that of step 9."""
    return stop(tmp_path_factory.mktemp("resume") / "halted")


def check_finishes(folder: Path, whole: Path) -> None:
    nm.resume(folder, data=DATA)
    assert small_runs.contents(folder) == small_runs.contents(whole)
    run = nm.Run.open(folder)
    assert run.status == "finished"
    assert run.verify() == []


def check_refused(folder: Path, match: str, **given: Any) -> None:
    """Resume says no, and leaves every byte as it was."""
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match=match):
        nm.resume(folder, **{"data": DATA, **given})
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


# --- it goes on -------------------------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_to_the_same_bits(halted: Path, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    assert nm.Run.open(folder).steps == [0, 1, 2, 4, 8, 9]
    told = nm.resume(folder, data=DATA)
    assert told.step.tolist() == list(range(10, 19))  # the steps since the last snapshot are made again
    assert told.status == "finished"
    assert small_runs.contents(folder) == small_runs.contents(whole)
    assert told.loss.tolist() == nm.Run.open(whole).training.loss[9:].to_numpy().tolist()


CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "adam with dropout": ({"dropout": 0.2}, {}),
    "sgd with momentum": ({}, {"optimizer": "sgd", "momentum": 0.9}),
    "plain sgd": ({}, {"optimizer": "sgd"}),
    "adamw, cosine, warmup": (
        {},
        {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_steps": 12},
    ),
    "batch norm, label noise": ({"norm": "batch"}, {"label_noise": 0.3, "schedule": "step"}),
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_it_was_trained_with(tmp_path: Path, case: str) -> None:
    network, training = CASES[case]
    small_runs.train(tmp_path / "whole", model=small_runs.mlp(**network), **training)
    folder = stop(tmp_path / "run", model=small_runs.mlp(**network), **training)
    check_finishes(folder, tmp_path / "whole")


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_convolutional_network_goes_on_to_the_same_bits(tmp_path: Path, optimizer: str) -> None:
    # Its weights and Adam's moments do not lie in memory in the order of their axes.
    def network() -> nm.CNN:
        return nm.CNN(
            nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(3, 4), head=(5,), dropout=0.2, norm="batch")
        )

    training = {"optimizer": optimizer, "momentum": 0.9 if optimizer == "sgd" else 0.0}
    small_runs.train(tmp_path / "whole", model=network(), **training)
    folder = stop(tmp_path / "run", model=network(), **training)
    check_finishes(folder, tmp_path / "whole")


@pytest.mark.parametrize("step", [1, 2, 9, 10, 17])
def test_wherever_it_was_stopped(tmp_path: Path, whole: Path, step: int) -> None:
    check_finishes(stop(tmp_path / "run", step), whole)


def test_stopped_again_and_again(tmp_path: Path, whole: Path) -> None:
    folder = stop(tmp_path / "run", 3)
    for step in (5, 9, 14, 17):
        with pytest.raises(KeyboardInterrupt):
            nm.resume(folder, data=DATA, observers=[Stopping(step)])
        assert nm.Run.open(folder).status == f"interrupted at step {step}"
    check_finishes(folder, whole)


def test_stopped_after_the_last_snapshot_it_is_finished(tmp_path: Path, whole: Path) -> None:
    folder = stop(tmp_path / "run", 18)
    assert nm.Run.open(folder).status == "finished"
    assert small_runs.contents(folder) == small_runs.contents(whole)


def test_data_known_by_name_need_not_be_given(tmp_path: Path) -> None:
    digits = nm.data.load("digits")

    def train(folder: Path, *observers: Observer) -> None:
        model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16, 8)), seed=0)
        config = nm.TrainConfig(epochs=1)
        nm.train(model, digits, config, observers=[nm.Recorder(folder), *observers])

    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Stopping(7))
    nm.resume(tmp_path / "run")
    assert small_runs.contents(tmp_path / "run") == small_runs.contents(tmp_path / "whole")


def own_batches(epoch: int) -> list[torch.Tensor]:
    return list(batches(40, 10, seed=77, epoch=epoch))


def test_a_sampler_of_its_own_is_asked_for_and_used(tmp_path: Path) -> None:
    def train(folder: Path, *observers: Observer) -> None:
        recorder = nm.Recorder(folder, small_runs.RECORD)
        config = nm.TrainConfig(epochs=2)
        nm.train(small_runs.mlp(), DATA, config, observers=[recorder, *observers], sampler=own_batches)

    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", Stopping(6))
    check_refused(tmp_path / "run", "trained with a sampler of its own; give it")
    nm.resume(tmp_path / "run", data=DATA, sampler=own_batches)
    assert small_runs.contents(tmp_path / "run") == small_runs.contents(tmp_path / "whole")


def foreign() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.Dropout(0.3), nn.ReLU(), nn.Linear(6, 3))


def test_a_foreign_module_is_asked_for_and_used(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "whole", model=foreign())
    folder = stop(tmp_path / "run", model=foreign())
    check_refused(folder, "records a Sequential, which has no config here; give one")
    model = foreign()
    nm.resume(folder, data=DATA, model=model)
    assert small_runs.contents(folder) == small_runs.contents(tmp_path / "whole")
    for name, tensor in nm.Run.open(folder).weights().items():
        assert torch.equal(tensor, model.state_dict()[name])


def test_parameters_that_were_frozen_stay_so(tmp_path: Path) -> None:
    def model() -> nm.MLP:
        network = small_runs.mlp()
        network.layers[0].requires_grad_(False)
        return network

    small_runs.train(tmp_path / "whole", model=model())
    folder = stop(tmp_path / "run", model=model())
    check_finishes(folder, tmp_path / "whole")
    run = nm.Run.open(folder)
    assert list(run.gradients.parameter.to_numpy()) == ["output.weight", "output.bias"]
    assert torch.equal(run.weights()["layers.0.linear.weight"], run.weights(0)["layers.0.linear.weight"])


# --- it does not ------------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_refused(whole: Path) -> None:
    check_refused(whole, "has finished; there is nothing to resume")


def test_a_diverged_run_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="diverged"):
        small_runs.train(tmp_path / "run", optimizer="sgd", learning_rate=1e30)
    check_refused(tmp_path / "run", r"has diverged at step \d+; there is nothing to resume")


def test_other_data_are_refused(halted: Path) -> None:
    other = Dataset("made up", small_runs.images(90, 0), small_runs.images(30, 2))
    check_refused(halted, r"was trained on .*made up.* \(their checksums differ\)", data=other)


def test_data_that_nobody_knows_by_name_are_asked_for(halted: Path) -> None:
    check_refused(halted, r"no data set 'made up'.*Give the data it was trained on", data=None)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        nm.resume(tmp_path)
    with pytest.raises(RunError, match="there is no folder"):
        nm.resume(tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "probe.safetensors",
        "weights/00000004.safetensors",
        "log.zarr/zarr.json",
        "log.zarr/training/loss/zarr.json",
        "log.zarr/step/c.0",
        "log.zarr/layers.0.hook_post/c.2.0.0",
    ],
)
def test_damage_to_what_was_recorded_earlier_is_refused_and_named(halted: Path, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (folder / name).write_bytes(content)
    check_refused(folder, rf"damaged in what was recorded earlier \({name} altered")
    (folder / name).unlink()
    check_refused(folder, rf"damaged in what was recorded earlier \({name} missing")


def test_a_damaged_line_in_the_middle_of_the_record_is_refused(halted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    lines = (folder / commits.NAME).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b'"step": 1', b'"step": 2')
    (folder / commits.NAME).write_bytes(b"".join(lines))
    check_refused(folder, r"commits\.jsonl: line 3 of 8 is damaged or missing; the run can't be continued")


# --- the last snapshot is made again ----------------------------------------------------------------------------------------


def with_record(folder: Path, lines: list[bytes]) -> None:
    (folder / commits.NAME).write_bytes(b"".join(lines))


@pytest.mark.parametrize("which", ["whole", "halted"])
def test_a_torn_last_line_is_made_again(
    request: pytest.FixtureRequest, which: str, whole: Path, tmp_path: Path
) -> None:
    source = request.getfixturevalue(which)
    lines = (source / commits.NAME).read_bytes().splitlines(keepends=True)
    for cut in (1, len(lines[-1]) // 2, len(lines[-1]) - 1):
        folder = shutil.copytree(source, tmp_path / str(cut))
        with_record(folder, [*lines[:-1], lines[-1][:cut]])
        check_finishes(folder, whole)


@pytest.mark.parametrize("which", ["whole", "halted"])
def test_a_damaged_last_line_is_made_again(
    request: pytest.FixtureRequest, which: str, whole: Path, tmp_path: Path
) -> None:
    source = request.getfixturevalue(which)
    lines = (source / commits.NAME).read_bytes().splitlines(keepends=True)
    chance = random.Random(0)
    for number in range(3):
        folder = shutil.copytree(source, tmp_path / str(number))
        last = bytearray(lines[-1])
        last[chance.randrange(len(last))] ^= 1
        with_record(folder, [*lines[:-1], bytes(last)])
        check_finishes(folder, whole)


def test_a_last_line_that_a_flip_broke_in_two_is_made_again(halted: Path, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    lines = (folder / commits.NAME).read_bytes().splitlines(keepends=True)
    with_record(folder, [*lines[:-1], lines[-1][:50] + b"\n" + lines[-1][51:]])
    check_finishes(folder, whole)


@pytest.mark.parametrize("which", ["whole", "halted"])
@pytest.mark.parametrize("lost", [False, True])
def test_damage_to_any_file_of_the_last_snapshot_is_made_again(
    request: pytest.FixtureRequest, which: str, lost: bool, whole: Path, tmp_path: Path
) -> None:
    source = request.getfixturevalue(which)
    record = commits.read(source)
    last = next(commit for commit in reversed(record.commits) if commit.kind == "snapshot")
    assert len(last.files) > 8
    for number, name in enumerate(last.files):
        folder = shutil.copytree(source, tmp_path / str(number))
        if lost:
            (folder / name).unlink()
        else:
            content = (folder / name).read_bytes()
            (folder / name).write_bytes(content[:-1])
        check_finishes(folder, whole)


def test_with_the_last_two_snapshots_damaged_it_is_refused(halted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    for step in (8, 9):
        (folder / f"weights/{step:08d}.safetensors").write_bytes(b"")
    check_refused(folder, "damaged in what was recorded earlier")


def test_a_lost_older_state_does_not_matter(halted: Path, whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    (folder / "state/00000008.safetensors").unlink()
    check_finishes(folder, whole)


def test_files_of_someone_else_are_left_alone(halted: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    (folder / "notes.txt").write_text("mine")
    (folder / "weights/mine.txt").write_text("mine")
    (folder / "log.zarr/mine").mkdir()
    (folder / "log.zarr/mine/c.txt").write_text("mine")
    nm.resume(folder, data=DATA)
    assert [p.path for p in nm.Run.open(folder).verify()] == ["log.zarr/mine/c.txt", "notes.txt", "weights/mine.txt"]


def test_another_version_of_torch_is_said(halted: Path, tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    folder = shutil.copytree(halted, tmp_path / "run")
    monkeypatch.setattr(torch, "__version__", "9.9")
    nm.resume(folder, data=DATA)
    assert "resumed with 9.9" in capsys.readouterr().err
