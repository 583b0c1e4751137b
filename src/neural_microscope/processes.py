"""Work in steps: its jobs run one after the other, or in parallel in a few processes, each on one thread."""

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
"""job(tell) -> its result. ``tell`` reports to the caller during the job. For parallel jobs it must be picklable: a partial."""

Steps = Generator[list[Job], list[Any], Any]
"""Yields the independent jobs of a step; receives their results, in that order; returns the final result."""


def one_by_one(steps: Steps, tell: Callable[..., None]) -> Any:
    """The result of ``steps``, its jobs run in this process, on one thread as in others: more make small matrices slower, and beside
    other work many times slower.
    """
    results: list[Any] | None = None
    while True:
        try:
            jobs = next(steps) if results is None else steps.send(results)
        except StopIteration as end:
            return end.value
        with one_thread():
            results = [job(tell) for job in jobs]


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and for the libraries of numpy and scipy, here; then again as many as before."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def side_by_side(work: Mapping[str, Steps], tell: Callable[..., None], workers: int = 2) -> dict[str, Any]:
    """The result of each of ``work``; its jobs go to whichever of ``workers`` processes is free, in the order in which they are
    yielded. ``tell(name, …)`` is called here with the reports of a job of ``work[name]``.

    If one fails, or an interruption occurs here, the others are interrupted, as by Ctrl-C, and waited for. An error of a job is
    raised here unchanged; a process that dies without a result is a MicroscopeError. A script must call this
    under ``if __name__ == "__main__":``.
    """
    context = get_context("spawn")  # forking with torch's threads running may hang
    started: dict[connection.Connection, BaseProcess] = {}
    free: list[connection.Connection] = []
    busy: dict[connection.Connection, tuple[str, int]] = {}
    waiting: deque[tuple[str, int, Job]] = deque()
    results: dict[str, list[Any]] = {}
    left: dict[str, int] = {}
    returned: dict[str, Any] = {}

    def proceed(name: str) -> None:
        """Starts the jobs of the next step that has any, or ends."""
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
            with _no_signals():  # nor in the process, until it can handle one
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
                with suppress(BrokenPipeError):  # it is dead, which is detected when its pipe is read
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
        # A terminal or a scheduler may have sent it, but it is handled once. Idle processes end when their pipe closes.
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
    """Signals are deferred until the block ends; a process started in it starts with them blocked."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which would unblock signals when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: connection.Connection) -> None:
    """The loop of a process: job after job on one thread, until there are no more or one fails."""
    # Libraries read these when imported, which may be in the middle of a job.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    with suppress(KeyboardInterrupt), Stops(patient=True, anyway=True):
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        while True:
            try:
                job = pipe.recv()
            except (EOFError, ConnectionResetError):  # no more jobs
                return
            except Exception as error:  # not unpicklable
                return _failed(pipe, error)
            try:
                with one_thread():  # libraries loaded by then
                    pipe.send(("done", job(lambda *content: pipe.send(("told", content)))))
            except BaseException as error:
                return _failed(pipe, error)


def _failed(pipe: connection.Connection, error: BaseException) -> None:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = MicroscopeError(f"{type(error).__name__}: {error}")
    with suppress(OSError):  # the parent has closed the pipe
        pipe.send(("failed", error))
