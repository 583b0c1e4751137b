"""Arrays of any usual form as image sets, with a list of what was done to them.

Nothing is guessed where two readings fit: the error names both and the argument that decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..doors import door
from ..errors import DataError
from .classes import labels_of
from .imageset import ImageSet, Task
from .orders import arranged, axes_of
from .ranges import range_of, scaled
from .reading import Part, Reading, array_of
from .targets import targets_of, with_targets


@door
def convert(
    images: Any,
    labels: Any,
    *,
    targets: Any = None,
    task: Task | None = None,
    axes: str = "",
    shape: tuple[int, int] | None = None,
    black: float | None = None,
    white: float | None = None,
    first_label: int | None = None,
    class_names: Sequence[str] = (),
    transpose: bool | None = None,
    name: str = "",
) -> tuple[ImageSet, tuple[str, ...]]:
    """An image set from arrays of any usual form, and what was done to them, one sentence each.

    Images may be flat or not, gray or in color, channels first or last, examples first or last, of any range and dtype;
    labels may be numbers from 0 or 1, one-hot, or text. One channel or three make pictures; others are kept as the
    model's input, and drawn as their mean.

    Args:
        images: A tensor, an array or a list.
        labels: The class of each image: a tensor, an array or a list; None: there are no labels, and the images lie along the
            first axis.
        targets: Numbers that a model is to give for each image, [example] or [example, target]; None: there are none, or they
            are the labels of a regression or multi-label task.
        task: The task, see `examples`; None: regression for targets that are not all 0 or 1, classification for labels.
        axes: The axes of images in their order, such as "example channel row col" or "example pixel"; for flat images in
            color the order of their pixels, such as "example row col channel". Empty: read from the shape.
        shape: Rows and columns of flat images; None: they are square.
        black: The value of black; None: read from the values.
        white: The value of white; None: read from the values.
        first_label: The lowest label that a class may have; None: read from the labels.
        class_names: The name of each class; empty: the labels, where they are text.
        transpose: True to swap rows and columns of each image; None: False.
        name: Name in a few words.

    Raises:
        DataError: Two readings fit, or none; the message names them and the argument that decides.

    >>> flat = np.repeat([[0.0], [1.0]], 64, axis=1)
    >>> black_and_white, changes = nm.data.convert(flat, ["night", "day"])
    >>> black_and_white.class_names, black_and_white.labels.tolist()
    (('day', 'night'), [1, 0])
    >>> print(*changes, sep="\\n")
    classes are numbered in the order of their names: day, night
    64 pixels a row are images of 8 x 8
    pixels from 0 to 1 were scaled to 0..255: 0 is black, 1 white
    """
    reading = Reading(axes, shape, black, white, first_label, tuple(class_names), transpose, task)
    (found,), changes = together([Part(images, labels, targets=targets)], reading, [name])
    return found, changes


def together(parts: Sequence[Part], reading: Reading, names: Sequence[str]) -> tuple[list[ImageSet], tuple[str, ...]]:
    """The parts of a data set, all read in one way."""
    parts = with_targets(parts, reading)
    changes = list(dict.fromkeys(change for part in parts for change in part.changes))
    labels, classes, named = labels_of(parts, reading, changes)
    targets = targets_of(parts, reading, changes)
    arrays = [array_of(part.images, "images") for part in parts]
    orders = axes_of(
        arrays,
        [_count(*pair) for pair in zip(labels, targets, strict=True)],
        reading,
        changes,
        "labels" if targets[0] is None else "targets",
    )
    ordered = [arranged(array, order, reading) for array, order in zip(arrays, orders, strict=True)]
    black, white = range_of(ordered, reading, changes)
    rounded = 0.0
    found = []
    for array, marks, wanted, name in zip(ordered, labels, targets, names, strict=True):
        pixels, off = scaled(array, black, white)
        rounded = max(rounded, off)
        inputs = _inputs(pixels)
        pixels = pixels[..., 0] if pixels.shape[3] == 1 else pixels
        pixels = pixels if inputs is None else pixels.mean(3).round().astype(np.uint8)
        found.append(ImageSet(pixels, marks, classes, name, inputs, named, wanted, reading.task))
    if rounded > 1e-3:
        changes.append(f"pixels were rounded to 8 bits, by at most {rounded:.2g} of 255")
    if found[0].inputs is not None:
        changes.append(f"{ordered[0].shape[3]} channels are the input of a model; pictures show their mean")
    return found, tuple(changes)


def _inputs(pixels: np.ndarray) -> Tensor | None:
    """Images of other than one or three channels, as a model takes them."""
    return None if pixels.shape[3] in (1, 3) else torch.from_numpy(np.moveaxis(pixels, 3, 1) / np.float32(255))


def _count(labels: np.ndarray | None, targets: Tensor | None) -> int | None:
    """The number of examples; None where only the images know it."""
    if labels is not None and targets is not None and len(labels) != len(targets):
        raise DataError(f"{len(labels):,} labels came with {len(targets):,} targets; each image needs one of each")
    return next((len(one) for one in (labels, targets) if one is not None), None)
