"""Linear centered kernel alignment from features, without an examples × examples matrix."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import xarray as xr

from ...errors import DataError
from ...measure import Instrument, measure, of
from . import pairs
from .planted import DRAWS, SOME, UNRELATED, some_units, unrelated


@measure(
    "similarity",
    title="CKA",
    null=pairs.NULL,
    replicates="image",
    interval=pairs.INTERVAL,
    source="Kornblith et al. 2019: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = XX', L = YY'; "
    "debiased with HSIC_1 of Song et al. 2012 as in Nguyen et al. 2021",
)
def cka(a: xr.DataArray, b: xr.DataArray, *, debiased: bool = True, draws: int = 100, seed: int = 0) -> xr.Dataset:
    """Linear CKA of two sets of activations of the same examples, a scalar.

    HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) of the linear kernels of [example, feature]. 1 between rotations and
    scalings of each other. A large CKA can rest on a few examples (Davari et al. 2022): `compare` shows which.

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        debiased: About 0 between independent sides (so it may be negative), and 1 at most only in the limit of many
            examples; otherwise ||Y'X||² / (||X'X|| ||Y'Y||) after centering, 0..1, far above 0 between independent
            sides with many features and few examples.
        draws: Number of draws of the null (examples of b shuffled).
        seed: Seed of the null's draws and of the halves.

    Returns:
        ``cka`` with ``_null_low``, ``_null_high``, ``_p`` (one-sided) and ``_low``, ``_high`` (random halves of the
        examples, 8 or more). NaN where a side is constant or, debiased, where noise leaves no positive HSIC(K, K).

    Raises:
        DataError: Fewer than 4 examples, or not the same examples.

    >>> later = acts.isel(snapshot=-1)
    >>> round(float(nm.analysis.similarity.cka(later, 2 * later, draws=4)["cka"]), 6)
    1.0
    """
    x, y = pairs.side_by_side(a, b)
    found = pairs.measured(partial(relation, debiased=debiased), x, y, pairs.classes(a, b), draws=draws, seed=seed)
    return pairs.table(found, a, b, estimator="debiased" if debiased else "biased", **pairs.reason(x, y))


@measure(
    "similarity",
    title="CKA from batches",
    null="none; 0 is expected for unrelated sides",
    replicates="image",
    interval="none",
    source="debiased HSIC averaged over batches: Nguyen et al. 2021, eq. 5",
)
def minibatch_cka(batches: Iterable[tuple[xr.DataArray, xr.DataArray]]) -> xr.Dataset:
    """Debiased CKA for more examples than fit in memory: its three HSIC terms averaged over the batches, then divided.

    Every batch's terms are unbiased, so the result does not increase as batches shrink (Nguyen et al. 2021, eq. 5); one
    batch of all examples gives `cka`. No null and no interval: for those use `cka` on a sample.

    Args:
        batches: Pairs of activations [example, unit] of the same 4 or more examples.

    Returns:
        ``cka``, a scalar; attrs count the examples and batches.

    Raises:
        DataError: No batches, fewer than 4 examples in one, or not the same examples.
    """
    sums, count, examples = np.zeros(3), 0, 0
    for a, b in batches:
        x, y = pairs.side_by_side(a, b)
        sums += [hsic(x, y), hsic(x, x), hsic(y, y)]
        count, examples = count + 1, examples + len(x)
    if not count:
        raise DataError("no batches; give at least one pair of activations of the same examples")
    value = ((), ratio(*(sums / count)), {"units": "1"})
    return xr.Dataset({"cka": value}, attrs={"n_examples": examples, "n_batches": count})


def relation(x: np.ndarray, y: np.ndarray, *, debiased: bool = True, name: str = "cka") -> pairs.Relation:
    """CKA of x and y, as a relation evaluated for an order of y's examples."""
    x, y = pairs.centred(x), pairs.centred(y)
    own = hsic(x, x, debiased=debiased), hsic(y, y, debiased=debiased)
    return lambda order: {name: ratio(hsic(x, y[order], debiased=debiased), *own)}


def hsic(x: np.ndarray, y: np.ndarray, *, debiased: bool = True) -> float:
    """The HSIC of the linear kernels of centered x and y; the biased one without its factor, which cancels in every ratio."""
    whole = _product_squared(x, y)
    return unbiased(whole, (x**2).sum(1), (y**2).sum(1)) if debiased else whole


