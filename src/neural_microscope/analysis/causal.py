"""What matters: cut a unit out and see what the network then says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import Tensor, nn

from .. import interventions
from ..data import ImageSet
from ..errors import HookError
from ..hooks import activations, evaluation, hooked
from ..statistics import bootstrap_mean, false_discovery


def ablate_all(
    model: nn.Module,
    images: ImageSet,
    layer: str,
    *,
    progress: Callable[[int, int], None] | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Sets each unit (or channel) of a hook point to 0 in turn and lets the network answer all images.

    ``loss_change`` [unit, example]: change of the image's cross-entropy (nat); ``right_change`` [unit, example]: +1
    where an image is read rightly only now, -1 where only before. ``accuracy_drop`` [unit]: share of the images lost
    (-1..1), with ``…_low`` and ``…_high``, a bootstrap interval over images, and ``…_q``: how likely images lost
    would outnumber images won so by chance (exact sign test, McNemar 1947, false-discovery control over the layer);
    ``accuracy_drop_by_class`` [unit, class]; ``loss_increase`` [unit] with its interval. A dead unit gives exactly 0.
    One forward pass for each unit. ``progress(done, total)`` is called after each.
    """
    lens = hooked(model)
    pixels, labels = images.tensor(), images.label_tensor()
    device = next((p.device for p in model.parameters()), pixels.device)
    pixels, labels = pixels.to(device), labels.to(device)
    axis, units = _units(model, images, layer)
    losses, right = [], []
    with torch.no_grad(), evaluation(lens):
        base_loss, base_right = _answers(lens(pixels), labels)
        for unit in range(units):
            with lens.hooks([(layer, _cut(axis, unit))]):
                loss, correct = _answers(lens(pixels), labels)
            losses.append((loss - base_loss).cpu().numpy())
            right.append((correct.int() - base_right.int()).cpu().numpy())
            if progress:
                progress(unit + 1, units)
    return _table(
        np.stack(losses).astype(np.float64),
        np.stack(right),
        images,
        axis,
        layer,
        float(base_right.double().mean()),
        seed,
    )


def _cut(axis: str, number: int) -> interventions.Intervention:
    return interventions.zero(unit=number) if axis == "unit" else interventions.zero(channel=number)


def _units(model: nn.Module, images: ImageSet, layer: str) -> tuple[str, int]:
    one = activations(model, images.subset([0]), layer)[layer]
    axis = {2: "unit", 4: "channel"}.get(one.ndim)
    if axis is None or axis not in one.dims:
        raise HookError(
            f"{layer!r} holds [{', '.join(map(str, one.dims))}]; units or channels can be cut out, nothing else"
        )
    return axis, one.sizes[axis]


def _answers(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(cross-entropy, read rightly) of each image."""
    return nn.functional.cross_entropy(logits, labels, reduction="none"), logits.argmax(1) == labels


def _table(
    losses: np.ndarray, right: np.ndarray, images: ImageSet, axis: str, layer: str, accuracy: float, seed: int
) -> xr.Dataset:
    one_hot = np.eye(images.classes)[images.labels]
    counts = one_hot.sum(0)
    variables: dict[str, Any] = {
        "loss_change": ((axis, "example"), losses),
        "right_change": ((axis, "example"), right),
        "accuracy_drop_by_class": ((axis, "class"), -(right @ one_hot) / np.where(counts, counts, np.nan)),
    }
    for name, values in (("accuracy_drop", -right.astype(np.float64)), ("loss_increase", losses)):
        low, high = bootstrap_mean(values, seed=seed)
        variables |= {name: (axis, values.mean(1)), f"{name}_low": (axis, low), f"{name}_high": (axis, high)}
    lost, won = (right < 0).sum(1), (right > 0).sum(1)
    variables["accuracy_drop_q"] = (axis, false_discovery(stats.binom.sf(lost - 1, lost + won, 0.5)))
    return xr.Dataset(
        variables,
        coords={"label": ("example", images.labels)},
        attrs={
            "n_examples": len(images),
            "accuracy": accuracy,
            "hook_point": layer,
            "intervention": "zero",
            "interval": "95 % bootstrap over images of one network; another seed may differ more",
            "seed": seed,
        },
    )
