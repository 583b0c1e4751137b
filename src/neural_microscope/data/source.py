"""Loading data sets: a name or a folder in, a `Dataset` out."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..doors import door
from ..errors import DataError, unknown
from ..files import place, shown
from . import idx
from .imageset import Dataset, ImageSet
from .pictures import is_such, read_pictures
from .published import KNOWN, Published

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
    name_or_folder: str | os.PathLike[str] = "mnist",
    *,
    folder: str | os.PathLike[str] | None = None,
    download: bool = True,
) -> Dataset:
    """A data set by name, or from a folder.

    By name, the files are checked against their published hashes; existing files are never overwritten. A folder holds
    four IDX files, or pictures (``train/<class>/*.png``, ``test/<class>/*.png``; gray, all of one size); images may have
    any size and labels any range, and nothing is checked but the form. A name wins over a folder called the same: pass
    "./mnist" for that one. "digits" comes with scikit-learn and needs no network.

    Args:
        name_or_folder: "mnist", "fashion-mnist", "kmnist", "digits", or the path of a folder.
        folder: Folder of a named set's files; None: its own in `data_folder`.
        download: True to download files that the folder lacks.

    Raises:
        DataError: Files that are missing, damaged or not in this form; the message names the file or the mirrors and
            what to do.
        UnknownName: A name of nothing.

    >>> nm.data.load("digits").train
    <ImageSet 'digits train': 1437 images of 8 x 8, 10 classes>
    """
    known = KNOWN.get(name_or_folder) if isinstance(name_or_folder, str) else None
    if known is not None:
        home = place(data_folder() / known.name if folder is None else Path(folder).expanduser())
        _supply(known, home, download)
        return idx.read_folder(home, known.name, classes=10, check=known.check)
    if folder is not None:
        raise DataError(f"folder= goes with one of {', '.join(KNOWN)}, not with {name_or_folder!r}; leave it out")
    if name_or_folder == "digits":
        return _digits()
    path = place(Path(name_or_folder).expanduser())
    a_word = isinstance(name_or_folder, str) and path.name == name_or_folder
    if a_word and not (name_or_folder and path.is_dir()):  # Path("") would be the working folder
        raise unknown("data set", name_or_folder, [*KNOWN, "digits"], "(or pass the path of a folder of IDX files)")
    return (read_pictures if is_such(path) else idx.read_folder)(path, shown(path.resolve().name))


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
        raise DataError(f"{error}; {instead}") from None


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
