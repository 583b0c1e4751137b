"""Sets of training images to leave out."""

from __future__ import annotations

import numpy as np

from ..data import ImageSet
from ..doors import door
from ..errors import DataError


@door
def halves(images: ImageSet, *, n: int = 48, seed: int = 0) -> list[np.ndarray]:
    """Random halves of the training images.

    Args:
        images: The training images.
        n: Number of sets.
        seed: Seed of the draws.

    >>> [len(one) for one in nm.influence.halves(digits.train.subset(slice(100)), n=2)]
    [50, 50]
    """
    rng = np.random.default_rng(seed)
    return [np.sort(rng.permutation(len(images))[: len(images) // 2]) for _ in range(n)]


@door
def alike(images: ImageSet, *, size: int = 50, n: int = 48, seed: int = 0) -> list[np.ndarray]:
    """Images that resemble each other: those nearest in their pixels to a random training image, which is one of them.

    Args:
        images: The training images.
        size: Number of images of a set.
        n: Number of sets.
        seed: Seed of the draws.

    Raises:
        DataError: More sets, or larger ones, than there are images.
    """
    _enough(images, max(size, n))
    x = images.images.reshape(len(images), -1).astype(np.float32)
    rng = np.random.default_rng(seed)
    centers = rng.choice(len(images), n, replace=False)
    return [np.sort(np.argsort(((x - x[center]) ** 2).sum(1), kind="stable")[:size]) for center in centers]


@door
def singles(images: ImageSet, *, n: int = 48, seed: int = 0) -> list[np.ndarray]:
    """Sets of one random image each.

    Args:
        images: The training images.
        n: Number of sets.
        seed: Seed of the draws.

    Raises:
        DataError: More sets than there are images.

    >>> [len(one) for one in nm.influence.singles(digits.train, n=3)]
    [1, 1, 1]
    """
    _enough(images, n)
    chosen = np.random.default_rng(seed).choice(len(images), n, replace=False)
    return [np.array([number]) for number in chosen]


def _enough(images: ImageSet, count: int) -> None:
    if count > len(images):
        raise DataError(f"{count} were asked for, and there are {len(images)} training images")
