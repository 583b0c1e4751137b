"""A run, or several side by side, as one self-contained HTML page. It places results on the page and computes none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from .. import files
from ..analysis.findings import findings, populations
from ..analysis.look import FirstLook, Progress, first_look, pairs
from ..errors import RunError
from ..processes import one_by_one
from ..run import Run, network_names
from . import html, network, sections

__all__ = ["compose", "write"]


def write(
    runs: Sequence[Run], path: str | Path, *, calibration: xr.Dataset | None = None, progress: Progress | None = None
) -> Path:
    """Analyses the runs and writes the page to ``path`` (whole or not at all); returns the path. No run is a
    RunError.

    Runs that differ in nothing but their seeds are one population: the findings count over all of them, the pictures show
    the first. ``calibration``: what `phantoms.calibrate` gave; without it the page has no such part. Where the page can't be
    written, a FileError says so before the analysis.
    """
    if not runs:
        raise RunError("a report needs at least one run")
    files.writable(path)
    return compose([first_look(run, progress) for run in runs], path, calibration=calibration)


def compose(
    looks: Sequence[FirstLook],
    path: str | Path,
    *,
    calibration: xr.Dataset | None = None,
    drawn: Mapping[str, str] | None = None,
) -> Path:
    """The page of what `first_look` found. ``drawn``: parts about single networks that `network.drawing` gave already, by name."""
    path = files.writable(path)
    groups = populations(looks)
    names = network_names([group[0].run for group in groups])
    groups = [[replace(look, name=name) for look in group] for group, name in zip(groups, names, strict=True)]
    shown = [group[0] for group in groups]
    found, inside = findings([look for group in groups for look in group]), drawn or {}
    parts = [
        sections.head(shown, names, calibration is not None),
        sections.summary(shown, names, found, [len(group) for group in groups]),
        sections.training(shown, names),
        *(inside.get(name) or _inside(look, name) for look, name in zip(shown, names, strict=True)),
        sections.side_by_side(pairs(shown), names),
        sections.calibrated(calibration),
        sections.about([look for group in groups for look in group]),
    ]
    with files.whole(path) as partial:
        partial.write_text(html.page("What happens inside: " + " and ".join(names), "".join(parts)), "utf-8")
    return path


def _inside(look: FirstLook, name: str) -> str:
    return one_by_one(network.drawing(look, name), lambda *told: None)
