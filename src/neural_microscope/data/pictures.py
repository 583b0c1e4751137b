"""A data set from folders of pictures: train/<class>/*.png and test/<class>/*.png, or a CSV file that lists their labels.

Nothing is lost silently: files that are not pictures are named in a warning, and a picture that would lose information is refused by name.
"""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from .. import files
from ..errors import DataError, reason
from .convert import together
from .imageset import Dataset, ImageSet
from .reading import Columns, Label, Part, Reading

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

PARTS = ("train", "test")
SPELLINGS = {"train": ("train", "training"), "test": ("test", "testing")}
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".pbm", ".pnm", ".ppm", ".tif", ".tiff")
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF")  # Pillow goes by content, and hands PostScript to a program
NAMED = "PNG, JPEG, BMP, GIF, PGM or TIFF"
MOST_PIXELS = 1 << 24
"""Of one picture: 4096 x 4096. No more is decoded, and no file is read that is larger than as many numbers in plain text."""
MOST_IN_ALL = 1 << 30
"""Of all pictures of a part, as of an IDX file."""
MOST_IN_A_LIST = 1 << 26
"""Bytes of a CSV file of labels."""
MOST_SCANS = 32
"""Of a JPEG: each goes through the whole picture, and costs a few bytes."""
SYSTEMS_OWN = ("thumbs.db", "desktop.ini")  # files that a file manager makes; others of the kind begin with a dot


def _parts(folder: Path) -> dict[str, Path]:
    """The folders of the parts by name, however they are spelled."""
    names = {spelling: part for part, spellings in SPELLINGS.items() for spelling in spellings}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        part = names.get(path.name.lower())
        if part and path.is_dir():
            if part in found:
                raise DataError(f"{folder} holds both {found[part].name} and {path.name}; keep one")
            found[part] = path
    return found


def is_such(folder: Path) -> bool:
    """True if a folder has this form: parts that hold pictures."""
    return bool(_parts(folder))


def is_one_part(folder: Path) -> bool:
    """True if a folder holds pictures, itself or in folders of classes, and no parts."""
    if not folder.is_dir() or _parts(folder):
        return False
    looked_at = [folder, *(path for path in sorted(folder.iterdir()) if path.is_dir() and not path.is_symlink())]
    return any(path.suffix.lower() in SUFFIXES for one in looked_at for path in one.iterdir())


def read_pictures(folder: Path, name: str) -> Dataset:
    """The data set of the pictures in ``folder``; the classes are the training folder's subfolders, in the order of their
    numbers where all are numbers, else of their names.

    Pictures are all of one size, each alone in its file: PNG, JPEG, BMP, GIF, PGM or TIFF by their content, whatever they are
    called. A color picture whose pixels are all gray counts as gray. Files of other names are left out, with one UserWarning
    that counts them and names the first. Errors: DataError that names the file or the folder and says what to do.
    """
    places = _parts(folder)
    for part in PARTS:
        if part not in places:
            raise DataError(
                f"{folder} has no folder {part!r}; it needs train/<class>/ and test/<class>/ with pictures in them"
            )
    lists = {part: _list_of(folder, places[part], part) for part in PARTS}
    if all(lists.values()):
        made = [_listed(places[part], lists[part], Columns()) for part in PARTS]
        sets, changes = together(made, Reading(), [f"{name} {part}" for part in PARTS])
        _warn(folder, [change for change in changes if change.startswith("left out")])
        return Dataset(name, sets[0], sets[1], changes=changes)
    found = {part: _Part(places[part]) for part in PARTS}
    classes = list(found["train"].pictures)
    classes.sort(key=(lambda c: (int(c), c)) if all(c.isdecimal() for c in classes) else str)
    if len(classes) < 2:
        held = f"{places['train']} has the folders of classes {', '.join(map(repr, classes)) or '(none)'}"
        there = [name for name in found["test"].pictures if name not in classes]
        more = f"; {places['test']} has also {', '.join(map(repr, sorted(there)))}" if there else ""
        raise DataError(f"{held}, and a set has at least 2{more}")
    train = found["train"].read(classes)
    _check_classes(places["test"], list(found["test"].pictures), classes)
    test = found["test"].read(classes)
    mixed = _alike([train, test])
    _warn(folder, [*_left_out(folder, found, places), *([mixed] if mixed else [])])
    names = () if classes == [str(number) for number in range(len(classes))] else tuple(classes)
    sets = [
        ImageSet(
            np.stack(one.images), np.array(one.labels, np.int64), len(classes), f"{name} {part}", class_names=names
        )
        for part, one in (("train", train), ("test", test))
    ]
    return Dataset(name, sets[0], sets[1])


