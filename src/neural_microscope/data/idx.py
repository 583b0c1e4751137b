"""IDX files, the form in which MNIST was published: a big-endian header and then bytes, often gzipped.

Header: two zero bytes, the type (8: unsigned byte), the number of axes, then the length of each axis as 4 bytes.
Nothing in a file is believed before it is checked: no more memory is taken than its header says and its size allows.
"""

from __future__ import annotations

import itertools
import math
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import files
from ..errors import DataError, reason
from .imageset import Dataset, ImageSet

PARTS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
FILES = tuple(itertools.chain.from_iterable(PARTS.values()))

LARGEST = 1 << 30  # bytes of one array; a larger set does not fit this library, which holds sets in memory as float32
CHUNK = 1 << 16
DEFLATE_AT_BEST = 1032  # zlib's documentation: no deflate stream shrinks further, so a header can be caught lying


def find(folder: Path, name: str) -> Path | None:
    """The path of the file called ``name`` in ``folder``: plain, with ``.gz``, or spelled ``train-images.idx3-ubyte``."""
    dotted = name.replace("-idx", ".idx")
    paths = (folder / spelling for spelling in (name, f"{name}.gz", dotted, f"{dotted}.gz"))
    return next((path for path in paths if os.path.isfile(path)), None)  # False too where access is denied


def no_link(path: Path) -> None:
    """A DataError if the file is a link, which may lead anywhere."""
    if path.is_symlink():
        raise DataError(f"{path} is a link; only files in folders are read: put a copy in its place")


def read_folder(
    folder: Path,
    name: str,
    *,
    classes: int | None = None,
    check: Callable[[Path], None] = no_link,
    class_names: tuple[str, ...] = (),
) -> Dataset:
    """The data set of the four IDX files in ``folder``; ``check`` may refuse a file before it is read.

    Without ``classes`` there are as many as the largest training label + 1, at least 2.
    Errors: DataError that names the file with what was expected and what was found.
    """
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; pass one that holds {', '.join(FILES)}, each plain or with .gz")
    paths = {file: find(folder, file) for file in FILES}
    missing = [file for file, path in paths.items() if path is None]
    if missing:
        others = "; a folder of pictures, or of two csv files, is read too" if len(missing) == len(paths) else ""
        raise DataError(f"{folder} lacks {', '.join(missing)} (plain or with .gz); it holds {_listing(folder)}{others}")
    parts = {}
    for part, (images, labels) in PARTS.items():
        one = _read_part(paths[images], paths[labels], classes, f"{name} {part}", check)  # type: ignore[arg-type]
        classes = one.classes
        parts[part] = replace(one, class_names=class_names)
    try:
        return Dataset(name, parts["train"], parts["test"])
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None


def read_checked(path: Path, axes: int) -> np.ndarray:
    """`read`, of a file that is no link."""
    no_link(path)
    return read(path, axes)


def _listing(folder: Path) -> str:
    try:
        held = sorted(os.listdir(folder))
    except OSError as error:
        return f"what can't be listed: {reason(error)}"
    return (", ".join(held[:8]) or "nothing") + (f" and {len(held) - 8} more" if len(held) > 8 else "")


def _read_part(
    images_path: Path, labels_path: Path, classes: int | None, name: str, check: Callable[[Path], None]
) -> ImageSet:
    check(images_path)
    images = read(images_path, axes=3)
    check(labels_path)
    labels = read(labels_path, axes=1)
    if len(images) != len(labels):
        raise DataError(f"{images_path} holds {len(images)} images, but {labels_path} holds {len(labels)} labels")
    if classes is None:
        classes = max(2, int(labels.max()) + 1)
    if labels.max() >= classes:
        raise DataError(
            f"{labels_path}: expected labels in 0..{classes - 1}, but example {labels.argmax()} has {labels.max()}"
        )
    return ImageSet(images, labels.astype(np.int64), classes, name)


def read(path: Path, axes: int) -> np.ndarray:
    """The uint8 array in an IDX file that has this many ``axes`` and at least one value; gzipped where ``.gz`` ends it.

    Errors: DataError that names the file with what was expected and what was found.
    """
    gzipped = path.suffix == ".gz"
    try:
        with files.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            _check_start(path, file, gzipped)
            pieces = _inflated(path, file) if gzipped else iter(lambda: file.read(CHUNK), b"")
            return _assembled(path, pieces, axes, room=size * (DEFLATE_AT_BEST if gzipped else 1))
    except zlib.error as error:
        raise DataError(f"{path} is not a whole gzip file: {error}; get it again") from None
    except OSError as error:
        raise DataError(f"can't read {path}: {reason(error)}") from None


def _check_start(path: Path, file: BinaryIO, gzipped: bool) -> None:
    start = file.read(2)
    file.seek(0)
    if not start:
        raise DataError(f"{path} is empty; expected an IDX file; get it again")
    looks_gzipped = start == b"\x1f\x8b"
    if gzipped and not looks_gzipped:
        hint = "; it may be the unpacked file: take .gz off its name" if start == b"\0\0" else "; get it again"
        raise DataError(f"{path}: expected a gzip file, which starts with 1f8b, but it starts with {start.hex()}{hint}")
    if looks_gzipped and not gzipped:
        raise DataError(f"{path}: expected an unpacked IDX file, but it is gzipped: add .gz to its name")


def _inflated(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """The bytes inside a gzip file, at most CHUNK at a time. The stdlib's gzip would pass zeros after the stream."""
    stream = zlib.decompressobj(wbits=31)
    while not stream.eof:
        packed = stream.unconsumed_tail or file.read(CHUNK)
        if not packed:
            raise DataError(f"{path} ends in the middle of its gzip stream; get it again")
        yield stream.decompress(packed, CHUNK)
    if stream.unused_data or file.read(1):
        raise DataError(f"{path} has data after the end of its gzip stream; get it again")


def _assembled(path: Path, pieces: Iterator[bytes], axes: int, room: int) -> np.ndarray:
    """The array whose header and payload come in ``pieces``, of which no more than ``room`` bytes can come."""
    head = bytearray()
    while len(head) < 4 + 4 * axes:
        piece = next(pieces, None)
        if piece is None:
            raise DataError(f"{path}: expected an IDX header of {4 + 4 * axes} bytes, but {len(head)} came")
        head += piece
    shape = _shape(path, head, axes)
    size = math.prod(shape)
    promised = f"{path}: its header promises {' x '.join(map(str, shape))} = {size} bytes"
    if size == 0:
        raise DataError(f"{promised}; expected at least one")
    if size > LARGEST:
        raise DataError(f"{promised}; at most {LARGEST} can be read")
    if 4 + 4 * axes + size > room:
        raise DataError(f"{promised}, more than a file of its size can hold; get it again")
    values = np.empty(size, np.uint8)
    filled = 0
    for piece in itertools.chain((bytes(head[4 + 4 * axes :]),), pieces):
        if filled + len(piece) > size:
            raise DataError(f"{promised}, but more follow; get it again")
        values[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    if filled < size:
        raise DataError(f"{promised}, but {filled} follow; get it again")
    return values.reshape(shape)


def _shape(path: Path, head: bytearray, axes: int) -> tuple[int, ...]:
    wanted = bytes((0, 0, 8, axes))
    if head[:4] != wanted:
        what = "images" if axes == 3 else "labels"
        raise DataError(
            f"{path}: expected the magic number {wanted.hex()} of {what}, but {head[:4].hex()} came;"
            f" bytes along {axes} axes are what can be read"
        )
    return tuple(int(length) for length in np.frombuffer(head, ">u4", count=axes, offset=4))
