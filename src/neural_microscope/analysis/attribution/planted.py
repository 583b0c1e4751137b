"""Networks with known input dependence: which pixels are read, and by which unit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import xarray as xr
from torch import Tensor

from ...config import MLPConfig
from ...measure import of
from ...models import MLP

SIDE = 6
PATCH = (slice(1, 3), slice(2, 4))
"""The four pixels that a reader reads."""
POINT = "layers.0.hook_pre"
READS_NOTHING = "a network that reads no pixel; alarm: any attribution that is not 0"


def random_images(seed: int, n: int = 2, side: int = SIDE) -> Tensor:
    """``n`` images of uniform noise, [example, 1, row, col] in float64."""
    return torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network(seed: int, *hidden: int, side: int = SIDE, **settings: Any) -> MLP:
    return MLP(MLPConfig(image_shape=(side, side), classes=2, hidden=hidden, **settings), seed=seed).double()


def first(model: MLP) -> tuple[Tensor, Tensor]:
    """Weight and bias of the first layer."""
    return model.get_parameter("layers.0.linear.weight"), model.get_parameter("layers.0.linear.bias")


def reader(seed: int, planted: bool) -> tuple[MLP, Tensor]:
    """A network that reads only the patch, and images; with nothing planted it reads no pixel at all."""
    model, mask = network(seed, 8), torch.zeros(SIDE, SIDE, dtype=torch.float64)
    mask[PATCH] = float(planted)
    with torch.no_grad():
        first(model)[0].mul_(mask.flatten())
    return model, random_images(seed)


def reads_the_patch(method: Callable[..., xr.Dataset], name: str, **settings: Any) -> None:
    """The instrument of a map: it must lie wholly in the patch that the network reads."""
    of(method).calibrated_on(
        "a ReLU network that reads 4 of 36 pixels",
        1.0,
        1e-12,
        empty=READS_NOTHING,
        name=f"{name} (mass inside the patch)",
        read=_mass_inside,
        alarm=seen,
        target=0,
        **settings,
    )(reader)


def _mass_inside(found: xr.Dataset) -> float:
    """Share of |attribution| that lies in the patch."""
    size = abs(found["attribution"].values)
    return float(size[(slice(None), *PATCH)].sum() / size.sum())


def seen(found: xr.Dataset) -> bool:
    """True if a map attributes anything to any pixel."""
    return bool(found["attribution"].any())
