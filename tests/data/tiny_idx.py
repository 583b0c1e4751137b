"""IDX files written by struct alone."""

from __future__ import annotations

import gzip
import struct

import numpy as np

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + bytes(int(value) for value in array.ravel())


def tiny_files(train: int = 12, test: int = 6, shape: tuple[int, int] = (3, 2), classes: int = 3) -> dict[str, bytes]:
    """Unpacked bytes by file name; labels go round 0..classes-1."""
    rng = np.random.default_rng(0)
    files = {}
    for count, images, labels in ((train, *FILES[:2]), (test, *FILES[2:])):
        files[images] = idx_bytes(rng.integers(0, 256, (count, *shape)))
        files[labels] = idx_bytes(np.arange(count) % classes)
    return files


def packed(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in files.items()}
