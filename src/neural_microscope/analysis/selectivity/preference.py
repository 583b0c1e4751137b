"""The preferred class of each unit: chosen on each half of the images and judged on the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import stats
from scipy.stats import rankdata

from ...statistics import FEWEST_ACTIVE, FEWEST_OF_CLASS, INTERVAL, Law, rank_sum, rarely_active
from . import judging
from .classes import index, rest_of

CORRELATED = {"auc": 0.4, "selectivity": 0.6}
"""The correlation at which the two halves' values are combined where no class stands out: one half's choice then depends on the same
images on which the other's choice is judged, more strongly for an index of the means that it chose by. On noise of 2 to 26 classes
0.3 to 0.5 keep 95% in an interval.
"""

_STEPS = 30


@dataclass(frozen=True)
class Side:
    """One half of the images, judged for the classes that the other half chose."""

    examples: np.ndarray
    """Indices of its images, [example]."""
    counts: np.ndarray
    """Its images of each class, [class]."""
    means: np.ndarray
    """Class means, [class, unit]."""
    ranks: np.ndarray
    """[example, unit]."""
    aucs: np.ndarray
    """[class, unit]."""
    chosen: np.ndarray
    """The class that the other half chose, [unit]; the following refer to it."""

    @property
    def size(self) -> np.ndarray:
        """The number of images of that class."""
        return self.counts[self.chosen]

    @property
    def auc(self) -> np.ndarray:
        return judging.of_class(self.aucs, self.chosen)

    @property
    def best(self) -> np.ndarray:
        """Mean of that class."""
        return judging.of_class(self.means, self.chosen)

    @property
    def rest(self) -> np.ndarray:
        """Mean of the other classes' means."""
        return rest_of(self.means, self.best)


