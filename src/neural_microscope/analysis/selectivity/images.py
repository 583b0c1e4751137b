"""Images by a unit's activation: the strongest, and those at its quantiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from .planted import layer

TOP = 10
"""Strongest images of each unit that the default analysis keeps."""
STRIPS, TOPS = 4, 24
"""Units whose images are drawn across their range, and whose top-activating images are: those whose ablation raises the loss most."""


@measure("selectivity", title="Top-activating images", place=220)
def top_examples(acts: xr.DataArray, *, n: int = 8) -> xr.DataArray:
    """The examples that activate each unit most, strongest first: example numbers [unit, rank].

    The top of the range is a small part of what a unit does (Bolukbasi et al. 2021): `quantile_examples` shows the
    rest.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots); of several snapshots the last.
        n: Number of examples for each unit.

    Returns:
        Ties keep the examples' order. A dead unit gets -1.

    >>> nm.analysis.selectivity.top_examples(acts, n=3).sizes["rank"]
    3
    """
    x = named.matrix(acts).T
    order = np.argsort(-x, axis=1, kind="stable")[:, :n]
    order[x.max(1) <= 0] = -1
    return xr.DataArray(order, dims=(unit_axis(acts.dims), "rank"), name=acts.name)


of(top_examples).on("layer")(lambda at: top_examples(at.trained, n=TOP))


@of(top_examples).describe("layer", part="units")
def _tops(at: Any) -> Iterator[Claim]:
    chosen = at["selectivity.top_examples"].values
    share = _majority(at, chosen)
    if np.isfinite(share).any():
        yield say(
            "classes of the top-activating images",
            f"{{share:0%}} of a {at.axis}'s {{top:,}} top-activating images are of one class (mean over {at.axis}s that are ever active).",
            share=float(np.nanmean(share)),
            top=chosen.shape[1],
        )


def _majority(at: Any, numbers: np.ndarray) -> np.ndarray:
    """Share of the most frequent class among the images [unit, rank] of each unit, [unit]; NaN where it has none."""
    labels = at.run.probe.labels
    return np.array(
        [np.bincount(labels[row[row >= 0]]).max() / (row >= 0).sum() if (row >= 0).any() else np.nan for row in numbers]
    )


def _strongest(at: Any, count: int) -> list[int]:
    """Units that are ever active, by how much their ablation raises the loss."""
    on = at["selectivity.quantile_examples"]["active"].values > 0
    return [int(u) for u in np.argsort(-at["causal.ablate_all"]["loss_increase"].values, kind="stable") if on[u]][
        :count
    ]


def _top_images(at: Any) -> dict[str, Any]:
    units = _strongest(at, TOPS)
    order = at["selectivity.top_examples"].isel({at.axis: units}).assign_coords({at.axis: units})
    return {"images": at.run.probe.images, "order": order if units else None}


of(top_examples).picture(
    "top_images",
    "The units whose ablation raises the loss most, the strongest image first. These few images may be of another class than the unit's "
    "preferred class, that of the highest mean over all images.",
    more=True,
    takes=_top_images,
)


def _feature_maps(at: Any) -> dict[str, Any]:
    gallery = at.run.description["gallery"]
    if at.axis != "channel" or not gallery:
        return {"maps": None}
    place = min(7, len(gallery) - 1)
    maps = at.run.activations(at.hook_point, "maps").isel(snapshot=-1).values
    return {"maps": maps[place], "image": at.run.probe.images[gallery[place]]}


of(top_examples).picture(
    "feature_maps", "One of the images whose whole maps were recorded.", more=True, takes=_feature_maps
)


@measure("selectivity", title="Images at activation quantiles", source="Bolukbasi et al. 2021", place=230)
def quantile_examples(
    acts: xr.DataArray, *, quantiles: Sequence[float] = (1.0, 0.75, 0.5, 0.25, 0.0), per: int = 6
) -> xr.Dataset:
    """Examples at quantiles of a unit's activations above 0, [unit, quantile, rank], strongest first.

    It selects by activation alone and makes no claim. It counters the illusion of the top images: Bolukbasi et al.
    2021.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots); of several snapshots the last.
        quantiles: Quantiles q, 0..1, of a unit's m activations above 0: 1 gives the strongest, 0 those just above 0.
        per: Number of examples at each quantile, neighbors around place q (m - 1) from below; at least 1.

    Returns:
        Windows of a unit with few activations overlap.

        * ``examples``: their numbers, -1 for places left over where fewer images activate the unit.
        * ``activation``: their activations, NaN there.
        * ``active`` [unit]: m, the number of images that activate it.


    Raises:
        DataError: A quantile outside 0..1, or ``per`` below 1.

    >>> nm.analysis.selectivity.quantile_examples(acts, per=4)["examples"].dims
    ('unit', 'quantile', 'rank')
    """
    wanted = np.asarray(quantiles, float)
    if not ((wanted >= 0) & (wanted <= 1)).all() or per < 1:
        raise DataError(
            f"quantiles {list(quantiles)} of {per} images: quantiles must lie from 0 to 1, images must be at least 1"
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
    )


of(quantile_examples).on("layer")(lambda at: quantile_examples(at.trained))


@of(quantile_examples).describe("layer", part="units")
def _across(at: Any) -> Iterator[Claim]:
    table = at["selectivity.quantile_examples"]
    strongest, middle = (_majority(at, table["examples"].sel(quantile=q).values) for q in (1.0, 0.5))
    if np.isfinite(strongest).any():
        yield say(
            "classes across a unit's range",
            f"{{strongest:0%}} of a {at.axis}'s {{top:,}} top-activating images are of one class, and {{middle:0%}} of those at the median "
            "of its activations above 0.",
            strongest=float(np.nanmean(strongest)),
            middle=float(np.nanmean(middle)),
            top=table.sizes["rank"],
        )


of(quantile_examples).picture(
    "quantile_strips",
    "The units whose ablation raises the loss most, each with images at quantiles of its activations above 0 (number: their mean), from "
    "the highest to just above 0: the top images alone are a small part of what a unit responds to.",
    takes=lambda at: {
        "images": at.run.probe.images,
        "strips": at["selectivity.quantile_examples"],
        "units": _strongest(at, STRIPS) or None,
    },
)


@of(quantile_examples).calibrated_on(
    "activations 1 to 101",
    51,
    0,
    empty="units below 0; an alarm: any image",
    read=lambda found: found["activation"][0, 0, 1],
    alarm=lambda found: (found["examples"] >= 0).any(),
    name="images across the range",
    unit="activation",
    quantiles=(0.5,),
    per=3,
)
def _median(seed: int, planted: bool) -> xr.DataArray:
    """101 activations 1 to 101 in random places: the median strip is centered on 51."""
    rng = np.random.default_rng(seed)
    if not planted:
        return layer(-rng.exponential(1, (40, 3)))
    x = np.zeros((200, 1))
    x[rng.permutation(200)[:101], 0] = np.arange(1, 102)
    return layer(x)
