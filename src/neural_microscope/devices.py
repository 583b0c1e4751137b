"""Devices available to PyTorch, and images on a model's device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .config import ConfigError


def here() -> list[str]:
    """The devices that PyTorch can compute on here, the fastest first; the last is cpu."""
    kinds = {"cuda": torch.cuda, "xpu": torch.xpu}
    found = [f"{kind}:{i}" if i else kind for kind, has in kinds.items() for i in range(has.device_count())]
    return [*found, *["mps"] * torch.backends.mps.is_available(), "cpu"]


def placed(device: str) -> str:
    """The device that a setting means here.

    Args:
        device: ``auto`` for the first of `here`, ``gpu`` for the first unless that is the CPU, or a device's name.

    Raises:
        ConfigError: A device that is not available; the message lists those that are.
    """
    there = here()
    if device == "auto" or (device == "gpu" and len(there) > 1):
        return there[0]
    if device.removesuffix(":0") not in there:
        raise ConfigError(
            f"device is {device!r}, but PyTorch has only {', '.join(there)} here; 'auto' selects {there[0]}"
        )
    return device


def like(model: nn.Module, images: Tensor) -> Tensor:
    """Images on the model's device, and in the precision of its weights if they are floats.

    Args:
        model: Any torch module; one without parameters leaves the images unchanged.
        images: A tensor.
    """
    first = next(model.parameters(), None)
    if first is None:
        return images
    kinds = (p.dtype for p in model.parameters() if p.is_floating_point())
    return images.to(first.device, next(kinds, None) if images.is_floating_point() else None)
