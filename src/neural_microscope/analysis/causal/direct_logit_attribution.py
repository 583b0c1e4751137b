"""Direct logit attribution: the logits as a sum over units."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import HookError
from ...hooks import HookedModel, evaluation, hooked
from ...measure import measure, of
from ...models import Network
from ...statistics import beside, shuffles
from .downstream import BATCH, axis_of, logits_of, numbers, refuse_diverged, tensors
from .planted import FEW, dead, reader


@measure(
    "causal",
    title="Direct logit attribution",
    null="an identity; evidence: {draws} shuffles of the labels",
    replicates="image",
    interval="null band only",
    family="units and classes",
    source="logit_k = rest_k + sum_n a_n d logit_k / d a_n: Elhage et al. 2021",
)
def direct_logit_attribution(
    model: nn.Module, images: ImageSet, hook_point: str | None = None, *, draws: int = 100, seed: int = 0
) -> xr.Dataset:
    """The logits of each image as a sum over the units of a layer.

    At the last layer the contribution is W_kn a_n and the rest is the bias, an identity, not an estimate. For an
    earlier layer it is the sum over all paths at the image's own activation mask: exact for ReLU networks with max or
    average pooling at that mask, a first-order approximation for others; the rest then holds the biases of later
    layers.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``; None: the last before the logits.
        draws: Number of draws of the null (shuffles of the labels).
        seed: Seed of the null's draws.

    Returns:
        Logits of each image and their parts.

        * ``contribution`` [example, unit, class]: a_n · d logit / d a_n, summed over a channel's positions.
        * ``rest`` [example, class]: the logit minus the sum of all contributions.
        * ``logits`` [example, class].
        * ``evidence`` [unit, class]: mean contribution to a class's logit on that class's images minus on all others;
          with it ``…_null_low``, ``…_null_high`` under shuffled labels, ``…_p`` (two-sided) and ``…_q`` over units and
          classes; NaN for a class without images, or with all.

    Raises:
        HookError: A foreign module without ``hook_point``.
        DataError: As `ablate_all`.

    >>> parts = nm.analysis.causal.direct_logit_attribution(model, digits.test, draws=10)
    >>> np.allclose(parts["contribution"].sum("unit") + parts["rest"], parts["logits"])
    True
    """
    lens = hooked(model)
    if hook_point is None:
        if not isinstance(lens, Network):
            raise HookError("the last hook point of a foreign module is unknown; give hook_point=")
        hook_point = [name for name in lens.hook_points if name != "logits"][-1]
    with evaluation(lens):
        parts = zip(*(tensor.split(BATCH) for tensor in tensors(model, images)), strict=True)
        found = [_contributions(lens, pixels, labels, hook_point) for pixels, labels in parts]
    axes, *both = zip(*found, strict=True)
    axis, (contribution, logits) = axes[0], (np.concatenate(x) for x in both)
    return xr.Dataset(
        {
            "contribution": (("example", axis, "class"), contribution, {"units": "logit"}),
            "rest": (("example", "class"), logits - contribution.sum(1), {"units": "logit"}),
            "logits": (("example", "class"), logits, {"units": "logit"}),
            **_evidence(contribution, images, axis, draws, seed),
        },
        coords={"label": ("example", images.labels)},
        attrs={"hook_point": hook_point},
    )


def _contributions(lens: HookedModel, pixels: Tensor, labels: Tensor, layer: str) -> tuple[str, np.ndarray, np.ndarray]:
    """(axis, contributions [example, unit, class], logits)."""
    seen: list[Tensor] = []

    def grab(tensor: Tensor, hook: object) -> Tensor:
        seen.append(tensor.detach().requires_grad_(True))
        return seen[0]

    with torch.enable_grad(), lens.hooks([(layer, grab)]):
        output = lens(pixels)
        acts = seen[0]
        refuse_diverged(acts, layer)
        logits = logits_of(output, labels)
        axis = axis_of(acts, layer)
        slopes = [torch.autograd.grad(one.sum(), acts, retain_graph=True)[0] for one in logits.unbind(1)]
    parts = [(numbers(acts) * numbers(s)).reshape(*acts.shape[:2], -1).sum(2) for s in slopes]
    return axis, np.stack(parts, axis=2), numbers(logits)


def _evidence(
    contribution: np.ndarray, images: ImageSet, axis: str, draws: int, seed: int
) -> dict[str, tuple[Any, ...]]:
    classes = contribution.shape[2]

    def difference(labels: np.ndarray) -> np.ndarray:
        own = np.eye(classes)[labels]
        n = own.sum(0)
        full = (n > 0) & (n < len(labels))
        inside = np.einsum("euc,ec->uc", contribution, own)
        return inside / np.where(full, n, np.nan) - (total - inside) / np.where(full, len(labels) - n, np.nan)

    total = contribution.sum(0)
    value = difference(images.labels)
    null = np.stack([difference(fake) for fake in shuffles(images.labels, draws, seed)])
    return beside("evidence", value, null, (axis, "class"), side="both", units="logit")


@of(direct_logit_attribution).calibrated_on(
    "the logits of a random network",
    lambda model, images, _: model(images.tensor().double()).detach()[0, 0],
    1e-12,
    empty="a layer of dead units; alarm: any contribution that is not 0",
    read=lambda found: (found["contribution"].sum("unit") + found["rest"])[0, 0],
    alarm="contribution",
    name="direct logit attribution (sum)",
    exact=True,
    unit="logit",
    draws=1,
)
def _sum(seed: int, planted: bool) -> tuple[Any, ...]:
    return reader(seed, False) if planted else dead(seed)


@of(direct_logit_attribution).calibrated_on(
    "a unit with activation 1 in one class and 0 in the other, with weight 6",
    6,
    1e-12,
    empty="random weights and labels; alarm: q < 0.05 for a unit and a class",
    read=lambda found: found["evidence"][0, 1],
    alarm="evidence_shown",
    name="direct logit attribution (evidence)",
    unit="logit",
    draws=199,
)
def _witness(seed: int, planted: bool) -> tuple[Any, ...]:
    return reader(seed, planted, FEW)
