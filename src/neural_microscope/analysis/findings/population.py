"""Every rule asked of every network, judged once, and the number of seeds on which each claim is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from ...claim import Claim, by_rate, judge, say
from ...doors import door
from ...measure import rules
from ...processes import Steps
from ...run import Run, same_but_seed
from ...statistics import ALPHA
from .. import similarity
from ..look import FirstLook, LayerLook, Progress, Unmeasured
from ..look.computing import looked_for, recalled

STRONGEST = 2
"""The number of a layer's units that a page lists first, for each rule."""


@door
def claims_of(look: FirstLook) -> list[Claim]:
    """Claims about one network, each with its verdict: `claim.judge`.

    Args:
        look: Look at the network.
    """
    raw = [claim for answers in _answers(look) for claim in answers]
    return [replace(claim, seeds=(look.seed,)) for claim in judge(raw, len(rules()))]


def _answers(look: FirstLook) -> Iterator[list[Claim]]:
    """The claims of one rule after the other, without their verdicts."""
    for measure, rule in rules():
        found: list[Claim] = []
        for place in (look,) if rule.scope == "network" else look.layers:
            words: dict[str, Any] = {"rule": rule.name, "measure": measure.name, "network": look.name}
            if isinstance(place, LayerLook):
                words |= {"hook_point": place.hook_point, "axis": place.axis}
            with suppress(Unmeasured):
                found += [replace(claim, **words) for claim in rule.claims(place)]
        yield found


def judging(run: Run) -> Steps:
    """Steps of a look with what the rules need, and no more; it is kept in the run's folder.

    Args:
        run: A recorded run.

    Raises:
        RunError: A run with too few probe images (`analysis.look.FEWEST_IMAGES`).
    """
    return looked_for(run, _ask)


def _ask(look: FirstLook, tell: Progress) -> None:
    for done, _ in enumerate(_answers(look)):
        tell("claims", done + 1, len(rules()))


LISTED = 12
"""Units that a counted claim names at most."""


def counted(claims: Sequence[Claim]) -> list[Claim]:
    """For each layer and each rule about units: the number of units for which it is shown, from the judged claims. Its p, and the
    smallest effect that would have been shown, are those of the unit that comes closest.
    """
    groups: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        if claim.unit is not None:
            groups.setdefault((claim.hook_point, claim.rule), []).append(claim)
    return [_count(group) for group in groups.values()]


def _of_units(rule: str) -> str:
    """A rule about units, to follow "is shown": ``to matter`` of "a unit matters"; of another form the rule in quotes."""
    if not rule.startswith("a unit "):
        return f"(“{rule}”)"
    verb, *rest = rule.split()[2:]
    more = " more than untrained ones do" * (verb == "prefers")
    return " ".join(["to", {"has": "have"}.get(verb, verb[:-1]), *rest]) + more


def _count(group: Sequence[Claim]) -> Claim:
    def distance(claim: Claim) -> tuple[float, float]:
        return float(np.nan_to_num(claim.corrected, nan=2.0)), -float(
            np.nan_to_num(claim.numbers[claim.effect], nan=-np.inf)
        )

    closest = min(group, key=distance)
    units, axis = [claim.unit for claim in group if claim.shown], closest.axis
    told = _of_units(closest.rule)
    return replace(
        closest,
        unit=None,
        yes=f"{{shown:,}} of {{asked:#judged {axis}}} {{shown:is|are}} shown {told}{{units}}.",
        no=f"no {axis} is shown {told} ({{asked:,}} judged).",
        numbers={
            "shown": len(units),
            "asked": len(group),
            "units": ": " + ", ".join(map(str, units)) if len(units) <= LISTED else "",
            "unit": closest.unit or 0,
        },
        effect="shown",
        evidence=f"Smallest p: {axis} {{unit:,}}"
        f"{f', corrected for all {axis}s of the layer' * (closest.place is not None)}.",
        shown=bool(units),
        held=int(bool(units)),
        call="",
    )


@door
def headlines(claims: Iterable[Claim]) -> list[Claim]:
    """The claims that a page shows first.

    All except those about single units, and of these the two of each layer and rule with the smallest p.

    Args:
        claims: Claims, as `findings` returns them.
    """
    found, best = list(claims), Counter[tuple[str, str, str]]()
    kept = {id(claim) for claim in found if claim.unit is None}
    for claim in sorted((c for c in found if c.unit is not None and c.shown), key=lambda claim: claim.corrected):
        place = claim.network, claim.hook_point, claim.rule
        best[place] += 1
        kept |= {id(claim)} if best[place] <= STRONGEST else set()
    return [claim for claim in found if id(claim) in kept]


