"""Edits: what each does to a copy of the network, a random edit of its size, and the judgment by networks that were trained that way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neural_microscope as nm
import small_runs
from neural_microscope import edits
from neural_microscope.config import ConfigError
from neural_microscope.edits.making import Subject
from neural_microscope.errors import RunError, UnknownName
from neural_microscope.models import build

DIGITS = nm.data.load("digits")
CONFIG = nm.MLPConfig(image_shape=(8, 8), hidden=(12, 8))
TRAINING = nm.TrainConfig(epochs=12, batch_size=64, learning_rate=0.01)


def recorded(path: Path, config: Any = CONFIG, training: nm.TrainConfig = TRAINING, **options: Any) -> object:
    return nm.train(build(config, 0), DIGITS, training, observers=[nm.Recorder(path)], **options)


@pytest.fixture(scope="module")
def run(shared: Callable[[str, Callable[[Path], object]], Path]) -> nm.Run:
    return nm.Run.open(shared("edited-run", recorded))


@pytest.fixture(scope="module")
def at(run: nm.Run) -> Subject:
    return Subject(run.model(), DIGITS, TRAINING)


def logits(network: torch.nn.Module, images: Any = DIGITS.test) -> torch.Tensor:
    with torch.no_grad():
        return network(images.tensor())


EVERY = [
    edits.Forget(7),
    edits.Forget((2, 7), how="units", units=3, layer="layers.0"),
    edits.Forget(7, how="train", epochs=1),
    edits.Forget(images=(3, 1, 4), how="train", epochs=1),
    edits.Repair(8, 1),
    edits.Repair(8, 1, how="units"),
    edits.Repair(8, 1, how="train"),
    edits.Prune(0.25),
    edits.Prune(0.5, by="selectivity", epochs=1),
    edits.Prune(0.5, by="random"),
    edits.Steer("layers.0.hook_post", np.ones(12), strength=0.3),
]


@pytest.mark.parametrize("edit", EVERY, ids=str)
def test_an_edit_is_a_copy_that_differs_and_the_network_stays(at: Subject, edit: edits.Edit) -> None:
    before, weights = logits(at.model), copy.deepcopy(at.model.state_dict())
    network, random = edit.apply(at)
    drawn = [*random(2, 5)]
    assert not network.training
    assert all(not logits(one).equal(before) for one in (network, *drawn))
    assert not logits(drawn[0]).equal(logits(drawn[1]))
    assert torch.allclose(logits(next(iter(random(1, 5)))), logits(drawn[0]), atol=1e-3)  # in a stack of another size
    assert logits(edit.apply(at)[0]).equal(logits(network))
    assert logits(at.model).equal(before)
    assert all(value.equal(weights[name]) for name, value in at.model.state_dict().items())


def test_a_class_switched_off_is_never_predicted_and_the_others_keep_their_order(at: Subject) -> None:
    network = edits.Forget(7).apply(at)[0]
    before, after = logits(at.model), logits(network)
    others = [c for c in range(10) if c != 7]
    assert after[:, others].equal(before[:, others])
    assert float(after.softmax(1)[:, 7].max()) < 1e-6


def test_the_units_that_serve_a_class_are_those_whose_ablation_raises_its_loss_most(at: Subject) -> None:
    inside = DIGITS.train.subset(DIGITS.train.labels == 7)
    harm = []
    for unit in range(8):
        with at.model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=unit))]):
            harm.append(nm.evaluate(at.model, inside).loss)
    worst = np.argsort(harm)[::-1][:2].copy()
    with at.model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=worst.tolist()))]):
        expected = logits(at.model)
    assert torch.allclose(logits(edits.Forget(7, how="units", units=2).apply(at)[0]), expected, atol=1e-5)


def test_training_on_without_a_class_forgets_it_and_random_steps_are_as_long(at: Subject) -> None:
    network, random = edits.Forget(7, how="train", epochs=3).apply(at)
    sevens = torch.from_numpy(DIGITS.test.labels == 7)
    share = [(logits(one)[sevens].argmax(1) == 7).float().mean() for one in (at.model, network)]
    assert share[1] < share[0] - 0.2
    lengths = [
        [float((new - old).detach().norm()) for new, old in zip(one.parameters(), at.model.parameters(), strict=True)]
        for one in (network, *random(2, 0))
    ]
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-4)
    assert lengths[2] == pytest.approx(lengths[0], rel=1e-4)


def test_a_repaired_logit_undoes_half_of_the_errors_on_training_images(run: nm.Run, at: Subject) -> None:
    inside = DIGITS.train.subset(DIGITS.train.labels == 8)
    early = replace(at, model=run.model(run.steps[len(run.steps) // 2]))

    def errors(network: torch.nn.Module) -> torch.Tensor:
        found = logits(network, inside)
        return (found.argmax(1) == 1) & (found[:, 1] > found[:, 8])

    before = int(errors(early.model).sum())
    assert before > 3
    after = logits(edits.Repair(8, 1).apply(early)[0], inside)
    still = int((after[:, 1] > after[:, 8])[errors(early.model)].sum())
    assert still == before - (before // 2 + 1) or still == before // 2


def test_a_repair_repeats_the_images_of_both_classes() -> None:
    data, changes = edits.Repair(4, 9, times=3).training(DIGITS)
    counts = np.bincount(data.train.labels) / np.bincount(DIGITS.train.labels)
    assert counts.tolist() == [1, 1, 1, 1, 3, 1, 1, 1, 1, 3]
    assert not changes


def test_pruned_units_stay_ablated_while_the_rest_trains_on(at: Subject) -> None:
    network, random = edits.Prune(0.5, by="effect", epochs=1).apply(at)
    for one in (network, *random(3, 1)):
        acts = nm.activations(one, DIGITS.test, ["layers.0.hook_post", "layers.1.hook_post"])
        silent = [int((found == 0).all("example").sum()) for found in acts.values()]
        assert silent[0] >= 6
        assert silent[1] >= 4
        assert (one.output.weight == 0).all(0).sum() == 4
        assert not one.output.weight.equal(at.model.output.weight)
    assert edits.Prune(0.5).architecture(CONFIG).hidden == (6, 4)
    assert edits.Prune(0.9).architecture(nm.CNNConfig(channels=(4,), head=(1,))).head == (1,)


def test_pruned_units_stay_ablated_where_normalization_would_wake_them(at: Subject) -> None:
    normed = build(replace(CONFIG, norm="layer"), 0)
    network, _ = edits.Prune(0.5, by="random", epochs=1).apply(replace(at, model=normed))
    assert (network.output.weight == 0).all(0).sum() == 4
    assert not network.output.weight.equal(normed.output.weight)


def test_the_least_needed_units_are_pruned(at: Subject) -> None:
    some = DIGITS.train.balanced(1000)
    effects = nm.analysis.causal.ablate_all(at.model, some, "layers.1.hook_post", draws=1)["loss_increase"].values
    pruned = edits.Prune(0.25, by="effect").apply(at)[0]
    lost = np.flatnonzero((pruned.output.weight == 0).all(0).numpy())
    assert set(lost) == set(np.argsort(effects)[:2])


def test_a_steered_network_is_the_intervention_and_random_directions_are_as_long(at: Subject) -> None:
    direction = np.linspace(-1, 1, 8)
    network, random = edits.Steer("layers.1.hook_post", direction, 2.0).apply(at)
    with at.model.hooks([("layers.1.hook_post", nm.interventions.steer(direction, 2.0))]):
        assert torch.allclose(logits(network), logits(at.model), atol=1e-6)
    base = nm.activations(at.model, DIGITS.test, "layers.1.hook_post")["layers.1.hook_post"]
    for one in random(3, 0):
        moved = nm.activations(one, DIGITS.test, "layers.1.hook_post")["layers.1.hook_post"] - base
        assert np.allclose(np.linalg.norm(moved, axis=1), 2 * np.linalg.norm(direction), rtol=1e-4)


def test_channels_are_edited_too(tmp_path: Path) -> None:
    config = nm.CNNConfig(image_shape=(8, 8), channels=(3, 4), head=(12,))
    recorded(tmp_path / "cnn", config, replace(TRAINING, epochs=2))
    run = nm.Run.open(tmp_path / "cnn")
    for edit in (
        edits.Forget(7, how="units", units=2, layer="layers.1"),
        edits.Steer("layers.0.hook_pre", [1.0, 0, 2]),
    ):
        found = edits.judge(run, edit, data=DIGITS, seeds=3, draws=2)
        assert found.distance.layer.values.tolist()[-3:] == ["layers.0", "layers.1", "layers.2"]
        assert np.isfinite(found.distance["distance"]).all()
    assert edits.Prune(0.5).architecture(config).channels == (1, 2)


@pytest.mark.parametrize("edit", EVERY, ids=str)
def test_every_edit_is_judged(run: nm.Run, edit: edits.Edit) -> None:
    retrained = edits.retrain(run, edit, data=DIGITS, seeds=3)
    found = edits.judge(run, edit, data=DIGITS, retrained=retrained, draws=3)
    assert found.retrained == retrained
    assert ("goal" in found.distance.layer) == bool(edit.aim)
    assert [claim.rule for claim in found.claims if "goal" in claim.rule] == ["an edit reaches its goal"] * bool(
        edit.aim
    )
    assert {claim.verdict for claim in found.claims} <= {"shown", "not shown"}
    assert edit.trained in found.text
    assert "{" not in found.text
    assert "nan" not in found.text
    share = found.price["share_retrained"].values
    if isinstance(edit, edits.Forget) and edit.classes is not None:
        assert not share.any()
    assert float(found.distance["unedited"][0]) > 0


@dataclass(frozen=True)
class Trained(edits.Edit):
    """The edit that no edit can better: another network that was really trained that way."""

    edit: edits.Edit
    run: Any

    def apply(self, at: Subject) -> Any:
        return edits.retrain(self.run, self.edit, data=at.data, seeds=[77])[0], self.edit.apply(at)[1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.edit, name)

    def training(self, data: Any) -> Any:
        return self.edit.training(data)

    def goal(self, images: Any) -> Any:
        return self.edit.goal(images)

    trained = "trained that way"
    equal = "a random one"
    aim = "the share of images of class 7"


def test_a_network_that_was_really_trained_that_way_lies_within_and_one_without_its_units_does_not(run: nm.Run) -> None:
    forget = edits.Forget(7)
    retrained = edits.retrain(run, forget, data=DIGITS)
    really = edits.judge(run, Trained(forget, run), data=DIGITS, retrained=retrained)
    within, beyond, goal, _ = really.claims
    assert within.shown, really.text
    assert not beyond.shown
    assert goal.shown
    units = edits.Forget(7, how="units", units=3)
    within, beyond, _, cheap = edits.judge(run, units, data=DIGITS, retrained=retrained).claims
    assert not within.shown
    assert within.sentence.startswith("the edited network is not shown to lie within the spread of 8 networks")
    assert beyond.shown
    assert not cheap.shown
    *_, goal, cheap = edits.judge(run, forget, data=DIGITS, retrained=retrained).claims
    assert goal.shown
    assert cheap.shown


def test_the_same_call_gives_the_same_judgment(run: nm.Run) -> None:
    first, second = (edits.judge(run, edits.Forget(7), data=DIGITS, seeds=3, draws=3) for _ in range(2))
    assert first.distance.identical(second.distance)
    assert first.price.identical(second.price)
    assert first.text == second.text


def test_edits_that_can_not_be_made_are_refused(run: nm.Run) -> None:
    for made, words in (
        (lambda: edits.Forget(), "one of both"),
        (lambda: edits.Forget(7, images=(1,)), "one of both"),
        (lambda: edits.Forget(images=(1,)), "images have no logit"),
        (lambda: edits.Repair(4, 4), "two classes"),
        (lambda: edits.Repair(4, 9, times=1), "2 or more"),
        (lambda: edits.Prune(1.0), "between 0 and 1"),
        (lambda: edits.Steer("layers.0.hook_post", [0.0, 0.0]), "not all 0"),
        (lambda: edits.Steer("layers.0.hook_post", [1.0, 0.0], strength=float("nan")), "must be finite"),
        (lambda: edits.Steer("layers.0.hook_post", [1.0, 0.0], strength=0), "changes nothing"),
        (lambda: edits.Steer("layers.0.hook_post", [1.0, 0.0], confusion=(4, 4)), "two classes"),
    ):
        with pytest.raises(ConfigError, match=words):
            made()
    for edit, words in (
        (edits.Forget(10), "classes 0 to 9"),
        (edits.Forget(7, how="units", units=8), "8 units"),
        (edits.Forget(7, how="train", epochs=0), "1 or more"),
        (edits.Repair(4, 10), "classes 0 to 9"),
        (edits.Repair(0, 1), "nothing to repair"),
        (edits.Prune(0.01), "no unit"),
        (edits.Steer("layers.0.hook_post", [1.0]), "holds 12 units"),
        (edits.Steer("layers.0.hook_post", [1.0] * 12, confusion=(4, 40)), "classes 0 to 9"),
    ):
        with pytest.raises(ConfigError, match=words):
            edits.edited(run, edit, data=DIGITS)
    with pytest.raises(UnknownName, match=r"no hidden layer 'layers\.7'"):
        edits.edited(run, edits.Forget(7, how="units", layer="layers.7"), data=DIGITS)
    with pytest.raises(UnknownName, match="no by 'size'; there are: selectivity, effect, random"):
        edits.Prune(0.5, by="size")  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="no how 'logits'; there are: logit, units, train; did you mean 'logit'"):
        edits.Forget(7, how="logits")  # type: ignore[arg-type]


def test_runs_that_can_not_be_trained_again_are_refused(run: nm.Run, tmp_path: Path) -> None:
    other = replace(DIGITS, train=DIGITS.train.subset(slice(100)))
    with pytest.raises(RunError, match="other images"):
        edits.edited(run, edits.Forget(7), data=other)
    small_runs.train(tmp_path / "unknown")
    with pytest.raises(RunError, match="Give the data it was trained on"):
        edits.edited(nm.Run.open(tmp_path / "unknown"), edits.Forget(1))
    recorded(tmp_path / "own", training=replace(TRAINING, epochs=1), sampler=lambda epoch: [torch.arange(30)])
    with pytest.raises(RunError, match="can't be done again"):
        edits.edited(nm.Run.open(tmp_path / "own"), edits.Forget(7), data=DIGITS)


@pytest.mark.slow
@pytest.mark.mnist
def test_the_retrained_null_of_forgetting(tmp_path: Path, mnist_folder: Path) -> None:
    """784-128-64-10 on MNIST, Adam, 4 epochs, cosine: on test images of class 7 no way to forget reaches the networks that never saw one.

    The expected values were measured first by other code, at a setting that was not written down; this one comes closest of those tried.
    """
    mnist = nm.data.load("mnist", folder=mnist_folder)
    training = nm.TrainConfig(epochs=4, schedule="cosine")
    nm.train(nm.MLP(), mnist, training, observers=[nm.Recorder(tmp_path / "run")])
    run = nm.Run.open(tmp_path / "run")
    retrained = edits.retrain(run, edits.Forget(7), data=mnist)
    found = {
        edit.how: edits.judge(run, edit, data=mnist, retrained=retrained, draws=draws).distance
        for edit, draws in (
            (edits.Forget(7), 0),
            (edits.Forget(7, how="train", epochs=3), 0),
            (edits.Forget(7, how="units", units=6, layer="layers.0"), 10),
        )
    }
    goal = {how: table.sel(layer="goal") for how, table in found.items()}
    last = found["logit"].sel(layer="layers.1")
    measured = {
        "own": float(goal["logit"]["own"]),
        "own, largest": float(goal["logit"]["own_max"]),
        "own CKA": 1 - float(last["own"]),
        "logit": float(goal["logit"]["distance"]),
        "logit CKA": 1 - float(last["distance"]),
        "train": float(goal["train"]["distance"]),
        "units": float(goal["units"]["distance"]),
        "random units": float(goal["units"]["distance_null_low"] + goal["units"]["distance_null_high"]) / 2,
    }
    print(measured)
    expected = [0.087, 0.106, 0.948, 0.223, 0.881, 0.296, 0.753, 0.960]
    assert list(measured.values()) == pytest.approx(expected, abs=0.07)
    assert (
        measured["own, largest"] < measured["logit"] < measured["train"] < measured["units"] < measured["random units"]
    )
    for table in goal.values():
        assert bool(table["excess_shown"])
        assert not bool(table["within_shown"])
