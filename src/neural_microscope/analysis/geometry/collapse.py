"""Neural collapse: whether the images of a class become one point, and the points a simplex that the output mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...errors import DataError
from ...statistics import shuffles
from .spaces import beside_null, features, space

MEASURES = ("nc1", "nc1_trace", "sb_condition", "nc2_norms", "nc2_angles", "nc3", "nc4")


def neural_collapse(
    acts: xr.DataArray,
    weights: xr.DataArray | None = None,
    bias: xr.DataArray | None = None,
    *,
    logits: xr.DataArray | None = None,
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """How far the last hidden layer has collapsed, [snapshot] (Papyan, Han & Donoho 2020). All but sb_condition go to 0.

    ``acts`` [snapshot, example, unit] (or channel, or whole maps) with the coordinate ``label``; ``weights``
    [snapshot, class, unit] and ``bias`` [snapshot, class] of the output, or ``logits`` [snapshot, example, class].
    Classes count alike, whatever their size; C are those that have examples. m_c: class means minus their mean; Sw
    and Sb: covariance within and between the classes.

    ``nc1`` = tr(Sw pinv(Sb)) / C; ``nc1_trace`` = tr(Sw) / tr(Sb) beside it, for nc1 also rises where Sb loses rank,
    which ``sb_condition``, largest over smallest eigenvalue of Sb that is not 0, shows; ``nc2_norms`` = sd(|m_c|) /
    mean(|m_c|); ``nc2_angles`` = mean |cos(m_c, m_d) + 1 / (C - 1)| over pairs; ``nc3`` = |W / |W| - M / |M||² with
    Frobenius norms, 0..4; ``nc4``: share of the examples (0..1) where the nearest class mean is not the class the
    network says.

    The null: the labels shuffled, ``…_null_low``, ``…_null_high``, ``…_p`` (one-sided: how often shuffled labels lie as
    low). Class means of shuffled labels are random directions, which are nearly a simplex too: nc2 alone proves little.
    NaN with fewer than two classes or where all class means coincide; nc3 without weights; nc4 without logits, or
    weights and bias (a bias of zeros where there is none). attrs["missing"] says so.
    """
    x, labels = space(acts), named.labels(acts)
    w, says = _output(acts, x, weights, bias, logits)
    sets = [labels, *shuffles(labels, draws, seed)]
    found = np.array([[_measure(x[t], fake, w[t], says[t]) for t in range(len(x))] for fake in sets])
    variables: dict[str, Any] = {}
    for i, name in enumerate(MEASURES):
        variables |= beside_null(name, found[0, :, i], found[1:, :, i], "snapshot", structure="below")
    del variables["sb_condition_p"]  # it tells whether nc1 can be read; it is no claim
    missing = ("nc3: no weights; " if w[0] is None else "") + (
        "nc4: no logits, nor weights and bias" if says[0] is None else ""
    )
    return xr.Dataset(
        variables,
        coords=named.kept(acts, "step", "epoch"),
        attrs={
            "n_examples": x.shape[1],
            "hook_point": acts.name or "",
            "seed": seed,
            "null": f"labels shuffled over the examples, {draws} draws",
            "source": "NC1-NC4 of Papyan, Han & Donoho 2020; tr(Sw)/tr(Sb) beside NC1",
            "missing": missing.removesuffix("; "),
        },
    )


def _output(
    acts: xr.DataArray,
    x: np.ndarray,
    weights: xr.DataArray | None,
    bias: xr.DataArray | None,
    logits: xr.DataArray | None,
) -> tuple[list[np.ndarray | None], list[np.ndarray | None]]:
    """(the output's weights [class, feature], the class the network says [example]) at each snapshot; None where not
    given.
    """
    w: list[np.ndarray | None] = [None] * len(x)
    says: list[np.ndarray | None] = [None] * len(x)
    if weights is not None:
        given = _by_snapshot(weights, len(x), "class", *features(acts))
        most = int(named.labels(acts).max())
        if given.shape[1] <= most:
            raise DataError(f"the weights have {given.shape[1]} classes; the labels go up to {most}")
        w = list(given.reshape(*given.shape[:2], -1))
        if given[0, 0].size != x.shape[2]:
            raise DataError(f"the weights take {given[0, 0].size} units, the activations have {x.shape[2]}")
    if logits is not None:
        named.same_examples(acts, logits)
        says = list(_by_snapshot(logits, len(x), "example", "class").argmax(2))
    elif weights is not None and bias is not None:
        b = _by_snapshot(bias, len(x), "class")
        says = [(one @ np.asarray(v).T + c).argmax(1) for one, v, c in zip(x, w, b, strict=True)]
    return w, says


def _by_snapshot(array: xr.DataArray, count: int, *order: str) -> np.ndarray:
    array = array if "snapshot" in array.dims else array.expand_dims("snapshot")
    if array.sizes["snapshot"] != count:
        raise DataError(
            f"{array.name or 'the output'} has {array.sizes['snapshot']} snapshots, the activations {count}; give both at the same"
        )
    return named.values(array, "snapshot", *order)


def _measure(x: np.ndarray, labels: np.ndarray, w: np.ndarray | None, says: np.ndarray | None) -> list[float]:
    """In the order of MEASURES."""
    present, of = np.unique(labels, return_inverse=True)
    count = len(present)
    one_hot = np.eye(count)[of]
    size = one_hot.sum(0)
    means = one_hot.T @ x / size[:, None]
    centred = means - means.mean(0)
    _, roots, axes = np.linalg.svd(centred, full_matrices=False)
    floor = np.sqrt((x**2).mean()) * max(x.shape) * np.finfo(float).eps
    if count < 2 or roots[0] <= max(floor, np.finfo(float).tiny):
        return [np.nan] * len(MEASURES)
    real = (np.arange(len(roots)) < count - 1) & (roots > max(x.shape) * np.finfo(float).eps * roots[0])
    within = x - means[of]
    share = 1 / (count * size[of])  # classes count alike
    spread = share @ (within @ axes[real].T) ** 2  # variance within, along each axis of Sb
    norms = np.linalg.norm(centred, axis=1)
    cosines = (centred @ centred.T / np.maximum(np.outer(norms, norms), floor**2))[~np.eye(count, dtype=bool)]
    return [
        float((spread / roots[real] ** 2).sum()),  # Sb's eigenvalues are roots² / C
        float((share @ within**2).sum() * count / (roots**2).sum()),
        float((roots[real][0] / roots[real][-1]) ** 2),
        float(norms.std() / norms.mean()),
        float(np.abs(cosines + 1 / (count - 1)).mean()),
        np.nan if w is None else _duality(w[present], centred),
        np.nan if says is None else float((present[_nearest(x, means)] != says).mean()),
    ]


def _duality(w: np.ndarray, centred: np.ndarray) -> float:
    size = np.linalg.norm(w)
    return float(((w / size - centred / np.linalg.norm(centred)) ** 2).sum()) if size > 0 else np.nan


def _nearest(x: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The class whose mean is nearest, [example]."""
    return ((means**2).sum(1) - 2 * x @ means.T).argmin(1)
