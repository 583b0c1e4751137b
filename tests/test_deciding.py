"""Onsets, claims, and the step at which a training's outcome is decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

import neural_microscope as nm
import small_runs
from neural_microscope.config import ConfigError
from neural_microscope.errors import RunError
from neural_microscope.replays.result import write_about, write_scores

DATA = small_runs.data()
KEPT = nm.RecordConfig(per_octave=1, probe_size=12, norms_every=4, keep_states=True)


def recorded(folder: Path, seed: int = 0, **settings: Any) -> nm.Run:
    small_runs.train(folder, record=KEPT, model=small_runs.mlp(seed, hidden=(6, 5)), **settings)
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    return recorded(tmp_path_factory.mktemp("original") / "mlp", seed=1, learning_rate=0.03)


# --- when the outcome is decided --------------------------------------------------------------------------------------------


def test_the_ends_of_a_line_are_children_trained_on_orders_of_their_own(run: nm.Run) -> None:
    found = nm.replays.decided(run, pairs=2, at=(4, 16), data=DATA)
    assert found["errors"].dims == ("fork", "pair", "share")
    seeds = np.random.SeedSequence(0).generate_state(4).tolist()
    child = run.model(4)
    from neural_microscope.training.feed import Feed, order_of

    nm.training.train_branches(
        [child],
        DATA,
        run.train_config,  # type: ignore[arg-type]
        feeds=[Feed(order_of(DATA, run.train_config, seeds[1]))],  # type: ignore[arg-type]
        resume_from=[(4, run.state(4))],
    )
    error = 1 - nm.evaluate(child, DATA.test).accuracy
    assert float(found["errors"].isel(fork=0, pair=0, share=-1)) == pytest.approx(error, abs=1 / 30 + 1e-9)
    assert found.identical(nm.replays.decided(run, pairs=2, at=(16, 4), data=DATA))


def test_errors_on_the_line_are_those_of_interpolated_weights(run: nm.Run) -> None:
    from neural_microscope.replays.deciding import _lines

    ends = [run.model(0), run.model(18)]
    states = [{name: tensor.clone() for name, tensor in end.state_dict().items()} for end in ends]
    (found,) = _lines(ends, DATA)
    for share in (0.0, 0.3, 1.0):
        between = run.model(0)
        between.load_state_dict({name: (1 - share) * a + share * states[1][name] for name, a in states[0].items()})
        assert found[round(10 * share)] == pytest.approx(1 - nm.evaluate(between, DATA.test).accuracy)
    assert found[0] != found[-1]


def test_several_runs_of_one_kind_give_pairs_each(run: nm.Run, tmp_path: Path) -> None:
    other = recorded(tmp_path / "other", seed=2, learning_rate=0.03)
    both = nm.replays.decided([run, other], pairs=1, at=(0, 8), data=DATA)
    assert both.attrs["pairs"] == 2
    with pytest.raises(ConfigError, match="wide and mlp differ in train"):
        nm.replays.decided([run, recorded(tmp_path / "wide", learning_rate=0.01)], at=(0, 8), data=DATA)


def test_what_can_not_be_decided_is_refused(run: nm.Run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="1 steps and 4 pairs"):
        nm.replays.decided(run, at=(4,), data=DATA)
    with pytest.raises(ConfigError, match="2 steps and 1 pairs"):
        nm.replays.decided(run, at=(0, 4), pairs=1, data=DATA)
    with pytest.raises(RunError, match="no state at step 5"):
        nm.replays.decided(run, at=(0, 5), data=DATA)
    with pytest.raises(ConfigError, match="there are no runs"):
        nm.replays.decided([], data=DATA)
    small_runs.train(tmp_path / "batch", record=KEPT, model=small_runs.mlp(norm="batch"))
    with pytest.raises(ConfigError, match="batch has batch normalization"):
        nm.replays.decided(tmp_path / "batch", data=DATA)


# --- onsets -----------------------------------------------------------------------------------------------------------------


def test_each_onset_has_the_same_training_left_and_its_change_starts_with_it(run: nm.Run, tmp_path: Path) -> None:
    change = nm.changes.Withhold(classes=1, until=4)
    found = nm.replays.onsets(run, change, tmp_path, at=(8, 2), left=6, branches=2, data=DATA)
    assert found["change"].dims == ("schedule", "fork")
    made = {(one.settings.schedule, one.settings.at): one for one in map(nm.Replay.open, tmp_path.iterdir())}
    assert {key: one.settings.until for key, one in made.items()} == {
        (schedule, at): at + 6 for schedule in ("continued", "restarted") for at in (2, 8)
    }
    assert [one.changes[0].until for one in made.values() if one.settings.at == 8] == [12, 12]
    for row, schedule in enumerate(("continued", "restarted")):
        for column, at in enumerate((2, 8)):
            last = made[schedule, at].scores.accuracy.isel(snapshot=-1).mean("order")
            assert float(found["change"][row, column]) == pytest.approx(
                float(last.sel(network="branch") - last.sel(network="twin"))
            )
            assert float(found["twin"][row, column]) == pytest.approx(float(last.sel(network="twin")))
    with pytest.raises(ConfigError, match="give one or more of each"):
        nm.replays.onsets(run, change, at=(), data=DATA)


def test_a_critical_period_under_one_cosine_is_none_where_the_schedule_restarts(tmp_path: Path) -> None:
    """The trap: classes withheld late for an epoch are not learned again in three more under a rate that has nearly ended."""
    digits = nm.data.load("digits")
    record = nm.RecordConfig(per_octave=0, every_epoch=True, probe_size=20, keep_states=True)
    config = nm.TrainConfig(epochs=6, batch_size=64, optimizer="adam", learning_rate=0.01, schedule="cosine")
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(model, digits, config, observers=[nm.Recorder(tmp_path / "run", record)])
    run = nm.Run.open(tmp_path / "run")
    each = run.description["steps_per_epoch"]
    found = nm.replays.onsets(
        run,
        nm.changes.Withhold(classes=(1, 3), until=each),
        at=(each, 4 * each),
        left=3 * each,
        branches=3,
        data=digits,
    )
    low, high = found["change_low"], found["change_high"]
    assert high.sel(schedule="continued")[1] < low.sel(schedule="continued")[0] - 0.03  # late seems critical
    assert low.sel(schedule="restarted")[1] > high.sel(schedule="continued")[1] + 0.03  # it is the rate
    assert low.sel(schedule="restarted")[1] > low.sel(schedule="restarted")[0]


# --- claims -----------------------------------------------------------------------------------------------------------------


def test_a_planted_takeover_is_shown_with_its_step_and_orders(run: nm.Run, tmp_path: Path) -> None:
    """A replay whose scores are written by hand: unit 3 takes over from step 8 on, in both orders, as no unit does in null branches."""
    made = nm.replay(
        run, tmp_path / "replay", at=4, change=nm.changes.Ablate("layers.0", 2), branches=2, nulls=3, data=DATA
    )
    settings = msgspec.structs.replace(made.settings, nulls=made.settings.nulls * 7)  # 21
    place = tmp_path / "planted"
    place.mkdir()
    write_about(place, settings)
    random = torch.Generator().manual_seed(0)
    for order in range(2):
        sizes = (len(settings.networks), len(settings.steps))
        scores = {"loss": torch.ones(sizes), "accuracy": torch.ones(sizes), "accuracy_by_class": torch.ones(*sizes, 3)}
        effect = 0.2 + 0.01 * torch.randn(*sizes, 6, generator=random)
        effect[1, :, 2] = 0
        effect[1, settings.steps.index(8) :, 3] += 0.5
        write_scores(place, order, {**scores, "effect.layers.0": effect})
    claim, description = nm.replays.claims(nm.Replay.open(place))
    assert claim.verdict == "shown"
    assert (claim.unit, claim.numbers["by"], claim.numbers["orders"]) == (3, 8, 2)
    assert claim.sentence.startswith(
        "unit 3 takes over the work of the lost unit 2: its ablation raises the loss by 0.5"
    )
    assert claim.sentence.endswith(" in 2 of 2 orders, by step 8.")
    assert "p ≤ 0.0455 (21 draws)" in claim.reasons
    assert description.verdict == "description"


def test_what_is_not_shown_is_said_as_that_and_why(run: nm.Run, tmp_path: Path) -> None:
    made = nm.replay(
        run, tmp_path / "replay", at=4, change=nm.changes.Ablate("layers.0", 2), branches=2, nulls=3, data=DATA
    )
    claim, description = nm.replays.claims(made)
    assert claim.verdict == "not shown"
    assert claim.sentence.startswith("that a unit takes over the work of the lost unit 2 is not shown.")
    assert "3 null branches can't show anything: the smallest p is 0.250" in claim.reasons
    assert "the test loss" in description.sentence


def test_another_change_is_judged_by_the_loss_and_no_change_is_refused(run: nm.Run, tmp_path: Path) -> None:
    made = nm.replay(
        run,
        tmp_path / "replay",
        at=4,
        change=nm.changes.Withhold(images=tuple(range(12))),
        nulls=20,
        data=DATA,
        branches=3,
    )
    (claim,) = nm.replays.claims(made)
    table = nm.analysis.development.change_of_learning(made.scores.loss)
    assert claim.p == float(table["change_p"][-1])
    assert claim.shown is bool(table["change_shown"][-1])
    twins = nm.replay(run, tmp_path / "twins", at=4, branches=2, data=DATA)
    with pytest.raises(ConfigError, match="changes nothing"):
        nm.replays.claims(twins)
