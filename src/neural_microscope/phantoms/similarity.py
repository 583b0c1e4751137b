"""Units that come back in another network, and spaces that have no unit in common."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..analysis import similarity
from ..analysis.similarity.planted import normal, side, turned
from .instrument import DECLARED, Instrument


def units_of(seed: int, n: int = 120, size: int = 10) -> np.ndarray:
    """Units with a taste of their own: sparse, so that their axes can be told from others of the same space."""
    return np.maximum(normal(seed, n, size) - 0.5, 0)


def _permuted(seed: int) -> tuple[float, float]:
    """Share of units whose planted partner is found and told from the shared space."""
    x = units_of(seed)
    order = np.random.default_rng(seed).permutation(x.shape[1])
    found = similarity.match_units(side(x), side(x[:, order] + 0.1 * normal(seed + 1, *x.shape)), draws=300)
    right = (found["matched"].values == np.argsort(order)) & (found["correlation_q"].values < DECLARED)
    return 1.0, float(right.mean())


def _same_space(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """The same space with no unit in common."""
    x = units_of(seed, 80, 6)
    return side(x), side((x / x.std(0)) @ turned(seed + 1, 6))


def _match_alarm(seed: int) -> bool:
    found = similarity.match_units(*_same_space(seed), draws=119, seed=seed)
    return bool((found["correlation_q"] < DECLARED).any())


def _replicated(seed: int) -> tuple[float, float]:
    """Six of ten units in both other networks, the rest only as a space: how many are found again in both."""
    x = units_of(seed, 200)
    networks = [side(x)]
    for number in (1, 2):
        mix = np.eye(10)
        mix[6:, 6:] = turned(seed + number, 4)
        networks.append(side(x @ mix + 0.1 * normal(seed + 10 + number, *x.shape)))
    return 6.0, float((similarity.replication(networks, draws=300)["replicated"] == 2).sum())


def _replication_alarm(seed: int) -> bool:
    """Any unit found again in both of two networks that share no more than its space."""
    a, b = _same_space(seed)
    _, c = _same_space(seed)
    networks = [a, b, side(c.values @ turned(seed + 7, 6))]
    return bool((similarity.replication(networks, draws=119, seed=seed)["replicated"] == 2).any())


INSTRUMENTS: list[Instrument] = [
    Instrument(
        "units matched",
        "similarity.match_units",
        "a permutation with noise: share of units matched rightly",
        "the same space rotated; any unit with q < 0.05",
        _permuted,
        0.0,
        _match_alarm,
    ),
    Instrument(
        "units replicated",
        "similarity.replication",
        "6 of 10 units in both other networks",
        "two rotations of the same space; any unit in both",
        _replicated,
        0.0,
        _replication_alarm,
        unit="units",
    ),
]
