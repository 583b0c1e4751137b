"""Replays: exact where nothing is changed, and otherwise changed exactly as said, beside a twin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import crashing
import neural_microscope as nm
import small_runs
from neural_microscope import changes, replays
from neural_microscope.changes.change import Fork
from neural_microscope.changes.images import SetChange
from neural_microscope.changes.units import incoming, outgoing
from neural_microscope.config import ConfigError
from neural_microscope.errors import RunError, UnknownName, WrongType

DATA = small_runs.data()
KEPT = nm.RecordConfig(per_octave=1, probe_size=12, norms_every=4, keep_states=True)
STEPS = [0, 1, 2, 4, 8, 9, 16, 18]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    """Two hidden layers, 18 steps, states of all snapshots kept."""
    folder = tmp_path_factory.mktemp("original") / "mlp"
    small_runs.train(folder, record=KEPT, model=small_runs.mlp(hidden=(6, 5)))
    return nm.Run.open(folder)


def replay(run: nm.Run, folder: Path, **settings: Any) -> nm.Replay:
    return nm.replay(run, folder, **{"data": DATA, "nulls": 0, "branches": 2, **settings})


def same_weights(one: nm.Run, other: nm.Run, step: int | None = None) -> bool:
    ours, theirs = one.weights(step), other.weights(step)
    return all(tensor.equal(theirs[name]) for name, tensor in ours.items())


# --- nothing changed --------------------------------------------------------------------------------------------------------


def test_the_states_of_all_snapshots_are_kept_where_asked(run: nm.Run, tmp_path: Path) -> None:
    assert run.steps == run.kept_states == STEPS
    assert not run.verify()
    small_runs.train(tmp_path / "usual")
    assert nm.Run.open(tmp_path / "usual").kept_states == [16, 18]


@pytest.mark.parametrize("at", STEPS[:-1])
@pytest.mark.parametrize(
    "model",
    [
        lambda: small_runs.mlp(hidden=(6, 5)),
        lambda: small_runs.mlp(dropout=0.2, norm="batch"),
        lambda: nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,))),
    ],
    ids=["mlp", "mlp with dropout", "cnn"],
)
def test_a_replay_that_changes_nothing_is_the_original_to_the_bit(at: int, model: Any, tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", model=model(), record=KEPT, optimizer="sgd", momentum=0.9, schedule="cosine")
    run = nm.Run.open(tmp_path / "run")
    twin = replay(run, tmp_path / "replay", at=at, orders="same", branches=1).run("twin", 0)
    _equal(run, twin, at)


def test_a_network_of_a_population_is_replayed_in_its_place(tmp_path: Path) -> None:
    nm.train_population(
        nm.MLPConfig(image_shape=(4, 4), classes=3, hidden=(6, 5)),
        DATA,
        nm.TrainConfig(epochs=2, batch_size=10),
        seeds=range(3),
        order="shared",
        observers=lambda seed: [nm.Recorder(tmp_path / f"run-{seed}", KEPT)],
    )
    run = nm.Run.open(tmp_path / "run-1")
    assert run.description["together"] == {"number": 1, "of": 3}
    _equal(run, replay(run, tmp_path / "replay", at=4, orders="same", branches=1).run("twin", 0), 4)


def _equal(run: nm.Run, twin: nm.Run, at: int) -> None:
    """Two runs with the same weights, scalars, activations and scores from the fork on."""
    assert not twin.verify()
    assert twin.status == "finished"
    there = [step for step in twin.steps if step in run.steps]
    assert {at, run.steps[-1]} <= {*there}
    for step in there:
        assert same_weights(run, twin, step), step
    for name in run.log.data_vars:
        ours, theirs = (one.log[name] for one in (run, twin))
        if "snapshot" in ours.dims and name != "seconds":
            ours, theirs = (
                one.isel(snapshot=[held.steps.index(s) for s in there]) for one, held in ((ours, run), (theirs, twin))
            )
        np.testing.assert_array_equal(ours, theirs, err_msg=str(name))
    for name in ("loss", "accuracy", "learning_rate"):
        np.testing.assert_array_equal(run.training[name], twin.training[name])
    for name in ("grad_norm", "update_ratio"):
        np.testing.assert_array_equal(run.gradients[name], twin.gradients[name])


def test_a_twin_in_a_stack_equals_the_original_up_to_rounding(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=4, change=nm.changes.Ablate("layers.0", 2), orders="same", branches=1)
    far = max((run.weights()[n] - tensor).abs().max().item() for n, tensor in made.twins[0].weights().items())
    assert far < 1e-5
    assert made.difference(run) == {"loss": pytest.approx(0, abs=1e-5), "weights": far}


def test_other_orders_differ_and_twins_are_paired_with_branches(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=4, change=nm.changes.LearningRate(1.0), branches=3)
    finals = made.scores.loss.isel(snapshot=-1)
    np.testing.assert_array_equal(finals.sel(network="twin"), finals.sel(network="branch"))
    assert len(np.unique(finals.sel(network="twin"))) == 3
    assert [twin.parent["order"] for twin in made.twins] == list(made.settings.orders)


# --- units ------------------------------------------------------------------------------------------------------------------


def test_a_unit_without_outgoing_weights_can_be_lost_without_any_effect(tmp_path: Path) -> None:
    model = small_runs.mlp(hidden=(6, 5))
    with torch.no_grad():
        model.output.weight[:, 3] = 0
        model.layers[1].linear.weight[3] = 0
        model.layers[1].linear.bias[3] = -1
    small_runs.train(tmp_path / "run", model=model, record=KEPT)
    run = nm.Run.open(tmp_path / "run")
    made = replay(run, tmp_path / "replay", at=4, change=nm.changes.Ablate("layers.1", 3), nulls=4)
    for name, scores in made.scores.data_vars.items():
        np.testing.assert_array_equal(scores.sel(network="twin"), scores.sel(network="branch"), err_msg=str(name))
    effects = made.effects("layers.1")
    np.testing.assert_array_equal(effects.sel(network="twin"), effects.sel(network="branch"))
    others = [effects.sel(network=f"null {number}") for number in range(4)]
    assert any(not np.array_equal(effects.sel(network="twin"), other) for other in others)


def test_a_lost_unit_is_silent_and_comes_back_as_it_was(run: nm.Run, tmp_path: Path) -> None:
    lost = nm.changes.Ablate("layers.0", (1, 4), since=8, until=16)
    record = nm.RecordConfig(per_octave=0, every_epoch=False, steps=tuple(range(15)), probe_size=12)
    branch = replay(run, tmp_path / "replay", at=4, change=lost, record=record, branches=1).branches[0]
    ends = {step: _ends(branch.model(step), "layers.0", (1, 4)) for step in branch.steps}
    assert all(not any(tensor.any() for tensor in ends[step]) for step in range(8, 16))
    assert all(a.equal(b) for a, b in zip(ends[16], _before(branch, "layers.0", (1, 4)), strict=True))
    assert not ends[17][0].equal(ends[16][0])
    activations = branch.activations("layers.0.hook_post").assign_coords(snapshot=branch.steps)
    assert not activations.sel(snapshot=12).isel(unit=[1, 4]).any()
    assert activations.sel(snapshot=12).isel(unit=[0, 2, 3, 5]).any()


def _ends(model: Any, layer: str, units: tuple[int, ...]) -> list[torch.Tensor]:
    return [tensor.clone() for unit in units for ends in (incoming, outgoing) for tensor in ends(model, layer, unit)]


def _before(branch: nm.Run, layer: str, units: tuple[int, ...]) -> list[torch.Tensor]:
    """The weights that the twin of the same order has at step 8, up to which both are the same."""
    return _ends(nm.Run.open(branch.folder.with_name("twin-0")).model(8), layer, units)


def test_a_frozen_unit_keeps_its_incoming_weights(run: nm.Run, tmp_path: Path) -> None:
    branch = replay(run, tmp_path / "replay", at=4, change=nm.changes.Freeze("layers.1", 2), branches=1).branches[0]
    start, end = run.model(4), branch.model()
    assert all(a.equal(b) for a, b in zip(incoming(start, "layers.1", 2), incoming(end, "layers.1", 2), strict=True))
    assert not any(
        a.equal(b) for a, b in zip(outgoing(start, "layers.1", 2), outgoing(end, "layers.1", 2), strict=True)
    )
    assert not any(
        a.equal(b) for a, b in zip(incoming(start, "layers.1", 1), incoming(end, "layers.1", 1), strict=True)
    )


def test_a_unit_that_starts_over_has_the_weights_of_a_new_network(run: nm.Run) -> None:
    training = _training(run, 8)
    changes.Reinitialize("layers.1", 2, seed=9).observer(_fork(run, 8)).started(training)
    fresh = small_runs.mlp(seed=9, hidden=(6, 5))
    assert all(
        a.equal(b) for a, b in zip(_ends(training.model, "layers.1", (2,)), _ends(fresh, "layers.1", (2,)), strict=True)
    )
    moment = training.optimizer.state[training.model.layers[1].linear.weight]["exp_avg"]
    assert not moment[2].any()
    assert moment[1].any()


def test_a_copied_unit_changes_no_output_and_its_twins_spare_unit_stays_dead(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=8, change=nm.changes.Duplicate("layers.0", 2), nulls=2)
    first = made.scores.loss.isel(snapshot=0)
    np.testing.assert_allclose(first.sel(network="twin"), first.sel(network="branch"), rtol=1e-6)
    usual = replay(run, tmp_path / "usual", at=8, change=nm.changes.Freeze("layers.0", 2), nulls=2)
    np.testing.assert_allclose(made.scores.loss.sel(network="twin"), usual.scores.loss.sel(network="twin"), rtol=1e-5)
    twin, branch = made.twins[0], made.branches[0]
    assert twin.config.hidden == branch.config.hidden == (7, 5)
    assert not any(tensor.any() for tensor in _ends(twin.model(), "layers.0", (6,)))
    assert twin.activations("layers.0.hook_post").sizes["unit"] == 7
    assert all(
        a.equal(b) for a, b in zip(*(_ends(branch.model(), "layers.0", (unit,)) for unit in (2, 6)), strict=True)
    )
    assert not twin.verify()
    assert not branch.verify()


def test_a_copied_channel_of_a_cnn_too(tmp_path: Path) -> None:
    model = nm.CNN(nm.CNNConfig(image_shape=(4, 4), classes=3, channels=(2, 3), head=(5,)))
    small_runs.train(tmp_path / "run", model=model, record=KEPT)
    run = nm.Run.open(tmp_path / "run")
    for layer in ("layers.0", "layers.1", "layers.2"):
        made = replay(run, tmp_path / layer, at=8, change=nm.changes.Duplicate(layer, 1), branches=1)
        first = made.scores.loss.isel(snapshot=0, order=0)
        assert float(first.sel(network="twin")) == pytest.approx(float(first.sel(network="branch")), rel=1e-6)
        assert not made.branches[0].verify()


def test_a_copy_takes_over_the_work_of_a_lost_unit(tmp_path: Path) -> None:
    """The planted takeover: the unit's copy has half of its effect at first, and the lost half comes to it."""
    small_runs.train(tmp_path / "run", model=small_runs.mlp(hidden=(6,)), record=KEPT, epochs=10)
    run = nm.Run.open(tmp_path / "run")
    unit = int(replays.making.effects(run.model(16), "layers.0", DATA.test.tensor(), DATA.test.label_tensor()).argmax())
    change = nm.changes.Duplicate("layers.0", unit) + nm.changes.Ablate("layers.0", unit, since=17)
    effects = replay(run, tmp_path / "replay", at=16, change=change, nulls=4).effects("layers.0")
    rise = (effects.sel(network="branch") - effects.sel(network="twin")).isel(snapshot=-1).mean("order")
    rest = rise.drop_isel(unit=unit)
    assert int(np.argmax(rest.data)) == 5  # the copy is the last unit: 6, without the lost one 5


