"""A disk that fills up, a limit on file sizes: training ends with the reason, what was committed stays, and resume goes on."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import crashing
import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.run import beginning
from neural_microscope.training import Observer, Training


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("whole") / "run"
    crashing.write(folder)
    return small_runs.contents(folder)


class Disk:
    """From the n-th write on nothing more can be written, or only the n-th fails. Half of what was to be written arrives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int, stays_full: bool) -> None:
        self.count, self.fails_at, self.stays_full = 0, fails_at, stays_full
        for name in ("replace", "fsync"):
            monkeypatch.setattr(os, name, self.watched(getattr(os, name)))

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.fails_at or (self.stays_full and self.count > self.fails_at):
                if isinstance(args[0], int):  # the file that was just written, or one that is read
                    with contextlib.suppress(OSError):
                        os.truncate(args[0], os.fstat(args[0]).st_size - 40)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **kwargs)

        return run


def check(folder: Path, whole: dict[str, str], capsys: Any) -> int:
    """After a failure: what was committed can be read, nothing else is left, and resume finishes it. Returns its snapshots."""
    try:
        run = nm.Run.open(folder)
    except RunError as error:
        assert "holds no complete snapshot" in str(error) or "no run.json" in str(error)  # noqa: PT017
        return 0
    assert run.steps == [0, 2, 3, 6][: len(run.steps)]
    run.log.load()
    assert run.training.sizes["step"] == run.steps[-1]
    for step in run.steps:
        run.weights(step)
    problems = run.verify()
    assert all(p.kind == "interrupted" for p in problems)
    noted = run.status.startswith("failed at step")
    assert noted != ("could not record how the run ended" in capsys.readouterr().err) or run.status == "finished"
    if noted:
        assert "No space left on device" in run.status
        assert problems == []
    if run.status != "finished":
        crashing.resume(folder)
    assert small_runs.contents(folder) == whole
    assert nm.Run.open(folder).verify() == []
    return len(run.steps)


@pytest.mark.parametrize("stays_full", [False, True])
def test_full_at_every_write(tmp_path: Path, whole: dict[str, str], stays_full: bool, capsys: Any) -> None:
    outcomes = set()
    # From the end of creation, which another test is about; each its own third, which is a third of the time.
    for n in itertools.count(52 + stays_full, 3):
        folder = tmp_path / str(n)
        with pytest.MonkeyPatch.context() as monkeypatch:
            disk = Disk(monkeypatch, n, stays_full)
            try:
                crashing.write(folder)
            except OSError as error:
                assert error.errno == errno.ENOSPC  # noqa: PT017
                assert str(error).startswith(f"{folder}/")  # noqa: PT017
        if disk.count < n:
            break
        outcomes.add(check(folder, whole, capsys))
    assert n > 120
    assert outcomes == {0, 1, 2, 3}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 20, 50])
def test_a_full_disk_while_the_folder_is_made_leaves_an_empty_folder(tmp_path: Path, n: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        Disk(monkeypatch, n, stays_full=True)
        with pytest.raises(OSError, match="No space left"):
            crashing.write(tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.lock"]
    crashing.write(tmp_path / "run")
    assert nm.Run.open(tmp_path / "run").status == "finished"


class Limiting(Observer):
    """From the first step on, no file can grow beyond a size."""

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def started(self, training: Training) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest, self.largest))


def limited(folder: Path, largest: int, pipe: Any) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        small_runs.train(folder, observers=[Limiting(largest)])
    except OSError as error:
        pipe.send(error.errno)


@pytest.mark.parametrize("largest", [400, 2000, 9000, 12000])
def test_a_limit_on_file_sizes(tmp_path: Path, largest: int) -> None:
    # 400 bytes are too few for weights, 2000 for the state, the others for the commit record, which grows.
    folder = tmp_path / "run"
    ours, theirs = crashing.CONTEXT.Pipe(duplex=False)
    child = crashing.CONTEXT.Process(target=limited, args=(folder, largest, theirs))
    child.start()
    theirs.close()
    assert crashing.heard(ours) == [errno.EFBIG]
    child.join()
    run = nm.Run.open(folder)
    assert (len(run.steps) == 1) == (largest < 9000)
    assert len(run.steps) < 8
    assert all(p.kind == "interrupted" for p in run.verify())
    nm.resume(folder, data=small_runs.data())
    small_runs.train(tmp_path / "whole")
    assert small_runs.contents(folder) == small_runs.contents(tmp_path / "whole")


def test_a_folder_is_emptied_though_another_of_the_logs_writes_goes_on_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove, calls = beginning.remove, itertools.count()

    def disturbed(folder: Path, names: list[str]) -> None:
        if next(calls) == 1:  # the first time that the folder is emptied
            raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
        remove(folder, names)

    monkeypatch.setattr(beginning, "remove", disturbed)
    with monkeypatch.context() as full:
        Disk(full, 20, stays_full=True)
        with pytest.raises(OSError, match="No space left"):
            crashing.write(tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.lock"]
