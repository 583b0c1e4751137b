"""Class selectivity of each unit by several measures, each with its null distribution; and rank agreement between the measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import entr
from scipy.stats import entropy, rankdata, zscore

from ...axes import unit_axis
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...statistics import FEWEST_PAIRS, beside, shuffles
from . import judging
from .classes import EPSILON, index, rest_of
from .planted import CLASSES, DRAWS, NOISE, layer, noise, prefers
from .preference import Preference

TOP = 60
"""The number of images for precision, or as many as the smallest class has in a half."""

MEASURES = ("selectivity", "auc", "mutual_information", "precision")
DRAWN = ("selectivity", "mutual_information", "precision", "monosemanticity")
"""Measures with shuffled labels as the null."""


@measure(
    "selectivity",
    title="Class selectivity",
    null="AUC: random groups of as many images (rank sum, known law); others: {draws} shuffles of the labels, the classes chosen again",
    replicates="image, judged on the half that did not choose its class",
    interval="95% over images of one network for index and AUC, from 20 active images and 10 of the class on; others: none",
    family="units of a layer",
    source="Morcos et al. 2018, signed; Zhou et al. 2015; Mann & Whitney 1947",
    unit="auc",
    also=("selectivity",),
    place=190,
)
def class_selectivity(acts: xr.DataArray, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """Class selectivity of each unit, [unit], compared with shuffled labels.

    Cross-fitted: each half of the examples chooses a class, that of the highest mean, which is judged on the other
    half, and the two are averaged. The order in which the examples come changes nothing.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels; of several snapshots
            the last.
        draws: Number of draws of the null (shuffles of the labels, the classes chosen again each time).
        seed: Seed of the null's draws and of the halves.

    Returns:
        Measures, claims and the gate of each unit.

        * ``preferred``: the class of the highest mean over all examples.
        * ``selectivity`` = (m_c - m_rest) / (m_c + m_rest + 0.001), m_rest the mean of the other classes' means, each
          averaged over the halves: -1..1, 0 without preference (Morcos et al. 2018 in its signed form). NaN where a
          class mean is negative: the index is meant for activations of at least 0.
        * ``auc``: the probability that an example of that class activates the unit more than one of another class;
          0..1, 0.5 without preference, for activations of any sign.
        * Of both ``…_low``, ``…_high``, 95% over images of this network (score intervals, not symmetric),
          from 20 active images and 10 of the class on; ``few``: units below, which have none.
        * ``precision``: share of the k strongest images of a half (k at most 60) that belong to the
          commonest class among the k strongest of the other (Zhou et al. 2015; high for many units, Gale et al. 2020).
          Images that tie for the last places share them.
        * ``mutual_information`` of the activation in 30 equal-count bins and the class, bits, minus
          ``mutual_information_bias``, its mean under shuffled labels. Independent of a chosen class.
        * ``monosemanticity`` = 1 - H / log C, H the entropy of the class means' shares of their sum: 0 if all are
          equal, 1 if one class has all; NaN where one is negative. Independent of a chosen class too.
        * For each measure: ``…_null_low``, ``…_null_high``, ``…_p``, one-sided, ``…_q`` after false-discovery control
          over the layer, and ``…_shown``: q below 0.05. The null of ``auc`` is the law of a rank sum
          (`statistics.rank_sum`), p twice the smaller of the halves' (Bonferroni): ``auc_shown`` says that a unit
          prefers a class. The null of the others is drawn; where fewer than ten draws reach a value, p is the fitted
          tail's (`statistics.tail_p`), so that one unit of a wide layer can stand out.
        * ``density``: share of examples above 0.
        * ``gated``: units that never change, or, in a layer without values below 0, that are above 0 for less than 1%
          or fewer than 10 of the examples. All their measures are NaN, ``preferred`` -1.

    Raises:
        DataError: No labels, or no example left for one of the halves.

    >>> found = nm.analysis.selectivity.class_selectivity(acts, draws=20)
    >>> found["auc"].dims, bool((found["auc_shown"] & found["gated"]).any())
    (('unit',), False)
    """
    (x, labels), axis = judging.examples(acts), unit_axis(acts.dims)
    preference, prepared = Preference.of(x, labels, seed), _Prepared(x, labels, seed)
    fakes = np.stack(list(shuffles(labels, draws, seed)))
    parts = [prepared.measures(block) for block in judging.blocks(fakes, prepared.classes)]
    null = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = {name: values[0] for name, values in prepared.measures(labels[None]).items()}
    bias = null["mutual_information"].mean(0)
    for table in (null, found):
        table["mutual_information"] = table["mutual_information"] - bias
    away = judging.gated(x)
    columns = {
        "preferred": np.where(away, -1, preference.preferred),
        "mutual_information_bias": np.where(away, np.nan, bias),
        "density": (x > 0).mean(0),
        "gated": away,
        "few": preference.few & ~away,
    }
    intervals = preference.intervals()
    claims = beside("auc", preference.auc, preference.auc_law(), axis, interval=intervals["auc"], where=~away)
    for name in DRAWN:
        unit = "bit" if name == "mutual_information" else "1"
        interval = intervals.get(name)
        claims |= beside(name, found[name], null[name], axis, units=unit, interval=interval, tail=True, where=~away)
    units = {"mutual_information_bias": "bit"}
    return xr.Dataset(
        {name: (axis, values, {"units": units.get(name, "1")}) for name, values in columns.items()} | claims,
        attrs={"n_top": prepared.top},
    )


class _Prepared:
    """Quantities that do not depend on the order of the labels, computed once for all shuffles."""

    def __init__(self, x: np.ndarray, labels: np.ndarray, seed: int) -> None:
        self.classes = int(labels.max()) + 1
        self.halves = judging.split(labels, seed)
        self.top = int(min(TOP, *(np.unique(labels[half], return_counts=True)[1].min() for half in self.halves)))
        self.values = [np.hstack([x[half], judging.shares_of_top(x[half], self.top)]) for half in self.halves]
        self.bins = judging.bins(rankdata(x, axis=0))

    def measures(self, orders: np.ndarray) -> dict[str, np.ndarray]:
        """Each measure [order, unit] for orders of the labels [order, example]."""
        pairs = zip(self.values, self.halves, strict=True)
        totals, counts = zip(
            *(judging.class_sums(values, orders[:, half], self.classes) for values, half in pairs), strict=True
        )
        sums, shares = zip(*(np.split(total, 2, axis=-1) for total in totals), strict=True)
        means = [judging.means_of(*pair) for pair in zip(sums, counts, strict=True)]
        best = judging.crossed(means, means)
        rest = [rest_of(*pair) for pair in zip(means, best, strict=True)]
        return {
            "selectivity": index(judging.both(best), judging.both(rest)),
            "precision": judging.both(judging.crossed(shares, shares)),
            "mutual_information": judging.information(self.bins, orders, self.classes),
            "monosemanticity": _monosemanticity(judging.means_of(sums[0] + sums[1], counts[0] + counts[1])),
        }


def _monosemanticity(means: np.ndarray) -> np.ndarray:
    """1 - H / log C of the class means' shares, [order, unit]; NaN for a negative mean, one class or a silent unit."""
    present = np.isfinite(means).sum(-2)
    filled = np.nan_to_num(means)
    total = np.where((filled < 0).any(-2), np.nan, filled.sum(-2))
    shares = filled / np.where(total > 0, total, np.nan)[..., None, :]
    return 1 - entr(shares).sum(-2) / np.log(np.where(present > 1, present, np.nan))