def read_part(folder: Path, columns: Columns) -> Part:
    """The pictures of a folder without parts: in folders of classes, or side by side with one CSV file of labels."""
    lists = sorted(folder.glob("*.csv"))
    if len(lists) == 1:
        return _listed(folder, lists[0], columns)
    if lists:
        raise DataError(f"{folder} holds {len(lists)} CSV files; keep the one of the labels next to the pictures")
    if columns.targets:
        raise DataError(f"{folder} holds no CSV file; targets= names columns of one next to the pictures")
    found = _Part(folder)
    if not any(found.pictures.values()):
        raise DataError(
            f"{folder} holds pictures without classes; it needs folders of classes, or a CSV file of labels; "
            "label=False takes pictures without labels"
        )
    one = found.read([*found.pictures])
    mixed = _alike([one])
    _warn(folder, [f"left out: {', '.join(found.left_out)}"] if found.left_out else [])
    return Part(np.stack(one.images), np.array([*found.pictures])[one.labels], (), [mixed] if mixed else [])


def read_unlabeled(folder: Path) -> dict[str, Part]:
    """The pictures of a folder, in all the folders within it, without labels."""
    places = _parts(folder)
    return {part: _unlabeled(places[part]) for part in PARTS if part in places} or {"": _unlabeled(folder)}


def _unlabeled(folder: Path) -> Part:
    part, left_out = Part([], None), []
    for name, kind in sorted(files.walk(folder)):
        if any(piece.startswith(".") or piece.lower() in SYSTEMS_OWN for piece in name.split("/")) or kind == "folder":
            continue
        if kind != "file":
            raise DataError(f"{folder / name} is a {kind}; only files in folders are read: put a copy in its place")
        if name.lower().endswith(SUFFIXES):
            _add(part, folder / name, folder)
        else:
            left_out.append(name)
    if not part.images:
        raise DataError(f"{folder} holds no picture; their names end in {', '.join(SUFFIXES)}")
    mixed = _alike([part])
    said = [f"left out, as no pictures: {len(left_out)} files, the first {left_out[0]}"] if left_out else []
    return Part(np.stack(part.images), None, (), [*said, *([mixed] if mixed else [])])


def _warn(folder: Path, sentences: list[str]) -> None:
    for words in sentences:
        warnings.warn(f"{folder}: {words}", UserWarning, stacklevel=6)


def _alike(parts: Sequence[Part]) -> str:
    """Makes all pictures of the parts gray, or all of them colored; a sentence where they were mixed."""
    every = [(one, number) for one in parts for number in range(len(one.images))]
    colored = [one.images[number].ndim == 3 for one, number in every]
    if not any(colored):
        return ""
    for one, number in every:
        if one.images[number].ndim == 2:
            one.images[number] = np.repeat(one.images[number][..., None], 3, 2)
    if all(colored):
        return ""
    return f"{sum(colored)} of {len(colored)} pictures are in color, so that all are read in color"


