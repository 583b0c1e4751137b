"""Class selectivity of a layer's units compared with that of other directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import norm

from ... import named
from ...axes import unit_axis
from ...errors import DataError
from ...measure import measure, of
from ...statistics import beside, canonical_order, shuffles
from . import judging
from .planted import CLASSES, layer

Directions = xr.DataArray | np.ndarray

_WIDTH = 256


def _matrix(directions: Directions, axis: str, size: int) -> np.ndarray:
    if isinstance(directions, xr.DataArray):
        if axis not in directions.dims or directions.ndim != 2:
            raise DataError(f"directions have the axes {list(directions.dims)}; they must be [component, {axis}]")
        directions = directions.transpose(..., axis).values
    found = np.asarray(directions, np.float64)
    if found.ndim != 2 or found.shape[1] != size:
        raise DataError(f"directions have shape {found.shape} for {size} {axis}s; they must be [component, {size}]")
    if not np.isfinite(found).all():
        raise DataError("the directions are not all finite")
    return found


@measure(
    "selectivity",
    title="Units against other bases",
    null="{draws} random rotations of the layer's space, as many axes as the basis has",
    replicates="rotation",
    interval="null band only",
    family="none: one test a basis",
    source="Dey et al. 2020",
    place=250,
)
def basis_comparison(
    acts: xr.DataArray, directions: Mapping[str, Directions] | None = None, *, draws: int = 40, seed: int = 0
) -> xr.Dataset:
    """Class selectivity of single directions, [basis]: the units and other bases, compared with random rotations.

    Principal components hold more variance than random directions and so may separate classes better (Dey et al. 2020).

    Args:
        acts: Activations [snapshot, example, unit] (or channel, or without snapshots) with labels; of several snapshots
            the last.
        directions: Other bases by name, directions [component, unit] such as `geometry.pca`'s; None: the units alone.
        draws: Number of draws of the null (random rotations of the space); a p below 0.05 needs 40.
        seed: Seed of the null's draws, of the halves and of the shuffles of the labels.

    Returns:
        The coordinate ``basis`` starts with "units" (or "channels"). Directions that `class_selectivity` would gate are
        left out. Both measures are blind to a direction's sign and length, so that units, components and rotations
        compare.

        * ``auc``: mean over a basis's directions of the class AUC, class and sign chosen on each half of the examples
          and judged on the other (0.5..1 up to sampling error).
        * ``mutual_information``: mean of the information between activation and class, in 30 equal-count bins, minus
          its mean over 5 label shuffles, bits.
        * Of both ``…_null_low``, ``…_null_high``, ``…_p`` (two-sided), ``…_shown``: the same mean over as many axes of
          random rotations. Shown means that the units are a privileged basis, for better or worse.
        * ``…_by_component`` [basis, component]: each direction's own value, NaN beyond ``n_components`` [basis].

    Raises:
        DataError: No labels, or directions of another width or not finite.
    """
    acts = named.last(acts)
    axis = unit_axis(acts.dims)
    x, labels = judging.examples(acts)
    alive = np.ptp(x, axis=0) > 0
    bases = {f"{axis}s": x}
    for name, matrix in (directions or {}).items():
        bases[name] = x @ _matrix(matrix, axis, x.shape[1]).T
    split = judging.split(labels, seed)
    fakes = np.stack(list(shuffles(labels, 5, seed)))
    each = [_directions(z[:, ~judging.gated(z)], labels, fakes, split) for z in bases.values()]
    counts = np.array([len(auc) for auc, _ in each])
    null = _random(x[:, alive], labels, fakes, split, draws, seed)
    columns: dict[str, tuple[Any, ...]] = {}
    for number, (name, units) in enumerate((("auc", "1"), ("mutual_information", "bit"))):
        by = np.full((len(bases), counts.max(initial=1)), np.nan)
        for row, values in enumerate(each):
            by[row, : counts[row]] = values[number]
        chance = np.stack([_mean(null[number], count) for count in counts], 1)  # [draw, basis]
        value = np.array([_mean(values[number][None], len(values[number]))[0] for values in each])
        columns |= beside(name, value, chance, "basis", side="both", units=units, family=False)
        columns[f"{name}_by_component"] = (("basis", "component"), by, {"units": units})
    return xr.Dataset(
        {**columns, "n_components": ("basis", counts)},
        coords={"basis": list(bases)},
    )


def _mean(values: np.ndarray, count: int) -> np.ndarray:
    """The mean over the first ``count`` directions, [draw]; NaN if there are none."""
    return values[:, :count].mean(1) if count and values.shape[1] else np.full(len(values), np.nan)


def _random(
    x: np.ndarray, labels: np.ndarray, fakes: np.ndarray, split: tuple[np.ndarray, np.ndarray], draws: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """`_directions` along the axes of random rotations, [draw, direction] each; many rotations in parallel."""
    rng, size = np.random.default_rng(seed), x.shape[1]
    found: list[tuple[np.ndarray, np.ndarray]] = []
    at_once = max(1, _WIDTH // max(size, 1))
    for start in range(0, draws, at_once):
        count = min(at_once, draws - start)
        turns = np.linalg.qr(rng.standard_normal((count, size, size)))[0]
        found.append(_directions(x @ np.hstack(list(turns)), labels, fakes, split))
    auc, bits = (np.concatenate(parts).reshape(draws, size) for parts in zip(*found, strict=True))
    return auc, bits


def _directions(
    z: np.ndarray, labels: np.ndarray, fakes: np.ndarray, split: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(AUC of the class and sign chosen on the other half, corrected mutual information), each [direction]."""
    if not z.shape[1]:
        return np.empty(0), np.empty(0)
    classes = int(labels.max()) + 1
    found = judging.Sorted(z)
    raw, *chance = judging.information(judging.bins(found.ranks()), np.vstack([labels[None], fakes]), classes)
    return _best_auc(found, labels, classes, split), raw - np.mean(chance, 0)