def unbiased(whole: float, d: np.ndarray, e: np.ndarray) -> float:
    """HSIC_1 of centered features from ||X'Y||² and the squared norms of their examples.

    HSIC_1 = [tr(KL) + 1'K1 1'L1 / ((n-1)(n-2)) - 2 / (n-2) 1'KL1] / (n(n-3)), K and L with zero diagonals. Centered
    features make the rows of XX' sum to 0, so a row of K sums to minus its removed diagonal entry.
    """
    n = len(d)
    return float((whole - d @ e * n / (n - 2) + d.sum() * e.sum() / ((n - 1) * (n - 2))) / (n * (n - 3)))


def influence(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Influence of each example on the debiased CKA of centered x and y: CKA - CKA without it, [example], exactly. NaN
    for four examples: three have no debiased CKA.
    """
    if len(x) <= pairs.FEWEST:
        return np.full(len(x), np.nan)
    without = [_hsic_without(x, y), _hsic_without(x, x), _hsic_without(y, y)]
    square = without[1] * without[2]
    good = (without[1] > 0) & (without[2] > 0)
    left = np.divide(without[0], np.sqrt(np.where(good, square, 1)), out=np.full(len(x), np.nan), where=good)
    return ratio(hsic(x, y), hsic(x, x), hsic(y, y)) - left


def _hsic_without(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """HSIC_1 without each example in turn, from sums of rows; [example]."""
    n = len(x) - 1
    d, e = (x**2).sum(1), (y**2).sum(1)
    product = x.T @ y
    pair = ((x @ product) * y).sum(1) - d * e  # for each row, sum of K L
    trace = (product**2).sum() - d @ e - 2 * pair
    sums = (2 * d - d.sum()) * (2 * e - e.sum())
    rows = d @ e - d * e + (x @ (x.T @ e) - d * e) + (y @ (y.T @ d) - d * e) + pair
    return (trace + sums / ((n - 1) * (n - 2)) - 2 / (n - 2) * rows) / (n * (n - 3))


def _product_squared(x: np.ndarray, y: np.ndarray) -> float:
    """||X'Y||², by the smaller of its two forms."""
    if len(x) < min(x.shape[1], y.shape[1]):
        return float(np.vdot(x @ x.T, y @ y.T))
    product = x.T @ y
    return float(np.vdot(product, product))


def ratio(both: float, first: float, second: float) -> float:
    """HSIC over the root of both sides' own; NaN if one of these is not above 0."""
    return float(both / np.sqrt(first * second)) if first > 0 and second > 0 else np.nan


# Phantoms.


@of(cka).calibrated_on(
    "whitened layer of 8 units against 3 of them: sqrt(3/8)",
    SOME,
    0.005,
    empty=UNRELATED,
    read="cka",
    name="linear CKA, debiased",
    draws=DRAWS,
)
def _many_examples(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    return some_units(seed, 2000) if planted else unrelated(seed)


@of(cka).calibrated_on(
    "whitened layer of 8 units against 3 of them: sqrt(3/8)",
    SOME,
    1e-12,
    empty=UNRELATED,
    read="cka",
    name="linear CKA, biased",
    debiased=False,
    draws=DRAWS,
)
def _few_examples(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    return some_units(seed, 60) if planted else unrelated(seed)


def _in_batches(a: xr.DataArray, b: xr.DataArray, size: int) -> float:
    starts = range(0, len(a), size)
    return float(minibatch_cka((a[i : i + size], b[i : i + size]) for i in starts)["cka"])


def _of_batches(seed: int) -> tuple[float, float]:
    """The debiased CKA of all examples, from 40 batches of 50."""
    return SOME, _in_batches(*some_units(seed, 2000), 50)


def _batches_alarm(seed: int, planted: bool = False) -> bool:
    """It has no null of its own; shuffled pairs of the same batches serve instead."""
    a, b = some_units(seed, 40) if planted else unrelated(seed, 40)
    value, rng = _in_batches(a, b, 20), np.random.default_rng(seed)
    return all(_in_batches(a, b[rng.permutation(40)], 20) < value for _ in range(19))


of(minibatch_cka).instruments.append(
    Instrument(
        "linear CKA, minibatches",
        "similarity.minibatch_cka",
        "whitened layer of 8 units against 3 of them, 40 batches",
        "unrelated layers; above all of 19 shuffles",
        _of_batches,
        0.02,
        _batches_alarm,
    )
)
