"""Principal components of activations, on a basis fixed over time or aligned between snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
import xarray as xr
from scipy import linalg

from ... import named
from ...axes import unit_axis
from ...claim import Claim, say
from ...errors import DataError, unknown
from ...measure import measure, of
from ...statistics import beside
from .clouds import DRAWS, empty, rank_three
from .spaces import eigenvalues, features, shares, shuffled, space

Basis = Literal["fixed", "pooled", "aligned"]
NEARLY_EQUAL = 1.1
"""Below this ratio of one eigenvalue to the next, their directions may rotate into each other."""


@measure(
    "geometry",
    title="Principal components",
    null="each unit's values shuffled over the images, {draws} draws (parallel analysis, Horn 1965)",
    replicates="image",
    interval="none",
    source="principal components: eigenvectors of the covariance, float64",
    place=110,
)
def pca(
    acts: xr.DataArray,
    *,
    components: int = 2,
    fit_at: int = -1,
    basis: Basis = "fixed",
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Principal components of a layer's activations over time. Exact, in float64, from the covariance.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps; without snapshots, that one set).
        components: Number of components; at most the units and the examples.
        fit_at: Step of the recorded snapshot that gives the basis ``fixed``; -1: the last.
        basis: ``fixed``, one basis from the snapshot at ``fit_at``, all snapshots projected on it; ``pooled``, one
            basis from all snapshots together; ``aligned``, a basis for each snapshot, rotated onto the one before by
            orthogonal Procrustes on the scores of the same images, so what remains is change of the activations, not of
            the basis.
        draws: Number of draws of the null (each unit's values shuffled over the examples).
        seed: Seed of the null's draws.

    Returns:
        * ``score`` [snapshot, example, component].
        * ``direction`` [component, unit]: unit length, the largest loading positive.
        * ``explained`` [component]: share of the fitted variance (0..1). With it ``explained_null_low``,
          ``explained_null_high``, ``explained_p`` and ``explained_by_chance`` (95th percentile): the same share under
          the null (parallel analysis, Horn 1965), which keeps every unit's own spread and destroys what units have in
          common (so where a few units vary far more than the others, a real but small later component can lie below
          chance).
        * ``above_chance``: the number of leading components with p < 0.05.
        * ``eigen_gap`` [component]: eigenvalue over the next one; below 1.1 the two directions may rotate freely
          (there is a warning then); NaN where there is no next, infinite where that is 0.

        With ``aligned``, all variables except the score have an axis snapshot too; eigenvalue k belongs to the k-th
        principal component of its snapshot, before the rotation, which keeps their sum. Constant activations give NaN
        shares.

    Raises:
        UnknownName: A basis that does not exist, or a step that was not recorded.
        DataError: More components than units or examples, or values that are not finite.

    >>> nm.analysis.geometry.pca(acts, components=2, draws=4)["score"].dims
    ('snapshot', 'example', 'component')
    """
    x = space(acts)
    if basis not in get_args(Basis):
        raise unknown("basis", basis, get_args(Basis))
    fitted_on = int(named.snapshots(acts, fit_at)[0])
    fitted = {"fixed": x[[fitted_on]], "pooled": x.reshape(1, -1, x.shape[2]), "aligned": x}[basis]
    most = min(fitted.shape[1:])
    if not 1 <= components <= most:
        raise DataError(
            f"{components} components of {x.shape[2]} {features(acts)[0]}s and {fitted.shape[1]} examples; it must be 1 to {most}"
        )
    centre = fitted.mean(1, keepdims=True)
    spectra, directions = zip(*(_components(one) for one in fitted - centre), strict=True)
    drawn = [[shares(eigenvalues(fake))[:components] for fake in shuffled(one, draws, seed)] for one in fitted - centre]
    null = np.array(drawn).reshape(len(fitted), draws, components).swapaxes(0, 1)  # [draw, fit, component]
    vectors = np.stack([v[:components] for v in directions])
    scores = (x - centre) @ np.swapaxes(vectors, 1, 2)
    if basis == "aligned":
        scores, vectors = _aligned(scores, vectors)
    over_time = basis == "aligned"
    table = _spectrum(np.stack(spectra), null, components, over_time)
    maps = vectors.reshape(*vectors.shape[:2], *(acts.sizes[dim] for dim in features(acts)))
    return xr.Dataset(
        {
            "score": (("snapshot", "example", "component"), scores, {"units": "activation"}),
            "direction": (
                ("snapshot", "component", *features(acts))[not over_time :],
                maps if over_time else maps[0],
                {"units": "1"},
            ),
            **table,
        },
        coords=named.kept(acts, "step", "epoch", "label"),
        attrs={"fit_at": fit_at, "basis": basis, **_warning(table["eigen_gap"][1])},
    )


