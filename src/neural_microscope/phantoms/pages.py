"""Full pages of claims about networks without structure, and about networks with a planted answer.

Every rule is tested at the settings of a report: the same draws, families and correction.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..analysis.findings.population import claims_of
from ..analysis.look.looks import begun
from ..claim import Claim
from ..config import CNNConfig, MLPConfig, RecordConfig, TrainConfig
from ..data import Dataset, ImageSet, load
from ..measure import EMPTY_KINDS, UNTRAINED, rules
from ..models import CNN, MLP
from ..recording import Recorder
from ..run import Run
from ..statistics import ALPHA
from ..training import train

MLP_BUILD = MLPConfig(image_shape=(8, 8), hidden=(64, 32))
CNN_BUILD = CNNConfig(image_shape=(8, 8), channels=(8, 16), head=(16,))
IMAGES = 400
"""Training and test images of each network; every seed draws its own from scikit-learn's digits."""
RECORD = RecordConfig(per_octave=1, every_epoch=False, probe_size=IMAGES, norms_every=0)
EPOCHS = {"random labels": 200, "shuffled labels": 30, "true labels": 30}
"""Passes over the training images: enough to memorize random labels."""
CNN_EVERY = 4
"""Every n-th of the trained networks is a CNN."""
STREAM = 15
"""Separates these seeds from those of the measures, which are small integers."""

PLANTED = (1, 2, 8)
"""The number of the first hidden layer's 64 units that each carry a class alone, and of others that prefer one without effect."""
PLANTED_KINDS = tuple(f"{k} of 64" for k in PLANTED)
KINDS = (*EMPTY_KINDS, *PLANTED_KINDS, "true labels")
"""Empty networks, planted ones, and networks trained as usual."""

Counts = dict[str, list[float]]


def page(kind: str, seed: int) -> Counts:
    """A network of a kind, recorded, and its claims. Each rule: tests, the least p corrected within it, claims shown,
    and whether its settings
    allow one to be shown. For a planted network also each planted unit: the rule's name with ``, carries`` or ``, idle`` appended:
    units, the number claimed, the sum of their effects.
    """
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        made, planted = network(kind, seed)
        run = recorded(kind, seed, made, Path(folder) / "run")
        claims = claims_of(begun(run))
    found = {rule.name: counted([c for c in claims if c.rule == rule.name]) for _, rule in rules()}
    for name, units in planted.items():
        for rule in ("a unit matters", "a unit prefers a class"):
            asked = {c.unit: c for c in claims if c.rule == rule and c.hook_point == "layers.0.hook_post"}
            mine = [asked[unit] for unit in units if unit in asked]
            effects = [float(c.numbers[c.effect]) for c in mine]
            found[f"{rule}, {name}"] = [len(units), sum(c.shown for c in mine), sum(effects)]
    return found


def counted(claims: list[Claim]) -> list[float]:
    """[tests, least p corrected within the rule, claims shown, 1 if the draws allow a p low enough to be shown]."""
    tested = [c for c in claims if not math.isnan(c.p)]
    able = any(c.floor < ALPHA / len(rules()) / c.tests for c in tested)
    least = min((c.corrected for c in tested), default=1.0) / (len(rules()) if tested else 1)
    return [len(tested), least, sum(c.shown for c in claims), float(able)]


def network(kind: str, seed: int) -> tuple[MLP | CNN, dict[str, list[int]]]:
    """An untrained network of a kind, and its planted units."""
    if kind in PLANTED_KINDS:
        return plant(seed, PLANTED[PLANTED_KINDS.index(kind)])
    convolves = kind == "untrained CNN" or (kind not in UNTRAINED and seed % CNN_EVERY == CNN_EVERY - 1)
    return CNN(CNN_BUILD, seed) if convolves else MLP(MLP_BUILD, seed), {}


