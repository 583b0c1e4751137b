"""Layers with a known relation to each other, and layers that have none."""

from __future__ import annotations

import numpy as np
import xarray as xr

DRAWS = 39
"""The minimum for which a one-sided p can be below 0.05."""

UNRELATED = "unrelated layers; p < 0.05"


def as_acts(values: np.ndarray) -> xr.DataArray:
    """[example, unit], or [snapshot, example, unit], as a measure takes it."""
    return xr.DataArray(values, dims=("snapshot", "example", "unit")[3 - values.ndim :], name="phantom")


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def turned(seed: int, size: int) -> np.ndarray:
    """A rotation [unit, unit] drawn uniformly."""
    q, r = np.linalg.qr(normal(seed, size, size))
    return q * np.sign(np.diag(r))


def whitened(seed: int, n: int, size: int) -> np.ndarray:
    """[example, unit], centered, with covariance exactly the identity up to scale."""
    x = normal(seed, n, size)
    return np.linalg.qr(x - x.mean(0))[0]


def unrelated(seed: int, n: int = 60, sizes: tuple[int, int] = (6, 8)) -> tuple[xr.DataArray, xr.DataArray]:
    """Two independent layers."""
    rng = np.random.default_rng(seed)
    return as_acts(rng.standard_normal((n, sizes[0]))), as_acts(rng.standard_normal((n, sizes[1])))


def unlike(seed: int, n: int = 60, size: int = 6) -> xr.DataArray:
    """Two independent snapshots of a layer."""
    return as_acts(np.stack(unrelated(seed, n, (size, size))))


SOME = (3 / 8) ** 0.5
"""The CKA of `some_units`."""


def some_units(seed: int, n: int) -> tuple[xr.DataArray, xr.DataArray]:
    """Whitened X and its first 3 of 8 units: CKA sqrt(3/8), which the debiased form approaches with many examples."""
    x = whitened(seed, n, 8)
    return as_acts(x), as_acts(x[:, :3])
