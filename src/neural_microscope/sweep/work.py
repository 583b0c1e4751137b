"""Running a sweep: a client, its tasks, and a worker's part."""

from __future__ import annotations

import logging
import os
import tempfile
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from fsspec.implementations.local import LocalFileSystem

from .. import files
from ..config import fitted
from ..data import load
from ..doors import door
from ..errors import MicroscopeError
from ..recording import Recorder
from ..run import Commit
from ..training import train_population
from .destination import claim, clear_uploads, endings, place, refuse_what_no_run_holds, upload
from .jobs import Job, Sweep, plan

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Outcome:
    """The outcome of a sweep, by run names. Each is in one of ``found``, ``trained`` and ``failed``."""

    found: list[str]
    """Those that were finished or diverged at the start."""
    trained: list[str]
    """Those trained now."""
    failed: dict[str, str]
    """The others, with the reason."""
    diverged: list[str]
    """Those of found and trained that diverged: recorded up to that step, and not retried."""


@door
@contextmanager
def connect(workers: int | None = None, scheduler: str | None = None) -> Iterator[Client]:
    """A Dask client for the duration of a block.

    A script that starts processes must do so under ``if __name__ == "__main__":``.

    Args:
        workers: Worker processes on this machine, one thread each; None: one per core.
        scheduler: Address of a cluster's scheduler; None: a cluster on this machine.

    Raises:
        MicroscopeError: The extra ``sweep`` is not installed.
        OSError: The scheduler does not answer.

    >>> with nm.sweep.connect(workers=2) as client:  # doctest: +SKIP
    ...     outcome = nm.sweep.run(asked, "sweeps/rates", client)
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise MicroscopeError("a sweep needs Dask: pip install 'neural-microscope[sweep]'") from None
    if scheduler is not None:
        with Client(scheduler) as client:
            yield client
        return
    count = workers or os.cpu_count() or 1
    # No memory limit: Dask's, a core's share, is below torch's needs on small machines, and would kill the worker repeatedly.
    local = {"threads_per_worker": 1, "processes": True, "memory_limit": None, "dashboard_address": "127.0.0.1:0"}
    # Failures are reported once, at the end: a worker would log each attempt, with its traceback.
    quiet = {"silence_logs": logging.CRITICAL}
    cluster = LocalCluster(n_workers=count, **local, **quiet)
    try:
        with Client(cluster) as client:
            yield client
    finally:
        with suppress(TimeoutError):  # a worker that is slow to end is killed: all that it trained is on disk
            cluster.close()


@door
def run(
    asked: Sweep,
    folder: str | Path,
    client: Client,
    *,
    retries: int = 2,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Outcome:
    """Trains the unfinished networks of a sweep; a dead worker loses only its current task.

    An interruption cancels unfinished tasks.

    Args:
        asked: Settings of the sweep.
        folder: A local path or any fsspec URL that all workers share.
        client: A Dask client, as of `connect`.
        retries: Further attempts at a task that fails.
        progress: Function of what is counted (networks), how many are done, and their total.

    Returns:
        The outcome, which holds the errors of tasks.

    Raises:
        RunError: The folder holds another sweep or something else.
        ConfigError: An invalid combination, as in `plan`.

    >>> outcome = nm.sweep.run(asked, "sweeps/rates", client)  # doctest: +SKIP
    """
    from distributed import as_completed

    jobs = plan(asked)
    system, root = claim(asked, folder)
    names = [name for job in jobs for name in job.names]
    found = endings(system, root, names)
    todo = [replace(job, seeds=seeds) for job in jobs if (seeds := _left(job, found))]
    if todo and isinstance(system, LocalFileSystem):
        files.writable(f"{root}/runs/tried")
        for name in set(names) - set(found):
            refuse_what_no_run_holds(system, f"{root}/runs/{name}")
    done, reasons = len(found), dict[str, str]()
    progress("networks", done, len(names))
    futures = client.map(
        train_job, todo, asked=asked, folder=system.unstrip_protocol(root), retries=retries, pure=False
    )
    of = {future.key: job for future, job in zip(futures, todo, strict=True)}
    try:
        for future in as_completed(futures):
            job = of[future.key]
            if future.status != "finished":
                reasons |= dict.fromkeys(job.names, _reason(future.exception() if future.status == "error" else None))
            done += len(job.names)
            progress("networks", done, len(names))
    except BaseException:
        client.cancel(futures)
        raise
    ended = endings(system, root, names)
    unseen = f"a worker trained it, but it is not in {root} here: give a folder or a URL that all machines share"
    failed = {name: reasons.get(name, unseen) for name in names if name not in ended}
    if not failed and isinstance(system, LocalFileSystem):
        clear_uploads(root, names)
    diverged = [name for name in names if name in ended and ended[name].status != "finished"]
    return Outcome(list(found), [name for name in ended if name not in found], failed, diverged)


@door
def train_job(job: Job, asked: Sweep, folder: str) -> None:
    """A worker's task: trains the unfinished networks of a job, and delivers each run.

    Args:
        job: The networks to train.
        asked: Settings of the sweep.
        folder: A local path or any fsspec URL that all workers share.
    """
    system, root = place(folder)
    seeds = _left(job, endings(system, root, job.names))
    if not seeds:  # a worker that died had finished them
        return
    torch.set_num_threads(job.training.threads)
    data = _data(asked.data)
    network = fitted(job.network, data.image_shape, data.classes, data.image_channels)
    with tempfile.TemporaryDirectory(dir=_scratch()) as scratch, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training .*diverged", UserWarning)  # the run says so, and `run` lists it
        train_population(
            network,
            data,
            job.training,
            seeds=seeds,
            order=asked.order,
            observers=lambda seed: [Recorder(Path(scratch, job.name(seed)), asked.record)],
        )
        for seed in seeds:
            upload(Path(scratch, job.name(seed)), system, root)


_data = lru_cache(maxsize=1)(load)
"""Loaded once per worker, not once per task."""


def _scratch() -> str | None:
    """The worker's local folder, which Dask deletes even if the worker is killed; outside of a worker, the system's."""
    from distributed import get_worker

    try:
        return str(get_worker().local_directory)
    except ValueError:
        return None


def _left(job: Job, ended: dict[str, Commit]) -> tuple[int, ...]:
    return tuple(seed for seed in job.seeds if job.name(seed) not in ended)


def _reason(error: BaseException | None) -> str:
    if error is None:
        return "canceled: the scheduler is gone"
    return textwrap.shorten(f"{type(error).__name__}: {error}", 300, placeholder=" …")
