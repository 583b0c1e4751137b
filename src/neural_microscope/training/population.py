"""Networks of several seeds: one after the other, or all at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor, nn

from ..config import MLPConfig, NetworkConfig, TrainConfig
from ..data import Dataset
from ..doors import door
from ..errors import DataError, unknown
from ..models import Network, build
from .feed import Fed, Feed, Feeds
from .loop import History, Observer, check, fit, placed, train
from .mapped import mapped
from .stacked import stacked
from .together import GROUP, Resumed, Stack, Step, train_in_place, train_together

Order = Literal["own", "shared"]


@door
def train_population(
    config: NetworkConfig,
    data: Dataset,
    train_config: TrainConfig | None = None,
    *,
    seeds: Iterable[int],
    order: Order = "own",
    observers: Callable[[int], Sequence[Observer]] | None = None,
) -> dict[int, tuple[nn.Module, History]]:
    """One trained network and its history for each seed, by seed.

    A shared order hides the variation that order brings, and lets networks be trained together, 16 at a time, which
    gives the numbers of `train` up to rounding (see `together`): plain MLPs as stacked products at a fraction of the
    cost, MLPs with layer normalization by ``torch.func``. What `way` has none for is trained one after the other,
    exactly as by `train`.

    Args:
        config: Settings of the network.
        data: Training and test images.
        train_config: Settings of training; None: the defaults of `TrainConfig`.
        seeds: Seeds, each once.
        order: ``own``: a seed sets both the initial weights and the order of batches. ``shared``: only the weights, and
            all see the batches of ``train_config.seed``.
        observers: Function of the seed that gives that network's observers, for example ``lambda seed:
            [nm.Recorder(f"runs/mlp-{seed}")]``. A folder that one can't write into is its error before anything is
            trained.

    Raises:
        DataError: Seeds repeat, or two would be recorded into one folder.
        UnknownName: Another order.

    >>> small = nm.MLPConfig(image_shape=(8, 8), hidden=(16,))
    >>> list(nm.train_population(small, digits, nm.TrainConfig(epochs=1), seeds=range(2), order="shared"))
    [0, 1]
    """
    if order not in get_args(Order):
        raise unknown("order", order, get_args(Order))
    seeds = list(map(operator.index, seeds))
    if len(set(seeds)) != len(seeds):
        raise DataError(f"seeds repeat: {seeds}; each network of a population has its own")
    training = placed(train_config or TrainConfig())
    watching = {seed: list(observers(seed)) if observers else [] for seed in seeds}
    _claim(watching)
    population: dict[int, tuple[nn.Module, History]] = {}
    shared = order == "shared" and len(seeds) > 1 and data.task == "classification"
    together = way(config, training) if shared else None
    if together is not None:
        for first in range(0, len(seeds), GROUP):
            group = seeds[first : first + GROUP]
            models = [build(config, seed) for seed in group]
            told = train_together(models, data, training, [watching[seed] for seed in group], together)
            population |= dict(zip(group, zip(models, told, strict=True), strict=True))
        return population
    for seed in seeds:
        model = build(config, seed)
        own = replace(training, seed=seed) if order == "own" else training
        population[seed] = (model, train(model, data, own, observers=watching[seed]))
    return population


def _claim(watching: Mapping[int, Sequence[Observer]]) -> None:
    """Tests the folders in which the networks will be recorded."""
    claimed: dict[Path, int] = {}
    for seed, observers in watching.items():
        for folder in filter(None, (observer.claim() for observer in observers)):
            if folder in claimed:
                raise DataError(
                    f"seeds {claimed[folder]} and {seed} would both be recorded into {folder}; give each its own"
                )
            claimed[folder] = seed


@door
def continue_in_place(
    model: Network,
    data: Dataset,
    config: TrainConfig,
    observers: Sequence[Observer],
    place: tuple[int, int],
    resume_from: tuple[int, dict[str, Tensor]] | None = None,
) -> History:
    """The history of one network of a population that was trained together, continued in its place among copies.

    Args:
        model: The network, with the weights to continue from.
        data: Training and test images.
        config: Settings of training.
        observers: Callbacks, in this order.
        place: (its number, of how many).
        resume_from: (optimizer steps done, `Training.state` at that point); None: from the beginning.

    Raises:
        DataError: A kind of network that this release trains with no others.
    """
    together = way(model.config, placed(config))
    if together is None:
        raise DataError(
            f"the network was trained together with {place[1] - 1} others, which this release does with none of its kind"
        )
    return train_in_place(model, data, config, observers, together, place, resume_from)


@door
def train_branches(
    models: Sequence[Any],
    data: Dataset,
    config: TrainConfig,
    *,
    feeds: Sequence[Feed],
    observers: Sequence[Sequence[Observer]] = (),
    resume_from: Sequence[Resumed] = (),
    apart: bool = False,
    at_once: int = GROUP,
) -> list[History]:
    """Trains networks of one config in place, each on batches of its own: together, some at a time, where `way` has one for them,
    otherwise one after the other, and returns the history of each.

    Args:
        models: The networks.
        data: Training and test images.
        config: Settings of training, the same for all.
        feeds: What each is trained on.
        observers: Callbacks of each; empty: none.
        resume_from: (optimizer steps done, `Training.state` at that point) of each; empty: from the beginning.
        apart: True if an observer changes the rate or the weight decay of single networks.
        at_once: The number of networks in a stack.
    """
    config, watching = placed(config), observers or [()] * len(models)
    alike = len(models) > 1 and all(isinstance(model, Network) for model in models)
    alike = alike and all(parameter.requires_grad for parameter in models[0].parameters())
    together = way(models[0].config, config) if alike else None
    told: list[History] = []
    for first in range(0, len(models), at_once if together else 1):
        group = slice(first, first + (at_once if together else 1))
        one, resumed = models[first], resume_from[group]
        if together is not None and len(models[group]) > 1:
            source = Feeds(data, config, feeds[group], one.to(config.device))
            told += train_together(
                models[group],
                data,
                config,
                watching[group],
                together,
                source=source,
                resume_from=resumed,
                apart=apart,
            )
        else:
            check(one, data)
            fed = partial(Fed, data, config, feeds[first], one)
            told.append(fit(one, data, config, fed, watching[first], resumed[0] if resumed else None))
    return told


def way(network: NetworkConfig, training: TrainConfig) -> Callable[[Stack], Step] | None:
    """The method for training networks of this kind together; None if there is none.

    Dropout would draw other masks than training alone, and batch normalization keeps running averages. Convolutions mapped over seeds
    take three times as long as one network after the other on a CPU (docs/log.md); on a GPU they are mapped, unmeasured.
    """
    if training.precision != "float32" or network.norm == "batch" or network.dropout:
        return None
    if isinstance(network, MLPConfig):
        return stacked if network.norm == "none" else mapped
    return None if training.device == "cpu" else mapped
