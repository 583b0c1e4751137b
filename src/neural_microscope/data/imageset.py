"""Images with their labels, checked once when they are put together."""

from __future__ import annotations

import hashlib
import operator
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..doors import door, told
from ..errors import DataError, NoLabels, unknown
from ..files import shown
from . import advice

RARE = 0.75
"""A class with fewer images than this share of the median class's is rare."""
MOST_CLASSES = 1 << 16

Task = Literal["classification", "regression", "multi-label", "reconstruction", "other"]
"""The result that a model is to give: a class, numbers, a yes or no for each class, the example itself, something else."""


@told
@dataclass(frozen=True, eq=False)
class ImageSet:
    """A set of images and their labels, or of other examples and their pictures.

    The arrays are kept as given, not copied.

    Raises:
        DataError: An invalid field; the message says what was given and how to convert it.

    >>> nm.data.ImageSet(np.zeros((4, 8, 8), np.uint8), np.array([0, 1, 0, 1]), classes=2, name="black")
    <ImageSet 'black': 4 images of 8 x 8, 2 classes>
    """

    images: np.ndarray
    """Pixels, uint8 [example, row, col], 0 black to 255 white, or [example, row, col, 3] in color; at least one image."""
    labels: Any
    """Class of each image, int64 [example] in 0..classes-1; None: there are no classes."""
    classes: int = 10
    """Number of classes, at least 2; 0 without labels."""
    name: str = ""
    """Name in a few words, such as "digits test"."""
    inputs: Tensor | None = None
    """The input of a model, [example, …], where that is not pixel / 255; see `examples`."""
    class_names: tuple[str, ...] = ()
    """The name of each class, all different; empty: classes are known by their numbers."""
    targets: Tensor | None = None
    """Result that a model is to give for each example, [example, …], where that is neither its class nor the example itself."""
    task: Task | None = None
    """The task; None: that of the targets, otherwise ``classification`` if there are labels, otherwise ``other``."""

    def __post_init__(self) -> None:
        if getattr(self.images, "ndim", 9) < 3 <= getattr(self.labels, "ndim", 0):
            raise DataError("images and labels came in each other's place: give ImageSet(images, labels)")
        _check_images(self.images, self.labels)
        object.__setattr__(self, "task", _task(self.task, self.labels, self.targets, len(self.images)))
        if not isinstance(self.name, str):
            raise DataError(f"name is {self.name!r}; it is text")
        if self.inputs is not None and (not self.inputs.ndim or len(self.inputs) != len(self.images)):
            came = f"inputs of shape {list(self.inputs.shape)} came with {len(self.images)} images"
            raise DataError(f"{came}; each example needs one of each")
        if self.labels is None:
            object.__setattr__(self, "classes", 0)
            object.__setattr__(self, "class_names", ())
        else:
            self._check_classes()

    def _check_classes(self) -> None:
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
        object.__setattr__(self, "class_names", _names(self.class_names, self.classes))
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
        held = f"{self.classes} classes" if self.classes else "no labels"
        about = "" if self.task == "classification" else f", {self.task}"
        return f"<ImageSet {self.name!r}: {len(self)} images of {rows} x {cols}, {held}{about}>"

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def image_channels(self) -> int:
        """Channels of a model's input: 1 of gray images, 3 in color, or those of `inputs` [example, channel, row, col]."""
        if self.inputs is not None:
            return self.inputs.shape[1] if self.inputs.ndim == 4 else 1
        return self.images.shape[3] if self.images.ndim == 4 else 1

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of shape, pixels, labels, inputs and targets; name, classes, their names and the task do not enter.

        The shape is little-endian int64, the labels are little-endian int64, all in example order.
        """
        digest = hashlib.sha256(np.array(self.images.shape, "<i8").tobytes())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, "<i8").data)
        for what, one in (("", self.inputs), ("targets ", self.targets)):
            if one is not None:
                digest.update(f"{what}{one.dtype} {list(one.shape)}".encode())
                digest.update(one.contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def class_name(self, label: int) -> str:
        """The name of a class, or its number where the classes have no names.

        Args:
            label: Number of the class, from 0.

        >>> digits.test.class_name(3)
        '3'
        """
        return self.class_names[label] if self.class_names else str(label)

    def tensor(self) -> Tensor:
        """The input of every model, as a new tensor: ``inputs``, or float32 [example, channel, row, col] of pixel / 255, so 0..1.

        >>> digits.test.tensor().shape
        torch.Size([360, 1, 8, 8])
        """
        if self.inputs is not None:
            return self.inputs.clone()
        pixels = torch.from_numpy(np.divide(self.images, np.float32(255), dtype=np.float32))
        return pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()

    def label_tensor(self) -> Tensor:
        """A new int64 tensor of the labels, [example].

        >>> digits.test.label_tensor().shape
        torch.Size([360])

        Raises:
            NoLabels: A set without labels.
        """
        if self.labels is None:
            raise NoLabels(repr(self.name) if self.name else "the set of images")
        return torch.from_numpy(self.labels.copy())

    def target_tensor(self) -> Tensor | None:
        """The result that a model is to give, as a new tensor; None: unknown.

        Targets if there are any, for a reconstruction the inputs, for a classification the labels.

        >>> nm.data.examples(torch.randn(4, 3), targets=torch.randn(4)).target_tensor().shape
        torch.Size([4])
        """
        if self.targets is not None:
            return self.targets.clone()
        if self.task == "reconstruction":
            return self.tensor()
        return self.label_tensor() if self.task == "classification" else None

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
            images = self.images[indices]
        except IndexError as error:
            raise DataError(f"can't choose from {len(self)} images: {error}") from None
        if not len(images):
            raise DataError(f"no image chosen of {len(self)}; a set needs at least one")
        at = torch.from_numpy(np.arange(len(self))[indices])
        inputs, targets = (None if one is None else one[at] for one in (self.inputs, self.targets))
        labels = None if self.labels is None else self.labels[indices]
        return replace(self, images=images, labels=labels, inputs=inputs, targets=targets)

    @property
    def _groups(self) -> np.ndarray:
        """The classes that `balanced` balances; without labels there is one."""
        return np.zeros(len(self), np.int64) if self.labels is None else self.labels

    @property
    def most_balanced(self) -> int:
        """The largest ``n`` for which `balanced` takes as many images, or one more, of every class but the rare ones.

        Those give all. A class is rare with fewer than three quarters of the images that the median class has, of those
        that have any.
        """
        counts = np.bincount(self._groups, minlength=self.classes)
        held = counts[counts > 0]
        level = held[held >= RARE * np.median(held)].min()
        return int(np.minimum(counts, level).sum() + np.count_nonzero(counts > level))

    @told
    def balanced(self, n: int, *, seed: int = 0) -> ImageSet:
        """``n`` different images in mixed order, each class as often as any other or once more; any, where there are no classes.

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
        counts = np.bincount(self._groups, minlength=self.classes)
        if not 1 <= n <= len(self):
            raise DataError(f"can't choose {n} different images of {len(self)}; give 1 to {len(self)}")
        rng = np.random.default_rng(seed)
        level = bisect_right(range(1, counts.max() + 1), n, key=lambda level: np.minimum(counts, level).sum())
        if np.minimum(counts, level).sum() == n and counts.min() < level:
            level -= 1  # then the seed has a say in the order of those that come once more, as for any other n
        wanted = np.minimum(counts, level)
        wanted[rng.choice(np.flatnonzero(counts > level), n - wanted.sum(), replace=False)] += 1
        chosen = [rng.choice(np.flatnonzero(self._groups == c), k, replace=False) for c, k in enumerate(wanted)]
        return rng.permutation(np.concatenate(chosen))


