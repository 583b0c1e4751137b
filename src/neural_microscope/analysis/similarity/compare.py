"""All similarity measures of one pair in one table; and of every pair of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...claim import Claim, say
from ...errors import DataError
from ...measure import measure, of
from ...statistics import ALPHA, Side, beside
from . import pairs
from .cca import cca, svcca_relation
from .cka import cka, influence
from .cka import relation as cka_relation
from .planted import DRAWS, SOME, as_acts, normal, some_units, unrelated
from .procrustes import displacement, procrustes
from .procrustes import relation as procrustes_relation
from .rsa import rsa

TOP = 0.01
"""The share of the examples, the most displaced ones, that `compare` also leaves out."""

LAYERS = "Kornblith et al. 2019 (debiased: Nguyen et al. 2021); Ding et al. 2021; Raghu et al. 2017"


@measure(
    "similarity",
    title="Several similarities at once",
    null=pairs.NULL,
    replicates="image",
    interval=pairs.INTERVAL,
    source=f"{LAYERS}; Morcos et al. 2018; Kriegeskorte et al. 2008",
)
def compare(a: xr.DataArray, b: xr.DataArray, *, draws: int = 100, seed: int = 0) -> xr.Dataset:
    """Every measure of similarity of two sets of activations of the same examples, and each example's influence.

    Args:
        a: Activations [example, unit] (or channel, or whole maps, which are flattened); of several snapshots the last.
        b: Activations of the same examples, as ``a``; the units may be others.
        draws: Number of draws of the null (examples of b shuffled).
        seed: Seed of the null's draws and of the halves.

    Returns:
        * ``cka`` (debiased), ``procrustes``, ``svcca``, ``pwcca``, ``cca``, ``rsa`` (correlation, of at most 500
          examples; euclidean where a side has one unit), each with its null and interval as in the function of its
          name.
        * ``displacement`` [example]: its distance from its counterpart after the best rotation and scaling, relative to
          the mean norm (0: no displacement; Procrustes by example).
        * ``influence`` [example]: CKA minus CKA without it.
        * ``cka_without_top``: CKA without the 1% most displaced examples, one at least. If far from ``cka``, few images
          dominate the value (Davari et al. 2022).

        NaN where a side is constant.

    Raises:
        DataError: Fewer than 4 examples, or not the same examples.

    >>> first, last = acts.isel(snapshot=0, example=slice(40)), acts.isel(snapshot=-1, example=slice(40))
    >>> nm.analysis.similarity.compare(first, last, draws=2)["influence"].dims
    ('example',)
    """
    x, y = (pairs.compact(side) for side in pairs.side_by_side(a, b))
    moved = displacement(x, y)
    few = max(1, round(TOP * len(x)))
    rest = np.sort(np.argsort(moved, kind="stable")[:-few])
    metric = "euclidean" if 1 in (named.flat(a).shape[1], named.flat(b).shape[1]) else "correlation"
    parts = [
        cka(a, b, draws=draws, seed=seed),
        procrustes(a, b, draws=draws, seed=seed).drop_vars(["rotation", "scale"], errors="ignore"),
        cca(a, b, draws=draws, seed=seed).drop_dims("component"),
        rsa(a, b, metric=metric, most=500, draws=draws, seed=seed),
    ]
    without = cka_relation(x[rest], y[rest])(np.arange(len(rest)))["cka"] if len(rest) > 3 else np.nan
    values: pairs.Variables = {
        "displacement": ("example", moved, {"units": "1"}),
        "influence": ("example", influence(x, y), {"units": "1"}),
        "cka_without_top": ((), without, {"units": "1"}),
    }
    own = pairs.table(values, a, b, n_top=few, **pairs.reason(x, y))
    own = own.assign_coords(named.kept(a, "label") | named.kept(b, "label"))
    return xr.merge([own, *parts], combine_attrs="override")


@measure(
    "similarity",
    title="Similarity of all layers",
    null=pairs.NULL,
    replicates="image",
    interval="none",
    family="all pairs of layers",
    source=LAYERS,
    place=170,
)
def matrix(
    a: Mapping[str, xr.DataArray],
    b: Mapping[str, xr.DataArray] | None = None,
    *,
    draws: int = 40,
    seed: int = 0,
) -> xr.Dataset:
    """Every layer of one network against every layer of another (or of itself): [layer, layer_b].

    No q values: layers of one network are not independent tests.

    Args:
        a: Activations of the same examples by name of the layer, channels' means or whole maps, which are flattened and
            slow.
        b: Activations of the same examples in another network, of another seed or kind, as ``a``; None: ``a`` itself.
        draws: Number of draws of the null (examples shuffled).
        seed: Seed of the null's draws.

    Returns:
        ``cka`` (debiased), ``procrustes`` (0 for the same shape), ``svcca`` (components for 99% of the variance), each
        with ``_null_low``, ``_null_high`` and ``_p`` (one-sided).

    Raises:
        DataError: No layers, fewer than 4 examples, or not the same examples.

    >>> layers = {"hidden": acts.isel(snapshot=-1, example=slice(40))}
    >>> nm.analysis.similarity.matrix(layers, draws=2)["cka"].dims
    ('layer', 'layer_b')
    """
    others = a if b is None else b
    if not a or not others:
        raise DataError("there are no layers; give activations by name, as {'layers.0.hook_post': acts}")
    entries = [[_entry(one, other, draws, seed) for other in others.values()] for one in a.values()]
    variables: pairs.Variables = {}
    for name in entries[0][0][0]:
        value, null = (np.array([[entry[i][name] for entry in row] for row in entries]) for i in range(2))
        side: Side = "below" if name == "procrustes" else "above"
        null = np.moveaxis(null, -1, 0)
        variables |= beside(name, value, null, ("layer", "layer_b"), side=side, rounding=pairs.ROUNDING, family=False)
    attrs = {"n_examples": next(iter(a.values())).sizes["example"]}
    return xr.Dataset(variables, coords={"layer": list(a), "layer_b": list(others)}, attrs=attrs)


def _entry(a: xr.DataArray, b: xr.DataArray, draws: int, seed: int) -> tuple[pairs.Values, pairs.Values]:
    """(the three measures of one pair of layers, their nulls [draw])."""
    x, y = (pairs.compact(side) for side in pairs.side_by_side(a, b))
    value: pairs.Values = {}
    null: pairs.Values = {}
    for relate in (cka_relation, procrustes_relation, svcca_relation):
        one, drawn = pairs.drawn(relate(x, y), len(x), draws, np.random.default_rng(seed))
        value, null = value | one, null | drawn
    return value, null


# On a page.


@of(matrix).on("network")
def _similarity(at: Any) -> xr.Dataset | None:
    ends = {layer.short: layer.trained for layer in at.layers}
    return matrix(ends, ends) if ends else None


@of(matrix).on("pair", "pair")
def _pair(at: Any) -> xr.Dataset:
    """Every layer of one network against every layer of another."""
    return _layers_compared(at, -1)


@of(matrix).on("pair", "untrained pair")
def _untrained_pair(at: Any) -> xr.Dataset:
    return _layers_compared(at, 0)


def _layers_compared(at: Any, snapshot: int) -> xr.Dataset:
    sides = [{layer.short: layer.acts.isel(snapshot=snapshot) for layer in one.layers} for one in (at.first, at.second)]
    return matrix(*sides)


@of(matrix).describe("network")
def _alike(at: Any) -> Iterator[Claim]:
    table = at["similarity.matrix"]
    if table is None or table.sizes["layer"] < 2:
        return
    above = np.triu(np.ones(table["cka"].shape), 1) > 0
    if table["cka"].where(above).notnull().any():
        yield say(
            "the most similar layers",
            f"{'its most similar' if table.sizes['layer'] > 2 else 'the two'} layers are {{a}} and {{b}} (CKA {{cka:2}}; "
            "images shuffled: up to {null:3}).",
            **_most_alike(table, above),
        )


def _most_alike(table: xr.Dataset, among: np.ndarray | bool = True) -> dict[str, Any]:
    """The pair of layers with the highest CKA ``among`` them, and its null."""
    cka = np.where(among, table["cka"], np.nan)
    row, column = np.unravel_index(np.nanargmax(cka), cka.shape)
    best = table[{"layer": row, "layer_b": column}]
    numbers = {"cka": float(best["cka"]), "null": float(best["cka_null_high"])}
    return numbers | {"a": str(best["layer"].values), "b": str(best["layer_b"].values)}


of(matrix).picture(
    "similarity_matrix",
    "Debiased CKA, Procrustes distance (0: the same shape) and SVCCA.",
    part="layers",
    takes=lambda at: {
        "table": table if (table := at["similarity.matrix"]) is not None and table.sizes["layer"] > 1 else None
    },
)


@of(matrix).describe("pair")
def _nearest(at: Any) -> Iterator[Claim]:
    end, start = at["similarity.matrix/pair"], at["similarity.matrix/untrained pair"]
    if np.isfinite(end["cka"]).any():
        yield say(
            "the most similar layers",
            f"by CKA, the most similar layers are {{a}} of the {at.first.name} and {{b}} of the {at.second.name} (CKA {{cka:2}}; images "
            "shuffled: "
            "up to {null:3}); at initialization no two layers have more than {start:2}.",
            **_most_alike(end),
            start=float(start["cka"].max()),
        )


def _sides(at: Any, variant: str) -> dict[str, Any]:
    return {"table": at[f"similarity.matrix/{variant}"], "rows": at.first.name, "columns": at.second.name}


of(matrix).picture("similarity_matrix", "Trained.", scope="pair", takes=lambda at: _sides(at, "pair"))
of(matrix).picture(
    "similarity_matrix", "Untrained.", scope="pair", more=True, takes=lambda at: _sides(at, "untrained pair")
)


# Phantoms.


@of(compare).calibrated_on(
    "one of 60 examples moved by 6 sd: its number",
    lambda a, b: abs(b - a).sum("unit").argmax("example"),
    0,
    empty="unrelated layers; CKA and Procrustes with p < 0.05",
    read=lambda found: found["displacement"].argmax("example"),
    alarm=lambda found: found["cka_shown"] & found["procrustes_shown"],
    name="most displaced image",
    unit="example",
    draws=DRAWS,
)
def _one_moved(seed: int, planted: bool) -> tuple[xr.DataArray, xr.DataArray]:
    """CKA is never used alone: Procrustes must agree."""
    x = normal(seed, 60, 6)
    y = x.copy()
    y[seed % 60] += 6
    return (as_acts(x), as_acts(y)) if planted else unrelated(seed, 40, (4, 4))


@of(matrix).calibrated_on(
    "whitened layer of 8 units against 3 of them",
    SOME,
    0.005,
    empty="a layer and two unrelated ones; any CKA with p < 0.05 / 2",
    read="cka",
    alarm=lambda found: (found["cka_p"] < ALPHA / found["cka_p"].size).any(),
    name="similarity of layers",
    draws=59,
)
def _layers(seed: int, planted: bool) -> tuple[dict[str, xr.DataArray], dict[str, xr.DataArray]]:
    if planted:
        a, b = some_units(seed, 2000)
        return {"8": a}, {"3": b}
    (a, b), (_, c) = unrelated(seed, 40), unrelated(seed + 10**6, 40)
    return {"0": a}, {"1": b, "2": c}
