"""Writers that are killed. Each is a child of a fork server that has everything imported, so that it starts fast."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import neural_microscope as nm
import small_runs
from neural_microscope.run import commits, log
from neural_microscope.training import Observer, Training

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["neural_microscope.recording", "torch._dynamo", "pytest"])  # what a child would import

RECORD = nm.RecordConfig(
    per_octave=0, steps=(2,), probe_size=3, hook_points=("layers.0.hook_post",), norms_every=2
)  # snapshots at 0, 2, 3, 6
Job = Callable[..., None]

CHUNK = 4
"""Rows of a chunk here, so that one is full, and written, in the middle of the run."""


def write(folder: Path, *observers: Observer) -> None:
    """A whole run of 6 steps with Adam, momentum of batch norm and dropout."""
    model = small_runs.mlp(dropout=0.3, norm="batch")
    rows, log.ROWS = log.ROWS, CHUNK
    try:
        small_runs.train(folder, model=model, record=RECORD, observers=observers, batch_size=30, label_noise=0.2)
    finally:
        log.ROWS = rows


def resume(folder: Path, *observers: Observer) -> None:
    nm.resume(folder, data=small_runs.data(), observers=observers)


class Acknowledging(Observer):
    """Says through a pipe which step is done, and which snapshots are on disk; stands after the recorder."""

    def __init__(self, pipe: Any) -> None:
        self.pipe = pipe

    def stepped(self, training: Training) -> None:
        self.pipe.send(training.step)


def on_each_write(before: Callable[[int], None]) -> None:
    """Calls ``before(n)`` at the n-th point at which a killed writer would leave the folder in another state than before: when a
    file is to be moved into its place or deleted, and before, in the middle of, and after a line of the commit record.

    n counts -1, -2, … while the folder is made, and 1, 2, … from its first line in the commit record on.
    """
    count, way = 0, -1

    def point() -> None:
        nonlocal count
        count += way
        before(count)

    def watched(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            point()
            return function(*args, **kwargs)

        return run

    def append(folder: Path, commit: Any, time: str, chain: str) -> str:
        nonlocal count, way
        if way < 0:
            count, way = 0, 1
        path = folder / commits.NAME
        start = path.stat().st_size if path.exists() else 0
        point()
        result = appended(folder, commit, time, chain)
        line = path.read_bytes()[start:]
        os.truncate(path, start + len(line) // 2)
        point()
        with path.open("ab") as file:
            file.write(line[len(line) // 2 :])
        point()
        return result

    appended = commits.append
    commits.append = append
    for name in ("replace", "unlink"):
        setattr(os, name, watched(getattr(os, name)))


def child(job: Callable[..., None], folder: Path, die_at: int, pipe: Any) -> None:
    """Does the job, and dies before its ``die_at``-th write as if by kill -9."""

    def die(n: int) -> None:
        if n == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = lambda file: None  # what a killed process has written stays written
    on_each_write(die)
    job(folder, Acknowledging(pipe))
    pipe.send("done")


def start(job: Callable[..., None], folder: Path, die_at: int = 0) -> tuple[Any, Any]:
    """(the child, what it says)."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=child, args=(job, folder, die_at, theirs))
    process.start()
    theirs.close()
    return process, ours


def heard(pipe: Any, words: int | None = None) -> list[Any]:
    """The next words of a child, up to so many words, or all till it ends."""
    said: list[Any] = []
    try:
        while words is None or len(said) < words:
            said.append(pipe.recv())
    except EOFError:
        pass
    return said
