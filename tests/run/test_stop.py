"""Ctrl-C, failures of other observers, divergence: what a run says of its end, and what is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.run import RunWriter
from neural_microscope.training import Observer, Training

DATA = small_runs.data()


class Raising(Observer):
    def __init__(self, step: int, error: BaseException, when: str = "stepped") -> None:
        self.step, self.error, self.when = step, error, when

    def started(self, training: Training) -> None:
        self.raise_if("started", training)

    def before_update(self, training: Training) -> None:
        self.raise_if("before_update", training)

    def stepped(self, training: Training) -> None:
        self.raise_if("stepped", training)

    def raise_if(self, when: str, training: Training) -> None:
        if when == self.when and training.step == self.step:
            raise self.error


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The contents of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    small_runs.train(folder)
    return small_runs.contents(folder)


def check_resumes(folder: Path, whole: dict[str, str]) -> None:
    nm.resume(folder, data=DATA)
    assert small_runs.contents(folder) == whole


@pytest.mark.parametrize("when", ["before_update", "stepped"])
@pytest.mark.parametrize("first", [False, True])
def test_an_interrupted_run_says_so_and_can_be_read_and_continued(
    tmp_path: Path, whole: dict[str, str], when: str, first: bool
) -> None:
    recorder, raising = nm.Recorder(tmp_path / "run", small_runs.RECORD), Raising(5, KeyboardInterrupt(), when)
    observers = [raising, recorder] if first else [recorder, raising]
    config = nm.TrainConfig(epochs=2, batch_size=10, learning_rate=0.01, seed=3)
    with pytest.raises(KeyboardInterrupt):
        nm.train(small_runs.mlp(dropout=0.2), DATA, config, observers=observers)
    run = nm.Run.open(tmp_path / "run")
    assert run.status == "interrupted at step 5"
    assert run.steps == [0, 1, 2, 4]
    assert run.verify() == []
    assert run.training.sizes["step"] == 4
    check_resumes(tmp_path / "run", whole)


def test_another_observers_error_is_passed_on_and_noted(tmp_path: Path, whole: dict[str, str]) -> None:
    with pytest.raises(ZeroDivisionError):
        small_runs.train(tmp_path / "run", observers=[Raising(3, ZeroDivisionError("by zero"))])
    run = nm.Run.open(tmp_path / "run")
    assert run.status == "failed at step 3: ZeroDivisionError: by zero"
    assert run.verify() == []
    check_resumes(tmp_path / "run", whole)


def test_an_interrupt_before_the_first_step_leaves_the_untrained_network(tmp_path: Path, whole: dict[str, str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        small_runs.train(tmp_path / "run", observers=[Raising(0, KeyboardInterrupt(), "started")])
    run = nm.Run.open(tmp_path / "run")
    assert (run.steps, run.status, run.training.sizes["step"]) == ([0], "interrupted at step 0", 0)
    check_resumes(tmp_path / "run", whole)


@pytest.mark.parametrize("method", ["_write", "_commit"])
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupt_amid_a_snapshot(
    tmp_path: Path, whole: dict[str, str], method: str, after: bool, monkeypatch: Any
) -> None:
    # The signal may come while a file is being written, or when the commit is on disk and the writer does not know it yet.
    original, count = getattr(RunWriter, method), 0

    def interrupted(self: RunWriter, *args: Any) -> None:
        nonlocal count
        count += 1
        if not after and count == stop_at:
            raise KeyboardInterrupt
        original(self, *args)
        if after and count == stop_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunWriter, method, interrupted)
    for stop_at in range(3, 7) if method == "_commit" else range(25, 60, 7):
        folder, count = tmp_path / f"{stop_at}", 0
        with pytest.raises(KeyboardInterrupt):
            small_runs.train(folder)
        run = nm.Run.open(folder)
        assert run.status.startswith("interrupted at step")
        assert run.verify() == []
        assert run.last.step == run.steps[-1]
        with monkeypatch.context() as context:
            context.setattr(RunWriter, method, original)
            check_resumes(folder, whole)


SCRIPT = """
import signal
import sys
import small_runs
import neural_microscope as nm
from neural_microscope.training import Observer

class Saying(Observer):
    def stepped(self, training):
        print(training.step, flush=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # in a shell's background it is ignored
record = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=12)
small_runs.train(sys.argv[1], observers=[Saying()], record=record, epochs=10**4)
"""


def test_a_real_ctrl_c(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        while int(child.stdout.readline()) < 40:
            pass
        child.send_signal(signal.SIGINT)
        _, told = child.communicate()
    # Python forgets that it was the signal (and exits with 1) where something is imported at exit: torch does, where tabulate is installed.
    assert child.returncode in (-signal.SIGINT, 1)
    assert told.rstrip().endswith("KeyboardInterrupt")
    run = nm.Run.open(tmp_path / "run")
    stopped = int(run.status.removeprefix("interrupted at step "))
    assert stopped >= 40
    assert run.steps == [0, *(2**i for i in range(stopped.bit_length()))]
    assert run.verify() == []
    assert run.training.sizes["step"] == run.steps[-1]
    with pytest.raises(KeyboardInterrupt):  # it goes on where it was
        nm.resume(tmp_path / "run", data=DATA, observers=[Raising(run.steps[-1] + 3, KeyboardInterrupt())])


# --- divergence -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norms_every", [1, 2, 3, 10])
def test_a_diverged_run_keeps_everything_until_then(tmp_path: Path, norms_every: int) -> None:
    record = nm.RecordConfig(per_octave=1, probe_size=12, norms_every=norms_every)

    class Poisoning(Observer):
        def stepped(self, training: Training) -> None:
            if training.step == 6:
                training.model.output.bias.data[0] = np.nan  # type: ignore[union-attr,operator]

    with pytest.warns(UserWarning, match="diverged at step 7"):
        told = small_runs.train(tmp_path / "run", record=record, observers=[Poisoning()])
    run = nm.Run.open(tmp_path / "run")
    assert run.status == told.status == "diverged at step 7"
    assert run.steps == [0, 1, 2, 4]
    assert run.training.loss.to_numpy().tobytes() == told.loss.tobytes()
    assert run.training.step.to_numpy().tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert np.isfinite(run.training.loss[:6]).all()
    assert np.isnan(run.training.loss[6])
    # The step that diverged had no gradient and no update: it has no row of norms.
    assert run.gradients.step.to_numpy().tolist() == list(range(1, 7, norms_every))
    assert np.isfinite(run.gradients.grad_norm).all()
    assert run.verify() == []
    assert np.isfinite(run.log.logits).all()


def test_a_run_of_no_snapshot_says_so_and_starts_over(tmp_path: Path, whole: dict[str, str], monkeypatch: Any) -> None:
    def fails(self: Any, *args: Any, **kwargs: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as context:
        context.setattr(RunWriter, "snapshot", fails)
        with pytest.raises(MemoryError):
            small_runs.train(tmp_path / "run")
    with pytest.raises(RunError, match=r"holds no complete snapshot yet.*`microscope resume .*` starts it over"):
        nm.Run.open(tmp_path / "run")
    nm.resume(tmp_path / "run", data=DATA)  # it starts over
    assert small_runs.contents(tmp_path / "run") == whole
