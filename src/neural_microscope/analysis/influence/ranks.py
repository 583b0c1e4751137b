"""Rank correlations over sets of images, for many targets at once."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

FEWEST = 6
"""Sets below which nothing is correlated: with fewer, a bootstrap interval is too narrow."""


def standard(values: np.ndarray) -> np.ndarray:
    """Ranks over the first axis, centered, of unit norm; NaN where all values are equal, [set, ...]."""
    ranks = rankdata(values, axis=0) - (len(values) + 1) / 2
    norm = np.sqrt((ranks**2).sum(0))
    return np.divide(ranks, norm, out=np.full_like(ranks, np.nan), where=norm > 0)


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation over the first axis of what `standard` gives, [...]."""
    return (a * b).sum(0)


def mean(values: np.ndarray) -> float:
    """The mean of the values that are defined; NaN without one."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def resampled(a: np.ndarray, b: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The mean correlation over targets, of sets and targets drawn with replacement, [draw].

    Ranks are those among all sets. ``a`` and ``b`` are what `standard` gives, [set, pair, target]; targets whose correlation is not
    defined are left out.
    """
    rng = np.random.default_rng(seed)
    kept = np.isfinite(a).all((0, 1)) & np.isfinite(b).all((0, 1))
    count, (n, pairs, _) = int(kept.sum()), a.shape
    if not count or not draws:
        return np.full(draws, np.nan)
    a, b = (side[:, :, kept].reshape(n, pairs * count) for side in (a, b))
    sets = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n
    chosen = rng.multinomial(count, np.full(count, 1 / count), size=draws) / count
    first, second = sets @ a, sets @ b
    spread = np.sqrt((sets @ a**2 - first**2) * (sets @ b**2 - second**2))
    found = np.divide(sets @ (a * b) - first * second, spread, out=np.zeros_like(spread), where=spread > 0)
    return (found.reshape(draws, pairs, count).mean(1) * chosen).sum(1)
