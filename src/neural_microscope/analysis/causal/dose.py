"""Dose-response: loss and predictions as units are scaled down and up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from ...claim import Claim, say
from ...data import ImageSet
from ...errors import DataError, HookError
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...statistics import beside, bootstrap_mean
from .directions import losses
from .downstream import batches, by_class, numbers
from .planted import MANY, dies, reader

FACTORS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
OTHERS = 20
"""Other units, in addition to the one whose ablation raises the loss most, in the default analysis."""
IMAGES = 400
"""Probe images there, balanced over the classes: each unit and factor is a forward pass."""


@measure(
    "causal",
    title="Dose and response",
    null="other random units of the layer, scaled in the same way",
    replicates="image",
    interval="95% bootstrap over images of one network",
    family="factors",
    source="L(a_n := f a_n) - L",
    place=260,
)
def dose_response(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
    unit: int | Sequence[int],
    *,
    factors: Sequence[float] = FACTORS,
    draws: int = 39,
    seed: int = 0,
) -> xr.Dataset:
    """Loss, accuracy and logits when a unit (or several together) is multiplied by a factor.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        unit: Index of a unit, or of several different ones.
        factors: Factors on the activation: 0 is zero ablation, 1 changes exactly nothing.
        draws: Number of draws of the null (other units of the layer, all of them where it has fewer; for k units random
            sets of k; 39 can reach a p of 0.025).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        Values at each factor, the coordinate ``factor`` on bin.

        * ``loss_increase`` [bin]: nats, mean over images, with ``…_low``, ``…_high``, a bootstrap interval over images;
          ``…_null_low``, ``…_null_high``: the same of the other units; ``…_p``: the share of them that raise the loss
          as much (one-sided); ``…_q`` over the factors. NaN in a layer without other units.
        * ``accuracy`` [bin] (0..1), ``accuracy_by_class`` [bin, class] (NaN for a class without images).
        * ``logits`` [bin, class]: their means.

    Raises:
        HookError: A unit that does not exist.
        DataError: No factors, or one that is not finite; otherwise as `ablate_all`.

    >>> doses = nm.analysis.causal.dose_response(model, digits.test, "layers.1.hook_post", unit=3)
    >>> float(doses["loss_increase"][doses["factor"].values == 1].item())
    0.0
    """
    scale = np.asarray(factors, float)
    if not scale.size or not np.isfinite(scale).all():
        raise DataError(f"factors are {scale.tolist()}; give one or more, all finite")
    parts, null = [], []
    with torch.no_grad(), evaluation(hooked(model)):
        for _, down, labels in batches(model, images, hook_point):
            chosen = checked(unit, down.units, hook_point)
            sets = random_sets(down.units, len(chosen), draws, seed, apart=chosen)
            score = losses(labels)
            base = score(down.logits[None])
            answers = down.scaled(chosen, scale.tolist())
            found = score(answers) - base, answers.argmax(-1) == labels, answers
            parts.append([numbers(one) for one in found])
            null.append([numbers(score(down.scaled(s, scale.tolist())) - base).sum(1) for s in sets])
    loss, right, logits = (np.concatenate(one, axis=1) for one in zip(*parts, strict=True))
    drawn = np.sum(null, axis=0).reshape(-1, len(scale)) / len(images)
    interval, share = bootstrap_mean(loss, seed=seed), {"units": "share of images"}
    return xr.Dataset(
        {
            **beside("loss_increase", loss.mean(1), drawn, "bin", units="nats", interval=interval),
            "accuracy": ("bin", right.mean(1), share),
            "accuracy_by_class": (("bin", "class"), by_class(right, images), share),
            "logits": (("bin", "class"), logits.mean(1), {"units": "1"}),
        },
        coords={"factor": ("bin", scale)},
        attrs={"unit": chosen, "null": f"{len(drawn)} random other units of the layer, scaled alike"},
    )


def checked(unit: int | Sequence[int], units: int, layer: str) -> list[int]:
    """The units as a list; a HookError for one that does not exist, or none."""
    chosen = [int(u) for u in np.atleast_1d(np.asarray(unit))]
    wrong = [u for u in chosen if not 0 <= u < units]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        came = wrong[0] if wrong else chosen
        raise HookError(
            f"{layer!r} has units 0 to {units - 1}; got {came}. Give one of them, or several different ones"
        )
    return chosen


def random_sets(units: int, size: int, n: int, seed: int, apart: Sequence[int] = ()) -> list[list[int]]:
    """Up to ``n`` different random sets of ``size`` units without those in ``apart``; of single units each at most once."""
    left = np.setdiff1d(np.arange(units), list(apart))
    rng = np.random.default_rng(seed)
    if size > len(left):
        return []
    if size == 1:
        return [[int(u)] for u in rng.permutation(left)[:n]]
    return [[int(u) for u in rng.choice(left, size, replace=False)] for _ in range(n)]


@of(dose_response).on("layer")
def _dose(at: Any) -> xr.Dataset | None:
    """For the unit whose ablation raises the loss most; None if none raises it."""
    added = at["causal.ablate_all"]["loss_increase"].values
    most = int(added.argmax())
    if not added[most] > 0:
        return None
    images = at.run.probe.balanced(min(IMAGES, at.run.probe.most_balanced))
    return dose_response(at.model, images, at.hook_point, most, draws=OTHERS)


@of(dose_response).describe("layer", part="units")
def _doses(at: Any) -> Iterator[Claim]:
    table = at["causal.dose_response"]
    if table is not None:
        yield say(
            "dose and response",
            f"on {{images:,}} images the loss {{ablated:rises3}} nats when {at.axis} {{unit:,}} is ablated, and {{scaled:rises3}} nats "
            "when its activation is multiplied by {factor:g}.",
            ablated=float(table["loss_increase"][0]),
            scaled=float(table["loss_increase"][-1]),
            factor=float(table["factor"][-1]),
            unit=int(table.attrs["unit"][0]),
            images=int(table.attrs["n_examples"]),
        )


of(dose_response).picture(
    "dose_response",
    "The unit whose ablation raises the loss most, scaled. In color: the classes, at most three, whose accuracy changes most over all "
    "factors together.",
    more=True,
)


@of(dose_response).calibrated_on(
    "a unit whose doubling adds 6 to a known logit difference",
    (dies(18) - dies(6)) / 2,
    1e-12,
    empty="one of 45 units with equal effects; alarm: q < 0.05 when ablated",
    read="loss_increase",
    name="dose and response",
    unit="nats",
)
def _doubled(seed: int, planted: bool) -> dict[str, Any]:
    model, images, layer = reader(seed, planted, MANY)
    unit, factor = (0, 2.0) if planted else (seed % MANY, 0.0)
    return {"model": model, "images": images, "hook_point": layer, "unit": unit, "factors": (factor,)}