of(class_selectivity).on("layer")(lambda at: class_selectivity(at.trained))
# few shuffles: only the AUC is shown of it, whose null is a known law
of(class_selectivity).on("layer", "untrained")(lambda at: class_selectivity(at.acts.isel(snapshot=0), draws=20))
of(class_selectivity).picture(
    "selectivity",
    "Digit: the class of a unit's highest mean on one half of the images; its AUC is from the other half. Upright lines: 95% intervals of "
    "the loss increase. Dashed: the units' mean AUC. Ticks: units of the untrained network, the long one their mean.",
    part="units",
    takes=lambda at: {
        "table": at["selectivity.class_selectivity"],
        "effects": at["causal.ablate_all"],
        "untrained": at["selectivity.class_selectivity/untrained"],
    },
)

_calibrated = partial(of(class_selectivity).calibrated_on, draws=DRAWS)

FOUR_TO_ONE = 1 - entropy(np.array([1, 1, 4, 1]) / 7) / np.log(4)
"""Monosemanticity of a unit four times as active for one of four classes."""


def _prefers(by: float) -> Callable[[int, bool], xr.DataArray]:
    return lambda seed, planted: prefers(seed, by) if planted else layer(noise(seed))


for _by, _planted, _read, _truth, _tolerance, _name in (
    (1, "one unit twice as active for a class", "selectivity", 1 / (3 + EPSILON), 0.04, "class selectivity (index)"),
    (2, "one unit three times as active for a class", "auc", 0.75, 0.03, "class selectivity (AUC)"),
    (3, "one unit four times as active for a class", "monosemanticity", FOUR_TO_ONE, 0.02, "monosemanticity"),
):
    _calibrated(_planted, _truth, _tolerance, empty=NOISE, read=_read, name=_name)(_prefers(_by))


