"""Null distributions and intervals, shared by every analysis. Every random choice has a seed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy import special, stats

from .doors import typed

INTERVAL = (2.5, 97.5)
"""The percentiles that bound a null band or an interval."""

TIE = 1e-12
"""Relative differences below this are rounding errors."""

ALPHA = 0.05
"""The declared rate of false claims: for one test, one family (false discovery), and a whole page (family-wise)."""

Side = Literal["above", "below", "both"]
"""The side of the null on which structure lies."""

FEWEST_SEEDS = 5
"""The fewest networks for an interval over seeds."""

ONE_NETWORK = "95% over images of one network; it understates variation between seeds"


@typed
def halves(labels: np.ndarray, seed: int = 0, *, key: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint index arrays that cover all examples, each class split as evenly as possible.

    A choice on one half (a unit's class, the best unit) is judged on the other. A class with one example lies in one
    half only. With a ``key`` the halves depend on the examples' values and not on their order: see `canonical_order`.
    Without one they depend on the order.

    Args:
        labels: Class of each example, [example].
        seed: Seed of the split.
        key: Values of each example [example, …], such as activations, pixels or losses; None: their order.

    >>> first, second = nm.statistics.halves(digits.test.labels)
    >>> len(first), len(second), set(first) & set(second)
    (180, 180, set())
    """
    rng = np.random.default_rng(seed)
    first = np.zeros(len(labels), bool)
    order = np.arange(len(labels)) if key is None else canonical_order(labels, key)
    for turn, label in enumerate(np.unique(labels)):
        members = rng.permutation(order[labels[order] == label])
        first[members[: (len(members) + turn % 2) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


FEW_COLUMNS = 8
"""Columns that nearly always order examples without ties, so that the others need no sorting."""


@typed
def canonical_order(labels: np.ndarray, key: np.ndarray) -> np.ndarray:
    """An order of the examples that does not depend on their given order, [example].

    By label, then by the values of ``key``. Examples equal in both keep their order; nothing that depends on label and
    key can distinguish them.

    Args:
        labels: Class of each example, [example].
        key: Values of each example [example, …].

    >>> nm.statistics.canonical_order(np.array([1, 0, 0]), np.array([0.2, 0.3, 0.1]))
    array([2, 1, 0])
    """
    columns = np.reshape(key, (len(labels), -1)).T
    few = (*columns[:FEW_COLUMNS][::-1], labels)
    order = np.lexsort(few)
    tied = np.all([column[order[1:]] == column[order[:-1]] for column in few], axis=0)
    return np.lexsort((*columns[::-1], labels)) if len(columns) > FEW_COLUMNS and tied.any() else order


@typed
def shuffles(labels: np.ndarray, n: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Random orders of the labels: the null that labels and activations are independent.

    Args:
        labels: Class of each example, [example].
        n: Number of shuffles.
        seed: Seed of the shuffles.
    """
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield rng.permutation(labels)


@typed
def p_values(
    values: np.ndarray, null: np.ndarray, *, side: Side = "above", rounding: float = 0.0, tail: bool = False
) -> np.ndarray:
    """Monte Carlo p of each value, the value itself counted: (1 + #{draws at or beyond it}) / (1 + n), [...].

    From 1 / (1 + n) (2 / (1 + n) for both sides) to 1, never 0. The one rule for ties: a draw within 1e-12 of the value
    (relatively) or within ``rounding`` (absolutely) reaches it, and a draw that is NaN counts against the claim. A
    value that is NaN stays NaN.

    Args:
        values: Values to test, [...].
        null: Draws of the null, [draw, ...].
        side: ``above`` and ``below`` are one-sided, ``both`` is twice the smaller of the two, at most 1.
        rounding: Precision of the measurement.
        tail: True to fit the tail, see `tail_p`.

    Source: Phipson & Smyth 2010.

    >>> nm.statistics.p_values(np.array([3.0]), np.array([[1.0], [2.0], [3.0], [4.0]]))
    array([0.6])
    """
    values, null = np.asarray(values, float), np.asarray(null, float)
    if side == "both":
        above, below = (p_values(values, null, side=one, rounding=rounding, tail=tail) for one in ("above", "below"))
        return np.minimum(2 * np.minimum(above, below), 1)
    sign = -1 if side == "below" else 1
    reached = (sign * null >= sign * values - TIE * np.abs(values) - rounding) | np.isnan(null)
    p = (1 + reached.sum(0)) / (1 + len(null))
    if tail and len(null) >= FEWEST_FITTED:
        p = tail_p(sign * values - rounding, sign * null, p)
    return np.where(np.isnan(values), np.nan, p)


class Law(NamedTuple):
    """A null whose distribution is known, so that no draws are needed: its band and the p of the value, each [...]."""

    low: np.ndarray
    high: np.ndarray
    p: np.ndarray


@typed
def beside(
    name: str,
    value: Any,
    null: np.ndarray | Law,
    dims: Any = (),
    *,
    side: Side = "above",
    units: str = "1",
    interval: tuple[Any, Any] | None = None,
    family: bool | str = True,
    rounding: float = 0.0,
    tail: bool = False,
    start: float = 0.0,
    where: Any = True,
) -> dict[str, tuple[Any, ...]]:
    """A value compared with its null: the single rule for "beyond chance", as the variables of a Dataset.

    Args:
        name: Name of the value's variable.
        value: The value, [...].
        null: Draws [draw, ...], of which there may be none, or only NaN (band and p are then NaN and nothing is shown),
            or a `Law`.
        dims: Names of the value's axes.
        side: The side of the null on which structure lies: ``above``, ``below`` or ``both``.
        units: Unit of the value.
        interval: (low, high) of the value, each [...]; None: no interval.
        family: True for one family of all values, the name of a dimension for one along it at each index of the others,
            False for separate tests.
        rounding: Precision of the measurement, see `p_values`.
        tail: True to fit the tail, see `tail_p`.
        start: Added to the displayed values, not to the tested ones.
        where: Booleans [...]; False leaves NaN and no verdict.

    Returns:
        ``name`` with ``…_null_low`` and ``…_null_high`` (the null's 2.5 and 97.5 percentiles), ``…_p``, ``…_q`` (false
        discovery over the family) and ``…_shown``, the verdict: q, or p without a family, below 0.05. ``…_low`` and
        ``…_high`` where an ``interval`` is given. The p variable's attributes hold ``draws`` and ``floor``, the
        smallest p that so many draws can give (0 for a law).

    >>> sorted(nm.statistics.beside("mean", 3.0, np.zeros(99)))
    ['mean', 'mean_null_high', 'mean_null_low', 'mean_p', 'mean_q', 'mean_shown']
    """
    value = np.where(where, np.asarray(value, float), np.nan)
    gone = np.isnan(value)
    low: Any
    high: Any
    if isinstance(null, Law):
        low, high, p, draws = null.low, null.high, np.asarray(null.p, float), 0
    elif len(null):
        (low, high), draws = null_band(null), len(null)
        p = p_values(value, null, side=side, rounding=rounding, tail=tail)
        p = np.where(np.isnan(null).all(0), np.nan, p)
    else:
        low, high, p, draws = np.nan, np.nan, np.full(value.shape, np.nan), 0
    low, high, p = (np.where(gone, np.nan, np.broadcast_to(one, value.shape)) for one in (low, high, p))
    found = {"": start + value}
    if interval is not None:
        found |= {
            f"_{end}": start + np.where(gone, np.nan, one) for end, one in zip(("low", "high"), interval, strict=True)
        }
    found |= {"_null_low": start + low, "_null_high": start + high}
    table: dict[str, tuple[Any, ...]] = {f"{name}{end}": (dims, one, {"units": units}) for end, one in found.items()}
    floor = (2 if side == "both" else 1) / (1 + draws) if draws and not (tail and draws >= FEWEST_FITTED) else 0.0
    table[f"{name}_p"] = (dims, p, {"units": "1", "draws": draws, "floor": floor})
    judged = p
    if family:
        axis = None if family is True else list(np.atleast_1d(dims)).index(family)
        judged = false_discovery(p) if axis is None else np.apply_along_axis(false_discovery, axis, p)
        table[f"{name}_q"] = (dims, judged, {"units": "1"})
    table[f"{name}_shown"] = (dims, shown(judged), {"units": "1"})
    return table


FEWEST_BEYOND = 10
"""Draws beyond a value from which their count alone gives its p."""

FEWEST_FITTED = 149
"""Draws from which a tail is fitted (random directions, 16 channels: false claims in 7.8% of families with 99, in 5.3% with 149)."""


@typed
def tail_p(values: np.ndarray, null: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The one-sided ``p`` of `p_values` without its floor, [...].

    If fewer than ten draws reach a value, the tail of Pearson's type III with the draws' mean, variance and skewness;
    never above the counted p of the tenth draw. For statistics that are sums of many small terms, which such a law
    fits. Fewer than 149 draws, constant draws, and draws that are not all finite keep the counted p.

    Args:
        values: Values to test, [...].
        null: Draws of the null, [draw, ...].
        p: Counted p of the values, [...].

    Source: Winkler et al. 2016.
    """
    mean, spread = null.mean(0), null.std(0, ddof=1)
    few = (p * (1 + len(null)) - 1 < FEWEST_BEYOND) & np.isfinite(spread) & (spread > TIE * np.abs(mean))
    parts = null - mean
    with np.errstate(divide="ignore", invalid="ignore"):
        skew = (parts**2 * parts).mean(0) / (parts**2).mean(0) ** 1.5
        fitted = stats.pearson3.sf((values - mean) / spread, skew)
    fitted = np.where(np.isnan(fitted), p, np.clip(fitted, 1e-9, (1 + FEWEST_BEYOND) / (1 + len(null))))
    return np.where(few, fitted, p)


@typed
def networks(value: np.ndarray, sample: np.ndarray, *, side: Side = "above") -> Law:
    """The null "one more network like these": a value compared with the same statistic of K others.

    Student's prediction interval: t = (x - mean) / (sd √(1 + 1 / K)), K - 1 degrees of freedom. It assumes that the
    statistic is normal over networks (use logarithms for positive, skewed statistics). NaN if fewer than three networks
    have the statistic.

    Args:
        value: The value, [...].
        sample: The statistic of the others, [network, ...].
        side: The side of the null on which structure lies: ``above``, ``below`` or ``both``.
    """
    value, sample = np.asarray(value, float), np.asarray(sample, float)
    count = np.isfinite(sample).sum(0)
    known = count >= 3
    filled = np.where(known, sample, 0.0)
    mean = np.nanmean(filled, axis=0)
    spread = np.nanstd(filled, axis=0, ddof=1) * np.sqrt(1 + 1 / np.maximum(count, 1))
    spread = np.where(known, np.maximum(spread, TIE * np.abs(mean)), np.nan)
    freedom = np.maximum(count - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(value == mean, 0.0, (value - mean) / spread)
    p = {"above": stats.t.sf(t, freedom), "below": stats.t.cdf(t, freedom), "both": 2 * stats.t.sf(np.abs(t), freedom)}[
        side
    ]
    half = stats.t.ppf(INTERVAL[1] / 100, freedom) * spread
    return Law(mean - half, mean + half, np.where(known & ~np.isnan(value), p, np.nan))


@typed
def shown(p: Any) -> np.ndarray:
    """The verdict on p or q values, [...]: below 0.05; NaN is no test and never shown.

    Args:
        p: p or q values, [...].

    >>> nm.statistics.shown([0.01, 0.05, np.nan])
    array([ True, False, False])
    """
    return np.nan_to_num(np.asarray(p, float), nan=1.0) < ALPHA


@typed
def excludes(low: Any, high: Any, value: Any = 0.0) -> np.ndarray:
    """The verdict on an interval, [...]: it lies wholly above or wholly below a value; NaN excludes nothing.

    Args:
        low: Lower ends, [...].
        high: Upper ends, [...].
        value: What the null hypothesis says.

    >>> nm.statistics.excludes([0.1, -0.1, np.nan], [0.3, 0.2, np.nan])
    array([ True, False, False])
    """
    low, high = np.asarray(low, float), np.asarray(high, float)
    return (low > value) | (high < value)


@typed
def null_band(null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high): the 2.5 and 97.5 percentiles of the draws, each [...]; all-NaN draws give NaN.

    Args:
        null: Draws of the null, [draw, ...].

    >>> low, high = nm.statistics.null_band(np.arange(201.0)[:, None])
    >>> low, high
    (array([5.]), array([195.]))
    """
    missing = np.isnan(null)
    gone = missing.all(0)
    percentile = np.nanpercentile if (missing & ~gone).any() else np.percentile  # much faster
    low, high = percentile(np.where(gone, 0.0, null), INTERVAL, axis=0)
    return np.where(gone, np.nan, low), np.where(gone, np.nan, high)


@typed
def false_discovery(p: np.ndarray) -> np.ndarray:
    """p values adjusted over one family of tests, [...]; NaN is no test and stays NaN.

    Args:
        p: p values of the family, [...].

    Source: Benjamini & Hochberg 1995.

    >>> nm.statistics.false_discovery(np.array([0.01, 0.04, np.nan]))
    array([0.02, 0.04,  nan])
    """
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q


@typed
def family_wise(p: np.ndarray) -> np.ndarray:
    """p values adjusted for the probability of any false claim, under any dependence, [test]; NaN stays NaN.

    Args:
        p: p values of the family, [test].

    Source: Holm 1979.
    """
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(order) else steps
    return adjusted


@typed
def rank_sum(auc: np.ndarray, ranks: np.ndarray, size: np.ndarray) -> Law:
    """The null of an AUC: as many images drawn at random as the class has, [unit], one-sided.

    A sum of k of n ranks drawn without replacement has variance k (n - k) M2 / (n (n - 1)) and third moment k (n - k)
    (n - 2 k) M3 / (n (n - 1) (n - 2)), M the sums of powers about the mean, so ties (a ReLU's zeros) are counted as
    they are; Pearson's type III matches them. Where fewer than 20 images differ from a unit's most frequent value, or
    the class or its rest has fewer than 10, no such law is used: p and band are exact, over all sets of k images. NaN
    for a unit that is constant, an empty side, or fewer than three images.

    Args:
        auc: AUC of each unit, 0..1, [unit].
        ranks: Ranks of the activations, ties sharing theirs, [example, unit].
        size: Number of images of each unit's class, [unit].

    Source: Mann & Whitney 1947.
    """
    n = len(ranks)
    low, high, p = (np.full(len(size), np.nan) for _ in range(3))
    centered = ranks - ranks.mean(0)
    usable = (size > 0) & (size < n) & (np.abs(centered).max(0, initial=0) > 0) & (n > 2) & ~np.isnan(auc)
    few = np.zeros(len(size), bool)
    few[usable] = rarely_active(ranks[:, usable], FEWEST_ACTIVE) | (
        np.minimum(size, n - size)[usable] < FEWEST_OF_CLASS
    )
    for unit in np.flatnonzero(few):
        k = int(size[unit])
        sums, chance = _subset_sums(tuple(np.sort(2 * ranks[:, unit]).astype(int).tolist()), k)
        below = np.cumsum(chance)
        ends = sums[np.minimum(np.searchsorted(below, np.array(INTERVAL) / 100), len(sums) - 1)]
        low[unit], high[unit] = (ends / 2 - k * (k + 1) / 2) / (k * (n - k))
        reached = sums >= round(2 * auc[unit] * k * (n - k)) + k * (k + 1)
        p[unit] = min(chance[reached].sum(), 1)
    usable &= ~few
    if usable.any():
        k, centered = size[usable], centered[:, usable]
        squares = centered**2
        spread = np.sqrt(k * (n - k) * squares.sum(0) / (n * (n - 1)))
        skew = k * (n - k) * (n - 2 * k) * (squares * centered).sum(0) / (n * (n - 1) * (n - 2)) / spread**3
        pairs = k * (n - k)
        p[usable] = stats.pearson3.sf((auc[usable] - 0.5) * pairs / spread, skew)
        low[usable], high[usable] = (0.5 + stats.pearson3.ppf(end / 100, skew) * spread / pairs for end in INTERVAL)
    return Law(low, high, p)


FEWEST_ACTIVE, FEWEST_OF_CLASS = 20, 10
"""Active images, and images of a class, below which no large-sample law or interval of a unit's selectivity is used."""


@typed
def active_images(x: np.ndarray) -> np.ndarray:
    """Number of examples that differ from each unit's most frequent value, [unit].

    After a ReLU those on which it fires.

    Args:
        x: Activations, [example, unit].
    """
    if not x.size:
        return np.zeros(x.shape[1], int)
    ordered = np.sort(np.ascontiguousarray(x.T), axis=1)
    place = np.arange(1, len(x))
    begun = np.maximum.accumulate(np.where(ordered[:, 1:] != ordered[:, :-1], place, 0), axis=1)  # of its value's run
    return len(x) - 1 - (place - begun).max(1, initial=0)


@typed
def rarely_active(x: np.ndarray, fewest: int) -> np.ndarray:
    """`active_images` below ``fewest``, [unit]; sorts only units of which the lowest value, a ReLU's 0, does not decide it.

    Args:
        x: Activations, [example, unit].
        fewest: Number of examples.
    """
    n, lowest = len(x), (x == x.min(0)).sum(0) if len(x) else np.zeros(x.shape[1], int)
    found = n - lowest < fewest
    left = np.flatnonzero(
        ~found & (np.minimum(lowest, n - lowest) < fewest)
    )  # otherwise neither it nor another is frequent
    found[left] = active_images(x[:, left]) < fewest
    return found


@functools.lru_cache(maxsize=64)  # units with the same ties share it, at every snapshot
def _subset_sums(values: tuple[int, ...], k: int) -> tuple[np.ndarray, np.ndarray]:
    """(sums, probabilities): the law of the sum of ``k`` of these whole numbers drawn without replacement, sums ascending.

    Counts the sets by size and sum, one number after another; for the most frequent number only the count of draws.
    """
    numbers = np.array(values)
    if 2 * k > len(numbers):
        sums, chance = _subset_sums(values, len(numbers) - k)
        return numbers.sum() - sums[::-1], chance[::-1]
    kinds, counts = np.unique(numbers, return_counts=True)
    common, times = int(kinds[counts.argmax()]), int(counts.max())
    others = numbers[numbers != common]
    most = min(k, len(others))
    ways = np.zeros((most + 1, int(others[len(others) - most :].sum()) + 1))
    ways[0, 0] = 1
    for number in others:
        ways[1:, number:] += ways[:-1, : ways.shape[1] - number]
    found, of_common = np.zeros(ways.shape[1] + k * common), k - np.arange(most + 1)
    log = -special.betaln(
        np.maximum(times - of_common, 0) + 1.0, of_common + 1.0
    )  # their binomial coefficients, up to a factor
    log[of_common > times] = -np.inf
    for drawn, weight in zip(of_common, np.exp(log - log.max()), strict=True):
        found[drawn * common :][: ways.shape[1]] += weight * ways[k - drawn]
    sums = np.flatnonzero(found)
    return sums, found[sums] / found.sum()


@typed
def bootstrap_mean(values: np.ndarray, draws: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over the last axis, examples drawn with replacement: (low, high), each [...].

    Over images it describes other images and the same network. It understates variation between seeds.

    Args:
        values: Values, [..., example].
        draws: Number of resamples.
        seed: Seed of the resamples.

    >>> low, high = nm.statistics.bootstrap_mean(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> bool(low < 2.5 < high)
    True
    """
    n = values.shape[-1]
    weights = _resamples(n, draws, seed) / n
    low, high = np.percentile(values @ weights.T, INTERVAL, axis=-1)
    return low, high


@functools.lru_cache(maxsize=1)  # the measures of a layer ask for the same ones
def _resamples(n: int, draws: int, seed: int) -> np.ndarray:
    """The number of times that each example is drawn, [draw, example]."""
    found = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.int32)
    found.flags.writeable = False
    return found


@typed
def bootstrap(
    statistic: Callable[[np.ndarray], float | np.ndarray], n: int, draws: int = 200, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of any statistic over resamples of the examples: (low, high), each [...].

    Indices repeat; a statistic sensitive to duplicates (nearest neighbors, off-diagonal sums) needs another method.

    Args:
        statistic: Function of the indices of a resample, [example].
        n: Number of examples.
        draws: Number of resamples.
        seed: Seed of the resamples.

    >>> values = np.array([1.0, 2.0, 3.0, 4.0])
    >>> low, high = nm.statistics.bootstrap(lambda chosen: np.median(values[chosen]), n=4)
    >>> bool(1 <= low < high <= 4)
    True
    """
    rng = np.random.default_rng(seed)
    drawn = np.stack([np.asarray(statistic(rng.integers(n, size=n)), float) for _ in range(draws)])
    return null_band(drawn)


@typed
def mean_interval(sums: np.ndarray, squares: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """95% t interval of a mean, (low, high), each [...]; NaN for one value.

    Args:
        sums: Sums of the values, [...].
        squares: Sums of their squares, [...].
        n: Number of values.
    """
    if n < 2:
        return np.full_like(sums, np.nan), np.full_like(sums, np.nan)
    mean = sums / n
    spread = np.sqrt(np.maximum(squares - n * mean**2, 0) / (n - 1))
    half = stats.t.ppf(INTERVAL[1] / 100, n - 1) * spread / np.sqrt(n)
    return mean - half, mean + half


RADEMACHER = 1 / (4 * stats.norm.sf(np.sqrt(2)))
"""The maximum ratio of the tail probability of a weighted sum of random signs to that of a normal variable (3.18)."""


@typed
def sign_flips(sums: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The probability that values with random signs have a sum as far from 0 as observed, from sums alone.

    Whatever the values, few large ones among them, a sum of random signs times them exceeds x times the root of
    ``squares`` at most `RADEMACHER` times as often as a normal number exceeds x. So p is an upper bound of the exact
    test's.

    Args:
        sums: Sums of the values, [...].
        squares: Sums of their squares, [...].

    Returns:
        (p, two-sided, 1 if all values are 0; the range 0 ± this of at least 95% of such sums), each [...].

    Source: Bentkus & Dzindzalieta 2015.
    """
    root = np.sqrt(squares)
    far = np.divide(np.abs(sums), root, out=np.zeros_like(root), where=root > 0)
    p = np.minimum(2 * RADEMACHER * stats.norm.sf(far), 1)
    return p, root * stats.norm.isf((1 - INTERVAL[1] / 100) / RADEMACHER)


@typed
def over_seeds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over seeds and its 95% t interval: (mean, low, high), each [...].

    Networks are the unit of replication; with fewer than five of them low and high are NaN, too few to estimate the
    spread between seeds.

    Args:
        values: Values, [..., seed].

    >>> mean, low, high = nm.statistics.over_seeds(np.array([0.95, 0.96, 0.96, 0.97, 0.96]))
    >>> f"{mean:.3f}, {low:.3f} to {high:.3f}"
    '0.960, 0.951 to 0.969'
    """
    values = np.asarray(values, float)
    n = values.shape[-1]
    mean = values.mean(-1)
    if n < FEWEST_SEEDS:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf(0.975, n - 1) * values.std(-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


@typed
def random_directions(n: int, size: int, seed: int = 0) -> np.ndarray:
    """Directions of unit length drawn uniformly from the sphere, [draw, unit].

    Args:
        n: Number of directions.
        size: Number of units.
        seed: Seed of the directions.

    >>> np.linalg.norm(nm.statistics.random_directions(3, 16), axis=1).round(6)
    array([1., 1., 1.])
    """
    drawn = np.random.default_rng(seed).standard_normal((n, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


FEWEST_PAIRS = 6
"""Pairs below which a rank correlation has no interval, no p and no verdict (with 5 a bootstrap interval misses 12% of the time)."""


@typed
def spearman(x: np.ndarray, y: np.ndarray, draws: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Rank correlation and its bootstrap interval over the pairs: (rho, low, high).

    Pairs with a NaN are left out. NaN if fewer than three pairs remain or one side is constant; the interval is NaN
    with fewer than six pairs, where a bootstrap is unreliable.

    Args:
        x: One side of the pairs, [pair].
        y: The other side, [pair].
        draws: Number of resamples; 0: no interval.
        seed: Seed of the resamples.

    >>> rho, low, high = nm.statistics.spearman(np.arange(8.0), np.arange(8.0) ** 2)
    >>> round(rho, 6)
    1.0
    """
    kept = ~(np.isnan(x) | np.isnan(y))
    x, y = x[kept], y[kept]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return (np.nan, np.nan, np.nan)
    value = float(stats.spearmanr(x, y).statistic)
    if len(x) < FEWEST_PAIRS or not draws:
        return value, np.nan, np.nan
    picks = np.random.default_rng(seed).integers(len(x), size=(draws, len(x)))
    ranks = [stats.rankdata(side[picks], axis=1) - (len(x) + 1) / 2 for side in (x, y)]
    spread = np.sqrt((ranks[0] ** 2).sum(1) * (ranks[1] ** 2).sum(1))
    drawn = (ranks[0] * ranks[1]).sum(1)[spread > 0] / spread[spread > 0]
    low, high = np.percentile(drawn, INTERVAL)
    return value, float(low), float(high)
