"""Recording of a training loop of one's own: the same run as by `train`, exact resume, every ending, and what it refuses."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import neural_microscope as nm
import small_runs
from neural_microscope import loops
from neural_microscope.config import ConfigError
from neural_microscope.errors import DataError, RunError
from neural_microscope.run import verify

PROBE = small_runs.images(30, 1)
TRAIN = small_runs.images(90, 0)
STEPS = 18


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Dropout(0.2), nn.ReLU(), nn.Linear(5, 3))


def loop(
    folder: Path, *, until: int = STEPS, end: Any = None, state: bool = True, model: Any = None, **given: Any
) -> Any:
    """18 steps of Adam on shuffled batches, of which ``until`` are done; ``end`` is raised, or called with the recording, then."""
    model = model or network()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    falling = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    objects = {"optimizer": optimizer, "rate": falling} if state else None
    given = {"probe": PROBE, "every": 4, "steps": STEPS, "config": small_runs.RECORD, **given}
    with nm.record(folder, model, state=objects, **given) as recording:
        for step in range(recording.steps, until):
            batch = torch.randperm(90, generator=torch.Generator().manual_seed(step))[:10]
            loss = functional.cross_entropy(model(TRAIN.tensor()[batch]), TRAIN.label_tensor()[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
            recording.step(loss=loss, accuracy=0.5, optimizer=optimizer)
        if isinstance(end, BaseException):
            raise end
        if end:
            end(recording)
    return model


def test_the_same_steps_give_the_run_that_train_records(tmp_path: Path) -> None:
    record = nm.RecordConfig(per_octave=1, probe_size=12, norms_every=4)
    settings = nm.TrainConfig(epochs=2, batch_size=10, learning_rate=0.01)
    trained, looped = small_runs.mlp(), small_runs.mlp()
    nm.train(trained, small_runs.data(), settings, observers=[nm.Recorder(tmp_path / "train", record)])
    optimizer = torch.optim.Adam(looped.parameters(), lr=0.01, fused=True)
    images, labels = TRAIN.tensor(), TRAIN.label_tensor()
    given: dict[str, Any] = {"probe": PROBE, "steps": 18, "steps_per_epoch": 9, "config": record}
    with nm.record(tmp_path / "loop", looped, **given) as recording:
        for epoch in range(2):
            for batch in nm.data.batches(90, 10, seed=0, epoch=epoch):
                logits = looped(images[batch])
                loss = functional.cross_entropy(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                right = (logits.argmax(1) == labels[batch]).double().mean()
                recording.step(loss=loss, accuracy=right, optimizer=optimizer)
    one, other = (nm.Run.open(tmp_path / name) for name in ("train", "loop"))
    assert one.steps == other.steps
    assert one.status == other.status == "finished"
    assert other.log.drop_vars("seconds").identical(one.log.drop_vars("seconds"))
    assert other.training.identical(one.training)
    assert other.gradients.identical(one.gradients)
    assert all(weight.equal(other.weights()[name]) for name, weight in one.weights().items())
    assert other.model(step=4)(images).shape == (90, 3), "a network of ours is built from its config"


@pytest.mark.parametrize("end", [KeyboardInterrupt(), ValueError("a bug"), lambda recording: recording.stop("enough")])
def test_an_ended_loop_is_continued_to_the_same_bits(tmp_path: Path, end: Any) -> None:
    whole = loop(tmp_path / "whole")
    try:
        loop(tmp_path / "parts", until=11, end=end)
    except (KeyboardInterrupt, ValueError):
        assert nm.Run.open(tmp_path / "parts").steps == [0, 1, 2, 4, 8]
    else:
        stopped = nm.Run.open(tmp_path / "parts")
        assert stopped.status == "stopped early at step 11: enough"
        assert stopped.steps[-1] == 11
        assert len(stopped.training["step"]) == 11
    continued = loop(tmp_path / "parts", resume=True)
    assert all(a.equal(b) for a, b in zip(whole.state_dict().values(), continued.state_dict().values(), strict=True))
    one, other = (nm.Run.open(tmp_path / name) for name in ("whole", "parts"))
    assert other.status == "finished"
    assert other.training.identical(one.training)
    assert other.gradients.identical(one.gradients)
    assert verify(tmp_path / "parts") == []
    common = [other.steps.index(step) for step in one.steps]
    assert np.array_equal(other.log["4.hook_out"][common], one.log["4.hook_out"])


def test_a_loop_that_ends_early_again_and_again_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "STOPS", 1)
    whole = loop(tmp_path / "whole")
    for until in (3, 5, 6, 7, 18):
        continued = loop(tmp_path / "parts", until=until, resume=True)
    run = nm.Run.open(tmp_path / "parts")
    assert (run.status, run.steps) == ("finished", [0, 1, 2, 3, 4, 8, 12, 16, 18])
    assert all(a.equal(b) for a, b in zip(whole.state_dict().values(), continued.state_dict().values(), strict=True))


def test_a_run_that_fewer_steps_than_planned_end_says_so(tmp_path: Path) -> None:
    loop(tmp_path / "run", until=6)
    run = nm.Run.open(tmp_path / "run")
    assert (run.status, run.steps) == ("stopped early at step 6", [0, 1, 2, 4, 6])


def test_without_planned_steps_it_is_finished_and_has_a_last_snapshot(tmp_path: Path) -> None:
    loop(tmp_path / "run", until=7, steps=None)
    run = nm.Run.open(tmp_path / "run")
    assert (run.status, run.steps, run.train_config.planned_steps) == ("finished", [0, 1, 2, 4, 7], 0)
    assert run.log["step"].values.tolist() == run.steps
    assert np.isnan(run.log["epoch"]).all()


def test_a_loop_without_state_keeps_every_row_and_is_not_continued(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a bug"):
        loop(tmp_path / "run", until=11, end=ValueError("a bug"), state=False)
    run = nm.Run.open(tmp_path / "run")
    assert run.status == "failed at step 11: ValueError: a bug"
    assert len(run.training["loss"]) == 11
    assert run.gradients["step"].values.tolist() == [1, 5, 9]
    with pytest.raises(RunError, match="gave no state="):
        loop(tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="only that loop can continue it"):
        nm.resume(tmp_path / "run", model=network())


def test_a_killed_loop_without_state_can_be_read(tmp_path: Path) -> None:
    recording = nm.record(tmp_path / "run", network(), probe=PROBE, every=2)
    recording.__enter__()
    for _ in range(3):
        recording.step(loss=1.0)
    run = nm.Run.open(tmp_path / "run")  # as another process sees it
    assert (run.status, len(run.training["loss"])) == ("running", 2)
    recording.__exit__(None, None, None)


def test_recording_leaves_the_loop_as_it_was(tmp_path: Path) -> None:
    plain, recorded = network(), network()
    plain[2].eval()
    recorded[2].eval()
    torch.manual_seed(1)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    loop(tmp_path / "run", model=recorded, until=0, steps=None)
    assert torch.rand(1).equal(drawn)
    assert [m.training for m in recorded.modules()] == [m.training for m in plain.modules()]


def test_steps_beyond_the_planned_ones_are_told_once(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="created for 5 steps") as told:
        loop(tmp_path / "run", until=8, steps=5)
    assert len([one for one in told if "created for" in str(one.message)]) == 1
    assert nm.Run.open(tmp_path / "run").training["step"].values.tolist() == [1, 2, 3, 4, 5]


def test_any_shape_of_examples_is_a_probe(tmp_path: Path) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.out = nn.Embedding(7, 4), nn.Linear(4, 3)

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.out(self.embed(tokens).mean(1))

    tokens = torch.randint(7, (30, 6), generator=torch.Generator().manual_seed(0))
    colors = torch.randn(30, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    dense = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    for name, model, inputs in (("tokens", Tokens(), tokens), ("colors", dense, colors)):
        with nm.record(tmp_path / name, model, probe=inputs, labels=PROBE.labels):
            pass
        run = nm.Run.open(tmp_path / name)
        seen = inputs[run.probe_indices]
        assert run.probe.tensor().equal(seen)
        assert run.probe.tensor().dtype == inputs.dtype
        with torch.no_grad():
            assert np.array_equal(run.log["hook_out"][0], model(seen))
    assert run.probe.images.shape == (30, 4, 4, 3), "three channels are a picture in color"


def test_scores_of_ones_own(tmp_path: Path) -> None:
    numbers = count(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 16), nn.Unflatten(1, (1, 4, 4)))

    def scores(network: nn.Module) -> dict[str, float]:
        assert not network.training
        assert not torch.is_grad_enabled()
        return {"loss": float(next(numbers))}

    with pytest.raises(DataError, match="evaluate="), nm.record(tmp_path / "no", model, probe=PROBE):
        pass
    with nm.record(tmp_path / "run", model, probe=PROBE, every=1, evaluate=scores) as recording:
        recording.step(loss=0.5)
    run = nm.Run.open(tmp_path / "run")
    assert run.log["test_loss"].values.tolist() == [1, 2]
    assert np.isnan(run.log["test_accuracy"]).all()


def test_every_is_in_place_of_the_default_schedule_and_in_addition_to_a_given_one(tmp_path: Path) -> None:
    def steps(name: str, **given: Any) -> list[int]:
        with nm.record(tmp_path / name, network(), probe=PROBE, steps=8, **given) as recording:
            for _ in range(8):
                recording.step(loss=0.5)
        return nm.Run.open(tmp_path / name).steps

    assert steps("alone", every=3) == [0, 3, 6, 8]
    given = nm.RecordConfig(per_octave=1, probe_size=12)
    assert steps("added", every=3, config=given) == [0, 1, 2, 3, 4, 6, 8]
    assert steps("same", every=3, config=nm.RecordConfig(per_octave=0, every=3)) == [0, 3, 6, 8]
    with pytest.raises(ConfigError, match="every is 3, and 4 in config; give one of them"):
        nm.record(tmp_path / "two", network(), probe=PROBE, every=3, config=nm.RecordConfig(every=4))


def test_tokens_and_class_names_are_those_of_the_run(tmp_path: Path) -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(images.squeeze(1)).mean(1))

    given: dict[str, Any] = {"probe": PROBE.tensor(), "labels": PROBE.labels, "class_names": ["a", "b", "c"]}
    with nm.record(tmp_path / "run", Rows(), **given, tokens=-1) as recording:
        recording.step(loss=0.5)
    run = nm.Run.open(tmp_path / "run")
    assert run.probe.class_names == ("a", "b", "c")
    last = nm.activations(run.model(into=Rows()), run.probe, "embed.hook_out[-1]")["embed.hook_out[-1]"]
    np.testing.assert_array_equal(run.activations("embed.hook_out")[-1], last)
    with pytest.raises(DataError, match="leave them out"):
        nm.record(tmp_path / "no", Rows(), probe=PROBE, class_names=["a", "b", "c"])
    with pytest.raises(ConfigError, match="tokens is -1, and 'all' in config"):
        nm.record(tmp_path / "no", Rows(), **given, tokens=-1, config=nm.RecordConfig(tokens="all"))


def test_what_does_not_fit_is_refused_with_a_reason(tmp_path: Path) -> None:
    model, wanted = network(), {"probe": PROBE.tensor(), "labels": PROBE.labels}
    for wrong, match in (
        ({"probe": PROBE}, "leave them out"),
        ({"labels": PROBE.labels[:-1]}, "30 images came with 29 labels"),
        ({"every": 0}, "every is 0"),
    ):
        with pytest.raises(DataError, match=match):
            nm.record(tmp_path / "run", model, **{**wanted, **wrong})
    with nm.record(tmp_path / "run", model, **wanted, state={"mine": Odd()}, steps=4) as recording:  # type: ignore[arg-type]
        with pytest.raises(DataError, match="shape \\[2\\]"):
            recording.step(loss=torch.zeros(2))
        recording.step(loss=torch.tensor(0.5))
    other = {**wanted, "probe": 1 - PROBE.tensor()}
    with pytest.raises(RunError, match="other probe examples"):
        nm.record(tmp_path / "run", model, **other, state={"mine": Odd()}, resume=True)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="holds the states of mine"):
        nm.record(tmp_path / "run", model, **wanted, state={"yours": Odd()}, resume=True)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="holds a run already"), nm.record(tmp_path / "run", model, **wanted):  # type: ignore[arg-type]
        pass
    with pytest.raises(RunError, match="is a set"), nm.record(tmp_path / "b", model, **wanted, state={"s": Odd({1})}):  # type: ignore[arg-type]
        pass


class Odd:
    """An object whose state holds every kind of value that a run folder can."""

    def __init__(self, extra: Any = None) -> None:
        self.held = {"a": [1, 2.5, None, True], 3: ("x", torch.ones(2)), "n": np.arange(3), "extra": extra, "e": {}}

    def state_dict(self) -> dict[Any, Any]:
        return self.held

    def load_state_dict(self, state: dict[Any, Any]) -> None:
        self.held = state


def test_a_state_of_any_shape_comes_back(tmp_path: Path) -> None:
    def run(resume: bool) -> Odd:
        mine = Odd()
        if resume:
            mine.held = {}
        with nm.record(
            tmp_path / "run", network(), probe=PROBE, steps=9, state={"m": mine}, resume=resume
        ) as recording:
            recording.step(loss=1.0)
        return mine

    run(False)
    back = run(True).held
    assert back["a"] == [1, 2.5, None, True]
    assert back["e"] == {}
    assert back[3][0] == "x"
    assert back[3][1].equal(torch.ones(2))
    assert isinstance(back[3], tuple)
    assert np.array_equal(back["n"], np.arange(3))


@pytest.mark.slow
def test_a_report_of_a_loop(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.ReLU(), nn.Linear(12, 10))
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    images, labels = digits.train.tensor() * 2 - 1, digits.train.label_tensor()
    given = {"probe": digits.test.tensor() * 2 - 1, "labels": digits.test.labels, "name": "shifted digits"}
    with nm.record(tmp_path / "run", model, **given) as recording:  # type: ignore[arg-type]
        for batch in nm.data.batches(len(images), 64, seed=0, epoch=0):
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recording.step(loss=loss, optimizer=optimizer)
    page = nm.report.write([nm.Run.open(tmp_path / "run")], tmp_path / "page.html").read_text()
    assert "in a training loop of the authors" in page
    assert "by a loop of its own" in page
