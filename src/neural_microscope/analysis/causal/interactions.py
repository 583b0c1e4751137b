"""Pairwise ablation: units that are redundant, and units that depend on each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...models import MLP
from ...statistics import Law, beside, mean_interval, sign_flips
from .ablation import ROUNDING
from .directions import losses
from .downstream import Downstream, batches, numbers
from .planted import LAYER, UNITS, coded, dead, dies, images, random, wired


@measure(
    "causal",
    title="Pairwise interactions",
    null="each image's interaction had either sign with equal probability (in closed form, an upper bound): does the sign hold on other "
    "images; not whether it exceeds that of two directions",
    replicates="image",
    interval="95% t interval over images of one network",
    family="pairs of units",
    source="L(no a, no b) - L(no a) - L(no b) + L; random signs: Bentkus & Dzindzalieta 2015",
)
def interactions(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
) -> xr.Dataset:
    """Loss increase of each pair of units (or channels) ablated together, minus those of the two ablated alone.

    Above 0 the two are redundant: either can replace the other. Below 0 they depend on each other: without the one, the
    other contributes less.

    The null tests whether the sign would hold on other images: if each image's interaction had either sign with equal
    probability, how often would their mean be as large? That two units interact at all is expected: the loss is curved,
    so most directions do. Size and sign are informative; and of many pairs the strongest appear stronger than they are.

    Exact, as `ablate_all`, whose errors it raises. Memory: some numbers for each pair, and a batch of images.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.

    Returns:
        Values for each pair and each unit; in a layer of one unit, which has no pairs, all is NaN.

        * ``interaction`` [unit, unit_b]: nats, mean over images; symmetric, NaN on the diagonal, exactly 0 for a dead
          unit. ``…_null_low``, ``…_null_high``: where at least 95% of the null's means lie; ``…_p`` (two-sided, an
          upper bound, see `statistics.sign_flips`); ``…_q`` over all pairs; ``…_low``, ``…_high``: a t interval over
          images.
        * ``loss_increase`` [unit]: of a single unit.

    >>> pairs = nm.analysis.causal.interactions(model, digits.test, "layers.1.hook_post")["interaction"]
    >>> pairs.dims, np.allclose(pairs, pairs.T, equal_nan=True)
    (('unit', 'unit_b'), True)
    """
    singles: list[np.ndarray] = []
    sums: Any = 0
    with torch.no_grad(), evaluation(hooked(model)):
        for _, down, labels in batches(model, images, hook_point):
            score, zeros = losses(labels), torch.zeros_like(down.acts)
            base = score(down.logits[None])
            single = torch.cat([score(logits) - base for _, logits, _ in down.each_unit(zeros)])
            singles.append(numbers(single))
            after = [_with(unit, down, labels, single) for unit in range(down.units)]
            sums = sums + np.concatenate(after, axis=1)  # in the order of the pairs above the diagonal
    axis, n = down.axis, len(images)
    table = xr.Dataset({"loss_increase": (axis, np.concatenate(singles, axis=1).mean(1), {"units": "nats"})})
    one, other = np.triu_indices(down.units, 1)
    p, reach = sign_flips(
        np.maximum(np.abs(sums[0]) - n * ROUNDING, 0), sums[1]
    )  # differences within rounding error count as 0
    null, interval = Law(-reach / n, reach / n, p), mean_interval(sums[0], sums[1], n)
    judged = beside("interaction", sums[0] / n, null, "pair", units="nats", interval=interval)
    for name, (_, values, units) in judged.items():
        matrix = np.full((down.units, down.units), False if values.dtype == bool else np.nan)
        matrix[one, other] = matrix[other, one] = values
        table[name] = ((axis, f"{axis}_b"), matrix, units)
    return table


def _with(unit: int, down: Downstream, labels: Tensor, single: Tensor) -> np.ndarray:
    """Interactions of a unit with each one after it: their sum over the images and the sum of their squares, [2, unit]."""
    score, zeros = losses(labels), torch.zeros_like(down.acts)
    without = down.changed(unit, zeros[:, unit])
    base, found = score(without.logits[None]), [np.zeros((2, 0))]
    for units, logits, _ in without.each_unit(zeros, unit + 1):
        each = score(logits) - base - single[units]
        found.append(numbers(torch.stack([x.sum(1, dtype=torch.float64) for x in (each, each.square())])))
    return np.concatenate(found, axis=1)


# Phantoms.


def _either() -> MLP:
    """Units 0 and 1 both read pixel 0, and either is sufficient: logits ± (6 * min(1, unit 0 + unit 1) - 3)."""
    first, either = np.eye(UNITS), np.zeros((2, UNITS))
    first[1] = first[0]
    either[:, :2] = 1
    model = wired(first, either, np.array([[-6.0, 6.0], [6.0, -6.0]]), bias=np.array([3.0, -3.0]))
    with torch.no_grad():
        model.get_parameter("layers.1.linear.bias")[1] = -1  # relu(s) - relu(s - 1) is min(1, s)
    return model


@of(interactions).calibrated_on(
    "two redundant units: no change without one, all misclassified without both",
    (dies(-6) - dies(6)) / 2,
    1e-12,
    empty="a layer of dead units; alarm: any interaction that is not 0",
    read=lambda found: found["interaction"][0, 1],
    alarm=lambda found: found["interaction"].fillna(0).any(),
    name="interaction of two units",
    exact=True,
    unit="nats",
)
def _both(seed: int, planted: bool) -> tuple[Any, ...]:
    """Ablating one of them has no effect; ablating both is equivalent to pixel 0 dark."""
    return (_either(), coded(seed), LAYER) if planted else dead(seed)


@of(interactions).calibrated_on(
    "the same pair among 28: it is shown, and no other",
    1,
    0,
    empty="a random network near indecision, and random labels; alarm: q < 0.05 for a pair",
    read=lambda found: np.argwhere(np.triu(found["interaction_shown"])).tolist() == [[0, 1]],
    alarm="interaction_shown",
    name="interaction that holds on other images",
    unit="pairs",
)
def _undecided(seed: int, planted: bool) -> tuple[Any, ...]:
    """Random, and nearly undecided between the classes: with labels independent of the images, two units interact on each
    image, but with either sign equally often.
    """
    if planted:
        return _either(), coded(seed), LAYER
    model = random(seed, UNITS, 4)
    with torch.no_grad():
        model.get_parameter("output.weight").mul_(0.01)
    return model, images(seed), LAYER
