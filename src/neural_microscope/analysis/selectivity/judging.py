"""Arithmetic of specialization for many label orders at once: class sums are matrix products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...statistics import canonical_order, halves

RAREST = 0.01
"""A unit above 0 for a smaller share of the examples is not judged."""
FEWEST = 10
"""Nor is one that is above 0 for fewer examples."""
BINS = 30
"""Bins of equal count for the mutual information."""

_ROOM = 4_000_000


def examples(acts: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """(activations [example, unit], labels [example]) in `canonical_order`, so the order of the images has no effect."""
    x, labels = named.matrix(acts), named.labels(acts)
    order = canonical_order(labels, x)
    return x[order], labels[order]


def gated(x: np.ndarray, signed: bool | None = None) -> np.ndarray:
    """Units that can't be judged, [unit], of ``x`` [example, unit]: those that never change, and, where the layer has no
    value below 0 (is not ``signed``), those above 0 for less than 1% or fewer than 10 of the examples.
    """
    still = x.max(0) == x.min(0)
    if signed if signed is not None else x.min(initial=0) < 0:
        return still
    return still | ((x > 0).sum(0) < max(FEWEST, RAREST * len(x)))


def split(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`statistics.halves` of examples in canonical order; a DataError if either is empty."""
    first, second = halves(labels, seed)
    if not len(first) or not len(second):
        raise DataError(f"{len(labels)} examples: none are left for judging; use at least two of a class")
    return first, second


def blocks(orders: np.ndarray, classes: int) -> Iterator[np.ndarray]:
    """The orders of the labels [order, example] in parts whose one-hot form stays small."""
    at_once = max(1, _ROOM // (classes * orders.shape[1]))
    for start in range(0, len(orders), at_once):
        yield orders[start : start + at_once]


def class_sums(x: np.ndarray, orders: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(sums [order, class, unit], counts [order, class, 1]) of ``x`` [example, unit] for each order of the labels."""
    one_hot = (orders[:, None, :] == np.arange(classes)[:, None]).astype(np.float64)
    sums = one_hot.reshape(-1, orders.shape[1]) @ x
    return sums.reshape(len(orders), classes, -1), one_hot.sum(-1)[..., None]


def means_of(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Class means; NaN for a class without examples."""
    return sums / np.where(counts, counts, np.nan)


def highest(means: np.ndarray, axis: int = -2) -> np.ndarray:
    """The class with the highest mean; never one without examples."""
    return np.where(np.isnan(means), -np.inf, means).argmax(axis)


def of_class(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The row of ``values`` [..., class, unit] that ``chosen`` [..., unit] names."""
    return np.take_along_axis(values, chosen[..., None, :], -2)[..., 0, :]


def crossed(choosing: Sequence[np.ndarray], judged: Sequence[np.ndarray]) -> list[np.ndarray]:
    """For each half, its ``judged`` values [..., class, unit] of the class that is highest in the other's ``choosing``, [..., unit]."""
    return [of_class(values, highest(other)) for values, other in zip(judged, reversed(choosing), strict=True)]


def both(pair: Sequence[np.ndarray]) -> np.ndarray:
    """The mean of the two halves' values; one half's value where the other has none."""
    first, second = pair
    return np.where(np.isnan(first), second, np.where(np.isnan(second), first, (first + second) / 2))


def auc_by_class(rank_sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The probability that an example of the class exceeds one of another, ties half, [..., class, unit], from the sums
    of the classes' ranks. NaN without examples on either side.
    """
    others = counts.sum(-2, keepdims=True) - counts
    pairs = counts * others
    return (rank_sums - counts * (counts + 1) / 2) / np.where(pairs, pairs, np.nan)


def shares_of_top(x: np.ndarray, k: int) -> np.ndarray:
    """Weights [example, unit] that sum to 1 over the ``k`` strongest examples of each unit; examples that tie for the last
    places share them.
    """
    last = np.partition(x, len(x) - k, axis=0)[len(x) - k]
    above, tied = x > last, x == last
    return (above + tied * (k - above.sum(0)) / tied.sum(0)) / k


class Sorted:
    """Values [example, unit] that are sorted once: the ranks among any of the examples follow without sorting again."""

    def __init__(self, x: np.ndarray) -> None:
        # Held as [unit, example]: each unit's numbers lie side by side, which makes sorting and counting several times as fast.
        x = np.ascontiguousarray(x.T)
        units, self.size = x.shape
        self._order = order = np.argsort(x, axis=1)
        place = np.arange(self.size, dtype=np.int32)
        self._first = np.empty(x.shape, np.int32)
        np.put_along_axis(self._first, order, np.broadcast_to(place, x.shape), 1)
        self._last = self._first
        found = np.take_along_axis(x, order, 1)
        new = found[:, 1:] != found[:, :-1]
        if not new.all():
            edge = np.ones((units, 1), bool)
            first = np.maximum.accumulate(np.where(np.hstack([edge, new]), place, 0), 1)
            last = np.where(np.hstack([new, edge]), place, self.size)[:, ::-1]
            last = np.minimum.accumulate(last, 1)[:, ::-1]
            self._first, self._last = (np.take_along_axis(end, self._first, 1) for end in (first, last))

    def ranks(self, examples: np.ndarray | None = None) -> np.ndarray:
        """Ranks from 1 among these ``examples``, all of them unless given, [example, unit]; ties share the mean of theirs."""
        if examples is None:
            return ((self._first + self._last) / 2 + 1).T
        inside = np.zeros(self.size, np.int32)
        inside[examples] = 1
        inside = inside.take(self._order)
        upto = np.cumsum(inside, axis=1, dtype=np.int32)
        row = np.arange(len(upto))[:, None] * self.size  # all rows as one, which is faster to index
        last = upto.take(self._last.take(examples, axis=1) + row)
        if self._first is self._last:
            return last.T.astype(float)
        return (((upto - inside).take(self._first.take(examples, axis=1) + row) + 1 + last) / 2).T


def bins(ranks: np.ndarray) -> np.ndarray:
    """The equal-count bin, 0..29, of the values that have these ``ranks`` [example, unit]; tied values share a bin."""
    return ((ranks - 0.5) / len(ranks) * BINS).astype(np.intp)


def information(binned: np.ndarray, orders: np.ndarray, classes: int) -> np.ndarray:
    """Mutual information of bin and class in bits, [order, unit], from counts; not corrected for the bias of counting.

    ``binned`` [example, unit], ``orders`` [order, example].
    """
    examples, units = binned.shape
    counts = np.arange(examples + 1, dtype=np.float64)
    n_log_n = counts * np.log2(np.maximum(counts, 1))
    cell = (np.arange(units)[:, None] * BINS + binned.T) * classes
    of_bins = n_log_n[np.bincount((cell // classes).ravel(), minlength=units * BINS)].reshape(units, -1).sum(1)
    of_classes = n_log_n[np.bincount(orders[0], minlength=classes)].sum()
    joint = np.empty((len(orders), units))
    for number, labels in enumerate(orders):
        found = np.bincount((cell + labels).ravel(), minlength=units * BINS * classes)
        joint[number] = n_log_n[found].reshape(units, -1).sum(1)
    return (joint - of_bins - of_classes + n_log_n[-1]) / examples
