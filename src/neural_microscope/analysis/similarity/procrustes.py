"""Procrustes distance: the distance of two representations after the best rotation, reflection and scaling."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ...axes import UNIT_AXES
from ...measure import measure, of
from . import pairs
from .planted import DRAWS, UNRELATED, as_acts, normal, turned, unrelated


@measure(
    "similarity",
    title="Procrustes distance",
    null=pairs.NULL,
    replicates="image",
    interval=pairs.INTERVAL,
    source="Ding et al. 2021; d² = 2 - 2 ||X'Y||_* after centering and unit Frobenius norm (||.||_*: sum of singular values)",
)
def procrustes(a: xr.DataArray, b: xr.DataArray, *, draws: int = 100, seed: int = 0) -> xr.Dataset:
    """Orthogonal Procrustes distance of two sets of activations of the same examples, and the map that is best.

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        draws: Number of draws of the null (examples of b shuffled).
        seed: Seed of the null's draws and of the halves.

    Returns:
        NaN where a side is constant.

        * ``procrustes`` = sqrt(2 - 2 ||X'Y||_*) after centering and scaling to unit Frobenius norm: 0 (the same up to
          translation, rotation, reflection and scale) to sqrt(2); a metric. With ``_null_low``, ``_null_high``, ``_p``
          (one-sided, small distances are significant) and ``_low``, ``_high`` (random halves of the examples).
        * ``rotation`` [unit_b, unit]: R that minimizes ||X - s Y R||, orthogonal where the widths are equal, otherwise
          the part of it between the two; not unique where a side has dead units.
        * ``scale``: s, in the activations' own units.

        Feature maps get no ``rotation`` and no ``scale``.

    Raises:
        DataError: Fewer than 4 examples, or not the same examples.
    """
    x, y = pairs.side_by_side(a, b)
    found = pairs.measured(
        relation, pairs.compact(x), pairs.compact(y), pairs.classes(a, b), draws=draws, seed=seed, side="below"
    )  # fmt: skip
    first, second = (next((axis for axis in UNIT_AXES if axis in one.dims), None) for one in (a, b))
    constant = pairs.reason(x, y)
    if first and second and not any("row" in one.dims for one in (a, b)):
        turn, together = aligned(x, y)
        sizes = np.linalg.norm(x), np.linalg.norm(y)
        turn, scale = (np.full_like(turn, np.nan), np.nan) if constant else (turn, together / sizes[1] ** 2)
        found["rotation"] = ((f"{second}_b", first), turn, {"units": "1"})
        found["scale"] = ((), scale, {"units": "1"})
    return pairs.table(found, a, b, **constant)


def relation(x: np.ndarray, y: np.ndarray) -> pairs.Relation:
    """The Procrustes distance of x and y, as a relation evaluated for an order of y's examples."""
    x, y = unit_norm(pairs.centred(x)), unit_norm(pairs.centred(y))
    if not (x.any() and y.any()):
        return lambda order: {"procrustes": np.nan}
    return lambda order: {"procrustes": distance(np.linalg.svd(x.T @ y[order], compute_uv=False).sum())}


def distance(nuclear: float) -> float:
    """From the nuclear norm of the product of two sides of unit norm, 0..1; rounding may exceed 1."""
    return float(np.sqrt(np.clip(2 - 2 * nuclear, 0, 2)))


def unit_norm(x: np.ndarray) -> np.ndarray:
    """Scaled to Frobenius norm 1; zeros stay."""
    return x / (np.linalg.norm(x) or 1.0)


def aligned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """(R [feature of y, feature of x] that brings y R nearest to x, the nuclear norm of x'y)."""
    left, size, right = np.linalg.svd(y.T @ x, full_matrices=False)
    return left @ right, float(size.sum())


def displacement(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance of each example of centered y from its counterpart in x after the best rotation and scaling, relative to the
    mean norm of x's examples, both at unit Frobenius norm; [example]. The narrower side is padded with zeros. Zeros on
    a side give NaN.
    """
    if not (x.any() and y.any()):
        return np.full(len(x), np.nan)
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(unit_norm(side), ((0, 0), (0, width - side.shape[1]))) for side in (x, y))
    turn, together = aligned(x, y)
    return np.linalg.norm(x - together * (y @ turn), axis=1) / np.linalg.norm(x, axis=1).mean()


@of(procrustes).calibrated_on(
    "a layer rotated, scaled and shifted: 0",
    0,
    1e-13,
    empty=UNRELATED,
    read=lambda found: found["procrustes"] ** 2,
    alarm="procrustes_shown",
    name="Procrustes distance, squared",
    draws=DRAWS,
)
def _rotated(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    x = normal(seed, 60, 6)
    return (as_acts(x), as_acts(3 * x @ turned(seed + 1, 6) + 1)) if planted else unrelated(seed)
