"""A run, or several side by side, as one self-contained HTML page. It places results on the page and computes none."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ..analysis.findings import FirstLook, Progress, findings, first_look
from ..errors import RunError
from ..run import Run
from . import html, network, sections

__all__ = ["compose", "write"]


def write(runs: Sequence[Run], path: str | Path, *, progress: Progress | None = None) -> Path:
    """Analyses the runs and writes the page to ``path`` (whole or not at all); returns the path. No run is a
    RunError.
    """
    if not runs:
        raise RunError("a report needs at least one run")
    return compose([first_look(run, progress) for run in runs], path)


def compose(looks: Sequence[FirstLook], path: str | Path) -> Path:
    """The page of what `first_look` found."""
    names = _distinct(looks)
    parts = [sections.head(looks, names), sections.summary(looks, names, [f for look in looks for f in findings(look)])]
    parts.append(sections.training(looks, names))
    parts += [network.network(look, name) for look, name in zip(looks, names, strict=True)]
    parts.append(sections.about(looks, names))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(html.page("What happens inside: " + " and ".join(names), "".join(parts)), "utf-8")
    os.replace(partial, path)
    return path


def _distinct(looks: Sequence[FirstLook]) -> list[str]:
    """A name for each run: MLP and CNN, or with the folder where two are alike."""
    names = [look.name for look in looks]
    return [n if names.count(n) == 1 else f"{n} ({look.run.folder.name})" for n, look in zip(names, looks, strict=True)]
