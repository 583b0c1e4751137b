"""kill -9 of everything that writes, at random times and at every file event.

Each command runs in a fork of this process, which has everything imported. What was committed must be there, byte for byte; verify must
name stray files at most; and the command again, or `resume` where it says so, must end as if nothing had happened.
"""

from __future__ import annotations

import builtins
import hashlib
import io
import os
import random
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import neural_microscope as nm
from neural_microscope import demonstration, explorer, processes, report, sweep
from neural_microscope.analysis.look import first_look
from neural_microscope.data import Dataset
from neural_microscope.errors import RunError
from neural_microscope.run import commits, verify
from neural_microscope.sweep.destination import endings, place
from neural_microscope.training import Observer, Training

from . import examples

SECONDS = 300
"""A command that takes longer hangs."""
CLOCKS = ("commits.jsonl", "run.json", "run.lock", "sweep.json")
"""Files that tell the time, or nothing."""
SEEDS = (0, 1)
BRIEF = nm.RecordConfig(0, False, hook_points=("layers.0.hook_post", "logits"), probe_size=21, norms_every=0)
"""Two snapshots and little in each, for what writes two runs."""


@dataclass
class Outcome:
    """The results of the kills of one command."""

    random: int = 0
    events: int = 0
    every: int = 1
    """Every how-manieth file event was one."""
    lost: int = 0
    """Kills after which something committed was not there, or not as it was."""
    unequal: int = 0
    """Kills after which the end was another."""
    by_hand: int = 0
    """Kills before anything was committed, after which the beginning of a run had to be deleted."""
    strays: int = 0
    """Kills that left partial files, which nothing takes for whole ones."""
    problems: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        return self.random + self.events


@dataclass(frozen=True)
class Command:
    """One of those that write: what is there before, what it does, and how it is done again."""

    work: Callable[[Path, Observer], None]
    again: Callable[[Path], int]
    """Goes on after a kill; returns how many folders had to be deleted by hand."""
    before: Callable[[Path], None] = lambda folder: None
    quick: Callable[[Path, Observer], None] | None = None
    """The same with its analysis, which writes nothing, already done."""
    every: int = 1
    """Every how-manieth file event gets a kill."""


class Saying(Observer):
    """Writes into a pipe which step is done, after the recorder has put it on disk."""

    def __init__(self, end: int) -> None:
        self.end = end

    def stepped(self, training: Training) -> None:
        os.write(self.end, bytes([min(training.step, 255)]))


# --- the commands -----------------------------------------------------------------------------------------------------------


def gone_on(folder: Path, train: Callable[[], Any], data: Dataset) -> int:
    """Finishes a run that was killed: by the same command, by `resume` if that refuses, from the start if nothing was recorded."""
    try:
        train()
        return 0
    except RunError:
        pass
    with suppress(RunError):
        if nm.Run.open(folder).status == "finished":
            return 0
    try:
        nm.resume(folder, data=data)
        return 0
    except RunError as error:
        if "delete" not in str(error) and "nothing was recorded" not in str(error):
            raise
    shutil.rmtree(folder)
    train()
    return 1


def _train(folder: Path, observer: Observer) -> None:
    examples.write(folder / "run", observer)


def _train_again(folder: Path) -> int:
    return gone_on(folder / "run", partial(examples.write, folder / "run"), examples.data())


def _resume(folder: Path, observer: Observer) -> None:
    nm.resume(folder / "run", data=examples.data(), observers=[observer])


def _population(folder: Path, observer: Observer, seeds: tuple[int, ...] = SEEDS) -> None:
    def observers(seed: int) -> list[Observer]:
        return [nm.Recorder(folder / str(seed), BRIEF), observer]

    nm.train_population(examples.network().config, examples.data(), examples.CONFIG, seeds=seeds, observers=observers)


def _population_again(folder: Path) -> int:
    return sum(
        gone_on(folder / str(seed), partial(_population, folder, Observer(), (seed,)), examples.data())
        for seed in SEEDS
    )


