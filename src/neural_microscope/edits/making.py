"""Edited copies of a network, each with the random edits of equal size that are its null."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax

from ..analysis import causal, selectivity
from ..changes import Ablate
from ..changes.change import Fork
from ..changes.units import incoming, outgoing, width
from ..config import ConfigError, TrainConfig
from ..data import Dataset, ImageSet
from ..errors import unknown
from ..hooks import activations
from ..interventions import steer
from ..models import Network
from ..statistics import random_directions
from ..training.feed import Feed, order_of
from ..training.population import train_branches

CHOSEN_ON = 1000
"""Training images at most on which units and shifts are chosen: no edit has seen the images that judge it."""

NEVER = 20.0
"""Nats below all other logits at which a class is as good as never predicted."""

Made = tuple[Network, Callable[[int, int], Iterator[Network]]]
"""(the edited copy, (draws, seed) -> networks after random edits of equal size)."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained network with its training."""

    model: Network
    data: Dataset
    config: TrainConfig
    seed: int = 0
    """Seed of the order of batches in which an edit trains on, and of a random choice of units."""


def two_classes(true: int, predicted: int) -> None:
    """A ConfigError unless the classes of a confusion differ."""
    require(true != predicted, f"a confusion has two classes; got {true} twice")


def check_classes(at: Subject, numbers: Sequence[int]) -> None:
    """A ConfigError for a class that there is not."""
    for number in numbers:
        require(0 <= number < at.data.classes, f"there are classes 0 to {at.data.classes - 1}; got {number}")


def require(condition: bool, text: str) -> None:
    """A ConfigError unless the condition holds."""
    if not condition:
        raise ConfigError(text)


# --- directions -------------------------------------------------------------------------------------------------------------


