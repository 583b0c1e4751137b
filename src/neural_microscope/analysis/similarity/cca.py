"""Canonical correlations and principal angles: similarity up to any invertible linear map."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr

from ...errors import DataError, unknown
from ...measure import measure, of
from ...statistics import beside
from . import pairs
from .planted import DRAWS, UNRELATED, as_acts, normal, turned, unrelated, whitened


@measure(
    "similarity",
    title="CCA (SVCCA, PWCCA)",
    null=pairs.NULL,
    replicates="image",
    interval=pairs.INTERVAL,
    source="Hotelling 1936; SVCCA: Raghu et al. 2017; PWCCA: Morcos et al. 2018, weights sum_j |<h_i, x_j>| of the first side",
)
def cca(a: xr.DataArray, b: xr.DataArray, *, keep: float = 0.99, draws: int = 100, seed: int = 0) -> xr.Dataset:
    """Canonical correlations of two sets of activations of the same examples, and three summaries of them, 0..1.

    All are 1 between a side and any invertible linear map of it (svcca if the map preserves the leading components).

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        keep: Share of each side's variance that its leading components hold for ``svcca``, above 0 and at most 1.
        draws: Number of draws of the null (examples of b shuffled).
        seed: Seed of the null's draws and of the halves.

    Returns:
        NaN where a side is constant.

        * ``correlation`` [component]: the singular values of Ux'Uy, U the left singular vectors of the centered sides
          up to their rank (dead units and exact copies drop out); as many as the smaller rank.
        * ``cca``: their mean. ``svcca``: the same of only the leading components of each side that hold ``keep`` of its
          variance. ``pwcca``: mean weighted by the share of the first side that each canonical direction accounts for;
          not symmetric.
        * Each with ``_null_low``, ``_null_high``, ``_p`` (one-sided) and the summaries with ``_low``, ``_high`` (random
          halves of the examples; with few examples for each unit canonical correlations overfit and halves more so:
          compare them with the null).

        ``rank``, ``rank_b`` are in attrs. With ranks that add up to more than the examples some correlations are 1 by
        necessity, in the null too.

    Raises:
        DataError: ``keep`` out of its range, fewer than 4 examples, or not the same examples.
    """
    if not 0 < keep <= 1:
        raise DataError(f"keep={keep}; it must be a share of variance above 0 and at most 1")
    x, y = pairs.side_by_side(a, b)
    found = pairs.measured(partial(relation, keep=keep), x, y, pairs.classes(a, b), draws=draws, seed=seed)
    ranks = {"rank": basis(x)[0].shape[1], "rank_b": basis(y)[0].shape[1]}
    return pairs.table(found, a, b, keep=keep, **ranks, **pairs.reason(x, y))


def relation(x: np.ndarray, y: np.ndarray, *, keep: float) -> pairs.Relation:
    """Canonical correlations of x and y, as a relation evaluated for an order of y's examples."""
    x, y = pairs.centred(x), pairs.centred(y)
    (u, size), (v, size_b) = basis(x), basis(y)
    if not (len(size) and len(size_b)):
        return lambda order: {"correlation": np.full(1, np.nan), "cca": np.nan, "svcca": np.nan, "pwcca": np.nan}
    leading, leading_b = _holding(size, keep), _holding(size_b, keep)
    loadings = u.T @ x  # [component, feature]

    def at(order: np.ndarray) -> pairs.Values:
        product = u.T @ v[order]
        turn, correlation, _ = np.linalg.svd(product, full_matrices=False)
        correlation = correlation.clip(max=1)
        weights = np.abs(turn.T @ loadings).sum(1)
        few = np.linalg.svd(product[:leading, :leading_b], compute_uv=False).clip(max=1)
        weighted = float(weights @ correlation / weights.sum())
        return {"correlation": correlation, "cca": correlation.mean(), "svcca": few.mean(), "pwcca": weighted}

    return at


def svcca_relation(x: np.ndarray, y: np.ndarray, *, keep: float = 0.99) -> pairs.Relation:
    """The mean canonical correlation of the leading components alone: one small product for each order."""
    (u, size), (v, size_b) = basis(pairs.centred(x)), basis(pairs.centred(y))
    if not (len(size) and len(size_b)):
        return lambda order: {"svcca": np.nan}
    u, v = u[:, : _holding(size, keep)], v[:, : _holding(size_b, keep)]
    return lambda order: {"svcca": np.linalg.svd(u.T @ v[order], compute_uv=False).clip(max=1).mean()}


