"""Tables and archives of arrays: CSV files, data frames, npz archives, and dictionaries of arrays by the usual names.

No pickle is loaded, and no more memory is taken than a file's size and its headers allow.
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import files
from ..errors import DataError, reason
from .published import KNOWN
from .reading import Columns, Label, Part

LARGEST = 1 << 30
"""Bytes of one array, or of a CSV file."""
LABEL_COLUMNS = ("label", "labels", "class", "target", "y")
PARTS = {"train": ("train_", "x_train", "y_train"), "test": ("test_", "x_test", "y_test")}
IMAGES, LABELS = ("images", "imgs", "x", "data"), ("labels", "label", "y", "target", "targets")

HIRAGANA = (
    "a i u e o ka ki ku ke ko sa shi su se so ta chi tsu te to na ni nu ne no ha hi fu he ho ma mi mu me mo ya yu yo ra ri ru re ro "
    "wa wi we wo n iteration"
)
K49 = tuple(HIRAGANA.split())
"""The classes of Kuzushiji-49 in their order; the last is the iteration mark."""


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Every array of an npz archive, or the one of an npy file as ``arr_0``. Errors: DataError that names the file."""
    try:
        with files.opened(path) as file:
            if path.suffix.lower() == ".npy":
                return {"arr_0": _npy(path, file, path.stat().st_size)}
            with zipfile.ZipFile(file) as archive:
                return {
                    one.filename.removesuffix(".npy"): _npy(f"{path}: {one.filename}", archive.open(one), one.file_size)
                    for one in archive.infolist()
                    if one.filename.endswith(".npy")
                }
    except DataError:
        raise
    except Exception as error:  # zip and npy readers raise whatever a damaged file makes of them
        raise DataError(f"{path} can't be read as an archive of arrays: {reason(error)}") from None


