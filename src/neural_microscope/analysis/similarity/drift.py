"""Drift: how far one layer's activations move over training, the part due to rotation, and the part due to the choice of images."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import torch
import xarray as xr
from scipy import linalg

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure, of
from ...statistics import Side, beside, halves
from . import pairs
from .cca import angles
from .cka import ratio, unbiased
from .planted import DRAWS, as_acts, normal, turned, unlike, whitened
from .procrustes import distance

SPLITS = 10
"""Pairs of disjoint halves of the examples from which intervals and the floor are taken."""


@measure(
    "similarity",
    title="Drift",
    null="change of shape (function), CKA and Procrustes distance: the reference's images shuffled, {draws} draws; angle and shift "
    "across: two disjoint halves of the images at one snapshot; the rest: exactly 0 for an unchanged layer",
    replicates="image",
    interval=pairs.INTERVAL,
    source="||X_t - X_r||² / ||X_r - mean||² = shift + scaling + rotation + function; the best s R (s >= 0, R orthogonal) from "
    "Schönemann 1966; CKA: Kornblith et al. 2019, Nguyen et al. 2021",
    place=150,
)
def drift(
    acts: xr.DataArray,
    *,
    reference: int | Literal["previous"] = -1,
    components: int = 5,
    without: int = 0,
    draws: int = 20,
    seed: int = 0,
) -> xr.Dataset:
    """Distance of a layer from itself at a reference snapshot, [snapshot], on the same examples.

    Movement, in units of the reference's total variance ||X_r - mean||², is split exactly: ``movement`` = ||X_t -
    X_r||² = ``shift`` (of the mean) + ``scaling`` + ``rotation`` + ``function``. Of the centered activations of t, let
    c be the cosine with the reference (as one long vector, 0 if negative) and r the largest cosine that a rotation or
    reflection reaches (the nuclear norm of the product at unit norm).

    There are two null distributions. *Nothing in common:* the reference's examples shuffled. A rotation has so many
    free parameters that it explains part of pure noise: that part is 1 - ``function_null``. *Nothing moved* (the
    floor): on the same examples an unchanged layer gives exactly 0, so only the choice of images is uncertain. For
    quantities from two disjoint sets of images the floor is explicit.

    Args:
        acts: Activations [snapshot, example, unit] (or channel).
        reference: Step of a recorded snapshot, -1 the last, 0 the untrained network; "previous": each snapshot's
            predecessor (the first snapshot is then NaN).
        components: Number of leading directions whose spaces are compared; at most the units.
        without: Number of each snapshot's leading principal components that are removed first; one that holds nearly all
            variance otherwise decides every quantity.
        draws: Number of draws of the null (the reference's examples shuffled).
        seed: Seed of the null's draws and of the halves.

    Returns:
        Each quantity with its interval, null or floor; with ``without`` also ``removed``, the share of each snapshot's variance
        on the components that were removed.

        * ``function`` = 1 - r², 0..1, r the largest cosine with the reference that a rotation of t reaches: the change that no rotation
          and scaling of t removes, a change in which examples are similar. ``rotation`` = r² - c², 0..1, c the cosine without
          a rotation: the change that rotation removes. ``shift``: of the mean. ``scaling``: the rest, 0 and more. ``movement``: the sum
          of the four, in units of the reference's variance.
        * ``cosine_distance`` = 1 - cosine (0..2), ``cka`` (debiased), ``procrustes`` = sqrt(2 - 2r).
        * ``function``, ``procrustes``, ``cka`` with ``…_null_low``, ``…_null_high``, ``…_p``.
        * All of the above with ``…_low``, ``…_high``: 95% over images, from random halves.
        * ``subspace_angle`` (rad): mean principal angle between the spaces of the leading ``components`` directions (in
          unit space) of the reference on one half and of t on the other half, averaged over 10 splits;
          ``shift_across``: squared distance of the means in the same way.
        * Of these two ``…_floor_low``, ``…_floor_high``: the same numbers between the two halves of ONE snapshot, t or
          the reference, 2.5 to 97.5 percentile; ``…_floor_p``: share of these at or above the value.

        A snapshot or reference without variance has no direction: NaN, except ``movement``, ``shift`` and, if only t is
        constant, ``function`` = 1.

    Raises:
        DataError: Fewer than 16 examples, more components than units, a negative ``without``, or an unknown word as
            reference.
        UnknownName: A step that was not recorded.

    >>> moved = nm.analysis.similarity.drift(acts, reference=0, draws=2)
    >>> float(moved["movement"][0])
    0.0
    """
    axis = unit_axis(acts.dims)
    x = named.values(acts, "snapshot", "example", axis)
    _enough(x, components, without)
    x, removed = _deflated(x, without)
    origin = origins(acts, reference)
    labels = pairs.classes(acts)
    parts = [halves(labels, seed + i) for i in range(SPLITS)]
    whole = _Layer(x)
    value, null = _movement(whole, origin), _nothing_in_common(whole, origin, draws, seed)
    taken, crossed = [], []
    for part in parts:
        side, other = (_Layer(x[:, half]) for half in part)
        taken.append(_movement(side, origin))
        crossed.append(_crossed(side, other, whole.size**2 / x.shape[1], origin, components))
    found: pairs.Variables = {}
    for name, one in value.items():
        interval = pairs.around(one, np.stack([half[name] for half in taken]))
        if name in null:
            beyond: Side = "above" if name == "cka" else "below"
            found |= beside(name, one, null[name], "snapshot", side=beyond, family=False, interval=interval)
        else:
            ends = zip(("", "_low", "_high"), (one, *interval), strict=True)
            found |= {f"{name}{end}": ("snapshot", values, {"units": "1"}) for end, values in ends}
    found |= _across(np.stack(crossed, axis=2), origin)
    if without:
        found["removed"] = ("snapshot", removed, {"units": "share of variance"})
    constant = np.ptp(x, axis=1).max(-1) == 0
    why = {"reason": f"constant activations at snapshots {np.flatnonzero(constant).tolist()}"} if constant.any() else {}
    table = pairs.table(found, acts, reference=reference, components=components, **why)
    return table.assign_coords(named.kept(acts, "step", "epoch"))


def _enough(x: np.ndarray, components: int, without: int) -> None:
    if x.shape[1] < 4 * pairs.FEWEST:
        raise DataError(f"{x.shape[1]} examples; drift needs {4 * pairs.FEWEST} or more for its halves")
    if not 1 <= components <= x.shape[2]:
        raise DataError(f"{components} components of {x.shape[2]} units; it must be 1 to {x.shape[2]}")
    if without < 0:
        raise DataError(f"without={without}; it must be 0 or more")


def _deflated(x: np.ndarray, without: int) -> tuple[np.ndarray, np.ndarray]:
    """([snapshot, example, unit], [snapshot]): the activations without their leading components, and the share of variance on these; a
    snapshot with no other variance is constant then.
    """
    if not without:
        return x, np.zeros(len(x))
    rest, shares = np.array(x), np.zeros(len(x))
    for at, one in enumerate(x):
        own = one - one.mean(0)
        spans = _leading(own.T @ own, min(without, x.shape[2]))
        left, total = own - own @ spans @ spans.T, _squared(own)
        shares[at] = 1 - _squared(left) / total if total else np.nan
        rest[at] = one.mean(0) + (left if _squared(left) > total * x.shape[2] * np.finfo(float).eps else 0.0)
    return rest, shares


def origins(acts: xr.DataArray, reference: int | str) -> np.ndarray:
    """The number of each snapshot's reference, [snapshot]; -1: none."""
    count = acts.sizes["snapshot"]
    if reference == "previous":
        return np.arange(-1, count - 1)
    if isinstance(reference, str):
        raise DataError(f"reference={reference!r}; it must be 'previous' or the step of a recorded snapshot")
    return np.full(count, named.snapshots(acts, reference)[0])


_Shuffled = tuple[np.ndarray, np.ndarray]
"""Centered activations of a snapshot and the squared norms of its examples, in another order."""


class _Layer:
    """Activations [snapshot, example, unit], centered, with the quantities that measures need of one snapshot."""

    def __init__(self, x: np.ndarray) -> None:
        self.means = x.mean(1)
        self.own = np.where(np.ptp(x, axis=1, keepdims=True) > 0, x - self.means[:, None], 0.0)
        self.grams = [one.T @ one for one in self.own]

    @cached_property
    def norms(self) -> np.ndarray:
        """The squared norm of each example, [snapshot, example]."""
        return (self.own**2).sum(2)

    @cached_property
    def size(self) -> np.ndarray:
        return np.sqrt(self.norms.sum(1))

    @cached_property
    def kernel(self) -> np.ndarray:
        """The debiased squared norm of the examples' similarities, [snapshot]."""
        return np.array([unbiased(_squared(gram), d, d) for gram, d in zip(self.grams, self.norms, strict=True)])

    def alike(self, r: int, t: int, shuffled: _Shuffled | None = None) -> tuple[float, float]:
        """(nuclear norm of the product of snapshots r and t at unit norm, debiased CKA); those of r may be shuffled."""
        own, norms = shuffled or (self.own[r], self.norms[r])
        product = torch.from_numpy(own).T @ torch.from_numpy(self.own[t])  # faster than numpy's
        nuclear = torch.linalg.svdvals(product).sum() / (self.size[r] * self.size[t])
        both = unbiased(_squared(product.numpy()), norms, self.norms[t])
        return min(float(nuclear), 1.0), ratio(both, self.kernel[r], self.kernel[t])


def _squared(product: np.ndarray) -> float:
    return float(np.vdot(product, product))


MEASURES = ("movement", "shift", "scaling", "rotation", "function", "cosine_distance", "cka", "procrustes")


def _movement(x: _Layer, origin: np.ndarray) -> dict[str, np.ndarray]:
    """The split and the measures, each [snapshot]."""
    found = {name: np.full(len(origin), np.nan) for name in MEASURES}
    for t, r in enumerate(origin):
        if r < 0 or x.size[r] == 0:
            continue
        alive, total = x.size[t] > 0, x.size[r] ** 2
        nuclear, cka = x.alike(r, t) if alive else (0.0, np.nan)
        cosine = float(np.vdot(x.own[r], x.own[t])) / (x.size[r] * x.size[t]) if alive else 0.0
        shift = x.own.shape[1] * _squared(x.means[t] - x.means[r]) / total
        movement = shift + _squared(x.own[t] - x.own[r]) / total
        function = 1 - nuclear**2
        rotation = max(nuclear**2 - max(cosine, 0.0) ** 2, 0.0)
        scaling = movement - shift - rotation - function
        apart = (1 - cosine, cka, distance(nuclear)) if alive else (np.nan, np.nan, np.nan)
        for name, value in zip(MEASURES, (movement, shift, scaling, rotation, function, *apart), strict=True):
            found[name][t] = value
    return found


def _nothing_in_common(x: _Layer, origin: np.ndarray, draws: int, seed: int) -> dict[str, np.ndarray]:
    """Measures against the null of the reference's examples shuffled, [draw, snapshot]."""
    rng = np.random.default_rng(seed)
    drawn = np.full((2, draws, len(origin)), np.nan)
    for draw in range(draws):
        order = rng.permutation(x.own.shape[1])
        shuffled = {r: (x.own[r][order], x.norms[r][order]) for r in set(origin.tolist())}
        for t, r in enumerate(origin.tolist()):
            if r >= 0 and x.size[r] and x.size[t]:
                drawn[:, draw, t] = x.alike(r, t, shuffled[r])
    nuclear, cka = drawn
    return {"function": 1 - nuclear**2, "procrustes": np.sqrt(2 - 2 * nuclear), "cka": cka}


def _crossed(one: _Layer, other: _Layer, spread: np.ndarray, origin: np.ndarray, components: int) -> np.ndarray:
    """Angle and shift from the reference, or t itself, on one half of the examples to t on the other: [angle or shift, from which,
    snapshot].
    """
    first, second = ([_leading(gram, components) for gram in side.grams] for side in (one, other))
    found = np.full((2, 2, len(origin)), np.nan)
    for t, r in enumerate(origin):
        if r < 0 or spread[r] == 0:
            continue
        for row, begin in enumerate((r, t)):
            if first[begin].size and second[t].size:
                found[0, row, t] = angles(first[begin], second[t]).mean()
            found[1, row, t] = _squared(one.means[begin] - other.means[t]) / spread[r]
    return found


def _across(crossed: np.ndarray, origin: np.ndarray) -> pairs.Variables:
    """Distances between the reference on one half of the examples and t on the other, and their floor."""
    found: pairs.Variables = {}
    for name, unit, (across, still) in zip(("subspace_angle", "shift_across"), ("rad", "1"), crossed, strict=True):
        floor = np.where(origin >= 0, np.concatenate([still, still[:, np.maximum(origin, 0)]]), np.nan)
        of = f"{name}_floor"
        judged = beside(of, across.mean(0), floor, "snapshot", units=unit, family=False)
        found |= {key.replace(f"{of}_null", of): one for key, one in judged.items()}
        found[name] = found.pop(of)
    return found


def _leading(gram: np.ndarray, components: int) -> np.ndarray:
    """The leading directions [unit, component] of centered activations, from their products [unit, unit]: as many as have variance."""
    width = len(gram)
    size, vectors = linalg.eigh(gram, subset_by_index=[width - components, width - 1], check_finite=False)
    return vectors[:, size > size[-1] * width * np.finfo(float).eps]


# On a page.


@of(drift).on("layer")
def _drift(at: Any) -> xr.Dataset:
    return drift(at.points, components=min(5, at.acts.sizes[at.axis]))


@of(drift).on("layer", "without the first component")
def _apart(at: Any) -> xr.Dataset:
    return drift(at.acts.isel(snapshot=sorted({0, at.acts.sizes["snapshot"] - 1})), components=1, without=1)


of(drift).picture(
    "drift",
    "The layer compared with itself at the last snapshot, on the same images. Strong color: change of shape, of the images' distances "
    "from each other. Faint: rotation, which keeps them. CKA 1, Procrustes distance 0: the same shape. Bottom: mean angle between the "
    "axes of largest variance and those at the end.",
)


# Phantoms.


def _at_start(variable: str) -> Callable[[xr.Dataset], Any]:
    return lambda found: found[variable][0]


_calibrated = partial(of(drift).calibrated_on, components=2, draws=DRAWS)


@_calibrated(
    "a layer that only rotated",
    lambda acts: 1 - max(np.vdot(acts[0], acts[1]) / 4, 0.0) ** 2,
    1e-12,
    empty="unrelated snapshots; CKA with p < 0.05",
    read="rotation",
    alarm=_at_start("cka_shown"),
    name="drift: rotation",
)
def _only_rotated(seed: int, planted: bool) -> xr.DataArray:
    x = whitened(seed, 60, 8)[:, :4]
    return as_acts(np.stack([x @ turned(seed, 4), x])) if planted else unlike(seed)


@_calibrated(
    "half of the variance in new directions of the examples: 0.5",
    0.5,
    1e-12,
    empty="unrelated snapshots; function with p < 0.05",
    read="function",
    alarm=_at_start("function_shown"),
    name="drift: change of function",
)
def _half_new(seed: int, planted: bool) -> xr.DataArray:
    x = whitened(seed, 60, 8)
    return as_acts(np.stack([(x[:, :4] + x[:, 4:]) / np.sqrt(2), x[:, :4]])) if planted else unlike(seed)


@_calibrated(
    "one of two leading directions replaced: pi / 4",
    np.pi / 4,
    0.01,
    empty="an unchanged snapshot; above its floor",
    read="subspace_angle",
    alarm=_at_start("subspace_angle_floor_shown"),
    name="drift: angle over its floor",
    unit="rad",
)
def _replaced(seed: int, planted: bool) -> xr.DataArray:
    """Two of six directions that carry nearly all variance, one of them turned by 90 degrees: mean angle pi / 4. Or two snapshots
    whose second differs by a little noise in each example, in no direction more than in another.
    """
    if planted:
        x = whitened(seed, 400, 6) * [4, 2, 0.1, 0.1, 0.1, 0.1]
        return as_acts(np.stack([x[:, [0, 2, 1, 3, 4, 5]], x]))
    x = normal(seed, 100, 6) * np.linspace(3, 0.5, 6)
    return as_acts(np.stack([x, x + 0.05 * normal(seed + 10**6, 100, 6)]))
