"""Targets of influence: a prediction, a confusion, a unit. Each is a number that a network gives for test images."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..analysis.influence.tangents import margin
from ..config import ConfigError
from ..data import ImageSet
from ..doors import typed
from ..errors import unknown


class Target:
    """A number, or several, that a network gives for test images; the base of all. Each is the mean of `value` over its images."""

    @property
    def hook_point(self) -> str:
        """The hook point at which it is computed."""
        return "logits"

    def images_of(self, images: ImageSet) -> list[np.ndarray]:
        """The numbers of the test images of each of its numbers.

        Args:
            images: The test images.
        """
        raise NotImplementedError

    def names(self, images: ImageSet) -> list[str]:
        """The name of each of its numbers.

        Args:
            images: The test images.
        """
        raise NotImplementedError

    def value(self, tensor: Tensor, labels: Tensor) -> Tensor:
        """A number for each image, [example].

        Args:
            tensor: The value at the hook point, [example, …].
            labels: The images' classes, int64 [example].
        """
        raise NotImplementedError

    def likeness(self, images: ImageSet, labels: np.ndarray) -> np.ndarray:
        """The sign with which a similar training image counts for each number, [target, example]: the baseline by pixels.

        Args:
            images: The test images.
            labels: The classes of the training images.
        """
        raise NotImplementedError


@typed
@dataclass(frozen=True)
class Prediction(Target):
    """The margin or the loss of single test images.

    The margin is log p / (1 - p) of the image's class: its logit minus the logsumexp of the others. The loss is the
    cross-entropy, in nats.

    >>> nm.influence.Prediction((3, 8)).names(digits.test)
    ['margin of image 3', 'margin of image 8']
    """

    images: int | tuple[int, ...]
    """Numbers of test images, or one."""
    what: Literal["margin", "loss"] = "margin"
    """``margin`` or ``loss``."""

    def __post_init__(self) -> None:
        if self.what not in ("margin", "loss"):
            raise unknown("prediction", self.what, ("margin", "loss"))

    def images_of(self, images: ImageSet) -> list[np.ndarray]:
        return [np.array([number]) for number in _numbers(self.images, images)]

    def names(self, images: ImageSet) -> list[str]:
        return [f"{self.what} of image {number}" for number in _numbers(self.images, images)]

    def value(self, tensor: Tensor, labels: Tensor) -> Tensor:
        if self.what == "loss":
            return torch.nn.functional.cross_entropy(tensor, labels, reduction="none")
        return margin(tensor, labels)

    def likeness(self, images: ImageSet, labels: np.ndarray) -> np.ndarray:
        own = np.asarray(images.labels)[_numbers(self.images, images)]
        return np.where(own[:, None] == labels, 1.0, -1.0) * (1 if self.what == "margin" else -1)


@typed
@dataclass(frozen=True)
class Confusion(Target):
    """The mean logit of a class over that of another, on the test images of the first: what keeps the two apart.

    >>> nm.influence.Confusion(4, 9).names(digits.test)
    ['4 over 9']
    """

    true: int
    """Number of the images' class."""
    predicted: int
    """Number of the class that it is confused with."""

    def images_of(self, images: ImageSet) -> list[np.ndarray]:
        for number in (self.true, self.predicted):
            if not 0 <= number < images.classes:
                raise ConfigError(f"there are classes 0 to {images.classes - 1}; got {number}")
        if self.true == self.predicted:
            raise ConfigError(f"class {self.true} can't be confused with itself; give two classes")
        found = np.flatnonzero(np.asarray(images.labels) == self.true)
        if not len(found):
            raise ConfigError(f"the test images have none of class {self.true}")
        return [found]

    def names(self, images: ImageSet) -> list[str]:
        return [f"{images.class_name(self.true)} over {images.class_name(self.predicted)}"]

    def value(self, tensor: Tensor, labels: Tensor) -> Tensor:
        return tensor[:, self.true] - tensor[:, self.predicted]

    def likeness(self, images: ImageSet, labels: np.ndarray) -> np.ndarray:
        return ((labels == self.true) * 1.0 - (labels == self.predicted))[None]


