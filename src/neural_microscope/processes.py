"""Jobs side by side, each in a process of its own on one thread; what they tell on the way reaches the caller."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Mapping
from multiprocessing import connection, get_context
from typing import Any

from .errors import MicroscopeError


def side_by_side(
    job: Callable[..., Any],
    arguments: Mapping[str, tuple[Any, ...]],
    *,
    tell: Callable[[str, int, int, str], None],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """What ``job(*arguments[name], tell=…, say=…)`` returns for each name, all at once; the functions are called here.

    Where one fails, or here an interruption comes, the others are interrupted, as by Ctrl-C, and waited for. An error of a job is
    raised here as it was there; a process that dies without a word is a MicroscopeError. A script that calls this does so under
    ``if __name__ == "__main__":``.
    """
    context = get_context("spawn")  # forking beside torch's threads may hang
    names, workers = {}, []
    results: dict[str, Any] = {}
    here: dict[str, Callable[..., None]] = {"tell": tell, "say": say}
    try:
        for name, given in arguments.items():
            ours, theirs = context.Pipe(duplex=False)
            workers.append(context.Process(target=_work, args=(theirs, job, given), name=name))
            workers[-1].start()
            theirs.close()
            names[ours] = name
        while names:
            for end in connection.wait(list(names)):
                assert isinstance(end, connection.Connection)
                try:
                    what, content = end.recv()
                except EOFError:
                    raise MicroscopeError(f"the process of {names[end]} ended without a result") from None
                if what == "failed":
                    raise content
                if what == "done":
                    results[names.pop(end)] = content
                else:
                    here[what](*content)
    except BaseException as error:
        for worker in workers:
            if isinstance(error, KeyboardInterrupt):
                worker.join(2)  # a terminal interrupts it too, and once is enough
            if worker.is_alive() and worker.pid is not None:
                os.kill(worker.pid, signal.SIGINT)
        raise
    finally:
        for worker in workers:
            worker.join()
    return {name: results[name] for name in arguments}


def _work(pipe: connection.Connection, job: Callable[..., Any], given: tuple[Any, ...]) -> None:
    """In the process: the job on one thread, then its result or its error."""
    import torch
    from threadpoolctl import threadpool_limits

    def through(what: str) -> Callable[..., None]:
        return lambda *content: pipe.send((what, content))

    try:
        torch.set_num_threads(1)
        with threadpool_limits(1):
            pipe.send(("done", job(*given, tell=through("tell"), say=through("say"))))
    except BrokenPipeError:  # nobody listens any more
        pass
    except BaseException as error:
        pipe.send(("failed", _sendable(error)))


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return MicroscopeError(f"{type(error).__name__}: {error}")
    return error
