"""The shape of a representation: principal components of activations, on one basis over time."""

from __future__ import annotations

import numpy as np
import xarray as xr

from ..axes import unit_axis
from ..errors import DataError


def pca(
    acts: xr.DataArray, components: int = 2, fit_at: int = -1, *, null_draws: int = 20, seed: int = 0
) -> xr.Dataset:
    """Principal components of a layer's activations, fitted at one snapshot, all snapshots projected on them.

    ``acts`` [snapshot, example, unit] (or channel; without snapshots, that one set). Exact, in float64, from the
    covariance.

    ``score`` [snapshot, example, component]; ``direction`` [component, unit], unit length, the largest loading
    positive; ``explained`` [component] share of the fitted snapshot's variance (0..1); ``explained_by_chance``
    [component]: the 95th percentile of the same share when each unit's values are shuffled over the examples
    (parallel analysis, Horn 1965), which keeps every unit's own spread and destroys what units have in common (so
    where a few units vary far more than the others, a real but small later component can lie below chance). Constant
    activations give NaN shares. More components than units is an error.
    """
    axis = unit_axis(acts.dims)
    acts = acts if "snapshot" in acts.dims else acts.expand_dims("snapshot")
    x = acts.transpose("snapshot", "example", axis).values.astype(np.float64)
    if not 1 <= components <= x.shape[2]:
        raise DataError(f"{components} components of {x.shape[2]} {axis}s; give 1 to {x.shape[2]}")
    if not np.isfinite(x[fit_at]).all():
        raise DataError("the activations to fit on are not all finite: the network has diverged there")
    centre = x[fit_at].mean(0)
    shares, vectors = _components(x[fit_at] - centre)
    rng = np.random.default_rng(seed)
    null = [_components(rng.permuted(x[fit_at] - centre, axis=0))[0] for _ in range(null_draws)]
    directions = vectors[:components] * np.sign(_largest(vectors[:components]))
    coords = {name: acts[name] for name in ("step", "epoch", "label") if name in acts.coords}
    return xr.Dataset(
        {
            "score": (("snapshot", "example", "component"), (x - centre) @ directions.T),
            "direction": (("component", axis), directions),
            "explained": ("component", shares[:components]),
            "explained_by_chance": ("component", np.percentile(null, 95, axis=0)[:components]),
        },
        coords=coords,
        attrs={"n_examples": x.shape[1], "hook_point": acts.name or "", "fit_at": fit_at, "seed": seed},
    )


def between_classes(result: xr.Dataset) -> np.ndarray:
    """The share of the scores' variance that lies between the class means, at each snapshot of a `pca` result, 0..1.

    1 where the images of a class coincide, about (classes - 1) / (examples - 1) where labels say nothing; NaN
    where all scores are equal. The scores need the coordinate ``label``.
    """
    labels = result["label"].values
    scores = result["score"].transpose("snapshot", "example", "component").values
    scores = scores - scores.mean(1, keepdims=True)
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    means = one_hot.T @ scores / np.maximum(one_hot.sum(0), 1)[:, None]
    total = (scores**2).sum((1, 2))
    between = (one_hot.sum(0)[:, None] * means**2).sum((1, 2))
    return np.divide(between, total, out=np.full(len(total), np.nan), where=total > 0)


def _components(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(share of variance [component], directions [component, unit]), largest first."""
    values, vectors = np.linalg.eigh(centred.T @ centred)
    values, vectors = values[::-1].clip(min=0), vectors.T[::-1]
    total = values.sum()
    return (values / total if total > 0 else np.full(len(values), np.nan)), vectors


def _largest(vectors: np.ndarray) -> np.ndarray:
    """Of each row the entry of largest magnitude, [row, 1]."""
    return np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)
