"""Loading data sets: a name or a folder in, a `Dataset` out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..doors import door
from ..errors import DataError
from ..files import place
from . import idx, sources
from .imageset import Dataset, ImageSet, Task
from .published import KNOWN, Published
from .reading import Columns, Label, Reading

VARIABLE = "NEURAL_MICROSCOPE_DATA"


def data_folder() -> Path:
    """The folder whose subfolders ``mnist``, … hold the data sets.

    NEURAL_MICROSCOPE_DATA if set, otherwise the user's cache.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    import pooch  # 0.1 s that only this line needs

    return Path(pooch.os_cache("neural-microscope"))


@door
def load(
    source: Any = "mnist",
    *,
    test: Any = None,
    label: Label = None,
    targets: str | int | Sequence[str | int] = (),
    task: Task | None = None,
    axes: str = "",
    shape: tuple[int, int] | None = None,
    black: float | None = None,
    white: float | None = None,
    first_label: int | None = None,
    class_names: Sequence[str] = (),
    transpose: bool | None = None,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Dataset:
    """A data set by name, or from a folder, a file, arrays, a data frame or a torch data set.

    By name, the files are checked against their published hashes; existing files are never overwritten. A name wins
    over a folder called the same: pass "./mnist" for that one. "digits" comes with scikit-learn and needs no network.

    A path leads to a folder of four IDX files, of pictures, of Kuzushiji's npz files or of two CSV files, or to one npz
    or CSV file. Arrays come as ``(images, labels)``, as ``((images, labels), (images, labels))`` for both parts, or in a
    dict by name, as in npz files. A dict of "train" and "test" holds any two of these. No pickle is loaded. What was
    done to the images and labels is in ``changes``; see `convert` for the arguments that decide where two readings fit.

    Args:
        source: "mnist", "fashion-mnist", "kmnist", "digits", a path, arrays, a data frame, or a data set whose items
            are (image, label).
        test: The test part: a source like the first, or a share between 0 and 1 held out of it; None: the source has
            both parts.
        label: Name or number of the column of labels in a table; None: by its usual name, or the first. False: there are no
            labels, in a source of any kind.
        targets: Names or numbers of the columns of a table that a model is to give as numbers, one or several.
        task: The task, see `convert`; "regression" and "multi-label" take the labels of the source as targets, unless
            ``targets`` names them.
        axes: The axes of images, see `convert`.
        shape: Rows and columns of flat images, see `convert`.
        black: The value of black, see `convert`.
        white: The value of white, see `convert`.
        first_label: The label of the first class, see `convert`.
        class_names: The name of each class, see `convert`.
        transpose: True to swap rows and columns, see `convert`.
        folder: Folder of a named set's files; None: its own in `data_folder`.
        download: True to download files that the folder lacks.

    Raises:
        DataError: Files that are missing, damaged or of no such form, arrays that can be read in two ways; the message
            names the file or the readings and what to do.
        UnknownName: A name of nothing.

    >>> nm.data.load("digits").train
    <ImageSet 'digits train': 1437 images of 8 x 8, 10 classes>
    >>> nm.data.load((digits.train.images, digits.train.labels), test=0.25).test
    <ImageSet 'arrays test': 359 images of 8 x 8, 10 classes>
    """
    known = KNOWN.get(source) if isinstance(source, str) else None
    reading = Reading(axes, shape, black, white, first_label, tuple(class_names), transpose, task)
    by_name = known is not None or (isinstance(source, str) and source == "digits")
    columns = Columns(label, (targets,) if isinstance(targets, str | int) else tuple(targets))
    if by_name and (test is not None or columns != Columns() or reading != Reading()):
        raise DataError(f"{source!r} is known by name, and is read in one way: leave out all but folder and download")
    if known is not None:
        home = place(data_folder() / known.name if folder is None else Path(folder).expanduser())
        _supply(known, home, download)
        return idx.read_folder(home, known.name, classes=10, check=known.check, class_names=known.class_names)
    if folder is not None:
        raise DataError(f"folder= goes with one of {', '.join(KNOWN)}, not with {source!r}; leave it out")
    return _digits() if by_name else sources.read(source, test, columns, reading)


@door
def load_or_digits(name: str = "mnist") -> Dataset:
    """The data set, or, where it is neither in the data folder nor to be downloaded, scikit-learn's digits instead.

    The digits come with a UserWarning and with ``note`` set.

    Args:
        name: Name of a data set, as in `load`.

    Raises:
        DataError: A damaged file in the data folder.
    """
    if name in KNOWN:
        try:
            _supply(KNOWN[name], data_folder() / name, download=True)
        except DataError as error:
            note = f"NOT {name}, which could not be had: {DIGITS_NOTE}"
            warnings.warn(f"{note} ({error})", UserWarning, stacklevel=3)
            return replace(_digits(), note=note)
    return load(name)


def _supply(published: Published, folder: Path, download: bool) -> None:
    """Download what ``folder`` lacks. Errors: DataError that says what to do instead."""
    missing = [file for file in idx.FILES if idx.find(folder, file) is None]
    if not missing:
        return
    instead = (
        f"put {', '.join(f'{file}.gz' for file in missing)} into {folder}, or set {VARIABLE} to a folder whose"
        f" {published.name}/ holds them, or use load('digits'), which needs no network"
    )
    if not download:
        raise DataError(f"{published.name} is not in {folder}, and download=False; {instead}")
    from .download import fetch  # it imports pooch and requests, which only a download needs

    try:
        fetch({f"{file}.gz": published.gzipped[file] for file in missing}, folder, published.mirrors)
    except DataError as error:
        raise DataError(f"{error};", instead) from None  # two lines on the command line


DIGITS_NOTE = "these are scikit-learn's 1797 digits of 8 x 8 pixels, so results on them do not apply to MNIST"


def _digits() -> Dataset:
    """scikit-learn's bundled digits, 0..16 scaled to 0..255, in a fixed stratified split of 1437 and 360."""
    from sklearn.datasets import load_digits  # 1 s that only the digits need
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    images = np.round(bunch.images * 255 / 16).astype(np.uint8)
    labels = bunch.target.astype(np.int64)
    train, test = train_test_split(np.arange(len(labels)), test_size=360, stratify=labels, random_state=0)
    parts = {"train": train, "test": test}
    sets = [ImageSet(images[part], labels[part], 10, f"digits {name}") for name, part in parts.items()]
    return Dataset("digits", sets[0], sets[1], DIGITS_NOTE)
