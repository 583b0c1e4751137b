"""A data set from folders of grey pictures: train/<class>/*.png and test/<class>/*.png."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import DataError
from .imageset import Dataset, ImageSet

PARTS = ("train", "test")
SUFFIXES = (".png", ".bmp", ".pgm", ".tif", ".tiff")


def is_such(folder: Path) -> bool:
    """Whether a folder has this form: parts that hold folders of classes."""
    return any((folder / part).is_dir() for part in PARTS)


def read_pictures(folder: Path, name: str) -> Dataset:
    """The data set of the pictures in ``folder``; the classes are the training folder's subfolders, in the order of their
    numbers where all are numbers, else of their names.

    Pictures are grey with 8 bits, all of one size. Errors: DataError that names the file or the folder and says what to do.
    """
    for part in PARTS:
        if not (folder / part).is_dir():
            raise DataError(
                f"{folder} has no folder {part!r}; it needs train/<class>/ and test/<class>/ with pictures in them"
            )
    classes = [path.name for path in (folder / "train").iterdir() if path.is_dir() and not path.name.startswith(".")]
    classes.sort(key=(lambda c: int(c)) if all(c.isdecimal() for c in classes) else str)
    if len(classes) < 2:
        raise DataError(f"{folder / 'train'} holds {len(classes)} folders of classes; a set has at least 2")
    parts = {part: _read(folder / part, classes, f"{name} {part}") for part in PARTS}
    return Dataset(name, parts["train"], parts["test"])


def _read(folder: Path, classes: list[str], name: str) -> ImageSet:
    strange = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name not in classes)
    if strange and not strange[0].startswith("."):
        raise DataError(f"{folder / strange[0]} is a class that train/ has not; it has {', '.join(classes)}")
    found: list[np.ndarray] = []
    labels: list[int] = []
    for label, one in enumerate(classes):
        paths = (folder / one).iterdir() if (folder / one).is_dir() else ()
        for path in sorted(path for path in paths if path.suffix.lower() in SUFFIXES):
            picture = _grey(path)
            if found and picture.shape != found[0].shape:
                size = " x ".join(map(str, found[0].shape))
                raise DataError(
                    f"{path} has {' x '.join(map(str, picture.shape))} pixels, those before it {size}; all need one size"
                )
            found.append(picture)
            labels.append(label)
    if not found:
        raise DataError(f"{folder} holds no picture; the classes' folders hold files that end in {', '.join(SUFFIXES)}")
    return ImageSet(np.stack(found), np.array(labels, np.int64), len(classes), name)


def _grey(path: Path) -> np.ndarray:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "1"):
                raise DataError(
                    f"{path} has the mode {picture.mode}; pictures are grey with 8 bits: "
                    "PIL.Image.open(path).convert('L').save(path) makes it so"
                )
            return np.asarray(picture.convert("L"), np.uint8)
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{path} can't be read as a picture: {error}") from None
