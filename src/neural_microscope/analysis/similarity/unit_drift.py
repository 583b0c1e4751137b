"""Unit by unit within one network: which units are still themselves."""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...measure import measure
from ...statistics import false_discovery, null_band
from . import pairs
from .drift import origins


@measure(
    "similarity",
    title="Drift of units",
    null="every other unit at the reference",
    replicates="unit",
    interval="none",
    family="units at one snapshot",
)
def unit_drift(acts: xr.DataArray, *, reference: int | Literal["previous"] = -1) -> xr.Dataset:
    """How much each unit is still itself: its activations against its own at a reference snapshot, [snapshot, unit].

    ``acts`` [snapshot, example, unit] (or channel); ``reference`` as in `drift`. ``correlation``, -1..1, over the
    examples; ``cosine``, the same without taking the means off. Null: the correlation of unit i at t with every other
    unit j at the reference: ``correlation_null_low``, ``_null_high`` [snapshot, unit]; ``correlation_p``: share of all
    units at or above its own, the unit itself counted (so 1 / units is the least); ``_q`` within the snapshot. A unit
    whose correlation lies in the band can't be told from another one. NaN where a unit is dead or constant at t or at
    the reference; ``n_dead`` [snapshot] counts these. Nothing is random.
    """
    axis = unit_axis(acts.dims)
    x = named.values(acts, "snapshot", "example", axis)
    origin = origins(acts, reference)
    units = np.stack([_columns(pairs.centred(one)) for one in x])
    raw = np.stack([_columns(one) for one in x])
    shape = (len(x), x.shape[2])
    found = {key: np.full(shape, np.nan) for key in ("correlation", "cosine", *(f"correlation_{e}" for e in ENDS))}
    for t, r in enumerate(origin):
        if r < 0:
            continue
        here, there = units[t].any(0), units[r].any(0)
        every = np.where(there, units[t].T @ units[r], np.nan)  # [unit at t, unit at the reference]
        own = np.where(here & there, np.diag(every), np.nan)
        others = np.where(np.eye(len(own), dtype=bool) | ~here[:, None], np.nan, every).T
        found["correlation"][t], found["correlation_p"][t] = own, _among(own, others)
        found["cosine"][t] = np.where(raw[t].any(0) & raw[r].any(0), (raw[t] * raw[r]).sum(0), np.nan)
        found["correlation_null_low"][t], found["correlation_null_high"][t] = null_band(others)
        found["correlation_q"][t] = false_discovery(found["correlation_p"][t])
    table = pairs.table(
        found,
        dict.fromkeys(found, ("snapshot", axis)),
        acts,
        reference=reference,
        null="the other units of the layer at the reference",
        source="Pearson correlation of a unit's activations with its own, over the examples",
        reason="NaN: a unit that is dead or constant at the snapshot or at its reference",
    )
    table["n_dead"] = ("snapshot", np.isnan(found["correlation"]).sum(1), {"units": "units"})
    return table.assign_coords(named.kept(acts, "step", "epoch"))


ENDS = ("null_low", "null_high", "p", "q")


def _columns(x: np.ndarray) -> np.ndarray:
    """Each unit's activations at norm 1; zeros stay."""
    size = np.linalg.norm(x, axis=0)
    return x / np.where(size > 0, size, 1)


def _among(own: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(1 + how many others reach a unit's own value) / (1 + how many others there are), [unit]."""
    p = (1 + (others >= own).sum(0)) / (1 + np.isfinite(others).sum(0))
    return np.where(np.isnan(own), np.nan, p)
