"""Takeover: the units whose ablation matters more after others were lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ...axes import unit_axis
from ...errors import HookError
from ...measure import measure, of
from ...statistics import beside, p_values, shown
from .branches import as_scores, branches, caution, over_orders


@measure(
    "development",
    title="Takeover",
    null="losses of random other units (null branches), of each the largest rise of any unit",
    replicates="order of the batches",
    interval="95% t over orders of one network's training",
    family="units, by the largest rise",
    source="ablation effect in the branch - that in the twin of the same order",
    unit="rise",
    units="nats",
)
def takeover(effects: xr.DataArray, lost: int | Sequence[int]) -> xr.Dataset:
    """The rise of each unit's ablation effect after other units were lost, [unit].

    If a unit does the work of a lost one, ablating it raises the loss by more than in the twin, the network that was
    trained on the same batches and lost nothing. Any loss changes every other unit a little. So the rise is compared
    with the largest rise of any unit after random other losses, which holds for all units together (family-wise). In a
    network a unit whose ablation does nothing in any order, as that of a lost one, takes over nothing.

    Args:
        effects: Effects of ablating each unit, [order, network, snapshot, unit], such as ``replay.effects("layers.1")``.
        lost: Number of the lost unit, or several.

    Returns:
        Values of each unit of the layer, NaN for the lost ones.

        * ``rise``: at the last snapshot, mean over orders of branch - twin, nats, with ``…_low``, ``…_high``, a 95% t
          interval over orders; ``…_null_low``, ``…_null_high``: the largest rise of any unit in a null branch;
          ``…_p``: (1 + number of null branches whose largest rise reaches it) / (1 + their number), family-wise over
          the units; ``…_shown``. With fewer than 20 null branches nothing can be shown, and the attribute ``caution``
          says so.
        * ``by``: the step from which it stays beyond the null (p below 0.05 at each snapshot) to the end; NaN where it is not at
          the end.
        * ``orders``: the number of orders in which its rise alone is beyond the largest rises of that order.

        The attribute ``lost_effect`` is the twins' effect of the lost units, each ablated by itself, summed: the work to take over.

    Raises:
        HookError: A lost unit that the layer does not have.
        DataError: No twin or no branch, other axes, or a network that diverged.

    >>> forked = nm.replay(kept, "runs/lost", at=12, change=nm.changes.Ablate("layers.0", 3), branches=2, nulls=2)
    >>> rise = nm.analysis.development.takeover(forked.effects("layers.0"), 3)["rise"]
    >>> rise.sizes["unit"], bool(np.isnan(rise[3]))
    (16, True)
    """
    axis = unit_axis(effects.dims)
    held = branches(effects, axis)
    gone = [int(unit) for unit in np.atleast_1d(np.asarray(lost))]
    units = held.twins.shape[-1]
    wrong = [unit for unit in gone if not 0 <= unit < units]
    if wrong or not gone:
        raise HookError(f"the layer has units 0 to {units - 1}; lost is {lost}")
    far, others = held.branch - held.twins, held.nulls - held.twins
    alive = (held.branch != 0).any((0, 1)) & ~np.isin(np.arange(units), gone)
    works = (held.nulls != 0).any((1, 2))[:, None]
    value, most = far.mean(0), largest(others.mean(1), works)
    beyond = shown(p_values(value, most[..., None])) & alive
    stays = np.logical_and.accumulate(beyond[::-1])[::-1]
    by = np.where(stays[-1], held.steps[stays.argmax(0)], np.nan)
    alone = largest(others[:, :, -1], works)
    count = sum(shown(p_values(far[order, -1], alone[:, order, None])) & alive for order in range(len(far)))
    null = np.repeat(most[:, -1:], units, 1)
    interval = over_orders(far[:, -1])
    return xr.Dataset(
        {
            **beside("rise", value[-1], null, axis, units="nats", interval=interval, family=False, where=alive),
            "by": (axis, by, {"units": "step"}),
            "orders": (axis, np.asarray(count, int), {"units": "orders"}),
        },
        coords={axis: np.arange(units)},
        attrs={
            "lost": gone,
            "lost_effect": float(held.twins[:, -1, gone].mean(0).sum()),
            "of_orders": len(far),
            "step": int(held.steps[-1]),
            "null": f"{len(null)} losses of random other units, of each the largest rise of any unit",
            "hook_point": "",
            **caution(len(null)),
        },
    )


def largest(rise: np.ndarray, works: np.ndarray) -> np.ndarray:
    """The largest rise of any unit that does something, [null, …]; NaN where none does."""
    most = np.max(rise, axis=-1, where=np.broadcast_to(works, rise.shape), initial=-np.inf)
    return np.where(np.isfinite(most), most, np.nan)


# Phantoms.


@of(takeover).calibrated_on(
    "a unit that takes over 0.4 nats of a lost one's 0.5, in the mean of 400 orders",
    0.4,
    0.02,
    empty="99 null branches that lost other units, and a branch drawn as they are; p < 0.05 for any unit",
    read="rise",
    name="takeover",
    unit="nats",
)
def _taken_over(seed: int, planted: bool) -> tuple[xr.DataArray, int]:
    """Effects of eight units in which the last one is lost."""
    random = np.random.default_rng(seed)
    orders, nulls = (400, 2) if planted else (6, 99)
    twins = 0.5 + random.normal(0, 0.1, (orders, 1, 8))
    own = random.normal(0, 0.1, (1, nulls + 1, 8)) * (not planted)
    x = twins + own + random.normal(0, 0.1, (orders, nulls + 1, 8))
    x[:, 0, 0] += 0.4 * planted
    for number, lost in enumerate([7, *random.integers(0, 7, nulls)]):
        x[:, number, lost] = 0
    return as_scores(np.concatenate([twins, x], 1)[:, :, None]), 7
