"""When a unit becomes what it is: its class at every snapshot, and whether that is beyond chance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr
from scipy.stats import pearson3, rankdata

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure
from ...statistics import INTERVAL, false_discovery
from . import judging
from .classes import index, rest_of

ALPHA = 0.05


@measure(
    "selectivity",
    title="Selectivity over training",
    null="as many images at random (rank sum, known law)",
    replicates="image of the judging half",
    interval="null band only",
    family="units at one snapshot",
    source="Mann & Whitney 1947; Ranadive et al. 2023",
)
def over_time(acts: xr.DataArray, *, seed: int = 0) -> xr.Dataset:
    """What each unit prefers at each snapshot, and since when for good; ``acts`` [snapshot, example, unit] (or channel).

    [snapshot, unit]: ``preferred``, the class of the highest mean on one half of the examples (one split for all
    snapshots); ``selectivity`` and ``auc`` of that class on the other half, as in `class_selectivity`; ``auc_null_low``,
    ``auc_null_high`` and ``auc_p`` (one-sided): what as many random images would give, from the exact mean, variance and
    skewness of a rank sum under ties (Mann & Whitney 1947; Pearson's type III); ``auc_q``: after false-discovery control
    over the layer's units at one snapshot; ``beyond_chance``: auc_q < 0.05. ``gated`` as in `class_selectivity`: there
    the measures are NaN and ``preferred`` -1.

    [unit]: ``since``, the first step from which the preferred class is the last snapshot's and beyond chance at every
    later snapshot; NaN where the last snapshot is gated or not beyond chance. ``changes``: how often the preferred class
    changed between one snapshot where it was beyond chance and the next such, the change confirmed on the other half: the
    old class above the new one before, below it after (a unit that answers two classes alike does not waver between them by
    chance of the split). Gated snapshots do not count in either. Without the coordinate ``step``, since counts snapshots.
    """
    if "snapshot" not in acts.dims:
        raise DataError(f"{acts.name or 'the activations'}: no axis 'snapshot'; take them from run.activations(name)")
    axis, labels = unit_axis(acts.dims), named.labels(acts)
    x = named.values(acts, "snapshot", "example", axis)
    choose, judge = judging.split(labels, seed)
    classes = int(labels.max()) + 1
    signed = x.min() < 0
    rows = [_one(snapshot, labels, choose, judge, classes, signed) for snapshot in x]
    moments = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    away = moments["gated"]
    preferred = np.where(away, -1, moments["preferred"])
    beyond = moments["auc_q"] < ALPHA
    steps = acts["step"].values if "step" in acts.coords else np.arange(len(x))
    grid = ("snapshot", axis)
    names = ("selectivity", "auc", "auc_null_low", "auc_null_high", "auc_p", "auc_q")
    return xr.Dataset(
        {
            "preferred": (grid, preferred),
            **{name: (grid, np.where(away, np.nan, moments[name]), {"units": "1"}) for name in names},
            "beyond_chance": (grid, beyond),
            "gated": (grid, away),
            "since": (axis, _since(preferred, beyond, away, steps), {"units": "step"}),
            "changes": (axis, _changes(preferred, beyond, moments["means"]), {"units": "1"}),
        },
        coords=named.kept(acts, "step", "epoch"),
        attrs={
            "n_examples": len(labels),
            "n_judged": len(judge),
            "hook_point": acts.name or "",
            "null": "as many random images as the class has, their rank sum to its third moment; one family a snapshot",
            "seed": seed,
            "source": "Mann & Whitney 1947 with ties; Morcos et al. 2018; Ranadive et al. 2023 on selectivity over training",
        },
    )


def _one(
    x: np.ndarray, labels: np.ndarray, choose: np.ndarray, judge: np.ndarray, classes: int, signed: bool
) -> dict[str, np.ndarray]:
    """One snapshot [example, unit]: each variable [unit], and the judging half's ``means`` [class, unit]."""
    chosen = judging.means_of(*judging.class_sums(x[choose], labels[choose][None], classes))
    preferred = judging.highest(chosen)[0]
    ranks = rankdata(x[judge], axis=0)
    sums, counts = judging.class_sums(np.hstack([x[judge], ranks]), labels[judge][None], classes)
    values, rank_sums = np.split(sums[0], 2, axis=-1)
    means = judging.means_of(values, counts[0])
    best = judging.of_class(means, preferred)
    auc = judging.of_class(judging.auc_by_class(rank_sums, counts[0]), preferred)
    away = judging.gated(x, signed)
    size = counts[0, preferred, 0]
    p, low, high = _chance(auc, ranks, size, away)
    return {
        "preferred": preferred,
        "means": means,
        "selectivity": index(best, rest_of(means, best)),
        "auc": auc,
        "auc_null_low": low,
        "auc_null_high": high,
        "auc_p": p,
        "auc_q": false_discovery(p),
        "gated": away,
    }


def _chance(
    auc: np.ndarray, ranks: np.ndarray, size: np.ndarray, away: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(p, low, high) of each unit's AUC if the class were ``size`` random images: [unit], NaN where ``away``.

    A sum drawn without replacement has variance k (n - k) M2 / (n (n - 1)) and third moment
    k (n - k) (n - 2 k) M3 / (n (n - 1) (n - 2)), with M the sums of powers about the mean.
    """
    n = len(ranks)
    centred = ranks - ranks.mean(0)
    usable = ~away & (size > 0) & (size < n) & (np.abs(centred).max(0) > 0) & (n > 2)
    p, low, high = (np.full(len(size), np.nan) for _ in range(3))
    if not usable.any():
        return p, low, high
    k, centred = size[usable], centred[:, usable]
    spread = np.sqrt(k * (n - k) * (centred**2).sum(0) / (n * (n - 1)))
    skew = k * (n - k) * (n - 2 * k) * (centred**3).sum(0) / (n * (n - 1) * (n - 2)) / spread**3
    pairs = k * (n - k)
    p[usable] = pearson3.sf(((auc[usable] - 0.5) * pairs) / spread, skew)
    ends = [0.5 + pearson3.ppf(end / 100, skew) * spread / pairs for end in INTERVAL]
    low[usable], high[usable] = ends
    return p, low, high


def _since(preferred: np.ndarray, beyond: np.ndarray, away: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step of the last unbroken stretch in which each unit holds its final class beyond chance, [unit]."""
    held = beyond & (preferred == preferred[-1])
    broken = ~(held | away)
    last_break = np.where(broken.any(0), len(steps) - 1 - broken[::-1].argmax(0), -1)
    tail = held & (np.arange(len(steps))[:, None] > last_break)
    return np.where(held[-1], steps[tail.argmax(0)].astype(float), np.nan)


def _changes(preferred: np.ndarray, beyond: np.ndarray, means: np.ndarray) -> np.ndarray:
    """How often each unit's class changed among the snapshots beyond chance, confirmed by the ``means`` [snapshot, class,
    unit] of the other half: [unit].
    """
    found = np.zeros(preferred.shape[1], int)
    for unit in range(len(found)):
        at = np.flatnonzero(beyond[:, unit])
        for before, after in pairwise(at):
            old, new = preferred[before, unit], preferred[after, unit]
            there, here = means[before, :, unit], means[after, :, unit]
            found[unit] += old != new and there[old] > there[new] and here[new] > here[old]
    return found
