"""One writer at a time, into a folder of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import crashing
import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.training import Observer, Training

DATA = small_runs.data()


def hold(folder: Path, pipe: Any) -> None:
    """Trains till it is killed."""

    class Waiting(Observer):
        def stepped(self, training: Training) -> None:
            if training.step == 5:
                pipe.send("writing")
                pipe.recv()

    small_runs.train(folder, observers=[Waiting()])


@pytest.fixture
def written(tmp_path: Path) -> Any:
    """A folder into which another process is writing, and that process."""
    ours, theirs = crashing.CONTEXT.Pipe()
    process = crashing.CONTEXT.Process(target=hold, args=(tmp_path / "run", theirs))
    process.start()
    theirs.close()
    assert ours.recv() == "writing"
    yield tmp_path / "run", process
    process.kill()
    process.join()


def test_a_second_writer_is_refused(written: Any) -> None:
    folder, _ = written
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    with pytest.raises(RunError, match="holds a run already"):
        small_runs.train(folder)
    with pytest.raises(RunError, match="is being written by another process; wait for it, or choose another folder"):
        nm.resume(folder, data=DATA)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_run_can_be_read_while_it_is_written(written: Any) -> None:
    run = nm.Run.open(written[0])
    assert (run.status, run.steps) == ("running", [0, 1, 2, 4])
    assert run.training.sizes["step"] == 4
    assert run.log.sizes["snapshot"] == 4
    assert run.verify() == []


def test_after_kill_9_of_the_writer_its_lock_is_free(written: Any, tmp_path: Path) -> None:
    folder, process = written
    process.kill()
    process.join()
    nm.resume(folder, data=DATA)
    small_runs.train(tmp_path / "whole")
    assert small_runs.contents(folder) == small_runs.contents(tmp_path / "whole")


def test_two_that_begin_in_one_folder_at_once(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with FileLock(tmp_path / "run/run.lock"), pytest.raises(RunError, match="is being written by another process"):
        small_runs.train(tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["run.lock"]
    small_runs.train(tmp_path / "run")


def test_a_run_that_came_and_went_while_another_waited_is_not_touched(tmp_path: Path, monkeypatch: Any) -> None:
    # Both found the folder empty; the other was done before we had the lock.
    other = tmp_path / "other"
    small_runs.train(other)
    before = small_runs.contents(other)
    acquire = FileLock.acquire

    def late(lock: Any, *args: Any, **kwargs: Any) -> Any:
        if other.exists():
            (tmp_path / "run").rmdir()
            other.rename(tmp_path / "run")
        return acquire(lock, *args, **kwargs)

    monkeypatch.setattr(FileLock, "acquire", late)
    with pytest.raises(RunError, match="holds a run already"):
        small_runs.train(tmp_path / "run")
    assert small_runs.contents(tmp_path / "run") == before
    assert nm.Run.open(tmp_path / "run").verify() == []


def test_a_folder_that_holds_something_is_refused_before_anything_happens(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    model = small_runs.mlp()
    before = model.output.weight.tolist()
    with pytest.raises(RunError, match=r"is not empty \(it holds 'thesis.txt'\): give a new folder"):
        small_runs.train(tmp_path, model=model)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]  # no lock file either
    assert model.output.weight.tolist() == before


def test_a_recorded_run_is_never_overwritten(tmp_path: Path) -> None:
    small_runs.train(tmp_path / "run")
    before = small_runs.contents(tmp_path / "run")
    with pytest.raises(RunError, match="holds a run already: give a new folder, or continue"):
        small_runs.train(tmp_path / "run")
    recorder = nm.Recorder(tmp_path / "run", small_runs.RECORD)
    for _ in range(2):
        with pytest.raises(RunError, match="holds a run already"):
            nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=1), observers=[recorder])
    assert small_runs.contents(tmp_path / "run") == before


def test_a_recorder_used_twice_is_refused_the_second_time(tmp_path: Path) -> None:
    recorder = nm.Recorder(tmp_path / "run", small_runs.RECORD)
    nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=1), observers=[recorder])
    with pytest.raises(RunError, match="holds a run already"):
        nm.train(small_runs.mlp(), DATA, nm.TrainConfig(epochs=1), observers=[recorder])
    assert nm.Run.open(tmp_path / "run").verify() == []


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(RunError, match="is a file; give a new folder"):
        small_runs.train(tmp_path / "run")
    with pytest.raises(RunError, match="can't be created: Not a directory"):
        small_runs.train(tmp_path / "run/deeper")
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_leave_to_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunError, match="can't be created: Permission denied"):
            small_runs.train(tmp_path / "run")
    finally:
        tmp_path.chmod(0o700)
