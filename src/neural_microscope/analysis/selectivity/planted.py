"""Layers in which units with a known preference are planted, and layers in which no unit prefers anything."""

from __future__ import annotations

import numpy as np
import xarray as xr

CLASSES, UNITS, DRAWS = 4, 4, 99
"""99 shuffles can tell one unit among four from chance: 1 / 100 is below 0.05 / 4."""

NOISE = "4 units of noise, 120 examples, 4 classes; an alarm: any q < 0.05"


def layer(values: np.ndarray) -> xr.DataArray:
    """Activations [snapshot, example, unit] with labels that go round."""
    dims = ("snapshot", "example", "unit")[-values.ndim :]
    coords: dict[str, tuple[str, np.ndarray]] = {"label": ("example", np.arange(values.shape[-2]) % CLASSES)}
    if values.ndim == 3:
        coords["step"] = ("snapshot", np.arange(len(values)))
    return xr.DataArray(values, dims=dims, coords=coords, name="phantom")


def noise(seed: int, examples: int = 120) -> np.ndarray:
    """Exponential noise [example, unit], the same for all classes."""
    return np.random.default_rng(seed).exponential(1, (examples, UNITS))


def prefers(seed: int, by: float, examples: int = 8000) -> xr.DataArray:
    """The first unit's mean is 1 and, for class 2, 1 + ``by``; the others prefer nothing."""
    x = noise(seed, examples)
    x[np.arange(examples) % CLASSES == 2, 0] *= 1 + by
    return layer(x)
