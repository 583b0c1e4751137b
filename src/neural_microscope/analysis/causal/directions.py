"""Norm-matched random directions: the control for ablation and patching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
import xarray as xr
from scipy.interpolate import CubicSpline
from torch import Tensor, nn

from ...data import ImageSet
from ...errors import DataError, unknown
from ...hooks import evaluation, hooked
from ...measure import measure
from ...statistics import random_directions
from .downstream import Downstream, batches, lengths, numbers

Within = Literal["space", "orthant"]
WITHIN = ("space", "orthant")

DRAWS, DRAWS_OF_FLAT_MAPS, DRAWS_OF_MAPS, DRAWS_OF_MAPS_INSIDE = 1000, 499, 149, 39
"""Random directions of a null: for units; for channels that enter a dense layer, or a convolution; for channels within the orthant, where
each draw passes a whole map. The time of a forward pass sets these numbers.
"""

IMAGES = 100
"""The number of images for nulls whose draws can't be shared by units or strengths: each draw is a separate pass."""

STRENGTHS = 3
"""Strengths at which each direction is evaluated for an image; between them the effect is a cubic spline."""


@measure(
    "causal",
    title="Ablation of random directions",
    null="it is the null",
    replicates="direction",
    interval="none",
    source="norm-matched control of zero ablation (Morcos et al. 2018 ablate units without one)",
)
def ablate_directions(
    model: nn.Module,
    images: ImageSet,
    hook_point: str,
    *,
    draws: int | None = None,
    directions: np.ndarray | None = None,
    within: Within = "space",
    seed: int = 0,
) -> xr.Dataset:
    """Loss increase along random directions, each image moved as far as ablating a unit moves it (zero ablation).

    A draw is a vector of unit length over the units, uniform and the same for all images. For a dense layer it is
    multiplied by the norm of the change that ablation makes on each image. For feature maps it mixes channels: the
    change that ablation makes on each image, a map Δ, enters as g ⊗ Δ, so each image keeps the norm and the spatial
    pattern (white noise of the same norm would be averaged away by the next kernel). All are measured where the hook
    point enters the next layer: after the pooling, for channels.

    A direction may lead below 0, out of the orthant in which activations after a ReLU lie. ``within="orthant"`` gives
    draws that stay in it: each image moves along the direction, an activation stops where it reaches 0, and the step is
    lengthened until its norm is the unit's (as far as possible where only 0 lies ahead).

    Of maps and within the orthant, where every draw is a separate forward pass, the draws are evaluated on 100 of the
    images, drawn at random, and their distance to the unit's effect is measured there. For units the effect is computed
    at 3 strengths up to each image's longest and interpolated by a cubic spline.

    Args:
        model: Network, or any torch module.
        images: Images with labels.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
        draws: Number of directions; None: 1000 of units, 149 of channels (499 where they enter a dense layer, 39 within
            the orthant).
        directions: Directions [draw, unit] to use instead, scaled to unit length; None: random ones.
        within: ``space``: a direction may lead below 0; ``orthant``: activations stop where they reach 0.
        seed: Seed of the directions, and of the images drawn for maps and within the orthant.

    Returns:
        ``loss_increase`` [draw, unit] (nats, mean over images) and ``norm`` [unit], the mean norm of the change that
        ablation makes; exactly 0 for a dead unit.

    Raises:
        DataError: Directions of the wrong shape or length 0, or ``within="orthant"`` where activations are negative;
            otherwise as `ablate_all`.

    >>> null = nm.analysis.causal.ablate_directions(model, digits.test, "layers.1.hook_post", draws=20)
    >>> null["loss_increase"].dims, null.sizes["draw"]
    (('draw', 'unit'), 20)
    """
    null = Directions(len(images), seed, draws, within, directions)
    total, norms = [], []
    with torch.no_grad(), evaluation(hooked(model)):
        for _, down, labels in batches(model, images, hook_point):
            zeros = torch.zeros_like(down.acts)
            change, norm = down.effects(zeros, losses(labels))
            norms.append(norm)
            total.append(null.sums(down, [zeros], change, norm, losses_of(labels)))
    return xr.Dataset(
        {
            "loss_increase": (("draw", down.axis), np.sum(total, axis=0) / len(images), {"units": "nats"}),
            "norm": (down.axis, np.concatenate(norms, axis=1).mean(1), {"units": "1"}),
        },
        attrs={"null": "this is one: " + null.words(down)},
    )