@door
@dataclass(frozen=True, eq=False)
class Dataset:
    """A training part and a test part of one form.

    Raises:
        DataError: The parts differ in classes, their names or image size.

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
    changes: tuple[str, ...] = ()
    """Each change to the images and labels when they were read, one sentence each; see `convert`."""

    def __post_init__(self) -> None:
        for what in ("classes", "class_names", "image_shape", "image_channels", "task"):
            train, test = getattr(self.train, what), getattr(self.test, what)
            if train != test:
                raise DataError(f"the parts of {self.name!r} do not fit: {what} is {train} in train, {test} in test")

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.train.classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each class; empty: classes are known by their numbers."""
        return self.train.class_names

    @property
    def image_shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return self.train.image_shape

    @property
    def task(self) -> Task:
        """The task of both parts."""
        return self.train.task or "other"

    @property
    def image_channels(self) -> int:
        """Channels of a model's input: 1 of gray images, 3 in color."""
        return self.train.image_channels

    @property
    def constant_pixels(self) -> list[int]:
        """Pixels, counted row by row, that are 0 on every training image, in all channels."""
        lit = np.asarray(self.train.images.any(axis=0))
        return np.flatnonzero(~(lit if lit.ndim == 2 else lit.any(axis=2))).tolist()

    @property
    def sha256(self) -> str:
        """Hex SHA-256 over the hex digests of train and test, in this order."""
        return hashlib.sha256((self.train.sha256 + self.test.sha256).encode()).hexdigest()


