"""What single units specialise in: class means, selectivity with its null, and the images they like most."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import rankdata

from ..axes import unit_axis
from ..errors import DataError
from ..statistics import INTERVAL, false_discovery, halves, p_values, shuffles

EPSILON = 1e-3
"""Keeps the selectivity of an almost silent unit finite (and near 0)."""


def class_means(acts: xr.DataArray) -> xr.DataArray:
    """Mean activation of each unit over the examples of each class: [snapshot, class, unit]; NaN for a class without
    examples.
    """
    labels = _labels(acts)
    classes = int(labels.max()) + 1
    present = np.bincount(labels, minlength=classes)
    one_hot = np.eye(classes)[labels] / np.where(present, present, np.nan)
    axis = unit_axis(acts.dims)
    order = [d for d in ("snapshot", "example", axis) if d in acts.dims]
    means = np.swapaxes(one_hot, 0, 1) @ acts.transpose(*order).values.astype(np.float64)
    coords = {name: acts[name] for name in ("step", "epoch") if name in acts.coords}
    dims = [*order[:-2], "class", axis]
    return xr.DataArray(
        means, dims=dims, coords=coords, name=acts.name, attrs={"units": "1", "n_examples": len(labels)}
    )


def selectivity_by_class(acts: xr.DataArray) -> xr.DataArray:
    """How much more each unit answers to each class than to the others: [snapshot, class, unit], -1..1.

    (m_c - m_rest) / (m_c + m_rest + 0.001), m_rest the unweighted mean of the other classes' means. 0 for a dead
    unit, and near 0 for one that is almost never on. NaN where m_c or m_rest is negative. Its highest class is Morcos
    et al.'s (2018) selectivity index. It describes the examples given and has no null of its own: `class_selectivity`
    has.
    """
    means = class_means(acts)
    rest = (means.sum("class") - means) / (means.notnull().sum("class") - 1)
    return _index(means, rest).rename(acts.name)


def _index(best: Any, rest: Any) -> Any:
    """The signed selectivity of a class mean against the mean of the others."""
    with np.errstate(invalid="ignore", divide="ignore"):
        index = (best - rest) / (best + rest + EPSILON)
    return xr.where((best < 0) | (rest < 0), np.nan, index)


def class_selectivity(acts: xr.DataArray, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """How much more a unit answers to one class than to the others, [unit], beside what shuffled labels give.

    ``acts`` [example, unit] (or channel) with the coordinate ``label``; of [snapshot, example, unit] the last
    snapshot is taken. The class of each unit is chosen on one half of the examples (``preferred``: the highest class
    mean) and judged on the other:

    ``selectivity`` = (m_c - m_rest) / (m_c + m_rest + 0.001), m_rest the mean of the other classes' means: -1..1, 0
    without preference (Morcos et al. 2018 in its signed form). NaN where a class mean is negative: the index is meant
    for activations of at least 0. ``auc``: the chance that an example of that class excites the unit more than one of
    another class; 0..1, 0.5 without preference, for activations of any sign.

    For both: ``…_null_low``, ``…_null_high`` (2.5 and 97.5 percentiles under shuffled labels, the class chosen anew
    each time) and ``…_q``, the one-sided p value after false-discovery control over the layer. ``density``: share of
    examples above 0; a unit that is almost never on can have a high index that means little. Dead units get NaN.
    """
    if "snapshot" in acts.dims:
        acts = acts.isel(snapshot=-1)
    axis = unit_axis(acts.dims)
    labels = _labels(acts)
    x = acts.transpose("example", axis).values.astype(np.float64)
    if not np.isfinite(x).all():
        raise DataError("the activations are not all finite: this network has diverged")
    choose, judge = halves(labels, seed)
    ranks = rankdata(x[judge], axis=0)
    null = [_judged(x, ranks, fake, choose, judge) for fake in shuffles(labels, draws, seed)]
    preferred, selectivity, auc = _judged(x, ranks, labels, choose, judge)
    dead = x.max(0) <= x.min(0)
    table = xr.Dataset(
        {
            "preferred": (axis, np.where(dead, -1, preferred)),
            **_with_null("selectivity", selectivity, np.stack([n[1] for n in null]), dead, axis),
            **_with_null("auc", auc, np.stack([n[2] for n in null]), dead, axis),
            "density": (axis, (x > 0).mean(0)),
        },
        attrs={
            "n_examples": len(labels),
            "n_judged": len(judge),
            "hook_point": acts.name or "",
            "null": f"{draws} shuffles of the labels, class chosen anew",
            "seed": seed,
            "source": "Morcos et al. 2018, signed; halves against choosing and judging on the same images",
        },
    )
    return table


def _judged(
    x: np.ndarray, ranks: np.ndarray, labels: np.ndarray, choose: np.ndarray, judge: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(preferred class, selectivity, AUC) of each unit: the class chosen on one half, both measures taken on the
    other.
    """
    preferred = _means(x[choose], labels[choose]).argmax(0)
    means, units = _means(x[judge], labels[judge]), np.arange(x.shape[1])
    best = means[preferred, units]
    rest = (np.nansum(means, 0) - best) / (np.isfinite(means).sum(0) - 1)
    index = _index(best, rest)
    size = np.bincount(labels[judge], minlength=len(means))[preferred]
    mean_rank = _means(ranks, labels[judge])[preferred, units]
    auc = (mean_rank - (size + 1) / 2) / (len(judge) - size)
    return preferred, index, auc


def _means(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Class means [class, unit]."""
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    return one_hot.T @ x / np.maximum(one_hot.sum(0), 1)[:, None]


def _with_null(
    name: str, value: np.ndarray, null: np.ndarray, dead: np.ndarray, axis: str
) -> dict[str, tuple[str, np.ndarray]]:
    value = np.where(dead, np.nan, value)
    null = np.where(np.isnan(null), 0.5 if name == "auc" else 0.0, null)
    low, high = np.percentile(null, INTERVAL, axis=0)
    found = {
        name: value,
        f"{name}_null_low": low,
        f"{name}_null_high": high,
        f"{name}_q": false_discovery(p_values(value, null)),
    }
    return {key: (axis, values) for key, values in found.items()}


def top_examples(acts: xr.DataArray, n: int = 8) -> xr.DataArray:
    """The examples that excite each unit most, strongest first: example numbers [unit, rank]; of several snapshots
    the last.

    Ties keep the examples' order. A dead unit gets -1. The top of the range is a small part of what a unit does
    (Bolukbasi et al. 2021).
    """
    if "snapshot" in acts.dims:
        acts = acts.isel(snapshot=-1)
    axis = unit_axis(acts.dims)
    x = acts.transpose(axis, "example").values
    order = np.argsort(-x, axis=1, kind="stable")[:, :n]
    order[x.max(1) <= 0] = -1
    return xr.DataArray(order, dims=(axis, "rank"), name=acts.name, attrs={"n_examples": x.shape[1]})


def _labels(acts: xr.DataArray) -> np.ndarray:
    if "label" not in acts.coords or "example" not in acts.dims:
        raise DataError(
            "the activations need the axis 'example' with the coordinate 'label'; take them from a run, or give nm.activations an ImageSet"
        )
    return acts["label"].values
