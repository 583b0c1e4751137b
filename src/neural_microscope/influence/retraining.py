"""The truth about influence: networks that were trained without the images, from their initialization on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, get_args

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from ..config import ConfigError
from ..data import Dataset
from ..doors import door
from ..errors import DataError, unknown
from ..models import Network, build
from ..run import Run
from ..training.epochs import Sampler
from ..training.feed import DataChange, Feed, order_of
from ..training.population import train_branches
from .targets import Activation, Asked, Target, asked, values
from .trained import data_of, runs_of, settings

Vary = Literal["both", "weights", "order"]
ANOTHER = 1_000_003
"""Added to a seed for another order of batches."""


class _Without(Feed):
    """The batches without some of their images. A network whose batch has none left takes no gradient from it."""

    def __init__(self, sampler: Sampler, kept: Tensor) -> None:
        super().__init__(sampler, [DataChange()])
        self.kept = kept

    def batch(self, step: int, indices: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        return images, labels, self.kept[indices]


@door
def retrain(
    run: Run,
    sets: Sequence[Any],
    targets: Target | Sequence[Target],
    *,
    seeds: int | Iterable[int] = 6,
    data: Dataset | None = None,
    vary: Vary = "both",
) -> xr.Dataset:
    """The targets of networks that are trained again without each set of images, once for every seed.

    Everything else is as in the run. A set's images have weight 0 in the loss of their batches, which is the mean over
    the others, so that all networks of a seed see the same batches in the same order and take as many steps; MLPs are
    trained 16 at a time. A seed sets the initial weights and the order of batches, or one of the two. For every seed
    one more network is trained on all images, and one on all images in another order.

    Which of the two varies is part of the question. Effects in networks that saw the same order agree much better than
    those in networks of other orders: part of what a set does, it does in this order only.

    Args:
        run: The run; of several that differ in their seeds, one.
        sets: Sets of numbers of training images, see `halves`, `alike` and `singles`.
        targets: Targets: `Prediction`, `Confusion`, `Activation`.
        seeds: Number of seeds, which then are not the run's own; or the seeds.
        data: The data of the run; None: the set that `load` knows by the recorded name.
        vary: What a seed sets: the initial weights (``weights``), in the run's order of batches; the ``order``, from the
            run's initial weights, so that units are the same; or ``both``.

    Returns:
        ``value`` [set, seed, target]; ``whole`` and ``reordered`` [seed, target], of networks trained on all images;
        ``size`` [set], the number of images left out.

    Raises:
        DataError: A set that is empty, holds everything, or numbers that no image has; a network that diverged.
        ConfigError: A unit as a target, and initial weights that vary; seeds that repeat.
        UnknownName: Another thing to vary.
        RunError: A run that can't be trained again, or other data.

    >>> found = nm.influence.retrain(
    ...     run, nm.influence.halves(digits.train, n=2), nm.influence.Prediction(0), seeds=1, data=digits
    ... )
    >>> dict(found["value"].sizes)
    {'set': 2, 'seed': 1, 'target': 1}
    """
    run = runs_of(run)[0]
    if vary not in get_args(Vary):
        raise unknown("thing to vary", vary, get_args(Vary))
    data = data_of(run, data)
    question = asked(targets, data.test)
    if vary != "order" and any(isinstance(target, Activation) for target in question.targets):
        raise ConfigError(
            "a unit of one initialization has nothing to do with that of another; give vary='order' for a target that is a unit"
        )
    chosen = _seeds(run, seeds)
    masks = [_kept(one, len(data.train)) for one in sets]
    if not masks:
        raise DataError("there is no set; give some, such as nm.influence.halves(data.train)")
    found = [_without(run, data, masks, question, seed, vary) for seed in chosen]
    whole, reordered = _with_all(run, data, question, chosen, vary)
    return xr.Dataset(
        {
            "value": (("set", "seed", "target"), np.stack(found, axis=1)),
            "whole": (("seed", "target"), whole),
            "reordered": (("seed", "target"), reordered),
            "size": ("set", [int((kept == 0).sum()) for kept in masks]),
        },
        {"seed": chosen, "target": question.names},
        {"vary": vary},
    )


def _seeds(run: Run, seeds: int | Iterable[int]) -> list[int]:
    own = run.description["model"]["seed"], settings(run).seed
    if isinstance(seeds, int):
        if seeds < 1:
            raise ConfigError(f"seeds is {seeds}; it must be 1 or more")
        return [seed for seed in range(seeds + 2) if seed not in own][:seeds]
    found = [int(seed) for seed in seeds]
    if not found or len({*found}) < len(found):
        raise ConfigError(f"seeds are {found}; give some, each once")
    return found


def _kept(images: Any, count: int) -> Tensor:
    """1 for the images that are kept, 0 for those of the set, [example]."""
    numbers = np.atleast_1d(np.asarray(images))
    if numbers.size and (numbers.dtype.kind not in "iu" or numbers.ndim != 1):
        raise DataError(f"a set is {numbers.dtype} {list(numbers.shape)}; it must be numbers of training images")
    if not numbers.size or numbers.min() < 0 or numbers.max() >= count:
        raise DataError(f"a set must hold numbers from 0 to {count - 1}, at least one; got {numbers[:5].tolist()} …")
    kept = torch.ones(count)
    kept[torch.from_numpy(numbers.astype(np.int64))] = 0
    if not kept.any():
        raise DataError(f"a set holds all {count} training images; nothing is left to train on")
    return kept


def _start(run: Run, seed: int, vary: Vary) -> Network:
    """A network before its first step."""
    if vary != "order":
        return build(run.config, seed)
    model = build(run.config, run.description["model"]["seed"])
    if 0 in run.steps:
        model.load_state_dict(run.weights(0))
    return model


def _order(run: Run, data: Dataset, seed: int, vary: Vary) -> Sampler:
    config = settings(run)
    return order_of(data, config, config.seed if vary == "weights" else seed)


def _without(run: Run, data: Dataset, masks: list[Tensor], question: Asked, seed: int, vary: Vary) -> np.ndarray:
    """[set, target]"""
    config = settings(run)
    order = _order(run, data, seed, vary)
    given = (
        masks if len(masks) > 1 else 2 * masks
    )  # at least two, so that they are trained together where that is possible
    models = [_start(run, seed, vary) for _ in given]
    told = train_branches(models, data, config, feeds=[_Without(order, kept) for kept in given])
    return np.stack([_value(question, *pair) for pair in zip(models, told, strict=True)][: len(masks)])


def _with_all(run: Run, data: Dataset, question: Asked, seeds: list[int], vary: Vary) -> tuple[np.ndarray, np.ndarray]:
    """The targets of networks trained on all images, in the seed's order and in another, both [seed, target]."""
    config = settings(run)
    models = [_start(run, seed, vary) for _ in range(2) for seed in seeds]
    orders = [_order(run, data, seed, vary) for seed in seeds]
    orders += [order_of(data, config, seed + ANOTHER) for seed in seeds]
    told = train_branches(models, data, config, feeds=[Feed(order) for order in orders])
    found = np.stack([_value(question, *pair) for pair in zip(models, told, strict=True)])
    return found[: len(seeds)], found[len(seeds) :]


def _value(question: Asked, model: Network, told: Any) -> np.ndarray:
    if told.status != "finished":
        raise DataError(f"a retrained network {told.status}, so that it has no value; lower the learning rate")
    return values(question, model.cpu())