@dataclass(frozen=True)
class Directions:
    """A null of random directions: their number, seed, the number of ``images``, and the allowed region."""

    images: int
    seed: int
    draws: int | None = None
    within: Within = "space"
    given: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.within not in WITHIN:
            raise unknown("region for random directions", self.within, WITHIN)
        if self.draws is not None and self.draws < 1:
            raise DataError(f"{self.draws} random directions; a null needs at least 1")

    def sums(
        self,
        down: Downstream,
        values: Iterable[Tensor],
        change: np.ndarray,
        norms: np.ndarray,
        score: Callable[[Tensor], Callable[[Tensor], Tensor]],
    ) -> np.ndarray:
        """The change of a score summed over a batch's examples, [draw, unit], when each moves as far as a unit's change moves it.

        ``values``: replacement values of the units [example, unit, …], once or in several sets, which the draws use in turn;
        ``change`` and ``norms`` [unit, example]: of the score, and of the input to the next map. ``score``: examples -> (their logits
        [k, example, class] -> [k, example]).
        """
        directions, n = self.of(down), len(down.base)
        index, maps = np.arange(n), down.acts.ndim == 4
        if not maps and self.within == "space":  # all units share each draw
            return matched(down, norms, directions, score(torch.from_numpy(index).to(down.base.device)), down.along)
        size = max(1, round(n * min(1, IMAGES / self.images)))
        if size < n:
            index = np.sort(np.random.default_rng(self.seed).choice(n, size, replace=False))
        some = torch.from_numpy(index).to(down.base.device)
        part = down if size == n else down.some(some)
        if maps:
            moves = [part.move(slice(None), one[some]) for one in values]
            found = _mixed(part, moves, directions, score(some), self.within == "orthant")
        else:
            found = matched(part, norms[:, index], directions, score(some), partial(_along_inside, part))
        own = change[:, index].sum(1)
        return (found - own) * (n / size) + change.sum(1)

    def of(self, down: Downstream) -> Tensor:
        """The directions, of unit length: [draw, unit]."""
        if self.given is None:
            drawn = random_directions(self.count(down), down.units, self.seed)
        else:
            drawn = np.asarray(self.given, float)
            if drawn.shape[1:] != (down.units,):
                raise DataError(f"directions have shape {drawn.shape}; they must be [draw, {down.units}]")
            length = np.linalg.norm(drawn, axis=1, keepdims=True)
            if not (length > 0).all():
                raise DataError("a direction has length 0, or is not finite")
            drawn = drawn / length
        return torch.from_numpy(drawn).to(down.base)

    def count(self, down: Downstream) -> int:
        if self.given is not None:
            return len(self.given)
        if down.acts.ndim == 2 or self.draws:
            return self.draws or DRAWS
        if self.within == "orthant":
            return DRAWS_OF_MAPS_INSIDE
        return DRAWS_OF_FLAT_MAPS if down.base.ndim == 2 else DRAWS_OF_MAPS

    def words(self, down: Downstream) -> str:
        """The null in words, with the number of draws and of images."""
        maps = down.acts.ndim == 4
        what = (
            "directions, each a weighted sum of all channels' maps that contains the unit's own map,"
            if maps
            else "directions"
        )
        where = (
            "stopping at 0" if self.within == "orthant" else "some lead activations below 0, where a ReLU's never are"
        )
        some = f", on {IMAGES} of the images" if (maps or self.within == "orthant") and self.images > IMAGES else ""
        return (
            f"{self.count(down):,} random {what} of the same norm for each image{some}"
            f"{'' if self.within == 'space' and bool((down.acts < 0).any()) else f' ({where})'}"
        )


def _mixed(
    down: Downstream, moves: list[Tensor], mixes: Tensor, score: Callable[[Tensor], Tensor], inside: bool
) -> np.ndarray:
    """The change of ``score`` summed over the examples, [draw, unit], when each unit's move enters through each mix [draw, unit] of the
    units; within the orthant if ``inside``.
    """
    base, found = score(down.logits[None]), np.zeros((len(mixes), down.units))
    enter = partial(_entered_inside, down, inside_only(down.entering(down.acts))) if inside else down.entered
    for turn, move in enumerate(moves):
        mine = found[turn :: len(moves)]
        for unit in np.flatnonzero(numbers(lengths(move)).any(1)):
            for some, logits in enter(move[:, unit : unit + 1], mixes[turn :: len(moves)]):
                mine[some, unit] = numbers(score(logits) - base).sum(1)
    return found


