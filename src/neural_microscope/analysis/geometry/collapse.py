"""Neural collapse: within-class variability, the simplex of class means, and its alignment with the output weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside, bootstrap, shuffles
from .clouds import CLASSES, DRAWS, cloud, empty
from .spaces import features, space

MEASURES = ("nc1", "nc1_trace", "sb_condition", "nc2_norms", "nc2_angles", "nc3", "nc4")


@measure(
    "geometry",
    title="Neural collapse",
    null="labels shuffled over the images, {draws} draws",
    replicates="image",
    interval="none; the page's rule takes a bootstrap over images of its change",
    family="none: one test a snapshot",
    source="NC1-NC4 of Papyan, Han & Donoho 2020; tr(Sw)/tr(Sb) in addition to NC1",
    place=140,
)
def neural_collapse(
    acts: xr.DataArray,
    weights: xr.DataArray | None = None,
    bias: xr.DataArray | None = None,
    *,
    logits: xr.DataArray | None = None,
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Neural collapse of the last hidden layer (Papyan, Han & Donoho 2020), [snapshot].

    All measures except sb_condition go to 0. Classes have equal weight, whatever their size; C are those that have
    examples. m_c: class means minus their mean; Sw and Sb: covariance within and between the classes. Class means of
    shuffled labels are random directions, which are nearly a simplex too: nc2 alone is weak evidence.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps) with labels.
        weights: Weights of the output, [snapshot, class, unit]; None: no ``nc3``.
        bias: Bias of the output, [snapshot, class]; zeros if there is none.
        logits: Logits [snapshot, example, class]; None: from ``weights`` and ``bias``, without which no ``nc4``.
        draws: Number of draws of the null (shuffles of the labels).
        seed: Seed of the null's draws.

    Returns:
        * ``nc1`` = tr(Sw pinv(Sb)) / C; ``nc1_trace`` = tr(Sw) / tr(Sb) as well, because ``nc1`` also rises when Sb loses
          rank, which ``sb_condition``, largest over smallest eigenvalue of Sb that is not 0, shows.
        * ``nc2_norms`` = ``sd(|m_c|) / mean(|m_c|)``; ``nc2_angles`` = ``mean |cos(m_c, m_d) + 1 / (C - 1)|`` over
          pairs.
        * ``nc3`` = ``|W / |W| - M / |M||²`` with Frobenius norms, 0..4.
        * ``nc4``: share of the examples (0..1) where the nearest class mean is not the predicted class.
        * Of each ``…_null_low``, ``…_null_high``, and, except of sb_condition, ``…_p`` (one-sided: the share of
          shuffled labels as low).

        NaN with fewer than two classes or where all class means coincide. attrs["missing"] names what is missing.

    Raises:
        DataError: No labels, or weights, bias or logits of other snapshots, classes or units.

    >>> nm.analysis.geometry.neural_collapse(acts.isel(snapshot=[-1]), draws=4)["nc1"].dims
    ('snapshot',)
    """
    x, labels = space(acts), named.labels(acts)
    w, says = _output(acts, x, weights, bias, logits)
    sets = np.stack([labels, *shuffles(labels, draws, seed)])
    found = np.stack([_measure(*one) for one in zip(x, [sets] * len(x), w, says, strict=True)], 1)
    variables: dict[str, Any] = {}
    for i, name in enumerate(MEASURES):
        variables |= beside(name, found[0, :, i], found[1:, :, i], "snapshot", side="below", family=False)
    for end in ("p", "shown"):  # it shows whether nc1 is reliable; it is not a claim
        del variables[f"sb_condition_{end}"]
    missing = ("nc3: no weights; " if w[0] is None else "") + (
        "nc4: no logits, nor weights and bias" if says[0] is None else ""
    )
    return xr.Dataset(
        variables,
        coords=named.kept(acts, "step", "epoch"),
        attrs={"missing": missing.removesuffix("; ")},
    )


