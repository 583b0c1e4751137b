"""Each unit's preferred class over training, when it settles, and a test of whether it exceeds chance."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...statistics import Law, beside, canonical_order
from . import judging
from .planted import CLASSES, UNITS, layer
from .preference import Preference


@measure(
    "selectivity",
    title="Selectivity over training",
    null="random groups of as many images (rank sum, known law)",
    replicates="image, judged on the half that did not choose its class",
    interval="null band only",
    family="units at one snapshot",
    source="Mann & Whitney 1947 with ties; Morcos et al. 2018; Ranadive et al. 2023 on selectivity over training",
    place=200,
)
def over_time(acts: xr.DataArray, *, seed: int = 0) -> xr.Dataset:
    """Preferred class of each unit at each snapshot, and when it settles.

    Args:
        acts: Activations [snapshot, example, unit] (or channel) with labels; without the coordinate ``step``, ``since``
            counts snapshots.
        seed: Seed of the halves.

    Returns:
        Gated snapshots do not count in ``since`` and ``changes``.

        * ``preferred``, ``selectivity``, ``auc`` [snapshot, unit]: at each snapshot the result of `class_selectivity`
          for it, cross-fitted over its own halves. ``auc`` with its null band, ``auc_p``, ``auc_q`` (false-discovery
          control over the layer's units at one snapshot) and ``auc_shown``, the verdict that the unit prefers a class.
        * ``gated`` [snapshot, unit] as there: the measures are NaN and ``preferred`` -1.
        * ``since`` [unit]: the first step from which the preferred class is the last snapshot's and shown at every
          later snapshot; NaN where the last snapshot is gated or nothing is shown there.
        * ``changes`` [unit]: how often the preferred class changed between one snapshot where it was shown and the next
          such one, the change confirmed on both halves of the examples: the old class above the new one before, below
          it after (so a unit that responds equally to two classes does not waver between them because of the random
          split).


    Raises:
        DataError: No labels, or no axis ``snapshot``.

    >>> nm.analysis.selectivity.over_time(acts)["preferred"].dims
    ('snapshot', 'unit')
    """
    if "snapshot" not in acts.dims:
        raise DataError(f"{acts.name or 'the activations'}: no axis 'snapshot'; take them from run.activations(name)")
    axis, labels = unit_axis(acts.dims), named.labels(acts)
    x = named.values(acts, "snapshot", "example", axis)
    signed = x.min() < 0
    rows = [_one(snapshot, labels, seed, signed) for snapshot in x]
    moments = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    away = moments["gated"]
    preferred = np.where(away, -1, moments["preferred"])
    grid = ("snapshot", axis)
    law = Law(moments["low"], moments["high"], moments["p"])
    judged = beside("auc", moments["auc"], law, grid, family=axis, where=~away)
    shown = judged["auc_shown"][1]
    steps = acts["step"].values if "step" in acts.coords else np.arange(len(x))
    return xr.Dataset(
        {
            "preferred": (grid, preferred),
            "selectivity": (grid, np.where(away, np.nan, moments["selectivity"]), {"units": "1"}),
            **judged,
            "gated": (grid, away),
            "since": (axis, _since(preferred, shown, away, steps), {"units": "step"}),
            "changes": (axis, _changes(preferred, shown, moments["means"]), {"units": "1"}),
        },
        coords=named.kept(acts, "step", "epoch"),
    )


def _one(x: np.ndarray, labels: np.ndarray, seed: int, signed: bool) -> dict[str, np.ndarray]:
    """One snapshot [example, unit]: each variable [unit], and both halves' ``means`` [half, class, unit]."""
    order = canonical_order(labels, x)
    found = Preference.of(x[order], labels[order], seed)
    low, high, p = found.auc_law()
    return {
        **{"preferred": found.preferred, "selectivity": found.selectivity, "auc": found.auc},
        **{"low": low, "high": high, "p": p, "gated": judging.gated(x, signed)},
        "means": np.stack([side.means for side in found.sides]),
    }


def _since(preferred: np.ndarray, beyond: np.ndarray, away: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """The first step of the last unbroken stretch in which each unit holds its final class beyond chance, [unit]."""
    held = beyond & (preferred == preferred[-1])
    broken = ~(held | away)
    last_break = np.where(broken.any(0), len(steps) - 1 - broken[::-1].argmax(0), -1)
    tail = held & (np.arange(len(steps))[:, None] > last_break)
    return np.where(held[-1], steps[tail.argmax(0)].astype(float), np.nan)


def _changes(preferred: np.ndarray, beyond: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The number of class changes of each unit among the snapshots where a class is shown, confirmed by the ``means`` [snapshot, half,
    class, unit] of
    both halves: [unit].
    """
    found = np.zeros(preferred.shape[1], int)
    for unit in range(len(found)):
        for before, after in pairwise(np.flatnonzero(beyond[:, unit])):
            old, new = preferred[before, unit], preferred[after, unit]
            there, here = means[before, ..., unit], means[after, ..., unit]
            found[unit] += old != new and bool(
                (there[:, old] > there[:, new]).all() and (here[:, new] > here[:, old]).all()
            )
    return found


of(over_time).on("layer")(lambda at: over_time(at.acts))


@of(over_time).describe("layer", part="units")
def _changing(at: Any) -> Iterator[Claim]:
    yield say(
        "units that change their class",
        f"from snapshot to snapshot, the class of the highest AUC changes, beyond chance, for {{changed:,}} of {{size:#{at.axis}}}.",
        changed=int((at["selectivity.over_time"]["changes"] > 0).sum()),
        size=at.size,
    )


of(over_time).picture(
    "selectivity_over_time",
    "Color: the class with the highest AUC at each snapshot; faint: within what random groups of as many images give. "
    "Units of untrained networks have such a class too, because images of a class look alike; the unit table says which units exceed them.",
)


def _answering(seed: int, classes: tuple[int, ...], by: float) -> xr.DataArray:
    """Noise in which the first unit responds, by so much, to a different class at each snapshot."""
    noise = np.random.default_rng(seed).exponential(1, (len(classes), 400, UNITS))
    noise[:, :, 0] += by * (np.arange(400) % CLASSES == np.array(classes)[:, None])
    return layer(noise)


@of(over_time).calibrated_on(
    "a unit that changes its class at step 3 permanently",
    3,
    0,
    empty="4 units of noise, 3 snapshots; an alarm: any unit that ends with a class",
    read="since",
    alarm=lambda found: found["since"].notnull().any(),
    name="settling step",
    unit="step",
)
def _settles(seed: int, planted: bool) -> xr.DataArray:
    if planted:
        return _answering(seed, (1, 1, 1, 2, 2, 2), 2.0)
    return layer(np.random.default_rng(seed).exponential(1, (3, 120, UNITS)))


@of(over_time).calibrated_on(
    "a unit that changes its class three times",
    3,
    0,
    empty="4 units with one class throughout; an alarm: any change",
    read="changes",
    alarm="changes",
    name="changes of class",
    unit="changes",
)
def _wavers(seed: int, planted: bool) -> xr.DataArray:
    """To class 1, then 2, then 1 again, then permanently to 3; or one class throughout, in noise redrawn each time."""
    if planted:
        return _answering(seed, (1, 1, 2, 1, 3, 3), 3.0)
    noise = np.random.default_rng(seed).exponential(1, (3, 120, UNITS))
    return layer(noise + 2.0 * (np.arange(120) % CLASSES == 2)[:, None])
