"""kill -9 of a writer, and going on: the same bits as if nothing had happened."""

from __future__ import annotations

import itertools
import random
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import crashing
import neural_microscope as nm
import small_runs
from neural_microscope.errors import RunError
from neural_microscope.run import RunWriter


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


def start_over(folder: Path, whole: dict[str, str]) -> None:
    """By the command that was killed: the whole run. By resume, where it is known what was to be trained: its weights."""
    folder.mkdir(exist_ok=True)
    copy = shutil.copytree(folder, folder.with_name(f"{folder.name} copy"))
    crashing.write(folder)
    assert small_runs.contents(folder) == whole
    if (copy / "run.json").exists():
        crashing.resume(copy)
        resumed = small_runs.contents(copy)
        assert {name: resumed[name] for name in whole if name.startswith("weights/")} == {
            name: digest for name, digest in whole.items() if name.startswith("weights/")
        }
    else:
        with pytest.raises(RunError, match=r"nothing was recorded in it: the command that trains it starts it over"):
            crashing.resume(copy)


def check_resumes(folder: Path, said: list[int], whole: dict[str, str]) -> None:
    """Everything acknowledged is there; after resume all is as in the run that nothing happened to."""
    acknowledged = [step for step in (0, 2, 3, 6) if said and step <= said[-1]]
    try:
        run = nm.Run.open(folder)
    except RunError:
        assert not acknowledged
        start_over(folder, whole)
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
    """The output of a child that was killed at a point; None if it was done before."""
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
def test_killed_while_the_folder_is_made_it_is_started_over(tmp_path: Path, whole: dict[str, str], moment: int) -> None:
    folder = tmp_path / "run"
    assert kill(crashing.write, folder, moment) == []
    with pytest.raises(RunError):
        nm.Run.open(folder)
    start_over(folder, whole)


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "weights/00000007.safetensors", "log.zarr/c.0.txt", "state/00000000.pt"]
)
def test_what_no_killed_writer_left_is_refused_by_name_and_stays(tmp_path: Path, foreign: str) -> None:
    folder = tmp_path / "run"
    kill(crashing.write, folder, -40)
    left = folder / foreign
    left.parent.mkdir(exist_ok=True)
    left.write_text("mine")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for begin in (crashing.write, crashing.resume):
        with pytest.raises(RunError, match=f"it holds '{re.escape(foreign)}'"):
            begin(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_json_that_no_recorder_wrote_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"distance": 10, "km": true}')
    with pytest.raises(RunError, match=r"it holds 'run\.json'"):
        crashing.write(tmp_path)
    assert (tmp_path / "run.json").exists()


def test_a_network_that_did_not_start_from_its_seed_is_started_over_only_by_its_script(tmp_path: Path) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    model = small_runs.mlp()
    model.output.bias.data[0] = 1
    with mock.patch.object(RunWriter, "snapshot", interrupt), pytest.raises(KeyboardInterrupt):
        small_runs.train(tmp_path / "run", model=model)
    with pytest.raises(RunError, match="run the script again"):
        nm.resume(tmp_path / "run", data=small_runs.data())
    small_runs.train(tmp_path / "run", model=model)
    assert nm.Run.open(tmp_path / "run").verify() == []


def killed_at_random(folder: Path, job: crashing.Job, chance: random.Random) -> list[int | str]:
    """The output of a child that was killed a little after it had reported some step."""
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
            continue  # nothing was recorded: it starts over
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
