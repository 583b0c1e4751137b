"""Questions about a whole network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..look import FirstLook
from .sentence import Finding, at_step, band, number, probability


def reading(look: FirstLook) -> Finding:
    """Does it read better than before training?"""
    log = look.run.log
    accuracy, start = (100 * float(log["test_accuracy"][i]) for i in (-1, 0))
    by_class = 100 * log["test_accuracy_by_class"][-1].values
    worst = int(np.nanargmin(by_class))
    return Finding(
        f"it reads {number(accuracy)} % of the test images rightly.",
        f"Untrained: {number(start, 1)} %. It does worst on class {worst} ({number(by_class[worst], 1)} %).",
        'run.log["test_accuracy"], run.log["test_accuracy_by_class"]',
        accuracy > start,
        look.name,
        "the untrained network",
        {"accuracy (%)": accuracy, "untrained (%)": start},
    )


def order(look: FirstLook) -> Finding:
    """Are some classes learnt before others?"""
    table = look.order
    share, p = float(table["between"]), float(table["between_p"])
    places, at = table["class_order"].values, table["class_learnt_at"].values
    call = 'nm.analysis.predictions.learning_order(run.activations("logits"))'
    if np.isnan(share) or np.isfinite(at).mean() < 0.5 or len(look.run.steps) < 2:
        return Finding("too little is learnt to ask in which order.", "", call, False, look.name)
    learnt = np.where(at == 0, np.nan, places)  # right from step 0: said of everything, not learnt
    first, last = (int(pick(learnt if np.isfinite(learnt).any() else places)) for pick in (np.nanargmin, np.nanargmax))
    holds = p < 0.05
    return Finding(
        f"classes are learnt at different times: {first} first, {last} last."
        if holds
        else "it is not shown that classes are learnt at different times.",
        f"Class {first}: {_learnt(at[first])}; class {last}: {_learnt(at[last])}. {number(100 * share, 1)} % of the spread in the "
        f"images' order lies between the classes, with shuffled labels {band(table, 'between', 1, 100)} % ({probability(p)}).",
        call,
        holds,
        look.name,
        "shuffled labels",
        {"between classes (%)": 100 * share},
    )


def _learnt(step: float) -> str:
    return "less than half of it ever" if np.isnan(step) else f"half of it by {at_step(step)}"


def reliability(look: FirstLook) -> Finding:
    """Is it right as often as it is sure?"""
    table = look.reliability.isel(snapshot=-1) if "snapshot" in look.reliability.dims else look.reliability
    error, p = float(table["ece"]), float(table["ece_p"])
    weights = table["images"] / table["images"].sum()
    sure, right = (100 * float((table[name] * weights).sum()) for name in ("confidence", "accuracy"))
    holds = p < 0.05
    claim = "it is as right as it is sure, as far as these images tell."
    if holds:
        claim = "it is surer than it is right." if sure > right else "it is righter than it is sure."
    return Finding(
        claim,
        f"On average {number(sure, 1)} % sure, and right on {number(right, 1)} % of the probe images. The calibration error is "
        f"{number(error, 3)}; a perfectly calibrated network would show {band(table, 'ece', 3)} ({probability(p)}).",
        'nm.analysis.predictions.calibration_error(run.activations("logits"))',
        holds,
        look.name,
        "labels drawn from the network's own probabilities",
        {"calibration error": error},
    )


def collapse(look: FirstLook) -> Finding:
    """Do the images of a class draw together in the last hidden layer?"""
    if look.collapse is None:
        return Finding("there is no hidden layer that could collapse.", "", "", False, look.name)
    table = look.collapse
    start, end = (float(table["nc1_trace"][i]) for i in (0, -1))
    p = float(table["nc1_trace_p"][-1])
    low, high = look.collapse_change
    holds = p < 0.05 and high < 1
    return Finding(
        f"in the last hidden layer the images of a class {'draw together' if holds else 'are not shown to draw together'}.",
        f"Spread within classes over spread between them goes from {number(start)} untrained to {number(end)}, {number(low)} to "
        f"{number(high)} times as much (95 % interval over images); labels shuffled: "
        f"{band(table.isel(snapshot=-1), 'nc1_trace', 0)} ({probability(p)}).",
        f'nm.analysis.geometry.neural_collapse(run.activations("{look.layers[-1].hook_point}"), logits=run.activations("logits"))',
        holds,
        look.name,
        "the untrained network; shuffled labels",
        {"within / between": end, "untrained": start},
    )


def pruning(look: FirstLook) -> Finding:
    """Do the most selective units matter more than others, all of them together?"""
    if look.cumulative is None:
        return Finding("there are no hidden units to cut out.", "", "", False, look.name)
    table = look.cumulative.sel(order="most selective first")
    area, p = float(table["auc"]), float(table["auc_p"])
    names = [layer.hook_point for layer in look.layers]
    holds = p < 0.05
    worse = area < float(look.cumulative["auc_null_low"])
    claim = (
        f"cutting out the most selective units first does {'more' if worse else 'less'} harm than cutting at random."
    )
    return Finding(
        claim if holds else "cutting out the most selective units first does what cutting at random does.",
        f"One after the other through all layers, an accuracy of {number(100 * area, 1)} % is kept on average over the way; by random "
        f"orders {band(look.cumulative, 'auc', 1, 100)} % ({probability(p)}).",
        f"nm.analysis.causal.cumulative_ablation(run.model(), run.probe, {names}, draws=41)",
        holds,
        look.name,
        f"{look.cumulative.sizes['draw']} random orders",
        {"mean accuracy (%)": 100 * area},
    )


QUESTIONS: tuple[Callable[[FirstLook], Finding], ...] = (reading, order, reliability, collapse, pruning)