@measure(
    "geometry",
    title="Variance between classes",
    null="(classes − 1) / (images − 1), in words",
    replicates="image",
    interval="none",
    source="Fisher 1925",
)
def between_classes(result: xr.Dataset) -> np.ndarray:
    """The share of the scores' variance that lies between the class means, at each snapshot of a `pca` result, 0..1.

    Args:
        result: Result of `pca`, whose scores have labels.

    Returns:
        [snapshot]. 1 where the images of a class coincide, about (classes - 1) / (examples - 1) for uninformative
        labels; NaN where all scores are equal.

    Raises:
        DataError: The scores have no labels.

    >>> nm.analysis.geometry.between_classes(nm.analysis.geometry.pca(acts)).shape == (acts.sizes["snapshot"],)
    True
    """
    labels = named.labels(result)
    scores = result["score"].transpose("snapshot", "example", "component").values
    scores = scores - scores.mean(1, keepdims=True)
    one_hot = np.eye(int(labels.max()) + 1)[labels]
    means = one_hot.T @ scores / np.maximum(one_hot.sum(0), 1)[:, None]
    total = (scores**2).sum((1, 2))
    between = (one_hot.sum(0)[:, None] * means**2).sum((1, 2))
    return np.divide(between, total, out=np.full(len(total), np.nan), where=total > 0)


def _components(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(eigenvalues, directions [component, feature]), largest first, each direction's largest loading positive."""
    if centred.shape[0] > centred.shape[1]:
        values, vectors = np.linalg.eigh(centred.T @ centred)
        values, vectors = values[::-1].clip(min=0), vectors.T[::-1]
    else:  # more features than examples: the covariance would be large, with mostly zero eigenvalues
        _, roots, vectors = np.linalg.svd(centred, full_matrices=False)
        values = roots**2
    return values, vectors * np.sign(_largest(vectors))


def _largest(vectors: np.ndarray) -> np.ndarray:
    """The entry of largest magnitude of each row, [row, 1]."""
    return np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1)


