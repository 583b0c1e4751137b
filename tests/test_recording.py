"""Recorded values against a second look at the same network."""

from __future__ import annotations

import math
import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import neural_microscope as nm
import small_runs
from neural_microscope.config import ConfigError
from neural_microscope.errors import UnknownName
from neural_microscope.recording import schedule
from neural_microscope.training import Observer, Training

DATA = small_runs.data()


class Watching(Observer):
    """A second recorder, in a few lines: the weights after each step, and the gradients before it."""

    def __init__(self) -> None:
        self.weights: list[dict[str, torch.Tensor]] = []
        self.gradients: list[dict[str, torch.Tensor]] = []

    def started(self, training: Training) -> None:
        self.keep(training)

    def before_update(self, training: Training) -> None:
        named = training.model.named_parameters()
        self.gradients.append({n: p.grad.clone() for n, p in named if p.grad is not None})

    def stepped(self, training: Training) -> None:
        self.keep(training)

    def keep(self, training: Training) -> None:
        self.weights.append({n: t.clone() for n, t in training.model.state_dict().items()})


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[nm.Run, Watching, Any]:
    watching = Watching()
    folder = tmp_path_factory.mktemp("recording") / "run"
    told = small_runs.train(folder, observers=[watching], label_noise=0.2, schedule="cosine")
    return nm.Run.open(folder), watching, told


