"""The class of each image, from labels of any usual form: numbers, one-hot rows, or text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from .reading import Part, Reading, array_of, ask


def labels_of(
    parts: Sequence[Part], reading: Reading, changes: list[str]
) -> tuple[list[np.ndarray | None], int, tuple[str, ...]]:
    """(the labels of each part, the number of classes, their names)."""
    if parts[0].labels is None:
        return [None] * len(parts), 2, ()
    arrays = [_column(array_of(part.labels, "labels"), changes) for part in parts]
    names = reading.class_names or next((part.class_names for part in parts if part.class_names), ())
    if len({array.dtype.kind in "US" for array in arrays}) > 1:
        raise DataError("the labels of one part are text and of the other numbers")
    every = np.concatenate(arrays)
    if not every.size:
        raise DataError("no labels came; each image needs one")
    if every.dtype.kind == "U":
        every, names = _by_name(every, names, changes)
        names = () if names == tuple(map(str, range(len(names)))) else names
    else:
        every = _numbered(every, names, reading, changes)
    classes = len(names) or max(2, int(every.max()) + 1)
    absent = np.flatnonzero(np.bincount(every, minlength=classes)[:classes] == 0)
    if len(absent):
        which = ", ".join(names[c] if names else str(c) for c in absent[:8]) + (", …" if len(absent) > 8 else "")
        changes.append(f"no image is of {len(absent)} of the {classes} classes: {which}")
    return [*np.split(every, np.cumsum([len(array) for array in arrays])[:-1])], classes, names


def _column(labels: np.ndarray, changes: list[str]) -> np.ndarray:
    """One label for each image, as integers or text."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and labels.size:
        if not ((labels == 0) | (labels == 1)).all() or not (labels.sum(1) == 1).all():
            binary = "task='multi-label' or " if ((labels == 0) | (labels == 1)).all() else ""
            raise DataError(
                f"labels of shape {list(labels.shape)} give each image {labels.shape[1]} numbers, and a set has one class an "
                f"image: pass one column, labels[:, k], or {binary}task='regression', which takes all as targets"
            )
        changes.append("one-hot labels became numbers")
        labels = labels.argmax(1)
    if labels.dtype.kind == "O":
        values = labels.ravel().tolist()
        if all(isinstance(value, str | bytes) for value in values):
            labels = np.array(values, dtype=str if values and isinstance(values[0], str) else bytes).reshape(
                labels.shape
            )
    if labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    if labels.ndim != 1 or labels.dtype.kind not in "biufU":
        raise DataError(f"labels are one number or text for each image; {labels.dtype} {list(labels.shape)} came")
    if labels.dtype.kind == "U":
        return labels
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.round(labels))).all():
        bad = int(np.flatnonzero(~np.isfinite(labels) | (labels != np.round(labels)))[0])
        way = "; task='regression' takes numbers as targets" if np.isfinite(labels).all() else ""
        raise DataError(f"classes are whole numbers, but example {bad} has the label {labels[bad]:g}{way}")
    return labels.astype(np.int64)


def _by_name(labels: np.ndarray, names: tuple[str, ...], changes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    found = sorted({*labels.tolist()})
    if all(one.isdecimal() for one in found):
        found.sort(key=lambda one: (int(one), one))
    strange = [one for one in found if names and one not in names]
    if strange:
        raise DataError(f"a label is {strange[0]!r}, which is none of class_names: {', '.join(names)}")
    order = list(names) or found
    if not names:
        changes.append(
            f"classes are numbered in the order of their names: {', '.join(order[:12])}{', …' * (len(order) > 12)}"
        )
    at = {one: number for number, one in enumerate(order)}
    return np.array([at[one] for one in labels.tolist()], np.int64), tuple(order)


def _numbered(labels: np.ndarray, names: tuple[str, ...], reading: Reading, changes: list[str]) -> np.ndarray:
    low, high = int(labels.min()), int(labels.max())
    first = reading.first_label
    if first is None and names and low >= 1 and len(names) in (high, high + 1):
        first = high + 1 - len(names)
    if first is None and {*np.unique(labels).tolist()} == {-1, 1}:
        changes.append("labels -1 and 1 became classes 0 and 1")
        return (labels + 1) // 2
    if first is None and low > 0:
        words = [
            (f"first_label={low}", f"classes {low}..{high}, {high - low + 1} of them"),
            ("first_label=0", f"classes 0..{high}, no image of class 0"),
        ]
        raise ask(f"labels from {low} to {high}", words)
    first = first or 0
    if low < first:
        raise DataError(
            f"a label is {low}, below {first}: leave out images without a class, or pass first_label={low} if {low} is one"
        )
    if first:
        changes.append(
            f"labels {low}..{high} became {low - first}..{high - first}: the first class has the label {first}"
        )
    return labels - first
