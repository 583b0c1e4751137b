"""Units and classes: means, signed selectivity, tuning curves, and the highest-ranked units for each class."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...measure import measure, of
from ...statistics import beside, bootstrap_mean, null_band, shuffles
from . import judging
from .planted import CLASSES, DRAWS, NOISE, UNITS, layer, noise

EPSILON = 1e-3
"""Keeps the selectivity of a nearly silent unit finite (and near 0)."""

QUANTILES = (0.1, 0.5, 0.9)


@measure("selectivity", title="Mean activation per class", place=210)
def class_means(acts: xr.DataArray) -> xr.DataArray:
    """Mean activation of each unit over the examples of each class, [snapshot, class, unit].

    Of a gradient at a hook point it gives the mean gradient.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels.

    Returns:
        NaN for a class without examples.

    >>> nm.analysis.selectivity.class_means(acts).dims
    ('snapshot', 'class', 'unit')
    """
    labels = named.labels(acts)
    axis = unit_axis(acts.dims)
    order = [*(["snapshot"] if "snapshot" in acts.dims else []), "example", axis]
    x = named.values(acts, *order)
    classes = int(labels.max()) + 1
    present = np.bincount(labels, minlength=classes)
    one_hot = np.eye(classes)[labels] / np.where(present, present, np.nan)
    return xr.DataArray(
        one_hot.T @ x,
        dims=[*order[:-2], "class", axis],
        coords=named.kept(acts, "step", "epoch"),
        name=acts.name,
        attrs={"units": "1"},
    )


of(class_means).on("layer")(lambda at: class_means(at.trained))
of(class_means).on("layer", "untrained")(lambda at: class_means(at.acts.isel(snapshot=0)))


@of(class_means).describe("layer", part="units")
def _means(at: Any) -> Iterator[Claim]:
    numbers = {}
    for name, variant in (("end", ""), ("start", "/untrained")):
        values = at[f"selectivity.class_means{variant}"].transpose("class", ...).values
        peak = values.max(0)
        values = values[:, peak > 0] / peak[peak > 0]
        numbers[name] = float((values.sum(0) - 1).mean() / (len(values) - 1)) if values.size else math.nan
    yield say(
        "mean activation per class",
        f"a {at.axis}'s mean activation for the other classes is {{end:0%}} of that for its highest class (untrained: {{start:0%}}).",
        **numbers,
    )


of(class_means).picture(
    "class_means",
    "Each unit (column) on a scale of its own. Sorting alone lines up the strongest colors, in the untrained network too: what can "
    "differ is how strong the color of a unit's other classes is.",
    takes=lambda at: {"trained": at["selectivity.class_means"], "untrained": at["selectivity.class_means/untrained"]},
)


@measure("selectivity", title="Selectivity for each class", source="Morcos et al. 2018, signed")
def selectivity_by_class(acts: xr.DataArray) -> xr.DataArray:
    """Signed selectivity of each unit for each class, [snapshot, class, unit], -1..1.

    (m_c - m_rest) / (m_c + m_rest + 0.001), m_rest the unweighted mean of the other classes' means. A unit's highest
    class is Morcos et al.'s (2018) selectivity index. It describes the examples given and has no null of its own; use
    `class_selectivity` for a test.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels.

    Returns:
        0 for a dead unit, and near 0 for one that is rarely active. NaN where m_c or m_rest is negative, and with a
        single class.

    >>> nm.analysis.selectivity.selectivity_by_class(acts).dims
    ('snapshot', 'class', 'unit')
    """
    means = class_means(acts)
    others = means.notnull().sum("class") - 1
    rest = (means.sum("class") - means) / others.where(others > 0)
    found: xr.DataArray = index(means, rest).rename(acts.name)
    return found.drop_attrs().assign_attrs(units="1")


def index(best: Any, rest: Any) -> Any:
    """The signed selectivity of a class mean against the mean of the others."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (best - rest) / (best + rest + EPSILON)
    return xr.where((best < 0) | (rest < 0), np.nan, found)


def rest_of(means: np.ndarray, best: np.ndarray) -> np.ndarray:
    """The mean of the other classes' means, [..., unit], of ``means`` [..., class, unit]; NaN where there is none."""
    others = np.isfinite(means).sum(-2) - 1
    return (np.nansum(means, -2) - best) / np.where(others > 0, others, np.nan)


@of(selectivity_by_class).calibrated_on(
    "class means 1, 1, 3, 1",
    2 / (4 + EPSILON),
    1e-12,
    empty="equal class means; an alarm: any other than 0",
    read=lambda found: found[2, 0],
    alarm=np.any,
    name="selectivity by class",
)
def _signed(seed: int, planted: bool) -> xr.DataArray:
    """Without noise."""
    if planted:
        return layer(1.0 + 2 * (np.arange(40) % CLASSES == 2)[:, None])
    return layer(np.full((40, 3), float(np.random.default_rng(seed).integers(0, 9))))


