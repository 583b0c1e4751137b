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
    verdict = "learning has changed it" if p < 0.05 else "learning has not changed it by more than chance"
    return Finding(
        f"{layer_name(look, layer)}: {counts[0]} {layer.axis}s prefer a class more than shuffled labels allow (5 % "
        f"false-discovery rate), but so do {counts[1]} of the untrained network's. The median selectivity is {said[0]}, "
        f"untrained {said[1]}: {verdict} (rank test, {probability(p)}).",
        f'nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))',
        p < 0.05,
        layer_name(look, layer),
        "the untrained network's units; shuffled labels",
        {"median selectivity": medians[0], "untrained": medians[1]},
    )


def link(look: FirstLook, layer: LayerLook) -> Finding:
    """Do the selective units matter more?"""
    rho, low, high = spearman(layer.selectivity["selectivity"].values, layer.effects["loss_increase"].values)
    call = (
        f'nm.statistics.spearman(nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}"))'
        f'["selectivity"].values, nm.analysis.causal.ablate_all(run.model(), run.probe, "{layer.hook_point}")["loss_increase"].values)'
    )
    where = layer_name(look, layer)
    if np.isnan(rho):
        return Finding(
            f"{where}: too few {layer.axis}s have a selectivity to ask whether it matters.", call, False, where
        )
    holds = not low <= 0 <= high
    verdict = f"the more selective matter {'more' if rho > 0 else 'less'}" if holds else "no link is shown"
    return Finding(
        f"{where}: between a {layer.axis}'s selectivity and the loss its absence adds the rank correlation is {number(rho)} "
        f"(95 % interval {number(low)} to {number(high)} over {layer.size} {layer.axis}s): {verdict}.",
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
    verdict = f"the {layer.axis}s are no better a basis than any other"
    if holds:
        more = auc > float(table["auc_null_high"])
        verdict = f"single {layer.axis}s tell {'more' if more else 'less'} than directions drawn at random"
    return Finding(
        f"{layer_name(look, layer)}: one {layer.axis} tells a class from the rest with an AUC of {number(auc, 3)} on average; "
        f"axes of random rotations reach {band(table, 'auc', 3)} ({probability(p)}): {verdict}.",
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
    verdict = (
        "learning has brought classes together" if holds else "it is not shown that learning brought classes together"
    )
    return Finding(
        f"{layer_name(look, layer)}: of an image's 10 nearest neighbours {number(end, 1)} % have its class (untrained "
        f"{number(start, 1)} %, labels shuffled {band(table.isel(snapshot=-1), 'purity', 1, 100)} %): {verdict}.",
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
        return Finding(f"{where}: one snapshot only, so nothing can have moved.", call, False, where)
    half = np.flatnonzero(change <= change[0] / 2)
    by = (
        f"half of the change is done by {at_step(float(table['step'][half[0]]))}"
        if len(half)
        else "half of it is never done"
    )
    verdict = (
        "the random start already has some of the final shape" if p < 0.05 else "the start has none of the final shape"
    )
    return Finding(
        f"{where}: seen from the end, {number(100 * float(change[0]), 1)} % of the untrained layer's shape is "
        f"another, which no rotation or scaling mends (unrelated images: {band(table.isel(snapshot=0), 'function', 1, 100)} %, "
        f"{probability(p)}): {verdict}; {by}.",
        call,
        p < 0.05,
        where,
        "the images shuffled",
        {"another shape (%)": 100 * float(change[0])},
    )


def layer_name(look: FirstLook, layer: LayerLook) -> str:
    return f"{look.name} {layer.short}"


QUESTIONS: tuple[Callable[[FirstLook, LayerLook], Finding], ...] = (selective, link, privileged, gathered, settled)
