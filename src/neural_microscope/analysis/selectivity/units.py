"""How selective each unit is, by several measures, each beside its chance level; and how far the measures agree."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure
from ...statistics import (
    ONE_NETWORK,
    false_discovery,
    p_values,
    shuffles,
)
from . import judging
from .classes import index, rest_of

TOP = 60
"""Images among which precision is taken, or as many as the smallest class has in a half."""

MEASURES = ("selectivity", "auc", "mutual_information", "precision")
JUDGED = (*MEASURES, "monosemanticity")


@measure(
    "selectivity",
    title="Class selectivity",
    null="AUC: as many images at random (rank sum, known law); the other measures: labels shuffled, the class chosen anew",
    replicates="image of the judging half",
    interval="see its docstring; none where too few images are active",
    family="units of a layer",
    source="Morcos et al. 2018; Zhou et al. 2015; Mann & Whitney 1947",
    unit="auc",
    also=("selectivity",),
)
def class_selectivity(acts: xr.DataArray, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """How much more a unit answers to one class than to the others, [unit], beside what shuffled labels give.

    ``acts`` [example, unit] (or channel) with the coordinate ``label``; of [snapshot, example, unit] the last
    snapshot is taken. The class of each unit is chosen on one half of the examples (``preferred``: the highest class
    mean) and judged on the other:

    ``selectivity`` = (m_c - m_rest) / (m_c + m_rest + 0.001), m_rest the mean of the other classes' means: -1..1, 0
    without preference (Morcos et al. 2018 in its signed form). NaN where a class mean is negative: the index is meant
    for activations of at least 0. ``auc``: the chance that an example of that class excites the unit more than one of
    another class; 0..1, 0.5 without preference, for activations of any sign. Both with 95 % intervals ``…_low``,
    ``…_high`` over the judging images (bootstrap within classes; DeLong et al. 1988).
    ``precision``: share of the k strongest judging images (``n_top`` in attrs, at most 60) that belong to ``modal``, the
    commonest class among the k strongest of the other half (Zhou et al. 2015; high for many units, Gale et al. 2020).
    Images that tie for the last places share them.
    ``localist``: each judging image of the preferred class excites the unit more than any other (Bowers et al.); by
    chance once in (n choose n_c) cases.

    No class is chosen, all examples count: ``mutual_information`` of the activation in 30 equal-count bins and the class,
    bits, minus ``mutual_information_bias``, its mean under shuffled labels; ``monosemanticity`` = 1 - H / log C, H the
    entropy of the class means' shares of their sum: 0 if all are equal, 1 if one class has all; NaN where one is negative.

    For each: ``…_null_low``, ``…_null_high`` (2.5 and 97.5 percentiles under shuffled labels, the class chosen anew
    each time), ``…_p``, one-sided, and ``…_q``, after false-discovery control over the layer. No p is below
    1 / (1 + draws): for one unit among 128 to stand out alone takes 2,560 draws.

    ``density``: share of examples above 0. ``gated``: units that never change, or, in a layer without values below 0,
    that are above 0 for less than 1 % or fewer than 10 of the examples. All their measures are NaN, ``preferred`` and
    ``modal`` -1.
    """
    x, labels, axis = named.matrix(acts), named.labels(acts), unit_axis(acts.dims)
    prepared = _Prepared(x, labels, seed)
    fakes = np.stack(list(shuffles(labels, draws, seed)))
    parts = [prepared.measures(block) for block in judging.blocks(fakes, prepared.classes)]
    null = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    found = {name: values[0] for name, values in prepared.measures(labels[None]).items()}
    bias = null["mutual_information"].mean(0)
    for table in (null, found):
        table["mutual_information"] = table["mutual_information"] - bias
    away = judging.gated(x)
    lows, highs = judging.band(np.hstack([null[name] for name in JUDGED]))
    bands = dict(zip(JUDGED, zip(*(np.split(end, len(JUDGED)) for end in (lows, highs)), strict=True), strict=True))
    columns = {
        "preferred": np.where(away, -1, found["preferred"]),
        "modal": np.where(away, -1, found["modal"]),
        "mutual_information_bias": np.where(away, np.nan, bias),
        "density": (x > 0).mean(0),
        "gated": away,
        "localist": prepared.localist(found["preferred"]) & ~away,
    }
    for name in JUDGED:
        columns |= _with_null(name, found[name], null[name], bands[name], away)
    for name, (low, high) in prepared.intervals(found["preferred"], found["auc"]).items():
        columns |= {f"{name}_low": np.where(away, np.nan, low), f"{name}_high": np.where(away, np.nan, high)}
    return xr.Dataset(
        {name: (axis, values, {"units": _unit(name)}) for name, values in columns.items()},
        attrs={
            "n_examples": len(labels),
            "n_judged": len(prepared.judge),
            "n_top": prepared.top,
            "hook_point": acts.name or "",
            "null": f"{draws} shuffles of the labels, class chosen anew",
            "interval": ONE_NETWORK,
            "seed": seed,
            "source": "Morcos et al. 2018, signed; Zhou et al. 2015; halves against choosing and judging on the same images",
        },
    )


def _unit(name: str) -> str:
    return "bit" if name.startswith("mutual") and not name.endswith(("_p", "_q")) else "1"


class _Prepared:
    """What does not depend on the order of the labels, taken once for all shuffles."""

    def __init__(self, x: np.ndarray, labels: np.ndarray, seed: int) -> None:
        self.x, self.labels, self.seed = x, labels, seed
        self.classes = int(labels.max()) + 1
        self.choose, self.judge = judging.split(labels, seed)
        sizes = [np.bincount(labels[half])[np.unique(labels[half])].min() for half in (self.choose, self.judge)]
        self.top = int(min(TOP, *sizes))
        self.first = np.hstack([x[self.choose], judging.shares_of_top(x[self.choose], self.top)])
        self.ranks = rankdata(x[self.judge], axis=0)
        self.second = np.hstack([x[self.judge], self.ranks, judging.shares_of_top(x[self.judge], self.top)])
        self.bins = judging.bins(x)

    def measures(self, orders: np.ndarray) -> dict[str, np.ndarray]:
        """Each measure [order, unit] for orders of the labels [order, example]."""
        sums, counts = judging.class_sums(self.first, orders[:, self.choose], self.classes)
        chosen_sums, top = np.split(sums, 2, axis=-1)
        preferred = judging.highest(judging.means_of(chosen_sums, counts))
        modal = top.argmax(-2)
        sums, judged = judging.class_sums(self.second, orders[:, self.judge], self.classes)
        sums, ranks, top = np.split(sums, 3, axis=-1)
        means = judging.means_of(sums, judged)
        best = judging.of_class(means, preferred)
        return {
            "preferred": preferred,
            "modal": modal,
            "selectivity": index(best, rest_of(means, best)),
            "auc": judging.of_class(judging.auc_by_class(ranks, judged), preferred),
            "precision": judging.of_class(top, modal),
            "mutual_information": judging.information(self.bins, orders, self.classes),
            "monosemanticity": _monosemanticity(judging.means_of(chosen_sums + sums, counts + judged)),
        }

    def localist(self, preferred: np.ndarray) -> np.ndarray:
        """Whether each image of the preferred class lies above all others, [unit]."""
        x, mine = self.x[self.judge], self.labels[self.judge][:, None] == preferred
        lowest, highest = np.where(mine, x, np.inf).min(0), np.where(mine, -np.inf, x).max(0)
        return np.isfinite(lowest) & np.isfinite(highest) & (lowest > highest)

    def intervals(self, preferred: np.ndarray, auc: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Over the judging images: (low, high) of the selectivity and the AUC, [unit]."""
        x, labels = self.x[self.judge], self.labels[self.judge]
        rng = np.random.default_rng(self.seed)
        means = np.full((200, self.classes, x.shape[1]), np.nan)
        for label, size in zip(*np.unique(labels, return_counts=True), strict=True):
            weights = rng.multinomial(size, np.full(size, 1 / size), size=len(means)) / size
            means[:, label] = weights @ x[labels == label]
        best = judging.of_class(means, np.broadcast_to(preferred, (len(means), x.shape[1])))
        half = 1.96 * _delong(x, self.ranks, labels[:, None] == preferred)
        return {
            "selectivity": judging.band(index(best, rest_of(means, best))),
            "auc": (np.clip(auc - half, 0, 1), np.clip(auc + half, 0, 1)),
        }


