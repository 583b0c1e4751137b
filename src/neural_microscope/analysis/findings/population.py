"""Every question asked of every network, and on how many seeds the answer holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from ...run import Run, same_but_seed
from ...statistics import FEWEST_SEEDS, ONE_SEED, over_seeds
from ..look import FirstLook, Progress, first_look
from . import layers, networks
from .sentence import Finding, significant
from .units import units


def findings(runs: Run | FirstLook | Iterable[Run | FirstLook], progress: Progress | None = None) -> list[Finding]:
    """Asks every question of every run. Runs that differ in nothing but their seeds are one population: the sentence is about
    the first, and says on how many it holds.

    A `FirstLook` that is there already is used; a `Run` is looked at first.
    """
    given = [runs] if isinstance(runs, Run | FirstLook) else list(runs)
    looks = [run if isinstance(run, FirstLook) else first_look(run, progress) for run in given]
    return [finding for group in populations(looks) for finding in _of(group)]


def populations(looks: Sequence[FirstLook]) -> list[list[FirstLook]]:
    """The looks in groups of one network, training and data; the same order, and no seed twice in a group."""
    return [[looks[place] for place in group] for group in same_but_seed([look.run for look in looks])]


def _of(group: Sequence[FirstLook]) -> list[Finding]:
    """The findings about one population; the first network is the one that is told of."""
    found = [_together([ask(look) for look in group], group) for ask in networks.QUESTIONS]
    for place in range(len(group[0].layers)):
        found += [_together([ask(look, look.layers[place]) for look in group], group) for ask in layers.QUESTIONS]
        found += units(group, place)
    return found


def _together(answers: Sequence[Finding], group: Sequence[FirstLook]) -> Finding:
    """The first network's answer, and on how many of the seeds it holds."""
    first, held = answers[0], sum(answer.holds for answer in answers)
    return replace(
        first,
        replicated=_replicated(answers, held),
        holds=first.holds and 2 * held > len(group),
        seeds=tuple(look.seed for look in group),
        held=held,
    )


def _replicated(answers: Sequence[Finding], held: int) -> str:
    n = len(answers)
    if n == 1:
        return f"{ONE_SEED.capitalize()}."
    said = f"It holds on {held} of {n} seeds"
    if n >= FEWEST_SEEDS and all(answer.numbers for answer in answers):
        name = next(iter(answers[0].numbers))
        mean, low, high = (
            significant(float(v)) for v in over_seeds(np.array([answer.numbers[name] for answer in answers]))
        )
        said += f" ({name}: mean {mean}, 95 % interval over seeds {low} to {high})"
    return f"{said}."
