"""The agreement of a measured truth with itself, which bounds that of any estimate with it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import null_band, p_values, shown
from . import ranks

MOST_SPLITS = 20


@measure(
    "influence",
    title="Reliability of retrained networks",
    null="{draws} permutations of the sets, for each seed by itself",
    replicates="set of images",
    interval="95%, {resamples} bootstrap resamples of sets and targets",
    source="split-half reliability, Spearman 1910, Brown 1910; the bound on correlations, Spearman 1904",
    units="1",
)
def reliability(truth: xr.DataArray, *, draws: int = 99, resamples: int = 1000, seed: int = 0) -> xr.Dataset:
    """The share of the ranking of sets by their effect that would come out again with other seeds, at most 1.

    The seeds are split into halves, and for each target the rank correlation over sets between the halves' mean effects
    is taken; its mean over targets and splits (all of them, or 20 at random) is extended to all seeds by Spearman's and
    Brown's formula, k r / (1 + (k - 1) r) for k times as many seeds; a negative r is left as it is. The ceiling is its
    square root: no estimate that does not share the seeds' noise can be expected to correlate more with the mean over
    the seeds, up to the difference between rank and linear correlation.

    Args:
        truth: Effects of leaving out sets of images, [set, seed, target].
        draws: Number of draws of the null.
        resamples: Number of resamples for the intervals.
        seed: Seed of the splits, of the null's draws and of the resamples.

    Returns:
        ``reliability`` with ``_low``, ``_high``, ``_null_low``, ``_null_high``, ``_p`` (one-sided) and ``_shown``;
        ``ceiling`` with ``_low``, ``_high``; ``between_seeds``, the mean rank correlation between two seeds;
        ``between_halves``, that between halves. Targets with equal effects for all sets are left out; NaN if none is
        left.

    Raises:
        DataError: Fewer than 6 sets, fewer than 2 seeds, other axes, or values that are not finite.

    >>> import xarray as xr
    >>> noise = np.random.default_rng(0).normal(size=(24, 4, 5))
    >>> truth = xr.DataArray(noise + 2 * noise[:, :1, :], dims=("set", "seed", "target"))
    >>> bool(nm.analysis.influence.reliability(truth)["reliability"] > 0.5)
    True
    """
    x = named.values(truth, "set", "seed", "target")
    n, seeds, _ = x.shape
    if n < ranks.FEWEST or seeds < 2:
        raise DataError(
            f"{n} sets and {seeds} seeds: reliability needs at least {ranks.FEWEST} sets and 2 seeds; retrain with more"
        )
    rng = np.random.default_rng(seed)
    sides = _splits(seeds, rng)
    times = seeds / (seeds // 2)
    first, second = _halves(x, sides)
    half = ranks.mean(ranks.correlation(first, second))
    each = ranks.standard(x)
    pairs = [ranks.correlation(each[:, i], each[:, j]) for i, j in combinations(range(seeds), 2)]
    drawn = extended(ranks.resampled(first, second, resamples, seed), times)
    null = np.array([_permuted(x, sides, rng) for _ in range(draws)])
    value = extended(np.array(half), times)
    low, high = null_band(drawn)
    null_low, null_high = null_band(extended(null, times))
    p = p_values(np.array(half), null)
    found: dict[str, Any] = {
        "reliability": value,
        "reliability_low": low,
        "reliability_high": high,
        "reliability_null_low": null_low,
        "reliability_null_high": null_high,
        "ceiling": _root(value),
        "ceiling_low": _root(low),
        "ceiling_high": _root(high),
        "between_seeds": ranks.mean(np.array(pairs)),
        "between_halves": half,
    }
    table = xr.Dataset({name: ((), float(one), {"units": "1"}) for name, one in found.items()})
    return table.assign(reliability_p=float(p), reliability_shown=bool(shown(p))).assign_attrs(
        n_sets=n, n_seeds=seeds, n_targets=x.shape[2], n_splits=len(sides)
    )


def extended(r: np.ndarray, times: float) -> np.ndarray:
    """Spearman's and Brown's formula; a negative correlation is left as it is.

    Args:
        r: Correlation between two measurements, [...].
        times: The number of times that a measurement is lengthened.
    """
    return np.where(r > 0, times * r / (1 + (times - 1) * np.maximum(r, 0)), r)


def _root(value: Any) -> np.ndarray:
    return np.sqrt(np.maximum(value, 0))


def _splits(seeds: int, rng: np.random.Generator) -> list[tuple[list[int], list[int]]]:
    """Pairs of halves of the seeds, of equal size, each split once."""
    size = seeds // 2
    found = []
    for chosen in combinations(range(seeds), 2 * size) if seeds < 9 else ():
        for first in combinations(chosen[1:], size - 1):
            one = [chosen[0], *first]
            found.append((one, [i for i in chosen if i not in one]))
    if seeds < 9 and len(found) <= MOST_SPLITS:
        return found
    orders = [rng.permutation(seeds).tolist() for _ in range(MOST_SPLITS)]
    return [(order[:size], order[size : 2 * size]) for order in orders]


def _halves(x: np.ndarray, sides: list[tuple[list[int], list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """The standard ranks of each half's means, both [set, split, target]."""
    first, second = (np.stack([x[:, list(pair[side])].mean(1) for pair in sides], axis=1) for side in (0, 1))
    return ranks.standard(first), ranks.standard(second)


def _permuted(x: np.ndarray, sides: list[tuple[list[int], list[int]]], rng: np.random.Generator) -> float:
    """The correlation between halves where each seed's sets are in a random order."""
    mixed = np.stack([x[rng.permutation(len(x)), i] for i in range(x.shape[1])], axis=1)
    return ranks.mean(ranks.correlation(*_halves(mixed, sides)))


BETWEEN, SEEDS = 0.5, 6
"""Of the phantom: the linear correlation between two seeds, and their number."""


def _truth(truth: xr.DataArray) -> float:
    """The reliability of ranks of normal effects, whose rank correlation is 6/π asin(r/2)."""
    r = float(extended(np.array(BETWEEN), SEEDS // 2))
    return float(extended(6 / np.pi * np.arcsin(np.array(r) / 2), 2))


@of(reliability).calibrated_on(
    "effects of sets with a known part of noise",
    _truth,
    0.05,
    empty="noise alone; p < 0.05",
    read="reliability",
    alarm="reliability_shown",
    name="reliability of retraining",
    draws=39,
    resamples=20,
)
def _effects(seed: int, planted: bool) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    sets, targets = (300, 10) if planted else (16, 4)
    noise = rng.standard_normal((sets, SEEDS, targets))
    signal = rng.standard_normal((sets, 1, targets)) * np.sqrt(BETWEEN / (1 - BETWEEN)) * planted
    return xr.DataArray(noise + signal, dims=("set", "seed", "target"), name="effects of sets")