def matched(
    down: Downstream,
    norms: np.ndarray,
    directions: Tensor,
    score: Callable[[Tensor], Tensor],
    along: Callable[[Tensor, Tensor], Iterator[tuple[slice, Tensor]]],
) -> np.ndarray:
    """The change of ``score`` summed over the examples, [draw, unit], when each example moves along a direction by the
    ``norms`` [unit, example] of that unit. ``score``: logits [strength, example, class] -> [strength, example]. ``along``: as
    `Downstream.along`.
    """
    top = norms.max(0)
    nodes = (np.arange(STRENGTHS + 1) / STRENGTHS) ** 1.5  # denser near 0, where most units are
    shares = np.divide(norms, top, out=np.zeros_like(norms), where=top > 0)
    weights = CubicSpline(nodes, np.eye(len(nodes)))(shares)[
        ..., 1:
    ]  # of each node beyond 0, [unit, example, strength]
    base = score(down.logits[None])
    at = torch.from_numpy(np.outer(nodes[1:], top)).to(down.base)
    found = []
    for _, logits in along(directions, at):
        moved = score(logits.flatten(0, 1)) - base
        found.append(numbers(moved).reshape(len(logits), -1))
    return np.concatenate(found) @ np.moveaxis(weights, 2, 1).reshape(len(weights), -1).T


def inside_only(entering: Tensor) -> Tensor:
    """The input to the next map, if it lies in the orthant; otherwise a DataError."""
    if bool((entering < 0).any()):
        raise DataError(
            f"within='orthant' is for activations that are never negative, as after a ReLU; here they go down to "
            f"{float(entering.min()):.3g}. Use within='space'"
        )
    return entering


def kept_inside(entering: Tensor, way: Tensor, length: Tensor) -> Tensor:
    """The move [..., entry] from ``entering`` [..., entry] ≥ 0 along ``way`` [..., entry], on which an entry stops when it reaches 0,
    with norm ``length`` [...]; shorter only where every entry has stopped.

    Given an estimate of the distance, the entries beyond 0 have a known norm and the others grow with the distance, which gives the next
    estimate. Each is at most the solution, and the set of stopped entries only grows, so it terminates at the solution.
    """
    norm = way.norm(dim=-1)
    far = torch.where(norm > 0, length / norm, 0.0)
    for _ in range(way.shape[-1] + 1):
        stopped = entering + far[..., None] * way < 0
        gone = torch.where(stopped, entering, 0.0).square().sum(-1)
        pace = torch.where(stopped, 0.0, way).square().sum(-1)
        farther = torch.where(pace > 0, ((length.square() - gone).clamp(min=0) / pace).sqrt(), far)
        if bool((farther <= far * (1 + 1e-6)).all()):
            break
        far = torch.maximum(far, farther)
    return (entering + far[..., None] * way).clamp(min=0) - entering


def _along_inside(down: Downstream, directions: Tensor, strengths: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """`Downstream.along` within the orthant."""
    entering = inside_only(down.entering(down.acts))
    for number, direction in enumerate(directions):
        added = [down.change(one, slice(None)) for one in kept_inside(entering, direction, strengths)]
        yield slice(number, number + 1), torch.stack([down.finish(down.base + one) for one in added])[None]


def _entered_inside(down: Downstream, entering: Tensor, move: Tensor, mixes: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """`Downstream.entered` within the orthant, of one unit's move."""
    length, flat = lengths(move)[0], entering.flatten(1)
    for number, mix in enumerate(mixes):
        way = (move * mix.reshape(-1, *(1,) * (move.ndim - 2))).flatten(1)
        moves = kept_inside(flat, way, length).reshape(entering.shape)
        logits = down.finish(down.base + down.change(moves, slice(None)))
        yield slice(number, number + 1), torch.where(length[:, None] > 0, logits, down.logits)[None]


def losses(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """logits [k, example, class] -> cross-entropy [k, example]."""
    return lambda logits: nn.functional.cross_entropy(
        logits.movedim(-1, 1), labels.expand(len(logits), -1), reduction="none"
    )


def losses_of(labels: Tensor) -> Callable[[Tensor], Callable[[Tensor], Tensor]]:
    """`losses` of some of the examples, by their indices."""
    return lambda index: losses(labels[index])


def right(labels: Tensor) -> Callable[[Tensor], Tensor]:
    """logits [k, example, class] -> true where the class with the highest logit (of equal ones the first) is the label."""

    def read(logits: Tensor) -> Tensor:
        at = labels.expand(len(logits), -1)[..., None]
        own = logits.gather(-1, at)[..., 0]
        rival = logits.scatter(-1, at, -torch.inf).amax(-1)  # many times faster than argmax, which is not vectorized
        return logits.argmax(-1) == labels if (own == rival).any() else own > rival

    return read
