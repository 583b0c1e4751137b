"""Clouds of known rank, and empty ones, that several instruments read."""

from __future__ import annotations

import numpy as np
import xarray as xr

DRAWS = 39
"""The minimum for which p can be below 0.05."""
CLASSES = 4


def cloud(x: np.ndarray, labels: np.ndarray | None = None) -> xr.DataArray:
    """Activations [example, unit]; labels cycle through the classes if none are given."""
    labels = np.arange(len(x)) % CLASSES if labels is None else labels
    return xr.DataArray(x, dims=("example", "unit"), coords={"label": ("example", labels)}, name="phantom")


def empty(seed: int, n: int = 60, units: int = 6) -> xr.DataArray:
    """Independent units, of different spread, with uninformative labels."""
    rng = np.random.default_rng(seed)
    return cloud(rng.exponential(size=(n, units)) * rng.uniform(0.8, 1.2, units))


def rank_three(seed: int, n: int = 2000) -> xr.DataArray:
    """Variances 25, 9 and 4 in random directions of 64 units, and 0.01 of noise in each."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(64, 3)))[0].T
    scores = rng.normal(size=(n, 3))
    scores = np.linalg.qr(scores - scores.mean(0))[0] * np.sqrt(n)  # exactly the planted variances
    return cloud((scores * (5, 3, 2)) @ turn + 0.1 * rng.normal(size=(n, 64)))


SPECTRUM = np.array([25.01, 9.01, 4.01, *[0.01] * 61])
"""Of `rank_three`."""
