"""Work in steps: one job after the other here, or side by side in a few processes, each on one thread."""

from __future__ import annotations

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, resource_tracker
from multiprocessing.process import BaseProcess
from typing import Any, cast

from .errors import MicroscopeError
from .stops import SIGNALS, Stops

Job = Callable[[Callable[..., None]], Any]
"""job(tell) -> its result. ``tell`` takes whatever the caller is to know on the way. Side by side it must be picklable: a partial."""

Steps = Generator[list[Job], list[Any], Any]
"""Gives the jobs of a step, which need nothing of each other; is sent their results, in that order; returns what came of all."""


def one_by_one(steps: Steps, tell: Callable[..., None]) -> Any:
    """What ``steps`` returns, its jobs done here."""
    results: list[Any] | None = None
    while True:
        try:
            jobs = next(steps) if results is None else steps.send(results)
        except StopIteration as end:
            return end.value
        results = [job(tell) for job in jobs]


def side_by_side(work: Mapping[str, Steps], tell: Callable[..., None], workers: int = 2) -> dict[str, Any]:
    """What each of ``work`` returns; its jobs go to whichever of ``workers`` processes is free, in the order in which they come
    up. ``tell(name, …)`` is called here with what a job of ``work[name]`` tells.

    Where one fails, or here an interruption comes, the others are interrupted, as by Ctrl-C, and waited for. An error of a job is
    raised here as it was there; a process that dies without a word is a MicroscopeError. A script that calls this does so under
    ``if __name__ == "__main__":``.
    """
    context = get_context("spawn")  # forking beside torch's threads may hang
    started: dict[connection.Connection, BaseProcess] = {}
    free: list[connection.Connection] = []
    busy: dict[connection.Connection, tuple[str, int]] = {}
    waiting: deque[tuple[str, int, Job]] = deque()
    results: dict[str, list[Any]] = {}
    left: dict[str, int] = {}
    returned: dict[str, Any] = {}

    def proceed(name: str) -> None:
        """The jobs of the next step that has any, or the end."""
        jobs: list[Job] = []
        while not jobs:
            try:
                jobs = work[name].send(results[name]) if name in results else next(work[name])
            except StopIteration as end:
                returned[name] = end.value
                return
            results[name], left[name] = [None] * len(jobs), len(jobs)
        waiting.extend((name, place, job) for place, job in enumerate(jobs))

    try:
        for _ in range(workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(theirs,))
            with _no_signals():  # nor in the process, till it can take one
                process.start()
            started[ours] = process
            theirs.close()
            free.append(ours)
        for name in work:
            proceed(name)
        while waiting or busy:
            while waiting and free:
                end, (name, place, job) = free.pop(), waiting.popleft()
                busy[end] = name, place
                with suppress(BrokenPipeError):  # it is dead, which shows when it is listened to
                    end.send(job)
            for one in connection.wait(list(busy)):
                end = cast(connection.Connection, one)
                name, place = busy[end]
                try:
                    what, content = end.recv()
                except (EOFError, ConnectionResetError):
                    raise MicroscopeError(f"the process of {name} ended without a result") from None
                if what == "failed":
                    del busy[end]  # that process has ended
                    raise content
                if what == "told":
                    tell(name, *content)
                    continue
                results[name][place] = content
                left[name] -= 1
                free.append(end)
                del busy[end]
                if not left[name]:
                    proceed(name)
    except BaseException:
        # A terminal or a scheduler may have done so, but they take it once. The idle ones go home when their pipe closes.
        for end in busy:
            if started[end].is_alive():
                os.kill(cast(int, started[end].pid), signal.SIGINT)
        raise
    finally:
        for end in started:
            end.close()
        for worker in started.values():
            worker.join()
    return {name: returned[name] for name in work}


@contextmanager
def _no_signals() -> Iterator[None]:
    """Signals wait until the block ends; a process that is started in it begins like that."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would let signals come when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: connection.Connection) -> None:
    """In a process: job after job on one thread, until there are no more or one fails."""
    # Libraries read these when they are loaded, which may be in the middle of a job.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    with suppress(KeyboardInterrupt), Stops(patient=True, anyway=True):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while True:
            try:
                job = pipe.recv()
            except (EOFError, ConnectionResetError):  # nothing more comes
                return
            except Exception as error:  # what can't be unpickled
                return _failed(pipe, error)
            try:
                with threadpool_limits(1):  # those that were loaded before
                    pipe.send(("done", job(lambda *content: pipe.send(("told", content)))))
            except BaseException as error:
                return _failed(pipe, error)


def _failed(pipe: connection.Connection, error: BaseException) -> None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = MicroscopeError(f"{type(error).__name__}: {error}")
    with suppress(OSError):  # nobody listens any more
        pipe.send(("failed", error))
