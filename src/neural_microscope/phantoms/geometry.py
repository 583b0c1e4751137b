"""Phantoms of geometry: clouds of known rank and dimension, planted clusters, collapsed classes, and empty clouds."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import xarray as xr

from ..analysis import geometry
from .instrument import Instrument

DRAWS = 39
"""The fewest from which p can be below 0.05."""
CLASSES = 4
PAIRS = 20
SIMPLEX = np.eye(CLASSES) - 1 / CLASSES


def cloud(x: np.ndarray, labels: np.ndarray | None = None) -> xr.DataArray:
    """Activations [example, unit]; labels go round the classes where none are given."""
    labels = np.arange(len(x)) % CLASSES if labels is None else labels
    return xr.DataArray(x, dims=("example", "unit"), coords={"label": ("example", labels)}, name="phantom")


def empty(seed: int, n: int = 60, units: int = 6) -> xr.DataArray:
    """Units that have nothing in common, of unlike spread, with labels that say nothing."""
    rng = np.random.default_rng(seed)
    return cloud(rng.exponential(size=(n, units)) * rng.uniform(0.8, 1.2, units))


def rank_three(seed: int, n: int = 2000) -> xr.DataArray:
    """Variances 25, 9 and 4 in random directions of 64 units, and 0.01 of noise in each."""
    rng = np.random.default_rng(seed)
    turn = np.linalg.qr(rng.normal(size=(64, 3)))[0].T
    scores = rng.normal(size=(n, 3))
    scores = np.linalg.qr(scores - scores.mean(0))[0] * np.sqrt(n)  # exactly the planted variances
    return cloud((scores * (5, 3, 2)) @ turn + 0.1 * rng.normal(size=(n, 64)))


def equal_rank(seed: int, rank: int = 5) -> xr.DataArray:
    """So many directions with the same variance exactly, in 12 units."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(100, rank))
    return cloud(np.linalg.qr(x - x.mean(0))[0] @ np.linalg.qr(rng.normal(size=(12, rank)))[0].T)


def collapsed(seed: int) -> xr.DataArray:
    """Classes at the corners of a simplex, each image half a unit up or down along one of its directions."""
    rng = np.random.default_rng(seed)
    labels = np.arange(80) % CLASSES
    sign = np.where(np.arange(80) // CLASSES % 2, 0.5, -0.5)
    turn = np.linalg.qr(rng.normal(size=(9, CLASSES)))[0].T
    return cloud((SIMPLEX[labels] + sign[:, None] * np.array([1, -1, 0, 0])) @ turn + rng.normal(size=9))


def pairs(seed: int) -> xr.DataArray:
    """Classes of two images at distance 1, on a line, one class every 10."""
    left = 10.0 * np.arange(PAIRS)
    x = np.concatenate([left, left + 1]) * np.random.default_rng(seed).choice([-1.0, 1.0])
    return cloud(x[:, None], np.tile(np.arange(PAIRS), 2))


def some_units_hold_the_classes(seed: int) -> xr.DataArray:
    """40 units of noise; in the first four each class has one that is high."""
    x = np.random.default_rng(seed).normal(size=(120, 40))
    x[:, :CLASSES] += 8 * np.eye(CLASSES)[np.arange(120) % CLASSES]
    return cloud(x)


def layouts(*places: np.ndarray) -> xr.DataArray:
    return xr.DataArray(np.stack(places), dims=("seed", "example", "component"))


# What is read.


def _read_spectrum(seed: int, streamed: bool) -> tuple[float, float]:
    acts = rank_three(seed)
    parts = [acts[:700], acts[700:]]
    found = (
        geometry.pca_streaming(parts, components=3, draws=0) if streamed else geometry.pca(acts, components=3, draws=0)
    )
    return 25.01 / (38 + 64 * 0.01), float(found["explained"][0])


def _read_rank(seed: int) -> tuple[float, float]:
    return 3, int(geometry.pca(rank_three(seed, 500), components=6)["above_chance"])


def _read_dimension(seed: int, measure: str) -> tuple[float, float]:
    found = geometry.dimension(equal_rank(seed), two_nn_at=(), draws=0)
    return 5, float(found[measure][0])


def _read_ratio(seed: int) -> tuple[float, float]:
    spectrum = np.array([25.01, 9.01, 4.01, *[0.01] * 61])
    found = geometry.dimension(rank_three(seed), two_nn_at=(), draws=0)
    return float(spectrum.sum() ** 2 / (spectrum**2).sum()), float(found["participation_ratio"][0])


def _read_two_nn(seed: int) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    flat = rng.uniform(size=(2000, 2)) @ np.linalg.qr(rng.normal(size=(8, 2)))[0].T
    return 2, float(geometry.dimension(cloud(flat), draws=0)["two_nn"][0])


def _read_collapse(seed: int, measure: str) -> tuple[float, float]:
    """In closed form: Sb = SIMPLEX / C, Sw = s² d d' with d of length √2 in its span, so NC1 = C · 2 s² / C."""
    found = geometry.neural_collapse(collapsed(seed), draws=0)
    truth = {"nc1": 2 * 0.25, "nc1_trace": 2 * 0.25 / (3 / 4), "nc2_norms": 0.0, "nc2_angles": 0.0}[measure]
    return truth, float(found[measure][0])


def _read_output(seed: int, measure: str) -> tuple[float, float]:
    """An output at right angles to the class means, and one that always says the class of the nearest mean + 1."""
    labels = np.arange(80) % CLASSES
    acts = cloud(np.concatenate([SIMPLEX[labels], np.zeros((80, CLASSES))], 1))
    if measure == "nc3":
        weights = xr.DataArray(np.concatenate([0 * SIMPLEX, SIMPLEX], 1) * (1 + seed), dims=("class", "unit"))
        return 2, float(geometry.neural_collapse(acts, weights, draws=0)["nc3"][0])
    wrong = np.random.default_rng(seed).permutation(80) < 20
    logits = xr.DataArray(np.eye(CLASSES)[(labels + wrong) % CLASSES], dims=("example", "class"))
    return 0.25, float(geometry.neural_collapse(acts, logits=logits, draws=0)["nc4"][0])


def _read_silhouette(seed: int) -> tuple[float, float]:
    """An image sees its own class at 1 and the next at 9.5 on average, the two at the ends of the line at 10.5."""
    found = geometry.clusters(pairs(seed), k=1, draws=0)
    return 1 - ((PAIRS - 1) / 9.5 + 1 / 10.5) / PAIRS, float(found["silhouette"][0])


def _read_purity(seed: int) -> tuple[float, float]:
    return 1, float(geometry.clusters(pairs(seed), k=1, draws=0)["purity"][0])


def _read_subspaces(seed: int) -> tuple[float, float]:
    orders = {"planted": np.arange(40), "noise": np.arange(39, -1, -1)}
    found = geometry.subspaces(some_units_hold_the_classes(seed), orders, sizes=(4,), draws=99)
    return 1, float((found["silhouette_q"] < 0.05).sum())


def _read_layout(seed: int, measure: str) -> tuple[float, float]:
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(100, 2))
    acts = cloud(flat @ np.linalg.qr(rng.normal(size=(7, 2)))[0].T)
    found = geometry.faithfulness(acts, layouts(flat, -2 * flat[:, ::-1]), draws=1)
    return 1, float(found[measure].values.ravel()[-1 if measure != "agreement" else 1])