ASKED = sweep.Sweep(
    nm.MLPConfig(hidden=(4,)),
    nm.TrainConfig(epochs=1, batch_size=500),
    BRIEF,
    "digits",
    SEEDS,
)


def _sweep(folder: Path, observer: Observer) -> None:
    """As `sweep.run` does it, in this process instead of Dask's."""
    for job in sweep.plan(ASKED):
        sweep.claim(ASKED, folder / "sweep")
        sweep.train_job(job, ASKED, str(folder / "sweep"))


def _sweep_again(folder: Path) -> int:
    by_hand = 0
    try:
        _sweep(folder, Observer())
    except RunError:  # an empty folder that holds no sweep.json yet, or half of one
        shutil.rmtree(folder / "sweep")
        by_hand = 1
        _sweep(folder, Observer())
    names = [name for job in sweep.plan(ASKED) for name in job.names]
    assert set(endings(*place(folder / "sweep"), names)) == set(names)
    return by_hand


@dataclass
class Pages:
    """The pages of a run and of a demo, and what was found in their networks, once."""

    run: Path
    looks: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, Any] = field(default_factory=dict)

    def report(self, folder: Path, observer: Observer) -> None:
        report.write([nm.Run.open(self.run)], folder / "report.html")

    def explore(self, folder: Path, observer: Observer) -> None:
        explorer.write([nm.Run.open(self.run)], folder / "explorer.html")

    def quick_report(self, folder: Path, observer: Observer) -> None:
        look = self.look("run", nm.Run.open(self.run))
        report.compose([look], folder / "report.html", drawn={look.name: self.draw(look)})

    def quick_explore(self, folder: Path, observer: Observer) -> None:
        explorer.write([self.look("run", nm.Run.open(self.run))], folder / "explorer.html")

    def look(self, name: str, run: nm.Run) -> Any:
        if name not in self.looks:
            self.looks[name] = first_look(run)
        return self.looks[name]

    def draw(self, at: Any) -> Any:
        if at.name not in self.drawn:
            self.drawn[at.name] = processes.one_by_one(_drawing(at), lambda *said: None)
        return self.drawn[at.name]

    def demo(self, folder: Path, observer: Observer) -> None:
        """The demo on few made-up images, in one process; what its networks hold is found once."""
        data = Dataset("made up", examples.images(240, 0, side=8), examples.images(60, 1, side=8))

        def done(work: Any, tell: Any) -> Any:
            return {name: processes.one_by_one(steps, partial(tell, name)) for name, steps in work.items()}

        def steps(value: Callable[[], Any]) -> Iterator[Any]:
            return value()
            yield

        with replaced(
            (demonstration, "load_or_digits", lambda name: data),
            (demonstration, "Recorder", lambda folder: nm.Recorder(folder, BRIEF)),
            (demonstration, "looking", lambda run, keep=False: steps(lambda: self.look(run.folder.name, run))),
            (report, "drawing", lambda at: steps(lambda: self.draw(at))),
            (processes, "side_by_side", done),
        ):
            demonstration.run(
                folder / "demo", "mnist", 0, True, show=lambda text: None, bars=nullcontext(lambda *said: None)
            )


_drawing = report.drawing


@contextmanager
def replaced(*places: tuple[Any, str, Any]) -> Iterator[None]:
    before = [getattr(room, name) for room, name, _ in places]
    for room, name, value in places:
        setattr(room, name, value)
    try:
        yield
    finally:
        for (room, name, _), value in zip(places, before, strict=True):
            setattr(room, name, value)


def _again(work: Callable[[Path, Observer], None]) -> Callable[[Path], int]:
    """For a command that can simply be given again."""

    def again(folder: Path) -> int:
        try:
            work(folder, Observer())
            return 0
        except RunError as error:
            beginnings = [p.parent for p in folder.rglob("run.json") if not _begun(p.parent)]
            if not beginnings:
                raise
            for one in beginnings:
                if str(one) in str(error):
                    shutil.rmtree(one)
            return 1 + again(folder)

    return again


