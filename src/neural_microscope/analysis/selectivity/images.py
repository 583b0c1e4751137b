"""The images that excite a unit: the strongest, and those across its range."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure


@measure(
    "selectivity",
    title="Top-activating images",
    null="none, a description",
    replicates="–",
    interval="–",
    place=220,
)
def top_examples(acts: xr.DataArray, *, n: int = 8) -> xr.DataArray:
    """The examples that excite each unit most, strongest first: example numbers [unit, rank]; of several snapshots
    the last.

    Ties keep the examples' order. A dead unit gets -1. The top of the range is a small part of what a unit does
    (Bolukbasi et al. 2021): `quantile_examples` shows the rest.
    """
    x = named.matrix(acts).T
    order = np.argsort(-x, axis=1, kind="stable")[:, :n]
    order[x.max(1) <= 0] = -1
    return xr.DataArray(order, dims=(unit_axis(acts.dims), "rank"), name=acts.name, attrs={"n_examples": x.shape[1]})


@measure(
    "selectivity",
    title="Images at activation quantiles",
    null="none, a description",
    replicates="–",
    interval="–",
    source="Bolukbasi et al. 2021",
    place=230,
)
def quantile_examples(
    acts: xr.DataArray, *, quantiles: Sequence[float] = (1.0, 0.75, 0.5, 0.25, 0.0), per: int = 6
) -> xr.Dataset:
    """Examples around quantiles of what each unit does when it is on, [unit, quantile, rank], strongest first.

    Of a unit's m activations above 0, in order, ``per`` neighbours about the place q (m - 1) from below: q = 1 gives the
    strongest, q = 0 those just above 0. ``examples``: their numbers, -1 for places left over where m < ``per``;
    ``activation``: their activations, NaN there; ``active`` [unit]: m. Windows of a unit with few activations overlap.
    Of several snapshots the last. A quantile outside 0..1 is a DataError. It chooses by activation alone and makes no
    claim. Against the illusion of the top images: Bolukbasi et al. 2021.
    """
    wanted = np.asarray(quantiles, float)
    if not ((wanted >= 0) & (wanted <= 1)).all() or per < 1:
        raise DataError(
            f"quantiles {list(quantiles)} of {per} images: quantiles lie from 0 to 1, images are at least 1"
        )
    x, axis = named.matrix(acts).T, unit_axis(acts.dims)
    order = np.argsort(-x, axis=1, kind="stable")
    active = (x > 0).sum(1)
    middle = np.rint((1 - wanted) * (np.maximum(active, 1)[:, None] - 1))
    start = np.clip(middle - (per - 1) // 2, 0, np.maximum(active[:, None] - per, 0)).astype(int)
    place = start[..., None] + np.arange(per)
    there = place < active[:, None, None]
    rows = np.arange(len(x))[:, None, None]
    examples = np.where(there, order[rows, np.where(there, place, 0)], -1)
    strength = np.where(there, x[rows, examples], np.nan)
    window = (axis, "quantile", "rank")
    return xr.Dataset(
        {
            "examples": (window, examples),
            "activation": (window, strength, {"units": "activation"}),
            "active": (axis, active, {"units": "examples"}),
        },
        coords={"quantile": wanted},
        attrs={
            "n_examples": x.shape[1],
            "hook_point": acts.name or "",
            "null": "none: images are chosen by activation, nothing is claimed",
            "source": "Bolukbasi et al. 2021, An interpretability illusion for BERT",
        },
    )
