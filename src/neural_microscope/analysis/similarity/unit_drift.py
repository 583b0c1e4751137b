"""Unit drift within one network: each unit's similarity to itself at a reference snapshot."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...measure import measure, of
from ...statistics import ALPHA, beside, shown
from . import pairs
from .drift import origins
from .planted import as_acts, unlike, whitened


@measure(
    "similarity",
    title="Drift of units",
    null="every other unit of the layer at the reference",
    replicates="unit",
    interval="none",
    source="Pearson correlation of a unit's activations with its own, over the images",
    family="units at one snapshot",
    place=160,
)
def unit_drift(acts: xr.DataArray, *, reference: int | Literal["previous"] = -1) -> xr.Dataset:
    """Correlation of each unit's activations with its own at a reference snapshot, [snapshot, unit].

    Null: the correlation of unit i at t with every other unit j at the reference. A unit whose correlation lies in the
    band can't be distinguished from another one. Nothing is random.

    Args:
        acts: Activations [snapshot, example, unit] (or channel).
        reference: Step of a recorded snapshot, -1 the last, 0 the untrained network; "previous": each snapshot's
            predecessor (the first snapshot is then NaN).

    Returns:
        * ``correlation``, -1..1, over the examples; ``cosine``, the same without subtracting the means.
        * ``correlation_null_low``, ``_null_high``; ``correlation_p``: share of all units at or above its own, the unit
          itself counted (so 1 / units is the least); ``_q`` within the snapshot.
        * ``n_dead`` [snapshot]: the units that are dead or constant at t or at the reference; NaN for these.

    Raises:
        DataError: An unknown word as reference.
        UnknownName: A step that was not recorded.

    >>> nm.analysis.similarity.unit_drift(acts, reference=0)["correlation"].dims
    ('snapshot', 'unit')
    """
    axis = unit_axis(acts.dims)
    x = named.values(acts, "snapshot", "example", axis)
    origin = origins(acts, reference)
    units = np.stack([pairs.columns(pairs.centred(one)) for one in x])
    raw = np.stack([pairs.columns(one) for one in x])
    rows, cosine = [], np.full((len(x), x.shape[2]), np.nan)
    for t, r in enumerate(origin):
        there = np.flatnonzero(units[r].any(0))
        both = np.intersect1d(there, np.flatnonzero(units[t].any(0))) if r >= 0 else there[:0]
        every = units[t].T @ units[r]  # [unit at t, unit at the reference]
        null = np.full((max(len(there) - 1, 0), len(every)), np.nan)  # the other units, for each unit
        null[:, both] = every[np.ix_(both, there)][both[:, None] != there].reshape(len(both), len(null)).T
        rows.append(beside("correlation", np.diag(every), null, axis, where=np.isin(np.arange(len(every)), both)))
        if r >= 0:
            cosine[t] = np.where(raw[t].any(0) & raw[r].any(0), (raw[t] * raw[r]).sum(0), np.nan)
    found: pairs.Variables = {
        name: (("snapshot", axis), np.stack([row[name][1] for row in rows]), rows[-1][name][2]) for name in rows[0]
    }
    table = pairs.table(
        found | {"cosine": (("snapshot", axis), cosine, {"units": "1"})},
        acts,
        reference=reference,
        reason="NaN: a unit that is dead or constant at the snapshot or at its reference",
    )
    table["n_dead"] = ("snapshot", np.isnan(table["correlation"].values).sum(1), {"units": "units"})
    return table.assign_coords(named.kept(acts, "step", "epoch"))


# On a page.


@of(unit_drift).on("layer")
def _unit_drift(at: Any) -> xr.Dataset:
    return unit_drift(at.acts)


@of(unit_drift).describe("layer")
def _selves(at: Any) -> Iterator[Claim]:
    table = at["similarity.unit_drift"]
    q = table["correlation_q"].transpose("snapshot", ...).values
    alike, judged = shown(q).mean(1), int(np.isfinite(q).sum(1).max())
    if judged * ALPHA <= 1:
        yield say(
            "units that resemble their final selves",
            f"Whether a single {at.axis} at initialization correlates with its final self more than any other {at.axis} does can't be "
            f"shown for {{judged:#{at.axis}}}: p is at least {{floor:2}}.",
            judged=judged,
            floor=1 / max(judged, 1),
        )
        return
    most = np.flatnonzero(alike > 0.5)
    yield say(
        "units that resemble their final selves",
        f"{{start:0%}} of the single {at.axis}s at initialization are shown to correlate with their final selves more than any other "
        f"{at.axis} does"
        + ("; from {since:step} on more than half are." if len(most) else "; at no snapshot more than half are."),
        start=float(alike[0]),
        since=int(table["step"][most[0]]) if len(most) else math.nan,
    )


of(unit_drift).picture(
    "unit_drift",
    "Correlation over the images; hatched: dead. How a layer arranges the images can stay while single units change.",
    more=True,
)


@of(unit_drift).calibrated_on(
    "units that keep a correlation of 0.8 with themselves",
    0.8,
    1e-12,
    empty="unrelated snapshots; any unit with q < 0.05",
    read=lambda found: found["correlation"][0].mean(),
    alarm=lambda found: found["correlation_shown"][0].any(),
    name="drift of a unit",
)
def _themselves(seed: int, planted: bool) -> xr.DataArray:
    """Units with a share of 0.8 of their own past: mean correlation 0.8."""
    x = whitened(seed, 200, 40)
    return as_acts(np.stack([0.8 * x[:, :20] + 0.6 * x[:, 20:], x[:, :20]])) if planted else unlike(seed, 60, 40)