def _begun(folder: Path) -> bool:
    with suppress(RunError):
        return commits.read(folder).snapshots > 0
    return False


def commands(pages: Pages) -> dict[str, Command]:
    return {
        "train": Command(_train, _train_again),
        "resume": Command(_resume, _train_again, before=lambda folder: examples.stopped(folder / "run", 3)),
        "population": Command(_population, _population_again),
        "sweep": Command(_sweep, _sweep_again),
        "report": Command(pages.report, _again(pages.quick_report), quick=pages.quick_report),
        "explore": Command(pages.explore, _again(pages.quick_explore), quick=pages.quick_explore),
        "demo": Command(pages.demo, _again(pages.demo), quick=pages.demo),
    }


# --- a kill -----------------------------------------------------------------------------------------------------------------


def on_each_event(folder: Path, event: Callable[[], None]) -> None:
    """Calls ``event`` before a file below ``folder`` is opened for writing, moved, deleted or made, after it is open and still empty, and
    when what was written into it is to be brought to the disk.
    """
    inside = f"{folder}/"

    def heard(name: str, given: tuple[Any, ...]) -> None:
        if name == "open":
            path, mode, flags = given
            writing = (isinstance(mode, str) and set(mode) & set("wax+")) or flags & (os.O_WRONLY | os.O_RDWR)
            if writing and not isinstance(path, int) and os.fsdecode(path).startswith(inside):
                event()
        elif name in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate") and str(given[0]).startswith(
            inside
        ):
            event()

    def opening(function: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", *args: Any, **named: Any) -> Any:
            found = function(file, mode, *args, **named)
            if set(mode) & set("wax+") and not isinstance(file, int) and os.fsdecode(file).startswith(inside):
                event()
            return found

        return opened

    def synced(file: Any) -> None:  # what a killed process has written stays written
        event()

    builtins.open = io.open = opening(io.open)
    os.fsync = synced  # type: ignore[assignment]
    sys.addaudithook(heard)


def forked(
    work: Callable[[Observer], None], before: Callable[[], None], kill_after: float | None = None
) -> tuple[int, bytes, str]:
    """Does the work in a fork, killed after so many seconds: (exit code, the steps that it said were done, its error)."""
    ours, theirs = os.pipe()
    words, said = os.pipe()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.close(ours)
            signal.alarm(SECONDS)
            before()
            work(Saying(theirs))
            code = 0
        except BaseException:
            with suppress(OSError):
                os.write(said, traceback.format_exc()[-4000:].encode())
        finally:
            os._exit(code)
    os.close(theirs)
    os.close(said)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    with open(ours, "rb") as pipe, open(words, "rb") as error:
        steps, text = pipe.read(), error.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), steps, text


def contents(folder: Path) -> dict[str, str]:
    """SHA-256 of every file that does not tell the time; partial files, and states that were to be deleted next, are left out."""
    stale = {str(p.parent / name) for p in folder.rglob(commits.NAME) for name in commits.read(p.parent).removed()}
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and str(p) not in stale}
    kept = {
        n: p for n, p in found.items() if p.name not in CLOCKS and "/seconds/c" not in n and ".partial" not in p.name
    }
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in kept.items()
        if "/uploads/" not in f"/{name}"
    }


