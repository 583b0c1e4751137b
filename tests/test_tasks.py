"""Tasks other than classification: what is recorded, scored and measured, and what says that it needs class labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import neural_microscope as nm
import small_runs
from neural_microscope.errors import DataError, MicroscopeError, NoLabels, RunError

DRAWN = torch.Generator().manual_seed(0)
INPUTS = torch.randn(60, 6, generator=DRAWN)
SUMS = INPUTS[:, :2].sum(1)
SIGNS = (INPUTS[:, :3] > 0).long()
ANALYSIS = nm.analysis


def network(outputs: int = 1) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, outputs))


def recorded(folder: Path, model: nn.Module, **given: Any) -> nm.Run:
    with nm.record(folder, model, probe=INPUTS, every=2, **given) as recording:
        for _ in range(4):
            recording.step(loss=1.0)
    return nm.Run.open(folder)


@pytest.mark.parametrize(
    ("given", "outputs", "expected"),
    [
        ({"targets": SUMS}, 1, lambda out: ((out[:, 0] - SUMS) ** 2).mean()),
        ({"targets": SUMS, "loss": functional.l1_loss}, 1, lambda out: (out - SUMS).abs().mean()),
        (
            {"targets": SIGNS, "task": "multi-label"},
            3,
            lambda out: -(SIGNS * out.sigmoid().log() + (1 - SIGNS) * (1 - out.sigmoid()).log()).mean(),
        ),
        ({"task": "reconstruction"}, 6, lambda out: ((out - INPUTS) ** 2).mean()),
        ({}, 4, lambda out: torch.tensor(torch.nan)),
    ],
    ids=["regression", "own loss", "multi-label", "reconstruction", "other"],
)
@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_run_holds_its_task_and_the_loss_on_the_probe(
    tmp_path: Path, given: dict[str, Any], outputs: int, expected: Any
) -> None:
    model = network(outputs)
    run = recorded(tmp_path / "run", model, **given)
    assert run.task == (given.get("task") or ("regression" if "targets" in given else "other"))
    with torch.no_grad():
        wanted = float(expected(model(INPUTS).double()))
    assert np.allclose(run.log["test_loss"], wanted, rtol=1e-5, equal_nan=True)
    assert np.isnan(run.log["test_accuracy"]).all()
    assert "label" not in run.log.coords
    assert "test_accuracy_by_class" not in run.log
    assert run.probe.labels is None
    assert run.probe.task == run.task
    if "targets" in given:
        assert run.probe.targets.equal(given["targets"][run.probe_indices])  # type: ignore[union-attr]
    assert run.verify() == []


def test_a_target_of_another_width_is_refused_and_not_broadcast(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gave \[60, 3\] and the targets are \[60\]"):
        recorded(tmp_path / "run", network(3), targets=SUMS)


def test_targets_with_axes_in_another_order_are_refused_and_flat_ones_are_not() -> None:
    inputs = torch.randn(20, 3, 4, 5, generator=DRAWN)
    held = nm.data.examples(inputs, task="reconstruction")
    assert nm.evaluate(nn.Flatten(), held).loss == nm.evaluate(nn.Identity(), held).loss == 0

    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.movedim(1, -1)

    with pytest.raises(DataError, match="the axes must have one order"):
        nm.evaluate(Last(), held)


def test_what_needs_no_classes_is_measured_on_a_run_without_them(tmp_path: Path) -> None:
    model = network()
    run = recorded(tmp_path / "run", model, targets=SUMS)
    acts = run.activations("1.hook_out")
    labeled = acts.assign_coords(label=("example", np.zeros(60, int)))
    assert ANALYSIS.geometry.pca(acts)["explained"].equals(ANALYSIS.geometry.pca(labeled)["explained"])
    assert float(ANALYSIS.similarity.cka(acts[-1], acts[-1])["cka"]) == pytest.approx(1)
    assert ANALYSIS.similarity.drift(acts).sizes["snapshot"] == 3
    assert ANALYSIS.dynamics.activity(acts).sizes["unit"] == 5
    held = nm.activations(model, run.probe, "1.hook_out")["1.hook_out"]
    assert np.allclose(held, acts[-1])


def test_what_needs_classes_says_so_in_one_sentence(tmp_path: Path) -> None:
    model = network(4)
    run = recorded(tmp_path / "run", model, targets=SUMS, loss=lambda out, wanted: out.mean())
    acts, probe = run.activations("1.hook_out"), run.probe
    sentence = r"^{} needs class labels, and .+ has none.*; PCA, drift, CKA, dictionaries and attribution work without$"
    for name, measure in (
        ("class_selectivity", lambda: ANALYSIS.selectivity.class_selectivity(acts)),
        ("neural_collapse", lambda: ANALYSIS.geometry.neural_collapse(acts)),
        ("ablate_all", lambda: ANALYSIS.causal.ablate_all(model, probe, "1.hook_out")),
        ("label_dependence", lambda: ANALYSIS.causal.label_dependence(model, probe, "1.hook_out")),
        ("sharpness", lambda: ANALYSIS.dynamics.sharpness(model, probe)),
    ):
        with pytest.raises(NoLabels) as refusal:
            measure()
        assert re.match(sentence.format(name), str(refusal.value)), str(refusal.value)


def test_attribution_of_any_output_needs_no_labels() -> None:
    held = nm.data.examples(torch.rand(20, 1, 4, 4, generator=DRAWN), targets=torch.randn(20, 3, generator=DRAWN))
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    found = ANALYSIS.attribution.saliency(model, held, target=1)["attribution"]
    weight = model.get_parameter("1.weight")[1].detach().reshape(4, 4).numpy()
    assert np.allclose(np.abs(found), np.abs(weight)[None], atol=1e-6)
    with pytest.raises(MicroscopeError, match="give target="):
        ANALYSIS.attribution.saliency(model, held)


def test_the_explorer_refuses_a_run_without_classes_and_tensorboard_takes_it(tmp_path: Path) -> None:
    run = recorded(tmp_path / "run", network(), targets=SUMS)
    with pytest.raises(RunError, match=r"task of the kind 'regression'.*nm\.report\.write serves other tasks"):
        nm.explorer.write([run], tmp_path / "page.html", models=[network()])
    pytest.importorskip("tensorboard")
    assert list(nm.interop.to_tensorboard(run, tmp_path / "events").iterdir())


def test_labels_beside_another_task_are_kept(tmp_path: Path) -> None:
    labels = (INPUTS[:, 0] > 0).long()
    run = recorded(tmp_path / "run", network(6), labels=labels, task="reconstruction")
    assert (run.task, run.probe.classes) == ("reconstruction", 2)
    assert np.array_equal(run.probe.labels, labels[run.probe_indices])
    assert ANALYSIS.selectivity.class_selectivity(run.activations("1.hook_out")).sizes["unit"] == 5


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"targets": SIGNS}, "fit two tasks: give task='multi-label' or task='regression'"),
        ({"targets": SUMS, "task": "multi-label"}, "are 0 or 1"),
        ({"targets": SUMS[:-1]}, r"60 of them; \[59\] came"),
        ({"task": "classification"}, "needs labels"),
        ({"task": "regression"}, "needs targets="),
        ({"task": "regresion"}, "did you mean 'regression'"),
        ({"loss": functional.mse_loss, "evaluate": lambda model: {"loss": 0}}, "give one"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(tmp_path: Path, given: dict[str, Any], match: str) -> None:
    with pytest.raises(MicroscopeError, match=match):
        nm.record(tmp_path / "run", network(), probe=INPUTS, **given)


def test_an_image_set_without_labels_is_a_whole_image_set() -> None:
    held = nm.data.examples(INPUTS, targets=SUMS)
    assert repr(held) == "<ImageSet '': 60 images of 1 x 6, no labels, regression>"
    some = held.balanced(20, seed=1)
    assert len({tuple(row) for row in some.images[:, 0].tolist()}) == 20
    assert some.targets.equal(SUMS[held.balanced_indices(20, seed=1)])  # type: ignore[union-attr]
    assert held.most_balanced == 60
    assert held.sha256 != nm.data.examples(INPUTS, targets=SUMS + 1).sha256
    with pytest.raises(NoLabels, match="needs class labels"):
        held.label_tensor()
    with pytest.raises(DataError, match="task is regression in train, other in test"):
        nm.data.Dataset("made up", held, nm.data.examples(INPUTS))


TEST = torch.randn(40, 6, generator=DRAWN)
WEIGHTS = torch.tensor([1.0, -2.0, 0.5])
CONFIG = nm.TrainConfig(epochs=3, batch_size=16, learning_rate=0.02, drop_last=True)


def wanted(task: str, inputs: Tensor) -> dict[str, Any]:
    if task == "regression":
        return {"targets": inputs[:, :2].sum(1)}
    return {"targets": (inputs[:, :3] > 0).long(), "task": task} if task == "multi-label" else {"task": task}


def dataset(task: str) -> nm.data.Dataset:
    train, test = (nm.data.examples(x, name="made up", **wanted(task, x)) for x in (INPUTS, TEST))
    return nm.data.Dataset("made up", train, test)


def batches_of(inputs: Tensor, targets: Any) -> list[list[tuple[Tensor, Any]]]:
    """The batches of each epoch, as `CONFIG` orders them."""
    orders = ([b for b in nm.data.batches(60, 16, seed=0, epoch=epoch) if len(b) == 16] for epoch in range(3))
    return [[(inputs[b], targets[b]) for b in order] for order in orders]


LOSSES: dict[str, tuple[int, Any]] = {
    "regression": (1, lambda out, x: ((out[:, 0] - x[:, :2].sum(1)) ** 2).mean()),
    "multi-label": (
        3,
        lambda out, x: functional.binary_cross_entropy_with_logits(out, (x[:, :3] > 0).float()),
    ),
    "reconstruction": (6, lambda out, x: ((out - x) ** 2).mean()),
}


@pytest.mark.parametrize("task", LOSSES)
@pytest.mark.parametrize("made", ["a Dataset", "batches"])
def test_train_takes_the_steps_of_a_plain_loop(task: str, made: str, tmp_path: Path) -> None:
    outputs, loss_of = LOSSES[task]
    plain, ours = network(outputs), network(outputs)
    optimizer, losses = torch.optim.Adam(plain.parameters(), lr=0.02, fused=True), []
    for epoch in batches_of(INPUTS, INPUTS):
        for x, _ in epoch:
            loss = loss_of(plain(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    data = dataset(task)
    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, probe_size=20))
    if made == "a Dataset":
        history = nm.train(ours, data, CONFIG, observers=[recorder])
    else:
        made_up = Epochwise(batches_of(INPUTS, data.train.target_tensor()))
        settings = nm.TrainConfig(epochs=3, learning_rate=0.02)
        history = nm.train(ours, made_up, settings, test=data.test, observers=[recorder])
    assert np.allclose(history.loss, losses, rtol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain.parameters(), ours.parameters(), strict=True))
    with torch.no_grad():
        assert history.test.loss == pytest.approx(float(loss_of(plain(TEST), TEST)), rel=1e-5)
    assert np.isnan(history.accuracy).all()
    run = nm.Run.open(tmp_path / "run")
    assert (run.task, run.status, run.steps) == (task, "finished", [0, 3, 6, 9])
    assert float(run.log["test_loss"][-1]) == pytest.approx(history.test.loss)


class Epochwise:
    """Batches that are others in each epoch, as a shuffling loader's."""

    def __init__(self, epochs: list[Any]) -> None:
        self.epochs, self.turn = epochs, -1

    def __len__(self) -> int:
        return len(self.epochs[0])

    def __iter__(self) -> Any:
        self.turn += 1
        return iter(self.epochs[self.turn])