def _output(
    acts: xr.DataArray,
    x: np.ndarray,
    weights: xr.DataArray | None,
    bias: xr.DataArray | None,
    logits: xr.DataArray | None,
) -> tuple[list[np.ndarray | None], list[np.ndarray | None]]:
    """(the output's weights [class, feature], the predicted class [example]) at each snapshot; None if not
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
            raise DataError(f"the weights have {given[0, 0].size} units, the activations have {x.shape[2]}")
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
            f"{array.name or 'the output'} has {array.sizes['snapshot']} snapshots, the activations {count}; give both for the same"
        )
    return named.values(array, "snapshot", *order)


def _measure(x: np.ndarray, sets: np.ndarray, w: np.ndarray | None, says: np.ndarray | None) -> np.ndarray:
    """[set of labels, measure], in the order of MEASURES. Every set is a shuffle of the first."""
    present, numbers = np.unique(sets, return_inverse=True)
    of = numbers.reshape(sets.shape)  # [set, example]
    count = len(present)
    size = np.bincount(of[0])
    one_hot = np.eye(count)[of]  # [set, example, class]
    means = np.swapaxes(one_hot, 1, 2) @ x / size[:, None]  # [set, class, feature]
    centred = means - means.mean(1, keepdims=True)
    floor = max(float(np.sqrt((x**2).mean())) * max(x.shape) * np.finfo(float).eps, np.finfo(float).tiny)
    apart = np.linalg.norm(centred, axis=(1, 2)) > floor
    if count < 2 or not apart.any():
        return np.full((len(sets), len(MEASURES)), np.nan)
    found = np.stack(
        [
            *_spread(x, of, means, centred, size),
            *_simplex(centred, floor),
            _duality(None if w is None else w[present], centred),
            _disagreement(x, means, None if says is None else present[:, None] == says),
        ],
        axis=1,
    )
    return np.where(apart[:, None], found, np.nan)


def _spread(
    x: np.ndarray, of: np.ndarray, means: np.ndarray, centred: np.ndarray, size: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tr(Sw pinv(Sb)) / C, tr(Sw) / tr(Sb), condition of Sb) of each set, without a matrix of all features."""
    count = len(size)
    _, roots, axes = np.linalg.svd(centred, full_matrices=False)  # Sb's eigenvalues are roots² / C
    squares = roots[:, : count - 1] ** 2
    real = roots[:, : count - 1] > max(x.shape) * np.finfo(float).eps * roots[:, :1]
    along, squared = np.empty_like(squares), np.empty(len(of))
    for at, classes in enumerate(of):  # one after another: all at once take longer than their sums
        within = x - means[at, classes]  # [example, feature]
        share = 1 / (count * size[classes])  # classes have equal weight
        along[at] = share @ (within @ axes[at, : count - 1].T) ** 2
        squared[at] = share @ np.einsum("ef,ef->e", within, within)
    ratio = np.divide(along, squares, out=np.zeros_like(along), where=real)
    least = np.where(real, squares, np.inf).min(1)
    total = (roots**2).sum(1)
    return (
        ratio.sum(1),
        np.divide(squared * count, total, out=np.full(len(of), np.nan), where=total > 0),
        np.divide(squares[:, 0], least, out=np.full(len(of), np.nan), where=np.isfinite(least)),
    )


