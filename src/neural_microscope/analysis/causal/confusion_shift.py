"""Confusion shift: images whose predicted class changes under an intervention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError
from ...hooks import HookedModel, NamesFilter, evaluation, hooked
from ...interventions import zero
from ...measure import measure, of
from ...statistics import beside
from .dose import random_sets
from .downstream import batches, logits_in_batches, numbers, tensors
from .planted import EXAMPLES, MANY, reader


@measure(
    "causal",
    title="Confusion shift",
    null="random units ablated, as many",
    replicates="unit",
    interval="null band only",
    source="C(intervened) - C(baseline)",
)
def confusion_shift(
    model: nn.Module,
    images: ImageSet,
    fwd_hooks: Sequence[tuple[NamesFilter, Any]],
    *,
    hook_point: str | None = None,
    size: int = 1,
    draws: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Change of the confusion matrix under an intervention: intervened minus baseline.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        fwd_hooks: Pairs of a hook point and a hook function, as `HookedModel.hooks` takes them.
        hook_point: Hook point whose units the null ablates; None: that of the first hook, if that is a single name
            (otherwise the null is NaN).
        size: Number of random units that each draw of the null ablates.
        draws: Number of draws of the null (random sets of units); of single units each is drawn at most once.
        seed: Seed of the null's draws.

    Returns:
        Counts and shares of images, with ``…_null_low``, ``…_null_high`` of random units ablated.

        * ``shift`` [class, predicted]: change of the counts, each row sums to exactly 0; ``shift_p`` two-sided.
        * ``moved``: share of the images whose predicted class changes (0..1); ``moved_p`` one-sided.

    Raises:
        DataError: The model has more classes than the images; otherwise as `ablate_all`.

    >>> hooks = [("layers.1.hook_post", nm.interventions.zero(unit=3))]
    >>> table = nm.analysis.causal.confusion_shift(model, digits.test, hooks, draws=10)
    >>> int(abs(table["shift"].sum("predicted")).max())
    0
    """
    if hook_point is None and fwd_hooks and isinstance(fwd_hooks[0][0], str):
        hook_point = fwd_hooks[0][0]
    lens, classes = hooked(model), images.classes
    pixels, labels = tensors(model, images)
    with torch.no_grad(), evaluation(lens):
        before = _read(lens, pixels, labels, classes)
        with lens.hooks(fwd_hooks):
            after = _read(lens, pixels, labels, classes)
        others = _others(model, images, hook_point, size, draws, seed)

    def confusion(predicted: np.ndarray) -> np.ndarray:
        return np.bincount(images.labels * classes + predicted, minlength=classes**2).reshape(classes, classes)

    base = confusion(before)
    null = np.array([confusion(other) for other in others]).reshape(-1, classes, classes) - base
    away = np.array([np.mean(other != before) for other in others])
    shift = beside(
        "shift", confusion(after) - base, null, ("class", "predicted"), side="both", units="images", family=False
    )
    moved = beside("moved", np.mean(after != before), away, units="share of images", family=False)
    words = (
        f"{len(others)} times {size} random units of {hook_point} ablated" if len(others) else "none: give hook_point="
    )
    return xr.Dataset(shift | moved, attrs={"hook_point": hook_point or "", "null": words})


def _read(lens: HookedModel, pixels: Tensor, labels: Tensor, classes: int) -> np.ndarray:
    """The predicted class of each image, [example]."""
    logits = logits_in_batches(lens, pixels, labels)
    if logits.shape[1] > classes:
        raise DataError(f"the model has {logits.shape[1]} classes, the images {classes}; both must belong to one task")
    return numbers(logits.argmax(1)).astype(int)


def _others(model: nn.Module, images: ImageSet, layer: str | None, size: int, draws: int, seed: int) -> np.ndarray:
    """Predicted classes [draw, example] with random units ablated."""
    if layer is None:
        return np.zeros((0, len(images)), int)
    found = []
    for _, down, _ in batches(model, images, layer):
        zeros, sets = torch.zeros_like(down.acts), random_sets(down.units, size, draws, seed)
        answers = [numbers(down.replaced(chosen, zeros[:, chosen]).argmax(1)) for chosen in sets]
        found.append(np.array(answers).reshape(len(sets), -1))
    return np.concatenate(found, axis=1).astype(int)


@of(confusion_shift).calibrated_on(
    "a unit whose ablation misclassifies all images of one class as the other",
    EXAMPLES / 2,
    0,
    empty="one of 45 units with equal effects; alarm: p < 0.05 for the images moved",
    read=lambda found: found["shift"][1, 0],
    alarm="moved_shown",
    name="confusion shift",
    unit="images",
)
def _class_lost(seed: int, planted: bool) -> tuple[Any, ...]:
    model, data, layer = reader(seed, planted, MANY)
    return model, data, [(layer, zero(unit=0 if planted else seed % MANY))]
