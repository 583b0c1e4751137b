"""Layers with a known relation to each other, and layers that have none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from ..analysis import similarity
from .instrument import DECLARED, Instrument

DRAWS = 39
"""The fewest with which a p value of a one-sided null can lie below 0.05."""


def side(values: np.ndarray, name: str = "phantom") -> xr.DataArray:
    """[example, unit], or [snapshot, example, unit], as a measure takes it."""
    return xr.DataArray(values, dims=("snapshot", "example", "unit")[3 - values.ndim :], name=name)


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def turned(seed: int, size: int) -> np.ndarray:
    """A rotation [unit, unit] drawn uniformly."""
    q, r = np.linalg.qr(normal(seed, size, size))
    return q * np.sign(np.diag(r))


def whitened(seed: int, n: int, size: int) -> np.ndarray:
    """[example, unit], centred, with covariance exactly the identity up to scale."""
    x = normal(seed, n, size)
    return np.linalg.qr(x - x.mean(0))[0]


def unrelated(seed: int, n: int = 60, sizes: tuple[int, int] = (6, 8)) -> tuple[xr.DataArray, xr.DataArray]:
    """Two layers that know nothing of each other."""
    rng = np.random.default_rng(seed)
    return side(rng.standard_normal((n, sizes[0]))), side(rng.standard_normal((n, sizes[1])))


def claims(measure: Callable[..., xr.Dataset], a: xr.DataArray, b: xr.DataArray, name: str, **options: object) -> bool:
    """Whether ``measure`` says that two layers have something in common."""
    return bool((measure(a, b, draws=DRAWS, **options)[f"{name}_p"] < DECLARED).any())


def _cka(debiased: bool) -> Instrument:
    """Whitened X against its first 3 of 8 units: sqrt(3/8), which the debiased form approaches with many examples."""

    def read(seed: int) -> tuple[float, float]:
        x = whitened(seed, 2000 if debiased else 60, 8)
        return (3 / 8) ** 0.5, float(similarity.cka(side(x), side(x[:, :3]), debiased=debiased, draws=1)["cka"])

    return Instrument(
        "linear CKA, debiased" if debiased else "linear CKA, biased",
        "similarity.cka",
        "whitened layer of 8 units against 3 of them: sqrt(3/8)",
        "unrelated layers; p < 0.05",
        read,
        0.005 if debiased else 1e-12,
        lambda seed: claims(similarity.cka, *unrelated(seed), "cka", debiased=debiased, seed=seed),
    )


def _minibatch(seed: int) -> tuple[float, float]:
    """The debiased CKA of all examples, from 40 batches of 50."""
    x = whitened(seed, 2000, 8)
    batches = ((side(x[i : i + 50]), side(x[i : i + 50, :3])) for i in range(0, 2000, 50))
    return (3 / 8) ** 0.5, float(similarity.minibatch_cka(batches)["cka"])


def _minibatch_alarm(seed: int) -> bool:
    """It has no null of its own; in its place, shuffled pairs of the same batches."""
    a, b = (one.values for one in unrelated(seed, 40))
    rng = np.random.default_rng(seed)

    def once(y: np.ndarray) -> float:
        return float(similarity.minibatch_cka((side(a[i : i + 20]), side(y[i : i + 20])) for i in (0, 20))["cka"])

    return sum(once(b[rng.permutation(40)]) >= once(b) for _ in range(19)) == 0


def _mixed(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """A layer and an invertible map of it."""
    x = normal(seed, 60, 6)
    return side(x), side(x @ (turned(seed + 1, 6) * np.linspace(1, 4, 6)) @ turned(seed + 2, 6))


def _canonical(name: str) -> Instrument:
    return Instrument(
        {"cca": "mean CCA", "svcca": "SVCCA", "pwcca": "PWCCA"}[name],
        "similarity.cca",
        "a layer against an invertible map of it: 1",
        "unrelated layers; p < 0.05",
        lambda seed: (1.0, float(similarity.cca(*_mixed(seed), keep=1, draws=1)[name])),
        1e-10,
        lambda seed: claims(similarity.cca, *unrelated(seed), name, seed=seed),
    )


def _angle(seed: int) -> tuple[float, float]:
    """The leading direction of two, tilted by 0.3 rad within four units."""
    x = whitened(seed, 60, 4) * [4, 1, 0.5, 0.2]
    tilt = np.eye(4)
    tilt[:2, :2] = [[np.cos(0.3), np.sin(0.3)], [-np.sin(0.3), np.cos(0.3)]]
    return 0.3, float(similarity.principal_angles(side(x), side(x @ tilt), k=1, of="units", draws=1)["angle"][0])


def _rotation(seed: int) -> tuple[float, float]:
    x = normal(seed, 60, 6)
    found = similarity.procrustes(side(x), side(3 * x @ turned(seed + 1, 6) + 1), draws=1)["procrustes"]
    return 0.0, float(found) ** 2


def _distances(seed: int) -> tuple[float, float]:
    """Distances survive a rotation, and their ranks with them."""
    x = normal(seed, 60, 6)
    found = similarity.rsa(side(x), side(2 * x @ turned(seed + 1, 6)), metric="euclidean", draws=1)
    return 1.0, float(found["rsa"])


def _influence(seed: int) -> tuple[float, float]:
    """One of 60 examples moved far: its number."""
    x = normal(seed, 60, 6)
    y = x.copy()
    y[seed % 60] += 6
    return float(seed % 60), float(similarity.compare(side(x), side(y), draws=1)["displacement"].values.argmax())


def _compare_alarm(seed: int) -> bool:
    """CKA is never alone: Procrustes has to agree."""
    found = similarity.compare(*unrelated(seed, 40, (4, 4)), draws=DRAWS, seed=seed)
    return bool(max(float(found["cka_p"]), float(found["procrustes_p"])) < DECLARED)


def _matrix_alarm(seed: int) -> bool:
    (a, b), (_, c) = unrelated(seed, 40), unrelated(seed + 10**6, 40)
    found = similarity.matrix({"0": a}, {"1": b, "2": c}, draws=59, seed=seed)
    return bool((found["cka_p"] < DECLARED / found["cka_p"].size).any())


def _matrix(seed: int) -> tuple[float, float]:
    x = whitened(seed, 2000, 8)
    return (3 / 8) ** 0.5, float(similarity.matrix({"8": side(x)}, {"3": side(x[:, :3])}, draws=1)["cka"][0, 0])


def _still(seed: int, n: int = 100, size: int = 6) -> np.ndarray:
    """Two snapshots whose second differs by a little noise in each example, in no direction more than in another."""
    x = normal(seed, n, size) * np.linspace(3, 0.5, size)
    return np.stack([x, x + 0.05 * normal(seed + 10**6, n, size)])


def _split(part: str) -> Callable[[int], tuple[float, float]]:
    """A planted rotation is all rotation; a layer whose examples get half of their variance anew, half function."""

    def read(seed: int) -> tuple[float, float]:
        basis = whitened(seed, 60, 8)
        if part == "rotation":
            new = basis[:, :4] @ turned(seed, 4)
            truth = 1 - max(np.vdot(new, basis[:, :4]) / 4, 0.0) ** 2
        else:
            new, truth = (basis[:, :4] + basis[:, 4:]) / np.sqrt(2), 0.5
        found = similarity.drift(side(np.stack([new, basis[:, :4]])), draws=1, components=2)
        return float(truth), float(found[part][0])

    return read


def _drift_alarm(part: str) -> Callable[[int], bool]:
    def alarm(seed: int) -> bool:
        pair = np.stack([one.values for one in unrelated(seed, 60, (6, 6))])
        return bool(similarity.drift(side(pair), draws=DRAWS, components=2, seed=seed)[f"{part}_p"][0] < DECLARED)

    return alarm


def _floor_alarm(seed: int) -> bool:
    found = similarity.drift(side(_still(seed)), draws=1, components=2, seed=seed)
    return bool((found["subspace_angle_floor_p"][:1] < DECLARED).any())


def _floor_read(seed: int) -> tuple[float, float]:
    """Two of six directions that carry nearly all variance, one of them turned by 90 degrees: mean angle pi / 4."""
    x = whitened(seed, 400, 6) * [4, 2, 0.1, 0.1, 0.1, 0.1]
    new = x[:, [0, 2, 1, 3, 4, 5]]
    found = similarity.drift(side(np.stack([new, x])), draws=1, components=2, seed=seed)
    return np.pi / 4, float(found["subspace_angle"][0])


def _itself(seed: int) -> tuple[float, float]:
    """Units that keep the share 0.8 of their own past: mean correlation 0.8."""
    x = whitened(seed, 200, 40)
    found = similarity.unit_drift(side(np.stack([0.8 * x[:, :20] + 0.6 * x[:, 20:], x[:, :20]])))
    return 0.8, float(found["correlation"][0].mean())


def _itself_alarm(seed: int) -> bool:
    pair = np.stack([one.values for one in unrelated(seed, 60, (40, 40))])
    return bool((similarity.unit_drift(side(pair))["correlation_q"][0] < DECLARED).any())


def units_of(seed: int, n: int = 120, size: int = 10) -> np.ndarray:
    """Units with a taste of their own: sparse, so that their axes can be told from others of the same space."""
    return np.maximum(normal(seed, n, size) - 0.5, 0)


def _permuted(seed: int) -> tuple[float, float]:
    """Share of units whose planted partner is found and told from the shared space."""
    x = units_of(seed)
    order = np.random.default_rng(seed).permutation(x.shape[1])
    found = similarity.match_units(side(x), side(x[:, order] + 0.1 * normal(seed + 1, *x.shape)), draws=300)
    right = (found["matched"].values == np.argsort(order)) & (found["correlation_q"].values < DECLARED)
    return 1.0, float(right.mean())


def _same_space(seed: int) -> tuple[xr.DataArray, xr.DataArray]:
    """The same space with no unit in common."""
    x = units_of(seed, 80, 6)
    return side(x), side((x / x.std(0)) @ turned(seed + 1, 6))


def _match_alarm(seed: int) -> bool:
    found = similarity.match_units(*_same_space(seed), draws=119, seed=seed)
    return bool((found["correlation_q"] < DECLARED).any())


def _replicated(seed: int) -> tuple[float, float]:
    """Six of ten units in both other networks, the rest only as a space: how many are found again in both."""
    x = units_of(seed, 200)
    networks = [side(x)]
    for number in (1, 2):
        mix = np.eye(10)
        mix[6:, 6:] = turned(seed + number, 4)
        networks.append(side(x @ mix + 0.1 * normal(seed + 10 + number, *x.shape)))
    return 6.0, float((similarity.replication(networks, draws=300)["replicated"] == 2).sum())


def _replication_alarm(seed: int) -> bool:
    """Any unit found again in both of two networks that share no more than its space."""
    a, b = _same_space(seed)
    _, c = _same_space(seed)
    networks = [a, b, side(c.values @ turned(seed + 7, 6))]
    return bool((similarity.replication(networks, draws=119, seed=seed)["replicated"] == 2).any())


UNRELATED = "unrelated layers; p < 0.05"

INSTRUMENTS: list[Instrument] = [
    _cka(debiased=True),
    _cka(debiased=False),
    Instrument(
        "linear CKA, minibatches",
        "similarity.minibatch_cka",
        "whitened layer of 8 units against 3 of them, 40 batches",
        "unrelated layers; above all of 19 shuffles",
        _minibatch,
        0.02,
        _minibatch_alarm,
    ),
    *(_canonical(name) for name in ("cca", "svcca", "pwcca")),
    Instrument(
        "principal angle",
        "similarity.principal_angles",
        "leading direction tilted by 0.3 rad",
        UNRELATED,
        _angle,
        1e-10,
        lambda seed: claims(similarity.principal_angles, *unrelated(seed), "angle", k=1, seed=seed),
        unit="rad",
    ),
    Instrument(
        "Procrustes distance, squared",
        "similarity.procrustes",
        "a layer rotated, scaled and shifted: 0",
        UNRELATED,
        _rotation,
        1e-13,
        lambda seed: claims(similarity.procrustes, *unrelated(seed), "procrustes", seed=seed),
    ),
    Instrument(
        "RSA",
        "similarity.rsa",
        "a layer rotated: the same distances",
        UNRELATED,
        _distances,
        1e-10,
        lambda seed: claims(similarity.rsa, *unrelated(seed, 40), "rsa", seed=seed),
    ),
    Instrument(
        "most displaced image",
        "similarity.compare",
        "one of 60 examples moved by 6 sd: its number",
        "unrelated layers; CKA and Procrustes with p < 0.05",
        _influence,
        0.0,
        _compare_alarm,
        unit="example",
    ),
    Instrument(
        "similarity of layers",
        "similarity.matrix",
        "whitened layer of 8 units against 3 of them",
        "a layer and two unrelated ones; any CKA with p < 0.05 / 2",
        _matrix,
        0.005,
        _matrix_alarm,
    ),
    Instrument(
        "drift: rotation",
        "similarity.drift",
        "a layer that only rotated",
        "unrelated snapshots; CKA with p < 0.05",
        _split("rotation"),
        1e-12,
        _drift_alarm("cka"),
    ),
    Instrument(
        "drift: change of function",
        "similarity.drift",
        "half of the variance in new directions of the examples: 0.5",
        "unrelated snapshots; function with p < 0.05",
        _split("function"),
        1e-12,
        _drift_alarm("function"),
    ),
    Instrument(
        "drift: angle over its floor",
        "similarity.drift",
        "one of two leading directions replaced: pi / 4",
        "a snapshot that stood still; above its floor",
        _floor_read,
        0.01,
        _floor_alarm,
        unit="rad",
    ),
    Instrument(
        "drift of a unit",
        "similarity.unit_drift",
        "units that keep 0.8 of themselves",
        "unrelated snapshots; any unit with q < 0.05",
        _itself,
        1e-12,
        _itself_alarm,
    ),
    Instrument(
        "units matched",
        "similarity.match_units",
        "a permutation with noise: share of units matched rightly",
        "the same space rotated; any unit with q < 0.05",
        _permuted,
        0.0,
        _match_alarm,
    ),
    Instrument(
        "units replicated",
        "similarity.replication",
        "6 of 10 units in both other networks",
        "two rotations of the same space; any unit in both",
        _replicated,
        0.0,
        _replication_alarm,
        unit="units",
    ),
]
