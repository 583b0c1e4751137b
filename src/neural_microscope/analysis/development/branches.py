"""The effect of a change of training: each branch compared with the twin of its order, and with null branches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import ALPHA, Law, beside, mean_interval, null_band, p_values

FEWEST_NULLS = int(1 / ALPHA)
"""Null branches from which the smallest rank p, 1 / (1 + n), is below 0.05."""


class Branches(NamedTuple):
    """The networks of a replay by their role."""

    twins: np.ndarray
    """[order, snapshot, …]"""
    branch: np.ndarray
    """[order, snapshot, …]"""
    nulls: np.ndarray
    """[null, order, snapshot, …]"""
    steps: np.ndarray
    """[snapshot]"""


def branches(values: xr.DataArray, *rest: str) -> Branches:
    """The networks of an array [order, network, snapshot, …]; a DataError for one without twins and branches."""
    x = named.values(values, "network", "order", "snapshot", *rest)
    names = [str(name) for name in values["network"].values] if "network" in values.coords else []
    missing = [name for name in ("twin", "branch") if name not in names]
    if missing:
        raise DataError(
            f"the networks are {', '.join(names) or 'without names'}; there must be a 'twin' and a 'branch': "
            "give the scores or effects of an nm.replay with a change"
        )
    steps = values["step"].values if "step" in values.coords else np.arange(values.sizes["snapshot"])
    others = [number for number, name in enumerate(names) if name.startswith("null")]
    return Branches(x[names.index("twin")], x[names.index("branch")], x[others], steps)


def caution(nulls: int) -> dict[str, str]:
    """An attribute that says that nothing can be shown with so few null branches; empty where something can."""
    if not nulls:
        return {"caution": "without null branches nothing is tested"}
    least = f"the smallest p is {1 / (1 + nulls):.3f}, and it must be below {ALPHA}; {FEWEST_NULLS} are needed"
    return (
        {"caution": f"{nulls} null {'branch' if nulls == 1 else 'branches'} can't show anything: {least}"}
        if nulls < FEWEST_NULLS
        else {}
    )


def over_orders(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """95% t interval of the mean over orders, the first axis; NaN for one order."""
    center = values.mean(0)
    sums, squares = (values - center).sum(0), ((values - center) ** 2).sum(0)  # centered: no cancellation
    low, high = mean_interval(sums, squares, len(values))
    return center + low, center + high


@measure(
    "development",
    title="Change of learning",
    null="random changes of the same kind and size elsewhere (null branches), each the mean over its orders",
    replicates="order of the batches",
    interval="95% t over orders of one network's training",
    family="none: one test a snapshot",
    source="score of the branch - score of the twin of the same order",
)
def change_of_learning(scores: xr.DataArray) -> xr.Dataset:
    """The effect of a change of training on a score, [snapshot].

    Each branch is compared with the twin of its order, which was trained without the change on the same batches. That
    takes the order's own effect out of the mean, and its size is beside it: the spread of the twins.

    Args:
        scores: A score [order, network, snapshot] with names of the networks, such as ``replay.scores.loss``.

    Returns:
        Values at each snapshot, in the score's unit.

        * ``change``: mean over orders of branch - twin, with ``…_low``, ``…_high``, a 95% t interval over orders (NaN
          for one order).
        * ``change_null_low``, ``change_null_high``: the same of the null branches, 2.5 to 97.5 percentile; ``change_p``:
          (1 + number of null branches whose change is as large in size) / (1 + their number), two-sided;
          ``change_shown``: p below 0.05. Each snapshot is a test of its own: choose one before looking. NaN without null
          branches; with fewer than 20 nothing can be shown, and the attribute ``caution`` says so.
        * ``order_sd``: standard deviation of the twins over orders, the effect of another order alone (NaN for one).

    Raises:
        DataError: No twin or no branch, other axes, or a network that diverged.

    >>> forked = nm.replay(kept, "runs/seven", at=12, change=nm.changes.Withhold(classes=7), branches=2, nulls=2)
    >>> change = nm.analysis.development.change_of_learning(forked.scores.loss)
    >>> change.attrs["caution"]
    "2 null branches can't show anything: the smallest p is 0.333, and it must be below 0.05; 20 are needed"
    """
    held = branches(scores)
    far = held.branch - held.twins
    value, null = far.mean(0), (held.nulls - held.twins).mean(1)
    units = str(scores.attrs.get("units", "1"))
    many = len(held.twins) > 1
    spread = held.twins.std(0, ddof=1) if many else np.full(value.shape, np.nan)
    table = beside(
        "change", value, by_size(value, null), "snapshot", units=units, interval=over_orders(far), family=False
    )
    table["change_p"][2].update(draws=len(null), floor=1 / (1 + len(null)))
    return xr.Dataset(
        {**table, "order_sd": ("snapshot", spread, {"units": units})},
        coords={"step": ("snapshot", held.steps)},
        attrs={
            "orders": len(held.twins),
            "null": f"{len(null)} random changes of the same kind and size elsewhere, each the mean over its orders",
            "hook_point": "",
            **caution(len(null)),
        },
    )


def by_size(value: np.ndarray, null: np.ndarray) -> Law:
    """Band of the draws, and a p by their size, whatever their sign; NaN without draws."""
    if not len(null):
        return Law(*(np.full(value.shape, np.nan) for _ in range(3)))
    return Law(*null_band(null), p_values(np.abs(value), np.abs(null)))


# Phantoms.


@of(change_of_learning).calibrated_on(
    "a branch 0.5 above its twins in the mean of 400 orders",
    0.5,
    0.02,
    empty="a branch drawn as 99 null branches are; p < 0.05",
    read="change",
    name="change of learning",
    unit="nats",
)
def _raised(seed: int, planted: bool) -> xr.DataArray:
    random = np.random.default_rng(seed)
    orders, nulls = (400, 2) if planted else (6, 99)
    twins = random.normal(1, 0.3, (orders, 1, 1))
    own = random.normal(0, 0.1, (1, nulls + 1, 1)) * (not planted)
    x = (
        twins
        + own
        + random.normal(0, 0.1, (orders, nulls + 1, 1))
        + 0.5 * planted * (np.arange(nulls + 1) == 0)[:, None]
    )
    return as_scores(np.concatenate([twins, x], 1))


def as_scores(x: np.ndarray) -> xr.DataArray:
    """An array [order, network, snapshot, …] as a replay gives it: twin, branch, null branches."""
    names = ["twin", "branch", *(f"null {number}" for number in range(x.shape[1] - 2))]
    dims = ("order", "network", "snapshot", "unit")[: x.ndim]
    return xr.DataArray(x, {"network": names, "step": ("snapshot", np.arange(x.shape[2]))}, dims)
