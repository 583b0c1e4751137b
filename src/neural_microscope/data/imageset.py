"""Images with their labels, checked once when they are put together."""

from __future__ import annotations

import hashlib
import operator
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..doors import door, told
from ..errors import DataError
from . import advice

RARE = 0.75
"""A class with fewer images than this share of the median class's is rare."""
MOST_CLASSES = 1 << 16


@told
@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set of gray images and their labels.

    The arrays are kept as given, not copied.

    Raises:
        DataError: An invalid field; the message says what was given and how to convert it.

    >>> nm.data.ImageSet(np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1]), classes=2, name="black")
    <ImageSet 'black': 4 images of 8 x 8, 2 classes>
    """

    images: np.ndarray
    """Pixels, uint8 [example, row, col], 0 black to 255 white; at least one image."""
    labels: np.ndarray
    """Class of each image, int64 [example] in 0..classes-1."""
    classes: int = 10
    """Number of classes, at least 2."""
    name: str = ""
    """Name in a few words, such as "digits test"."""

    def __post_init__(self) -> None:
        if getattr(self.images, "ndim", 9) < 3 <= getattr(self.labels, "ndim", 0):
            raise DataError("images and labels came in each other's place: give ImageSet(images, labels)")
        _check_images(self.images, self.labels)
        _check_labels(self.labels, len(self.images))
        if len(self.images) != len(self.labels):
            last = self.images.shape[-1] == len(self.labels)
            way = "; the examples seem to be the last axis: take numpy.moveaxis(images, -1, 0)" if last else ""
            raise DataError(f"{len(self.images)} images came with {len(self.labels)} labels; each image needs one{way}")
        if not isinstance(self.classes, int | np.integer):
            raise DataError(f"classes is {self.classes!r}; it is how many classes there are, a whole number")
        if not 2 <= self.classes <= MOST_CLASSES:
            raise DataError(f"classes is {self.classes}; a set has at least 2, and at most {MOST_CLASSES:,}")
        object.__setattr__(self, "classes", int(self.classes))
        if not isinstance(self.name, str):
            raise DataError(f"name is {self.name!r}; it is text")
        outside = np.flatnonzero((self.labels < 0) | (self.labels >= self.classes))
        if len(outside):
            raise DataError(
                f"label {self.labels[outside[0]]} of example {outside[0]} lies outside 0..{self.classes - 1}; "
                f"{advice.outside(self.labels)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        rows, cols = self.image_shape
        return f"<ImageSet {self.name!r}: {len(self)} images of {rows} x {cols}, {self.classes} classes>"

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of shape, pixels and labels; name and classes do not enter.

        The shape is three little-endian int64, the labels are little-endian int64, all in example order.
        """
        digest = hashlib.sha256(np.array(self.images.shape, "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        return digest.hexdigest()

    def tensor(self) -> Tensor:
        """The input of every model: a new float32 tensor [example, 1, row, col] of pixel / 255, so 0..1.

        >>> digits.test.tensor().shape
        torch.Size([360, 1, 8, 8])
        """
        return torch.from_numpy(np.divide(self.images, np.float32(255), dtype=np.float32)).unsqueeze(1)

    def label_tensor(self) -> Tensor:
        """A new int64 tensor of the labels, [example].

        >>> digits.test.label_tensor().shape
        torch.Size([360])
        """
        return torch.from_numpy(self.labels.copy())

    @told
    def subset(self, indices: Any) -> ImageSet:
        """The chosen images in that order; repeats are kept.

        Args:
            indices: A slice, a boolean mask or an array of indices.

        Raises:
            DataError: An index lies outside, a mask has another length, or nothing is chosen.

        >>> digits.test.subset([3, 1, 4])
        <ImageSet 'digits test': 3 images of 8 x 8, 10 classes>
        """
        if not isinstance(indices, slice):
            indices = np.asarray(indices)
            if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iub"):
                raise DataError(
                    f"indices of shape {indices.shape} and dtype {indices.dtype} can't choose images;"
                    " pass a slice, a boolean mask or a list of whole numbers, for one image [i]"
                )
            indices = indices if indices.size else slice(0)  # an empty list is float64 to numpy
        try:
            images, labels = self.images[indices], self.labels[indices]
        except IndexError as error:
            raise DataError(f"can't choose from {len(self)} images: {error}") from None
        if not len(images):
            raise DataError(f"no image chosen of {len(self)}; a set needs at least one")
        return ImageSet(images, labels, self.classes, self.name)

    @property
    def most_balanced(self) -> int:
        """The largest ``n`` for which `balanced` takes as many images, or one more, of every class but the rare ones.

        Those give all. A class is rare with fewer than three quarters of the images that the median class has, of those
        that have any.
        """
        counts = np.bincount(self.labels, minlength=self.classes)
        held = counts[counts > 0]
        level = held[held >= RARE * np.median(held)].min()
        return int(np.minimum(counts, level).sum() + np.count_nonzero(counts > level))

    @told
    def balanced(self, n: int, *, seed: int = 0) -> ImageSet:
        """``n`` different images in mixed order, each class as often as any other or once more.

        A class that has fewer gives all of them, and the others fill its place evenly. A pure function of the set,
        ``n`` and ``seed``.

        Args:
            n: Number of images, 1 to all.
            seed: Seed of the choice, also of the classes that come once more.

        Raises:
            DataError: ``n`` is more than there are.

        >>> np.bincount(digits.test.balanced(20).labels)
        array([2, 2, 2, 2, 2, 2, 2, 2, 2, 2])
        """
        return self.subset(self.balanced_indices(n, seed=seed))

    @told
    def balanced_indices(self, n: int, *, seed: int = 0) -> np.ndarray:
        """The indices of the images of `balanced` in this set, int64 [n].

        Args:
            n: Number of images, 1 to all.
            seed: Seed of the choice, also of the classes that come once more.
        """
        n = operator.index(n)
        counts = np.bincount(self.labels, minlength=self.classes)
        if not 1 <= n <= len(self):
            raise DataError(f"can't choose {n} different images of {len(self)}; give 1 to {len(self)}")
        rng = np.random.default_rng(seed)
        level = bisect_right(range(1, counts.max() + 1), n, key=lambda level: np.minimum(counts, level).sum())
        if np.minimum(counts, level).sum() == n and counts.min() < level:
            level -= 1  # then the seed has a say in the order of those that come once more, as for any other n
        wanted = np.minimum(counts, level)
        wanted[rng.choice(np.flatnonzero(counts > level), n - wanted.sum(), replace=False)] += 1
        chosen = [rng.choice(np.flatnonzero(self.labels == c), k, replace=False) for c, k in enumerate(wanted)]
        return rng.permutation(np.concatenate(chosen))


@door
@dataclass(frozen=True, eq=False)
class Dataset:
    """A training part and a test part of one form.

    Raises:
        DataError: The parts differ in classes or image size.

    >>> nm.data.Dataset("small digits", digits.train.balanced(100), digits.test).classes
    10
    """

    name: str
    """Name of the data set."""
    train: ImageSet
    """Training images."""
    test: ImageSet
    """Test images."""
    note: str = ""
    """One line that the user must read; empty if there is none."""

    def __post_init__(self) -> None:
        for what in ("classes", "image_shape"):
            train, test = getattr(self.train, what), getattr(self.test, what)
            if train != test:
                raise DataError(f"the parts of {self.name!r} do not fit: {what} is {train} in train, {test} in test")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.train.classes

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.train.image_shape

    @property
    def sha256(self) -> str:
        """Hex SHA-256 over the hex digests of train and test, in this order."""
        return hashlib.sha256((self.train.sha256 + self.test.sha256).encode()).hexdigest()


def _check_images(images: object, labels: object) -> None:
    wanted = "images are a numpy array uint8 [example, row, col]"
    if not isinstance(images, np.ndarray):
        raise DataError(f"{wanted}; {_came(images, 'images')}")
    if images.dtype != np.uint8:
        raise DataError(f"{wanted}; {images.dtype} came: {advice.pixels(images)}")
    if images.ndim != 3:
        count = len(labels) if isinstance(labels, np.ndarray) and labels.ndim else None
        way = advice.axes(images.shape, count) or "bring them to that order"
        raise DataError(f"{wanted}; the shape {images.shape} came, not 3 axes: {way}")
    if images.size == 0:
        raise DataError(f"images have the shape {images.shape}; a set needs at least one image of one pixel")


def _check_labels(labels: object, count: int) -> None:
    wanted = "labels are a numpy array int64 [example]"
    if not isinstance(labels, np.ndarray):
        raise DataError(f"{wanted}; {_came(labels, 'labels')}")
    if labels.ndim != 1 or labels.dtype != np.int64:
        came = f"the shape {labels.shape}" if labels.ndim != 1 else labels.dtype
        way = advice.classes(labels, count) or "give each image one whole number from 0"
        raise DataError(f"{wanted}; {came} came: {way}")


def _came(value: object, what: str) -> str:
    code = f"numpy.asarray({what})"
    if isinstance(value, Tensor):  # numpy has no bfloat16
        code = f"numpy.asarray({what}.detach().cpu(){'.float()' if value.dtype == torch.bfloat16 else ''})"
    way = f": convert it with {code}" if hasattr(value, "__len__") and not isinstance(value, str | dict) else ""
    return f"a {type(value).__name__} came{way}"