@door
def examples(
    inputs: Any,
    labels: Any = None,
    classes: int | None = None,
    name: str = "",
    *,
    class_names: Sequence[str] = (),
    targets: Any = None,
    task: Task | None = None,
) -> ImageSet:
    """Examples as a model takes them, with a picture of each.

    Inputs [example, channel, row, col] of 1 or 3 channels, or [example, row, col], are pictures already, scaled from
    their least to their largest value; any others are drawn as one row of shades.

    Args:
        inputs: Numbers as the model takes them, [example, …]: a tensor or an array.
        labels: Class of each, whole numbers from 0, [example]; None: there are no classes, and measures that need them
            say so.
        classes: Number of classes; None: that of their names, or one more than the largest label, at least 2.
        name: Name in a few words.
        class_names: The name of each class; empty: there are none.
        targets: What the model is to give for each, [example, …], where that is not the class: numbers for a regression,
            0 or 1 for each class of a multi-label task.
        task: ``classification``, ``regression``, ``multi-label``, ``reconstruction`` (the model is to give the input
            again) or ``other``; None: regression for targets that are not all 0 or 1, classification for labels.

    Raises:
        DataError: Inputs that are not dense real numbers with a row for each label; invalid labels or targets; targets
            of 0 and 1 without a task.

    >>> nm.data.examples(torch.randn(4, 3, 8, 8), [0, 1, 0, 1])
    <ImageSet '': 4 images of 8 x 8, 2 classes>
    """
    values = torch.as_tensor(inputs).detach().cpu()
    if values.ndim < 2 or values.is_complex() or values.layout != torch.strided or not values.numel():
        raise DataError(
            f"inputs are dense real numbers [example, …], at least one each; {str(values.dtype).removeprefix('torch.')} "
            f"{list(values.shape)} came"
        )
    marks = None if labels is None else torch.as_tensor(labels).detach().cpu().numpy()
    if marks is not None and marks.dtype.kind in "iu":
        marks = marks.astype(np.int64)
    if classes is None and marks is not None and marks.dtype == np.int64 and marks.size:
        classes = max(2, int(marks.max()) + 1)
    classes = len(class_names) or classes or 2
    wanted = None if targets is None else torch.as_tensor(targets).detach().cpu().clone()
    pictures, names = _pictures(values), tuple(class_names)
    return ImageSet(pictures, marks, classes, name, values.clone(), names, targets=wanted, task=task)


def _pictures(values: Tensor) -> np.ndarray:
    """uint8 [example, row, col] or [example, row, col, 3]."""
    shown = values.double().nan_to_num(0, 0, 0)
    low, high = shown.min(), shown.max()
    if not (low >= 0 and high <= 1):
        shown = (shown - low) / (high - low if high > low else 1)
    if shown.ndim == 4 and shown.shape[1] in (1, 3):
        shown = shown.permute(0, 2, 3, 1).squeeze(3)
    elif shown.ndim != 3:
        shown = shown.flatten(1).unsqueeze(1)
    return (shown * 255).round().to(torch.uint8).numpy()


def _names(names: object, classes: int) -> tuple[str, ...]:
    """The names of the classes, checked, without characters that would redirect what is printed after them."""
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) and name.strip() for name in names):
        raise DataError(f"class_names is {names!r}; it is the name of each class as text, in a tuple")
    if names and len(names) != classes:
        raise DataError(f"{len(names)} class_names came for {classes} classes; each class needs one, or none has any")
    found = tuple(shown(name) for name in names)
    if len({*found}) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise DataError(f"two classes are called {twice!r}; class_names must all be different")
    return found


def _check_images(images: object, labels: object) -> None:
    wanted = "images are a numpy array uint8 [example, row, col], or [example, row, col, 3] in color"
    if not isinstance(images, np.ndarray):
        raise DataError(f"{wanted}; {_came(images, 'images')}")
    if images.dtype != np.uint8:
        raise DataError(f"{wanted}; {images.dtype} came: {advice.pixels(images)}")
    color = images.ndim == 4 and images.shape[3] == 3 and images.shape[1] not in (1, 3)  # those may be channels
    if images.ndim != 3 and not color:
        count = len(labels) if isinstance(labels, np.ndarray) and labels.ndim else None
        way = advice.axes(images.shape, count) or "bring them to that order"
        raise DataError(f"{wanted}; the shape {images.shape} came, not 3 axes: {way}")
    if images.size == 0:
        raise DataError(f"images have the shape {images.shape}; a set needs at least one image of one pixel")


def _task(task: Task | None, labels: object, targets: Tensor | None, count: int) -> Task:
    """The task of examples; a DataError for targets that do not fit them or it, or that fit two tasks."""
    if task is not None and task not in get_args(Task):
        raise unknown("task", task, get_args(Task))
    if task == "classification" and labels is None:
        raise DataError("a classification needs labels; this set has none")
    if targets is None:
        if task in ("regression", "multi-label"):
            raise DataError(f"a {task} task needs targets=, a row for each example")
        return task or ("other" if labels is None else "classification")
    if not isinstance(targets, Tensor) or not targets.ndim or len(targets) != count or targets.is_complex():
        came = list(targets.shape) if isinstance(targets, Tensor) else type(targets).__name__
        raise DataError(f"targets are a tensor of real numbers [example, …], {count:,} of them; {came} came")
    binary = targets.ndim == 2 and bool(((targets == 0) | (targets == 1)).all())
    if task == "multi-label" and not binary:
        raise DataError(
            "targets of a multi-label task are 0 or 1, [example, class]; other values or another shape came"
        )
    if task is None and binary:
        raise DataError("targets that are all 0 or 1 fit two tasks: give task='multi-label' or task='regression'")
    return task or "regression"


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