@measure("selectivity", title="Units with the highest values")
def top_units(values: xr.DataArray, *, n: int = 3) -> xr.DataArray:
    """The units with the highest values for each class, highest first: unit numbers [class, rank].

    The ranking is descriptive; it tests no unit against a null.

    Args:
        values: Values [class, unit]: from `class_means`, `selectivity_by_class`, or class means of a gradient.
        n: Number of units for each class.

    Returns:
        Ties keep the units' order; NaN is skipped, and unfilled places hold -1.

    >>> means = nm.analysis.selectivity.class_means(acts.isel(snapshot=-1))
    >>> nm.analysis.selectivity.top_units(means, n=2).dims
    ('class', 'rank')
    """
    axis = unit_axis(values.dims)
    x = values.transpose("class", axis).values.astype(np.float64)
    order = np.argsort(np.where(np.isnan(x), np.inf, -x), axis=1, kind="stable")[:, :n]
    found = np.where(np.isnan(np.take_along_axis(x, order, 1)), -1, order)
    return xr.DataArray(found, dims=("class", "rank"), coords=named.kept(values, "class"), name=values.name)


@measure(
    "selectivity",
    title="Tuning curves",
    null="{draws} shuffles of the labels",
    replicates="image",
    interval="95% bootstrap over a class's images for its mean; none for the variance explained; one network",
    family="units of a layer",
    source="tuning curves of neurophysiology; eta² = variance between classes / variance (Fisher 1925)",
)
def tuning(acts: xr.DataArray, *, draws: int = 500, seed: int = 0) -> xr.Dataset:
    """Tuning curves: each unit's mean activation for each class, [class, unit], with its value under shuffled labels.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels; of several snapshots
            the last.
        draws: Number of draws of the null (shuffles of the labels).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        * ``mean`` with ``mean_low``, ``mean_high`` (95% bootstrap over the class's images) and ``mean_null_low``,
          ``mean_null_high`` (shuffled labels: as many images of any class).
        * ``spread`` [quantile, class, unit]: the 10, 50 and 90% quantiles over the images.
        * ``explained`` [unit]: share of the unit's variance that lies between classes (eta², 0..1), with its null band,
          ``explained_p``, ``explained_q`` and ``explained_shown``, one-sided, over the layer.
        * ``gated`` [unit]: as in `class_selectivity`; ``explained`` is NaN there.

        NaN for classes without examples.

    >>> nm.analysis.selectivity.tuning(acts, draws=20)["mean"].dims
    ('class', 'unit')
    """
    (x, labels), axis = judging.examples(acts), unit_axis(acts.dims)
    classes = int(labels.max()) + 1
    *curves, spread = _curves(x, labels, classes, seed)
    chance = [_fake(x, o, classes) for o in judging.blocks(np.stack(list(shuffles(labels, draws, seed))), classes)]
    band = null_band(np.concatenate([fakes for fakes, _ in chance]))
    means = dict(zip(("", "_low", "_high", "_null_low", "_null_high"), (*curves, *band), strict=True))
    null = np.concatenate([explained for _, explained in chance])
    away = judging.gated(x)
    curve = ("class", axis)
    return xr.Dataset(
        {
            **{f"mean{end}": (curve, values, {"units": "activation"}) for end, values in means.items()},
            "spread": (("quantile", *curve), spread, {"units": "activation"}),
            **beside("explained", _fake(x, labels[None], classes)[1][0], null, axis, tail=True, where=~away),
            "gated": (axis, away),
        },
        coords={"quantile": list(QUANTILES), **named.kept(named.last(acts), "step")},
    )


def _curves(x: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> list[np.ndarray]:
    """[mean, low, high] of each class [class, unit], and the quantiles [quantile, class, unit]."""
    shape = (classes, x.shape[1])
    found = [np.full(shape, np.nan) for _ in range(3)] + [np.full((len(QUANTILES), *shape), np.nan)]
    for label in np.unique(labels):
        there = x[labels == label]
        found[0][label] = there.mean(0)
        found[1][label], found[2][label] = bootstrap_mean(there.T, 200, seed)
        found[3][:, label] = np.quantile(there, QUANTILES, axis=0)
    return found


def _fake(x: np.ndarray, orders: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """(class means [order, class, unit], share of variance between classes [order, unit])."""
    sums, counts = judging.class_sums(x - x.mean(0), orders, classes)
    means = judging.means_of(sums, counts)
    total = ((x - x.mean(0)) ** 2).sum(0)
    between = np.nansum(counts * means**2, 1) / np.where(total, total, np.nan)
    return means + x.mean(0), between


@of(tuning).calibrated_on(
    "class means 0, 0, 4, 0 in noise of variance 1",
    3 / 4,
    0.03,
    empty=NOISE,
    read="explained",
    name="tuning curves",
    draws=DRAWS,
)
def _explained(seed: int, planted: bool) -> xr.DataArray:
    """Three quarters of the variance lie between the classes."""
    if not planted:
        return layer(noise(seed))
    x = np.random.default_rng(seed).normal(size=(2000, UNITS)) + 10
    x[:, 0] += 4.0 * (np.arange(2000) % CLASSES == 2)
    return layer(x)