@_calibrated(
    "a unit that fires for one class only",
    float(-(0.25 * np.log2(0.25) + 0.75 * np.log2(0.75))),
    0.005,
    empty=NOISE,
    read="mutual_information",
    name="mutual information",
    unit="bit",
)
def _fires(seed: int, planted: bool) -> xr.DataArray:
    """a = 1 for one of four classes, 0 else: H(1/4) bits."""
    if not planted:
        return layer(noise(seed))
    return layer(np.column_stack([np.arange(2000) % CLASSES == 2, noise(seed, 2000)[:, 1:]]).astype(float))


@_calibrated(
    "three in four of the strongest images are of one class",
    0.75,
    0.15,
    empty=NOISE,
    read="precision",
    name="precision",
)
def _lifted(seed: int, planted: bool) -> xr.DataArray:
    """Of the images lifted above all others three in four belong to class 2, one to the others."""
    if not planted:
        return layer(noise(seed))
    x, mine = noise(seed, 4000), np.arange(4000) % CLASSES == 2
    x[(np.random.default_rng(seed).random(4000) < np.where(mine, 0.3, 0.1 / 3)), 0] += 20
    return layer(x)


@_calibrated(
    "a dead, a constant and a rare unit",
    3,
    0,
    empty="4 units of noise; an alarm: any gated",
    read=lambda found: found["gated"].sum(),
    alarm="gated",
    name="gate for rare units",
    unit="units",
)
def _rare(seed: int, planted: bool) -> xr.DataArray:
    """Of four units one is dead, one constant, one fires for nine images."""
    if not planted:
        return layer(noise(seed))
    x = noise(seed, 400)
    x[:, 1], x[:, 2] = 0, 3
    x[9:, 3] = 0
    return layer(x)


