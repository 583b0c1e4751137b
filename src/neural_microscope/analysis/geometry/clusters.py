"""Class separation, in all units of a layer and in selected ones: silhouette and same-class neighbor purity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse, special, stats
from scipy.sparse.linalg import lsqr

from ... import named
from ...errors import DataError
from ...measure import measure, of
from ...statistics import FEWEST_ACTIVE, FEWEST_OF_CLASS, beside, bootstrap_mean, halves, shuffles
from .clouds import CLASSES, DRAWS, cloud, empty
from .spaces import blocks, space, standardized

Order = np.ndarray | Sequence[int] | Callable[[xr.DataArray], np.ndarray]


@measure(
    "geometry",
    title="Clusters (silhouette, same-class neighbor purity)",
    null="labels shuffled over the same distances, {draws} draws",
    replicates="image",
    interval="95% over images of one network: silhouette, bootstrap over the images' own values; purity, jackknife, from 20 images and "
    "10 a class on",
    family="none: one test a snapshot",
    source="silhouette (Rousseeuw 1987); share of the k nearest neighbors of the own class",
    place=130,
)
def clusters(
    acts: xr.DataArray,
    *,
    at: Sequence[int] | None = None,
    k: int = 10,
    standardize: bool = False,
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Silhouette and same-class neighbor purity, [snapshot].

    Memory grows with the images, time with their square.

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or whole maps) with labels.
        at: Steps of recorded snapshots, -1 the last; None: all.
        k: Number of nearest neighbors; below the number of examples.
        standardize: Give each unit mean 0 and spread 1 first, so all units have equal weight.
        draws: Number of draws of the null (labels shuffled over the same distances).
        seed: Seed of the null's draws and of the bootstrap.

    Returns:
        NaN with fewer than two classes or where all images coincide.

        * ``silhouette``: mean over the images of (b - a) / max(a, b), a the mean distance to the others of the own
          class, b to the nearest other class (Rousseeuw 1987); -1..1, 0 for an image alone in its class.
          ``silhouette_low``, ``_high``: bootstrap over the images' own values.
        * ``purity``: share of an image's ``k`` nearest neighbors that have its class, 0..1. ``purity_low``, ``_high``:
          a jackknife over images, t on the logit scale. Not defined (NaN) below 20 images
          or 10 per class, with ``k`` = 1, and where all or no neighbors agree.
        * Of both ``…_null_low``, ``…_null_high``, ``…_p``, one-sided.


    Raises:
        DataError: No labels, or ``k`` below 1 or not below the number of examples.
        UnknownName: A step that was not recorded.

    >>> nm.analysis.geometry.clusters(acts, at=[-1], draws=4)["purity"].dims
    ('snapshot',)
    """
    x, labels = space(acts), named.labels(acts)
    if not 1 <= k < x.shape[1]:
        raise DataError(f"k is {k} with {x.shape[1]} examples; it must be 1 to {x.shape[1] - 1}")
    chosen = named.snapshots(acts, at)
    sets = np.stack([labels, *shuffles(labels, draws, seed)])
    scored = [_scores(standardized(x[t]) if standardize else x[t], sets, k) for t in chosen]
    silhouettes, purities, ends = map(
        np.array, zip(*scored, strict=True)
    )  # [snapshot, set of labels, example]; [snapshot, end]
    intervals = {
        "silhouette": (silhouettes, bootstrap_mean(silhouettes[:, 0], seed=seed)),
        "purity": (purities, (ends[:, 0], ends[:, 1])),
    }
    variables: dict[str, Any] = {}
    for name, (values, interval) in intervals.items():
        means = values.mean(2)
        variables |= beside(name, means[:, 0], means[:, 1:].T, "snapshot", family=False, interval=interval)
    whole = acts if "snapshot" in acts.dims else acts.expand_dims("snapshot")
    return xr.Dataset(
        variables,
        coords=named.kept(whole.isel(snapshot=chosen), "step", "epoch"),
        attrs={
            "k": k,
            "standardized": int(standardize),
            **({"reason": few_images(labels)} if few_images(labels) else {}),
        },
    )


