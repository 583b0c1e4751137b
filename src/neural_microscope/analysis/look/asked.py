"""How the default analysis asks for each measure, of a network or of a hidden layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ...axes import unit_axis
from ...measure import of
from ...statistics import bootstrap
from .. import geometry, similarity
from .untrained import IMAGES, SEED, untrained_networks


@of(geometry.pca).on("layer")
def _pca(at: Any) -> xr.Dataset:
    return _map_of(at.acts)


@of(geometry.pca).on("layer", "untrained")
def _pca_untrained(at: Any) -> xr.Dataset:
    return _map_of(at.acts.isel(snapshot=[0]))


def _map_of(acts: xr.DataArray) -> xr.Dataset:
    """Two components, and ``between``: the share of the map's spread that lies between the classes, [snapshot]."""
    found = geometry.pca(acts, components=min(2, acts.sizes[unit_axis(acts.dims)]))
    return found.assign(between=geometry.between_classes(found))


@of(geometry.dimension).on("layer")
def _dimension(at: Any) -> xr.Dataset:
    return geometry.dimension(at.acts, two_nn_at=(0, -1))


@of(geometry.clusters).on("layer")
def _clusters(at: Any) -> xr.Dataset:
    return geometry.clusters(at.acts, at=(0, -1))


@of(geometry.neural_collapse).on("network")
def _collapse(at: Any) -> xr.Dataset | None:
    """Of the last hidden layer, with ``nc1_trace_change_low`` and ``…_high``: bootstrap interval over images of its value over
    the first's.
    """
    if not at.layers:
        return None
    acts = at.layers[-1].acts
    found = geometry.neural_collapse(acts, *_output(at.run, acts), logits=at.logits)
    ends = acts.isel(snapshot=[0, -1])

    def change(examples: np.ndarray) -> float:
        start, end = geometry.neural_collapse(ends.isel(example=examples), draws=1)["nc1_trace"].values
        return float(end / (start or np.nan))

    low, high = bootstrap(change, acts.sizes["example"], draws=40)
    return found.assign(nc1_trace_change_low=float(low), nc1_trace_change_high=float(high))


def _output(run: Any, acts: xr.DataArray) -> tuple[xr.DataArray | None, xr.DataArray | None]:
    """Weights [snapshot, class, unit] and bias of our own networks' output, where it reads the last hidden layer directly."""
    weights = [run.weights(step) for step in run.steps] if "output.weight" in run.description["parameters"] else []
    axis = unit_axis(acts.dims)
    if not weights or weights[0]["output.weight"].shape[1] != acts.sizes[axis]:
        return None, None
    matrices = np.stack([w["output.weight"].numpy() for w in weights])
    offsets = np.stack(
        [w["output.bias"].numpy() if "output.bias" in w else np.zeros(matrices.shape[1]) for w in weights]
    )
    return xr.DataArray(matrices, dims=("snapshot", "class", axis)), xr.DataArray(offsets, dims=("snapshot", "class"))


@of(similarity.matrix).on("network")
def _similarity(at: Any) -> xr.Dataset | None:
    ends = {layer.short: layer.trained for layer in at.layers}
    return similarity.matrix(ends, ends) if ends else None


@of(similarity.matrix).on("pair", "pair")
def _pair(at: Any) -> xr.Dataset:
    """Every layer of one network against every layer of another."""
    return _layers_compared(at, -1)


@of(similarity.matrix).on("pair", "untrained pair")
def _untrained_pair(at: Any) -> xr.Dataset:
    return _layers_compared(at, 0)


def _layers_compared(at: Any, snapshot: int) -> xr.Dataset:
    sides = [{layer.short: layer.acts.isel(snapshot=snapshot) for layer in one.layers} for one in (at.first, at.second)]
    return similarity.matrix(*sides)


@of(similarity.drift).on("layer")
def _drift(at: Any) -> xr.Dataset:
    return similarity.drift(at.acts, components=min(5, at.acts.sizes[at.axis]))


@of(similarity.unit_drift).on("layer")
def _unit_drift(at: Any) -> xr.Dataset:
    return similarity.unit_drift(at.acts)


@of(untrained_networks).on("layer")
def _untrained(at: Any) -> xr.Dataset:
    """Networks of its own for each seed: else what is shown on one seed would be shown on others by the same chance."""
    probe, seed = at.run.probe, SEED + (at.run.description["model"].get("seed") or 0)
    return untrained_networks(at.model, probe.balanced(min(IMAGES, probe.most_balanced)), at.hook_point, seed=seed)
