"""Questions about one hidden layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from ...statistics import spearman
from ..look import FirstLook, LayerLook
from .sentence import Finding, at_step, band, number, probability


def selective(look: FirstLook, layer: LayerLook) -> Finding:
    """Has learning made units selective?"""
    tables = layer.selectivity, layer.selectivity_untrained
    trained, untrained = (t["selectivity"].values[~np.isnan(t["selectivity"].values)] for t in tables)
    p = float(stats.mannwhitneyu(trained, untrained).pvalue) if len(trained) and len(untrained) else 1.0
    counts = [f"{int((t['selectivity_q'] < 0.05).sum())} of {layer.size}" for t in tables]
    medians = [float(np.median(values)) if len(values) else np.nan for values in (trained, untrained)]
    said = ["none" if np.isnan(m) else number(m) for m in medians]
    more = "more" if medians[0] > medians[1] else "less"
    return Finding(
        f"learning has made {layer.axis}s {more} selective."
        if p < 0.05
        else f"learning is not shown to make {layer.axis}s selective.",
        f"Median selectivity {said[0]}, untrained {said[1]} (rank test, {probability(p)}). {counts[0]} prefer a class more than "
        f"shuffled labels allow (5 % false-discovery rate), but so do {counts[1]} untrained.",
        f'nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))',
        p < 0.05,
        layer_name(look, layer),
        "the untrained network's units; shuffled labels",
        {"median selectivity": medians[0], "untrained": medians[1]},
    )


def link(look: FirstLook, layer: LayerLook) -> Finding:
    """Do the selective units matter more?"""
    rho, low, high = spearman(layer.selectivity["selectivity"].values, layer.effects["loss_increase"].values)
    name, where = layer.hook_point, layer_name(look, layer)
    call = (
        f'nm.statistics.spearman(nm.analysis.selectivity.class_selectivity(run.activations("{name}"))["selectivity"].values, '
        f'nm.analysis.causal.ablate_all(run.model(), run.probe, "{name}")["loss_increase"].values)'
    )
    if np.isnan(rho):
        return Finding(f"too few {layer.axis}s have a selectivity to ask whether it matters.", "", call, False, where)
    holds = not low <= 0 <= high
    claim = f"the more selective {layer.axis}s matter {'more' if rho > 0 else 'less'}."
    return Finding(
        claim if holds else f"selective {layer.axis}s are not shown to matter more, or less.",
        f"Between a {layer.axis}'s selectivity and the loss its absence adds the rank correlation is {number(rho)} (95 % interval "
        f"{number(low)} to {number(high)} over {layer.size} {layer.axis}s).",
        call,
        holds,
        where,
        "no correlation",
        {"rank correlation": rho},
    )


def privileged(look: FirstLook, layer: LayerLook) -> Finding:
    """Are single units a better basis than any other?"""
    table = layer.basis.isel(basis=0)
    auc, p = float(table["auc"]), float(table["auc_p"])
    holds = p < 0.05
    more = auc > float(table["auc_null_high"])
    claim = f"single {layer.axis}s tell the classes apart {'better' if more else 'worse'} than random directions do."
    return Finding(
        claim if holds else f"single {layer.axis}s are no better a basis than any other.",
        f"One {layer.axis} tells its best class from the rest with an AUC of {number(auc, 3)} on average; axes of random rotations reach "
        f"{band(table, 'auc', 3)} ({probability(p)}).",
        f'nm.analysis.selectivity.basis_comparison(run.activations("{layer.hook_point}"))',
        holds,
        layer_name(look, layer),
        "random rotations of the layer's space",
        {"mean AUC": auc},
    )


def gathered(look: FirstLook, layer: LayerLook) -> Finding:
    """Has learning brought the images of a class together?"""
    table = layer.clusters
    start, end = (100 * float(table["purity"][i]) for i in (0, -1))
    holds = float(table["purity_low"][-1]) > float(table["purity_high"][0])
    return Finding(
        f"learning {'has brought' if holds else 'is not shown to have brought'} the images of a class together.",
        f"Of an image's 10 nearest neighbours {number(end, 1)} % have its class (untrained {number(start, 1)} %, intervals over images "
        f"{'apart' if holds else 'not apart'}; labels shuffled {band(table.isel(snapshot=-1), 'purity', 1, 100)} %).",
        f'nm.analysis.geometry.clusters(run.activations("{layer.hook_point}"), at=[0, -1])',
        holds,
        layer_name(look, layer),
        "the untrained network, intervals apart; shuffled labels",
        {"neighbours of one class (%)": end, "untrained (%)": start},
    )


def settled(look: FirstLook, layer: LayerLook) -> Finding:
    """How much of the final shape was there before training, and when was the rest found?"""
    table = layer.drift
    change, p = table["function"].values, float(table["function_p"][0])
    where, call = layer_name(look, layer), f'nm.analysis.similarity.drift(run.activations("{layer.hook_point}"))'
    if len(change) < 2 or not change[0] > 0:
        why = (
            "there is one snapshot only"
            if len(change) < 2
            else "the layer does not change, or answers every image alike"
        )
        return Finding(f"nothing is seen to move: {why}.", "", call, False, where)
    half = np.flatnonzero(change <= change[0] / 2)
    by = (
        f"Half of the change is done by {at_step(float(table['step'][half[0]]))}."
        if len(half)
        else "Half of it is never done."
    )
    holds = p < 0.05
    return Finding(
        f"the random start already has {number(100 - 100 * float(change[0]), 0)} % of the final shape."
        if holds
        else "the random start has nothing of the final shape.",
        f"The rest, {number(100 * float(change[0]), 1)} %, no rotation or scaling mends; of unrelated images it would be "
        f"{band(table.isel(snapshot=0), 'function', 1, 100)} % ({probability(p)}). {by}",
        call,
        holds,
        where,
        "the images shuffled",
        {"found by learning (%)": 100 * float(change[0])},
    )


def layer_name(look: FirstLook, layer: LayerLook) -> str:
    return f"{look.name} {layer.short}"


QUESTIONS: tuple[Callable[[FirstLook, LayerLook], Finding], ...] = (selective, link, privileged, gathered, settled)
