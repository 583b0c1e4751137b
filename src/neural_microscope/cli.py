"""The command line: ``microscope demo | train | resume | replay | verify | report | explore | learn | calibrate | sweep``.

`usage` parses it. Torch is imported only when a command runs.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from . import usage
from .config import ConfigError, NetworkConfig, RecordConfig, TrainConfig, fitted
from .errors import MicroscopeError, WrongType, WrongValue
from .files import shown, writable
from .stops import Stops
from .wording import count

if TYPE_CHECKING:
    import xarray as xr

    from .run import Run
    from .training import History

Units = Annotated[tuple[str, ...], "LAYER:UNITS"]
Classes = Annotated[tuple[int, ...], "CLASS"]

# Parameters before a "/" are words in their place, all others are options; the text of an Annotated type stands for its value in help.


def demo(out: Path = Path("demo"), data: str = "mnist", seed: int = 0, seeds: int = 1, short: bool = False) -> None:
    """Trains an MLP and a CNN, records both, and writes two pages: the explorer, and the report.

    On a second run, finished runs are reused and interrupted ones are continued.

    Args:
        out: Folder for the two runs and the two pages.
        data: mnist, fashion-mnist, kmnist, digits, or a path as in train. If MNIST is unavailable, the bundled digits are used.
        seed: Seed of the initial weights and of the order of batches.
        seeds: Number of networks of each kind, with the seeds from --seed on. Each claim then states on how many it is shown.
        short: One epoch on a sixth of the training images: a quick check of the installation, not a good network.
    """
    from . import demonstration

    if seeds < 1:
        raise MicroscopeError(f"--seeds must be at least 1 (got {seeds})")
    began = time.perf_counter()
    with _then(lambda: "the same command continues"):
        looks, pages, notes = demonstration.run(out, data, seed, short, seeds=seeds, show=_say, bars=_bars())
    for note in notes:
        _say(f"NOTE: {note}")
    on = "one seed" if seeds == 1 else count(seeds, "seeds")
    _say(f"Findings, on {on} each, the clearest first (the report has all of them, with their nulls):")
    for claim in demonstration.told(looks):
        _say(f"- {claim}")
    _say(f"\n{time.perf_counter() - began:.0f} s in total. Open these pages in a browser:")
    for page, what in zip(pages, ("the explorer", "the report"), strict=True):
        _say(f"{page.resolve()}  ({what})")


def train(
    network: NetworkConfig,
    out: Path,
    training: TrainConfig = TrainConfig(),  # noqa: B008  (frozen)
    record: RecordConfig = RecordConfig(),  # noqa: B008
    data: str = "mnist",
) -> None:
    """Trains a network and records the training run in a run folder.

    Args:
        network: The kind of network.
        out: The run folder, new or empty.
        training: Training settings. On the command line, --seed sets the initial weights too.
        record: What to record, and when.
        data: mnist, fashion-mnist, kmnist, digits, or a path: a folder of pictures, of two csv files or of MNIST's kind of files (IDX),
            or an npz file.
    """
    from . import Recorder, models
    from . import train as run_training
    from .data import load
    from .run.beginning import leftovers
    from .training import Telling

    leftovers(out)  # an occupied folder fails before a download
    with _then(lambda: _continues(out, data)):
        dataset = load(data)
        if dataset.note:
            _say(f"NOTE: {dataset.note}")
        for change in dataset.changes:
            _say(f"{data}: {change}")
        network = fitted(network, dataset.image_shape, dataset.classes, dataset.image_channels)
        with _bars() as tell:
            recorder = Recorder(out, record, tell=lambda size: _say(f"{out}: {size}"))
            history = run_training(
                models.build(network, training.seed), dataset, training, observers=[recorder, Telling(str(out), tell)]
            )
    _ended(out, history)


def resume(run: Path, /, data: str = "") -> None:
    """Continues an interrupted run to its end, with exactly the same result, bit for bit, as without the interruption.

    Args:
        run: The run folder.
        data: As of train; by default the set that the run names. A path must be given again.
    """
    from . import resume as continue_run
    from .data import load
    from .training import Telling

    with _then(lambda: _continues(run, data)), _bars() as tell:
        history = continue_run(run, data=load(data) if data else None, observers=[Telling(str(run), tell)])
    _ended(run, history)


def replay(
    run: Path,
    /,
    at: int,
    ablate: Units = (),
    freeze: Units = (),
    reinitialize: Units = (),
    duplicate: Units = (),
    withhold: Classes = (),
    blur: Classes = (),
    rate: float = 1.0,
    since: int | None = None,
    until: int | None = None,
    end: int | None = None,
    branches: int | None = None,
    orders: Literal["new", "same"] = "new",
    nulls: int = 20,
    restart_schedule: bool = False,
    data: str = "",
    out: Path | None = None,
) -> None:
    """Forks a recorded training at a snapshot, and trains it on with and without a change, in several orders of the batches.

    In each order it trains one network with the change, one without, and --nulls with a random change of the same kind and size: up to 176
    trainings by default, each from --at to --end. Fewer --branches or --nulls are quicker. The same command continues an interrupted
    replay. Without a change, and with --orders same, it repeats the original.

    Args:
        run: The run folder, recorded with --keep-states.
        at: Step of the snapshot at which it is forked; `microscope verify RUN` lists those that can be.
        ablate: Units to ablate, as layers.1:19 or layers.1:3,19.
        freeze: Units that stop learning, written likewise.
        reinitialize: Units that start over, written likewise.
        duplicate: A unit that gets a copy, written likewise.
        withhold: Classes that are left out of the batches.
        blur: Classes whose images are blurred.
        rate: Multiplies the learning rate; 0.5 halves it.
        since: First step at which the changes hold; the fork by default.
        until: First step at which they no longer hold; by default they hold to the end.
        end: The last step; the original's by default.
        branches: Number of orders; 8 by default, 1 with --orders same.
        orders: new, or same for the order of the original.
        nulls: Networks with a random change, in each order; their spread is the null.
        restart_schedule: A whole schedule of the learning rate from the fork on, instead of the original's.
        data: As of train; by default the set that the run names.
        out: Folder to create; by default one named after the change, in RUN.replays.
    """
    from . import changes
    from .data import load
    from .replays import named_change, told
    from .replays import replay as make

    if not 0 <= rate < math.inf:
        raise ConfigError(f"rate is {rate:g}; it must be 0 or more, and finite")
    kinds = {
        changes.Ablate: ablate,
        changes.Freeze: freeze,
        changes.Reinitialize: reinitialize,
        changes.Duplicate: duplicate,
    }
    parts = [named_change(kind, text, since, until) for kind, texts in kinds.items() for text in texts]
    left = {changes.Withhold: withhold, changes.Blur: blur}
    parts += [kind(classes=classes, since=since, until=until) for kind, classes in left.items() if classes]
    parts += [changes.LearningRate(rate, since=since, until=until)] * (rate != 1)
    asked: dict[str, Any] = {"branches": branches, "orders": orders, "nulls": nulls, "until": end, "change": parts}
    asked |= {"lr_schedule": "restarted" if restart_schedule else "continued", "data": load(data) if data else None}
    with _then(lambda: "the same command continues it"), _bars() as tell:
        made = make(run, out, at=at, tell=tell, **asked)
    for line in told(made, run):
        _say(line)


def verify(run: Path, /) -> None:
    """Verifies every file of a run folder, and prints what the run holds.

    Every missing, truncated or altered file is listed. Incomplete files of an interrupted writer, and files that are not part of the
    run, are listed too; they do no harm.

    Args:
        run: The run folder.
    """
    from .run import Run, commits
    from .run import verify as find_problems
    from .run.verify import FOREIGN, no_run

    if not any((run / name).is_file() for name in ("run.json", commits.NAME)):
        raise no_run(run)
    problems = find_problems(run)
    foreign = [problem for problem in problems if problem.what == FOREIGN]
    for problem in [one for one in problems if one not in foreign or len(foreign) <= 10]:
        _say(str(problem))
    if len(foreign) > 10:
        _say(f"{len(foreign):,} files that are not part of this run (first: {foreign[0].path})")
    if damaged := sum(problem.kind == "damage" for problem in problems):
        raise MicroscopeError(
            f"{run}: {count(damaged, 'files')} changed or missing since recording; restore from a copy, or train the run again"
        )
    held = Run.open(run)
    _say(f"{run}: all files verified ({held.summary()})")
    _say(f"hook points: {', '.join(held.hook_points)}")
    _say(f"snapshots at step {', '.join(map(str, held.steps))}")
    _say(f"can be forked (replay --at) at step {', '.join(map(str, held.kept_states)) or '-'}")


def report(
    runs: list[Path],
    /,
    output: Path | None = None,
    calibration: Path | None = None,
    format: Literal["html", "json"] = "html",
) -> None:
    """Writes one self-contained page about one run or several side by side, or about a sweep.

    Runs that differ only in seed are one population: each claim states on how many of them it is shown. Results are kept in the run
    folders, so that the next report of the same runs is quick.

    Args:
        runs: The run folders, or the folder of a sweep, whose settings are compared.
        output: The file; by default report.html or report.json.
        calibration: A record written by `microscope calibrate --output`; by default this release's own calibration.
        format: html, a page to read; json, the claims with a methods paragraph and a BibTeX entry, for programs.
    """
    from . import phantoms
    from . import report as reports
    from .run import Run

    output = output or Path(f"report.{format}")
    swept = [run for run in runs if (run / "sweep.json").is_file()]
    if swept and len(runs) > 1:
        raise MicroscopeError(f"{swept[0]} is a sweep, which has a report of its own: give it alone")
    opened, settings = _of_sweep(swept[0]) if swept else ([Run.open(run) for run in runs], [])
    record = phantoms.open_record(calibration)
    if (seconds := reports.expected(opened)) > 60:
        _say(f"{count(len(opened), 'runs')} to analyze: about {count(math.ceil(seconds / 60), 'minutes')} on one core")
    _new(output)
    with (
        _then(lambda: f"{output} was not written; the same command reuses the runs already analyzed"),
        _bars("analyzing: ") as progress,
    ):
        if format == "json":
            page = reports.write_json(opened, output, progress=progress)
        elif swept:
            page = reports.compare(opened, settings, output, progress=progress)
        else:
            page = reports.write(opened, output, calibration=record, progress=progress)
    _say(str(page.resolve()))


def _of_sweep(folder: Path) -> tuple[list[Run], list[dict[str, Any]]]:
    """The finished runs of a sweep, and the settings of each. Missing runs are reported."""
    from . import sweep as sweeps
    from .run import Run, commits

    jobs = [
        (folder / "runs" / job.name(seed), job.settings)
        for job in sweeps.plan(sweeps.read(folder))
        for seed in job.seeds
    ]
    done = [(run, settings) for run, settings in jobs if commits.read(run).snapshots]
    if not done:
        raise MicroscopeError(f"{folder} holds no trained network yet")
    if len(done) < len(jobs):
        _say(f"NOTE: {len(jobs) - len(done)} of {count(len(jobs), 'networks')} are not trained yet")
    return [Run.open(run) for run, _ in done], [dict(settings) for _, settings in done]


def explore(runs: list[Path], /, output: Path = Path("explorer.html"), snapshots: int = 20) -> None:
    """Writes one offline page for exploring the networks: draw a digit, ablate units, step through training.

    Runs that differ only in seed are one network of the page; the others show which of its units recur.

    Args:
        runs: The run folders, recorded with the same probe images.
        output: The page.
        snapshots: The most snapshots that the page holds; fewer make a smaller file.
    """
    from . import explorer
    from .run import Run

    opened = [Run.open(run) for run in runs]
    _new(output)
    with _then(lambda: f"{output} was not written; the same command starts over"), _bars("measuring: ") as progress:
        page = explorer.write(opened, output, snapshots=snapshots, progress=progress)
    _say(f"{page.resolve()}  ({page.stat().st_size / 1e6:.1f} MB)")


def learn(folder: Path = Path("lessons"), /, solved: bool = False, open: bool = True) -> None:
    """Copies the notebooks to a folder of yours and opens JupyterLab there. Files that are already there are kept.

    Args:
        folder: The folder, made where it is missing.
        solved: Also copies the notebooks with their answers, to the subfolder solved.
        open: Opens JupyterLab; --no-open only copies.
    """
    from . import lessons

    if folder.exists() and not folder.is_dir():
        raise MicroscopeError(f"{folder} is a file; give a folder")
    copied, kept = lessons.copy(folder, solved=solved)
    _say(f"{folder.resolve()}: {count(len(copied), 'notebooks')} copied")
    if kept:
        _say(f"kept, because they were there: {', '.join(path.relative_to(folder).as_posix() for path in kept)}")
    if not open:
        return
    if importlib.util.find_spec("jupyterlab") is None:
        raise MicroscopeError(
            "JupyterLab is not installed: run pip install 'neural-microscope[notebooks]', then the same command; "
            "or open the folder in an editor that runs notebooks"
        )
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab"])


def calibrate(
    names: tuple[str, ...] = (),
    /,
    empties: int = 200,
    pages: int = 200,
    seed: int = 0,
    output: Path | None = None,
    workers: int = 2,
) -> None:
    """Tests every measure on made-up data: some with a known effect that it must find, some with none, on which it must stay silent.

    Such data, or a network trained on it, is a phantom, planted or empty; an instrument is a measure with its phantoms. Whole reports
    are tested the same way, on networks without structure to find. The exit code is 1 if any of these fails: each known effect is
    found; at most 9% of the empty phantoms of an instrument raise a false alarm (5% and chance); no more reports contain a false
    claim than 5% and chance allow; each rule can be shown; at least 80% of planted units are found.

    Args:
        names: Measures or instruments, by the beginning of their names; "pages" for the reports. By default all.
        empties: Empty phantoms for each instrument. With fewer than 100 the false-alarm rate is imprecise.
        pages: Reports to test: this many per kind of empty network, a tenth as many per planted kind; 0 for none.
        seed: Seed of the first phantom; the empty ones take the seeds that follow.
        output: A JSON file for the result. Results already in it, and those of an interrupted calibration in the .jsonl file next
            to it, are computed again only if a measure, its phantoms or a rule have changed.
        workers: Processes for the reports, one thread each.
    """
    from . import phantoms

    for name, value, least in (("empties", empties, 1), ("pages", pages, 0), ("workers", workers, 1)):
        if value < least:
            raise ConfigError(f"{name} is {value}; it must be {least} or more")
    kept = "does the rest" if output else "starts over; with --output it would do only the rest"
    with _then(lambda: f"the same command {kept}"), _bars("calibrating: ") as progress:
        result = phantoms.recalibrate(
            names, empties=empties, pages=pages, seed=seed, output=output, workers=workers, progress=progress
        )
    for table in _calibration_tables(result):
        _say(table)
    if output is not None:
        _say(str(output.resolve()))
    if failed := phantoms.failures(result):
        raise MicroscopeError(f"{count(len(failed), 'failures')}:\n" + "\n".join(failed))
    if passed := result.sizes["instrument"]:
        _say(
            f"{count(passed, 'instruments')} passed: planted truth recovered, no excess alarms on {count(empties, 'empty phantoms')} each"
        )
    if rate := phantoms.page_rate(result):
        _say(rate)


def sweep(
    network: NetworkConfig,
    out: str,
    seeds: tuple[int, ...] = (0,),
    set: Annotated[tuple[str, ...], "FIELD=VALUE,VALUE"] = (),
    training: TrainConfig = TrainConfig(),  # noqa: B008
    record: RecordConfig = RecordConfig(),  # noqa: B008
    data: str = "mnist",
    order: Literal["own", "shared"] = "own",
    workers: int | None = None,
    scheduler: Annotated[str | None, "ADDRESS"] = None,
    retries: int = 2,
) -> None:
    """Trains and records many networks, on all cores of this machine or on a cluster (with Dask): one per seed and combination of settings.

    Run again, the same command trains only the missing networks. It needs pip install 'neural-microscope[sweep]'.

    Args:
        network: The kind of network.
        out: Folder for sweep.json and runs/, or its address (s3://bucket/folder); all machines must reach it under that name.
        seeds: One network per seed and setting: seeds of the initial weights, and with --order own of the order of batches.
        set: The settings to vary, as field=value of the network's or the training's settings. A comma adds another value
            (learning_rate=0.001,0.003), but in a list-valued field its next entry: give one word for each value
            (hidden=128,64 hidden=32,16; hidden= for no hidden layer). All combinations are trained.
        training: Training settings. --seed matters only with --order shared: it sets the batches that all --seeds see.
        record: What to record, and when.
        data: As of train; a path must be reachable by the workers.
        order: own: one network a task. shared: plain MLPs of one setting are trained together, up to 16 seeds a task, much faster;
            this hides the variation due to the order of batches.
        workers: Processes on this machine, one thread each; by default one per core.
        scheduler: Address of a Dask scheduler (tcp://host:8786) to use instead.
        retries: The number of times that a failed task is retried.
    """
    from . import sweep as sweeps

    if scheduler is not None and workers is not None:
        raise MicroscopeError(
            "--workers are processes on this machine; with --scheduler its own workers are used: leave one out"
        )
    asked = sweeps.Sweep(network, training, record, data, seeds, sweeps.parse(set, network), order)
    sweeps.plan(asked)  # invalid settings fail before anything starts
    sweeps.claim(asked, out)
    with (
        _then(lambda: f"finished networks are in {out}; the same command trains the rest"),
        sweeps.connect(workers, scheduler) as client,
        _bars("training: ") as progress,
    ):
        outcome = sweeps.run(asked, out, client, retries=retries, progress=progress)
    for name in outcome.diverged:
        _say(f"{name}: diverged; recorded until that step")
    for name, reason in outcome.failed.items():
        _say(f"{name}: {reason}")
    _say(f"{out}: {len(outcome.trained)} trained, {len(outcome.found)} already present")
    if outcome.failed:
        raise MicroscopeError(f"{len(outcome.failed)} networks failed; the same command retries them")


def _calibration_tables(result: xr.Dataset) -> Iterator[str]:
    """Tables of the instruments, the rules on empty pages, and planted units."""
    from .report import tables

    if result.sizes["instrument"]:
        yield tables.of_instruments(result)
    if "kind" not in result:
        return
    rows: list[tuple[object, ...]] = []
    for kind in result["kind"].values:
        row = result.sel(kind=kind)
        rows.append((kind, "any", "", int(row["pages"]), f"{int(row['pages_false'])} false", "", ""))
        for rule in result["rule"].values:
            one = row.sel(rule=rule)
            counts = (int(one[name]) for name in ("asked", "claimed", "alone"))
            rows.append(("", rule, bool(one["false_here"]), *counts, float(one["least_p"])))
    heads = ("pages about", "rule", "false there", "tested on", "shown on", "alone at 5%", "least p")
    yield tables.aligned(heads, rows, left=(0, 1, 2))
    plants = [result.sel(plant=name) for name in result["plant"].values]
    rows = [
        (one["plant"].item(), *(one[f"planted_{key}"].item() for key in ("found", "units", "effect"))) for one in plants
    ]
    yield tables.aligned(("planted units", "shown for", "of", "mean effect"), rows)


def main(stops: Stops | None = None) -> None:
    """The entry point: exit code 0, 1 (failed, with a one-line reason), 2 (usage); 130, 143 or 129 after Ctrl-C, SIGTERM or SIGHUP:
    the recorded part is kept, and a line says how to continue.
    """
    with nullcontext(stops) if stops else Stops(at_once=True) as stops:
        parser: usage.Parser | None = None
        try:
            call, parser = usage.parse({one.__name__: one for one in COMMANDS}, sys.argv[1:])
            importlib.import_module(COMMANDS[parser.command], __package__)
            stops.at_once = False  # until the libraries are loaded, a signal may end the process at once without loss
            call()
        except BrokenPipeError:  # `microscope … | head` closed the pipe
            sys.stderr.close()
            sys.exit(1)
        except BaseException as error:
            hints = getattr(error, "__notes__", [])
            if stops.came or isinstance(error, KeyboardInterrupt):  # a library may have converted it to another error
                _fail("; ".join([f"interrupted{_BY.get(stops.came, '')}", *hints]), stops.code)
            if not isinstance(error, MicroscopeError | OSError):
                raise
            _fail("; ".join([_told(error, parser), *hints]), 2 if isinstance(error, usage.UsageError) else 1)


COMMANDS: dict[Callable[..., None], str] = {
    demo: ".demonstration", train: ".recording", resume: ".recording", replay: ".replays", verify: ".run", report: ".report",
    explore: ".explorer", learn: ".lessons", calibrate: ".phantoms", sweep: ".sweep",
}  # fmt: skip
"""The commands, each with the module that it loads."""
_BY: dict[int, str] = {
    signal.SIGINT: " by Ctrl-C",
    signal.SIGTERM: " by a request to end (SIGTERM)",
    signal.SIGHUP: " by the closing terminal (SIGHUP)",
}


def _told(error: BaseException, parser: usage.Parser | None) -> str:
    """An error's message, with options as they are typed; one with several arguments takes a line for each."""
    several = type(error).__str__ is MicroscopeError.__str__ and len(error.args) > 1
    lines = [" ".join(str(part).split()) for part in (error.args if several else [error])]
    if parser and isinstance(error, MicroscopeError):
        leads = isinstance(error, ConfigError | WrongType | WrongValue)
        lines = [usage.as_typed(line, parser.known, leads=leads) for line in lines]
        lines[0] += f". See: {parser.prog} --help" * lines[0].startswith("--")
    return "\n".join(lines)


@contextmanager
def _then(hint: Callable[[], str]) -> Iterator[None]:
    """If a signal, or the system (a full disk, for example), stops the work, the error is followed by a hint on how to continue."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        error.add_note(hint())
        raise


def _continues(run: Path, data: str) -> str:
    from .run import commits

    try:
        begun = commits.read(run).snapshots
    except (MicroscopeError, OSError):
        begun = 0
    command = shlex.join(
        ["microscope", "resume", str(run), *(["--data", data] if Path(data).exists() and data else [])]
    )
    return f"`{command}` continues it" if begun else "nothing was recorded yet; the same command starts over"


def _new(output: Path) -> None:
    there = os.path.exists(output.parent)
    writable(output)
    if not there:
        _say(f"NOTE: {output.parent} is a new folder")


def _say(text: str) -> None:
    print(shown(text), flush=True)


def _fail(text: str, code: int) -> None:
    print(f"microscope: {shown(text)}", file=sys.stderr)
    sys.exit(code)


def _ended(out: Path, history: History) -> None:
    if history.status != "finished":
        raise MicroscopeError(f"{out}: {history.status}; everything up to that step is recorded")
    _say(f"{out}: test accuracy {100 * history.test.accuracy:.2f}%, {history.seconds:.0f} s")


@contextmanager
def _bars(what: str = "") -> Iterator[Callable[..., None]]:
    """tell(name, done, total, state in words): a progress bar for each name, with ``what`` is done before it."""
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    state = TextColumn("{task.fields[state]}")
    columns = (TextColumn(f"{what}{{task.description}}"), BarColumn(), state, TimeRemainingColumn())
    with Progress(*columns, transient=True, disable=not sys.stdout.isatty()) as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int, state: str = "") -> None:
            if name not in tasks:  # work done earlier does not count for the speed
                tasks[name] = progress.add_task(escape(shown(name)), total=total, completed=done, state="")
            progress.update(tasks[name], completed=done, state=state or f"{done:,} of {total:,}")

        yield tell


if __name__ == "__main__":
    main()