@measure(
    "geometry",
    title="Class separation in few units",
    null="{draws} random sets of as many units",
    replicates="held-out image",
    interval="none",
    family="all orders and sizes",
    source="silhouette (Rousseeuw 1987) of the first units of an order, chosen on one half, judged on the other",
)
def subspaces(
    acts: xr.DataArray,
    orders: Mapping[str, Order],
    *,
    sizes: Sequence[int] = tuple(range(2, 17)),
    standardize: bool = True,
    draws: int = 100,
    seed: int = 0,
) -> xr.Dataset:
    """Class separation by a few units, compared with as many random units: [parameter, rank].

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels; of several snapshots
            the last.
        orders: Ways to choose, by name: each the units with the best first, or a function that ranks them on the
            activations it is given, which are the choosing half. An order of numbers should come from that half too:
            ``choose, judge = statistics.halves(labels, seed)``.
        sizes: Numbers of units, each 1 to the layer's.
        standardize: Give each unit mean 0 and spread 1 first; otherwise one high-variance unit dominates.
        draws: Number of draws of the null (random sets of ``rank`` units).
        seed: Seed of the null's draws and of the halves.

    Returns:
        ``silhouette`` of the first ``rank`` units of the order named ``parameter``, on the other half of the images;
        with ``silhouette_null_low``, ``silhouette_null_high``, ``silhouette_p`` and ``silhouette_q`` after
        false-discovery control over all orders and sizes. NaN where the chosen units are constant, and with one class.

    Raises:
        DataError: No labels; a size below 1 or above the units; an order that is too short, repeats a unit or names one
            that does not exist.

    >>> final = acts.isel(snapshot=-1)
    >>> found = nm.analysis.geometry.subspaces(final, {"first": range(final.sizes["unit"])}, sizes=[2, 3], draws=4)
    >>> found["silhouette"].dims
    ('parameter', 'rank')
    """
    acts = named.last(acts)
    x, labels = named.matrix(acts), named.labels(acts)
    choose, judge = halves(labels, seed)
    wanted = np.unique(np.asarray(sizes, int))
    if not len(wanted) or wanted[0] < 1 or wanted[-1] > x.shape[1]:
        raise DataError(f"sizes are {list(sizes)}; each must be 1 to {x.shape[1]} units")
    ranked = {
        name: _checked(name, order(acts.isel(example=choose)) if callable(order) else order, wanted[-1], x.shape[1])
        for name, order in orders.items()
    }
    held_out = standardized(x[judge]) if standardize else x[judge]
    value = np.stack([_along(held_out, order, wanted, labels[judge]) for order in ranked.values()])
    rng = np.random.default_rng(seed)
    null = np.stack([_along(held_out, rng.permutation(x.shape[1]), wanted, labels[judge]) for _ in range(draws)])
    null = np.broadcast_to(null[:, None], (draws, *value.shape))
    return xr.Dataset(
        beside("silhouette", value, null, ("parameter", "rank")),
        coords={"parameter": list(ranked), "rank": wanted},
        attrs={"n_judged": len(judge), "standardized": int(standardize)},
    )


def _checked(name: str, order: np.ndarray | Sequence[int], longest: int, units: int) -> np.ndarray:
    found = np.asarray(order)
    if found.ndim != 1 or found.dtype.kind not in "iu" or len(found) < longest:
        raise DataError(
            f"the order {name!r} is {found.dtype} {list(found.shape)}; it must name at least {longest} units by number"
        )
    if len(np.intersect1d(found, np.arange(units))) < len(found):
        raise DataError(f"the order {name!r} repeats units or names some outside 0..{units - 1}")
    return found