def images(kind: str, seed: int) -> Dataset:
    """Digits, redrawn for each seed and balanced over the classes; their labels permuted according to the kind."""
    digits, rng = load("digits"), np.random.default_rng([STREAM, seed])
    pixels = np.concatenate([digits.train.images, digits.test.images])
    labels = np.concatenate([digits.train.labels, digits.test.labels])
    order = ImageSet(pixels, labels).balanced_indices(2 * IMAGES, seed=seed)
    order = order[np.argsort(labels[order], kind="stable")]
    test, training = rng.permutation(order[::2]), rng.permutation(order[1::2])
    sides = {"train": labels[training], "test": labels[test]}
    for side in {"random labels": ("train", "test"), "shuffled labels": ("test",)}.get(kind, ()):
        sides[side] = rng.permutation(sides[side])
    return Dataset(
        f"digits, {kind}",
        ImageSet(pixels[training], sides["train"], name="digits"),
        ImageSet(pixels[test], sides["test"], name="digits"),
    )


def recorded(kind: str, seed: int, made: MLP | CNN, folder: Path) -> Run:
    """The network trained and recorded according to the kind."""
    epochs = 0 if kind in UNTRAINED else EPOCHS.get(kind, EPOCHS["true labels"])
    settings = TrainConfig(epochs=epochs, batch_size=64, learning_rate=3e-3, seed=seed)
    train(made, images(kind, seed), settings, observers=[Recorder(folder, RECORD)])
    return Run.open(folder)


def plant(seed: int, k: int) -> tuple[MLP, dict[str, list[int]]]:
    """An MLP in which, whatever training does, k units of the first layer each carry one class alone, and k others prefer one without
    effect: weights that would break this are 0 and get no gradient.

    A carrying unit starts as a ridge regression of its class on the pixels and is read by one unit of the second layer, which alone
    is read by the class's logit; neither is read by any other. An idle unit stays such a regression, and is read by none.
    """
    made, rng = MLP(MLP_BUILD, seed), np.random.default_rng([STREAM, seed, k])
    units, relays = rng.choice(64, 2 * k, replace=False), rng.choice(32, k, replace=False)
    classes = rng.choice(MLP_BUILD.classes, k, replace=False)
    carrying, idle = units[:k], units[k:]
    first, second, output = (
        made.get_parameter(f"{name}.weight") for name in ("layers.0.linear", "layers.1.linear", "output")
    )
    free = {id(w): torch.ones_like(w) for w in (first, second, output)}
    free[id(second)][:, units] = free[id(second)][relays] = 0
    free[id(output)][:, relays] = free[id(output)][classes] = 0
    free[id(first)][idle] = 0
    data = images("planted", seed).train
    with torch.no_grad():
        for w in (second, output):
            w.mul_(free[id(w)])
        for unit, label in zip(units, [*classes, *classes], strict=True):
            first[unit], made.get_parameter("layers.0.linear.bias")[unit] = regression(data, int(label))
        second[relays, carrying], output[classes, relays] = 1.0, 1.0
    free[id(second)][relays, carrying] = free[id(output)][classes, relays] = 1
    for w in (first, second, output):
        w.register_hook(_held(free[id(w)]))
    made.get_parameter("layers.0.linear.bias").register_hook(
        _held(1 - torch.isin(torch.arange(64), torch.tensor(idle)).float())
    )
    return made, {"carries": carrying.tolist(), "idle": idle.tolist()}


def _held(free: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * free


def regression(data: ImageSet, label: int, ridge: float = 10.0) -> tuple[Tensor, Tensor]:
    """Weights and bias that separate one class's images from the others; positive for the 15% of images that look most like it."""
    x, y = data.tensor().flatten(1), (data.label_tensor() == label).float()
    centered = x - x.mean(0)
    weights = torch.linalg.solve(centered.T @ centered + ridge * torch.eye(x.shape[1]), centered.T @ (y - y.mean()))
    weights = weights / (x @ weights).std()
    return weights, -torch.quantile(x @ weights, 0.85)