def steered(at: Subject, hook_point: str, direction: np.ndarray) -> Made:
    """A direction [unit] (or channel) added at a hook point; random ones of equal length."""
    with torch.no_grad():
        _, cache = at.model.run_with_cache(at.data.train.subset(slice(1)).tensor(), names_filter=hook_point)
    shape = tuple(cache[hook_point].shape[1:])
    require(
        len(direction) == shape[0], f"{hook_point} holds {shape[0]} units; the direction has {len(direction)} numbers"
    )

    def moved(by: np.ndarray) -> Network:
        edited = copy.deepcopy(at.model)
        by = np.broadcast_to(by.reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
        edited.add_hook(hook_point, steer(torch.from_numpy(by).float()), is_permanent=True)
        return edited

    def random(draws: int, seed: int) -> Iterator[Network]:
        return (moved(one * np.linalg.norm(direction)) for one in random_directions(draws, len(direction), seed))

    return moved(direction), random


def logits_moved(at: Subject, classes: Sequence[int], by: float) -> Made:
    """The logits of some classes lowered on every image."""
    return steered(at, "logits", np.where(np.isin(np.arange(at.data.classes), classes), -by, 0.0))


def logit_range(at: Subject) -> float:
    """The largest difference of two logits on one training image."""
    logits = logits_of(at.model, _some(at.data.train))
    return float((logits.max(1) - logits.min(1)).max())


def margin(at: Subject, images: ImageSet, true: int, predicted: int) -> float:
    """The fall of a logit after which half of the images of ``true`` that are predicted as ``predicted`` have that of ``true`` above it."""
    logits = logits_of(at.model, images)
    over = (logits[:, predicted] - logits[:, true])[logits.argmax(1) == predicted]
    require(len(over) > 0, f"no training image of class {true} is predicted as {predicted}: there is nothing to repair")
    return float(np.quantile(over, 0.5, method="higher")) * (1 + 1e-6)


# --- units ------------------------------------------------------------------------------------------------------------------


def widths(model: Network) -> list[int]:
    """The number of units, or channels, of each hidden layer."""
    return [width(model, layer) for layer in _layers(model)]


def most_harmful_ablated(
    at: Subject, images: ImageSet, labels: np.ndarray, layer: str | None, count: int, against: int | None = None
) -> Made:
    """The units ablated that serve the images most: their ablation lowers the mean log-probability of the labels most, or the logit of
    ``against`` most compared with that of the label.
    """
    layers = _layers(at.model)
    layer = layers[-1] if layer is None else layer
    require(bool(layers), "the network has no hidden layer, and so no units to ablate")
    if layer not in layers:
        raise unknown("hidden layer", layer, layers)
    size = width(at.model, layer)
    require(0 < count < size, f"{layer} has {size} units; units is {count}, it must be 1 to {size - 1}")
    chosen = np.random.default_rng(at.seed).permutation(len(images))[:CHOSEN_ON]
    found = causal.ablated_logits(at.model, images.subset(chosen), f"{layer}.hook_post")["ablated"].values
    own = np.arange(len(chosen)), labels[chosen]
    if against is None:
        harm = [-log_softmax(one, axis=1)[own].mean() for one in found]
    else:
        harm = [(one[own] - one[:, against]).mean() for one in found]
    worst = np.argsort(harm)[::-1][:count]

    def random(draws: int, seed: int) -> Iterator[Network]:
        rng = np.random.default_rng(seed)
        return (without(at.model, {layer: rng.choice(size, count, replace=False)}) for _ in range(draws))

    return without(at.model, {layer: worst}), random


def without(model: Network, units: dict[str, np.ndarray]) -> Network:
    """A copy with the units of some layers ablated: all weights that read them are 0, and without normalization their own too."""
    edited = copy.deepcopy(model)
    for layer, chosen in units.items():
        for unit in chosen.tolist():
            for place in outgoing(edited, layer, unit):
                place.zero_()
            for place in incoming(edited, layer, unit) if model.config.norm == "none" else ():
                place.zero_()
    return edited


def pruned(at: Subject, counts: Sequence[int], by: str, epochs: int) -> Made:
    """So many units of each hidden layer ablated, those last by a criterion, and the rest trained on."""
    sizes = dict(zip(_layers(at.model), widths(at.model), strict=True))

    def at_random(rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {
            layer: rng.choice(size, count, replace=False)
            for (layer, size), count in zip(sizes.items(), counts, strict=True)
        }

    def random(draws: int, seed: int) -> Iterator[Network]:
        rng = np.random.default_rng(seed)
        return iter(_retrained(at, [at_random(rng) for _ in range(draws)], epochs))

    if by == "random":
        chosen = at_random(np.random.default_rng(at.seed))
    else:
        images = _some(at.data.train)
        score = _effect if by == "effect" else _selectivity
        ranks = {
            layer: np.argsort(np.nan_to_num(score(at.model, images, f"{layer}.hook_post"), nan=-np.inf))
            for layer in sizes
        }
        chosen = {layer: ranks[layer][:count] for layer, count in zip(sizes, counts, strict=True)}
    return _retrained(at, [chosen], epochs)[0], random


def _effect(model: Network, images: ImageSet, point: str) -> np.ndarray:
    return causal.ablate_all(model, images, point, draws=1)["loss_increase"].values


def _selectivity(model: Network, images: ImageSet, point: str) -> np.ndarray:
    acts = activations(model, images, point)[point]
    acts = acts.mean(("row", "col")) if "row" in acts.dims else acts
    return selectivity.class_selectivity(acts, draws=1)["selectivity"].values


def _retrained(at: Subject, sets: Sequence[dict[str, np.ndarray]], epochs: int) -> list[Network]:
    """Copies without some units, trained on while these stay ablated; all in one stack."""
    found = [without(at.model, units) for units in sets]
    if epochs and found:
        config = replace(at.config, epochs=epochs)
        fork = Fork(0, 0, config, 0)
        held = [
            [
                Ablate(layer=layer, units=tuple(units.tolist())).observer(fork)
                for layer, units in one.items()
                if len(units)
            ]
            for one in sets
        ]
        feed = Feed(order_of(at.data, config, at.seed))
        train_branches(found, at.data, config, feeds=[feed] * len(found), observers=held)
    return [one.eval() for one in found]


# --- training on ------------------------------------------------------------------------------------------------------------


def trained_on(at: Subject, data: Dataset, changes: Sequence[Any], epochs: int) -> Made:
    """The network trained on; each tensor of its weights moved equally far in a random direction."""
    require(epochs > 0, f"epochs is {epochs}; training on needs 1 or more")
    edited, config = copy.deepcopy(at.model), replace(at.config, epochs=epochs)
    train_branches([edited], data, config, feeds=[Feed(order_of(data, config, at.seed), changes)])
    far = [
        float((new - old).detach().norm()) for new, old in zip(edited.parameters(), at.model.parameters(), strict=True)
    ]

    def random(draws: int, seed: int) -> Iterator[Network]:
        generator = torch.Generator().manual_seed(seed)
        return (_moved(at.model, far, generator) for _ in range(draws))

    return edited.eval(), random


@torch.no_grad()
def _moved(model: Network, far: Sequence[float], generator: torch.Generator) -> Network:
    edited = copy.deepcopy(model)
    for parameter, length in zip(edited.parameters(), far, strict=True):
        step = torch.randn(parameter.shape, generator=generator).to(parameter)
        parameter.add_(step * (length / step.norm()))
    return edited


# --- looks ------------------------------------------------------------------------------------------------------------------


def logits_of(model: Network, images: ImageSet) -> np.ndarray:
    """Logits, [example, class]."""
    return activations(model, images, "logits")["logits"].values.astype(float)


def _layers(model: Network) -> list[str]:
    return [f"layers.{number}" for number in range(len(model.layers))]


def _some(images: ImageSet) -> ImageSet:
    return images.balanced(min(CHOSEN_ON, len(images)))
