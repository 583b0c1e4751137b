"""Sharpness: the top eigenvalue of the loss's Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from ...config import MLPConfig
from ...data import ImageSet
from ...errors import DataError, unknown
from ...hooks import evaluation, lent
from ...measure import measure, of
from ...models import MLP

Loss = Literal["cross-entropy", "mse"]

_ENOUGH = 1e-4
"""A residual of this share of the sharpness ends the search: the value's own error is then about its square."""


@measure(
    "dynamics",
    title="Sharpness",
    null="none: shown with 2 / learning rate and the untrained network",
    replicates="set of images",
    interval="none: exact for these images within the residual",
    source="Cohen et al. 2021 (edge of stability); Lanczos 1950, fully reorthogonalized",
)
def sharpness(
    model: nn.Module,
    images: ImageSet,
    *,
    n: int | None = None,
    iterations: int = 30,
    seed: int = 0,
    loss: Loss = "cross-entropy",
    batch_size: int = 250,
) -> xr.Dataset:
    """The top eigenvalue of the Hessian of the mean loss over all parameters that need a gradient, by Lanczos.

    Evaluation mode, as the network is used; dropout and batch statistics do not enter. No gradient is left in the
    model.

    It has no null of its own: full-batch gradient descent of rate eta is stable below 2 / eta, and the untrained
    network's sharpness is where training starts. It holds for these images exactly, and changes when units are rescaled
    although the network's function does not.

    Args:
        model: Network, or any torch module.
        images: Images with labels over which the loss is taken.
        n: Number of images to draw of these; None: all.
        iterations: Products of the Hessian with a vector at most (double backward passes).
        seed: Seed of the images drawn and of the first vector.
        loss: ``cross-entropy`` (nats), or ``mse``, half the squared distance between logits and the one-hot label,
            summed over classes.
        batch_size: Number of images in a pass.

    Returns:
        Scalars in the loss's unit.

        * ``sharpness``: the largest Ritz value, the basis kept orthogonal; it exceeds the true value only by rounding.
          Exactly 0 if the loss has no curvature.
        * ``residual``: ||H v - sharpness · v|| for the unit vector v found: some eigenvalue lies within it.
        * ``converged``: the residual is at most 1% of the sharpness.
        * ``products``: the number of products computed.

    Raises:
        UnknownName: A loss that does not exist.
        DataError: A loss that is not finite, logits that are not [example, class], a model without trainable
            parameters, or ``n`` that is not 1 to the number of images.

    >>> bool(nm.analysis.dynamics.sharpness(model, digits.test, n=50)["converged"])
    True
    """
    if loss not in ("cross-entropy", "mse"):
        raise unknown("loss", loss, ("cross-entropy", "mse"))
    if n is not None and not 1 <= n <= len(images):
        raise DataError(f"n is {n}; with {len(images)} images it must be 1 to {len(images)}")
    if n is not None:
        images = images.subset(np.sort(np.random.default_rng(seed).choice(len(images), n, replace=False)))
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise DataError("the model has no parameter that requires a gradient, so its loss has no Hessian")
    pixels, labels = images.tensor().to(parameters[0]), images.label_tensor().to(parameters[0].device)
    batches = list(zip(pixels.split(batch_size), labels.split(batch_size), strict=True))

    def product(vector: Tensor) -> Tensor:
        means = (_summed(model(lent(some)), here, loss) / len(images) for some, here in batches)
        return torch.stack([_curvature(value, parameters, vector) for value in means]).sum(0)

    with evaluation(model), torch.enable_grad():
        value, residual, products = _lanczos(product, parameters, iterations, seed)
    units = {"units": "nats" if loss == "cross-entropy" else "1"}
    return xr.Dataset(
        {
            "sharpness": ((), value, units),
            "residual": ((), residual, units),
            "converged": ((), bool(residual <= 0.01 * abs(value))),
            "products": ((), products, {"units": "1"}),
        },
        attrs={"n_examples": len(images), "loss": loss},
    )


def _curvature(value: Tensor, parameters: list[nn.Parameter], vector: Tensor) -> Tensor:
    """The Hessian of a ``value`` times a flat vector of all parameters."""
    if not torch.isfinite(value):
        raise DataError("the loss is not finite: this network has diverged. Use an earlier snapshot")
    first = torch.autograd.grad(value, parameters, create_graph=True, allow_unused=True)
    parts = vector.split([p.numel() for p in parameters])
    slope = sum((g.flatten() @ v for g, v in zip(first, parts, strict=True) if g is not None), value * 0)
    second = torch.autograd.grad(slope, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([s.flatten() for s in second])


def _summed(logits: Tensor, labels: Tensor, loss: Loss) -> Tensor:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or int(labels.max()) >= logits.shape[1]:
        came = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise DataError(f"the model returned {came}; logits [example, class] with a class for each label are needed")
    if loss == "cross-entropy":
        return nn.functional.cross_entropy(logits, labels, reduction="sum")
    return (logits - nn.functional.one_hot(labels, logits.shape[1])).square().sum() / 2


def _lanczos(
    product: Callable[[Tensor], Tensor], parameters: list[nn.Parameter], iterations: int, seed: int
) -> tuple[float, float, int]:
    """(largest Ritz value, residual of its vector, products taken)."""
    size = sum(p.numel() for p in parameters)
    start = torch.from_numpy(np.random.default_rng(seed).standard_normal(size)).to(parameters[0])
    basis = (start / start.norm())[None]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = product(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        for _ in range(2):  # one pass leaves rounding errors that grow into copies of the top eigenvalue
            image = image - (basis @ image) @ basis
        rest = float(image.norm())
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        residual = rest * abs(vectors[-1, -1])
        scale = np.abs(values).max()
        done = len(diagonal) == min(iterations, size) or residual <= _ENOUGH * abs(values[-1]) or rest <= 1e-6 * scale
        if done:
            return float(values[-1]), float(residual), len(diagonal)
        beside.append(rest)
        basis = torch.cat([basis, (image / rest)[None]])


# Its phantom.


def _moment(model: nn.Module, images: ImageSet) -> float:
    """The largest eigenvalue of the inputs' second moment."""
    pixels = (images.images.reshape(len(images), -1) / np.float32(255)).astype(np.float64)
    return float(np.linalg.eigvalsh(pixels.T @ pixels / len(images))[-1])


@of(sharpness).calibrated_on(
    "a linear map, whose curvature is its inputs' second moment",
    _moment,
    1e-9,
    empty="black images, which give no curvature; alarm: any is found",
    name="sharpness",
    read="sharpness",
    alarm="sharpness",
    loss="mse",
)
def _linear(seed: int, planted: bool) -> tuple[nn.Module, ImageSet]:
    """A linear map without bias: its squared loss has the inputs' second moment as Hessian."""
    pixels = np.random.default_rng(seed).integers(0, 256 if planted else 1, (6, 2, 2)).astype(np.uint8)
    model = MLP(MLPConfig(image_shape=(2, 2), classes=2, hidden=(), bias=False), seed)
    return model.to(torch.float64), ImageSet(pixels, np.arange(6) % 2, 2)
