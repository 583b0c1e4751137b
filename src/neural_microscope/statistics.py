"""Chance levels and intervals, shared by every analysis. Every random choice has a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

INTERVAL = (2.5, 97.5)
"""The percentiles between which a null or an interval is drawn."""

TIE = 1e-12
"""Numbers that differ by less, relatively, are the same but for rounding."""

FEWEST_SEEDS = 5
"""An interval over seeds needs as many networks."""

ONE_NETWORK = "95 % over images of one network; it understates what another seed would show"
ONE_SEED = "one seed, not replicated"


def halves(labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint index arrays that cover all examples, each class split as evenly as it can be.

    What is chosen on the first half (a unit's class, the best unit) is judged on the second. A class with one example
    lies in one half only.
    """
    rng = np.random.default_rng(seed)
    first = np.zeros(len(labels), bool)
    for turn, label in enumerate(np.unique(labels)):
        members = rng.permutation(np.flatnonzero(labels == label))
        first[members[: (len(members) + turn % 2) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(~first)


def shuffles(labels: np.ndarray, n: int, seed: int = 0) -> Iterator[np.ndarray]:
    """``n`` random orders of the labels: what remains when nothing links labels to activations."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield rng.permutation(labels)


def p_values(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Share of the null at or above each value, one-sided, the value itself counted: (1 + #{null >= value}) / (1 + n).

    ``values`` [...]; ``null`` [draw, ...]. From 1 / (1 + n) to 1, never 0 (Phipson & Smyth 2010). What differs by rounding only
    (1e-12 of the value) is a tie, and a draw that is NaN counts against the claim. A value that is NaN stays NaN.
    """
    reached = (null >= values - TIE * np.abs(values)) | np.isnan(null)
    p = (1 + reached.sum(0)) / (1 + len(null))
    return np.where(np.isnan(values), np.nan, p)


def p_two_sided(values: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Twice the smaller one-sided share, at most 1: for measures that may lie on either side of their null.

    ``values`` [...]; ``null`` [draw, ...]. NaN stays NaN.
    """
    smaller = np.minimum(p_values(values, null), p_values(-np.asarray(values), -null))
    return np.minimum(2 * smaller, 1)


def null_band(null: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(low, high): the 2.5 and 97.5 percentiles of the draws, [...]; ``null`` [draw, ...]. All-NaN draws give NaN."""
    gone = np.isnan(null).all(0)
    low, high = np.nanpercentile(np.where(gone, 0.0, null), INTERVAL, axis=0)
    return np.where(gone, np.nan, low), np.where(gone, np.nan, high)


def false_discovery(p: np.ndarray) -> np.ndarray:
    """p values adjusted over one family of tests (Benjamini & Hochberg 1995); NaN is no test and stays NaN."""
    q = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        q[tested] = stats.false_discovery_control(p[tested])
    return q


def bootstrap_mean(values: np.ndarray, draws: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of the mean over the last axis, examples drawn with replacement; (low, high), each [...].

    Over images it says what other images would show to the same network. It understates what another seed would show.
    """
    rng = np.random.default_rng(seed)
    n = values.shape[-1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=draws) / n  # [draw, example]
    low, high = np.percentile(values @ weights.T, INTERVAL, axis=-1)
    return low, high


def bootstrap(
    statistic: Callable[[np.ndarray], float | np.ndarray], n: int, draws: int = 200, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Percentile interval of any statistic: ``statistic(indices)`` is taken for ``draws`` resamples of n examples.

    Indices repeat; a statistic that suffers from duplicates (nearest neighbours, off-diagonal sums) needs another way.
    """
    rng = np.random.default_rng(seed)
    drawn = np.stack([np.asarray(statistic(rng.integers(n, size=n)), float) for _ in range(draws)])
    return null_band(drawn)


def mean_interval(sums: np.ndarray, squares: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % t interval of a mean from ``n`` values' sums and sums of squares, (low, high), each [...]; NaN for one value."""
    if n < 2:
        return np.full_like(sums, np.nan), np.full_like(sums, np.nan)
    mean = sums / n
    spread = np.sqrt(np.maximum(squares - n * mean**2, 0) / (n - 1))
    half = stats.t.ppf(INTERVAL[1] / 100, n - 1) * spread / np.sqrt(n)
    return mean - half, mean + half


RADEMACHER = 1 / (4 * stats.norm.sf(np.sqrt(2)))
"""How often at most a weighted sum of random signs is as likely to be large as a normal one (3.18)."""


def sign_flips(sums: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How likely values of random signs have a sum as far from 0 as theirs: (p, two-sided, [...]; where at least 95 % of such
    sums lie, 0 ± this, [...]).

    Needs only the values' ``sums`` and the sums of their ``squares``: whatever the values, few large ones among them, a sum of
    random signs times them exceeds x times the root of ``squares`` at most `RADEMACHER` times as often as a normal number
    exceeds x (Bentkus & Dzindzalieta 2015). So p is an upper bound of the exact test's. 1 where all values are 0.
    """
    root = np.sqrt(squares)
    far = np.divide(np.abs(sums), root, out=np.zeros_like(root), where=root > 0)
    p = np.minimum(2 * RADEMACHER * stats.norm.sf(far), 1)
    return p, root * stats.norm.isf((1 - INTERVAL[1] / 100) / RADEMACHER)


def over_seeds(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean over seeds, the last axis, and its 95 % t interval, (mean, low, high), each [...].

    Networks are the unit of replication; with fewer than five of them low and high are NaN: that few do not tell
    how much seeds differ.
    """
    values = np.asarray(values, float)
    n = values.shape[-1]
    mean = values.mean(-1)
    if n < FEWEST_SEEDS:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    half = stats.t.ppf(0.975, n - 1) * values.std(-1, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def random_directions(n: int, size: int, seed: int = 0) -> np.ndarray:
    """``n`` directions of unit length drawn uniformly from the sphere, [draw, unit]."""
    drawn = np.random.default_rng(seed).standard_normal((n, size))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def spearman(x: np.ndarray, y: np.ndarray, draws: int = 1000, seed: int = 0) -> tuple[float, float, float]:
    """Rank correlation of x and y and its bootstrap interval over their pairs: (rho, low, high).

    Pairs with a NaN are left out. NaN where fewer than three pairs remain or one side is constant.
    """
    kept = ~(np.isnan(x) | np.isnan(y))
    x, y = x[kept], y[kept]
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return (np.nan, np.nan, np.nan)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        pick = rng.integers(len(x), size=len(x))
        if np.ptp(x[pick]) and np.ptp(y[pick]):
            drawn.append(stats.spearmanr(x[pick], y[pick]).statistic)
    low, high = np.percentile(drawn, INTERVAL)
    return float(stats.spearmanr(x, y).statistic), float(low), float(high)