@typed
@dataclass(frozen=True)
class Activation(Target):
    """The mean activation of a unit (or channel) over test images.

    Units of different initializations have nothing in common: verify it with ``vary="order"``.

    >>> nm.influence.Activation("layers.1", 3, images=8).names(digits.test)
    ['layers.1 unit 3 on image 8']
    """

    layer: str
    """The layer: ``layers.1``."""
    unit: int
    """Number of the unit or channel."""
    images: int | tuple[int, ...] | None = None
    """Numbers of test images, or one; None: all."""

    @property
    def hook_point(self) -> str:
        return f"{self.layer}.hook_post"

    def images_of(self, images: ImageSet) -> list[np.ndarray]:
        return [np.arange(len(images)) if self.images is None else np.array(_numbers(self.images, images))]

    def names(self, images: ImageSet) -> list[str]:
        numbers = [] if self.images is None else _numbers(self.images, images)
        on = "" if not numbers else f" on image {numbers[0]}" if len(numbers) == 1 else f" on {len(numbers)} images"
        return [f"{self.layer} unit {self.unit}{on}"]

    def value(self, tensor: Tensor, labels: Tensor) -> Tensor:
        if not 0 <= self.unit < tensor.shape[1]:
            raise ConfigError(f"{self.layer} has units 0 to {tensor.shape[1] - 1}; got {self.unit}")
        return tensor[:, self.unit].flatten(1).mean(1) if tensor.ndim > 2 else tensor[:, self.unit]

    def likeness(self, images: ImageSet, labels: np.ndarray) -> np.ndarray:
        return np.ones((1, len(labels)))


def prediction_of(name: str) -> tuple[int | None, int]:
    """The test image that a target's name is about, and 1 or -1, the sign with which a rise of the target helps its prediction.

    None and 0 for a target that is no image's prediction. A confusion's rise keeps its classes apart: 1.

    Args:
        name: One of `Target.names`.
    """
    single = re.fullmatch(r"(margin|loss) of image (\d+)", name)
    if single:
        return int(single[2]), 1 if single[1] == "margin" else -1
    return None, int(re.search(r" unit \d+", name) is None)


class Asked(NamedTuple):
    """Targets, with what all of them need of the test images."""

    targets: tuple[Target, ...]
    images: ImageSet
    """The test images that any target needs."""
    means: tuple[np.ndarray, ...]
    """For each target the weight of each of ``images`` in each of its numbers, [number, example]."""
    names: list[str]


def asked(targets: Target | Sequence[Target], images: ImageSet) -> Asked:
    """The targets, checked."""
    each = (targets,) if isinstance(targets, Target) else tuple(targets)
    if not each:
        raise ConfigError("there is no target; give one, such as nm.influence.Prediction((0, 1, 2))")
    groups = [target.images_of(images) for target in each]
    used = np.unique(np.concatenate([numbers for group in groups for numbers in group]))
    means = tuple(np.stack([np.isin(used, numbers) / len(np.unique(numbers)) for numbers in group]) for group in groups)
    return Asked(each, images.subset(used), means, [name for target in each for name in target.names(images)])


def values(question: Asked, model: Any) -> np.ndarray:
    """Each number of a network, float64 [target]."""
    labels = question.images.label_tensor()
    points = sorted({target.hook_point for target in question.targets})
    with torch.no_grad():
        _, cache = model.eval().run_with_cache(question.images.tensor(), names_filter=points)
        found = [
            means @ target.value(cache[target.hook_point].cpu(), labels).double().numpy()
            for target, means in zip(question.targets, question.means, strict=True)
        ]
    return np.concatenate(found)


def _numbers(given: int | tuple[int, ...], images: ImageSet) -> list[int]:
    numbers = [given] if isinstance(given, int) else list(given)
    for number in numbers:
        if not 0 <= number < len(images):
            raise ConfigError(f"test images are 0 to {len(images) - 1}; got {number}")
    if not numbers or len({*numbers}) < len(numbers):
        raise ConfigError(f"images are {tuple(numbers)}; give numbers of test images, each once")
    return numbers
