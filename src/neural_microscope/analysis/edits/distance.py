"""The distance of an edited network from networks that were really trained that way, beside their distance from one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from scipy import stats
from scipy.special import softmax

from ... import named
from ...errors import DataError, unknown
from ...measure import measure, of
from ...statistics import INTERVAL, Law, beside, networks, shown

FEWEST = 4
"""The fewest examples for a debiased CKA."""

FEWEST_NETWORKS = 3
"""The fewest retrained networks whose spread can be estimated."""

TINY = 1e-9
"""Distances below this are 0."""

LEAST_P = 1e-300
"""No p is 0."""

Layers = Mapping[str, xr.DataArray]
"""A network's logits [example, class] and activations [example, unit] by name."""


@measure(
    "edits",
    title="Distance from retrained networks",
    null="random edits of equal size (nearer than they are); one more retrained network (farther than it would be)",
    replicates="network",
    interval="95% over the retrained networks (t)",
    source="1 - linear CKA: Kornblith et al. 2019, debiased as in Nguyen et al. 2021; equivalence: Schuirmann 1987",
)
def distance_from_retrained(
    edited: Layers, retrained: Sequence[Layers], random: Iterable[Layers] = (), unedited: Layers | None = None
) -> xr.Dataset:
    """The distance of an edited network from retrained ones, beside their distance from one another.

    For logits [example, class] the distance of two networks is the mean total variation of their predicted
    probabilities, ½ Σ ``|p - q|``, 0..1; for a layer it is 1 - linear CKA, 0 for the same similarities of images.

    Args:
        edited: The edited network's logits [example, class] and activations [example, unit] (or channel, or whole maps,
            which are flattened) by name; of several snapshots the last.
        retrained: The same of each network that was trained that way from its initialization, three or more.
        random: The same of networks after random edits of equal size, the null; each is used once.
        unedited: The same of the network before the edit; None: left out.

    Returns:
        Variables [layer], in the order of ``edited``.

        * ``distance``: mean over the retrained networks, with its interval over them, and the band and p of random edits
          (one-sided: nearer than they are).
        * ``own``, ``own_max``: the retrained networks' distance from one another, mean and largest of a pair.
        * ``limit``: the upper end of the 95% prediction interval for one more retrained network's mean distance.
        * ``excess``: distance minus ``own``, with the band and p of one more retrained network (one-sided: farther).
        * ``within``: ``limit`` minus ``distance``. ``within_p`` is the larger of two p: that the expected distance reaches
          the limit (``limit_p``), and that a random edit is as near (``distance_p``). ``within_shown`` is the verdict:
          shown to lie within their spread.
        * ``unedited``: the distance before the edit.

        And each ``distances`` [layer, seed] and ``between`` [layer, seed, seed_b]. NaN where a layer is constant.

    Raises:
        DataError: Fewer than three retrained networks, fewer than 4 examples, or not the same examples.
        UnknownName: A layer that another network lacks.

    >>> layers = {"logits": run.activations("logits")[-1]}
    >>> others = [{"logits": layers["logits"] + 0.1 * number} for number in range(3)]
    >>> table = nm.analysis.edits.distance_from_retrained(layers, others)
    >>> bool(table["own_max"][0] < 1e-6)
    True
    """
    if len(retrained) < FEWEST_NETWORKS:
        raise DataError(
            f"{len(retrained)} retrained networks came; their spread needs {FEWEST_NETWORKS} or more, each of another seed"
        )
    if not edited:
        raise DataError("there are no layers; give logits and activations by name, as {'logits': logits}")
    own = {name: _side(acts, acts) for name, acts in edited.items()}
    others = {name: [_side(_layer(one, name), acts) for one in retrained] for name, acts in edited.items()}

    def far(network: Layers) -> np.ndarray:
        """[layer, seed]"""
        return np.array([_distances(_side(_layer(network, name), acts), others[name]) for name, acts in edited.items()])

    between = np.array([[_distances(one, sides) for one in sides] for sides in others.values()])
    distances = np.array([_distances(own[name], others[name]) for name in edited])
    null = np.array([far(one).mean(1) for one in random]).reshape(-1, len(edited))
    variables = _judged(distances, between, null)
    if unedited is not None:
        variables["unedited"] = ("layer", far(unedited).mean(1), {"units": "1"})
    variables["distances"] = (("layer", "seed"), distances, {"units": "1"})
    variables["between"] = (("layer", "seed", "seed_b"), between, {"units": "1"})
    attrs = {"n_examples": next(iter(edited.values())).sizes["example"], "n_networks": len(retrained)}
    return xr.Dataset(variables, coords={"layer": list(edited)}, attrs=attrs)


