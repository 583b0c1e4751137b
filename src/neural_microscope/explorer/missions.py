"""Questions of the page whose answer is one unit: the unit, and the counts that answer it.

A unit is chosen on one half of the images and counted on the other too, so that the selection does not bias the count. A question
whose answer several units share, or on which the halves disagree, is not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from ..analysis.causal import ablated_logits
from ..analysis.look import LayerLook
from ..claim import Claim
from ..data import ImageSet
from ..statistics import halves
from ..training import evaluate
from .measured import plain

Layers = Sequence[tuple[int, LayerLook]]
"""Layers whose units were recorded and measured, each with its index on the page."""

NEEDED = {"selectivity.class_selectivity", "causal.ablate_all"}

FEWEST_RANKED = 3
"""The fewest units for a question about their rank."""


def missions(layers: Layers, claims: Sequence[Claim]) -> list[dict[str, Any]]:
    """The questions that have one answer, each with the numbers that answer it, and the ids of the claims about it."""
    able = [(place, layer) for place, layer in layers if layer.results.keys() >= NEEDED]
    return [found for ask in (lost, confused, selective) if able and (found := ask(able, claims))]


def errors(model: nn.Module, images: ImageSet) -> int:
    """The number of images that the network misclassifies: some questions need a few, some need most not to be."""
    return int((evaluate(model, images).logits.argmax(1).cpu().numpy() != images.labels).sum())


def lost(layers: Layers, claims: Sequence[Claim]) -> dict[str, Any] | None:
    """The unit whose ablation makes most images of one class misclassified: the layer and class with the largest effect.

    ``counts`` [half][unit]: images of the class that are newly wrong, less those newly right.
    """
    best: dict[str, Any] = {}
    for place, layer in layers:
        effects = layer["causal.ablate_all"]
        labels, right = effects["label"].values, effects["right_change"].values
        for label in np.unique(labels):
            parts = [half[labels[half] == label] for half in halves(labels)]
            counts = [-right[:, part].sum(1) for part in parts]
            unit = _of_both(counts)
            if unit is not None and counts[0][unit] > best.get("most", 0):
                about = _claims(claims, layer, ["a unit matters"], unit)
                best = {"most": counts[0][unit], "layer": place, "unit": unit, "classes": [int(label)], "claims": about}
                best |= {"images": [len(part) for part in parts], "counts": [plain(c.astype(int)) for c in counts]}
    best.pop("most", None)
    return {"kind": "lost", **best} if best else None


def confused(layers: Layers, claims: Sequence[Claim]) -> dict[str, Any] | None:
    """The unit in the last layer whose ablation most increases the confusions between the two most confused classes.

    ``before`` [half]: confused images of the unchanged network; ``counts`` [half][unit]: how many more without the unit.
    """
    place, layer = layers[-1]
    logits = ablated_logits(layer.model, layer.run.probe, layer.hook_point)
    labels, base = logits["label"].values, logits["base"].values.argmax(1)
    matrix = np.zeros((layer.run.probe.classes,) * 2, int)
    np.add.at(matrix, (labels, base), 1)
    pairs = np.triu(matrix + matrix.T, 1)
    a, b = (int(i) for i in np.unravel_index(pairs.argmax(), pairs.shape))
    read = np.vstack([base[None], logits["ablated"].values.argmax(2)])
    wrong = ((labels == a) & (read == b)) | ((labels == b) & (read == a))
    sides = halves(labels)
    before, *without = np.stack([wrong[:, half].sum(1) for half in sides], axis=1)
    counts = np.array(without).T - before[:, None]
    unit = _of_both(list(counts))
    if not pairs[a, b] or unit is None or counts[0][unit] <= 0:
        return None
    return {
        "kind": "confused",
        "layer": place,
        "unit": unit,
        "classes": [a, b],
        "images": [int(np.isin(labels[half], (a, b)).sum()) for half in sides],
        "before": before.tolist(),
        "counts": counts.tolist(),
        "claims": _claims(claims, layer, ["a unit matters"], unit),
    }


def selective(layers: Layers, claims: Sequence[Claim]) -> dict[str, Any] | None:
    """The most selective unit of the last layer that has any, and its loss increase compared with all others'."""
    for place, layer in reversed(layers):
        values = layer["selectivity.class_selectivity"]["selectivity"].values
        losses = layer["causal.ablate_all"]["loss_increase"].values
        judged = np.flatnonzero(np.isfinite(values) & np.isfinite(losses))
        first = _alone(values[judged])
        if len(judged) < FEWEST_RANKED or first is None:
            continue
        unit = int(judged[first])
        return {
            "kind": "selective",
            "layer": place,
            "unit": unit,
            "units": judged.tolist(),
            "selectivity": plain(values[judged]),
            "loss": plain(losses[judged]),
            "claims": _claims(claims, layer, ["a unit matters", "selectivity and effect go together"], unit),
        }
    return None


def _of_both(counts: Sequence[np.ndarray]) -> int | None:
    """The unit that alone has the highest count on either half of the images; None where they disagree or several share it."""
    chosen, judged = (_alone(one) for one in counts)
    return chosen if chosen == judged else None


def _alone(values: np.ndarray) -> int | None:
    """The index of the highest value, if no other equals it."""
    best = np.flatnonzero(values == values.max()) if len(values) else values
    return int(best[0]) if len(best) == 1 else None


def _claims(claims: Sequence[Claim], layer: LayerLook, rules: Sequence[str], unit: int) -> list[str]:
    """Ids of the claims by these rules about the layer or its unit."""
    return [
        claim.id
        for claim in claims
        if claim.rule in rules and claim.hook_point == layer.hook_point and claim.unit in (None, unit)
    ]
