"""Representational similarity analysis: rank correlation of two sets' pairwise distances."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from ... import named
from ...errors import DataError, unknown
from ...measure import measure, of
from . import pairs
from .planted import DRAWS, UNRELATED, as_acts, normal, turned, unrelated

METRICS = ("correlation", "euclidean", "cosine")


@measure(
    "similarity",
    title="Representational similarity analysis",
    null=pairs.NULL,
    replicates="image",
    interval=pairs.INTERVAL,
    source="Kriegeskorte et al. 2008; Spearman of the upper triangles of the dissimilarity matrices; null: Mantel 1967",
)
def rsa(
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    metric: str = "correlation",
    most: int = 1000,
    draws: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Rank correlation of the dissimilarities of all pairs of examples, -1..1.

    Spearman correlation of the upper triangles of the two matrices of distances between examples' patterns.

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        metric: Distance: ``correlation`` (1 - correlation over the units), ``euclidean``, or ``cosine`` (1 - cosine).
        most: Largest number of examples; of more a random subset is used.
        draws: Number of draws of the null (examples of b shuffled, rows and columns together).
        seed: Seed of the null's draws, of the subset and of the halves.

    Returns:
        ``rsa`` with ``_null_low``, ``_null_high``, ``_p`` (one-sided) and ``_low``, ``_high`` (random halves of the
        examples). Examples whose pattern has no correlation or cosine (all units equal, or 0) are left out; attrs count
        them. NaN where all pairs are equidistant or fewer than 4 examples are left.

    Raises:
        DataError: ``correlation`` over one unit, fewer than 4 examples, or not the same examples.
        UnknownName: A metric that does not exist.
    """
    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    if metric == "correlation" and min(named.flat(one).shape[1] for one in (a, b)) < 2:
        raise DataError("a correlation over one unit is undefined; give metric='euclidean'")
    pairs.side_by_side(a, b)
    x, y, labels = named.flat(a), named.flat(b), pairs.classes(a, b)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(x))[:most])
    kept = chosen[_defined(x[chosen], metric) & _defined(y[chosen], metric)]
    found: pairs.Variables = {"rsa": ((), np.nan, {"units": "1"})}
    why = {"reason": f"{len(kept)} examples have a pattern that varies over the units; {pairs.FEWEST} are needed"}
    if len(kept) >= pairs.FEWEST:
        relate, why = partial(relation, metric=metric), {}
        found = pairs.measured(relate, x[kept], y[kept], labels[kept], draws=draws, seed=seed)
    counts = {"n_examples": len(kept), "n_left_out": len(chosen) - len(kept)}
    return pairs.table(found, a, b, metric=metric, **counts, **why)


def relation(x: np.ndarray, y: np.ndarray, *, metric: str) -> pairs.Relation:
    """Spearman correlation of two sets' dissimilarities, as a relation evaluated for an order of y's examples."""
    first, second = _ranks(x, metric), _ranks(y, metric)
    if not (first.any() and second.any()):
        return lambda order: {"rsa": np.nan}
    return lambda order: {"rsa": float(np.vdot(first, second[order][:, order]))}


def _ranks(x: np.ndarray, metric: str) -> np.ndarray:
    """The ranks of all pairs' distances minus their mean, of unit norm, as a square matrix; 0 where all are equal."""
    ranks = rankdata(pdist(x, metric))
    ranks -= ranks.mean()
    return squareform(ranks) / (np.sqrt(2) * np.linalg.norm(ranks) or 1.0)


def _defined(x: np.ndarray, metric: str) -> np.ndarray:
    """The examples whose pattern has a defined distance to others, [example] of bool."""
    if metric == "euclidean":
        return np.ones(len(x), bool)
    return np.asarray(np.ptp(x, axis=1) > 0 if metric == "correlation" else x.any(1))


@of(rsa).calibrated_on(
    "a layer rotated: the same distances",
    1,
    1e-10,
    empty=UNRELATED,
    read="rsa",
    name="RSA",
    draws=DRAWS,
)
def _rotated(seed: int, planted: bool) -> Any:
    """A rotation preserves distances and their ranks."""
    x = normal(seed, 60, 6)
    turn = {"a": as_acts(x), "b": as_acts(2 * x @ turned(seed + 1, 6)), "metric": "euclidean"}
    return turn if planted else unrelated(seed, 40)
