"""Logits of a network without each of its units, and whether a unit's loss increase depends on the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from scipy import stats
from torch import nn

from ...data import ImageSet
from ...hooks import evaluation, hooked
from ...measure import measure, of
from ...statistics import Law, beside, mean_interval
from .downstream import Downstream, batches, numbers
from .planted import reader


@measure(
    "causal",
    title="Logits without each unit",
    null="none: logits",
    replicates="–",
    interval="–",
    source="zero ablation",
)
def ablated_logits(model: nn.Module, images: ImageSet, hook_point: str) -> xr.Dataset:
    """Logits of all images, and their logits with each unit (or channel) of a hook point in turn set to 0.

    Exact, as in `ablate_all`, whose errors it raises.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.

    Returns:
        ``base`` [example, class] and ``ablated`` [unit, example, class].
    """
    parts = []
    with torch.no_grad(), evaluation(hooked(model)):
        for _, down, _ in batches(model, images, hook_point):
            parts.append(with_and_without(down))
    base, ablated = zip(*parts, strict=True)
    return xr.Dataset(
        {
            "base": (("example", "class"), np.concatenate(base), {"units": "1"}),
            "ablated": ((down.axis, "example", "class"), np.concatenate(ablated, axis=1), {"units": "1"}),
        },
        coords={"label": ("example", images.labels)},
    )


def with_and_without(down: Downstream) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a batch, [example, class], and those without each unit, [unit, example, class]."""
    found = torch.cat([logits for _, logits, _ in down.each_unit(torch.zeros_like(down.acts))])
    return numbers(down.logits), numbers(found)


@measure(
    "causal",
    title="Label dependence of ablation",
    null="labels at random, in closed form",
    replicates="image",
    interval="95% t interval over images of one network",
    family="units of a layer",
    source="zero ablation, and its expectation over shuffled labels",
)
def label_dependence(model: nn.Module, images: ImageSet, hook_point: str) -> xr.Dataset:
    """Loss increase from ablating each unit (or channel) on the images' labels, minus that on random labels.

    Errors are those of `ablate_all`.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.

    Returns:
        Values for each unit, exactly 0 (and p 1) for a dead one.

        * ``loss_beyond_labels`` [unit]: in nats, mean over the images of the loss increase for the image's label, minus
          that for a label drawn from all the labels: Σ_c π_c z_c - z_y of the change of the logits z, in which the
          softmax's normalization cancels. 0 is expected where labels are independent of the unit. ``…_low``,
          ``…_high``: 95% t interval over images; ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided t), ``…_q`` over
          the layer, ``…_shown``.
        * ``beyond_labels`` [unit, example]: the same of each image.
    """
    logits = ablated_logits(model, images, hook_point)
    change = logits["ablated"].values - logits["base"].values
    shares = np.bincount(images.labels, minlength=change.shape[2]) / len(images)
    each = change @ shares - change[:, np.arange(len(images)), images.labels]  # [unit, example]
    value, law, interval = mean_above_zero(each)
    axis = logits["ablated"].dims[0]
    return xr.Dataset(
        {
            **beside("loss_beyond_labels", value, law, axis, units="nats", interval=interval),
            "beyond_labels": ((axis, "example"), each, {"units": "nats"}),
        },
        coords={"label": ("example", images.labels)},
    )


def mean_above_zero(each: np.ndarray) -> tuple[np.ndarray, Law, tuple[np.ndarray, np.ndarray]]:
    """(mean [unit], its one-sided t law about 0, its 95% t interval) of values [unit, example]."""
    n, mean = each.shape[1], each.mean(1)
    low, high = mean_interval(each.sum(1), (each**2).sum(1), n)
    half = (high - low) / 2
    error = half / stats.t.ppf(0.975, n - 1)
    t = np.divide(mean, error, out=np.zeros_like(mean), where=error > 0)
    p = np.where(error > 0, stats.t.sf(t, n - 1), np.where(mean > 0, 0.0, 1.0)).clip(min=np.finfo(float).tiny)
    return mean, Law(-half, half, p), (low, high)


@of(label_dependence).on("layer")
def _dependence(at: Any) -> xr.Dataset:
    return label_dependence(at.model, at.run.probe, at.hook_point)


@of(label_dependence).calibrated_on(
    "a unit whose ablation moves the logits of one class by 6 and -6",
    3,
    1e-12,
    empty="random weights and labels; alarm: q < 0.05 for a unit",
    read="loss_beyond_labels",
    name="ablation and labels",
    unit="nats",
)
def _coded(seed: int, planted: bool) -> tuple[Any, ...]:
    return reader(seed, planted)