def _list_of(folder: Path, part: Path, name: str) -> Path | None:
    """The CSV file of labels of a part whose pictures lie side by side; None where they lie in folders of classes."""
    if not any(path.suffix.lower() in SUFFIXES for path in part.iterdir()):
        return None
    inside, beside = sorted(part.glob("*.csv")), sorted(folder.glob("*.csv"))
    named = [path for path in beside if name in path.stem.lower()] or (beside if len(beside) == 1 else [])
    return next((lists[0] for lists in (inside, named) if len(lists) == 1), None)


def _listed(folder: Path, path: Path | None, columns: Columns) -> Part:
    """The pictures that a CSV file lists with their labels. Names lead only to files that were found in the folder."""
    assert path is not None
    pictures: dict[str, Path] = {}
    for name, kind in sorted(files.walk(folder)):
        if name.lower().endswith(SUFFIXES):
            if kind != "file":
                raise DataError(f"{folder / name} is a {kind}; only files in folders are read: put a copy in its place")
            for called in (name, name.rpartition("/")[2], name.rpartition(".")[0]):
                pictures.setdefault(called, folder / name)
    with files.opened(path) as file:
        content = file.read(MOST_IN_A_LIST + 1)
    if len(content) > MOST_IN_A_LIST:
        raise DataError(f"{path} has more than {MOST_IN_A_LIST:,} bytes")
    rows = [row for row in csv.reader(content.decode("utf-8-sig", "replace").splitlines()) if row]
    at = next((column for row in rows[:2] for column, cell in enumerate(row) if _called(cell) in pictures), None)
    if at is None:
        raise DataError(f"{path} names no picture of {folder}; it needs a column of file names and one of labels")
    head = None if _called(rows[0][at]) in pictures else rows[0]
    wanted = [_label_place(path, head, len(rows[0]), at, one) for one in columns.targets]
    place = None if wanted and not columns.label else _label_place(path, head, len(rows[0]), at, columns.label)
    part, used = Part([], None if place is None else [], targets=[] if wanted else None), set()
    for number, row in enumerate(rows[head is not None :], 1 + (head is not None)):
        one = pictures.get(_called(row[at])) if len(row) > max(at, place or 0, *wanted) else None
        if one is None:
            raise DataError(f"{path}, line {number}, names no picture of {folder}: {','.join(row)[:80]!r}")
        _add(part, one, folder)
        if place is not None:
            part.labels.append(row[place].strip())
        if wanted:
            part.targets.append([row[column].strip() for column in wanted])
        used.add(one)
    mixed = _alike([part])
    rest = sorted({*pictures.values()} - used)
    more = [f"left out: {len(rest)} pictures that {path.name} does not list, the first {rest[0].name}"] if rest else []
    part.changes.extend([*more, *([mixed] if mixed else [])])
    part.images = np.stack(part.images)
    part.targets = np.squeeze(part.targets, 1) if len(wanted) == 1 else part.targets
    if place is None:
        return part
    labels = np.array(part.labels)
    whole = all(re.fullmatch(r"-?\d{1,9}", one) for one in part.labels)
    part.labels = labels.astype(np.int64) if whole else labels
    return part


def _called(cell: str) -> str:
    return cell.strip().replace("\\", "/").removeprefix("./")


def _label_place(path: Path, head: list[str] | None, width: int, at: int, label: Label) -> int:
    if isinstance(label, int) and -width <= label < width:
        return label % width
    wanted = [str(label).lower()] if label is not None else ["label", "labels", "class", "target", "y", "category"]
    found = [place for place, cell in enumerate(head or []) if cell.strip().lower() in wanted and place != at]
    others = [place for place in range(width) if place != at]
    if len(found) != 1 and label is None and len(others) == 1:
        return others[0]
    if len(found) != 1:
        raise DataError(f"{path} has no single column of labels: {', '.join(head or map(str, others))}; pass label=")
    return found[0]


def _check_classes(folder: Path, came: list[str], classes: list[str]) -> None:
    strange, missing = sorted(set(came) - set(classes)), sorted(set(classes) - set(came))
    if strange:
        raise DataError(f"{folder / strange[0]} is a class that train/ has not; it has {', '.join(classes)}")
    if missing:
        raise DataError(
            f"{folder} has no folder {missing[0]!r}, which is a class in train/; where the test part holds none of that class, "
            "make an empty folder of that name"
        )