def _judged(distances: np.ndarray, between: np.ndarray, null: np.ndarray) -> dict[str, tuple[Any, ...]]:
    """The variables [layer] from distances [layer, seed], those of the retrained networks [layer, seed, seed] and of random edits
    [draw, layer].
    """
    n = distances.shape[1]
    value, spread = distances.mean(1), distances.std(1, ddof=1) / np.sqrt(n)
    each = between.sum(2) / (n - 1)
    own, low, high, farther = _one_more(value, each)
    half = stats.t.ppf(INTERVAL[1] / 100, n - 1) * spread
    found = beside("distance", value, null, "layer", side="below", interval=(value - half, value + half))
    found |= beside("excess", value - own, Law(low - own, high - own, farther), "layer", family=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        reaching = np.maximum(stats.t.sf((high - value) / spread, n - 1), LEAST_P)
    p = np.maximum(reaching, found["distance_p"][1])
    pairs = between[:, *np.triu_indices(n, 1)]
    more = {
        "own": own,
        "own_max": pairs.max(1),
        "limit": high,
        "limit_p": reaching,
        "within": high - value,
        "within_p": p,
    }
    found |= {name: ("layer", one, {"units": "1"}) for name, one in more.items()}
    return found | {"within_shown": ("layer", shown(p), {"units": "1"})}


def _one_more(value: np.ndarray, each: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(mean of the retrained networks' distances, both ends of the band of one more of them, p of ``value``), each [layer].

    A network's mean distance from others has a part of its own and a part of theirs. In that from the other K - 1 of K the own part
    counts (K - 2) / (K - 1) times, so its spread is divided by this. Distances are positive and skewed: in logarithms.
    """
    n = each.shape[1]
    logs = np.log(np.maximum(each, TINY))
    center = logs.mean(1, keepdims=True)
    sample = center + (logs - center) * (n - 1) / (n - 2)
    low, high, p = networks(np.log(np.maximum(value, TINY)), sample.T)
    return each.mean(1), np.exp(low), np.exp(high), p


class _Side(NamedTuple):
    """A network's probabilities, or centered activations with their own HSIC, of a layer."""

    values: np.ndarray
    own: float | None


def _layer(network: Layers, name: str) -> xr.DataArray:
    if name not in network:
        raise unknown("layer", name, network)
    return network[name]


def _side(acts: xr.DataArray, like: xr.DataArray) -> _Side:
    named.same_examples(like, acts)
    if "class" in acts.dims:
        return _Side(softmax(named.values(named.last(acts), "example", "class"), axis=1), None)
    x = named.flat(acts)
    if len(x) < FEWEST:
        raise DataError(f"{len(x)} examples; CKA needs {FEWEST} or more")
    x = np.where(np.ptp(x, axis=0) > 0, x - x.mean(0), 0.0)
    return _Side(x, _hsic(x, x))


def _distances(one: _Side, others: Sequence[_Side]) -> list[float]:
    if one.own is None:
        return [float(0.5 * np.abs(one.values - other.values).sum(1).mean()) for other in others]
    found = []
    for other in others:
        own = one.own, other.own or 0.0
        good = min(own) > 0
        found.append(1 - _hsic(one.values, other.values) / np.sqrt(own[0] * own[1]) if good else np.nan)
    return found


def _hsic(x: np.ndarray, y: np.ndarray) -> float:
    """HSIC_1 of the linear kernels of centered features (Song et al. 2012)."""
    n, d, e = len(x), (x**2).sum(1), (y**2).sum(1)
    few = n < min(x.shape[1], y.shape[1])
    whole = np.vdot(x @ x.T, y @ y.T) if few else ((x.T @ y) ** 2).sum()
    return float((whole - d @ e * n / (n - 2) + d.sum() * e.sum() / ((n - 1) * (n - 2))) / (n * (n - 3)))


# Phantoms.


def _alike(rng: np.random.Generator, common: np.ndarray, count: int) -> list[np.ndarray]:
    """Logits [example, class] of networks that differ from common ones at random, each by an amount of its own."""
    return [common + rng.lognormal(0, 0.1) * rng.standard_normal(common.shape) for _ in range(count)]


def _phantom(edited: np.ndarray, retrained: list[np.ndarray], random: list[np.ndarray]) -> dict[str, object]:
    def layers(values: np.ndarray) -> Layers:
        return {"logits": xr.DataArray(values, dims=("example", "class"))}

    return {"edited": layers(edited), "retrained": [*map(layers, retrained)], "random": [*map(layers, random)]}


@of(distance_from_retrained).calibrated_on(
    "an edited network like eight retrained ones: within their spread (1)",
    1,
    0,
    empty="one of 40 random edits, all as near as retrained networks; within with p < 0.05",
    read="within_shown",
    alarm="within_shown",
    name="edit within the spread of retrained networks",
)
def _one_of_them(seed: int, planted: bool) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    common = 2 * rng.standard_normal((60, 4))
    first, *rest = _alike(rng, common, 48)
    if planted:
        like_them = common + 0.8 * rng.standard_normal(common.shape)
        return _phantom(like_them, rest[:8], [first + 4 * rng.standard_normal(first.shape) for _ in range(39)])
    return _phantom(first, rest[:8], rest[8:])


@of(distance_from_retrained).calibrated_on(
    "an edited network that misclassifies 18 of 60 images: a total variation of 0.3",
    0.3,
    0.01,
    empty="one more retrained network; farther with p < 0.05",
    read="distance",
    alarm="excess_shown",
    name="edit beyond the spread of retrained networks",
)
def _against_one_more(seed: int, planted: bool) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    if not planted:
        first, *rest = _alike(rng, 2 * rng.standard_normal((60, 4)), 9)
        return _phantom(first, rest, [])
    common = 16 * np.eye(4)[np.arange(60) % 4]
    edited = np.where(np.arange(60)[:, None] < 18, np.roll(common, 1, axis=1), common)
    return _phantom(edited, _alike(rng, common, 8), [])
