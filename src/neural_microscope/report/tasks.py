"""Words of a page about networks that do not classify: their task, their loss, and which measures lack class labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ..analysis.look import FirstLook
from ..claim import Claim
from ..measure import on_pages

TASKS = {
    "regression": "a regression",
    "multi-label": "multi-label classification",
    "reconstruction": "to reconstruct its inputs",
    "other": "a task that its run does not name",
}
OF_CLASSES = (
    "dynamics.learning_by_class",
    "geometry.neural_collapse",
    "predictions.calibration_error",
    "predictions.confusion",
    "predictions.confusion_over_time",
    "predictions.learning_order",
)
"""Measures of predicted classes, which take a network's outputs for logits."""
_NEEDS_LABELS = re.compile("class labels|a number for each class")


def by_task(look: FirstLook) -> FirstLook:
    """The look, without measures of predicted classes where the task is another: as many outputs as classes may be no logits."""
    task = look.run.task
    if task == "classification" or look.run.probe.labels is None:
        return look
    reason = f"this takes predicted classes, and the network was trained {'' if task == 'reconstruction' else 'for '}{TASKS[task]}"
    results = {name: result for name, result in look.results.items() if name not in OF_CLASSES}
    return replace(look, results=results, missing=look.missing | dict.fromkeys(OF_CLASSES, reason))


def about(look: FirstLook) -> str:
    """A sentence on the network's task, and which measures lack labels; of a classification nothing."""
    task = look.run.task
    if task == "classification":
        return ""
    said = f"The {look.name} was trained {'' if task == 'reconstruction' else 'for '}{TASKS[task]}."
    titles = "; ".join(unlabeled(look))
    return said + (f" The probe has no class labels, so these measures are left out: {titles}." if titles else "")


def unlabeled(look: FirstLook) -> list[str]:
    """Titles of the measures that a run without class labels lacks for that reason, in the order of a page."""
    if look.run.probe.labels is not None:
        return []
    reasons = [(name.partition("/")[0], why) for at in (look, *look.layers) for name, why in at.missing.items()]
    lacking = {name for name, why in reasons if _NEEDS_LABELS.search(why)}
    return [measure.title for measure in on_pages() if measure.name in lacking]


def spoken(claims: Sequence[Claim], looks: Sequence[FirstLook]) -> list[Claim]:
    """The claims, without an accuracy and nats where a network has none, and with one short reason where labels lack."""
    others = {look.name: look for look in looks if look.run.task != "classification"}
    return [_spoken(claim, others[claim.network]) if claim.network in others else claim for claim in claims]


def _spoken(claim: Claim, look: FirstLook) -> Claim:
    if claim.rule == "the training":
        yes = claim.yes.replace("test loss {loss:3} nats, test error {error:2%}", "test loss {loss:3}")
        numbers = {name: value for name, value in claim.numbers.items() if name != "error"}
        return replace(claim, yes=yes, no=yes, numbers=numbers)
    reason = str(claim.numbers.get("reason", ""))
    if look.run.probe.labels is None and _NEEDS_LABELS.search(reason):
        return replace(claim, numbers={"reason": "it needs class labels, and the probe has none."})
    return claim
