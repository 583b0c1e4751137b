"""Changes of the training data: classes or images that are left out, relabelled, moved or blurred."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..data import ImageSet
from ..doors import typed
from ..training.feed import DataChange
from .change import Change, Numbers, numbers_of, require


@dataclass(frozen=True)
class SetChange(Change):
    """A change of a class, some classes, or a set of training images."""

    classes: Numbers | None = None
    """Numbers of classes; None: ``images``."""
    images: tuple[int, ...] | None = None
    """Numbers of training images; None: ``classes``."""

    @property
    def no_change(self) -> tuple[int, ...]:
        """Classes that it would leave as they are."""
        return ()

    @property
    def where(self) -> tuple[str, frozenset[int]]:
        kind = "images" if self.classes is None else "classes"
        return kind, frozenset((self.images or ()) if self.classes is None else numbers_of(self.classes))

    def moved(self, other: Change) -> Change:
        if not isinstance(other, SetChange):
            return self
        return replace(self, classes=other.classes, images=other.images)

    def check(self, network: Any, images: ImageSet) -> None:
        name = type(self).__name__
        require((self.classes is None) != (self.images is None), f"{name} takes classes= or images=, one of both")
        for number in numbers_of(self.classes):
            require(0 <= number < images.classes, f"there are classes 0 to {images.classes - 1}; got {number}")
        for number in self.images or ():
            require(0 <= number < len(images), f"training images are 0 to {len(images) - 1}; got {number}")
        require(bool(self.mask(images).any()), f"{name} of no image changes nothing")

    def mask(self, images: ImageSet) -> np.ndarray:
        """True for the images that it is about, [example].

        Args:
            images: The training images.
        """
        if self.images is not None:
            return np.isin(np.arange(len(images)), self.images)
        return np.isin(np.asarray(images.labels), numbers_of(self.classes))

    def matched(self, random: np.random.Generator, network: Any, images: ImageSet) -> Change | None:
        if self.classes is not None:
            chosen = numbers_of(self.classes)
            others = [number for number in range(images.classes) if number not in (*chosen, *self.no_change)]
            if len(others) < len(chosen):
                return None
            drawn = sorted(random.choice(others, len(chosen), replace=False).tolist())
            return replace(self, classes=drawn[0] if len(drawn) == 1 else tuple(drawn))
        labels, mask = np.asarray(images.labels), self.mask(images)
        found: list[int] = []
        for label, count in zip(*np.unique(labels[mask], return_counts=True), strict=True):
            there = np.flatnonzero((labels == label) & ~mask)
            if len(there) < count:
                return None
            found += random.choice(there, count, replace=False).tolist()
        return replace(self, images=tuple(sorted(found)))


class _Set(DataChange):
    """A change of the data of a set, while it holds."""

    def __init__(self, change: SetChange, images: ImageSet) -> None:
        self.change, self.inside = change, torch.from_numpy(change.mask(images))

    def active(self, step: int) -> bool:
        return self.change.holds(step)


@typed
@dataclass(frozen=True)
class Withhold(SetChange):
    """Images are left out of the batches: each batch's loss is the mean over the rest.

    >>> nm.changes.Withhold(classes=7, since=0, until=400)
    Withhold(since=0, until=400, classes=7, images=None)
    """

    def feed(self, images: ImageSet) -> DataChange:
        class Left(_Set):
            def weights(self, indices: Tensor, weights: Tensor | None) -> Tensor | None:
                kept = (~self.inside[indices]).float()
                return kept if weights is None else weights * kept

        return Left(self, images)


@typed
@dataclass(frozen=True)
class Relabel(SetChange):
    """Images are trained on with another label."""

    to: int = 0
    """The label."""

    @property
    def no_change(self) -> tuple[int, ...]:
        return (self.to,)

    def check(self, network: Any, images: ImageSet) -> None:
        super().check(network, images)
        require(0 <= self.to < images.classes, f"there are classes 0 to {images.classes - 1}; got to={self.to}")

    def feed(self, images: ImageSet) -> DataChange:
        to = self.to

        class Other(_Set):
            def labels(self, indices: Tensor, labels: Tensor) -> Tensor:
                return torch.where(self.inside[indices], to, labels)

        return Other(self, images)


@typed
@dataclass(frozen=True)
class Reorder(SetChange):
    """Images come first, or last, in every epoch that begins while it holds; the order is otherwise kept."""

    place: Literal["first", "last"] = "first"
    """Their place in an epoch."""

    def feed(self, images: ImageSet) -> DataChange:
        last = self.place == "last"

        class Moved(_Set):
            def order(self, epoch: list[Tensor]) -> list[Tensor]:
                whole = torch.cat(epoch)
                inside = self.inside[whole]
                parts = [whole[inside], whole[~inside]]
                return list(torch.cat(parts[::-1] if last else parts).split([len(batch) for batch in epoch]))

        return Moved(self, images)


@typed
@dataclass(frozen=True)
class Blur(SetChange):
    """Images are trained on blurred by a Gaussian.

    >>> nm.changes.Blur(classes=(4, 9), sigma=1.5, until=100)
    Blur(since=None, until=100, classes=(4, 9), images=None, sigma=1.5)"""

    sigma: float = 2.0
    """Standard deviation of the Gaussian in pixels."""

    def check(self, network: Any, images: ImageSet) -> None:
        super().check(network, images)
        require(0 < self.sigma < 1000, f"sigma is {self.sigma}; it must be above 0, in pixels")

    def feed(self, images: ImageSet) -> DataChange:
        sigma = self.sigma

        class Blurred(_Set):
            def images(self, indices: Tensor, images: Tensor) -> Tensor:
                inside = self.inside[indices]
                if not inside.any():
                    return images
                told = images.clone()
                flat = gaussian_filter(images[inside].cpu().numpy(), (0,) * (images.ndim - 2) + (sigma, sigma))
                told[inside] = torch.from_numpy(flat).to(images)
                return told

        return Blurred(self, images)
