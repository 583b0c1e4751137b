"""What is said of results that no rule tests, and the form of every measure's picture, in the order in which a page shows them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...claim import Claim, goes, say
from ...measure import every, of
from ...statistics import shown
from .. import geometry, similarity
from ..look import FirstLook, LayerLook, Pair


def descriptions(at: FirstLook | Pair, claims: Sequence[Claim] = ()) -> list[Claim]:
    """What is said without a test of a network and its layers, or of a pair. A measure with a picture, of which neither ``claims`` nor
    a description says anything here, is named.
    """
    found: list[Claim] = []
    places: list[Any] = [at, *(at.layers if isinstance(at, FirstLook) else ())]
    for measure in every():
        for place in places:
            hook_point, axis = getattr(place, "hook_point", ""), getattr(place, "axis", "unit")
            told = [one for d in measure.descriptions if d.scope == place.scope for one in d.claims(place)]
            known = any(
                (c.measure, c.network) == (measure.name, at.name) and hook_point in ("", c.hook_point) for c in claims
            )
            if not told and not known and measure.pictures and measure.scope == place.scope:
                told = [say(f"{measure.name} is described", f"{measure.title.lower()} is described.")]
            found += [
                replace(
                    one, measure=measure.name, network=at.name, hook_point=hook_point, axis=axis, n=len(place.run.probe)
                )
                for one in told
            ]
    return found


# Layers.


@of(geometry.pca).describe("layer")
def components(at: LayerLook) -> Iterator[Claim]:
    end, start = at["geometry.pca"], at["geometry.pca/untrained"]
    if np.isfinite(float(end["between"][-1])):
        yield say(
            "principal components",
            "its first two principal components hold {explained:0%} of the variance (units shuffled: {chance:0%}); {between:0%} of the "
            "spread on them lies between the classes (untrained, on its own components: {between_start:0%}).",
            explained=float(end["explained"].sum()),
            chance=float(end["explained_by_chance"].sum()),
            between=float(end["between"][-1]),
            between_start=float(start["between"][0]),
        )
    else:
        yield say(
            "principal components",
            "every image has the same activations at the last snapshot: there are no components.",
        )


def _maps(at: FirstLook) -> dict[str, Any]:
    steps = at.run.steps
    middle = [int(np.searchsorted(steps, 64))] if steps[-1] > 64 else []
    return {
        "results": {one.hook_point: one["geometry.pca"] for one in at.layers} or None,
        "untrained": {one.hook_point: one["geometry.pca/untrained"] for one in at.layers},
        "snapshots": sorted({0, *middle, len(steps) - 1}),
    }


of(geometry.pca).picture(
    "pca_over_time",
    "Each image as its digit on the two directions in which a layer's activations vary most. The first column gives the untrained network "
    "components of its own: images of one class look alike, so some order is there before learning. The others share the components of "
    "the last snapshot.",
    scope="network",
    takes=_maps,
)


@of(geometry.dimension).describe("layer")
def dimensions(at: LayerLook) -> Iterator[Claim]:
    table = at["geometry.dimension"]
    (went, ends), null = goes(table["participation_ratio"].values), table["participation_ratio_null_high"].values
    yield say(
        "dimensions",
        f"the participation ratio {went} dimensions (units shuffled: up to {{null:g}}).",
        null=float(null[-1]),
        **ends,
    )


of(geometry.dimension).picture("dimension_over_time", scope="network")
of(geometry.clusters).picture("clusters_over_time", scope="network", more=True)
of(geometry.neural_collapse).picture(
    "collapse_over_time",
    "The last hidden layer (Papyan et al.): all measures fall to 0 when training goes on far beyond the last error.",
    part="layers",
)
of(similarity.drift).picture(
    "drift",
    "The layer against itself at the last snapshot, on the same images, split into what a rotation of its space undoes and what it does "
    "not. CKA stands beside the Procrustes distance, never alone.",
)


@of(similarity.unit_drift).describe("layer")
def selves(at: LayerLook) -> Iterator[Claim]:
    table = at["similarity.unit_drift"]
    alike = shown(table["correlation_q"].transpose("snapshot", ...).values).mean(1)
    most = np.flatnonzero(alike > 0.5)
    yield say(
        "units that resemble their final selves",
        f"{{start:0%}} of the {at.axis}s resemble their final selves more than any other {at.axis} does at initialization"
        + ("; more than half do from {since:step} on." if len(most) else "; at no snapshot more than half."),
        start=float(alike[0]),
        since=int(table["step"][most[0]]) if len(most) else math.nan,
    )


of(similarity.unit_drift).picture("unit_drift", "Correlation over the images; hatched: dead.", more=True)


@of(similarity.matrix).describe("network")
def alike(at: FirstLook) -> Iterator[Claim]:
    table = at["similarity.matrix"]
    if table is None or table.sizes["layer"] < 2:
        return
    above = np.where(np.triu(np.ones(table["cka"].shape), 1) > 0, table["cka"].values, np.nan)
    if np.isfinite(above).any():
        row, column = np.unravel_index(np.nanargmax(above), above.shape)
        yield say(
            "the layers most alike",
            "of its layers {a} and {b} are most alike (CKA {cka:2}; images shuffled: up to {null:2}).",
            cka=float(above[row, column]),
            null=float(table["cka_null_high"][row, column]),
            a=str(table["layer"][row].values),
            b=str(table["layer_b"][column].values),
        )


of(similarity.matrix).picture(
    "similarity_matrix",
    "Debiased CKA, Procrustes distance (0: the same shape) and SVCCA.",
    part="layers",
    takes=lambda at: {
        "table": table if (table := at["similarity.matrix"]) is not None and table.sizes["layer"] > 1 else None
    },
)

# Side by side.


@of(similarity.matrix).describe("pair")
def nearest(at: Pair) -> Iterator[Claim]:
    end, start = at["similarity.matrix/pair"], at["similarity.matrix/untrained pair"]
    if np.isfinite(end["cka"]).any():
        row, column = np.unravel_index(np.nanargmax(end["cka"].values), end["cka"].shape)
        yield say(
            "the layers most alike",
            f"{{a}} of the {at.first.name} and {{b}} of the {at.second.name} are most alike (CKA {{cka:2}}; images shuffled: up to "
            "{null:2}); before training no two layers have more than {start:2}.",
            cka=float(end["cka"][row, column]),
            null=float(end["cka_null_high"][row, column]),
            start=float(np.nanmax(start["cka"])) if np.isfinite(start["cka"]).any() else math.nan,
            a=str(end["layer"][row].values),
            b=str(end["layer_b"][column].values),
        )


def _sides(at: Pair, variant: str) -> dict[str, Any]:
    return {"table": at[f"similarity.matrix/{variant}"], "rows": at.first.name, "columns": at.second.name}


of(similarity.matrix).picture("similarity_matrix", "Trained.", scope="pair", takes=lambda at: _sides(at, "pair"))
of(similarity.matrix).picture(
    "similarity_matrix", "Untrained.", scope="pair", more=True, takes=lambda at: _sides(at, "untrained pair")
)