class Killing:
    """One command, killed again and again in the same folder."""

    def __init__(self, name: str, command: Command, base: Path) -> None:
        self.name, self.command, self.folder = name, command, base / name / "here"
        self.outcome = Outcome()
        self.seconds = self.undisturbed(command.work)
        self.whole = contents(self.folder)
        self.work = partial(command.quick or command.work, self.folder)
        if command.quick and command.quick != command.work:
            self.seconds = self.undisturbed(command.quick)

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.command.before(self.folder)

    def undisturbed(self, work: Callable[[Path, Observer], None]) -> float:
        """Does the work in a fork that is not killed; returns the seconds that it took."""
        self.start()
        begun = time.monotonic()
        code, _, text = forked(partial(work, self.folder), lambda: None)
        if code:
            raise RuntimeError(f"{self.name}, undisturbed, ended with {code}: {text}")
        return time.monotonic() - begun

    def at_random(self, chance: random.Random) -> bool:
        """A kill at a random time; False where the command was done before."""
        self.start()
        code, said, text = forked(self.work, lambda: None, kill_after=chance.uniform(0, self.seconds))
        if code == 0:
            return False
        self.outcome.random += 1
        self.after("at a random time", code, said, text)
        return True

    def at_event(self, number: int) -> bool:
        """A kill at the ``number``-th file event; False where there are fewer."""
        self.start()
        left = number

        def event() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        code, said, text = forked(self.work, lambda: on_each_event(self.folder, event))
        if code == 0:
            return False
        self.outcome.events += 1
        self.after(f"at file event {number}", code, said, text)
        return True

    def after(self, when: str, code: int, said: bytes, text: str) -> None:
        """The checks after a kill."""
        if code != -signal.SIGKILL:
            self.outcome.problems.append(f"{self.name} {when} ended with {code}: {text[-300:]}")
            return
        lost = self.lost(said)
        if lost:
            self.outcome.lost += 1
            self.outcome.problems.append(f"{self.name} {when}: {lost}")
        self.outcome.strays += any(".partial" in p.name for p in self.folder.rglob("*"))
        try:
            self.outcome.by_hand += bool(self.command.again(self.folder))
            now = contents(self.folder)
        except Exception as error:
            self.outcome.unequal += 1
            self.outcome.problems.append(
                f"{self.name} {when}: not done again: {type(error).__name__}: {str(error)[:300]}"
            )
            return
        if now != self.whole:
            other = sorted(n for n in {*now, *self.whole} if now.get(n) != self.whole.get(n))
            self.outcome.unequal += 1
            self.outcome.problems.append(f"{self.name} {when}: {len(other)} files are another, the first {other[0]}")

    def lost(self, said: bytes) -> str:
        """The part of what was committed or reported that is missing or differs from the undisturbed run; empty if none."""
        for path in self.folder.rglob(commits.NAME):
            folder = path.parent
            if "/uploads/" in str(folder):  # half a copy, which nothing reads, of a run that is elsewhere
                continue
            damage = [str(p) for p in verify(folder) if p.kind == "damage"]
            if damage:
                return f"verify says {damage[0]}"
            for name in commits.read(folder).files():
                full = (folder / name).relative_to(self.folder).as_posix()
                if (
                    "/uploads/" not in f"/{full}"
                    and full in self.whole
                    and self.whole[full] != commits.sha256(folder / name)
                ):
                    return f"{full} is another than undisturbed"
        if self.name in ("train", "resume") and said:
            steps = nm.Run.open(self.folder / "run").steps
            missing = [step for step in (2, 3, 6) if step <= said[-1] and step not in steps]
            if missing:
                return f"step {said[-1]} was done, and the snapshot of {missing[0]} is not there"
        return ""


def kill(base: Path, number: int, seed: int, tell: Callable[[str], None], only: str) -> Iterator[tuple[str, Outcome]]:
    """``number`` kills at random times and one at every file event, or every few, of each command."""
    warnings.simplefilter("ignore")
    examples.write(base / "recorded")
    pages = Pages(base / "recorded")
    for name, command in commands(pages).items():
        if not name.startswith(only):
            continue
        if command.quick:  # in this process, whose forks then have what was found
            command.quick(base, Observer())
        begun, one, chance = time.monotonic(), Killing(name, command, base), random.Random(f"{name}:{seed}")
        while one.outcome.random < number:
            one.at_random(chance)
        event = 1
        while one.at_event(event):
            event += command.every
        one.outcome.every = command.every
        shutil.rmtree(one.folder)
        said = one.outcome
        tell(
            f"{name}: {said.random} kills at random, {said.events} at file events (every {command.every}); lost {said.lost}, "
            f"unequal {said.unequal}, by hand {said.by_hand}, strays {said.strays}; {time.monotonic() - begun:.0f} s"
        )
        for problem in said.problems[:5]:
            tell(f"  {problem}")
        yield name, said
