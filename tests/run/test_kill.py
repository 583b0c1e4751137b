"""kill -9 of a writer, and going on: the same bits as if nothing had happened."""

from __future__ import annotations

import itertools
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import crashing
import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The contents of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    crashing.write(folder)
    return small_runs.contents(folder)


def test_the_killed_run_has_all_kinds_of_files(whole: dict[str, str]) -> None:
    assert {"log.zarr/training/loss/c.0", "log.zarr/training/loss/c.1", "log.zarr/gradients/grad_norm/c.0.0"} <= set(
        whole
    )
    assert {"log.zarr/layers.0.hook_post/c.3.0.0", "weights/00000006.safetensors", "state/00000006.safetensors"} <= set(
        whole
    )


def check_resumes(folder: Path, said: list[int], whole: dict[str, str]) -> None:
    """What was acknowledged is there; after resume all is as in the run that nothing happened to."""
    acknowledged = [step for step in (0, 2, 3, 6) if said and step <= said[-1]]
    try:
        run = nm.Run.open(folder)
    except RunError:
        assert not acknowledged
        with pytest.raises(RunError, match=r"nothing was recorded in it|delete the folder and train again"):
            crashing.resume(folder)
        return
    assert run.steps[: len(acknowledged)] == acknowledged
    assert not [p for p in run.verify() if p.kind == "damage"]
    run.log.load()
    assert run.training.sizes["step"] == run.steps[-1]
    if run.status != "finished":
        crashing.resume(folder)
    run = nm.Run.open(folder)
    assert run.status == "finished"
    assert run.verify() == []
    stale = run.record.removed()  # a state that was to be deleted next
    assert {name: sha for name, sha in small_runs.contents(folder).items() if name not in stale} == whole


def kill(job: crashing.Job, folder: Path, moment: int) -> list[int | str] | None:
    """What a child said that was killed at a moment; None where it was done before."""
    child, pipe = crashing.start(job, folder, moment)
    said = crashing.heard(pipe)
    child.join()
    assert child.exitcode == (0 if said[-1:] == ["done"] else -signal.SIGKILL)
    return None if said[-1:] == ["done"] else said


@pytest.mark.parametrize("first", [1, *(pytest.param(first, marks=pytest.mark.slow) for first in (2, 3))])
def test_killed_at_every_moment_it_resumes_to_the_same_bits(tmp_path: Path, whole: dict[str, str], first: int) -> None:
    for moment in itertools.count(first, 3):  # every third one; `make test-slow` takes the others
        folder = tmp_path / str(moment)
        said = kill(crashing.write, folder, moment)
        if said is None:
            break
        check_resumes(folder, said, whole)
    assert moment > 50


@pytest.mark.parametrize("moment", [-1, -2, -10, -20, -40])
def test_killed_while_the_folder_is_made_it_says_that_nothing_was_recorded(tmp_path: Path, moment: int) -> None:
    folder = tmp_path / "run"
    assert kill(crashing.write, folder, moment) == []
    with pytest.raises(RunError):
        nm.Run.open(folder)
    with pytest.raises(RunError, match=r"nothing was recorded"):
        crashing.resume(folder)
    with pytest.raises(RunError, match=r"give a new folder"):
        crashing.write(folder)


def killed_at_random(folder: Path, job: crashing.Job, chance: random.Random) -> list[int | str]:
    """What a child said that was killed some moment after it had said that some step is done."""
    child, pipe = crashing.start(job, folder)
    said = crashing.heard(pipe, chance.randint(0, 5))
    for _ in range(chance.randint(0, 100_000)):  # not a sleep, and nothing depends on how long it takes
        pass
    child.kill()
    said += crashing.heard(pipe)
    child.join()
    return [word for word in said if word != "done"]


@pytest.mark.parametrize("seed", [*range(5), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 30))])
def test_killed_at_a_random_moment_it_resumes_to_the_same_bits(
    tmp_path: Path, whole: dict[str, str], seed: int
) -> None:
    folder = tmp_path / "run"
    said = killed_at_random(folder, crashing.write, random.Random(seed))
    check_resumes(folder, said, whole)


def finish(folder: Path, kill: Callable[[crashing.Job], None], whole: dict[str, str]) -> int:
    """Has a run killed, and whoever resumes it, till it is finished; returns how often it took."""
    job: crashing.Job = crashing.write
    for times in itertools.count(1):
        kill(job)
        try:
            run = nm.Run.open(folder)
        except RunError:
            shutil.rmtree(folder, ignore_errors=True)
            continue
        job = crashing.resume
        if run.status == "finished":
            check_resumes(folder, [], whole)
            return times
    raise AssertionError


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
def test_killed_again_and_again_it_finishes_with_the_same_bits(
    tmp_path: Path, whole: dict[str, str], seed: int
) -> None:
    chance = random.Random(100 + seed)
    finish(tmp_path / "run", lambda job: killed_at_random(tmp_path / "run", job, chance), whole)


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 13])
def test_killed_every_few_moments_it_finishes_with_the_same_bits(
    tmp_path: Path, whole: dict[str, str], step: int
) -> None:
    # A resumed writer that dies before its first new snapshot is on disk is back where it was: each goes a little further.
    moments = itertools.count(16, step)
    finish(tmp_path / "run", lambda job: kill(job, tmp_path / "run", next(moments)), whole)


@pytest.mark.slow
def test_a_resuming_writer_killed_at_every_moment_resumes_to_the_same_bits(
    tmp_path: Path, whole: dict[str, str]
) -> None:
    stopped = tmp_path / "stopped"
    kill(crashing.write, stopped, 25)
    assert nm.Run.open(stopped).steps == [0, 2]
    for moment in itertools.count(1):
        folder = tmp_path / str(moment)
        shutil.copytree(stopped, folder)
        if kill(crashing.resume, folder, moment) is None:
            break
        check_resumes(folder, [2], whole)
    assert moment > 20
