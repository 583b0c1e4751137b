"""Questions about single units, and whether other seeds have them too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...statistics import INTERVAL, ONE_SEED, bootstrap_mean, halves
from .. import similarity
from ..look import FirstLook, LayerLook
from .layers import layer_name
from .sentence import Finding, at_step, band, number

TOLD = 2
"""Units of each layer that get a sentence of their own."""


def units(group: Sequence[FirstLook], place: int) -> list[Finding]:
    """The units of the first network that cost most on one half of the images, judged on the other; and, of several
    networks, how many of the layer's units come back.
    """
    look, layer = group[0], group[0].layers[place]
    loss = layer.effects["loss_change"].values.astype(float)
    choose, _ = halves(layer.effects["label"].values)
    again = _replication(group, place)
    chosen = np.argsort(-loss[:, choose].mean(1), kind="stable")[:TOLD]
    seeds = tuple(look.seed for look in group)
    found = [_unit(look, layer, int(unit), again, seeds) for unit in chosen]
    return found if again is None else [*found, _found_again(look, layer, again, seeds)]


def _replication(group: Sequence[FirstLook], place: int) -> xr.Dataset | None:
    if len(group) == 1:
        return None
    return similarity.replication(
        {str(look.seed): look.run.activations(look.layers[place].hook_point).isel(snapshot=-1) for look in group}
    )


def _unit(
    look: FirstLook, layer: LayerLook, unit: int, again: xr.Dataset | None, seeds: tuple[int | None, ...]
) -> Finding:
    table, effects = (t.isel({layer.axis: unit}) for t in (layer.selectivity, layer.effects))
    loss, right = (layer.effects[name].values.astype(float) for name in ("loss_change", "right_change"))
    labels = layer.effects["label"].values
    choose, judge = halves(labels)
    added = loss[:, judge].mean(1)
    low, high = (float(end) for end in bootstrap_mean(loss[unit, judge]))
    others = np.percentile(np.delete(added, unit), INTERVAL) if len(added) > 1 else np.full(2, np.nan)
    label, cost, (mean, spread) = _hardest_hit(right, labels, unit, choose, judge)
    taste, auc, tuned = _taste(layer, unit)
    # Judged on images it was not chosen on, so there is no family of tests.
    beyond = bool(low > 0 and added[unit] > float(effects["loss_increase_null_high"]))
    call = f'nm.analysis.causal.ablate_all(run.model(), run.probe, "{layer.hook_point}").isel({layer.axis}={unit})'
    return Finding(
        f"{layer.axis} {unit} {taste}, and cutting it out {'costs' if beyond else 'is not shown to cost'} more than chance.",
        f"{auc} Without it the loss on {len(judge)} images that it was not chosen on rises by {number(added[unit], 3)} nat "
        f"(95 % interval over images {number(low, 3)} to {number(high, 3)}; random directions of the same norm "
        f"{band(effects, 'loss_increase', 3)}; other {layer.axis}s {number(others[0], 3)} to {number(others[1], 3)}), and "
        f"class {label} loses {number(cost, 1)} points (another {layer.axis}: {number(mean, 1)} ± {number(spread, 1)}).",
        f'{call}, nm.analysis.selectivity.class_selectivity(run.activations("{layer.hook_point}")).isel({layer.axis}={unit})',
        beyond and tuned,
        layer_name(look, layer),
        "random directions of the same norm; shuffled labels; the layer's other units",
        {"loss added (nat)": float(added[unit]), "AUC": float(table["auc"]), f"class {label} (points)": cost},
        _again(again, unit),
        seeds,
        1 + (0 if again is None else int(np.nan_to_num(again["replicated"].values[unit]))),
    )


def _taste(layer: LayerLook, unit: int) -> tuple[str, str, bool]:
    """(what the unit prefers, the numbers for it, whether it does beyond chance)."""
    table, since = layer.selectivity.isel({layer.axis: unit}), float(layer.life["since"][unit])
    if bool(table["gated"]):
        return "fires too rarely to judge what it prefers", "", False
    auc = f"AUC {number(float(table['auc']))}, shuffled labels {band(table, 'auc')}"
    if not float(table["auc_q"]) < 0.05:
        return "prefers no class beyond chance", f"{auc}.", False
    return (
        f"prefers class {int(table['preferred'])}",
        f"{auc}{'' if np.isnan(since) else f'; since {at_step(since)}'}.",
        True,
    )


def _hardest_hit(
    right: np.ndarray, labels: np.ndarray, unit: int, choose: np.ndarray, judge: np.ndarray
) -> tuple[int, float, tuple[float, float]]:
    """(the class that loses most on one half of the images, the points it loses on the other, mean and standard deviation
    of what other units cost it there).
    """
    classes = np.intersect1d(labels[choose], labels[judge])
    label = int(classes[np.argmin([right[unit, choose][labels[choose] == c].mean() for c in classes])])
    there = -100 * right[:, judge][:, labels[judge] == label].mean(1)
    rest = np.delete(there, unit)
    return label, float(there[unit]), (float(rest.mean()), float(rest.std())) if len(rest) else (np.nan, np.nan)


def _again(again: xr.Dataset | None, unit: int) -> str:
    if again is None:
        return f"{ONE_SEED.capitalize()}."
    count, of = again["replicated"].values[unit], int(again["of"].values[unit])
    if np.isnan(count):
        return "No other network was asked for one that never changes."
    return f"A matching unit, better than in a rotated basis, exists in {int(count)} of {of} other seeds."


def _found_again(look: FirstLook, layer: LayerLook, again: xr.Dataset, seeds: tuple[int | None, ...]) -> Finding:
    """Do a layer's units, as units, come back on other seeds?"""
    others = len(seeds) - 1
    counts, chance = (again[name].values for name in ("replicated", "replicated_by_chance"))
    alive = ~np.isnan(counts)
    share, expected = (float(v[alive].mean() / others) if alive.any() else np.nan for v in (counts, chance))
    often = int((counts[alive] > others / 2).sum())
    each = [float((again["correlation_q"].isel(seed=i) < 0.05).mean()) for i in range(others)]
    holds = bool(share > max(0.05, expected))
    return Finding(
        f"{'some' if holds else 'no'} {layer.axis}s come back on other seeds as {layer.axis}s{'' if holds else ', as far as this shows'}.",
        f"{often} of {layer.size} have a match in more than half of {others} other seeds; on average a {layer.axis} is found again in "
        f"{number(100 * share, 1)} % of them, in rotated bases in {number(100 * expected, 1)} %.",
        f'nm.analysis.similarity.replication([run.activations("{layer.hook_point}").isel(snapshot=-1) for run in runs])',
        holds,
        layer_name(look, layer),
        "matching to a random rotation of the other network's units",
        {"found again (%)": 100 * share},
        f"Of the {others} others, {sum(value > 0.05 for value in each)} hold more than 5 % of them.",
        seeds,
        1 + sum(value > 0.05 for value in each) if holds else 0,
    )
