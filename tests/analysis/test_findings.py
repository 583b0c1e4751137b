"""Findings over seeds: who belongs together, how many hold, and whether a planted twin is found again."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import neural_microscope as nm
from neural_microscope.analysis.findings import Finding, findings, population, populations
from neural_microscope.analysis.look import FirstLook, first_look
from neural_microscope.errors import RunError
from neural_microscope.statistics import halves, over_seeds

RECORD = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=300)


def record(folder: Path, seed: int, epochs: int = 6, **network: object) -> nm.Run:
    config = nm.MLPConfig(**{"image_shape": (8, 8), "hidden": (12,), **network})
    training = nm.TrainConfig(epochs=epochs, learning_rate=5e-3, seed=seed)
    nm.train(nm.MLP(config, seed), nm.data.load("digits"), training, observers=[nm.Recorder(folder, RECORD)])
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> list[FirstLook]:
    """Two seeds of one network, and a wider one."""
    folder = tmp_path_factory.mktemp("runs")
    runs = [record(folder / "a", 0), record(folder / "b", 1), record(folder / "wide", 0, hidden=(14,))]
    return [first_look(run) for run in runs]


def test_runs_that_differ_in_their_seeds_only_are_one_population(looks: list[FirstLook]) -> None:
    a, b, wide = looks
    assert [[look.run.folder.name for look in group] for group in populations([a, wide, b])] == [["a", "b"], ["wide"]]
    assert len(populations([a, a])) == 2, "one network given twice is no second seed"


def test_one_network_is_an_anecdote_and_says_so(looks: list[FirstLook]) -> None:
    told = findings(looks[0])
    assert all(f.replicated == "One seed, not replicated." and f.text.endswith(f.replicated) for f in told)
    assert all(f.seeds == (0,) and f.null for f in told if f.numbers)


def test_a_population_counts_on_how_many_seeds_each_sentence_holds(looks: list[FirstLook]) -> None:
    told = findings(looks[:2])
    alone = [findings(look) for look in looks[:2]]
    for place, finding in enumerate(f for f in told if "It holds on" in f.text):
        count = sum(own.holds for own in (_same(alone[0], place), _same(alone[1], place)))
        assert f"It holds on {count} of 2 seeds." in finding.text
        assert finding.held == count
        assert finding.seeds == (0, 1)
        assert finding.holds == (_same(alone[0], place).holds and count == 2)
        assert finding.evidence == _same(alone[0], place).evidence
    assert any("in 0 of 1 other seeds" in f.text or "in 1 of 1 other seeds" in f.text for f in told)


def _same(alone: list[Finding], place: int) -> Finding:
    return [f for f in alone if not f.claim.startswith("unit ")][place]


def test_what_holds_on_half_of_the_seeds_or_fewer_is_not_called_a_finding(looks: list[FirstLook]) -> None:
    answers = [
        Finding("It is so.", "", "", holds, "MLP", numbers={"x": float(x)}) for x, holds in enumerate((True, False))
    ]
    assert not population._together(answers, looks[:2]).holds
    six = [replace(answers[0], holds=place < 4, numbers={"x": float(place)}) for place in range(6)]
    finding = population._together(six, [looks[0]] * 6)
    assert finding.holds
    assert finding.held == 4
    mean, low, high = over_seeds(np.arange(6.0))
    assert f"mean {mean:.3g}, 95 % interval over seeds {low:.3g} to {high:.3g}".replace("-", "−") in finding.text


def test_fewer_than_five_seeds_give_no_interval_over_seeds(looks: list[FirstLook]) -> None:
    four = [Finding("It is so.", "", "", True, "MLP", numbers={"x": 1.0})] * 4
    assert "interval over seeds" not in population._together(four, [looks[0]] * 4).text


def test_a_twin_whose_units_stand_in_another_order_has_every_unit_again(looks: list[FirstLook], tmp_path: Path) -> None:
    acts = looks[0].run.activations("layers.0.hook_post").isel(snapshot=-1)
    order = np.random.default_rng(0).permutation(acts.sizes["unit"])
    result = nm.analysis.similarity.replication([acts, acts.isel(unit=order)])
    alive = ~np.isnan(result["replicated"].values)
    assert (result["replicated"].values[alive] == 1).all()


def test_a_units_sentence_says_the_numbers_of_the_measures(looks: list[FirstLook]) -> None:
    look = looks[0]
    layer = look.layers[0]
    told = next(f for f in findings(look) if f.claim.startswith("unit "))
    unit = int(told.claim.split()[1])
    choose, judge = halves(look.run.probe.labels)
    loss = layer.effects["loss_change"].values
    assert unit == loss[:, choose].mean(1).argmax()
    assert told.numbers["loss added (nat)"] == pytest.approx(loss[unit, judge].mean())
    label = int(re.search(r"class (\d) loses", told.evidence)[1])  # type: ignore[index]
    images, labels = look.run.probe.subset(judge), look.run.probe.labels[judge]
    model = look.run.model()
    with torch.no_grad():
        before = (model(images.tensor()).argmax(1).numpy() == labels)[labels == label].mean()
        with model.hooks([(layer.hook_point, nm.interventions.zero(unit=unit))]):
            after = (model(images.tensor()).argmax(1).numpy() == labels)[labels == label].mean()
    assert told.numbers[f"class {label} (points)"] == pytest.approx(100 * (before - after))


def test_a_runs_default_analysis_tells_how_far_it_is(looks: list[FirstLook]) -> None:
    seen: list[tuple[str, int, int]] = []
    first_look(looks[0].run, lambda *said: seen.append(said))
    assert {part for part, _, _ in seen} >= {"the whole network", "layers.0", "all layers together"}
    assert all(0 < done <= total for _, done, total in seen)


def test_a_foreign_modules_run_is_refused_with_what_can_be_done(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    recorder = nm.Recorder(tmp_path / "run", RECORD)
    nm.train(net, nm.data.load("digits"), nm.TrainConfig(epochs=1), observers=[recorder])
    with pytest.raises(RunError, match="one by one"):
        first_look(nm.Run.open(tmp_path / "run"))
