"""The control of an ablation: the same distance in a direction that no unit owns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import xarray as xr
from scipy.interpolate import CubicSpline
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError
from ...hooks import evaluation, hooked
from ...measure import measure
from ...statistics import random_directions
from .downstream import Downstream, batches, numbers

DRAWS, DRAWS_OF_MAPS = 1000, 100
"""Random directions of a null; fewer where each must pass convolutions."""

STRENGTHS = 3
"""Strengths at which each direction is tried for an image; between them the effect is a cubic spline."""

NULL = "random directions of the same norm for each image, added where the hook point enters the next layer"


@measure(
    "causal",
    title="Ablation of random directions",
    null="is itself the null",
    replicates="direction",
    interval="none",
    source="Morcos et al. 2018",
)
def ablate_directions(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
    *,
    draws: int | None = None,
    directions: np.ndarray | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """The loss that random directions add, each moved along as far as cutting out a unit moves an image.

    ``loss_increase`` [draw, unit] (nat, mean over images): a direction of unit length, drawn uniformly and the same for all
    images, times the norm of what cutting the unit out (zero ablation) takes away from each image. ``norm`` [unit]: the mean
    of that norm. Both are taken where the hook point enters the next layer: after the pooling, for channels. A dead unit
    gives exactly 0. ``draws``: how many (1000; 100 where they pass a convolution), unless ``directions`` are given [draw,
    unit] (or [draw, channel, row, col]), which are scaled to unit length. The effect is found at 3 strengths up to each
    image's longest and interpolated by a cubic spline; a direction may lead below 0, where a ReLU's units never are.
    Errors: DataError for directions of another shape or length 0; otherwise as `ablate_all`.
    """
    total, norms = [], []
    with torch.no_grad(), evaluation(hooked(model)):
        for _, down, labels in batches(model, images, hook_point):
            found = [n for _, _, n in down.each_unit(torch.zeros_like(down.acts))]
            norms.append(numbers(torch.cat(found)))
            chosen = chosen_directions(down, draws if directions is None else directions, seed)
            total.append(matched(down, norms[-1], chosen, losses(labels)))
    return xr.Dataset(
        {
            "loss_increase": (("draw", down.axis), np.sum(total, axis=0) / len(images), {"units": "nat"}),
            "norm": (down.axis, np.concatenate(norms, axis=1).mean(1), {"units": "1"}),
        },
        attrs={
            "n_examples": len(images),
            "hook_point": hook_point,
            "null": "this is one: " + NULL,
            "seed": seed,
            "source": "norm-matched control of zero ablation (Morcos et al. 2018 ablate units without one)",
        },
    )


def chosen_directions(down: Downstream, directions: int | np.ndarray | None, seed: int) -> Tensor:
    """Unit directions in the space of what enters the next map, [draw, …]; None stands for a fitting number of them."""
    shape = down.entering(down.acts[:1]).shape[1:]
    if directions is None:
        directions = DRAWS if down.base.ndim == 2 else DRAWS_OF_MAPS
    if isinstance(directions, int | np.integer):
        if directions < 1:
            raise DataError(f"{directions} random directions are no null; give at least 1")
        drawn = random_directions(int(directions), shape.numel(), seed)
    else:
        given = np.asarray(directions, float)
        if given.shape[1:] != tuple(shape):
            raise DataError(
                f"directions of shape {given.shape} came; here they are [draw, {', '.join(map(str, shape))}]"
            )
        drawn = given.reshape(len(given), -1)
        length = np.linalg.norm(drawn, axis=1, keepdims=True)
        if not (length > 0).all():
            raise DataError("a direction has length 0, or is not finite; it leads nowhere")
        drawn = drawn / length
    return torch.from_numpy(drawn).to(down.base).reshape(-1, *shape)


def matched(
    down: Downstream,
    norms: np.ndarray,
    directions: Tensor,
    score: Callable[[Tensor], Tensor],
    strengths: int = STRENGTHS,
) -> np.ndarray:
    """The change of ``score`` summed over the examples, [draw, unit], when each example moves along a direction by the
    ``norms`` [unit, example] of that unit. ``score``: logits [strength, example, class] -> [strength, example].
    """
    top = norms.max(0)
    steps = (np.arange(1, strengths + 1) / strengths) ** 1.5  # denser near 0, where most units are
    weights = _between(np.divide(norms, top, out=np.zeros_like(norms), where=top > 0), steps)
    base = score(down.logits[None])
    at = torch.from_numpy(np.outer(steps, top)).to(down.base)
    found = []
    for _, logits in down.along(directions, at):
        moved = score(logits.flatten(0, 1)) - base
        found.append(numbers(moved).reshape(len(logits), -1))
    return np.concatenate(found) @ weights.T


def _between(shares: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Weights [unit, step × example] of a cubic spline through 0 and the steps, read at ``shares`` [unit, example]."""
    nodes = np.concatenate([[0.0], steps])
    weights = CubicSpline(nodes, np.eye(len(nodes)))(shares)[..., 1:]  # [unit, example, step]
    return np.moveaxis(weights, 2, 1).reshape(len(shares), -1)


def losses(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """logits [k, example, class] -> cross-entropy [k, example]."""
    return lambda logits: nn.functional.cross_entropy(
        logits.movedim(-1, 1), labels.expand(len(logits), -1), reduction="none"
    )


def right(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """logits [k, example, class] -> whether the class with the highest one (of equal ones the first) is the label."""

    def read(logits: Tensor) -> Tensor:
        at = labels.expand(len(logits), -1)[..., None]
        own = logits.gather(-1, at)[..., 0]
        rival = logits.scatter(-1, at, -torch.inf).amax(-1)  # many times quicker than argmax, which has no vectors
        return logits.argmax(-1) == labels if (own == rival).any() else own > rival

    return read