def _auc(ranks: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    sums, counts = judging.class_sums(ranks, labels[None], classes)
    return judging.auc_by_class(sums[0], counts[0])


@lru_cache(maxsize=1)  # many networks of one width are compared
def _axes(draws: int, size: int, seed: int) -> np.ndarray:
    """The axes of random rotations side by side, [unit, direction]."""
    axes = np.hstack(list(np.linalg.qr(np.random.default_rng(seed).standard_normal((draws, size, size)))[0]))
    axes.flags.writeable = False
    return axes


@dataclass(frozen=True, eq=False)
class Rotated:
    """A layer's units, those that can be judged, and the axes of random rotations of its space, both sorted once for any labels."""

    units: judging.Sorted
    axes: judging.Sorted
    seed: int

    @classmethod
    def of(cls, acts: xr.DataArray, *, draws: int = 8, seed: int = 0) -> Rotated | None:
        """Of ``acts`` [example, unit] (or channel); None if no unit can be judged."""
        x = named.matrix(acts)
        z, alive = x[:, ~judging.gated(x)], x[:, np.ptp(x, axis=0) > 0]
        if not z.shape[1]:
            return None
        return cls(judging.Sorted(z), judging.Sorted(alive @ _axes(draws, alive.shape[1], seed)), seed)

    def gap(self, labels: np.ndarray, order: np.ndarray) -> float:
        """See `auc_gap`; ``order``: the `canonical_order` of the examples with these labels."""
        classes = int(labels.max()) + 1
        first, second = judging.split(labels[order], self.seed)
        split = order[first], order[second]
        units, axes = (_best_auc(side, labels, classes, split).mean() for side in (self.units, self.axes))
        return float(units - axes)


def auc_gap(acts: xr.DataArray, *, draws: int = 8, seed: int = 0) -> float:
    """Mean AUC of the units minus that of the axes of ``draws`` random rotations, the class and sign chosen on each half of the examples
    and judged on the other: -0.5..0.5. Above 0, single units are more class-selective than random directions. ``acts``
    [example, unit] (or channel) with the coordinate ``label``. NaN where no unit can be judged.
    """
    rotated, labels = Rotated.of(acts, draws=draws, seed=seed), named.labels(acts)
    return float("nan") if rotated is None else rotated.gap(labels, canonical_order(labels, named.matrix(acts)))


def _best_auc(z: judging.Sorted, labels: np.ndarray, classes: int, split: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """AUC of the class and sign chosen on each half and judged on the other, [direction]."""
    halves = [_auc(z.ranks(half), labels[half], classes) - 0.5 for half in split]
    found = []
    for chosen_on, judged_on in (halves, halves[::-1]):
        chosen = judging.highest(np.abs(chosen_on))
        found.append(np.sign(judging.of_class(chosen_on, chosen)) * judging.of_class(judged_on, chosen))
    return 0.5 + judging.both(found)


@of(basis_comparison).on("layer")
def _basis(at: Any) -> xr.Dataset:
    trained = at.trained
    components = of("geometry.pca").function(trained, components=min(trained.shape[1], trained.shape[0] - 1))
    return basis_comparison(trained, {"principal components": components["direction"]})


of(basis_comparison).picture("basis_comparison", part="units", more=True)


def _turned(seed: int, by: float, examples: int) -> tuple[xr.DataArray, np.ndarray]:
    """Four directions, one per class, rotated away from the units; and the rotation that recovers them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(examples) % CLASSES
    turn = np.linalg.qr(rng.standard_normal((CLASSES, CLASSES)))[0]
    return layer((rng.standard_normal((examples, CLASSES)) + by * np.eye(CLASSES)[labels]) @ turn), turn


@of(basis_comparison).calibrated_on(
    "one direction per class, rotated away from the units",
    norm.cdf(2 / np.sqrt(2)),
    0.02,
    empty="the same rotated at random; an alarm: units other than rotations, p < 0.05",
    read=lambda found: found["auc"][1],
    alarm="auc_shown",
    name="comparison of bases",
)
def _bases(seed: int, planted: bool) -> dict[str, Any]:
    if not planted:
        return {"acts": _turned(seed, 1.0, 80)[0], "draws": 40}
    acts, turn = _turned(seed, 2.0, 2000)
    return {"acts": acts, "directions": {"planted": turn}, "draws": 3}