# What is claimed of an empty phantom.


def claims_components(seed: int, acts: xr.DataArray) -> bool:
    return bool(geometry.pca(acts, components=1, draws=DRAWS, seed=seed)["above_chance"] > 0)


def claims_components_streamed(seed: int, acts: xr.DataArray) -> bool:
    return bool(
        geometry.pca_streaming([acts[:40], acts[40:]], components=1, draws=DRAWS, seed=seed)["explained_p"][0] < 0.05
    )


def claims_dimension(seed: int, acts: xr.DataArray, measure: str) -> bool:
    at = (0,) if measure == "two_nn" else ()
    return bool(geometry.dimension(acts, two_nn_at=at, draws=DRAWS, seed=seed)[f"{measure}_p"][0] < 0.05)


def claims_collapse(seed: int, acts: xr.DataArray, measure: str) -> bool:
    rng = np.random.default_rng([seed, 1])
    weights = xr.DataArray(rng.normal(size=(CLASSES, acts.sizes["unit"])), dims=("class", "unit"))
    bias = xr.DataArray(rng.normal(size=CLASSES), dims="class")
    found = geometry.neural_collapse(acts, weights, bias, draws=DRAWS, seed=seed)
    return bool(found[f"{measure}_p"][0] < 0.05)


def claims_clusters(seed: int, acts: xr.DataArray, measure: str) -> bool:
    return bool(geometry.clusters(acts, k=5, draws=DRAWS, seed=seed)[f"{measure}_p"][0] < 0.05)


def claims_subspaces(seed: int, acts: xr.DataArray) -> bool:
    first = {"first": np.arange(2)}
    return bool((geometry.subspaces(acts, first, sizes=(2,), draws=DRAWS, seed=seed)["silhouette_q"] < 0.05).any())


def claims_layout(seed: int, acts: xr.DataArray, measure: str, places: xr.DataArray | None = None) -> bool:
    rng = np.random.default_rng([seed, 1])
    if places is None:
        places = layouts(*rng.normal(size=(2 if measure == "agreement" else 1, acts.sizes["example"], 2)))
    found = geometry.faithfulness(acts, places, k=5, draws=DRAWS, seed=seed)[f"{measure}_p"].values
    return bool((found[0, 1] if measure == "agreement" else found[0]) < 0.05)


