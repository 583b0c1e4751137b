"""The claims for programs, and for papers: a table, a document, a methods paragraph, a citation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import RELEASED, __version__, files
from ..analysis.findings import findings, judging, populations
from ..analysis.look import FirstLook, Progress, looking
from ..claim import Claim
from ..config import OPTIMIZERS, LoopConfig
from ..data.published import written
from ..doors import door
from ..errors import RunError
from ..measure import Measure, rules
from ..processes import one_by_one, one_thread
from ..run import Run, network_names, same_but_seed
from ..wording import count
from .tasks import by_task

FORMAT_VERSION = 1

COLUMNS: dict[str, Callable[[Claim], Any]] = {
    "network": lambda c: c.network,
    "hook_point": lambda c: c.hook_point,
    "unit": lambda c: -1 if c.unit is None else c.unit,
    "rule": lambda c: c.rule,
    "measure": lambda c: c.measure,
    "verdict": lambda c: c.verdict,
    "sentence": lambda c: c.sentence,
    "effect_name": lambda c: c.effect,
    "effect": lambda c: _number(c, ""),
    "effect_low": lambda c: _number(c, "_low"),
    "effect_high": lambda c: _number(c, "_high"),
    "effect_null_low": lambda c: _number(c, "_null_low"),
    "effect_null_high": lambda c: _number(c, "_null_high"),
    "units": lambda c: c.units,
    "p": lambda c: float(c.p),
    "p_corrected": lambda c: float(c.corrected),
    "n": lambda c: int(c.n),
    "n_of": lambda c: c.of,
    "seeds": lambda c: len(c.seeds),
    "seeds_shown": lambda c: int(c.held),
    "null": lambda c: c.null,
    "call": lambda c: c.call,
}
"""The columns of `claims`, in their order."""


@door
def claims(runs: Sequence[Run | FirstLook], *, progress: Progress | None = None) -> xr.Dataset:
    """Every claim about the runs as a table [claim], shown or not; ``.to_dataframe()`` makes pandas of it.

    Runs that differ only in seed are one network.

    Args:
        runs: Recorded runs, or results of `analysis.look.first_look`.
        progress: Function of what is counted, how many are done, and their total.

    Returns:
        The coordinate ``claim`` is the claim's id, such as ``MLP/layers.0/unit-19/a-unit-matters``; the columns
        are ``network``, ``hook_point`` and ``unit`` (-1: about the layer or the network), ``rule``,
        ``measure``; ``verdict`` (shown, not shown), ``sentence``; ``effect_name``, ``effect`` with its interval
        ``effect_low``, ``effect_high`` and its null ``effect_null_low``, ``effect_null_high`` in ``units`` (NaN
        where there is none); ``p``, ``p_corrected`` for the page; ``n`` and what it counts, ``n_of``;
        ``seeds``, ``seeds_shown`` (of a unit: the networks in which another unit matches it); ``null``, what it
        is compared with; ``call``, what gives the numbers again.

    Raises:
        RunError: There is no run.

    >>> nm.report.claims([run]).to_dataframe()  # doctest: +SKIP
    """
    with one_thread():
        return _table(findings(_named(runs, progress)))


def _table(found: Sequence[Claim]) -> xr.Dataset:
    columns = {name: ("claim", np.array([value(one) for one in found])) for name, value in COLUMNS.items()}
    return xr.Dataset(columns, {"claim": [one.id for one in found]})


def _number(claim: Claim, end: str) -> float:
    value = claim.numbers.get(f"{claim.effect}{end}", math.nan)
    return math.nan if isinstance(value, str) else float(value)


def looked(runs: Sequence[Run | FirstLook], progress: Progress | None, *, drawn: bool = True) -> list[FirstLook]:
    """Looks at the runs, whose results are kept: all results of a network that is ``drawn``, the first of its seeds; of the others what
    the claims need. What is counted is told with the folder's name where there are several.
    """
    first = {group[0] for group in same_but_seed([one.run if isinstance(one, FirstLook) else one for one in runs])}
    folders = [(one.run if isinstance(one, FirstLook) else one).folder for one in runs]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    looks = []
    for place, (one, name) in enumerate(zip(runs, names, strict=True)):
        tell = _told(f"{name}, " if len(runs) > 1 else "", progress)
        if not isinstance(one, FirstLook):
            one = one_by_one(looking(one, keep=True) if drawn and place in first else judging(one), tell)
        looks.append(one)
    return looks


def _told(name: str, progress: Progress | None) -> Progress:
    return lambda part, done, total: progress(f"{name}{part}", done, total) if progress else None


def _named(runs: Sequence[Run | FirstLook], progress: Progress | None = None) -> list[FirstLook]:
    """Looks at the runs with what the claims need, which is kept, by the names that a page gives the networks."""
    if not runs:
        raise RunError("a report needs at least one run")
    groups = populations([by_task(look) for look in looked(runs, progress, drawn=False)])
    names = network_names([group[0].run for group in groups])
    return [replace(look, name=name) for group, name in zip(groups, names, strict=True) for look in group]


@door
def write_json(runs: Sequence[Run | FirstLook], path: str | Path, *, progress: Progress | None = None) -> Path:
    """Writes the claims as a JSON document (whole or not at all), with the methods and the citation; returns its path.

    Claims name classes by their numbers; ``class_names`` holds the names in that order, by network, where there are any.

    Args:
        runs: Recorded runs, or results of `analysis.look.first_look`.
        path: File to write; an existing one is replaced.
        progress: Function of what is counted, how many are done, and their total.

    Raises:
        RunError: There is no run.
        FileError: The path can't be written.

    >>> nm.report.write_json([run], "claims.json").name  # doctest: +SKIP
    'claims.json'
    """
    path, looks = files.writable(path), _named(runs, progress)
    with one_thread():
        found = findings(looks)
    document = {
        "format_version": FORMAT_VERSION,
        "neural-microscope": __version__,
        "class_names": {look.name: look.run.probe.class_names for look in looks if look.run.probe.class_names},
        "claims": [one.to_json() for one in found],
        "methods": paragraph(looks, found),
        "bibtex": bibtex(),
    }
    with files.whole(path) as partial:
        partial.write_text(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
    return path


@door
def methods(looks: Sequence[FirstLook]) -> str:
    """A methods paragraph: networks, training, what was measured against which null, and the correction.

    Args:
        looks: Results of `analysis.look.first_look`.

    Raises:
        RunError: There is no result.

    >>> nm.report.methods([nm.analysis.look.first_look(run)])  # doctest: +SKIP
    "The MLP with hidden layers of width 16, 8 was trained on scikit-learn's digits ..."
    """
    if not looks:
        raise RunError("methods are of at least one network that was looked at")
    return paragraph(looks, findings(looks))


def paragraph(looks: Sequence[FirstLook], found: Sequence[Claim]) -> str:
    """The methods paragraph of networks, with their claims."""
    before, questions, after = described(looks, found)
    return " ".join([*before, *(f"({number}) {one}" for number, one in enumerate(questions, 1)), *after])


def described(looks: Sequence[FirstLook], found: Sequence[Claim]) -> tuple[list[str], list[str], list[str]]:
    """The methods in sentences: networks and measurements, the questions with their nulls, the correction."""
    networks = [_network(group) for group in populations(looks)]
    asked = [(measure, rule, [c for c in found if c.rule == rule.name]) for measure, rule in rules()]
    questions = [
        f"{rule.question} {_measure(measure)}: compared with {_nulls(claims)}."
        for measure, rule, claims in asked
        if claims
    ]
    versions, many = looks[0].run.description["versions"], len(populations(looks))
    together = f" (for any of the {many} networks, at most {5 * many}%)" if 1 < many < 20 else ""
    before = [
        *networks,
        f"All analyses were made with neural-microscope {__version__} (torch {versions['torch']}) on activations of the probe "
        "images, recorded during training.",
        f"We asked {count(len(asked), 'questions')} of each network; an answer counts as shown if it lies beyond all its nulls, also "
        "after correction.",
    ]
    after = [
        "P values were corrected within a question by Holm's procedure, or by a fixed sequence of tests, and over the questions by "
        f"Bonferroni's, so that the probability of any false claim about a network is at most 5%{together}.",
        "Where a null names a law or a fitted tail, P was computed from that distribution and can be smaller than 1 / the number of draws.",
        "A unit's class, and its place in the order of tests, were chosen on one half of the images and judged on the other.",
    ]
    return before, questions, after


def _network(group: Sequence[FirstLook]) -> str:
    about, run = group[0].run.description, group[0].run
    model, data = about["model"], about["data"]
    widths = [*model.get("channels", ()), *model.get("hidden", ()), *model.get("head", ())]
    parts = [
        f"The {group[0].name}" + (f" with hidden layers of width {', '.join(map(str, widths))}" if widths else ""),
        f" was trained{_TASKS.get(run.task, '')} on {written(data['name'])} (SHA-256 {data['sha256'][:12]})",
        _training(run),
    ]
    seeds = [str(look.seed) for look in group if look.seed is not None]
    parts += [f", seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"] if seeds else []
    images = count(len(run.probe), "test images" if run.probe.labels is None else "class-balanced test images")
    return (
        "".join(parts) + f"; {count(len(run.steps), 'snapshots')} were recorded, each with the activations of {images}."
    )


def _training(run: Run) -> str:
    settings = run.train_config
    optimizer = OPTIMIZERS.get(settings.optimizer, settings.optimizer)
    rate = f" with {optimizer}, learning rate {settings.learning_rate:g}" if optimizer else ""
    if isinstance(settings, LoopConfig):
        return f" for {count(len(run.training['step']), 'steps')}{rate}, in a training loop of the authors' own"
    decay = f", weight decay {settings.weight_decay:g}" if settings.weight_decay else ""
    epochs = count(settings.epochs, "epochs")
    return f" for {epochs}{rate} ({settings.schedule} schedule){decay}, batch size {settings.batch_size}"


_TASKS = {
    "regression": " for a regression",
    "multi-label": " to predict several labels",
    "reconstruction": " as an autoencoder",
}


def _measure(measure: Measure) -> str:
    """Its title, with its source."""
    return measure.title + (f" ({measure.source})" if measure.source else "")


def _nulls(claims: Sequence[Claim]) -> str:
    """The nulls of these claims; one that not all of their places have comes with those that do."""
    places: dict[str, dict[str, None]] = {}
    for claim in claims:
        for null in claim.null.split("; "):
            places.setdefault(null, {})[claim.where] = None
    every = {claim.where for claim in claims}
    return "; ".join(null + ("" if {*own} == every else f" ({', '.join(own)})") for null, own in places.items())


@door
def bibtex() -> str:
    """A BibTeX entry for this software.

    >>> print(nm.report.bibtex())
    @software{neural_microscope,
    ...
    """
    return (
        "@software{neural_microscope,\n"
        "  author = {{The neural-microscope authors}},\n"
        "  title = {neural-microscope: a microscope for small neural networks},\n"
        f"  version = {{{__version__}}},\n"
        f"  year = {{{RELEASED[:4]}}}\n"
        "}\n"
    )
