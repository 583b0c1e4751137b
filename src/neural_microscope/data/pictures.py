"""A data set from folders of gray pictures: train/<class>/*.png and test/<class>/*.png.

Nothing is lost silently: files that are not pictures are named in a warning, and a picture that would lose information is refused by name.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .. import files
from ..errors import DataError, reason
from .imageset import Dataset, ImageSet

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

PARTS = ("train", "test")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".pbm", ".pnm", ".ppm", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF")  # Pillow goes by content, and hands PostScript to a program
NAMED = "PNG, JPEG, BMP, GIF, PGM or TIFF"
MOST_PIXELS = 1 << 24
"""Of one picture: 4096 x 4096. No more is decoded, and no file is read that is larger than as many numbers in plain text."""
MOST_IN_ALL = 1 << 30
"""Of all pictures of a part, as of an IDX file."""
MOST_SCANS = 32
"""Of a JPEG: each goes through the whole picture, and costs a few bytes."""
SYSTEMS_OWN = ("thumbs.db", "desktop.ini")  # files that a file manager makes; others of the kind begin with a dot


def is_such(folder: Path) -> bool:
    """True if a folder has this form: parts that hold folders of classes."""
    return any((folder / part).is_dir() for part in PARTS)


def read_pictures(folder: Path, name: str) -> Dataset:
    """The data set of the pictures in ``folder``; the classes are the training folder's subfolders, in the order of their
    numbers where all are numbers, else of their names.

    Pictures are gray, all of one size, each alone in its file: PNG, JPEG, BMP, GIF, PGM or TIFF by their content, whatever they are
    called. A color picture whose pixels are all gray counts as gray. Files of other names are left out, with one UserWarning
    that counts them and names the first. Errors: DataError that names the file or the folder and says what to do.
    """
    for part in PARTS:
        if not (folder / part).is_dir():
            raise DataError(
                f"{folder} has no folder {part!r}; it needs train/<class>/ and test/<class>/ with pictures in them"
            )
    found = {part: _Part(folder / part) for part in PARTS}
    classes = list(found["train"].pictures)
    classes.sort(key=(lambda c: (int(c), c)) if all(c.isdecimal() for c in classes) else str)
    if len(classes) < 2:
        raise DataError(f"{folder / 'train'} holds {len(classes)} folders of classes; a set has at least 2")
    train = found["train"].read(classes, f"{name} train")
    _check_classes(folder / "test", list(found["test"].pictures), classes)
    test = found["test"].read(classes, f"{name} test")
    for words in _left_out(folder, found):
        warnings.warn(f"{folder}: {words}", UserWarning, stacklevel=4)
    return Dataset(name, train, test)


def _check_classes(folder: Path, came: list[str], classes: list[str]) -> None:
    strange, missing = sorted(set(came) - set(classes)), sorted(set(classes) - set(came))
    if strange:
        raise DataError(f"{folder / strange[0]} is a class that train/ has not; it has {', '.join(classes)}")
    if missing:
        raise DataError(
            f"{folder} has no folder {missing[0]!r}, which is a class in train/; where the test part holds none of that class, "
            "make an empty folder of that name"
        )


def _left_out(folder: Path, found: dict[str, _Part]) -> Iterator[str]:
    """The parts of ``folder`` that are not in the data set, one sentence each."""
    strange = [f"{part}/{name}" for part in PARTS for name in found[part].left_out]
    if strange:
        yield (
            f"files left out, as no pictures in a class's folder: {len(strange)}, the first {strange[0]}; pictures lie in "
            f"train/<class>/ and test/<class>/ and end in {', '.join(SUFFIXES)}"
        )
    beside = [p.name for p in folder.iterdir() if p.name not in PARTS and not p.name.startswith(".")]
    data = (*SUFFIXES, "ubyte", "ubyte.gz")
    others = sorted(name for name in beside if (folder / name).is_dir() or name.lower().endswith(data))
    if others:
        yield f"left out next to train/ and test/: {len(others)}, the first {others[0]}"
    empty = [f"{part}/{name}" for part in PARTS for name, paths in found[part].pictures.items() if not paths]
    if empty:
        yield f"folders of classes that hold no picture: {len(empty)}, the first {empty[0]}"


class _Part:
    """The files of train/ or of test/: those that are pictures by class, and those that are left out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures: dict[str, list[Path]] = {}
        self.left_out: list[str] = []
        for name, kind in sorted(files.walk(folder)):
            one, _, rest = name.partition("/")
            if any(piece.startswith(".") or piece.lower() in SYSTEMS_OWN for piece in name.split("/")):
                continue
            as_picture = bool(rest) and "/" not in rest and rest.lower().endswith(SUFFIXES)
            if kind not in ("file", "folder") or (kind == "folder" and as_picture):
                raise DataError(f"{folder / name} is a {kind}; only files in folders are read: put a copy in its place")
            if kind == "folder":
                self.pictures.setdefault(one, [])
            elif as_picture:
                self.pictures[one].append(folder / name)
            else:
                self.left_out.append(name)

    def read(self, classes: list[str], name: str) -> ImageSet:
        found: list[np.ndarray] = []
        labels: list[int] = []
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # Pillow's warnings about large pictures, which are refused, and about invalid pixels
            for label, one in enumerate(classes):
                for path in self.pictures[one]:
                    found.append(_gray(path, found[0].shape if found else None))
                    labels.append(label)
                    if len(found) * found[0].size > MOST_IN_ALL:
                        raise DataError(
                            f"{self.folder} holds more than {MOST_IN_ALL:,} pixels; a set is held in memory whole"
                        )
        if not found:
            raise DataError(
                f"{self.folder} holds no picture; the classes' folders hold files that end in {', '.join(SUFFIXES)}"
            )
        return ImageSet(np.stack(found), np.array(labels, np.int64), len(classes), name)