def _delong(x: np.ndarray, ranks: np.ndarray, mine: np.ndarray) -> np.ndarray:
    """Standard error of each unit's AUC [unit] from how each image lies among those of the other side; NaN where a side
    has fewer than two.
    """
    variance = np.zeros(x.shape[1])
    for side in (mine, ~mine):
        within = rankdata(np.where(side, x, np.inf), axis=0)
        size, other = side.sum(0), (~side).sum(0)
        place = np.where(side, ranks - within, 0) / np.where(other > 1, other, np.nan)
        centred = np.where(side, place - place.sum(0) / np.maximum(size, 1), 0)
        variance += (centred**2).sum(0) / np.where(size > 1, size * (size - 1.0), np.nan)
    return np.sqrt(variance)


def _monosemanticity(means: np.ndarray) -> np.ndarray:
    """1 - H / log C of the class means' shares, [order, unit]; NaN for a negative mean, one class or a silent unit."""
    present = np.isfinite(means).sum(-2)
    filled = np.nan_to_num(means)
    total = np.where((filled < 0).any(-2), np.nan, filled.sum(-2))
    shares = filled / np.where(total > 0, total, np.nan)[..., None, :]
    entropy = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(-2)
    return 1 - entropy / np.log(np.where(present > 1, present, np.nan))