@dataclass(frozen=True, eq=False)
class Preference:
    """A layer's units [example, unit] and their classes, cross-fitted; examples in canonical order."""

    x: np.ndarray
    labels: np.ndarray
    sides: tuple[Side, Side]

    @classmethod
    def of(cls, x: np.ndarray, labels: np.ndarray, seed: int) -> Preference:
        classes, sides = int(labels.max()) + 1, []
        for half in judging.split(labels, seed):
            ranks = judging.Sorted(x[half]).ranks()
            sums, counts = judging.class_sums(np.hstack([x[half], ranks]), labels[half][None], classes)
            values, rank_sums = np.split(sums[0], 2, axis=-1)
            means, aucs = judging.means_of(values, counts[0]), judging.auc_by_class(rank_sums, counts[0])
            sides.append(Side(half, counts[0, :, 0].astype(int), means, ranks, aucs, judging.highest(means)))
        first, second = sides
        return cls(x, labels, (replace(first, chosen=second.chosen), replace(second, chosen=first.chosen)))

    def of_units(self, kept: np.ndarray) -> Preference:
        """The same for a subset of units."""
        first, second = (
            replace(side, **{name: getattr(side, name)[..., kept] for name in ("means", "ranks", "aucs", "chosen")})
            for side in self.sides
        )
        return Preference(self.x[:, kept], self.labels, (first, second))

    @property
    def preferred(self) -> np.ndarray:
        """The class of the highest mean over all images, [unit]."""
        return judging.highest(self._moments[0])

    @property
    def selectivity(self) -> np.ndarray:
        """The index of the class means, each averaged over the halves, [unit]."""
        return index(*self._means)

    @property
    def _means(self) -> tuple[np.ndarray, np.ndarray]:
        """(m_c, m_rest), each averaged over the halves, [unit]."""
        return judging.both([side.best for side in self.sides]), judging.both([side.rest for side in self.sides])

    @property
    def auc(self) -> np.ndarray:
        """Mean of the two halves' AUC, [unit]."""
        return judging.both([side.auc for side in self.sides])

    def auc_law(self) -> Law:
        """The null of `auc`: twice the smaller of the halves' p, each valid for the class that the other half chose (Bonferroni), and
        the band of a mean of two values that correlate by `CORRELATED`; of a unit that rarely fires and so has few possible values, the
        mean of their bands.
        """
        laws = [rank_sum(side.auc, side.ranks, side.size) for side in self.sides]
        p = np.minimum(1, 2 * np.fmin(*(law.p for law in laws)))
        middle = judging.both([(law.low + law.high) / 2 for law in laws])
        half = judging.both([(law.high - law.low) / 2 for law in laws])
        half *= np.where(rarely_active(self.x, 2 * FEWEST_ACTIVE), 1, np.sqrt((1 + CORRELATED["auc"]) / 2))
        return Law(middle - half, middle + half, p)

    @cached_property
    def few(self) -> np.ndarray:
        """Units without an interval: below 20 active images, or 10 of the chosen classes or of the others, [unit]."""
        mine = np.minimum(self._mine.sum(0), (~self._mine).sum(0))
        absent = np.minimum(self.sides[0].size, self.sides[1].size) == 0
        return rarely_active(self.x, FEWEST_ACTIVE) | (mine < FEWEST_OF_CLASS) | absent

    def intervals(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """95% intervals (low, high) of the selectivity and the AUC over images, [unit]; NaN for `few` and where there is no value."""
        found = {}
        for name, value in (("selectivity", self.selectivity), ("auc", self.auc)):
            kept = np.flatnonzero(np.isfinite(value) & ~self.few)
            ends = np.full((2, len(value)), np.nan)
            if len(kept):
                ends[:, kept] = getattr(self.of_units(kept), f"_of_{name}")()
            found[name] = (ends[0], ends[1])
        return found

    @cached_property
    def _mine(self) -> np.ndarray:
        """Images of the class that their half is judged for, [example, unit]."""
        mine = np.zeros(self.x.shape, bool)
        for side in self.sides:
            mine[side.examples] = self.labels[side.examples][:, None] == side.chosen
        return mine

    @cached_property
    def _own(self) -> np.ndarray:
        """Weights [example, unit] that make the mean of the chosen classes, averaged over the halves."""
        sizes = np.empty(self.x.shape)
        for side in self.sides:
            sizes[side.examples] = 2 * side.size
        return self._mine / np.maximum(sizes, 1)

    @cached_property
    def _others(self) -> np.ndarray:
        """Weights [example, unit] that make the mean of the other classes' means, averaged over the halves."""
        found = np.empty(self.x.shape)
        for side in self.sides:
            others = np.maximum((side.counts > 0).sum() - 1, 1)
            found[side.examples] = 1 / (2 * others * side.counts[self.labels[side.examples]])[:, None]
        return np.where(self._mine, 0, found)

    def _width(self, name: str, quantile: np.ndarray | float) -> np.ndarray:
        """Standard errors from a mean to its limits, [unit]: wider by `CORRELATED` for a unit whose two highest classes can't be
        separated, not for one with a clear class.
        """
        means, variance, counts = self._moments
        order = np.argsort(-np.nan_to_num(means, nan=-np.inf), axis=0)[:2]
        first, second = np.take_along_axis(means, order, 0)
        spread = np.sqrt(np.take_along_axis(variance / counts[:, None], order, 0).sum(0))
        apart = np.divide(first - second, spread, out=np.full(len(spread), 40.0), where=spread > 0)
        together = np.minimum(1, np.exp(1 - np.nan_to_num(apart, nan=40).clip(max=40) ** 2 / 2))
        return quantile * np.sqrt(1 + CORRELATED[name] * together)

    @cached_property
    def _moments(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(means, variances [class, unit], counts [class]) of the classes over all images."""
        one_hot = np.eye(int(self.labels.max()) + 1)[self.labels]
        counts = one_hot.sum(0)
        means = one_hot.T @ self.x / np.where(counts, counts, np.nan)[:, None]
        squares = one_hot.T @ (self.x - means[self.labels]) ** 2
        return means, squares / np.where(counts > 1, counts - 1, np.nan)[:, None], counts

    def _of_auc(self) -> tuple[np.ndarray, np.ndarray]:
        """Ranks of the class's images among the rest, whose mean is the AUC, tilted; the rest's variance after DeLong et al. 1988."""
        place, rest = np.empty(self.x.shape), np.zeros(self.x.shape[1])
        for side in self.sides:
            mine, x = self._mine[side.examples], self.x[side.examples]
            size, other = mine.sum(0), (~mine).sum(0)
            of_mine, of_rest = (
                side.ranks - rankdata(np.where(own, x, np.inf), axis=0) for own in (mine, ~mine)
            )  # the number of the other kind below
            place[side.examples] = np.where(mine, of_mine, side.ranks - of_rest - 0.5) / np.maximum(other, 1)
            below = np.where(mine, np.nan, of_rest / np.maximum(size, 1))
            rest += np.nanvar(below, axis=0, ddof=1) / np.maximum(other, 1) / 4
        weights, width = self._own, self._width("auc", stats.norm.ppf(INTERVAL[1] / 100))
        return tilted(place, self._with_one_more(weights), self.auc, (weights**2).sum(0), rest, width)

    def _of_selectivity(self) -> tuple[np.ndarray, np.ndarray]:
        """Limits of the ratio of two means from the limits of each, on the scale of logarithms (Zou & Donner 2008)."""
        x, own, others = self.x, self._own, self._others
        best, rest = self._means
        count = self._mine.sum(0)
        variance = (others**2 * np.nan_to_num(self._moments[1])[self.labels]).sum(0)
        spread = (others * (x - rest) ** 2).sum(0)
        independent = 1 / (others**2).sum(0)
        active = np.maximum(independent * (others * (x != 0)).sum(0), 2)
        t_own, t_others = (self._width("selectivity", stats.t.ppf(INTERVAL[1] / 100, n)) for n in (count, active - 1))
        base = np.where(spread > 0, others, self._with_one_more(others))
        scale = np.divide(variance, spread, out=1 / independent, where=spread > 0)
        low, high = tilted(
            x, self._with_one_more(own), best, (own**2).sum(0) * count / np.maximum(count - 1, 1), 0, t_own
        )
        low_rest, high_rest = tilted(x, base, rest, scale, 0, t_others)
        least = 1e-12 * np.abs(x).max(0)
        best, rest, low_rest = (np.maximum(one, least) for one in (best, rest, low_rest))
        with np.errstate(divide="ignore", invalid="ignore"):
            down = np.hypot(np.log(best) - np.log(np.maximum(low, 0)), np.log(high_rest / rest))
            up = np.hypot(np.log(high / best), np.log(rest / low_rest))
            # not beyond both limits at once, where a mean is 0 and has no logarithm
            return (
                np.fmax(index(best * np.exp(-down), rest), index(low, high_rest)),
                np.fmin(index(best * np.exp(up), rest), index(high, low_rest)),
            )

    def _with_one_more(self, weights: np.ndarray) -> np.ndarray:
        """The images that ``weights`` count, plus one hypothetical image of any value, to allow for values not seen yet."""
        n = 1 / (weights**2).sum(0)
        return (n * weights + 1 / len(weights)) / (n + 1)


def tilted(
    values: np.ndarray,
    base: np.ndarray,
    mean: np.ndarray,
    scale: np.ndarray,
    extra: np.ndarray | float,
    width: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Limits (low, high) [unit] for the mean of a distribution with sample mean ``mean``: Wilson's (1927), for any distribution.

    The ``base`` weights [example, unit] on ``values`` are tilted exponentially until the tilted mean m lies ``width`` standard errors
    from ``mean``, the standard error that of the tilted distribution: √(``scale`` variance + ``extra``). On two values it is Wilson's
    interval; unlike a normal one it is not empty where all images seen have one value, and not symmetric.
    """
    there = base > 0
    least, most = np.where(there, values, np.inf).min(0), np.where(there, values, -np.inf).max(0)
    span = np.where(most > least, most - least, 1)
    u = np.where(there, (values - least) / span, 0)
    u_squared = u**2

    def moments(tilt: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = base * np.exp(tilt * u - np.maximum(tilt, 0))
        m, second = (np.einsum("eu,eu->u", p, one) / p.sum(0) for one in (u, u_squared))
        return least + span * m, span**2 * (second - m**2).clip(min=0)

    ends = []
    for sign in (-1, 1):
        near, far = (np.full(values.shape[1], end) for end in (-12.0, 12.0))  # tilts as arcsinh
        for _ in range(_STEPS):
            middle = (near + far) / 2
            m, variance = moments(sign * np.sinh(middle))
            inside = sign * (m - mean) < width * np.sqrt(scale * variance + extra)
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        ends.append(moments(sign * np.sinh(far))[0])
    return ends[0], ends[1]