@measure(
    "selectivity",
    title="Rank agreement between measures",
    null="{draws} random orders of the units",
    replicates="unit",
    interval="95% over units of one network (Bonett & Wright 2000), from six on",
    family="pairs of measures",
    source="Spearman 1904; Bonett & Wright 2000",
    place=240,
)
def agreement(table: xr.Dataset, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """Rank agreement between the measures of `class_selectivity`: Spearman's rho, [measure, measure_b], -1..1.

    The null is unrelated measures. These are computed on the same images and agree slightly on noise too: compare with
    the table of an untrained network.

    Args:
        table: Result of `class_selectivity`, [unit].
        draws: Number of draws of the null (units of one measure in random order).
        seed: Seed of the null's draws.

    Returns:
        The measures are selectivity, auc, mutual_information and precision.

        * ``agreement`` with ``…_low``, ``…_high`` (95% over units, Bonett & Wright 2000) and ``…_null_low``,
          ``…_null_high``, ``…_p``, two-sided, ``…_q`` over the pairs, ``…_shown``.
        * ``n``: units that have both measures.

        NaN with fewer than three such units or where one measure is constant; with fewer than six the value alone: no
        interval, no p, no verdict.

    Raises:
        DataError: The table lacks one of the measures.
    """
    missing = [name for name in MEASURES if name not in table]
    if missing:
        raise DataError(f"the table has no {', '.join(missing)}; use the result of class_selectivity")
    rng = np.random.default_rng(seed)
    size = len(MEASURES)
    upper = list(zip(*np.triu_indices(size), strict=True))
    rho, n = np.full(len(upper), np.nan), np.zeros(len(upper), int)
    null = np.full((draws, len(upper)), np.nan)
    for at, (a, b) in enumerate(upper):
        x, y = table[MEASURES[a]].values, table[MEASURES[b]].values
        kept = ~(np.isnan(x) | np.isnan(y))
        n[at] = kept.sum()
        if n[at] >= 3 and np.ptp(x[kept]) and np.ptp(y[kept]):
            x, y = zscore(rankdata(x[kept])), zscore(rankdata(y[kept]))
            rho[at] = x @ y / n[at]
            if a != b:
                null[:, at] = rng.permuted(np.tile(x, (draws, 1)), axis=1) @ y / n[at]
    tested = (n >= FEWEST_PAIRS) & np.array([a != b for a, b in upper])
    half = 1.96 * np.sqrt((1 + rho**2 / 2) / np.where(tested, n - 3, np.nan))
    ends = [np.tanh(np.arctanh(np.clip(rho, -1 + 1e-12, 1 - 1e-12)) + sign * half) for sign in (-1, 1)]
    judged = beside("agreement", np.where(tested, rho, np.nan), null, "pair", side="both", interval=(ends[0], ends[1]))
    place = np.zeros((size, size), int)
    for at, (a, b) in enumerate(upper):
        place[a, b] = place[b, a] = at
    columns = {
        **{name: found[1:] for name, found in judged.items()},
        "agreement": (rho, {"units": "1"}),
        "n": (n, {"units": "1"}),
    }
    return xr.Dataset(
        {name: (("measure", "measure_b"), values[place], about) for name, (values, about) in columns.items()},
        coords={"measure": list(MEASURES), "measure_b": list(MEASURES)},
        attrs={name: table.attrs[name] for name in ("n_examples", "hook_point") if name in table.attrs},
    )


of(agreement).on("layer")(lambda at: agreement(at["selectivity.class_selectivity"]))


@of(agreement).describe("layer", part="units")
def _agreeing(at: Any) -> Iterator[Claim]:
    one = at["selectivity.agreement"].sel(measure="selectivity").drop_sel(measure_b="selectivity")
    rho, low, high = (one[f"agreement{end}"].values for end in ("", "_null_low", "_null_high"))
    if np.isnan(rho).any():
        return
    like, unlike = int((rho > high).sum()), int((rho < low).sum())
    yield say(
        "agreement with the selectivity index",
        "{like:,} of {size:,} other measures of selectivity "
        f"({', '.join(one['measure_b'].values.tolist()).replace('_', ' ').replace('auc', 'AUC')}) "
        f"{{like:ranks|rank}} the {at.axis}s as the selectivity index does, "
        "more than by chance "
        "(rank correlations {least:2} to {most:2})"
        + ("; {unlike:,} {unlike:ranks|rank} them the other way round." if unlike else "."),
        like=like,
        least=float(rho.min()),
        most=float(rho.max()),
        unlike=unlike,
        size=len(rho),
    )


@of(agreement).calibrated_on(
    "two measures that correlate by 0.8",
    6 / np.pi * np.arcsin(0.4),
    0.02,
    empty="4 unrelated measures of 40 units; an alarm: any q < 0.05",
    read=lambda found: found["agreement"].sel(measure="selectivity", measure_b="auc"),
    alarm="agreement_shown",
    name="rank agreement of measures",
)
def _correlated(seed: int, planted: bool) -> dict[str, Any]:
    """A table of measures: AUC and selectivity correlate by 0.8 or not at all, the others with nothing."""
    rho, units = (0.8, 8000) if planted else (0, 40)
    columns = dict(zip(MEASURES, np.random.default_rng(seed).standard_normal((4, units)), strict=True))
    columns["auc"] = rho * columns["selectivity"] + np.sqrt(1 - rho**2) * columns["auc"]
    table = xr.Dataset({name: ("unit", values) for name, values in columns.items()})
    return {"table": table, "draws": 20 if planted else 299}