@pytest.fixture
def one_thread() -> Any:
    """As many as a run has, so that a second look gives the same bits."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


# --- the same as a second look ----------------------------------------------------------------------------------------------


def test_weights_are_those_of_their_step(recorded: Any) -> None:
    run, watching, _ = recorded
    for step in run.steps:
        for name, tensor in run.weights(step).items():
            assert torch.equal(tensor, watching.weights[step][name])


@pytest.mark.usefixtures("one_thread")
def test_activations_are_those_of_the_recorded_weights_bit_for_bit(recorded: Any) -> None:
    run, _, _ = recorded
    for index, step in enumerate(run.steps):
        with torch.no_grad():
            _, cache = run.model(step).run_with_cache(run.probe.tensor())
        for point in run.hook_points:
            assert run.activations(point)[index].to_numpy().tobytes() == cache[point].numpy().tobytes()


NETWORKS = {
    "tanh": nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5, 4), activation="tanh"),
    "batch norm": nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(5,), norm="batch", norm_position="after"),
    "cnn": nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(3, 2), head=(5,), dropout=0.3),
    "cnn, average, layer norm": nm.CNNConfig(
        image_shape=(4, 4), classes=3, channels=(3,), head=(), pool="average", norm="layer"
    ),
}


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_is_recorded_bit_for_bit(tmp_path: Path, name: str) -> None:
    config = NETWORKS[name]
    model = nm.MLP(config) if isinstance(config, nm.MLPConfig) else nm.CNN(config)
    record = nm.RecordConfig(per_octave=0, probe_size=9, gallery_size=4)
    small_runs.train(tmp_path / "run", model=model, record=record, batch_size=30)
    run = nm.Run.open(tmp_path / "run")
    assert run.hook_points == [point for point in model.hook_points if point != "input"]
    for index, step in enumerate(run.steps):
        with torch.no_grad():
            _, cache = run.model(step).run_with_cache(run.probe.tensor())
        for point in run.hook_points:
            tensor = cache[point]
            if tensor.ndim == 2:
                assert run.activations(point)[index].to_numpy().tobytes() == tensor.numpy().tobytes()
                continue
            gallery = run.description["gallery"]
            maps = run.activations(point, "maps")[index].to_numpy()
            assert np.array_equal(maps, tensor[gallery].numpy())
            assert np.array_equal(run.activations(point, "max")[index], tensor.flatten(2).max(2).values)
            means = tensor.double().flatten(2).mean(2)
            np.testing.assert_allclose(run.activations(point, "mean")[index], means, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("one_thread")
def test_test_scores_are_those_of_evaluate(recorded: Any) -> None:
    run, _, told = recorded
    for index, step in enumerate(run.steps):
        found = nm.evaluate(run.model(step), DATA.test)
        assert float(run.log.test_loss[index]) == found.loss
        assert float(run.log.test_accuracy[index]) == found.accuracy
        assert run.log.test_accuracy_by_class[index].to_numpy().tolist() == found.accuracy_by_class.tolist()
    assert float(run.log.test_loss[-1]) == told.test.loss


def test_scalars_of_every_step_are_those_of_the_history(recorded: Any) -> None:
    run, _, told = recorded
    assert run.training.step.to_numpy().tolist() == told.step.tolist()
    for name in ("loss", "accuracy", "learning_rate"):
        assert run.training[name].to_numpy().tobytes() == getattr(told, name).tobytes()


def test_norms_are_those_of_the_gradients_and_updates(recorded: Any) -> None:
    run, watching, _ = recorded
    names = [name for name, _ in small_runs.mlp().named_parameters()]
    assert run.gradients.parameter.to_numpy().tolist() == names
    assert run.gradients.step.to_numpy().tolist() == [1, 5, 9, 13, 17]
    for row, step in enumerate(run.gradients.step.to_numpy()):
        for column, name in enumerate(names):
            gradient = watching.gradients[step - 1][name].double()
            before, after = (watching.weights[s][name].double() for s in (step - 1, step))
            ratio = float((after - before).norm() / before.norm())
            assert float(run.gradients.grad_norm[row, column]) == pytest.approx(float(gradient.norm()), rel=1e-5)
            # float32 weights are subtracted as they are stored: of a small update some digits are gone.
            assert float(run.gradients.update_ratio[row, column]) == pytest.approx(ratio, rel=1e-4)


def test_a_parameter_of_zeros_has_no_update_ratio_and_one_without_gradient_no_norm(tmp_path: Path) -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used = nn.Linear(16, 3)
            self.idle = nn.Parameter(torch.ones(2))
            nn.init.zeros_(self.used.bias)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.used(images.flatten(1))

    small_runs.train(tmp_path / "run", model=Idle(), epochs=1)
    first = nm.Run.open(tmp_path / "run").gradients.isel(step=0).to_dataframe()
    assert math.isnan(first.update_ratio["used.bias"])
    assert math.isnan(first.grad_norm["idle"])
    assert first.update_ratio["idle"] == 0
    assert first.grad_norm["used.bias"] > 0


# --- recording changes nothing ----------------------------------------------------------------------------------------------


class Noisy(nn.Module):
    """Draws random numbers in evaluation mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = small_runs.mlp()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.inner(images * torch.rand_like(images))


@pytest.mark.filterwarnings("ignore:module 'inner.input' .* gives different outputs each time")
@pytest.mark.parametrize("kind", ["dropout", "batch norm", "cnn", "noisy"])
def test_recording_does_not_change_what_is_learned(tmp_path: Path, kind: str) -> None:
    def model() -> nn.Module:
        if kind == "cnn":
            return nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(3,), dropout=0.3))
        if kind == "noisy":
            return Noisy()
        return small_runs.mlp(**({"dropout": 0.4} if kind == "dropout" else {"norm": "batch"}))

    recorded, unrecorded = model(), model()
    record = nm.RecordConfig(steps=tuple(range(19)), probe_size=9, norms_every=1)
    told = small_runs.train(tmp_path / "run", model=recorded, record=record)
    alone = small_runs.train(None, model=unrecorded)
    assert told.loss.tobytes() == alone.loss.tobytes()
    for name, tensor in recorded.state_dict().items():
        assert torch.equal(tensor, unrecorded.state_dict()[name])


