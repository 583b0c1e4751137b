"""Activations as points in a space: their matrix at each snapshot, their spectrum, their nearest neighbors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis

BLOCK = 128
"""Rows of a distance matrix in memory at one time."""


def space(acts: xr.DataArray) -> np.ndarray:
    """[snapshot, example, feature] in float64, maps flattened; one snapshot if there is no such axis."""
    acts = acts if "snapshot" in acts.dims else acts.expand_dims("snapshot")
    x = named.values(acts, "snapshot", "example", *features(acts))
    return x.reshape(*x.shape[:2], -1)


def features(acts: xr.DataArray) -> tuple[str, ...]:
    """The axes that span the space: unit; or channel; or channel, row, col."""
    return (unit_axis(acts.dims), *(dim for dim in ("row", "col") if dim in acts.dims))


def eigenvalues(centred: np.ndarray) -> np.ndarray:
    """Eigenvalues of the scatter matrix of centered rows, largest first, none below 0; as many as the smaller side."""
    gram = centred.T @ centred if centred.shape[0] > centred.shape[1] else centred @ centred.T
    return np.linalg.eigvalsh(gram)[::-1].clip(min=0)


def shares(values: np.ndarray) -> np.ndarray:
    """Each eigenvalue's share of their sum over the last axis; NaN where the sum is 0."""
    total = values.sum(-1, keepdims=True)
    return np.divide(values, total, out=np.full_like(values, np.nan), where=total > 0)


def shuffled(centred: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """The rows with each column shuffled independently: dependence between units is removed, each unit's values are kept."""
    rng = np.random.default_rng(seed)
    columns = np.ascontiguousarray(centred.T)
    for _ in range(draws):
        yield rng.permuted(columns, axis=1).T


def blocks(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances from some rows to all, [row, example], infinite to themselves: at most BLOCK rows at one time."""
    centred = x - x.mean(0)
    norms = (centred**2).sum(1)
    for start in range(0, len(x), BLOCK):
        rows = slice(start, min(start + BLOCK, len(x)))
        squares = (-2 * centred[rows]) @ centred.T  # then in place: new arrays of this size take longer than the sums
        squares += norms[rows, None]
        squares += norms
        np.maximum(squares, 0, out=squares)
        squares[np.arange(rows.stop - start), np.arange(start, rows.stop)] = np.inf
        yield rows, squares


def neighbours(x: np.ndarray, k: int) -> np.ndarray:
    """The k nearest other examples of each, unordered: [example, k]."""
    return np.concatenate([np.argpartition(squares, k - 1, axis=1)[:, :k] for _, squares in blocks(x)])


def standardized(x: np.ndarray) -> np.ndarray:
    """Each feature with mean 0 and standard deviation 1 over the examples; a constant one becomes 0."""
    spread = x.std(-2, keepdims=True)
    constant = np.ptp(x, axis=-2, keepdims=True) == 0
    return np.where(constant, 0, (x - x.mean(-2, keepdims=True)) / np.where(constant, 1, spread))
