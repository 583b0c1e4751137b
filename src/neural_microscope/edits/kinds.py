"""The edits: each gives an edited copy of a network, random edits of equal size, and the training that would have led there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..changes import Withhold
from ..changes.change import Numbers
from ..config import CNNConfig, NetworkConfig
from ..data import Dataset, ImageSet
from ..doors import typed
from ..models import Network
from . import making
from .making import Subject

Random = Callable[[int, int], Iterator[Network]]
"""(draws, seed) -> networks after random edits of equal size."""

How = Literal["logit", "units", "train"]
Criterion = Literal["selectivity", "effect", "random"]


@dataclass(frozen=True)
class Edit:
    """An edit of a network; the base of all."""

    def apply(self, at: Subject) -> tuple[Network, Random]:
        """The edited copy, and networks after random edits of equal size.

        Args:
            at: A trained network with its training.
        """
        raise NotImplementedError

    def architecture(self, config: NetworkConfig) -> NetworkConfig:
        """The architecture of networks that are trained that way.

        Args:
            config: That of the network.
        """
        return config

    def training(self, data: Dataset) -> tuple[Dataset, Sequence[Any]]:
        """The data, and the changes of its batches, on which networks are trained that way.

        Args:
            data: Those of the network.
        """
        return data, ()

    def goal(self, images: ImageSet) -> np.ndarray:
        """For each image the class that the edit is to make rarer there, or -1, [example].

        Args:
            images: Images with labels.
        """
        return np.full(len(images), -1)

    def more(self, data: Dataset) -> ImageSet | None:
        """Training images that the edit is about; None: it is about classes.

        Args:
            data: Training and test images.
        """
        return None

    @property
    def trained(self) -> str:
        """The networks that are trained that way, in words: "trained without class 7"."""
        return "trained alike from other seeds"

    @property
    def aim(self) -> str:
        """The share that it is to lower, in words: "the share of images of class 4 predicted as 9"."""
        return ""

    @property
    def equal(self) -> str:
        """A random edit of equal size in words."""
        raise NotImplementedError


_EQUAL = {
    "logit": "a random direction of equal length added to the logits",
    "units": "as many random units ablated",
    "train": "every weight matrix and bias moved equally far in a random direction",
}


@typed
@dataclass(frozen=True)
class Forget(Edit):
    """A class, some classes, or a set of training images are forgotten.

    >>> nm.edits.Forget(7, how="train", epochs=3).trained
    'trained without class 7'
    """

    classes: Numbers | None = None
    """Numbers of classes; None: ``images``."""
    images: tuple[int, ...] | None = None
    """Numbers of training images; None: ``classes``."""
    how: How = "logit"
    """``logit``: their logits are switched off, so that the classes are never predicted. ``units``: the units are ablated whose
    ablation raises the loss of these images most. ``train``: the network is trained on without them."""
    units: int = 6
    """Number of units to ablate."""
    layer: str | None = None
    """Their layer, such as ``layers.1``; None: the last hidden layer."""
    epochs: int = 3
    """Epochs to train on."""

    def __post_init__(self) -> None:
        making.require((self.classes is None) != (self.images is None), "Forget takes classes= or images=, one of both")
        making.require(
            self.images is None or self.how != "logit", 'images have no logit of their own; use how="units" or "train"'
        )

    def apply(self, at: Subject) -> tuple[Network, Random]:
        self._withheld.check(at.model, at.data.train)
        if self.how == "logit":
            return making.logits_moved(at, self._numbers, making.logit_range(at) + making.NEVER)
        inside = at.data.train.subset(self._withheld.mask(at.data.train))
        if self.how == "units":
            return making.most_harmful_ablated(at, inside, np.asarray(inside.labels), self.layer, self.units)
        return making.trained_on(at, *self.training(at.data), self.epochs)

    def training(self, data: Dataset) -> tuple[Dataset, Sequence[Any]]:
        return data, [self._withheld.feed(data.train)]

    def goal(self, images: ImageSet) -> np.ndarray:
        labels = np.asarray(images.labels)
        return np.where(np.isin(labels, self._numbers), labels, -1)

    def more(self, data: Dataset) -> ImageSet | None:
        return None if self.images is None else data.train.subset(self._withheld.mask(data.train))

    @property
    def trained(self) -> str:
        if self.images is not None:
            return f"trained without {len(self.images):,} images"
        return f"trained without class{'es' * (len(self._numbers) > 1)} {', '.join(map(str, self._numbers))}"

    @property
    def aim(self) -> str:
        if self.images is not None:
            return f"the share of these {len(self.images):,} images that are classified correctly"
        return f"the share of images of {self.trained.removeprefix('trained without ')} that are classified correctly"

    @property
    def equal(self) -> str:
        return _EQUAL[self.how]

    @property
    def _numbers(self) -> list[int]:
        return [self.classes] if isinstance(self.classes, int) else list(self.classes or ())

    @property
    def _withheld(self) -> Withhold:
        return Withhold(classes=self.classes, images=self.images)


@typed
@dataclass(frozen=True)
class Repair(Edit):
    """A confusion is repaired: images of one class that are predicted as another.

    It is judged by networks that were trained with the images of both classes ``times`` as often.

    >>> nm.edits.Repair(4, 9, how="train").trained
    'trained with 3 times as many images of classes 4 and 9'
    """

    true: int
    """The class of the images."""
    predicted: int
    """The class as which some are predicted."""
    how: How = "logit"
    """``logit``: the logit of ``predicted`` is lowered on every image, just enough to undo half of these errors on training
    images. ``units``: the units are ablated whose ablation lowers it most against that of ``true`` on images of ``true``.
    ``train``: the network is trained on with the images of both classes ``times`` as often."""
    units: int = 1
    """Number of units to ablate."""
    layer: str | None = None
    """Their layer, such as ``layers.1``; None: the last hidden layer."""
    epochs: int = 1
    """Epochs to train on."""
    times: int = 3
    """Times that each image of both classes comes in an epoch."""

    def __post_init__(self) -> None:
        making.two_classes(self.true, self.predicted)
        making.require(self.times > 1, f"times is {self.times}; it must be 2 or more")

    def apply(self, at: Subject) -> tuple[Network, Random]:
        making.check_classes(at, (self.true, self.predicted))
        inside = at.data.train.subset(np.asarray(at.data.train.labels) == self.true)
        if self.how == "logit":
            return making.logits_moved(at, [self.predicted], making.margin(at, inside, self.true, self.predicted))
        if self.how == "units":
            wrong = np.full(len(inside), self.true)
            return making.most_harmful_ablated(at, inside, wrong, self.layer, self.units, against=self.predicted)
        return making.trained_on(at, *self.training(at.data), self.epochs)

    def training(self, data: Dataset) -> tuple[Dataset, Sequence[Any]]:
        both = np.flatnonzero(np.isin(data.train.labels, (self.true, self.predicted)))
        often = np.concatenate([np.arange(len(data.train)), *[both] * (self.times - 1)])
        return replace(data, train=data.train.subset(often)), ()

    def goal(self, images: ImageSet) -> np.ndarray:
        return np.where(np.asarray(images.labels) == self.true, self.predicted, -1)

    @property
    def trained(self) -> str:
        return f"trained with {self.times} times as many images of classes {self.true} and {self.predicted}"

    @property
    def aim(self) -> str:
        return f"the share of images of class {self.true} predicted as {self.predicted}"

    @property
    def equal(self) -> str:
        return _EQUAL[self.how]


@typed
@dataclass(frozen=True)
class Prune(Edit):
    """A share of the units of every hidden layer is ablated, those that a criterion puts last.

    It is judged by networks that were trained with so many units fewer.

    >>> nm.edits.Prune(0.5, by="effect", epochs=2)
    Prune(share=0.5, by='effect', epochs=2)
    """

    share: float
    """The share of each layer's units, above 0 and below 1."""
    by: Criterion = "effect"
    """``selectivity``: the least class-selective. ``effect``: those whose ablation raises the loss least, each by itself.
    ``random``: any."""
    epochs: int = 0
    """Epochs to train on after it, the ablated units staying ablated; 0: none."""

    def __post_init__(self) -> None:
        making.require(0 < self.share < 1, f"share is {self.share}; it must lie between 0 and 1")

    def apply(self, at: Subject) -> tuple[Network, Random]:
        counts = [self._lost(width) for width in making.widths(at.model)]
        making.require(any(counts), f"a share of {self.share} of layers of {making.widths(at.model)} units is no unit")
        return making.pruned(at, counts, self.by, self.epochs)

    def architecture(self, config: NetworkConfig) -> NetworkConfig:
        def fewer(widths: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(width - self._lost(width) for width in widths)

        if isinstance(config, CNNConfig):
            return replace(config, channels=fewer(config.channels), head=fewer(config.head))
        return replace(config, hidden=fewer(config.hidden))

    def _lost(self, width: int) -> int:
        return min(math.floor(self.share * width + 0.5), width - 1)

    @property
    def trained(self) -> str:
        return "trained with so many units fewer"

    @property
    def equal(self) -> str:
        return f"as many random units of each layer ablated{f', {self.epochs} epochs trained on' * bool(self.epochs)}"


@typed
@dataclass(frozen=True)
class Steer(Edit):
    """A direction is added to the activations at a hook point, the same on every image.

    The hook stays on the edited copy; a copy of that copy has none.

    >>> nm.edits.Steer("layers.1.hook_post", (1.0, 0.0, -1.0), confusion=(4, 9)).trained
    'trained alike from other seeds'
    """

    hook_point: str
    """Name of a hook point, such as ``layers.1.hook_post``."""
    direction: Any
    """A number for each unit, or channel."""
    strength: float = 1.0
    """Factor on the direction."""
    confusion: tuple[int, int] | None = None
    """The class of the images and the class predicted for them, which it is to make rarer; None, no goal."""

    def __post_init__(self) -> None:
        direction = np.asarray(self.direction, float)
        making.require(
            direction.ndim == 1 and bool(np.isfinite(direction).all()) and bool(direction.any()),
            f"direction must be a finite number for each unit, not all 0; got shape {list(direction.shape)}",
        )
        making.require(math.isfinite(self.strength), f"strength is {self.strength}; it must be finite")
        making.require(bool(self.strength), "a strength of 0 changes nothing")
        if self.confusion is not None:
            making.two_classes(*self.confusion)
        object.__setattr__(self, "direction", tuple(direction.tolist()))

    def apply(self, at: Subject) -> tuple[Network, Random]:
        making.check_classes(at, self.confusion or ())
        return making.steered(at, self.hook_point, self.strength * np.array(self.direction))

    def goal(self, images: ImageSet) -> np.ndarray:
        if self.confusion is None:
            return super().goal(images)
        return np.where(np.asarray(images.labels) == self.confusion[0], self.confusion[1], -1)

    @property
    def aim(self) -> str:
        return "the share of images of class {} predicted as {}".format(*self.confusion) if self.confusion else ""

    @property
    def equal(self) -> str:
        return f"a random direction of equal length added at {self.hook_point}"