def test_modes_that_were_set_on_parts_of_the_network_stay(tmp_path: Path) -> None:
    class Freezing(Observer):
        def started(self, training: Training) -> None:
            self.modes = []

        def stepped(self, training: Training) -> None:
            self.modes.append(training.model.layers[0].norm.training)  # type: ignore[union-attr,index]
            training.model.layers[0].norm.eval()  # type: ignore[union-attr,index]

    freezing = Freezing()
    small_runs.train(tmp_path / "run", model=small_runs.mlp(norm="batch"), observers=[freezing])
    assert freezing.modes == [True] + [False] * 17


def test_two_recorders_of_one_training_do_not_disturb_each_other(tmp_path: Path) -> None:
    second = nm.Recorder(tmp_path / "second", small_runs.RECORD)
    small_runs.train(tmp_path / "first", observers=[second])
    small_runs.train(tmp_path / "alone")
    alone = small_runs.contents(tmp_path / "alone")
    assert small_runs.contents(tmp_path / "first") == small_runs.contents(tmp_path / "second") == alone


# --- the schedule -----------------------------------------------------------------------------------------------------------


def test_the_schedule_is_log_spaced_from_the_start_and_knows_epochs_and_wishes() -> None:
    record = nm.RecordConfig(per_octave=1, steps=(5, 77, 1000))
    assert schedule(record, 100, 40) == [0, 1, 2, 4, 5, 8, 16, 32, 40, 64, 77, 80, 100]
    assert schedule(nm.RecordConfig(per_octave=2, every_epoch=False), 16, 8) == [0, 1, 2, 3, 4, 6, 8, 11, 16]
    assert schedule(nm.RecordConfig(per_octave=0, every_epoch=False), 16, 8) == [0, 16]
    assert schedule(nm.RecordConfig(), 0, 8) == [0]


@given(
    per_octave=st.integers(0, 8),
    every_epoch=st.booleans(),
    steps=st.lists(st.integers(0, 5000), max_size=5),
    epochs=st.integers(0, 12),
    steps_per_epoch=st.integers(1, 500),
)
def test_any_schedule_is_sorted_and_holds_what_was_asked_for(
    per_octave: int, every_epoch: bool, steps: list[int], epochs: int, steps_per_epoch: int
) -> None:
    total = epochs * steps_per_epoch
    record = nm.RecordConfig(per_octave=per_octave, every_epoch=every_epoch, steps=tuple(steps))
    found = schedule(record, total, steps_per_epoch)
    assert found == sorted(set(found))
    assert found[0] == 0
    assert found[-1] == total
    assert set(found) >= {step for step in steps if step <= total}
    if every_epoch:
        assert set(found) >= {epoch * steps_per_epoch for epoch in range(epochs + 1)}
    if per_octave:
        assert set(found) >= {2**i for i in range(20) if 2**i <= total}
        if not every_epoch and not steps:
            assert len(found) <= 3 + per_octave * math.log2(max(total, 1)) + 1


def test_weight_decay_alone_changes_the_weights_of_pixels_that_are_0_on_every_training_image(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    images = digits.train.images.copy()
    images[:, 0, 5] = 255  # constant, but its weights have a gradient
    data = replace(digits, train=replace(digits.train, images=images))
    config = nm.TrainConfig(epochs=2, optimizer="adamw", learning_rate=0.01, schedule="cosine", weight_decay=0.1)
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(8,)))
    nm.train(model, data, config, observers=[nm.Recorder(tmp_path / "run")])
    run = nm.Run.open(tmp_path / "run")
    gray, decay = run.description["constant_pixels"], np.prod(1 - 0.1 * run.training["learning_rate"].values)
    first, last = (run.weights(step)["layers.0.linear.weight"].double() for step in (0, run.steps[-1]))
    assert gray == np.flatnonzero(images.max(0) == 0).tolist()
    assert len(gray) > 0
    torch.testing.assert_close(last[:, gray], decay * first[:, gray], rtol=1e-5, atol=0)
    others = np.setdiff1d(np.arange(64), gray)
    assert not torch.isclose(last[:, others], decay * first[:, others], rtol=1e-5, atol=0).all(0).any()