def _along(x: np.ndarray, order: np.ndarray, sizes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Silhouettes of the first units of an order, [size]: squared distances add up unit by unit."""
    squares = np.zeros((len(x), len(x)))
    found = np.full(len(sizes), np.nan)
    if np.ptp(labels) == 0:
        return found
    for taken, unit in enumerate(order[: sizes[-1]], 1):
        squares += np.subtract.outer(x[:, unit], x[:, unit]) ** 2
        if taken in sizes and squares.any():
            found[sizes == taken] = _silhouettes(np.sqrt(squares), labels[None], slice(None))[0].mean()
    return found


def _scores(x: np.ndarray, sets: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """(silhouette, purity) of each example under each set of labels, [set, example], and the mean purity's interval under the
    first; NaN where there is none.
    """
    if np.ptp(x, axis=0).max() == 0 or np.ptp(sets[0]) == 0:
        return np.full(sets.shape, np.nan), np.full(sets.shape, np.nan), (np.nan, np.nan)
    silhouette, purity = np.empty(sets.shape), np.empty(sets.shape)
    neighbors = np.empty((len(x), k), int)
    for rows, squares in blocks(x):
        near = neighbors[rows] = np.argpartition(squares, k - 1, axis=1)[:, :k]
        purity[:, rows] = (sets[:, near] == sets[:, rows, None]).mean(2)
        np.sqrt(squares, out=squares)
        squares[np.isinf(squares)] = 0
        silhouette[:, rows] = _silhouettes(squares, sets, rows)
    return silhouette, purity, purity_interval(neighbors, sets[0])


def few_images(labels: np.ndarray) -> str:
    """The reason that a purity has no interval, or an empty string."""
    counts = np.bincount(labels)
    least = int(counts[counts > 0].min())
    if len(labels) >= FEWEST_ACTIVE and least >= FEWEST_OF_CLASS:
        return ""
    return (
        f"no interval of purity: {len(labels)} images, the smallest class with {least}; "
        f"{FEWEST_ACTIVE} and {FEWEST_OF_CLASS} a class are needed"
    )


def purity_interval(neighbors: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """95% interval of mean purity over images, from each image's ``neighbors`` [example, k]; t on the logit scale.

    Variance: a jackknife over images minus the part that it counts twice. Without an image its own score goes, and each image that has it
    among its k has the mean of its other neighbors in its place. If a pair's agreement depends on neither image alone, the
    jackknife counts its variance twice (Efron & Stein 1981), so the variance of the pairs that remains after an effect of
    each image (least squares) is subtracted once, but not more than half. NaN with too few images (`few_images`), k = 1, or
    where all or no neighbors agree.
    """
    (n, k), same = neighbors.shape, labels[neighbors] == labels[:, None]
    mean = same.mean()
    if few_images(labels) or k < 2 or mean in (0, 1):
        return np.nan, np.nan
    own = same.sum(1)
    instead = (own[:, None] - same) / (k - 1) - same
    without = (same.sum() - own + np.bincount(neighbors.ravel(), instead.ravel(), n)) / ((n - 1) * k)
    jackknife = (n - 1) * without.var()
    first, second = np.repeat(np.arange(n), k), neighbors.ravel()
    pair, times = np.unique(np.minimum(first, second) * n + np.maximum(first, second), return_counts=True)
    ends = np.stack(np.divmod(pair, n))
    rows = np.tile(np.arange(len(pair)), 2)
    design = sparse.csr_matrix((np.ones(len(rows)), (rows, ends.ravel())), shape=(len(pair), n))
    agreed = (labels[ends[0]] == labels[ends[1]]) - mean
    left = agreed - design @ lsqr(design, agreed, iter_lim=50)[0]
    of_pairs = (times**2 * left**2).sum() * len(pair) / max(len(pair) - n, 1) / (n * k) ** 2
    variance = max(jackknife - of_pairs, jackknife / 2)
    reach = stats.t.ppf(0.975, n - 1) * np.sqrt(variance) / (mean * (1 - mean))
    return float(special.expit(special.logit(mean) - reach)), float(special.expit(special.logit(mean) + reach))


def _silhouettes(distances: np.ndarray, sets: np.ndarray, rows: slice) -> np.ndarray:
    """Silhouettes of some rows, under each set of labels, [set, row], from their distances to all examples, [row, example]."""
    classes = int(sets.max()) + 1
    size = np.bincount(sets[0], minlength=classes)  # a shuffle keeps the sizes
    one_hot = np.eye(classes)[sets]  # [set, example, class]
    sums = distances @ one_hot.transpose(1, 0, 2).reshape(len(sets[0]), -1)
    sums = sums.reshape(len(distances), len(sets), classes).transpose(1, 0, 2)
    own = sets[:, rows, None]
    a = np.take_along_axis(sums, own, 2)[..., 0] / np.maximum(size[own[..., 0]] - 1, 1)
    other = np.where(size > 0, sums / np.maximum(size, 1), np.inf)
    np.put_along_axis(other, own, np.inf, 2)
    b = other.min(2)
    top = np.maximum(a, b)
    score = np.divide(b - a, top, out=np.zeros_like(a), where=top > 0)
    return np.where(size[own[..., 0]] > 1, score, 0)


# On a page.


@of(clusters).on("layer")
def _clusters(at: Any) -> xr.Dataset:
    return clusters(at.acts, at=(0, -1))


of(clusters).picture("clusters_over_time", scope="network", more=True)


# Phantoms.

PAIRS = 20


def _reads(name: str, variable: str, truth: float, tolerance: float) -> Any:
    return of(clusters).calibrated_on(
        "pairs on a line at known distances",
        truth,
        tolerance,
        empty="independent units, uninformative labels; an alarm: p < 0.05",
        name=name,
        read=variable,
        k=5,
        draws=DRAWS,
    )


@_reads("neighbor purity", "purity", 1, 0)
@_reads("silhouette of the classes", "silhouette", 1 - ((PAIRS - 1) / 9.5 + 1 / 10.5) / PAIRS, 1e-9)
def _pairs(seed: int, planted: bool) -> dict[str, Any]:
    """Classes of two images at distance 1, on a line, one class every 10: an image is at distance 1 from its own class and 9.5 from the
    next on average, the two at the ends of the line at 10.5.
    """
    left = 10.0 * np.arange(PAIRS)
    x = np.concatenate([left, left + 1]) * np.random.default_rng(seed).choice([-1.0, 1.0])
    pairs = cloud(x[:, None], np.tile(np.arange(PAIRS), 2))
    return {"acts": pairs, "k": 1} if planted else {"acts": empty(seed, 40)}


@of(subspaces).calibrated_on(
    "4 of 40 units that separate the classes, and an order that misses them",
    1,
    0,
    empty="independent units, an uninformative order; an alarm: q < 0.05",
    name="subspaces of chosen units",
    unit="orders",
    read=lambda found: found["silhouette_shown"].sum(),
    alarm="silhouette_shown",
)
def _some_units(seed: int, planted: bool) -> dict[str, Any]:
    """40 units of noise; in the first four each class raises one."""
    if not planted:
        return {"acts": empty(seed), "orders": {"first": np.arange(2)}, "sizes": (2,), "draws": DRAWS}
    x = np.random.default_rng(seed).normal(size=(120, 40))
    x[:, :CLASSES] += 8 * np.eye(CLASSES)[np.arange(120) % CLASSES]
    orders = {"planted": np.arange(40), "noise": np.arange(39, -1, -1)}
    return {"acts": cloud(x), "orders": orders, "sizes": (4,), "draws": 99}
