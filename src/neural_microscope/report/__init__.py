"""A run, or several side by side, as one self-contained HTML page.

The register of measures says what stands on it: claims, pictures and captions. The page computes nothing, formats no number and decides
nothing: every number lies in an element that names its claims (``data-claim``), whose stored values the page carries as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from .. import files
from ..analysis.findings import descriptions, findings, populations, seeds, verdicts
from ..analysis.look import FirstLook, Pair, Progress, kept, pairs
from ..claim import Claim, say
from ..doors import door
from ..errors import RunError
from ..phantoms.calibration import claims as calibrated
from ..plots.style import classes_called
from ..processes import one_by_one, one_thread
from ..run import Run, network_names, same_but_seed
from . import html, links
from .body import body
from .drawing import Drawn, drawing
from .page import Page
from .paper import bibtex, claims, looked, methods, write_json
from .replayed import replayed
from .sweeps import compare
from .tasks import by_task, spoken

__all__ = ["bibtex", "claims", "compare", "compose", "drawing", "expected", "methods", "write", "write_json"]


@door
def write(
    runs: Sequence[Run], path: str | Path, *, calibration: xr.Dataset | None = None, progress: Progress | None = None
) -> Path:
    """Analyzes the runs and writes the report (whole or not at all); returns its path.

    Runs that differ in nothing but their seeds are one population: the findings count over all of them, the pictures
    show the first.

    Args:
        runs: Recorded runs.
        path: File to write; an existing one is replaced.
        calibration: Result of `phantoms.calibrate` or `phantoms.open_record`; None: the page has no such part.
        progress: Function of what is counted, how many are done, and their total.

    Raises:
        RunError: There is no run.
        FileError: The page can't be written; raised before the analysis.

    >>> nm.report.write([run], "report.html").name  # doctest: +SKIP
    'report.html'
    """
    if not runs:
        raise RunError("a report needs at least one run")
    files.writable(path)
    return compose(looked(runs, progress), path, calibration=calibration, progress=progress)


def _drawing(name: str, progress: Progress | None) -> Callable[[str, int, int], None]:
    """Counts the sections of a network that are drawn, which come one by one."""
    done = 0

    def tell(what: str, more: int, total: int) -> None:
        nonlocal done
        done += more
        if progress:
            progress(f"{what} {name}", done, total)

    return tell


def _by_channel(claim: Claim, at: FirstLook | Pair) -> Claim:
    """The claim about the first layer's weights, which for images of several channels counts each channel of a unit by itself."""
    if isinstance(at, Pair) or claim.rule != "the first layer's weights" or at.run.probe.image_channels == 1:
        return claim
    said = claim.yes.replace("a unit's incoming weights", "a unit's weights of one channel")
    return replace(claim, yes=said.replace("(median unit)", "(median of units and channels)"))


def _over_seeds(groups: Sequence[Sequence[FirstLook]]) -> list[Claim]:
    """The number of seeds, and of several their test accuracies."""
    told = seeds(groups)
    for at, group in enumerate(groups):
        ends = [float(look.run.log["test_accuracy"][-1]) for look in group if "test_accuracy" in look.run.log]
        if len(ends) == len(group) > 1:
            said = (
                "{seeds:#seed}, with test accuracies from {lowest:2%} to {highest:2%}; each claim states on how many it is shown. "
                "Numbers and pictures are those of the first seed."
            )
            numbers = {"seeds": len(group), "lowest": min(ends), "highest": max(ends)}
            told[at] = replace(say("seeds", said, **numbers), network=group[0].name)
    return told


@door
def expected(runs: Sequence[Run]) -> float:
    """About how many seconds a report takes on one core; it may be wrong by a factor of two.

    Counts the snapshots, images, units and feature maps of each run, and nothing for results that are kept and still valid.

    Args:
        runs: Recorded runs.
    """
    seconds, first = 0.0, {group[0] for group in same_but_seed(runs)}
    for place, run in enumerate(runs):
        mark = kept.key(run)
        if not (mark and kept.read(run, mark)):
            names = [name for name in run.hook_points if name.endswith("hook_post")] or run.hook_points
            shapes = [run.description["hook_points"][name] for name in names]
            wide = [shape[-1 if "token" in run.axes.get(n, ()) else 0] for n, shape in zip(names, shapes, strict=True)]
            images, units = len(run.probe) / 1000, sum(wide)
            maps = sum(shape[0] for shape in shapes if len(shape) == 3)
            whole = 2 + images * (len(run.steps) * units / 600 + maps / 5)
            seconds += whole if place in first else 0.7 * whole  # of other seeds only what the claims need
    return seconds + 2 * len({run.description["model"]["kind"] for run in runs})


@door
def compose(
    looks: Sequence[FirstLook],
    path: str | Path,
    *,
    calibration: xr.Dataset | None = None,
    drawn: Mapping[str, Drawn] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes the report of networks that were analyzed already (whole or not at all); returns its path.

    An ``explorer.html`` of the same networks that lies in the page's folder is linked.

    Args:
        looks: Results of `analysis.look.first_look`.
        path: File to write; an existing one is replaced.
        calibration: Result of `phantoms.calibrate` or `phantoms.open_record`; None: the page has no such part.
        drawn: Results of `drawing` by the network's name; None: everything is drawn.
        progress: Function of what is counted, how many are done, and their total.

    Raises:
        FileError: The page can't be written.
    """
    path = files.writable(path)
    groups = populations([by_task(look) for look in looks])
    names = network_names([group[0].run for group in groups])
    groups = [[replace(look, name=name) for look in group] for group, name in zip(groups, names, strict=True)]
    shown = [group[0] for group in groups]
    with one_thread():
        told, side = findings([look for group in groups for look in group]), pairs(shown)
    ats: list[FirstLook | Pair] = [*shown, *side]
    told += [_by_channel(claim, at) for at in ats for claim in spoken(descriptions(at, told), shown)]
    told += [
        *(one for one in verdicts(told) if one.network in names),
        *_over_seeds(groups),
        *([] if calibration is None else calibrated(calibration, len(groups))),
    ]
    images = {at.name: (drawn or {}).get(at.name) or one_by_one(drawing(at), _drawing(at.name, progress)) for at in ats}
    page = Page(groups, side, told, images, calibration, links.beside(path, shown), replayed(shown))
    called = {look.run.probe.class_names for look in shown}
    with files.whole(path) as partial, classes_called(called.pop() if len(called) == 1 else ()):
        partial.write_text(html.page(page.title, body(page)), "utf-8")
    return path