def test_a_run_of_no_epochs_holds_the_untrained_network(tmp_path: Path) -> None:
    model = small_runs.mlp()
    small_runs.train(tmp_path / "run", model=model, epochs=0)
    run = nm.Run.open(tmp_path / "run")
    assert (run.steps, run.status) == ([0], "finished")
    assert run.training.sizes["step"] == run.gradients.sizes["step"] == 0
    assert run.log.logits.sizes["snapshot"] == 1
    assert torch.equal(run.model().output.weight, small_runs.mlp().output.weight)
    assert run.verify() == []


# --- what is chosen ---------------------------------------------------------------------------------------------------------


def test_only_the_hook_points_asked_for_are_recorded(tmp_path: Path) -> None:
    record = nm.RecordConfig(hook_points=("logits", "input"), probe_size=9)
    small_runs.train(tmp_path / "run", record=record)
    run = nm.Run.open(tmp_path / "run")
    assert run.hook_points == ["input", "logits"]  # in the network's order
    assert np.array_equal(run.activations("input", "max")[0, :, 0], run.probe.images.max((1, 2)) / np.float32(255))
    with pytest.raises(UnknownName, match="no recorded hook point"):
        run.activations("layers.0.hook_post")


def test_an_unknown_hook_point_is_an_error_before_anything_is_made_or_trained(tmp_path: Path) -> None:
    model = small_runs.mlp()
    before = model.output.weight.tolist()
    record = nm.RecordConfig(hook_points=("layers.0.hook_pots",))
    with pytest.raises(UnknownName, match=r"no hook point 'layers\.0\.hook_pots'.*did you mean 'layers\.0\.hook_post'"):
        small_runs.train(tmp_path / "run", model=model, record=record)
    assert list(tmp_path.iterdir()) == []
    assert model.output.weight.tolist() == before


def test_the_probe_is_as_large_as_the_smallest_class_allows(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", record=nm.RecordConfig(probe_size=10_000), epochs=0)
    assert len(nm.Run.open(tmp_path / "run").probe) == 30


@pytest.mark.parametrize("asked", [27, 10_000])
def test_a_probe_that_is_smaller_than_was_asked_for_is_said_and_noted(tmp_path: Path, asked: int) -> None:
    data = nm.data.Dataset("made up", DATA.train, DATA.test.subset([i for i in range(30) if i not in (1, 4)]))
    words = f"the probe holds 26 of the 28 test images, not {asked:,}: as many of each class as of any other"
    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(probe_size=asked))
    with pytest.warns(UserWarning, match=words):
        nm.train(small_runs.mlp(), data, nm.TrainConfig(epochs=0), observers=[recorder])
    assert nm.Run.open(tmp_path / "run").description["data"]["note"] == words


@pytest.mark.parametrize(
    ("few", "words"), [(0, "class 1 has none"), (1, "class 1 has 1"), (3, "class 1 has 3"), (9, "")]
)
def test_a_rare_or_empty_class_is_said_once_noted_and_takes_nothing_from_the_others(
    tmp_path: Path, few: int, words: str
) -> None:
    test = DATA.test.subset(
        np.sort(np.concatenate([np.flatnonzero(DATA.test.labels == c)[: few if c == 1 else None] for c in range(3)]))
    )
    data = nm.data.Dataset("made up", DATA.train, test, "of one's own")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        nm.train(small_runs.mlp(), data, nm.TrainConfig(epochs=1), observers=[nm.Recorder(tmp_path / "run")])
    run = nm.Run.open(tmp_path / "run")
    assert np.bincount(run.probe.labels).tolist() == [10, few, 10]
    assert [words in str(one.message) for one in told] == [True] * bool(words)
    assert run.description["data"]["note"].startswith("of one's own")
    assert words in run.description["data"]["note"]