def test_a_loader_of_labeled_images_trains_as_the_images_do() -> None:
    data = small_runs.data()
    loader = DataLoader(TensorDataset(data.train.tensor(), data.train.label_tensor()), batch_size=30)
    unshuffled: Any = lambda epoch: torch.arange(90).split(30)  # noqa: E731
    one, other = small_runs.mlp(), small_runs.mlp()
    config = nm.TrainConfig(epochs=2, batch_size=30)
    told = nm.train(one, data, config, sampler=unshuffled), nm.train(other, loader, config, test=data.test)
    assert np.array_equal(told[0].loss, told[1].loss)
    assert np.array_equal(told[0].accuracy, told[1].accuracy)
    assert all(a.equal(b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_loss_of_ones_own_is_trained_scored_and_asked_for_again(tmp_path: Path) -> None:
    def smoothed(logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(logits, labels, label_smoothing=0.2)

    data, model = small_runs.data(), small_runs.mlp()
    first = smoothed(model(data.train.tensor()), data.train.label_tensor()).item()
    observers = [nm.Recorder(tmp_path / "run", small_runs.RECORD), Stops(4)]
    history = nm.train(model, data, nm.TrainConfig(epochs=8, batch_size=90), loss=smoothed, observers=observers)
    assert history.loss[0] == pytest.approx(first, rel=1e-5)
    assert 0 < history.accuracy[0] < 1
    with torch.no_grad():
        assert history.test.loss == pytest.approx(smoothed(history.test.logits, data.test.label_tensor()).item())
    with pytest.raises(RunError, match="a loss of its own; give it: loss="):
        nm.resume(tmp_path / "run", data=data)
    assert nm.resume(tmp_path / "run", data=data, loss=smoothed).status == "finished"
    whole = small_runs.mlp()
    nm.train(whole, data, nm.TrainConfig(epochs=8, batch_size=90), loss=smoothed)
    again = nm.Run.open(tmp_path / "run").model()
    assert all(a.equal(b) for a, b in zip(whole.parameters(), again.parameters(), strict=True))


def test_a_run_on_batches_keeps_every_row_and_is_not_resumed(tmp_path: Path) -> None:
    data = small_runs.data()
    loader = DataLoader(TensorDataset(data.train.tensor(), data.train.label_tensor()), batch_size=10, shuffle=True)
    observers = [nm.Recorder(tmp_path / "run", small_runs.RECORD), Stops(7)]
    history = nm.train(small_runs.mlp(), loader, nm.TrainConfig(epochs=2), test=data.test, observers=observers)
    run = nm.Run.open(tmp_path / "run")
    assert (run.status, run.steps[-1], run.resumable) == (history.status, 4, False)
    assert np.array_equal(run.training["loss"], history.loss)
    assert len(history.loss) == 7
    assert run.train_config.batch_size == 10  # type: ignore[union-attr]
    with pytest.raises(RunError, match="batches of the caller's own, whose order is not known here"):
        nm.resume(tmp_path / "run", data=data)


class Stops(nm.training.Observer):
    """Ends the training after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def stepped(self, training: nm.training.Training) -> None:
        if training.step == self.step:
            training.stop("enough")


@pytest.mark.parametrize("step", [8, 11])
def test_a_stopped_training_is_continued_to_the_same_bits(tmp_path: Path, step: int) -> None:
    told = small_runs.train(tmp_path / "parts", observers=[Stops(step)])
    assert told.status == f"stopped early at step {step}: enough"
    assert len(told.loss) == step
    run = nm.Run.open(tmp_path / "parts")
    assert (run.status, run.steps[-1]) == (told.status, {8: 8, 11: 9}[step])
    assert nm.resume(tmp_path / "parts", data=small_runs.data()).status == "finished"
    small_runs.train(tmp_path / "whole")
    one, other = (nm.Run.open(tmp_path / name) for name in ("whole", "parts"))
    assert all(weight.equal(other.weights()[name]) for name, weight in one.weights().items())
    assert other.training.identical(one.training)


class Tagger(nn.Module):
    """Gives a dict of two outputs, as networks for several tasks do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 1), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = self.body(x).relu()
        return {"sum": self.first(hidden), "signs": self.second(hidden)}


def test_outputs_of_several_tensors_go_to_the_callers_loss(tmp_path: Path) -> None:
    def both(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
        return functional.mse_loss(outputs["sum"][:, 0], targets[:, 0]) + outputs["signs"].square().mean()

    train, test = (nm.data.examples(x, targets=x[:, :2]) for x in (INPUTS, TEST))
    plain, ours = Tagger(), Tagger()
    optimizer = torch.optim.Adam(plain.parameters(), lr=0.02, fused=True)
    for epoch in batches_of(INPUTS, INPUTS[:, :2]):
        for x, y in epoch:
            optimizer.zero_grad()
            both(plain(x), y).backward()
            optimizer.step()
    data = nm.data.Dataset("made up", train, test)
    history = nm.train(ours, data, CONFIG, task="other", loss=both, observers=[nm.Recorder(tmp_path / "run")])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(plain.parameters(), ours.parameters(), strict=True))
    assert history.test.loss == pytest.approx(both(plain(TEST), TEST[:, :2]).item(), rel=1e-5)
    run = nm.Run.open(tmp_path / "run")
    assert (run.task, float(run.log["test_loss"][-1])) == ("other", pytest.approx(history.test.loss))
    assert "hook_out.sum" in run.hook_points


def test_one_of_several_trained_together_stops_alone() -> None:
    data, config = small_runs.data(), small_runs.mlp().config
    found = nm.train_population(
        config,
        data,
        nm.TrainConfig(epochs=1, batch_size=30),
        seeds=[0, 1],
        order="shared",
        observers=lambda seed: [Stops(2)] if seed else [],
    )
    assert [history.status for _, history in found.values()] == ["finished", "stopped early at step 2: enough"]
    alone = nm.train(small_runs.mlp(1), data, nm.TrainConfig(epochs=1, batch_size=30), observers=[Stops(2)])
    assert np.allclose(found[1][1].loss, alone.loss, rtol=1e-5)


def test_drop_last_leaves_out_the_smaller_batch() -> None:
    assert [len(b) for b in nm.data.batches(10, 4, seed=0, epoch=0, drop_last=True)] == [4, 4]
    assert (
        len(nm.train(small_runs.mlp(), small_runs.data(), nm.TrainConfig(epochs=2, batch_size=40, drop_last=True)).loss)
        == 4
    )
    with pytest.raises(DataError, match="drop_last leaves no batch of 100 of the 90"):
        nm.train(small_runs.mlp(), small_runs.data(), nm.TrainConfig(batch_size=100, drop_last=True))


def test_an_autoencoder_of_labeled_images_keeps_their_labels(tmp_path: Path) -> None:
    data = small_runs.data()
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16))
    nm.train(model, data, nm.TrainConfig(epochs=1), task="reconstruction", observers=[nm.Recorder(tmp_path / "run")])
    run = nm.Run.open(tmp_path / "run")
    assert (run.task, run.probe.classes) == ("reconstruction", 3)
    with torch.no_grad():
        expected = functional.mse_loss(model.eval()(data.test.tensor()), data.test.tensor().flatten(1))
    assert float(run.log["test_loss"][-1]) == pytest.approx(float(expected))
    assert run.log["test_loss"].attrs["units"] == "1"