def _left_out(folder: Path, found: dict[str, _Part], places: dict[str, Path]) -> Iterator[str]:
    """The parts of ``folder`` that are not in the data set, one sentence each."""
    strange = [f"{places[part].name}/{name}" for part in PARTS for name in found[part].left_out]
    if strange:
        yield (
            f"files left out, as no pictures in a class's folder: {len(strange)}, the first {strange[0]}; pictures lie in "
            f"train/<class>/ and test/<class>/ and end in {', '.join(SUFFIXES)}"
        )
    used = [path.name for path in places.values()]
    beside = [p.name for p in folder.iterdir() if p.name not in used and not p.name.startswith(".")]
    data = (*SUFFIXES, "ubyte", "ubyte.gz", ".csv", ".npz")
    others = sorted(name for name in beside if (folder / name).is_dir() or name.lower().endswith(data))
    if others:
        yield f"left out next to train/ and test/: {len(others)}, the first {others[0]}"
    empty = [f"{places[p].name}/{name}" for p in PARTS for name, paths in found[p].pictures.items() if not paths]
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

    def read(self, classes: list[str]) -> Part:
        part = Part([], [])
        for label, one in enumerate(classes):
            for path in self.pictures[one]:
                _add(part, path, self.folder)
                part.labels.append(label)
        if not part.images:
            raise DataError(
                f"{self.folder} holds no picture; the classes' folders hold files that end in {', '.join(SUFFIXES)}"
            )
        return part


def _add(part: Part, path: Path, folder: Path) -> None:
    """Reads one more picture of a part, which is held in memory whole."""
    with warnings.catch_warnings():
        # Pillow's warnings about large pictures, which are refused, and about invalid pixels
        warnings.simplefilter("ignore")
        part.images.append(_picture(path, part.images[0].shape[:2] if part.images else None))
    if len(part.images) * max(part.images[0].size, part.images[-1].size) > MOST_IN_ALL:
        raise DataError(f"{folder} holds more than {MOST_IN_ALL:,} pixels; a set is held in memory whole")


def _picture(path: Path, shape: tuple[int, ...] | None) -> np.ndarray:
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
        _check_header(path, pixels.shape[:2], shape, size)  # a TIFF may be rotated during decoding
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
    """uint8 [row, col] or [row, col, 3], equal to the picture; values that 8 bits can't hold are refused."""
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
            f"{path} has the mode {picture.mode} with more than 8 bits (its highest value is {pixels.max()}); pictures have 8 "
            "bits: PIL.Image.fromarray((numpy.asarray(PIL.Image.open(path)) / 257).round().astype('uint8')).save(path) "
            "makes it so where 65535 is white"
        )
    colors = np.asarray(picture.convert("RGBA"))
    if (colors[..., 3] < 255).any():
        raise DataError(
            f"{path} has the mode {picture.mode} and transparent pixels, and a picture needs none: "
            "picture = PIL.Image.open(path).convert('RGBA'); "
            "PIL.Image.alpha_composite(PIL.Image.new('RGBA', picture.size, 'white'), picture).convert('RGB').save(path) lays it on white"
        )
    gray = (colors[..., :3] == colors[..., :1]).all()
    return (colors[..., 0] if gray else colors[..., :3]).copy()


def _deep(picture: ImageFile) -> bool:
    """True if the file holds more than 8 bits per value, which Pillow may drop."""
    if picture.mode[0] in "IF":
        return True
    arguments = picture.tile[0][3] if picture.tile else ""
    raw, *more = arguments if isinstance(arguments, tuple) else (arguments,)
    return (picture.format == "PPM" and any(value > 255 for value in more)) or (
        picture.format in ("PNG", "TIFF") and ";16" in str(raw)
    )
