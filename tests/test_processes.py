"""Jobs side by side: their results, what they tell, and how they fail."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from neural_microscope.errors import DataError, MicroscopeError
from neural_microscope.processes import Job, Steps, one_by_one, side_by_side
from neural_microscope.stops import Stopped


def nothing(*told: Any) -> None:
    pass


def once(job: Job) -> Steps:
    (found,) = yield [job]
    return found


def counting(number: int, tell: Any) -> dict[str, Any]:
    """A library that is loaded late keeps to one thread too."""
    import scipy.linalg
    import sklearn.cluster  # noqa: F401

    tell("counting", number)
    scipy.linalg.inv(np.eye(2))
    threads = {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}
    return {"number": number, "process": os.getpid(), "threads": threads}


def doubled(number: int, tell: Any) -> int:
    return 2 * number


def growing(start: int) -> Steps:
    """Three numbers, doubled at once; nothing; then their sum, doubled."""
    found = yield [partial(doubled, start + i) for i in range(3)]
    assert (yield []) == []
    (total,) = yield [partial(doubled, sum(found))]
    return found, total


def none_at_all() -> Steps:
    return "nothing to do"
    yield []


def failing(folder: Path, tell: Any) -> None:
    while not (folder / "started").exists():
        time.sleep(0.01)
    raise DataError("no such thing")


def reading(tell: Any) -> None:
    raise EOFError("no data left in file")


def dying(tell: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def patient(folder: Path, tell: Any) -> None:
    try:
        (folder / "started").touch()  # from here on it may be interrupted
        time.sleep(600)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise


def keeping(folder: Path, tell: Any) -> None:
    """Takes its time to keep what it has."""
    try:
        tell(os.getpid())
        time.sleep(600)
    except KeyboardInterrupt:
        tell("keeping")
        deadline = time.monotonic() + 60
        while not (folder / "more came").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (folder / "kept").touch()
        raise


def growers() -> dict[str, Steps]:
    return {"one": growing(1), "ten": growing(10), "none": none_at_all()}


GROWN = {"one": ([2, 4, 6], 24), "ten": ([20, 22, 24], 132), "none": "nothing to do"}


def test_results_come_by_name_from_processes_of_one_thread_and_what_they_tell_comes_too() -> None:
    told: list[Any] = []
    work = {name: once(partial(counting, number)) for name, number in (("a", 1), ("b", 2))}
    found = side_by_side({**work, **growers()}, lambda *what: told.append(what))
    assert list(found) == ["a", "b", *GROWN]
    grown = {name: found.pop(name) for name in GROWN}
    assert grown == GROWN
    assert [one["number"] for one in found.values()] == [1, 2]
    assert os.getpid() not in {one["process"] for one in found.values()}
    assert [one["threads"] for one in found.values()] == [{1}, {1}]
    assert sorted(told) == [("a", "counting", 1), ("b", "counting", 2)]


def test_steps_get_their_results_in_order_here_and_in_another_process() -> None:
    assert {name: one_by_one(one, nothing) for name, one in growers().items()} == GROWN
    assert side_by_side(growers(), nothing, workers=1) == GROWN


def test_jobs_in_this_process_take_one_thread_and_leave_the_number_as_it_was() -> None:
    counting(0, nothing)  # loads the libraries
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with threadpool_limits(2):
            assert one_by_one(once(partial(counting, 1)), nothing)["threads"] == {1}
            assert counting(2, nothing)["threads"] == {2}
    finally:
        torch.set_num_threads(before)


def test_the_error_of_one_is_raised_here_and_the_other_is_interrupted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such thing"):
        side_by_side({n: once(partial(job, tmp_path)) for n, job in (("p", patient), ("f", failing))}, nothing)
    assert (tmp_path / "interrupted").exists()


def test_the_other_is_interrupted_also_where_interruptions_are_ignored_as_in_a_scripts_background(
    tmp_path: Path,
) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        test_the_error_of_one_is_raised_here_and_the_other_is_interrupted(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_comes_from_a_scheduler_and_from_here_stops_a_process_once(tmp_path: Path, number: int) -> None:
    pid = 0

    def tell(name: str, what: Any) -> None:
        nonlocal pid
        if what == "keeping":
            os.kill(pid, number)
            (tmp_path / "more came").touch()
            raise Stopped(number)
        pid = what
        os.kill(pid, signal.SIGTERM)

    with pytest.raises(Stopped):
        side_by_side({"keeper": once(partial(keeping, tmp_path))}, tell, workers=1)
    assert (tmp_path / "kept").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_dies_without_a_word_is_an_error_that_names_it() -> None:
    with pytest.raises(MicroscopeError, match="the process of poor ended without a result"):
        side_by_side({"poor": once(dying)}, nothing, workers=1)


def test_a_job_that_finds_no_more_data_is_no_process_that_ended() -> None:
    with pytest.raises(EOFError, match="no data left"):
        side_by_side({"reader": once(reading)}, nothing, workers=1)