def basis(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(left singular vectors [example, component], singular values) of centered x, up to its rank."""
    u, size, _ = np.linalg.svd(pairs.compact(x), full_matrices=False)
    rank = int((size > size.max(initial=0) * max(x.shape) * np.finfo(float).eps).sum())
    return u[:, :rank], size[:rank]


def _holding(size: np.ndarray, keep: float) -> int:
    """The number of leading components that hold the share ``keep`` of the variance."""
    share = np.cumsum(size**2) / (size**2).sum()
    return min(int(np.searchsorted(share, keep - 1e-12)) + 1, len(size))


@measure(
    "similarity",
    title="Principal angles",
    null="of examples: images of one side shuffled; of units: random spaces of as many dimensions; {draws} draws",
    replicates="image",
    interval="none",
    source="Björck & Golub 1973; svd(U'V)",
)
def principal_angles(
    a: xr.DataArray,
    b: xr.DataArray,
    *,
    k: int = 5,
    of: Literal["examples", "units"] = "examples",
    draws: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Angles between the spaces of the ``k`` leading principal components of two sets of activations, smallest first.

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        k: Number of components; at most the units, and fewer than the examples.
        of: ``examples``: U, V hold the components' scores, directions in the space of the examples; for layers of any
            width, on the same examples. ``units``: the components' directions, in the space of the units; for one layer
            at two snapshots.
        draws: Number of draws of the null (the examples of b shuffled; of ``units``, random k-dimensional spaces).
        seed: Seed of the null's draws.

    Returns:
        ``angle`` [component], 0..pi/2 rad, arccos of the singular values of U'V (arcsin of the residual where that is
        more accurate), with ``angle_null_low``, ``angle_null_high``, ``angle_p`` (one-sided: smaller than under the
        null). A side of rank below k gives as many angles as its rank.

    Raises:
        DataError: More components than the units or examples allow, or units of different layers.
        UnknownName: A space that does not exist.
    """
    x, y = pairs.side_by_side(a, b)
    most = min(len(x) - 1, x.shape[1], y.shape[1])
    if not 1 <= k <= most:
        raise DataError(f"k={k} components; with these activations it must be 1 to {most}")
    rng = np.random.default_rng(seed)
    if of == "examples":
        u, v = (basis(side)[0][:, :k] for side in (x, y))
        null = [angles(u, v[rng.permutation(len(v))]) for _ in range(draws)]
    elif of == "units":
        if x.shape[1] != y.shape[1]:
            raise DataError(f"{x.shape[1]} and {y.shape[1]} units: directions can be compared within one layer only")
        u, v = (basis(side.T)[0][:, :k] for side in (x, y))
        null = [angles(u, np.linalg.qr(rng.standard_normal(v.shape))[0]) for _ in range(draws)]
    else:
        raise unknown("space", of, ("examples", "units"))
    found = beside(
        "angle",
        angles(u, v),
        np.array(null),
        "component",
        side="below",
        units="rad",
        rounding=pairs.ROUNDING,
        family=False,
    )
    return pairs.table(found, a, b, of=of, k=k, **pairs.reason(x, y))


def angles(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Principal angles between the spans of orthonormal columns, smallest first.

    A cosine near 1 says little about a small angle, so those below 45° come from the sines: the singular values of
    V - U U'V. As scipy's subspace_angles, which would make the columns orthonormal again and for angles on both sides of 45° mix them up.
    """
    if not (u.shape[1] and v.shape[1]):  # a side without variance has no direction
        return np.full(1, np.nan)
    product = u.T @ v
    cosine = np.linalg.svd(product, compute_uv=False)
    apart = v - u @ product if u.shape[1] >= v.shape[1] else u - v @ product.T
    sine = np.linalg.svd(apart, compute_uv=False)[::-1]
    return np.where(cosine**2 >= 0.5, np.arcsin(np.minimum(sine, 1)), np.arccos(np.minimum(cosine, 1)))


# Phantoms.


def _reads(name: str, variable: str) -> Any:
    return of(cca).calibrated_on(
        "a layer against an invertible map of it: 1",
        1,
        1e-10,
        empty=UNRELATED,
        read=variable,
        name=name,
        draws=DRAWS,
    )


@_reads("PWCCA", "pwcca")
@_reads("SVCCA", "svcca")
@_reads("mean CCA", "cca")
def _mixed(seed: int, planted: bool) -> Any:
    """A layer and an invertible map of it, all components kept."""
    if not planted:
        return unrelated(seed)
    x = normal(seed, 60, 6)
    mapped = x @ (turned(seed + 1, 6) * np.linspace(1, 4, 6)) @ turned(seed + 2, 6)
    return {"a": as_acts(x), "b": as_acts(mapped), "keep": 1}


@of(principal_angles).calibrated_on(
    "leading direction tilted by 0.3 rad",
    0.3,
    1e-10,
    empty=UNRELATED,
    read="angle",
    name="principal angle",
    unit="rad",
    k=1,
    draws=DRAWS,
)
def _tilted(seed: int, planted: bool) -> Any:
    """The leading direction of two, tilted by 0.3 rad within four units."""
    if not planted:
        return unrelated(seed)
    x = whitened(seed, 60, 4) * [4, 1, 0.5, 0.2]
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]]
    return {"a": as_acts(x), "b": as_acts(x @ tilt), "of": "units"}