def _simplex(centred: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """(spread of the class means' lengths, distance of their cosines from a simplex's) of each set."""
    count = centred.shape[1]
    norms = np.linalg.norm(centred, axis=2)
    products = np.maximum(norms[:, :, None] * norms[:, None], floor**2)
    cosines = (centred @ np.swapaxes(centred, 1, 2) / products)[:, ~np.eye(count, dtype=bool)]
    return norms.std(1) / np.maximum(norms.mean(1), floor), np.abs(cosines + 1 / (count - 1)).mean(1)


def _duality(w: np.ndarray | None, centred: np.ndarray) -> np.ndarray:
    """|W / |W| - M / |M||² of each set; NaN without weights, or if they are all 0."""
    size = np.linalg.norm(centred, axis=(1, 2))
    if w is None or not w.any():
        return np.full(len(centred), np.nan)
    mirrored = centred / np.where(size > 0, size, 1)[:, None, None]
    return ((w / np.linalg.norm(w) - mirrored) ** 2).sum((1, 2))


def _disagreement(x: np.ndarray, means: np.ndarray, said: np.ndarray | None) -> np.ndarray:
    """Share of the examples where the nearest class mean is not the predicted class ``said`` [class, example]."""
    if said is None:
        return np.full(len(means), np.nan)
    nearest = ((means**2).sum(2)[..., None] - 2 * means @ x.T).argmin(1)  # [set, example]
    return 1 - said[nearest, np.arange(len(x))].mean(1)


# On a page.


@of(neural_collapse).on("network")
def _collapse(at: Any) -> xr.Dataset | None:
    """For the last hidden layer, with ``nc1_trace_change_low`` and ``…_high``: bootstrap interval over images of its ratio to
    the first value.
    """
    if not at.layers:
        return None
    acts = at.layers[-1].acts
    found = neural_collapse(acts, _weights(at.run, acts), logits=at.logits)
    ends, labels = space(acts.isel(snapshot=[0, -1])), named.labels(acts)

    def change(examples: np.ndarray) -> float:
        found = [_measure(x[examples], labels[None, examples], None, None) for x in ends]
        start, end = (float(one[0, MEASURES.index("nc1_trace")]) for one in found)
        return end / (start or np.nan)

    low, high = bootstrap(change, acts.sizes["example"], draws=40)
    return found.assign(nc1_trace_change_low=float(low), nc1_trace_change_high=float(high))


def _weights(run: Any, acts: xr.DataArray) -> xr.DataArray | None:
    """Weights [snapshot, class, unit] of the output of an MLP or CNN, if it reads the last hidden layer directly."""
    if "output.weight" not in run.description["parameters"]:
        return None
    axis = unit_axis(acts.dims)
    matrices = np.stack([run.weights(step)["output.weight"].numpy() for step in run.steps])
    return xr.DataArray(matrices, dims=("snapshot", "class", axis)) if matrices.shape[2] == acts.sizes[axis] else None


of(neural_collapse).picture(
    "collapse_over_time",
    "The last hidden layer. At 0: each class's images in one point (NC1), class means of equal lengths and angles (NC2), output weights "
    "along them (NC3), predictions as by the nearest mean (NC4). Networks trained far beyond zero training error come close (Papyan et "
    "al.).",
    part="layers",
)


# Phantoms: classes at the corners of a simplex.

SIMPLEX = np.eye(CLASSES) - 1 / CLASSES


def _reads(name: str, variable: str, truth: float, planted: str = "") -> Any:
    return of(neural_collapse).calibrated_on(
        planted or "classes at the corners of a simplex, a known spread",
        truth,
        1e-9,
        empty="independent units, uninformative labels and output; an alarm: lower than shuffled labels, p < 0.05",
        name=name,
        read=variable,
        draws=DRAWS,
    )


def _nothing(seed: int) -> tuple[xr.DataArray, xr.DataArray, xr.DataArray]:
    """An empty cloud, and an output's weights and bias."""
    acts, rng = empty(seed), np.random.default_rng([seed, 1])
    weights = xr.DataArray(rng.normal(size=(CLASSES, acts.sizes["unit"])), dims=("class", "unit"))
    return acts, weights, xr.DataArray(rng.normal(size=CLASSES), dims="class")


@_reads("neural collapse NC2, angles", "nc2_angles", 0)
@_reads("neural collapse NC2, lengths", "nc2_norms", 0)
@_reads("tr(Sw)/tr(Sb)", "nc1_trace", 2 * 0.25 / (3 / 4))
@_reads("neural collapse NC1", "nc1", 2 * 0.25)
def _corners(seed: int, planted: bool) -> Any:
    """Each image half a unit up or down along one of its class's directions. In closed form: Sb = SIMPLEX / C, Sw = s² d d' with d of
    length √2 in its span, so NC1 = C · 2 s² / C.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % CLASSES
    sign = np.where(np.arange(80) // CLASSES % 2, 0.5, -0.5)
    turn = np.linalg.qr(rng.normal(size=(9, CLASSES)))[0].T
    acts = cloud((SIMPLEX[labels] + sign[:, None] * np.array([1, -1, 0, 0])) @ turn + rng.normal(size=9))
    return acts if planted else _nothing(seed)


COLLAPSED = cloud(np.concatenate([SIMPLEX[np.arange(80) % CLASSES], np.zeros((80, CLASSES))], 1))


@_reads("neural collapse NC3", "nc3", 2, "an output orthogonal to the class means")
def _across(seed: int, planted: bool) -> Any:
    weights = xr.DataArray(np.concatenate([0 * SIMPLEX, SIMPLEX], 1) * (1 + seed), dims=("class", "unit"))
    return (COLLAPSED, weights) if planted else _nothing(seed)


@_reads("neural collapse NC4", "nc4", 0.25, "a network that predicts another class for a quarter of the images")
def _wrong(seed: int, planted: bool) -> Any:
    wrong = np.random.default_rng(seed).permutation(80) < 20
    says = np.eye(CLASSES)[(COLLAPSED["label"].values + wrong) % CLASSES]
    logits = xr.DataArray(says, dims=("example", "class"))
    return {"acts": COLLAPSED, "logits": logits} if planted else _nothing(seed)