def test_every_class_comes_into_the_gallery_in_turn(tmp_path: Path) -> None:
    model = nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2,), head=()))
    small_runs.train(tmp_path / "run", model=model, record=nm.RecordConfig(gallery_size=7, probe_size=9), epochs=0)
    run = nm.Run.open(tmp_path / "run")
    assert run.activations("layers.0.hook_post", "maps").label.to_numpy().tolist() == [0, 1, 2, 0, 1, 2, 0]


@pytest.mark.parametrize("settings", [{"per_octave": -1}, {"probe_size": 0}, {"steps": (-1,)}, {"norms_every": -2}])
def test_a_setting_that_cannot_be_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(settings))} is "):
        nm.RecordConfig(**settings)


# --- modules of others ------------------------------------------------------------------------------------------------------


def foreign() -> nn.Module:
    torch.manual_seed(0)
    convolution = nn.Conv2d(1, 2, 3, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(32, 3))


@pytest.mark.usefixtures("one_thread")
def test_a_foreign_module_is_recorded_at_its_modules_outputs(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", model=foreign())
    run = nm.Run.open(tmp_path / "run")
    assert run.hook_points == [*(f"{i}.hook_out" for i in range(5)), "hook_out"]
    model = run.model(8, into=foreign())
    index = run.steps.index(8)
    with torch.no_grad():
        rectified = model[:2](run.probe.tensor())
        logits = model(run.probe.tensor())
    assert np.array_equal(run.activations("4.hook_out")[index], logits)
    assert np.array_equal(run.activations("1.hook_out", "max")[index], rectified.amax((2, 3)))
    with pytest.raises(nm.errors.RunError, match="records a Sequential, which has no config here"):
        run.model()


def test_tied_weights_are_recorded_and_loaded(tmp_path: Path) -> None:
    def tied() -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Linear(16, 3))
        model[3].weight = model[1].weight
        return model

    small_runs.train(tmp_path / "run", model=tied())
    model = nm.Run.open(tmp_path / "run").model(into=tied())
    assert torch.equal(model[1].weight, model[3].weight)


def test_a_module_that_runs_twice_is_recorded_twice(tmp_path: Path) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.out = nn.Linear(16, 16), nn.Linear(16, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.out(self.inside(self.inside(images.flatten(1)).tanh()))

    small_runs.train(tmp_path / "run", model=Twice())
    run = nm.Run.open(tmp_path / "run")
    assert run.hook_points == ["inside.hook_out@0", "inside.hook_out@1", "out.hook_out", "hook_out"]
    assert run.verify() == []


# --- size -------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.mnist
@pytest.mark.parametrize("kind", ["mlp", "cnn"])
def test_a_default_run_on_mnist_stays_under_100_megabytes(tmp_path: Path, mnist_folder: Path, kind: str) -> None:
    mnist = nm.data.load("mnist", folder=mnist_folder)
    model = nm.MLP() if kind == "mlp" else nm.CNN()
    # The snapshots of ten epochs of the default 469 steps, in a tenth of the time: their number is what takes room.
    steps = schedule(nm.RecordConfig(), 4690, 469)
    first = nm.data.Dataset(mnist.name, mnist.train.subset(slice(0, 60_000, 10)), mnist.test)
    record = nm.RecordConfig(
        per_octave=0, every_epoch=False, steps=tuple(steps[:10] + list(range(20, 20 + len(steps) - 10)))
    )
    nm.train(model, first, nm.TrainConfig(epochs=1), observers=[nm.Recorder(tmp_path / "run", record)])
    assert len(nm.Run.open(tmp_path / "run").steps) >= len(steps)
    size = int(subprocess.run(["du", "-sb", tmp_path / "run"], capture_output=True, check=True).stdout.split()[0])
    assert size < 100_000_000