# --- data -------------------------------------------------------------------------------------------------------------------


def test_a_withheld_class_is_forgotten(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), until=85, nulls=2)
    last = made.scores.accuracy_by_class.isel(snapshot=-1).mean("order")
    assert [int(last.sel(network=name)[1]) for name in ("twin", "branch")] == [1, 0]
    assert {null[0]["classes"] for null in made.settings.nulls} == {0, 2}
    assert made.twins[0].status == "stopped early at step 85: the end of a replay"


@pytest.mark.parametrize("together", [False, True])
def test_what_batches_a_branch_sees(run: nm.Run, together: bool) -> None:
    images = DATA.train
    seen = _seen(changes.Withhold(classes=1, since=4, until=9), together)
    assert [int((labels == 1).sum()) > 0 for _, labels in seen] == [step < 4 or step >= 9 for step in range(18)]
    seen = _seen(changes.Relabel(images=(0, 3, 7), to=2), together)
    assert sum(int((labels == 2).sum()) for _, labels in seen[:9]) == 30 + sum(images.labels[[0, 3, 7]] != 2)
    seen = _seen(changes.Reorder(classes=2, place="last", since=9), together)
    assert [bool((labels == 2).all()) for _, labels in seen[15:]] == [True, True, True]
    assert not any(bool((labels == 2).any()) for _, labels in seen[9:15])
    assert any(bool((labels == 2).any()) for _, labels in seen[:6])
    seen, usual = (
        _seen(change, together) for change in (changes.Blur(classes=0, sigma=1.0), changes.Blur(classes=0, since=99))
    )
    for (blurred, labels), (sharp, _) in zip(seen, usual, strict=True):
        changed = (blurred != sharp).flatten(1).any(1)
        assert changed.equal(labels == 0)
        torch.testing.assert_close(blurred.sum((1, 2, 3)), sharp.sum((1, 2, 3)), rtol=1e-4, atol=1e-4)


