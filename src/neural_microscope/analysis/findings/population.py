"""Every rule asked of every network, judged once, and on how many seeds each claim is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import xarray as xr
from scipy import stats

from ...claim import Claim, by_rate, judge
from ...measure import rules
from ...run import Run, same_but_seed
from ...statistics import ALPHA
from .. import similarity
from ..look import FirstLook, LayerLook, Progress
from ..look.looks import begun

PAGE = "a page about a network: Holm's correction within each rule, Bonferroni's over the rules (family-wise 5%)"


def claims_of(look: FirstLook) -> list[Claim]:
    """What is claimed of one network, each claim with its verdict: `judge`."""
    raw: list[Claim] = []
    every = rules()
    for _, rule in every:
        if rule.scope == "network":
            raw += [replace(claim, network=look.name) for claim in rule.claims(look)]
        else:
            raw += [replace(claim, network=look.name) for layer in look.layers for claim in rule.claims(layer)]
    return [replace(claim, seeds=(look.seed,)) for claim in judge(raw, len(every))]


def findings(runs: Run | FirstLook | Iterable[Run | FirstLook], progress: Progress | None = None) -> list[Claim]:
    """All claims about the runs, shown or not. Runs that differ in nothing but their seeds are one population: the claims are about the
    first, and say on how many seeds they are shown.

    A `FirstLook` that is there already is used; of a `Run` only what the rules need is computed. ``progress(part, done, total)`` counts
    networks.
    """
    given = [runs] if isinstance(runs, Run | FirstLook) else list(runs)
    looks = [run if isinstance(run, FirstLook) else begun(run) for run in given]
    found = []
    for done, group in enumerate(groups := populations(looks)):
        found += _together(group)
        if progress:
            progress("claims", done + 1, len(groups))
    return found


def populations(looks: Sequence[FirstLook]) -> list[list[FirstLook]]:
    """The looks in groups of one network, training and data; the same order, and no seed twice in a group."""
    return [[looks[place] for place in group] for group in same_but_seed([look.run for look in looks])]


def _together(group: Sequence[FirstLook]) -> list[Claim]:
    """The first network's claims; of several seeds, shown only where more than half of them show it and more than by their rate."""
    first, *others = [claims_of(look) for look in group]
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
    """Whether a layer's units, as units, come back on other seeds: in how many networks `match_units` finds any."""
    q, counts = table["correlation_q"].transpose("seed", ...).values, table["replicated"].values
    others, alive = len(q), ~np.isnan(counts)
    networks = int((q < ALPHA).any(1).sum())
    return Claim(
        rule="units recur on other seeds",
        measure="similarity.replication",
        network="",
        hook_point=layer.hook_point,
        axis=layer.axis,
        yes=f"{layer.axis}s come back on other seeds: on average a {layer.axis} is matched in {{share:0%}} of them.",
        no=f"no {layer.axis}s are shown to come back on other seeds.",
        numbers={
            "share": float(counts[alive].mean() / others) if alive.any() else np.nan,
            "networks": networks,
            "others": others,
            "often": int((counts[alive] > others / 2).sum()),
            "size": layer.size,
        },
        effect="share",
        evidence=f"{{networks:,}} of {{others:,}} other networks hold any match; {{often:,}} of {{size:,}} "
        f"{layer.axis}s are matched in more than half.",
        null=str(table.attrs["null"]),
        p=float(stats.binom.sf(networks - 1, others, ALPHA)) if networks else 1.0,
        n=others,
        of="networks",
        units="share of networks",
        call=f'nm.analysis.similarity.replication([run.activations("{layer.hook_point}").isel(snapshot=-1) for run in runs])',
    )
