"""The image on which the page opens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from ..analysis.causal.logits import ablated_logits
from ..data import ImageSet
from ..training import evaluate

CANDIDATES = 32
"""The images with the smallest margins, among which the one is sought."""


def opening(networks: Sequence[tuple[nn.Module, Sequence[str]]], images: ImageSet) -> int:
    """The index of the image on which ablating one unit changes most predictions.

    Of the `CANDIDATES` images on which the networks hesitate (the largest margin between a network's two highest
    probabilities is smallest), the one with the largest share of such units in the network where that share is smallest.

    Args:
        networks: Each network and the names of its layers.
        images: The page's images.
    """
    two = [np.sort(evaluate(model, images).logits.softmax(1).numpy(), axis=1)[:, -2:] for model, _ in networks]
    candidates = np.max([high - low for low, high in (pair.T for pair in two)], axis=0).argsort(kind="stable")
    candidates = candidates[:CANDIDATES]
    some = images.subset(candidates)
    shares = [
        np.concatenate([_flipped(model, some, layer) for layer in layers]).mean(0)
        for model, layers in networks
        if layers
    ]
    return int(candidates[np.min(shares, axis=0).argmax() if shares else 0])


def _flipped(model: nn.Module, images: ImageSet, layer: str) -> np.ndarray:
    """True where ablating a unit changes the prediction, [unit, example]."""
    logits = ablated_logits(model, images, layer)
    changed: np.ndarray = logits["ablated"].values.argmax(2) != logits["base"].values.argmax(1)
    return changed