@door
def findings(runs: Run | FirstLook | Iterable[Run | FirstLook], progress: Progress | None = None) -> list[Claim]:
    """All claims about runs, shown or not.

    Runs that differ in nothing but their seeds are one population: the claims are about the first, and say on how many
    seeds they are shown.

    Args:
        runs: One or several: runs, of which only what the rules need is computed, and nothing where valid results are
            kept in the folder; or looks (`FirstLook`), which are used as they are.
        progress: Function of ``claims``, how many networks are done, and their total; None: none.

    Raises:
        RunError: A run with too few probe images (`analysis.look.FEWEST_IMAGES`).

    >>> claims = nm.analysis.findings.findings(run)
    >>> [claim.shown for claim in claims if claim.rule == "the network generalizes"]
    [True]
    """
    given = [runs] if isinstance(runs, Run | FirstLook) else list(runs)
    looks = [run if isinstance(run, FirstLook) else recalled(run) for run in given]
    found = []
    for done, group in enumerate(groups := populations(looks)):
        found += _together(group)
        if progress:
            progress("claims", done + 1, len(groups))
    return found


@door
def seeds(groups: Sequence[Sequence[FirstLook]]) -> list[Claim]:
    """The number of seeds behind the claims about networks; stated once if each has one.

    Args:
        groups: Looks grouped by network, as `populations` returns them.
    """
    if all(len(group) == 1 for group in groups):
        one = (
            "One seed of each network, so nothing is replicated. The 95% intervals are over test images; other seeds may differ by "
            "more."
        )
        return [say("seeds", one, seeds=1)]
    more = "{seeds:#seed}; each claim states on how many it is shown."
    told = [
        say("seeds", more if len(group) > 1 else "{seeds:#seed}, not replicated.", seeds=len(group)) for group in groups
    ]
    return [replace(claim, network=group[0].name) for claim, group in zip(told, groups, strict=True)]


@door
def populations(looks: Sequence[FirstLook]) -> list[list[FirstLook]]:
    """The looks grouped by network, training and data; the same order, and no seed twice in a group.

    Args:
        looks: Looks at networks, as `first_look` returns them.
    """
    return [[looks[place] for place in group] for group in same_but_seed([look.run for look in looks])]


def _together(group: Sequence[FirstLook]) -> list[Claim]:
    """The first network's claims; with several seeds, shown only if more than half show it and more than their false-claim rate
    predicts.
    """
    first, *others = [(told := claims_of(look)) + counted(told) for look in group]
    if not others:
        return first
    seeds = tuple(look.seed for look in group)
    known = [{claim.id: claim.shown for claim in one} for one in others]
    recurring = {layer.hook_point: _recurrence(group, place) for place, layer in enumerate(group[0].layers)}
    found = []
    for claim in first:
        if claim.unit is not None:
            again = recurring[claim.hook_point]["replicated"].values[claim.unit]
            found.append(replace(claim, seeds=seeds, held=int(np.nan_to_num(again))))
            continue
        held = int(claim.shown) + sum(one.get(claim.id, False) for one in known)
        enough = claim.shown and 2 * held > len(seeds) and held > by_rate(len(seeds))
        found.append(replace(claim, seeds=seeds, held=held, shown=enough))
    recur = judge((_recur(layer, recurring[layer.hook_point]) for layer in group[0].layers), len(rules()))
    return found + [replace(claim, network=group[0].name, seeds=seeds) for claim in recur]


def _recurrence(group: Sequence[FirstLook], place: int) -> xr.Dataset:
    return similarity.replication(
        {str(look.seed): look.run.activations(look.layers[place].hook_point).isel(snapshot=-1) for look in group}
    )


def _recur(layer: LayerLook, table: xr.Dataset) -> Claim:
    """Recurrence of a layer's units on other seeds: the number of networks in which `match_units` finds any."""
    q, counts = table["correlation_q"].transpose("seed", ...).values, table["replicated"].values
    others, alive = len(q), ~np.isnan(counts)
    networks = int((q < ALPHA).any(1).sum())
    return Claim(
        rule="units recur on other seeds",
        measure="similarity.replication",
        network="",
        hook_point=layer.hook_point,
        axis=layer.axis,
        yes=f"{layer.axis}s recur on other seeds: on average a {layer.axis} is matched in {{share:0%}} of them.",
        no=f"no {layer.axis}s are shown to recur on other seeds.",
        numbers={
            "share": float(counts[alive].mean() / others) if alive.any() else np.nan,
            "networks": networks,
            "others": others,
            "often": int((counts[alive] > others / 2).sum()),
            "size": layer.size,
        },
        effect="share",
        evidence=f"{{networks:,}} of {{others:,}} other networks contain a match; {{often:,}} of {{size:,}} "
        f"{layer.axis}s are matched in more than half.",
        null=str(table.attrs["null"]),
        p=float(stats.binom.sf(networks - 1, others, ALPHA)) if networks else 1.0,
        n=others,
        of="networks",
        units="share of networks",
        call=f'nm.analysis.similarity.replication([run.activations("{layer.hook_point}").isel(snapshot=-1) for run in runs])',
    )