def _aligned(scores: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each snapshot's scores and directions rotated onto those of the one before."""
    scores, vectors = scores.copy(), vectors.copy()
    for now in range(1, len(scores)):
        turn, _ = linalg.orthogonal_procrustes(scores[now], scores[now - 1])
        scores[now] = scores[now] @ turn
        vectors[now] = turn.T @ vectors[now]
    return scores, vectors


def _spectrum(spectra: np.ndarray, null: np.ndarray, components: int, over_time: bool) -> dict[str, tuple[Any, ...]]:
    """The variables about eigenvalues, each [snapshot, component], or [component] if there is one basis."""
    if not over_time:
        spectra, null = spectra[0], null[:, 0]
    dims = ("snapshot", "component")[not over_time :]
    explained = shares(spectra)[..., :components]
    found = beside("explained", explained, null, dims, family=False)
    by_chance = np.percentile(null, 95, axis=0) if len(null) else np.full(explained.shape, np.nan)
    return {
        **found,
        "explained_by_chance": (dims, by_chance, {"units": "1"}),
        "eigen_gap": (dims, gaps(spectra)[..., :components], {"units": "1"}),
        "above_chance": (dims[:-1], np.cumprod(found["explained_shown"][1], axis=-1).sum(-1), {"units": "1"}),
    }


def gaps(spectra: np.ndarray) -> np.ndarray:
    """Each eigenvalue over the next, along the last axis: NaN if there is no next or both are 0 to float64's
    precision, infinite if only the next is.
    """
    floor = spectra[..., :1] * spectra.shape[-1] * np.finfo(float).eps
    kept = np.where(spectra > floor, spectra, 0)
    following = np.concatenate([kept[..., 1:], np.full_like(kept[..., :1], np.nan)], -1)
    start = np.where((following == 0) & (kept > 0), np.inf, np.nan)
    return np.divide(kept, following, out=start, where=following > 0)


def _warning(gap: np.ndarray) -> dict[str, str]:
    close = gap < NEARLY_EQUAL
    if not close.any():
        return {}
    which = np.flatnonzero(close.any(0) if close.ndim == 2 else close) + 1
    where = f" (at {int(close.any(1).sum())} of {len(close)} snapshots)" if close.ndim == 2 else ""
    pairs = ", ".join(f"{k} and {k + 1}" for k in which[:5]) + (" and others" if len(which) > 5 else "")
    return {
        "warning": f"components {pairs} explain nearly the same{where}: their directions may rotate freely into each other"
    }


# On a page.


@of(pca).on("layer")
def _pca(at: Any) -> xr.Dataset:
    return _map_of(at.acts)


@of(pca).on("layer", "untrained")
def _pca_untrained(at: Any) -> xr.Dataset:
    return _map_of(at.acts.isel(snapshot=[0]))


def _map_of(acts: xr.DataArray) -> xr.Dataset:
    """Two components, and ``between``: the share of the map's variance that lies between the classes, [snapshot]."""
    found = pca(acts, components=min(2, acts.sizes[unit_axis(acts.dims)]))
    return found.assign(between=between_classes(found))


@of(pca).describe("layer")
def _components_said(at: Any) -> Iterator[Claim]:
    end, start = at["geometry.pca"], at["geometry.pca/untrained"]
    if np.isfinite(float(end["between"][-1])):
        yield say(
            "principal components",
            "its first two principal components hold {explained:0%} of the variance (units shuffled: {chance:0%}); {between:0%} of the "
            "variance on them lies between the classes (untrained, on its own components: {between_start:0%}).",
            explained=float(end["explained"].sum()),
            chance=float(end["explained_by_chance"].sum()),
            between=float(end["between"][-1]),
            between_start=float(start["between"][0]),
        )
    else:
        yield say(
            "principal components",
            "every image has the same activations at the last snapshot, so there are no principal components.",
        )


def _maps(at: Any) -> dict[str, Any]:
    steps = at.run.steps
    middle = [int(np.searchsorted(steps, 64))] if steps[-1] > 64 else []
    return {
        "results": {one.hook_point: one["geometry.pca"] for one in at.layers} or None,
        "untrained": {one.hook_point: one["geometry.pca/untrained"] for one in at.layers},
        "snapshots": sorted({0, *middle, len(steps) - 1}),
    }


of(pca).picture(
    "pca_over_time",
    "Each image as its digit on the two directions in which a layer's activations vary most. The first column gives the untrained network "
    "its own components: images of one class look alike, so some separation is present before training. All other columns are drawn on the "
    "components of the last snapshot.",
    scope="network",
    takes=_maps,
)


# Phantoms.


@of(pca).calibrated_on(
    "variances 25, 9, 4 in 64 units with noise",
    25.01 / (38 + 64 * 0.01),
    0.005,
    empty="independent units; an alarm: the first component is above chance, p < 0.05",
    name="principal components (explained variance)",
    read="explained",
    components=1,
    draws=DRAWS,
)
def _explained(seed: int, planted: bool) -> xr.DataArray:
    return rank_three(seed) if planted else empty(seed)


@of(pca).calibrated_on(
    "rank 3 in 64 units with noise",
    3,
    0,
    empty="independent units of many examples; an alarm: any component is above chance, p < 0.05",
    name="parallel analysis (components above chance)",
    unit="components",
    read="above_chance",
    alarm="above_chance",
    components=6,
    draws=DRAWS,
)
def _rank(seed: int, planted: bool) -> xr.DataArray:
    return rank_three(seed, 500) if planted else empty(seed, 120)
