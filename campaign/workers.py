"""Processes that try damaged documents, under limits and watched, and the pool of them."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["neural_microscope.recording", "torch._dynamo", "campaign.documents"])

MEMORY = 1 << 30
"""Bytes of address space that reading may take beyond what the loaded program has."""
PATIENCE = 20.0
"""Seconds on the clock after which a case hangs, though it uses no processor time."""
BATCH = 200
"""Cases that a worker is given at once."""


@dataclass(frozen=True)
class Failure:
    document: str
    seed: int
    kind: str
    """``traceback``, ``other data``, ``no name``, ``hang``, ``memory``, ``crash`` or ``escape``."""
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}\n    python -m campaign --case {f'{self.document}:{self.seed}'!r}"


@dataclass
class Tally:
    """The results of the cases of one document."""

    counts: Counter[str] = field(default_factory=Counter)
    """``equal``, ``error`` (one of the project's, which names the file), ``other`` (other data, where they are right), ``failed``."""
    failures: list[Failure] = field(default_factory=list)
    said: str = ""
    """The result of the only case."""
    slowest: float = 0.0
    """Seconds of processor time of the slowest case."""

    def add(self, other: Tally) -> None:
        self.counts += other.counts
        self.failures += other.failures
        self.said = other.said
        self.slowest = max(self.slowest, other.slowest)


class Hang(BaseException):
    """Time is up. No `except Exception` catches it."""


# --- what is watched --------------------------------------------------------------------------------------------------------

PROGRAMS = ("subprocess.Popen", "os.exec", "os.system", "os.posix_spawn", "os.spawn", "os.fork", "pty.spawn")
OTHERS = (
    "socket.connect",
    "socket.getaddrinfo",
    "ctypes.dlopen",
    "ctypes.call_function",
    "os.kill",
)
CHANGES = (
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "os.chmod",
    "os.chown",
    "shutil.rmtree",
    "shutil.move",
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """An audit hook, which stays for the life of the process and listens while a case is read."""

    def __init__(self, home: Path) -> None:
        self.home = f"{os.path.realpath(home)}/"
        self.outside = f"{os.path.realpath(home.parent / 'outside')}/"
        self.on = self.links = self.writes = False
        self.seen: list[str] = []
        sys.addaudithook(self.heard)

    def heard(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, mode, flags = given
            if isinstance(path, int):
                return
            real = os.path.realpath(os.fsdecode(path))
            writing = flags & WRITING or (isinstance(mode, str) and set(mode) & set("wax+"))
            if writing and not self._ours(real):
                self.seen.append(f"{event} for writing {os.fsdecode(path)}")
            elif not self.links and (real.startswith(self.outside) or real in ("/dev/zero", "/etc/passwd")):
                self.seen.append(f"{event} through a link, {os.fsdecode(path)} -> {real}")
        elif event in CHANGES:
            for path in given[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    parent, name = os.path.split(os.path.abspath(os.fsdecode(path)))
                    if not self._ours(f"{os.path.realpath(parent)}/{name}"):
                        self.seen.append(f"{event} {os.fsdecode(path)}")
        elif event.startswith((*PROGRAMS, *OTHERS)):
            self.seen.append(f"{event} {given!r:.120}")

    def _ours(self, path: str) -> bool:
        return self.writes and (path.startswith(self.home) or path == self.home[:-1])

    @contextmanager
    def watching(self, links: bool, writes: bool) -> Iterator[list[str]]:
        """The file accesses while the block runs. ``links``: a link may be followed to be read; ``writes``: files in the folder
        may be written.
        """
        self.seen, self.links, self.writes, self.on = [], links, writes, True
        try:
            yield self.seen
        finally:
            self.on = False


def _time_is_up(*_: Any) -> None:
    raise Hang


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Ends the block by `Hang` after so much processor time, or `PATIENCE` on the clock; what does not listen is killed later."""
    before = resource.getrlimit(resource.RLIMIT_CPU)
    # The kernel counts whole ticks for this limit, which over minutes drift from the time that a process can read.
    resource.setrlimit(resource.RLIMIT_CPU, (int(1.5 * time.process_time() + seconds) + 10, before[1]))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, max(PATIENCE, 10 * seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, before)  # what the campaign itself does next is not the package's time


# --- a worker ---------------------------------------------------------------------------------------------------------------


class Worker:
    """Tries cases in a folder of its own: ``case`` holds the example that is damaged, ``outside`` what must not be touched."""

    def __init__(self, folder: Path) -> None:
        from . import documents

        self.documents = documents
        self.case, self.outside, self.examples = folder / "case", folder / "outside", folder / "examples"
        for one in (self.case, self.outside, self.examples):
            one.mkdir(parents=True)
        self.name = ""
        self.watch = Watch(self.case)
        self.bait: dict[str, bytes] = {}

    def take(self, name: str) -> None:
        """Makes a document's healthy example, and reads it once."""
        if name == self.name:
            return
        self.name, self.document = name, self.documents.DOCUMENTS[name]
        example = self.examples / self.document.build.__name__
        if not example.exists():
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            if self.document.build.__name__ not in ("write", "stopped"):
                example.mkdir()
            self.document.build(example)
        self.example = example
        self.held = self.documents.files(example, self.document.files)
        self.content = {p.relative_to(example).as_posix(): p.read_bytes() for p in example.rglob("*") if p.is_file()}
        self.anew()
        self.healthy = self.document.read(self.case)
        self.print = self.documents.fingerprint(self.healthy)
        self.anew()
        used = (
            int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            if sys.platform == "linux"
            else 0
        )
        self.limit = used + MEMORY if used else resource.RLIM_INFINITY

    def anew(self) -> None:
        """The whole example again, and the bait."""
        shutil.rmtree(self.case, ignore_errors=True)
        shutil.copytree(self.example, self.case)
        self.lay()

    def lay(self) -> None:
        shutil.rmtree(self.outside, ignore_errors=True)
        self.outside.mkdir()
        for path in (self.outside / "victim.txt", self.case.parent / "victim.txt"):
            path.write_bytes(b"mine")

    def restore(self, touched: set[str]) -> None:
        """The example as it was, by the files that differ."""
        if self.document.writes:
            self.anew()
            return
        for name in touched & self.content.keys():
            self.documents.mutations.gone(self.case / name)
            (self.case / name).write_bytes(self.content[name])

    def tried(self, seed: int) -> tuple[str, str, str, float]:
        """(verdict, kind of failure, what happened, seconds of processor time)."""
        chance = self.documents.chance_of(self.name, seed)
        names, how, free = self.documents.mutate(self.document, self.case, self.outside, self.held, chance)
        before = {p: p.read_bytes() for p in (*self.outside.iterdir(), self.case.parent / "victim.txt")}
        begun = time.process_time()
        resource.setrlimit(resource.RLIMIT_AS, (self.limit, resource.RLIM_INFINITY))
        with self.watch.watching(self.document.alone, self.document.writes) as seen:
            verdict = self._read(names, free)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        taken = time.process_time() - begun
        now = {p: p.read_bytes() for p in (*self.outside.iterdir(), self.case.parent / "victim.txt") if p.is_file()}
        if seen or now != before:
            verdict = ("failed", "escape", seen[0] if seen else "a file outside the folder was changed")
            self.anew()
        self.restore(names)
        return *verdict[:2], f"{how}: {verdict[2]}", taken

    def _read(self, names: set[str], free: bool) -> tuple[str, str, str]:
        errors = self.documents.nm.errors
        try:
            with _limited(self.document.seconds):
                found = self.document.read(self.case)
        except errors.MicroscopeError as error:
            text = str(error)
            named = str(self.case) in text or any(Path(name).name in text for name in names)
            return ("error", "", text) if named else ("failed", "no name", f"{type(error).__name__}: {text[:200]}")
        except Hang:
            return "failed", "hang", f"more than {self.document.seconds:g} s"
        except MemoryError:
            return "failed", "memory", f"more than {MEMORY:,} bytes"
        except BaseException as error:
            return (
                "failed",
                "traceback",
                f"{type(error).__name__} at {_place(error)}: {' '.join(str(error).split())[:160]}",
            )
        if self.documents.fingerprint(found) == self.print:
            return "equal", "", ""
        if self.document.expected is not None:
            with suppress(Exception):
                if self.documents.fingerprint(self.document.expected(self.case)) == self.documents.fingerprint(found):
                    return "other", "", ""
        elif free or self.documents.killed_while_writing(found, self.healthy):
            return "other", "", ""
        return "failed", "other data", "other data came without an error"


def _place(error: BaseException) -> str:
    """The innermost line of the package in a traceback."""
    place, step = "?", error.__traceback__
    while step:
        path = step.tb_frame.f_code.co_filename
        if "neural_microscope" in path or place == "?":
            place = f"{Path(path).parent.name}/{Path(path).name}:{step.tb_lineno}"
        step = step.tb_next
    return place


def serve(folder: Path, pipe: Any, now: Any) -> None:
    """Takes (document, first seed, seeds) through ``pipe``, and gives tallies; ``now`` is the seed that is tried."""
    sys.dont_write_bytecode = True
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPROF, _time_is_up)
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    worker = Worker(folder)
    with suppress(EOFError):
        while True:
            name, first, count = pipe.recv()
            try:
                worker.take(name)
            except Exception:
                pipe.send(traceback.format_exc())
                return
            tally = Tally()
            for seed in range(first, first + count):
                now.value = seed
                verdict, kind, what, taken = worker.tried(seed)
                tally.counts[verdict] += 1
                tally.slowest = max(tally.slowest, taken)
                if verdict == "failed":
                    tally.failures.append(Failure(name, seed, kind, what))
                elif count == 1:
                    tally.said = f"{verdict}: {what}"
            now.value = -1
            pipe.send(tally)


# --- the pool ---------------------------------------------------------------------------------------------------------------


class _Seat:
    """A place for a worker, which gets another when one dies."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.task: tuple[str, int, int] | None = None
        self.now = CONTEXT.Value("q", -1)
        self.open()

    def open(self) -> None:
        self.number += 1
        self.now.value = -1
        self.pipe, theirs = CONTEXT.Pipe()
        where = self.folder / str(self.number)
        self.process = CONTEXT.Process(target=serve, args=(where, theirs, self.now), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, task: tuple[str, int, int]) -> None:
        self.task, self.last, self.since = task, -2, time.monotonic()
        self.pipe.send(task)

    def stuck(self, seconds: float) -> bool:
        if self.now.value != self.last:
            self.last, self.since = self.now.value, time.monotonic()
        return time.monotonic() - self.since > seconds


def campaign(
    tasks: Sequence[tuple[str, int, int]], workers: int = 1, folder: Path | None = None, seconds: float = math.inf
) -> dict[str, Tally]:
    """Tries the cases of all tasks (document, first seed, seeds) in so many processes; after so many seconds no other is begun."""
    until = time.monotonic() + seconds
    waiting = list(reversed(tasks))
    tallies = {name: Tally() for name, _, _ in tasks}
    memory = Path("/dev/shm")  # a file system in memory, where there is one
    base = Path(tempfile.mkdtemp(dir=folder or (memory if memory.is_dir() else None), prefix="campaign-"))
    seats = [_Seat(base / str(number)) for number in range(workers)]
    try:
        for seat in seats:
            if waiting:
                seat.give(waiting.pop())
        while any(seat.task for seat in seats):
            connection.wait([seat.pipe for seat in seats if seat.task], timeout=1)
            for seat in seats:
                if not seat.task:
                    continue
                name = seat.task[0]
                if seat.pipe.poll():
                    try:
                        said = seat.pipe.recv()
                        if isinstance(said, str):
                            raise RuntimeError(f"the example of {name} can't be made: {said}")
                        tallies[name].add(said)
                    except EOFError:
                        waiting += _died(seat, tallies[name])
                    seat.task = None
                elif seat.stuck(700):
                    seat.process.kill()
                if not seat.task and waiting and time.monotonic() < until:
                    seat.give(waiting.pop())
    finally:
        for seat in seats:
            seat.process.kill()
            seat.process.join()
        shutil.rmtree(base, ignore_errors=True)
    return tallies


def _died(seat: _Seat, tally: Tally) -> list[tuple[str, int, int]]:
    """Notes the case at which a worker died, and gives what is left of its task; those tried before it are tried again."""
    assert seat.task
    name, first, count = seat.task
    seat.process.join()
    at, code = seat.now.value, seat.process.exitcode
    shutil.rmtree(seat.folder, ignore_errors=True)
    seat.open()
    if at < 0:
        raise RuntimeError(f"a worker died before it tried a case of {name}: exit code {code}")
    kind = "hang" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "crash"
    tally.counts["failed"] += 1
    tally.failures.append(Failure(name, at, kind, f"the process ended with {code}"))
    parts = [(name, first, at - first), (name, at + 1, first + count - at - 1)]
    return [part for part in parts if part[2] > 0]