def _npy(name: object, file: IO[bytes], size: int) -> np.ndarray:
    """The array of an npy file, once its header is known to tell the truth."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise DataError(
            f"{name} holds Python objects, which only a pickle can; a pickle may run any code and isn't read"
        )
    bytes_ = math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or bytes_ > min(LARGEST, size):
        raise DataError(f"{name} promises {bytes_:,} bytes in {size:,}; at most {LARGEST:,} can be read")
    content = file.read(bytes_)
    if len(content) < bytes_:
        raise DataError(f"{name} promises {bytes_:,} bytes and holds {len(content):,}")
    array = np.frombuffer(content, dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def named_parts(arrays: Mapping[str, Any], name: object, columns: Columns) -> dict[str, Part]:
    """The parts among arrays by their usual names: ``train_images``, ``x_train``, … or ``images`` and ``labels`` of one part."""
    lower = {str(key).lower(): key for key in arrays}
    if columns.targets:
        raise DataError("targets= names columns of a table; of arrays, task= makes the labels targets")
    found: dict[str, Part] = {}
    used: set[Any] = set()
    for part, (prefix, x, y) in PARTS.items():
        images = next((lower[key] for key in (*(prefix + one for one in IMAGES), x) if key in lower), None)
        labels = next((lower[key] for key in (*(prefix + one for one in LABELS), y) if key in lower), None)
        if images is not None and (columns.unlabeled or labels is not None):
            found[part] = Part(arrays[images], _labels(arrays, labels, columns))
            used |= {images, labels}
    if not found:
        images = next((lower[key] for key in IMAGES if key in lower), None)
        labels = next((lower[key] for key in LABELS if key in lower), None)
        if images is not None and (columns.unlabeled or labels is not None):
            found[""] = Part(arrays[images], _labels(arrays, labels, columns))
            used |= {images, labels}
    if not found:
        raise DataError(
            f"{name} holds {', '.join(map(str, arrays)) or 'nothing'}; it needs train_images, train_labels, test_images and "
            "test_labels, or x_train, y_train, x_test and y_test, or images and labels; label=False takes images without labels"
        )
    rest = [str(key) for key in arrays if key not in used]
    if rest:
        next(iter(found.values())).changes.append(f"left out of {name}: {', '.join(rest)}")
    return found


def _labels(arrays: Mapping[str, Any], key: str | None, columns: Columns) -> Any:
    return None if columns.unlabeled or key is None else arrays[key]


def kuzushiji(folder: Path) -> dict[str, Part]:
    """The parts of a folder of ``kmnist-train-imgs.npz``, … or ``k49-train-imgs.npz``, …, each with one array ``arr_0``."""
    found = {}
    for part in ("train", "test"):
        images, labels = (sorted(folder.glob(f"*-{part}-{what}.npz")) for what in ("imgs", "labels"))
        if len(images) != 1 or len(labels) != 1:
            raise DataError(f"{folder} needs one …-{part}-imgs.npz and one …-{part}-labels.npz, of one data set")
        names = {"k49": K49, "kmnist": KNOWN["kmnist"].class_names}.get(images[0].name.split("-")[0], ())
        pair: list[np.ndarray] = []
        for path in (images[0], labels[0]):
            arrays = read_npz(path)
            if len(arrays) != 1:
                raise DataError(f"{path} holds {', '.join(arrays) or 'no array'}; it needs one array, arr_0")
            pair.extend(arrays.values())
        found[part] = Part(pair[0], pair[1], names)
    return found


def read_csv(path: Path, columns: Columns) -> Part:
    """The images, labels and targets of a CSV file with a row for each image. Errors: DataError that names the file and the line."""
    try:
        with files.opened(path) as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise DataError(f"can't read {path}: {reason(error)}") from None
    if len(content) > LARGEST:
        raise DataError(f"{path} has more than {LARGEST:,} bytes")
    lines = content.decode("utf-8-sig", "replace").splitlines()
    if not lines:
        raise DataError(f"{path} is empty; it needs a row for each image, with its label and its pixels")
    mark = max(",;\t", key=lines[0].count)
    first = next(csv.reader(lines[:1], delimiter=mark))
    head = first if any(not _number(cell) for cell in first[1:]) else None
    at, wanted = _columns(head, len(first), columns, path)
    body = lines[1:] if head else lines
    if not any(line.strip() for line in body):
        raise DataError(f"{path} holds no row of a label and pixels")
    others = [number for number in range(len(first)) if number not in (at, *wanted)]
    table = partial(np.loadtxt, body, delimiter=mark, quotechar='"', comments=None)
    try:
        pixels = table(dtype=np.float32, usecols=others, ndmin=2)
        marks = None if at is None else table(dtype=str, usecols=[at], ndmin=1)
        targets = table(dtype=np.float64, usecols=wanted, ndmin=2) if wanted else None
    except ValueError as error:
        raise DataError(f"{path} is not a table of pixels, a row for each image: {reason(error)}") from None
    if not pixels.size or (marks is not None and len(pixels) != len(marks)):
        raise DataError(f"{path} is not a table of pixels, a row for each image")
    called = head or [f"column {number + 1}" for number in range(len(first))]
    return _part(pixels, marks, targets, [called[one] for one in (at, *wanted) if one is not None], path.name)


def read_frame(frame: Any, columns: Columns) -> Part:
    """The images, labels and targets of a data frame with a row for each image."""
    names = [str(name) for name in frame.columns]
    at, wanted = _columns(names, len(names), columns, "the data frame")
    others = [name for number, name in enumerate(frame.columns) if number not in (at, *wanted)]
    marks = None if at is None else np.asarray(frame[frame.columns[at]])
    targets = np.asarray(frame[[frame.columns[one] for one in wanted]]) if wanted else None
    called = [names[one] for one in (at, *wanted) if one is not None]
    return _part(np.asarray(frame[others]), marks, targets, called, "the data frame")


def _part(
    pixels: np.ndarray, marks: np.ndarray | None, targets: np.ndarray | None, columns: Sequence[str], name: str
) -> Part:
    if pixels.dtype.kind not in "biuf":
        raise DataError(f"{name} holds a column of pixels that is not of numbers; pass label= for the column of labels")
    if pixels.dtype.kind == "f" and np.isfinite(pixels).all() and not (pixels % 1).any() and pixels.max() > 1:
        pixels = pixels.astype(np.int64 if pixels.max() > 255 or pixels.min() < 0 else np.uint8)
    elif pixels.dtype.kind in "iu" and pixels.size and pixels.min() >= 0 and pixels.max() <= 255:
        pixels = pixels.astype(np.uint8)
    if marks is not None and marks.dtype.kind == "U" and all(_number(one) for one in marks.tolist()):
        marks = marks.astype(np.float64)
    count = f"{pixels.shape[1]:,} columns"
    held = [*(["labels"] if marks is not None else []), *(["targets"] if targets is not None else [])]
    whose = [columns[:1], columns[1:]] if len(held) > 1 else [columns]
    said = " and ".join(f"{what} of {name} are {', '.join(which)}" for what, which in zip(held, whose, strict=False))
    said = f"{said}, pixels the other {count}" if held else f"pixels of {name} are all {count}"
    targets = targets[:, 0] if targets is not None and targets.shape[1] == 1 else targets
    return Part(pixels, marks, (), [said], targets)


def _number(cell: str) -> bool:
    return bool(re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", cell))


def _columns(
    head: Sequence[str] | None, width: int, columns: Columns, name: object
) -> tuple[int | None, tuple[int, ...]]:
    """The places of the columns of labels, if there is one, and of targets."""
    wanted = tuple(_label_column(head, width, one, name) for one in columns.targets)
    if columns.unlabeled:
        return None, wanted
    if not wanted or columns.label is not None:
        at = _label_column(head, width, columns.label, name)
        if at in wanted:
            raise DataError(f"{name}: label= and targets= name one column; name it once")
        return at, wanted
    usual = [place for place, cell in enumerate(head or ()) if cell.strip().lower() in LABEL_COLUMNS]
    rest = [place for place in usual if place not in wanted]
    return (rest[0] if len(rest) == 1 else None), wanted


def _label_column(head: Sequence[str] | None, width: int, label: Label, name: object) -> int:
    """The place of the column of labels: as asked, by its usual name, or the first where the others make whole images."""
    if isinstance(label, int) and -width <= label < width:
        return label % width
    lower = [cell.strip().lower() for cell in head or ()]
    asked = [str(label).lower()] if label is not None else list(LABEL_COLUMNS)
    found = [place for place, cell in enumerate(lower) if cell in asked]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        raise DataError(f"{name} has several columns of labels: {', '.join(lower[i] for i in found)}; pass label=")
    pixels = width - 1
    if label is None and any(pixels % n == 0 and math.isqrt(pixels // n) ** 2 == pixels // n > 1 for n in (1, 3)):
        return 0
    known = f" among {', '.join((head or ())[:8])}{', …' * (len(head or ()) > 8)}" if head else f" of {width}"
    raise DataError(
        f"{name} has no column {label!r}{known}"
        if label is not None
        else f"{name} has no column of labels{known}; pass label=, the column, or label=False if it has none"
    )