def _seen(change: SetChange, together: bool) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Images and labels of the batches of 2 epochs, without those of weight 0: of a network by itself, or of the second of two."""
    from neural_microscope.training.feed import Fed, Feed, Feeds, order_of

    config, model = nm.TrainConfig(epochs=2, batch_size=10), small_runs.mlp()
    sampler, own = order_of(DATA, config, 5), [change.feed(DATA.train)]
    if not together:
        return [(x.clone(), y) for x, y in Fed(DATA, config, Feed(sampler, own), model).after(0)]
    found = []
    for images, labels, weights, each in Feeds(DATA, config, [Feed(sampler), Feed(sampler, own)], model).after(0):
        x, y = images[1] if each else images, labels[1] if labels.ndim == 2 else labels
        kept = slice(None) if weights is None else weights[1] > 0
        found.append((x[kept].clone(), y[kept]))
    return found


# --- the optimizer ----------------------------------------------------------------------------------------------------------


def test_rates_and_schedules_are_those_asked_for(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", model=small_runs.mlp(), record=KEPT, schedule="cosine")
    run = nm.Run.open(tmp_path / "run")
    usual = run.training.learning_rate.values

    def rates(name: str, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
        made = replay(run, tmp_path / name, at=8, branches=1, **settings)
        return tuple(one.training.learning_rate.values for one in (made.twins[0], made.branches[0]))  # type: ignore[return-value]

    twin, branch = rates("half", change=nm.changes.LearningRate(0.5, since=10, until=12))
    np.testing.assert_array_equal(twin, usual)
    np.testing.assert_allclose(branch, np.where(np.isin(np.arange(18), (10, 11)), usual / 2, usual))
    _, branch = rates("restarted", change=nm.changes.Schedule("restarted"))
    np.testing.assert_allclose(branch[8:], [0.005 * (1 + np.cos(np.pi * n / 10)) for n in range(10)])
    twin, branch = rates("longer", change=nm.changes.Freeze("layers.0", 1), until=30)
    np.testing.assert_allclose(twin[:18], usual)
    np.testing.assert_allclose(twin[18:], usual[-1])
    np.testing.assert_array_equal(twin, branch)
    twin, _ = rates("crossed", change=nm.changes.Freeze("layers.0", 1), until=30, lr_schedule="restarted")
    np.testing.assert_allclose(twin[8:], [0.005 * (1 + np.cos(np.pi * n / 22)) for n in range(22)])


def test_a_restarted_schedule_is_that_of_the_updates_in_a_stack_too(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run", model=small_runs.mlp(), record=KEPT, schedule="cosine")
    run = nm.Run.open(tmp_path / "run")
    alone, among = (
        replay(run, tmp_path / name, at=8, branches=1, lr_schedule="restarted", change=change)
        for name, change in (("alone", None), ("among", nm.changes.Freeze("layers.0", 1)))
    )
    usual = replay(run, tmp_path / "usual", at=8, branches=1).twins[0].weights()["output.weight"]
    one, other = (made.twins[0].weights()["output.weight"] for made in (alone, among))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert (one - usual).abs().max() > 1e-3


def test_weight_decay_shrinks_only_the_branch(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=4, change=nm.changes.WeightDecay(5.0), branches=1)
    size = [float(one.weights()["output.weight"].norm()) for one in (made.twins[0], made.branches[0])]
    assert size[1] < size[0]


# --- kills, refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [3, 9, 17, 23])
def test_an_interrupted_replay_is_continued_to_the_same_bits(
    run: nm.Run, after: int, tmp_path: Path, monkeypatch: Any
) -> None:
    settings = {"at": 4, "change": nm.changes.Ablate("layers.0", 2), "branches": 4, "nulls": 5}
    whole = replay(run, tmp_path / "whole", **settings)
    steps, stepped = [0], replays.making._Watch.stepped

    def counted(self: Any, training: Any) -> None:
        stepped(self, training)
        steps[0] += self is watched[0]
        if steps[0] > after:
            raise KeyboardInterrupt

    watched: list[Any] = []
    started = replays.making._Watch.started

    def first(self: Any, training: Any) -> None:
        if not watched or training.model is not watched[0].model:
            self.model = training.model
            if not training.place or training.place[0] == 0:
                watched[:] = [self]
        started(self, training)

    with monkeypatch.context() as patched:
        patched.setattr(replays.making._Watch, "stepped", counted)
        patched.setattr(replays.making._Watch, "started", first)
        with pytest.raises(KeyboardInterrupt):
            replay(run, tmp_path / "cut", **settings)
    assert len(nm.Replay.open(tmp_path / "cut").complete) < 4
    cut = replay(run, tmp_path / "cut", **settings)
    for name in whole.scores.data_vars:
        np.testing.assert_array_equal(whole.scores[name], cut.scores[name])
    for one, other in zip(whole.branches + whole.twins, cut.branches + cut.twins, strict=True):
        assert not other.verify()
        assert same_weights(one, other)
        assert small_runs.contents(one.folder) == small_runs.contents(other.folder)


SETTINGS = {"at": 4, "change": nm.changes.Ablate("layers.0", 2), "branches": 3, "nulls": 2, "record": KEPT}
"""Three orders, of which each writes a twin and a branch."""


def forked(folder: Path, _: Any) -> None:
    replay(nm.Run.open(folder / "mlp"), folder / "replay", **SETTINGS)


@pytest.fixture(scope="module")
def undisturbed(run: nm.Run, tmp_path_factory: pytest.TempPathFactory) -> nm.Replay:
    return replay(run, tmp_path_factory.mktemp("undisturbed") / "replay", **SETTINGS)


@pytest.mark.parametrize(
    "die_at",
    [
        -1,
        2,
        40,
        300,
        *(pytest.param(n, marks=pytest.mark.slow) for n in (-2, -9, 1, 9, 25, 60, 100, 150, 220, 400, 500, 700)),
    ],
)
def test_a_killed_replay_loses_nothing(run: nm.Run, undisturbed: nm.Replay, die_at: int, tmp_path: Path) -> None:
    shutil.copytree(run.folder, tmp_path / "mlp")
    process, pipe = crashing.start(forked, tmp_path, die_at)
    said = crashing.heard(pipe)
    process.join()
    assert process.exitcode == -9, said
    cut = replay(nm.Run.open(tmp_path / "mlp"), tmp_path / "replay", **SETTINGS)
    assert not list((tmp_path / "replay").glob(".*"))
    for name in undisturbed.scores.data_vars:
        np.testing.assert_array_equal(undisturbed.scores[name], cut.scores[name])
    for one, other in zip(undisturbed.branches + undisturbed.twins, cut.branches + cut.twins, strict=True):
        assert not other.verify()
        assert small_runs.contents(one.folder) == small_runs.contents(other.folder)


def test_a_branch_names_its_parent_and_is_not_resumed_alone(run: nm.Run, tmp_path: Path) -> None:
    made = replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), branches=1)
    parent = made.branches[0].parent
    assert parent["run"] == "mlp"
    assert parent["at"] == 8
    assert changes.from_json(parent["changes"], "") == (nm.changes.Withhold(classes=1),)
    assert made.twins[0].parent["changes"] == []
    with pytest.raises(RunError, match="is a branch of a replay of mlp"):
        nm.resume(made.branches[0].folder, data=DATA)
    with pytest.raises(RunError, match="fork that run, with the changes of both"):
        replay(made.branches[0], tmp_path / "again", at=8)


def test_the_same_call_opens_what_it_made(run: nm.Run, tmp_path: Path) -> None:
    first = replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), branches=1)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "replay").rglob("*")}
    again = replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), branches=1)
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "replay").rglob("*")}
    assert repr(first) == repr(again)


def test_settings_that_no_optimizer_has_are_refused() -> None:
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="0 or more, and finite"):
            nm.changes.LearningRate(value)
        with pytest.raises(ConfigError, match="0 or more, and finite"):
            nm.changes.WeightDecay(value)
    with pytest.raises(UnknownName, match="no how 'new'; there are: continued, restarted"):
        nm.changes.Schedule("new")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"at": 5}, RunError, "no state at step 5; the nearest that it keeps: step 4 and step 8"),
        ({"at": 18}, ConfigError, "until is 18; it must come after the fork at step 18"),
        ({"at": 8, "orders": "same", "branches": 3}, ConfigError, "would all be equal"),
        ({"at": 8, "change": nm.changes.Ablate("layers.0", 6)}, ConfigError, "has units 0 to 5; got 6"),
        ({"at": 8, "change": nm.changes.Ablate("layers.7", 1)}, UnknownName, "hidden layer"),
        ({"at": 8, "change": nm.changes.Ablate("layers.0", (1, 1))}, ConfigError, "repeat"),
        ({"at": 8, "change": nm.changes.Withhold(classes=3)}, ConfigError, "classes 0 to 2; got 3"),
        ({"at": 8, "change": nm.changes.Withhold()}, ConfigError, "classes= or images="),
        ({"at": 8, "change": nm.changes.Withhold(images=(90,))}, ConfigError, "0 to 89; got 90"),
        ({"at": 8, "change": nm.changes.Relabel(classes=0, to=3)}, ConfigError, "to=3"),
        ({"at": 8, "change": nm.changes.Duplicate("layers.0", (1, 2))}, ConfigError, "one unit"),
        ({"at": 8, "change": "layers.0"}, WrongType, "change"),
        ({"at": 8, "branches": 0}, ConfigError, "branches is 0; it must be 1 or more"),
        ({"at": 8, "nulls": -1}, ConfigError, "nulls is -1; it must be 0 or more"),
        ({"at": 8, "orders": "old"}, UnknownName, "no orders 'old'; there are: new, same"),
        ({"at": 8, "lr_schedule": "cosine"}, UnknownName, "no lr schedule 'cosine'; there are: continued, restarted"),
    ],
)
def test_refusals_say_what_came_and_what_is_possible(
    run: nm.Run, settings: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        replay(run, tmp_path / "replay", **settings)
    assert not (tmp_path / "replay").exists()


def test_a_folder_of_another_replay_is_not_touched(run: nm.Run, tmp_path: Path) -> None:
    replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), branches=1)
    with pytest.raises(RunError, match="holds another replay: its changes is"):
        replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=2), branches=1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        replay(run, tmp_path / "full", at=8, branches=1)


def test_invalid_changes_are_refused_when_they_are_made() -> None:
    with pytest.raises(ConfigError, match="never"):
        nm.changes.Ablate("layers.0", 1, since=4, until=4)
    with pytest.raises(WrongType, match="layer is 3"):
        nm.changes.Ablate(3, 1)  # type: ignore[arg-type]
    both = nm.changes.Ablate("layers.0", 1) + nm.changes.LearningRate(0.5) + nm.changes.WeightDecay(0.1)
    assert [type(change).__name__ for change in both] == ["Ablate", "LearningRate", "WeightDecay"]
    assert changes.from_json(json.loads(json.dumps(changes.to_json(both))), "") == both
    with pytest.raises(UnknownName, match="kind of change"):
        changes.from_json([{"kind": "Ablat"}], "")


def test_a_foreign_module_is_replayed_by_itself(tmp_path: Path) -> None:
    def module() -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3))

    small_runs.train(tmp_path / "run", model=module(), record=KEPT)
    run = nm.Run.open(tmp_path / "run")
    twin = replay(run, tmp_path / "same", at=8, model=module(), orders="same", branches=1).twins[0]
    assert same_weights(run, twin)
    made = replay(run, tmp_path / "replay", at=8, change=nm.changes.Withhold(classes=1), model=module(), nulls=1)
    assert made.scores.sizes == {"order": 2, "network": 3, "snapshot": 6, "class": 3}
    with pytest.raises(ConfigError, match="unit changes need"):
        replay(run, tmp_path / "units", at=8, change=nm.changes.Ablate("layers.0", 1), model=module())


def _fork(run: nm.Run, step: int) -> Fork:
    return Fork(step, run.steps[-1], run.train_config, run.steps[-1])  # type: ignore[arg-type]


def _training(run: nm.Run, step: int) -> nm.training.Training:
    """A training that stands at a snapshot."""
    from neural_microscope.training.loop import optimizer_of

    model, config = run.model(step), run.train_config
    training = nm.training.Training(model, DATA, config, optimizer_of(list(model.parameters()), config), 9, False)  # type: ignore[arg-type]
    training.restore(step, run.state(step))
    return training


# --- found on reading again -----------------------------------------------------------------------------------------------


def test_a_folder_that_is_given_loses_nothing_of_its_own(run: nm.Run, tmp_path: Path) -> None:
    """Partial files of a killed replay are removed, others of a like name never."""
    folder = tmp_path / "mine"
    (folder / ".thesis.partial").mkdir(parents=True)
    (folder / ".thesis.partial" / "chapter.txt").write_text("mine")
    (folder / ".notes.partial.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        replay(run, folder, at=8, branches=1)
    assert (
        (folder / ".thesis.partial" / "chapter.txt").read_text()
        == (folder / ".notes.partial.txt").read_text()
        == "mine"
    )


def test_two_intervals_of_weight_decay_compose_in_either_order(run: nm.Run) -> None:
    early, late = changes.WeightDecay(0.5, until=10), changes.WeightDecay(0.25, since=10, until=12)
    for parts in (early + late, late + early):
        training, found = _training(run, 8), []
        observers = [part.observer(_fork(run, 8)) for part in parts]
        for observer in observers:
            observer.started(training)
        for step in range(8, 14):
            training.step = step
            for observer in observers:
                observer.before_update(training)
            found.append(training.optimizer.param_groups[0]["weight_decay"])
            training.step = step + 1
            for observer in observers:
                observer.stepped(training)
        assert found == [0.5, 0.5, 0.25, 0.25, 0.0, 0.0]


def test_a_null_branch_of_a_relabeling_changes_labels(run: nm.Run) -> None:
    """A class that has the new label already would be a null branch without a change."""
    relabel = changes.Relabel(classes=0, to=1)
    drawn = [relabel.matched(np.random.default_rng(seed), None, DATA.train) for seed in range(20)]
    assert {one.classes for one in drawn} == {2}  # type: ignore[union-attr]


def test_null_branches_take_the_same_other_unit_in_every_part(run: nm.Run, tmp_path: Path) -> None:
    both = changes.Duplicate("layers.0", 2) + changes.Ablate("layers.0", 2, since=9)
    made = replay(run, tmp_path / "replay", at=8, change=both, branches=1, nulls=5)
    assert len(made.settings.nulls) == 5
    assert all(copied["units"] == lost["units"] != 2 for copied, lost in made.settings.nulls)
