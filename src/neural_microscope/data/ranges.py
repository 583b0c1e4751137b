"""The values of black and white in pixels of any type, and their scaling to 0..255."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from .advice import WHITES
from .reading import Reading, ask

DARK = 16
"""Integer pixels up to this value may be nearly black, or of another white than 255."""
AT_ONCE = 4096
"""Images that are scaled together, so that no copy of a whole set in floats is needed."""


def range_of(arrays: Sequence[np.ndarray], reading: Reading, changes: list[str]) -> tuple[float, float]:
    """The values of black and white."""
    for array in arrays:
        if array.dtype.kind == "f" and not np.isfinite(array.sum(dtype=np.float64)):
            bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(1))
            if len(bad):
                raise DataError(
                    f"{len(bad)} images hold NaN or infinite pixels, the first is example {bad[0]}: fix them or leave them out"
                )
    low, high = float(min(a.min() for a in arrays)), float(max(a.max() for a in arrays))
    kinds = sorted({str(array.dtype) for array in arrays})
    if len({"i" if array.dtype.kind in "iu" else array.dtype.kind for array in arrays}) > 1 and reading.white is None:
        raise DataError(f"the parts hold {' and '.join(kinds)}; pass black= and white=, or bring them to one type")
    dtype = np.result_type(*arrays)
    black, white = reading.black, reading.white
    if white is None and black is None:
        options = _ranges(dtype, low, high)
        if len(options) > 1:
            words = [(f"black={b:g}, white={w:g}" if b else f"white={w:g}", "") for b, w in options]
            raise ask(f"{dtype} pixels from {low:g} to {high:g}", words)
        black, white = options[0]
    black, white = 0.0 if black is None else black, 255.0 if white is None else white
    if white == black or not min(black, white) <= low <= high <= max(black, white):
        raise DataError(f"pixels run from {low:g} to {high:g}, which is not within black={black:g} and white={white:g}")
    if (black, white) != (0, 255):
        changes.append(f"pixels from {low:g} to {high:g} were scaled to 0..255: {black:g} is black, {white:g} white")
    return black, white


def _ranges(dtype: np.dtype, low: float, high: float) -> list[tuple[float, float]]:
    """The usual values of black and white that fit."""
    if dtype.kind == "b":
        return [(0, 1)]
    if low < 0:
        return _ranges_below_zero(dtype, low, high)
    if dtype.kind == "f" and high <= 1:
        return [(0, 1)]
    whites = [white for white in (1, 15, DARK, 127, 255, *WHITES) if high <= white]
    if high >= 128 or (dtype == np.uint8 and high > DARK):
        return [(0, 255)] if high <= 255 else [(0, white) for white in whites] or [(0, high)]
    return [(0, white) for white in dict.fromkeys((whites[0], 255))]


def _ranges_below_zero(dtype: np.dtype, low: float, high: float) -> list[tuple[float, float]]:
    if dtype.kind == "f" and (low, high) == (-1, 1):
        return [(-1, 1)]
    if dtype.kind == "i" and low >= -128 and high <= 127:
        return [*([(-1.0, 1.0)] if low >= -1 and high <= 1 else []), *([(-128.0, 127.0)])] + (
            [(low, high)] if low < -1 or high > 1 else []
        )
    raise DataError(
        f"pixels run from {low:g} to {high:g}, as after a normalization (pixel - mean) / std: pass black= and white=, which are "
        "-mean / std and (1 - mean) / std of pixels 0..1"
    )


def scaled(array: np.ndarray, black: float, white: float) -> tuple[np.ndarray, float]:
    """(uint8 [example, row, col, channel], the most that rounding moved a value)."""
    if array.dtype == np.uint8 and (black, white) == (0, 255):
        return np.ascontiguousarray(array), 0.0
    found, moved = np.empty(array.shape, np.uint8), 0.0
    for start in range(0, len(array), AT_ONCE):
        exact = (array[start : start + AT_ONCE].astype(np.float64) - black) * (255 / (white - black))
        whole = np.round(exact)
        moved = max(moved, float(np.abs(exact - whole).max()))
        found[start : start + AT_ONCE] = whole
    return found, moved