def _gray(path: Path, shape: tuple[int, ...] | None) -> np.ndarray:
    """The pixels of a picture, which are decoded only where it has the ``shape`` of those before it."""
    from PIL import Image, UnidentifiedImageError

    try:
        with files.opened(path, below=path.parents[1]) as file:
            size = os.fstat(file.fileno()).st_size
            picture = Image.open(file, formats=FORMATS)
            _check_header(path, (picture.height, picture.width), shape, size)
            if picture.format in ("JPEG", "MPO"):
                picture = _jpeg(path, file)
            pixels = _pixels(path, picture)
        _check_header(path, pixels.shape, shape, size)  # a TIFF may be rotated during decoding
        return pixels
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes of them
        none = f"it is no {NAMED}" if isinstance(error, UnidentifiedImageError) else ""
        raise DataError(f"{path} can't be read as a picture: {none or reason(error)}") from None


def _check_header(path: Path, came: tuple[int, ...], shape: tuple[int, ...] | None, size: int) -> None:
    pixels = " x ".join(map(str, came))
    if shape is not None and came != shape:
        raise DataError(f"{path} has {pixels} pixels, those before it {' x '.join(map(str, shape))}; all need one size")
    if came[0] * came[1] > MOST_PIXELS or size > 4 * MOST_PIXELS:
        raise DataError(f"{path} has {pixels} pixels in {size:,} bytes; at most {MOST_PIXELS:,} pixels can be read")


def _jpeg(path: Path, file: BinaryIO) -> ImageFile:
    """The picture again, once it is known that decoding ends soon and that no viewer would turn it."""
    from PIL import Image

    file.seek(0)
    content = file.read()
    if (scans := content.count(b"\xff\xda")) > MOST_SCANS:
        raise DataError(f"{path} is a JPEG of {scans} scans; at most {MOST_SCANS} are decoded")
    picture = Image.open(io.BytesIO(content), formats=FORMATS)
    if (turned := picture.getexif().get(0x0112, 1)) != 1:
        raise DataError(
            f"{path} is stored turned, with the EXIF orientation {turned}: "
            "PIL.ImageOps.exif_transpose(PIL.Image.open(path)).save(path) turns it"
        )
    return picture


def _pixels(path: Path, picture: ImageFile) -> np.ndarray:
    """uint8 [row, col], equal to the picture; values that 8-bit gray can't hold are refused."""
    if getattr(picture, "is_animated", False):
        raise DataError(f"{path} holds more than one picture (pages or frames): save each as a file of its own")
    plain = picture.mode in ("L", "1") and "transparency" not in picture.info
    if plain:
        return np.asarray(picture.convert("L"), np.uint8)
    if _deep(picture):
        pixels = np.asarray(picture)
        if picture.mode.startswith("I") and not (pixels % 257).any():  # 8 bits, stored as 16
            return (pixels // 257).astype(np.uint8)
        raise DataError(
            f"{path} has the mode {picture.mode} with more than 8 bits (its highest value is {pixels.max()}); pictures must be gray "
            "with 8 bits: PIL.Image.fromarray((numpy.asarray(PIL.Image.open(path)) / 257).round().astype('uint8')).save(path) "
            "makes it so where 65535 is white"
        )
    colors = np.asarray(picture.convert("RGBA"))
    if (colors[..., 3] < 255).any():
        raise DataError(
            f"{path} has the mode {picture.mode} and transparent pixels; pictures must be gray with 8 bits: "
            "picture = PIL.Image.open(path).convert('RGBA'); "
            "PIL.Image.alpha_composite(PIL.Image.new('RGBA', picture.size, 'white'), picture).convert('L').save(path) lays it on white"
        )
    if (colors[..., :3] != colors[..., :1]).any():
        raise DataError(
            f"{path} has the mode {picture.mode}; pictures must be gray with 8 bits: "
            "PIL.Image.open(path).convert('L').save(path) makes it so"
        )
    return colors[..., 0].copy()


def _deep(picture: ImageFile) -> bool:
    """True if the file holds more than 8 bits per value, which Pillow may drop."""
    if picture.mode[0] in "IF":
        return True
    arguments = picture.tile[0][3] if picture.tile else ""
    raw, *more = arguments if isinstance(arguments, tuple) else (arguments,)
    return (picture.format == "PPM" and any(value > 255 for value in more)) or (
        picture.format in ("PNG", "TIFF") and ";16" in str(raw)
    )
