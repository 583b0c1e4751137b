"""EMNIST's IDX files: letters and digits whose rows and columns are stored swapped, and letters that count from 1."""

from __future__ import annotations

from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits

from ..errors import DataError
from . import idx
from .reading import Part

MERGED = digits + ascii_uppercase + "abdefghnqrt"
"""The other small letters look like their capitals, and share a class with them."""
SPLITS = {
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "bymerge": MERGED,
    "balanced": MERGED,
    "letters": ascii_uppercase,
    "digits": digits,
    "mnist": digits,
}
"""The classes of each split in their order, a character each."""


def splits(path: Path) -> list[Path]:
    """The path of each split that a folder holds, such as ``folder/emnist-letters``; of such a path itself, that."""
    found = [path / f"emnist-{split}" for split in SPLITS]
    if path.name.removeprefix("emnist-") in SPLITS and not path.is_dir():
        found = [path]
    return [one for one in found if idx.find(one.parent, f"{one.name}-train-images-idx3-ubyte")]


def read(path: Path) -> dict[str, Part]:
    """The parts of the one split at ``path``, the right way up, with labels from 0. Errors: DataError."""
    found = splits(path)
    if len(found) > 1:
        raise DataError(
            f"{path} holds {len(found)} splits of EMNIST: pass one, as {' or '.join(map(repr, map(str, found)))}"
        )
    names, parts = tuple(SPLITS[found[0].name.removeprefix("emnist-")]), {}
    first = 1 if "0" not in names else 0
    for part in ("train", "test"):
        files = [f"{found[0].name}-{part}-{what}" for what in ("images-idx3-ubyte", "labels-idx1-ubyte")]
        paths = [idx.find(found[0].parent, file) for file in files]
        if None in paths:
            raise DataError(f"{found[0].parent} lacks {files[paths.index(None)]} (plain or with .gz)")
        images, labels = (idx.read_checked(one, axes) for one, axes in zip(paths, (3, 1), strict=True) if one)
        if labels.min() < first:
            raise DataError(f"{paths[1]}: the labels of EMNIST's letters count from 1, but one is {labels.min()}")
        said = ["rows and columns of each image were swapped, as EMNIST's files hold them the other way round"]
        said += [f"labels {first}..{len(names)} became 0..{len(names) - 1}"] if first else []
        parts[part] = Part(
            images.swapaxes(1, 2), labels.astype(int) - first, names if names != tuple(digits) else (), said
        )
    return parts
