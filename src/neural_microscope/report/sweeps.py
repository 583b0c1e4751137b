"""Many runs that differ in their settings, as one page: a table of the settings against what was found, and their learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..analysis.findings import findings, judging
from ..analysis.look import Progress
from ..claim import Claim
from ..doors import door
from ..errors import RunError
from ..measure import rules
from ..processes import one_by_one
from ..run import Run, same_but_seed
from ..run.population import in_words
from ..wording import count
from . import html
from .html import escape, folded, naming, scrolling, stored, told

WIDTH, HEIGHT = 120, 36
"""Of a learning curve, in CSS pixels."""


@door
def compare(
    runs: Sequence[Run], settings: Sequence[Mapping[str, Any]], path: str | Path, *, progress: Progress | None = None
) -> Path:
    """Analyzes the runs of a sweep and writes a page that compares them (whole or not at all); returns its path.

    A row is a setting, over all its seeds: test accuracy, the learning curves on common axes, and for each question for
    how many units, layers or networks it has an answer beyond its null. Nothing is tested between settings.

    Args:
        runs: Recorded runs.
        settings: What was varied, of each run.
        path: File to write; an existing one is replaced.
        progress: Function of what is counted (settings), how many are done, and their total.

    Raises:
        RunError: There is no run, or not one setting for each.
        FileError: The path can't be written.
    """
    if not runs or len(runs) != len(settings):
        raise RunError(
            f"{len(runs)} runs came with {len(settings)} settings; a comparison needs one for each run, and a run"
        )
    path = files.writable(path)
    groups = [[runs[place] for place in group] for group in same_but_seed(runs)]
    chosen = [settings[group[0]] for group in same_but_seed(runs)]
    names = [_name(one, number) for number, one in enumerate(chosen)]
    tell, found = progress or (lambda part, done, total: None), []
    for number, (name, group) in enumerate(zip(names, groups, strict=True)):
        looks = [replace(one_by_one(judging(run), lambda *said: None), name=name) for run in group]
        found.append(findings(looks))
        tell("settings", number + 1, len(groups))
    title = f"{count(len(runs), 'networks')} of a sweep"
    with files.whole(path) as partial:
        partial.write_text(html.page(title, _body(title, chosen, groups, names, found)), "utf-8")
    return path


def _name(chosen: Mapping[str, Any], number: int) -> str:
    """``learning rate 0.001, hidden 128-64``"""
    words = (f"{key.replace('_', ' ')} {in_words(value)}" for key, value in chosen.items())
    return ", ".join(words) or f"setting {number + 1}"


def _body(
    title: str,
    chosen: Sequence[Mapping[str, Any]],
    groups: Sequence[Sequence[Run]],
    names: Sequence[str],
    found: Sequence[Sequence[Claim]],
) -> str:
    fields = list(dict.fromkeys(key for one in chosen for key in one))
    asked = [rule.name for _, rule in rules() if any(c.rule == rule.name for claims in found for c in claims)]
    most = max(run.steps[-1] for group in groups for run in group)
    learned = [
        [escape(in_words(one[field])) if field in one else "–" for field in fields]
        + [str(len(group)), _accuracy(group), _curves(group, most)]
        for one, group in zip(chosen, groups, strict=True)
    ]
    heads = [*(field.replace("_", " ") for field in fields), "seeds", "test accuracy", "learning curve"]
    told_of = [
        [escape(name), *(_shown(claims, rule) for rule in asked)] for name, claims in zip(names, found, strict=True)
    ]
    lists = "".join(
        folded(escape(name), f'<ul class="claims">{"".join(told(c) for c in claims if c.unit is None)}</ul>')
        for name, claims in zip(names, found, strict=True)
    )
    about = (
        "Test accuracy: mean and range over seeds. Curves: from 0 (lower line) to 1 (upper line) over training steps, on a logarithmic "
        f"axis to {count(most, 'steps')}; a line for each seed."
    )
    times = (
        "The units, layers or networks for which a claim is shown, of those tested, in the network of the first seed; one about a layer "
        "or a network is shown only if most seeds show it."
    )
    every = [claim for claims in found for claim in claims]
    return (
        f"<main><h1>{escape(title)}</h1><p>Each setting is judged by itself; no difference between settings was tested.</p>"
        f"<h2>Accuracy</h2>{_table(heads, learned, about)}"
        f"<h2>Shown</h2>{_table(['setting', *asked], told_of, times)}"
        f"<h2>Claims</h2>{lists}{stored(every)}</main>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A table that scrolls sideways where it is wide; its cells are HTML already."""
    head = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    about = f"<caption><span>{escape(caption)}</span></caption>"
    return scrolling(
        f'<table class="settings">{about}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', caption
    )


def _accuracy(group: Sequence[Run]) -> str:
    """``97.9% (97.5 to 98.1)``"""
    values = np.array([float(run.log["test_accuracy"][-1]) for run in group]) * 100
    each = f" ({values.min():.2f} to {values.max():.2f})" if len(values) > 1 else ""
    return f"{values.mean():.2f}%{each}"


def _curves(group: Sequence[Run], most: int) -> str:
    lines = []
    for run in group:
        x = np.log1p(run.steps) / np.log1p(max(most, 1)) * WIDTH
        y = (1 - np.nan_to_num(run.log["test_accuracy"].values)) * HEIGHT
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="var(--ink)" stroke-width="1"/>')
    ends = [float(run.log["test_accuracy"][-1]) for run in group]
    alt = f"Test accuracy over training, {count(len(group), 'seeds')}: ends at {100 * min(ends):.1f}% to {100 * max(ends):.1f}%"
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
    ends_of_axis = f'<path d="M0 {HEIGHT}H{WIDTH}M0 0H{WIDTH}" stroke="var(--grid)"/>'
    return f'<svg role="img" aria-label="{alt}" {box}>{ends_of_axis}{"".join(lines)}</svg>'


def _shown(claims: Sequence[Claim], rule: str) -> str:
    """The number of units for which it is shown, of those tested; of a claim that is not about units, of layers or networks."""
    own = [c for c in claims if c.rule == rule]
    single = [c for c in own if c.unit is not None] or own
    if not single:
        return "–"
    return f"<span{naming(c for c in single if c.unit is None)}>{sum(c.shown for c in single)} of {len(single)}</span>"
