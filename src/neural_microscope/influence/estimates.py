"""Estimates of the influence of every training image from recorded networks, without training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..analysis.influence.tangents import Tangents, maps_of, margin, product, tangents
from ..config import ConfigError
from ..data import Dataset
from ..doors import door
from ..errors import DataError, unknown
from ..run import Run
from .targets import Asked, Target, asked
from .trained import data_of, labels_of, runs_of, settings

Method = Literal["kernel", "tracin", "last", "pixels"]
METHODS: tuple[str, ...] = get_args(Method)
"""Methods of `estimate`."""

DAMPING = 0.1
MOST_IMAGES = 20_000
"""Training images beyond which the kernel of all pairs takes more than 2 GB."""


@door
def estimate(
    run: Run | Sequence[Run],
    targets: Target | Sequence[Target],
    *,
    method: Method = "kernel",
    data: Dataset | None = None,
    step: int | None = None,
    damping: float = DAMPING,
) -> xr.DataArray:
    """The influence of each training image on each target, from recorded networks: the change that the image makes.

    ``kernel``: φ′ᵀ(K + λ)⁻¹φ (1 − p), as in TRAK, with the products of gradients themselves in place of their random
    projections: φ the gradient of each training image's margin by all weights, K their products (the empirical neural
    tangent kernel), p the probability of the image's label, φ′ the gradient of the target, all at one snapshot.
    ``tracin``: over the snapshots, the products of the target's gradient and of each image's loss, times minus the
    learning rates of the steps from that snapshot to the next, divided by the number of images: what gradient descent
    on the image did. It leaves out momentum and Adam's scaling. ``last``: the same at one snapshot only, for all steps.
    ``pixels``: the cosine of the pixels of image and test image, times 1 for the same label and -1 for another (for a
    confusion 1, -1 and 0; for a unit 1): a baseline without a network.

    The effect of leaving a set out is estimated as minus the sum of its influences. Only differences within a target
    and method mean anything: the scale is not that of the effect, except that of TracIn roughly.

    Args:
        run: A run, or several of other seeds, over which the mean is taken.
        targets: Targets: `Prediction`, `Confusion`, `Activation`.
        method: ``kernel``, ``tracin``, ``last`` or ``pixels``.
        data: The data of the run; None: the set that `load` knows by the recorded name.
        step: The snapshot of ``kernel`` and ``last``, and the end of ``tracin``; None: the last.
        damping: λ of ``kernel``, as a share of the mean of K's diagonal.

    Returns:
        ``influence`` [target, example] with the coordinates ``target`` (names) and ``label``, that in training.

    Raises:
        UnknownName: Another method, or a step that was not recorded.
        DataError: A network with weights outside of linear maps and convolutions (such as those of a normalization);
            more than 20,000 training images, of which ``kernel`` would need all pairs.
        RunError: A run of a loop of the caller's own, of another task, or of other data.

    Source: TRAK, Park et al. 2023; TracIn, Pruthi et al. 2020.

    >>> influence = nm.influence.estimate(run, nm.influence.Prediction((0, 1)), data=digits, method="tracin")
    >>> influence.dims, influence.shape == (2, len(digits.train))
    (('target', 'example'), True)
    """
    return estimates(run, targets, (method,), data, step, (damping,))[method, damping]


def estimates(
    run: Run | Sequence[Run],
    targets: Target | Sequence[Target],
    methods: Sequence[str],
    data: Dataset | None,
    step: int | None,
    dampings: Sequence[float],
) -> dict[tuple[str, float], xr.DataArray]:
    """`estimate` for several methods, and the kernel for several dampings, each by (method, damping)."""
    runs = runs_of(run)
    for method in methods:
        if method not in METHODS:
            raise unknown("method", method, METHODS)
    for damping in dampings:
        if not 1e-4 <= damping <= 1e6:
            raise ConfigError(f"damping is {damping}; it must be from 0.0001 to 1,000,000")
    data = data_of(runs[0], data)
    question = asked(targets, data.test)
    total: dict[tuple[str, float], np.ndarray] = {}
    for one in runs:
        for key, found in _of_one(one, question, methods, data, step, dampings):
            total[key] = total.get(key, 0) + found / len(runs)
    labels = labels_of(runs[0], data).numpy()
    return {
        (method, damping): xr.DataArray(
            found,
            {"target": question.names, "label": ("example", labels)},
            ("target", "example"),
            "influence",
            {"method": method, "units": "1", "runs": len(runs)} | ({"damping": damping} if method == "kernel" else {}),
        )
        for (method, damping), found in total.items()
    }


def _of_one(
    run: Run, question: Asked, methods: Sequence[str], data: Dataset, step: int | None, dampings: Sequence[float]
) -> list[tuple[tuple[str, float], np.ndarray]]:
    found = []
    for method in methods:
        if method == "kernel":
            each = _kernel(run, question, data, step, dampings)
            found += [(("kernel", damping), one) for damping, one in zip(dampings, each, strict=True)]
        else:
            one = _pixels(run, question, data) if method == "pixels" else _traced(run, question, data, step, method)
            found += [((method, damping), one) for damping in dampings]
    return found


def _of_targets(model: torch.nn.Module, question: Asked) -> list[tuple[Tangents, Tensor]]:
    """For each target the gradients of its images' numbers, and the weights that make means of them [number, example]."""
    images, labels, maps = question.images.tensor(), question.images.label_tensor(), maps_of(model)

    def of(target: Target) -> Tangents:
        return tangents(model, images, lambda tensor, at: target.value(tensor, labels[at]), target.hook_point, maps)

    return [
        (of(target), torch.from_numpy(means).float())
        for target, means in zip(question.targets, question.means, strict=True)
    ]


