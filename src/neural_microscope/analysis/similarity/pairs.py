"""Two sets of activations of the same images: their null distribution and their interval over images."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from ... import named
from ...errors import DataError
from ...statistics import Side, beside, halves

FEWEST = 4
"""The fewest examples for the debiased estimators."""

HALVES = 20
"""Random halves of the examples from which an interval is taken."""

ROUNDING = 1e-7
"""Differences from the null within this are ties; with as many features as examples all sides are equal, except for rounding."""

NULL = "images of one side shuffled, {draws} draws: nothing in common except each side's own spectrum"
INTERVAL = "95% over images, from random halves (delete-half jackknife, t); variation between seeds may be larger"

Values = dict[str, Any]
Variables = dict[str, tuple[Any, ...]]
"""Variables of a dataset, by name: (dims, values, attributes)."""
Relation = Callable[[np.ndarray], Values]
"""From an order of the second side's examples to the measures of the pair."""


def side_by_side(a: xr.DataArray, b: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [example, feature], centered, feature maps flattened; a DataError unless they belong to
    the same four or more examples."""
    named.same_examples(a, b)
    x, y = named.flat(a), named.flat(b)
    if len(x) < FEWEST:
        raise DataError(f"{len(x)} examples; similarity needs {FEWEST} or more")
    return centred(x), centred(y)


def centred(x: np.ndarray) -> np.ndarray:
    """Each feature minus its mean over the examples; constant features become exactly 0."""
    return np.where(np.ptp(x, axis=0) > 0, x - x.mean(0), 0.0)


def columns(x: np.ndarray) -> np.ndarray:
    """Each unit's activations at norm 1; zeros stay."""
    size = np.linalg.norm(x, axis=0)
    return x / np.where(size > 0, size, 1)


def compact(x: np.ndarray) -> np.ndarray:
    """The same examples rotated (exactly, by an orthogonal map) into as many features as there are examples, if there
    are more: all inner products of examples stay what they were."""
    return np.ascontiguousarray(np.asarray(np.linalg.qr(x.T, mode="r")).T) if x.shape[1] > len(x) else x


def classes(*acts: xr.DataArray) -> np.ndarray:
    """The labels by which halves are balanced; zeros if there are none."""
    labelled = [one for one in acts if "label" in one.coords]
    return named.labels(labelled[0]) if labelled else np.zeros(acts[0].sizes["example"], int)


def drawn(relation: Relation, n: int, draws: int, rng: np.random.Generator) -> tuple[Values, dict[str, np.ndarray]]:
    """The measures of a pair of ``n`` examples, and their values with the second side's in random orders, [draw, ...]."""
    value = relation(np.arange(n))
    return value, _stacked([relation(rng.permutation(n)) for _ in range(draws)], value)


def measured(
    relate: Callable[[np.ndarray, np.ndarray], Relation],
    x: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    *,
    draws: int,
    seed: int,
    side: Side = "above",
) -> Variables:
    """Each value of ``relate(x, y)``, a scalar or [component], with its null; scalars with their interval.

    Null: the rows of y in ``draws`` random orders; one-sided, a separate test each. Interval: value ± t s, s the
    standard deviation over random halves of the examples, which estimates the standard error of the full sample (Shao & Wu
    1989: the factor (n - d) / d is 1 where half is left out).
    """
    rng = np.random.default_rng(seed)
    value, null = drawn(relate(x, y), len(x), draws, rng)
    parts = [halves(labels, int(rng.integers(2**31)))[0] for _ in range(HALVES)]
    scalars = {name: one for name, one in value.items() if np.ndim(one) == 0}  # a half may have another rank
    intervals = {}
    if min(map(len, parts)) >= FEWEST:
        taken = _stacked([relate(x[part], y[part])(np.arange(len(part))) for part in parts], scalars)
        intervals = {name: around(scalars[name], half) for name, half in taken.items()}
    found: Variables = {}
    for name, one in value.items():
        dims = ("component",)[: np.ndim(one)]
        found |= beside(
            name, one, null[name], dims, side=side, rounding=ROUNDING, family=False, interval=intervals.get(name)
        )
    return found


def around(value: Any, parts: np.ndarray) -> tuple[Any, Any]:
    """value ± t s, s the standard deviation over the parts [part, ...]."""
    reach = stats.t.ppf(0.975, len(parts) - 1) * parts.std(0, ddof=1)
    return value - reach, value + reach


def table(variables: Variables, *acts: xr.DataArray, **attrs: Any) -> xr.Dataset:
    """A dataset of the variables; a second of ``acts`` names its hook point."""
    second = {"hook_point_b": str(acts[1].name or "")} if len(acts) > 1 else {}
    return xr.Dataset(variables, attrs=second | attrs)


def reason(x: np.ndarray, y: np.ndarray) -> dict[str, str]:
    """The reason that values are NaN, as an attribute: one side is constant."""
    still = [side for side, values in (("the first", x), ("the second", y)) if not values.any()]
    return {"reason": f"{' and '.join(still)} side is constant over the examples: nothing to compare"} if still else {}


def _stacked(rows: list[Values], names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: np.array([one[name] for one in rows], float) for name in names}