def _with_null(
    name: str, value: np.ndarray, null: np.ndarray, band: tuple[np.ndarray, np.ndarray], away: np.ndarray
) -> dict[str, np.ndarray]:
    value = np.where(away, np.nan, value)
    # A draw for which the measure does not exist counts against the claim.
    p = p_values(value, np.where(np.isnan(null), np.inf, null))
    gone = np.isnan(value)
    return {
        name: value,
        f"{name}_null_low": np.where(gone, np.nan, band[0]),
        f"{name}_null_high": np.where(gone, np.nan, band[1]),
        f"{name}_p": p,
        f"{name}_q": false_discovery(p),
    }


@measure(
    "selectivity",
    title="Rank agreement between measures",
    null="units in random order",
    replicates="unit",
    interval="Bonett and Wright 2000, from six units on",
    family="pairs of measures",
    source="Spearman 1904; Bonett & Wright 2000",
)
def agreement(table: xr.Dataset, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """How far the measures of `class_selectivity` rank the units alike: Spearman's rho, [measure, measure_b], -1..1.

    ``agreement`` with ``…_low``, ``…_high`` (95 % over units, Bonett & Wright 2000) and ``…_null_low``, ``…_null_high`` (units of one
    measure in random order), ``…_p``, two-sided, ``…_q`` over the pairs; ``n``: units that have both measures. Measures:
    selectivity, auc, mutual_information, precision. NaN with fewer than three such units or where one measure is constant.
    The null is that of unrelated measures. These are taken of the same images and agree a little on noise too: compare
    with the table of an untrained network.
    """
    missing = [name for name in MEASURES if name not in table]
    if missing:
        raise DataError(f"the table has no {', '.join(missing)}; take it from class_selectivity")
    rng = np.random.default_rng(seed)
    shape = (len(MEASURES), len(MEASURES))
    found = {name: np.full(shape, np.nan) for name in ("", "_low", "_high", "_null_low", "_null_high", "_p", "_q")}
    n = np.zeros(shape, int)
    for a, b in zip(*np.triu_indices(len(MEASURES)), strict=True):
        x, y = table[MEASURES[a]].values, table[MEASURES[b]].values
        both = ~(np.isnan(x) | np.isnan(y))
        n[a, b] = n[b, a] = both.sum()
        if both.sum() < 3 or np.ptp(x[both]) == 0 or np.ptp(y[both]) == 0:
            continue
        for name, value in _rank_agreement(x[both], y[both], draws, rng, same=a == b).items():
            found[name][a, b] = found[name][b, a] = value
    upper = np.triu_indices(len(MEASURES), 1)
    found["_q"][upper] = false_discovery(found["_p"][upper])
    found["_q"].T[upper] = found["_q"][upper]
    pair = ("measure", "measure_b")
    return xr.Dataset(
        {f"agreement{name}": (pair, values, {"units": "1"}) for name, values in found.items()} | {"n": (pair, n)},
        coords={"measure": list(MEASURES), "measure_b": list(MEASURES)},
        attrs={
            "n_examples": table.attrs.get("n_examples", 0),
            "hook_point": table.attrs.get("hook_point", ""),
            "null": f"{draws} random orders of the units",
            "interval": "95 % over the units of one network",
            "seed": seed,
            "source": "Spearman 1904; interval: Bonett & Wright 2000",
        },
    )


def _rank_agreement(x: np.ndarray, y: np.ndarray, draws: int, rng: np.random.Generator, same: bool) -> dict[str, float]:
    """Spearman's rho with its interval, null and p; a measure with itself has rho only."""
    x, y = rankdata(x), rankdata(y)
    value = float(_correlation(x[None], y[None])[0])
    if same:
        return {"": value}
    n, inside = len(x), np.clip(value, -1 + 1e-12, 1 - 1e-12)
    half = 1.96 * np.sqrt((1 + value**2 / 2) / (n - 3)) if n > 3 else np.nan
    low, high = np.tanh(np.arctanh(inside) + np.array([-half, half]))
    null = _correlation(rng.permuted(np.tile(x, (draws, 1)), axis=1), y[None])
    null_low, null_high = judging.band(null)
    p = float(p_values(np.array(value), null, side="both"))
    return {"": value, "_low": low, "_high": high, "_null_low": null_low, "_null_high": null_high, "_p": p}


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's r of rows; NaN for a constant one."""
    a, b = a - a.mean(1, keepdims=True), b - b.mean(1, keepdims=True)
    size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return (a * b).sum(1) / np.where(size, size, np.nan)