def _products(of_targets: list[tuple[Tangents, Tensor]], of_train: Tangents) -> Tensor:
    """The products of each target's gradient and each training image's, [target, example]."""
    return torch.cat([means @ product(one, of_train) for one, means in of_targets])


def _kernel(run: Run, question: Asked, data: Dataset, step: int | None, dampings: Sequence[float]) -> list[np.ndarray]:
    images, labels = data.train.tensor(), labels_of(run, data)
    if len(images) > MOST_IMAGES:
        raise DataError(
            f"the kernel of {len(images):,} training images takes {4 * len(images) ** 2 / 1e9:,.0f} GB; give method='tracin', or "
            f"train on at most {MOST_IMAGES:,} images"
        )
    model = run.model(step)
    of_train = tangents(model, images, lambda logits, at: margin(logits, labels[at]))
    kernel = product(of_train, of_train)
    with_targets = _products(_of_targets(model, question), of_train)
    with torch.no_grad():
        wrong = torch.sigmoid(-margin(model(images), labels))
    diagonal = kernel.diagonal().clone()
    found = []
    for damping in dampings:
        kernel.diagonal().copy_(diagonal + damping * diagonal.mean())
        factor, failed = torch.linalg.cholesky_ex(kernel)
        if failed:
            raise DataError(
                f"the kernel with damping {damping:g} can't be inverted in float32; give a larger one, such as {10 * damping:g}"
            )
        found.append((torch.cholesky_solve(with_targets.T, factor).T * wrong).double().numpy())
    return found


def rates(run: Run, step: int | None = None) -> dict[int, float]:
    """The sum of the learning rates of the steps from each snapshot to the next, by the snapshot's step.

    Args:
        run: A run.
        step: The snapshot at which to end; None: the last.
    """
    last = run.steps[-1] if step is None else step
    steps = [one for one in run.steps if one <= last]
    if last not in steps:
        raise unknown("snapshot at step", step, map(str, run.steps))
    rate = run.training["learning_rate"].values
    sums = {first: float(rate[first:then].sum()) for first, then in pairwise(steps)}
    return sums or {steps[0]: float(settings(run).learning_rate)}


def _traced(run: Run, question: Asked, data: Dataset, step: int | None, method: str) -> np.ndarray:
    """Minus the sum over snapshots of rate × product of gradients, over the number of images, [target, example]."""
    images, labels = data.train.tensor(), labels_of(run, data)
    weights = rates(run, step)
    if method == "last":
        weights = {run.steps[-1] if step is None else step: sum(weights.values())}
    total = torch.zeros(len(question.names), len(images))
    for at, rate in weights.items():
        model = run.model(at)
        of_train = tangents(
            model,
            images,
            lambda logits, at: torch.nn.functional.cross_entropy(logits, labels[at], reduction="none"),
        )
        total -= rate / len(images) * _products(_of_targets(model, question), of_train)
    return total.double().numpy()


def _pixels(run: Run, question: Asked, data: Dataset) -> np.ndarray:
    x, y = (part.tensor().flatten(1).double() for part in (data.train, question.images))
    x, y = (one / one.norm(dim=1, keepdim=True).clamp_min(1e-12) for one in (x, y))
    cosine = (y @ x.T).numpy()
    labels = labels_of(run, data).numpy()
    parts = [
        means @ cosine * target.likeness(data.test, labels)
        for target, means in zip(question.targets, question.means, strict=True)
    ]
    return np.concatenate(parts)
