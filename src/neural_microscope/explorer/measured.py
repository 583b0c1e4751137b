"""Measures and claims about a network and its units for the page. Nothing is decided here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from torch import nn

from ..analysis.findings import findings
from ..analysis.look import FirstLook, LayerLook
from ..axes import unit_axis
from ..claim import Claim
from ..errors import MicroscopeError
from ..measure import Measure, on_pages
from ..run import Run
from ..wording import probability

COLUMNS = {"value": "", "low": "_low", "high": "_high", "nullLow": "_null_low", "nullHigh": "_null_high"}
"""The columns of a card for a variable: itself, its interval and its null; its p in words."""


def layers_of(run: Run, model: nn.Module, names: Sequence[str], look: FirstLook | None) -> dict[str, LayerLook]:
    """The hook points whose units or channels were recorded; results that a look already holds are reused."""
    found = {} if look is None else {layer.hook_point: layer for layer in look.layers if layer.hook_point in names}
    for name in names:
        dims = run.activations(name).dims if name in run.hook_points else ()
        if name not in found and dims[1:] in (("example", "unit"), ("example", "channel")):
            found[name] = LayerLook(run, {}, name, unit_axis(dims))
            found[name].model = model
    return {name: found[name] for name in names if name in found}


def measures(layer: LayerLook) -> list[dict[str, Any]]:
    """Every variable [unit] that a measure of the register has for the card (`Measure.unit`, `Measure.also`), in the order of a page.

    Of a module's layer, what can't be measured is left out.
    """
    found = []
    for measure in on_pages():
        name, asked = measure.name, measure.asked.get("")
        if not measure.unit or asked is None or asked.scope != "layer":
            continue
        try:
            table = layer[name]
        except MicroscopeError:
            if layer.run.description["model"]["kind"] != "module":
                raise
            continue
        for variable in () if table is None else (measure.unit, *measure.also):
            words = {"id": f"{name}/{variable}", "title": measure.title, "n": table.attrs.get("n_examples")}
            found.append(words | _variable(table, variable, measure))
    return found


def preferred(layer: LayerLook) -> list[int | None]:
    """The preferred class of each unit; None for a gated one, and no list of a module's layer without classes to prefer."""
    try:
        table = layer["selectivity.class_selectivity"]
    except MicroscopeError:
        if layer.run.description["model"]["kind"] != "module":
            raise
        return []
    return [int(label) if label >= 0 else None for label in table["preferred"].values] if table is not None else []


def _variable(table: xr.Dataset, name: str, measure: Measure) -> dict[str, Any]:
    about, p = table[name].attrs, table.get(f"{name}_p", xr.DataArray())
    least = p.attrs.get("floor", 0.0), p.attrs.get("draws", 0)
    return {
        "label": about.get("long_name", name.replace("_", " ")),
        "units": about.get("units", measure.units),
        "null": table.attrs["null"],
        **({"odds": [probability(float(one), *least) for one in p.values]} if p.ndim else {}),
        **{key: plain(table[f"{name}{end}"].values) for key, end in COLUMNS.items() if f"{name}{end}" in table},
    }


def claims(looks: Sequence[FirstLook], name: str) -> list[Claim]:
    """All claims of `findings` about a network, the first of several that differ in seed alone, by its name on the page."""
    return findings([replace(look, name=name) for look in looks])


def plain(values: np.ndarray) -> list[Any]:
    """Values for JSON, which has no NaN: undefined is null. Six significant digits."""
    if np.issubdtype(values.dtype, np.integer):
        return values.tolist()
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in values.tolist()]
