"""A run, or several side by side, as one self-contained HTML page.

The register of measures says what stands on it: claims, pictures and captions. The page computes nothing, formats no number and decides
nothing: every number lies in an element that names its claims (``data-claim``), whose stored values the page carries as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from .. import files
from ..analysis.findings import descriptions, findings, populations, seeds, verdicts
from ..analysis.look import FirstLook, Pair, Progress, looking, pairs
from ..doors import door
from ..errors import RunError
from ..phantoms.calibration import claims as calibrated
from ..processes import one_by_one
from ..run import Run, network_names
from . import html, links
from .body import body
from .drawing import Drawn, drawing
from .page import Page

__all__ = ["compose", "drawing", "write"]


@door
def write(
    runs: Sequence[Run], path: str | Path, *, calibration: xr.Dataset | None = None, progress: Progress | None = None
) -> Path:
    """Analyzes the runs and writes the page to ``path`` (whole or not at all); returns the path. No run is a
    RunError.

    Runs that differ in nothing but their seeds are one population: the findings count over all of them, the pictures show
    the first. ``calibration``: what `phantoms.calibrate` gave; without it the page has no such part. Where the page can't be
    written, a FileError says so before the analysis.
    """
    if not runs:
        raise RunError("a report needs at least one run")
    files.writable(path)
    looks = [one_by_one(looking(run, keep=True), progress or (lambda part, done, total: None)) for run in runs]
    return compose(looks, path, calibration=calibration)


@door
def compose(
    looks: Sequence[FirstLook],
    path: str | Path,
    *,
    calibration: xr.Dataset | None = None,
    drawn: Mapping[str, Drawn] | None = None,
) -> Path:
    """The page of what `first_look` found. ``drawn``: what `drawing` gave already of a network, by its name. An ``explorer.html`` of the
    same networks that lies in the page's folder is linked.
    """
    path = files.writable(path)
    groups = populations(looks)
    names = network_names([group[0].run for group in groups])
    groups = [[replace(look, name=name) for look in group] for group, name in zip(groups, names, strict=True)]
    shown = [group[0] for group in groups]
    told, side = findings([look for group in groups for look in group]), pairs(shown)
    ats: list[FirstLook | Pair] = [*shown, *side]
    told += [claim for at in ats for claim in descriptions(at, told)]
    told += [
        *(one for one in verdicts(told) if one.network in names),
        *seeds(groups),
        *([] if calibration is None else calibrated(calibration)),
    ]
    images = {at.name: (drawn or {}).get(at.name) or one_by_one(drawing(at), lambda *said: None) for at in ats}
    page = Page(groups, side, told, images, calibration, links.beside(path, shown))
    with files.whole(path) as partial:
        partial.write_text(html.page("What happens inside: " + " and ".join(names), body(page)), "utf-8")
    return path