X, Y = torch.zeros(8, 6), torch.zeros(8, dtype=torch.int64)
HELD = nm.data.examples(X, [0, 1] * 4)


@pytest.mark.parametrize(
    ("data", "given", "match"),
    [
        ([(X, Y)], {}, "without held-out examples"),
        ([], {"test": HELD}, "has no batches"),
        (iter([(X, Y)]), {"test": HELD}, "has no length"),
        ([X], {"test": HELD}, r"a batch is a Tensor; it must be \(inputs, targets\)"),
        ([{"x": X}], {"test": HELD}, "a batch is a dict"),
        ([(X, Y, Y)], {"test": HELD}, "tuple of 3"),
        ([(X, Y.float())], {"test": HELD}, r"float32 \[8\] came: give task= or loss="),
        ([(X, Y)], {"test": nm.data.examples(X)}, "'other' has no loss"),
        ([(X, Y)], {"test": HELD, "loss": lambda out, wanted: out.mean(1)}, "gave a tensor of shape"),
        ([(X, Y)], {"test": HELD, "config": nm.TrainConfig(drop_last=True)}, "set them in the DataLoader"),
        ([(X, Y)], {"test": HELD, "resume_from": (1, {})}, "can't be resumed"),
        (small_runs.data(), {"test": HELD}, "leave test= out"),
        (small_runs.data(), {"task": "reconstruction", "config": nm.TrainConfig(label_noise=0.1)}, "label_noise"),
    ],
)
def test_what_can_not_be_trained_on_is_refused(data: Any, given: dict[str, Any], match: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    model(data.train.tensor() if isinstance(data, nm.data.Dataset) else X)
    with pytest.raises(MicroscopeError, match=match):
        nm.train(model, data, given.pop("config", None), **given)


def test_a_label_for_which_there_is_no_logit_is_named() -> None:
    digits = nm.data.load("digits")
    loader = [(torch.randn(4, 1, 8, 8), torch.tensor([0, -100, 10, 2]))]
    with pytest.raises(
        DataError, match=r"an example has the label 10; the model gives 10 logits, so labels are 0\.\.9"
    ):
        nm.train(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), loader, nm.TrainConfig(epochs=1), test=digits.test)


def test_an_observer_sees_the_loss_that_is_minimized() -> None:
    digits = nm.data.load("digits")

    class Last(nm.training.Observer):
        loss = np.nan

        def stepped(self, training: nm.training.Training) -> None:
            self.loss = training.evaluate().loss

    def doubled(logits: Tensor, labels: Tensor) -> Tensor:
        return 2 * nn.functional.cross_entropy(logits, labels)

    last, model = Last(), nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    config = nm.TrainConfig(epochs=1, batch_size=500)
    history = nm.train(model, digits, config, loss=doubled, observers=[last])
    assert last.loss == history.test.loss == pytest.approx(2 * nm.evaluate(model, digits.test).loss)
