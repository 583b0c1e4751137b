"""A data set from folders of grey pictures: train/<class>/*.png and test/<class>/*.png."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np

from .. import files
from ..errors import DataError, reason
from .imageset import Dataset, ImageSet

PARTS = ("train", "test")
SUFFIXES = (".png", ".bmp", ".pgm", ".tif", ".tiff")
FORMATS = ("PNG", "BMP", "PPM", "TIFF")  # Pillow goes by content, not by name, and hands PostScript to a program
MOST_PIXELS = 1 << 24
"""Of one picture: 4096 x 4096. No more is decoded, and no file is read that is larger than as many numbers in plain text."""
MOST_IN_ALL = 1 << 30
"""Of all pictures of a part, as of an IDX file."""


def is_such(folder: Path) -> bool:
    """Whether a folder has this form: parts that hold folders of classes."""
    return any((folder / part).is_dir() for part in PARTS)


def read_pictures(folder: Path, name: str) -> Dataset:
    """The data set of the pictures in ``folder``; the classes are the training folder's subfolders, in the order of their
    numbers where all are numbers, else of their names.

    Pictures are grey with 8 bits, all of one size: PNG, BMP, PGM or TIFF by their content, whatever they are called. Errors:
    DataError that names the file or the folder and says what to do.
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
            found.append(_grey(path, found[0].shape if found else None))
            labels.append(label)
            if len(found) * found[0].size > MOST_IN_ALL:
                raise DataError(f"{folder} holds more than {MOST_IN_ALL:,} pixels; a set is held in memory whole")
    if not found:
        raise DataError(f"{folder} holds no picture; the classes' folders hold files that end in {', '.join(SUFFIXES)}")
    return ImageSet(np.stack(found), np.array(labels, np.int64), len(classes), name)


def _grey(path: Path, shape: tuple[int, ...] | None) -> np.ndarray:
    """The pixels of a picture, which are decoded only where it has the ``shape`` of those before it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with files.opened(path) as file:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what it warns of is refused
                picture = Image.open(file, formats=FORMATS)
            size = os.fstat(file.fileno()).st_size
            _check_header(path, picture.mode, (picture.height, picture.width), shape, size)
            return np.asarray(picture.convert("L"), np.uint8)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes of them
        none = "it is no PNG, BMP, PGM or TIFF" if isinstance(error, UnidentifiedImageError) else ""
        raise DataError(f"{path} can't be read as a picture: {none or reason(error)}") from None


def _check_header(path: Path, mode: str, came: tuple[int, int], shape: tuple[int, ...] | None, size: int) -> None:
    pixels = " x ".join(map(str, came))
    if mode not in ("L", "1"):
        raise DataError(
            f"{path} has the mode {mode}; pictures are grey with 8 bits: "
            "PIL.Image.open(path).convert('L').save(path) makes it so"
        )
    if shape is not None and came != shape:
        raise DataError(f"{path} has {pixels} pixels, those before it {' x '.join(map(str, shape))}; all need one size")
    if came[0] * came[1] > MOST_PIXELS or size > 4 * MOST_PIXELS:
        raise DataError(f"{path} has {pixels} pixels in {size:,} bytes; at most {MOST_PIXELS:,} pixels can be read")
