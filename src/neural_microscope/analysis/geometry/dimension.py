"""Dimension of a representation: from its spectrum, and from nearest neighbors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...claim import Claim, say
from ...measure import measure, of
from ...statistics import beside
from ...wording import goes
from .clouds import DRAWS, SPECTRUM, cloud, empty, rank_three
from .spaces import blocks, eigenvalues, shares, shuffled, space

MEASURES = ("participation_ratio", "effective_rank", "components_90", "two_nn")
DROPPED = 0.1
"""Share of the largest distance ratios that the TwoNN fit leaves out (Facco et al. 2017)."""
PRECISION = 1e-12
"""Variances below this share of the largest are rounding errors."""


@measure(
    "geometry",
    title="Dimension (participation ratio, effective rank, components for 90%, TwoNN)",
    null="each unit's values shuffled over the images, {draws} draws, at the first and last snapshot",
    replicates="image",
    interval="none",
    family="none: one test a snapshot",
    source="participation ratio (sum l)²/sum l²; effective rank exp H (Roy & Vetterli 2007); TwoNN (Facco et al. 2017)",
    place=120,
)
def dimension(
    acts: xr.DataArray,
    *,
    two_nn_at: Sequence[int] | None = None,
    null_at: Sequence[int] | None = None,
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Dimension of a layer's activations, [snapshot], by four measures; l are the covariance's eigenvalues.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps; without snapshots, that one set).
        two_nn_at: Steps of recorded snapshots at which ``two_nn`` is taken, -1 the last; None: all. Elsewhere NaN.
        null_at: Steps of recorded snapshots at which the null is drawn; None: the first and last. Elsewhere NaN.
        draws: Number of draws of the null (each unit's values shuffled over the examples).
        seed: Seed of the null's draws.

    Returns:
        * ``participation_ratio`` = (sum l)² / sum l², from 1 to the number of units.
        * ``effective_rank`` = exp(entropy of l / sum l) (Roy & Vetterli 2007), likewise.
        * ``components_90``: the number of components that hold 90% of the variance.
        * ``two_nn``: the intrinsic dimension from the ratio mu of each example's second to first neighbor distance, the
          slope of -ln(1 - F) on ln mu through 0 with the largest 10% of mu left out and duplicates removed (Facco et
          al. 2017). It underestimates high dimensions (about 9 for 10 at 5,000 examples). Its time grows as n² at every
          snapshot.
        * Of each ``…_null_low``, ``…_null_high`` and ``…_p`` (one-sided: the share of shuffled units with no higher
          dimension).

        NaN for constant activations; ``two_nn`` also with fewer than three distinct examples or where all neighbor
        distances are equal.

    Raises:
        UnknownName: A step that was not recorded.
    """
    x = space(acts)
    slow = set(named.snapshots(acts, two_nn_at).tolist())
    drawn_at = named.snapshots(acts, (-len(x), -1) if null_at is None else null_at).tolist() if draws else []
    values = np.array([_measure(one, at in slow) for at, one in enumerate(x)])  # [snapshot, measure]
    null = np.full((draws, *values.shape), np.nan)
    for at in drawn_at:
        for draw, fake in enumerate(shuffled(x[at] - x[at].mean(0), draws, seed)):
            null[draw, at] = _measure(fake, at in slow)
    variables: dict[str, Any] = {}
    for i, name in enumerate(MEASURES):
        variables |= beside(
            name, values[:, i], null[..., i], "snapshot", side="below", units="dimensions", family=False
        )
    return xr.Dataset(
        variables,
        coords=named.kept(acts, "step", "epoch"),
    )


def _measure(x: np.ndarray, with_neighbours: bool) -> tuple[float, float, float, float]:
    """The measures in the order of MEASURES."""
    part = shares(eigenvalues(x - x.mean(0)))
    if np.ptp(x, axis=0).max() == 0 or np.isnan(part).any():
        return (np.nan,) * 4
    part = part[part > PRECISION]
    needed = 1 + int(np.searchsorted(np.cumsum(part), 0.9 - PRECISION))
    rank = float(np.exp(-(part * np.log(part)).sum()))
    return float(1 / (part**2).sum()), rank, needed, _two_nn(x) if with_neighbours else np.nan


def _two_nn(x: np.ndarray) -> float:
    near = _two_nearest(x) if len(x) > 2 else np.zeros((len(x), 2))
    if (near == 0).any():  # duplicates; searched only now, because sorting all rows is slow
        x = np.unique(x + 0.0, axis=0)  # -0 equals 0
        if len(x) < 3:
            return np.nan
        near = _two_nearest(x)
    mu = np.sort(near[:, 1] / near[:, 0])
    kept = int(len(mu) * (1 - DROPPED))
    across = np.log(mu[:kept])
    up = -np.log1p(-np.arange(1, kept + 1) / len(mu))
    return float(across @ up / (across @ across)) if across.any() else np.nan


def _two_nearest(x: np.ndarray) -> np.ndarray:
    """The distances to the two nearest others, [example, 2]. The squares of `blocks` only find the neighbors: they lose
    digits for near neighbors, so the distances are computed again.
    """
    found = np.empty((len(x), 2))
    for rows, squares in blocks(x):
        each = np.arange(len(squares))
        for i in range(2):
            nearest = squares.argmin(1)
            squares[each, nearest] = np.inf
            found[rows, i] = np.linalg.norm(x[rows] - x[nearest], axis=1)
    return np.sort(found, axis=1)


# On a page.


@of(dimension).on("layer")
def _dimension(at: Any) -> xr.Dataset:
    return dimension(at.acts, two_nn_at=(0, -1))


@of(dimension).describe("layer")
def _dimensions_said(at: Any) -> Iterator[Claim]:
    table = at["geometry.dimension"]
    (went, ends), null = goes(table["participation_ratio"].values), table["participation_ratio_null_high"].values
    yield say(
        "dimensions",
        f"the participation ratio {went} dimensions (units shuffled: up to {{null:g}}).",
        null=float(null[-1]),
        **ends,
    )


of(dimension).picture("dimension_over_time", scope="network")


# Phantoms.


def _reads(name: str, variable: str, truth: float, tolerance: float, **settings: Any) -> Any:
    return of(dimension).calibrated_on(
        "a cloud of known spectrum",
        truth,
        tolerance,
        empty="independent units; an alarm: fewer dimensions than shuffled units, p < 0.05",
        name=name,
        unit="dimensions",
        read=variable,
        draws=DRAWS,
        **{"two_nn_at": (), **settings},
    )


@_reads("participation ratio", "participation_ratio", SPECTRUM.sum() ** 2 / (SPECTRUM**2).sum(), 0.02)
def _of_variances(seed: int, planted: bool) -> xr.DataArray:
    return rank_three(seed) if planted else empty(seed)


@_reads("components for 90% of the variance", "components_90", 5, 0)
@_reads("effective rank", "effective_rank", 5, 1e-9)
def _of_equal_variances(seed: int, planted: bool) -> xr.DataArray:
    """Five directions with the same variance exactly, in 12 units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(100, 5))
    turn = np.linalg.qr(rng.normal(size=(12, 5)))[0].T
    return cloud(np.linalg.qr(x - x.mean(0))[0] @ turn) if planted else empty(seed)


@_reads("TwoNN dimension", "two_nn", 2, 0.2, two_nn_at=(0,))
def _flat(seed: int, planted: bool) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    plane = rng.uniform(size=(2000, 2)) @ np.linalg.qr(rng.normal(size=(8, 2)))[0].T
    return {"acts": cloud(plane), "draws": 0} if planted else {"acts": empty(seed)}
