"""Jobs side by side: their results, what they tell, and how they fail."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info

from neural_microscope.errors import DataError, MicroscopeError
from neural_microscope.processes import side_by_side


def nothing(*told: Any) -> None:
    pass


def counting(number: int, tell: Any, say: Any) -> dict[str, Any]:
    tell("counting", 1, number, "half")
    say(f"{number} said")
    np.ones((2, 2)) @ np.ones((2, 2))
    threads = {pool["num_threads"] for pool in threadpool_info()} | {torch.get_num_threads()}
    return {"number": number, "process": os.getpid(), "threads": threads}


def failing(folder: Path, tell: Any, say: Any) -> None:
    while not (folder / "started").exists():
        time.sleep(0.01)
    raise DataError("no such thing")


def dying(folder: Path, tell: Any, say: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def patient(folder: Path, tell: Any, say: Any) -> None:
    (folder / "started").touch()
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise


def either(which: Any, folder: Path, tell: Any, say: Any) -> None:
    which(folder, tell, say)


def test_results_come_by_name_from_processes_of_one_thread_and_what_they_tell_comes_too() -> None:
    told: list[Any] = []
    say = lambda text: told.append(text)  # noqa: E731
    found = side_by_side(counting, {"a": (1,), "b": (2,)}, tell=lambda *what: told.append(what), say=say)
    assert list(found) == ["a", "b"]
    assert [one["number"] for one in found.values()] == [1, 2]
    assert len({os.getpid(), *(one["process"] for one in found.values())}) == 3
    assert [one["threads"] for one in found.values()] == [{1}, {1}]
    assert sorted(map(str, told)) == ["('counting', 1, 1, 'half')", "('counting', 1, 2, 'half')", "1 said", "2 said"]


def test_the_error_of_one_is_raised_here_and_the_other_is_interrupted(tmp_path: Path) -> None:
    jobs = {"patient": (patient, tmp_path), "failing": (failing, tmp_path)}
    with pytest.raises(DataError, match="no such thing"):
        side_by_side(either, jobs, tell=nothing, say=nothing)
    assert (tmp_path / "interrupted").exists()


def test_a_process_that_dies_without_a_word_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MicroscopeError, match="the process of poor ended without a result"):
        side_by_side(dying, {"poor": (tmp_path,)}, tell=nothing, say=nothing)