def _on_empty(claims: Callable[..., bool], n: int = 60, **how: str) -> Callable[[int], bool]:
    return lambda seed: claims(seed, empty(seed, n), **how)


def _spectrum(measure: str, name: str, read: Callable[[int], tuple[float, float]], tolerance: float) -> Instrument:
    return Instrument(
        name,
        "geometry.dimension",
        "a cloud of known spectrum",
        "independent units; an alarm: fewer dimensions than shuffled units, p < 0.05",
        read,
        tolerance,
        _on_empty(claims_dimension, measure=measure),
        "dimensions",
    )


def _collapse(
    measure: str, name: str, planted: str, read: Callable[..., tuple[float, float]], tolerance: float = 1e-9
) -> Instrument:
    return Instrument(
        name,
        "geometry.neural_collapse",
        planted,
        "independent units, labels and output that say nothing; an alarm: lower than shuffled labels, p < 0.05",
        partial(read, measure=measure),
        tolerance,
        _on_empty(claims_collapse, measure=measure),
    )


def _layout(measure: str, name: str) -> Instrument:
    return Instrument(
        name,
        "geometry.faithfulness",
        "a plane in 7 dimensions and two turned copies of it",
        "random places; an alarm: p < 0.05",
        partial(_read_layout, measure=measure),
        1e-12,
        _on_empty(claims_layout, 40, measure=measure),
    )


CORNERS = "classes at the corners of a simplex, a known spread"

INSTRUMENTS = [
    Instrument(
        "principal components (explained variance)",
        "geometry.pca",
        "variances 25, 9, 4 in 64 units with noise",
        "independent units; an alarm: the first component is above chance, p < 0.05",
        partial(_read_spectrum, streamed=False),
        0.005,
        _on_empty(claims_components),
    ),
    Instrument(
        "parallel analysis (components above chance)",
        "geometry.pca",
        "rank 3 in 64 units with noise",
        "independent units of many examples; an alarm: any component is above chance, p < 0.05",
        _read_rank,
        0,
        _on_empty(claims_components, 120),
        "components",
    ),
    Instrument(
        "principal components, streamed",
        "geometry.pca_streaming",
        "variances 25, 9, 4 in 64 units with noise, in two batches",
        "independent units in two batches; an alarm: the first component is above chance, p < 0.05",
        partial(_read_spectrum, streamed=True),
        0.005,
        _on_empty(claims_components_streamed),
    ),
    _spectrum("participation_ratio", "participation ratio", _read_ratio, 0.02),
    _spectrum("effective_rank", "effective rank", partial(_read_dimension, measure="effective_rank"), 1e-9),
    _spectrum(
        "components_90", "components for 90 % of the variance", partial(_read_dimension, measure="components_90"), 0
    ),
    _spectrum("two_nn", "TwoNN dimension", _read_two_nn, 0.2),
    _collapse("nc1", "neural collapse NC1", CORNERS, _read_collapse),
    _collapse("nc1_trace", "tr(Sw)/tr(Sb)", CORNERS, _read_collapse),
    _collapse("nc2_norms", "neural collapse NC2, lengths", CORNERS, _read_collapse),
    _collapse("nc2_angles", "neural collapse NC2, angles", CORNERS, _read_collapse),
    _collapse("nc3", "neural collapse NC3", "an output at right angles to the class means", _read_output),
    _collapse(
        "nc4", "neural collapse NC4", "a network that says another class for a quarter of the images", _read_output
    ),
    Instrument(
        "silhouette of the classes",
        "geometry.clusters",
        "pairs on a line at known distances",
        "independent units, labels that say nothing; an alarm: p < 0.05",
        _read_silhouette,
        1e-9,
        _on_empty(claims_clusters, 40, measure="silhouette"),
    ),
    Instrument(
        "neighbour purity",
        "geometry.clusters",
        "pairs on a line at known distances",
        "independent units, labels that say nothing; an alarm: p < 0.05",
        _read_purity,
        0,
        _on_empty(claims_clusters, 40, measure="purity"),
    ),
    Instrument(
        "subspaces of chosen units",
        "geometry.subspaces",
        "4 of 40 units that hold the classes, and an order that misses them",
        "independent units, an order that says nothing; an alarm: q < 0.05",
        _read_subspaces,
        0,
        _on_empty(claims_subspaces),
        "orders",
    ),
    _layout("trustworthiness", "trustworthiness of a layout"),
    _layout("knn_preservation", "neighbours kept by a layout"),
    _layout("agreement", "agreement of two layouts"),
]
