"""Signals that stop a command: what is kept, the exit code, and the line that says how to go on. Processes only where they are tested."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

import neural_microscope as nm
from command_line import microscope
from neural_microscope import demonstration, explorer, phantoms, report, sweep
from neural_microscope.stops import SIGNALS, Stopped, Stops
from neural_microscope.training import Telling, Training

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
BY = {
    signal.SIGINT: "Ctrl-C",
    signal.SIGTERM: "a request to end (SIGTERM)",
    signal.SIGHUP: "the closing terminal (SIGHUP)",
}
SMALL = ["--data", "digits", "--hidden", "4", "--epochs", "2"]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Signals act here even where the tests themselves run with nohup or in the background; none of ours is left behind."""
    outside = [signal.signal(number, signal.default_int_handler) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == [signal.default_int_handler] * len(SIGNALS)
    for number, handler in zip(SIGNALS, outside, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has this process get a signal after some step of a training, once."""

    def at(step: int, number: int) -> None:
        waiting = [number]

        def stepped(self: Telling, training: Training) -> None:
            if training.step == step and waiting:
                os.kill(os.getpid(), waiting.pop())

        monkeypatch.setattr(Telling, "stepped", stepped)

    return at


@pytest.mark.parametrize("number", CODES)
def test_a_stopped_training_is_kept_and_goes_on(tmp_path: Path, stop_at: Any, number: int) -> None:
    folder = tmp_path / "a run"
    for step, words in ((9, ("train", "mlp", *SMALL, "--out", folder)), (20, ("resume", folder))):
        stop_at(step, number)
        done = microscope(*words)
        assert done.returncode == CODES[number]
        assert done.stderr == f"microscope: interrupted by {BY[number]}; `microscope resume '{folder}'` continues it\n"
        run = nm.Run.open(folder)
        assert run.status == f"interrupted at step {step}"
        assert run.verify() == []
    assert microscope("resume", folder).returncode == 0
    assert nm.Run.open(folder).status == "finished"


COMMANDS: dict[str, tuple[Any, str, list[str], str]] = {
    "report": (
        report,
        "write",
        ["{run}", "-o", "{out}"],
        "{out} was not written; the same command reuses the runs already analyzed",
    ),
    "explore": (explorer, "write", ["{run}", "-o", "{out}"], "{out} was not written; the same command starts over"),
    "calibrate": (phantoms, "recalibrate", ["-o", "{out}"], "the same command does the rest"),
    "sweep": (
        sweep,
        "run",
        ["mlp", "--data", "digits", "--out", "{out}"],
        "finished networks are in {out}; the same command trains the rest",
    ),
    "demo": (demonstration, "run", ["--out", "{out}"], "the same command continues"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_to_do_next(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room, function, words, hint = COMMANDS[command]
    places = {"run": Path(__file__).parents[1] / "fixtures" / "run-0.1" / "finished", "out": tmp_path / "out"}

    def stopped(*args: Any, **kwargs: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, os.strerror(28), "somewhere")

    if command == "sweep":
        monkeypatch.setattr(sweep, "connect", lambda *_: nullcontext())
    for work, code, first in (
        (stopped, 143, "interrupted by a request to end (SIGTERM)"),
        (full, 1, "No space left on device"),
    ):
        monkeypatch.setattr(room, function, work)
        done = microscope(command, *(word.format(**places) for word in words))
        assert done.returncode == code
        assert first in done.stderr
        assert done.stderr.endswith(f"; {hint.format(**places)}\n")
        assert len(done.stderr.splitlines()) == 1


def test_what_ignores_a_signal_goes_on_ignoring_it_unless_told_otherwise() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stops():
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(Stopped), Stops(anyway=True):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_does_not_break_what_keeps_the_work() -> None:
    kept, stops = False, Stops()

    def work() -> None:
        nonlocal kept
        with stops:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                kept = True

    with pytest.raises(Stopped):
        work()
    assert kept
    assert stops.code == 130


@pytest.mark.parametrize("loading", ["argparse", "numpy"])
def test_ctrl_c_while_libraries_are_loaded_is_130_and_no_traceback(loading: str, tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "neural_microscope", "train", "mlp", *SMALL]
    child = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    assert child.stderr is not None
    while not child.stderr.readline().rstrip().endswith(loading):
        pass
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=120)[1]
    assert child.returncode == 130
    assert "Traceback" not in said
    assert "microscope: interrupted at once" in said
    assert not (tmp_path / "run").exists()
