"""The axes of images of any usual form: read from their shapes, or asked for where two readings fit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from .reading import Reading, ask

NAMES = ("example", "row", "col", "channel", "pixel")
FEWEST = 16
"""Pixels of the smallest image that may lie flat."""


def axes_of(
    arrays: Sequence[np.ndarray],
    counts: Sequence[int | None],
    reading: Reading,
    changes: list[str],
    what: str = "labels",
) -> list[list[str]]:
    """The names of the axes of each array; of flat images in color, of their pixels. Arrays of as many axes are read alike.

    A count is that of the examples, by what they have, labels or targets; None: they have neither.
    """
    orders = {}
    for rank in dict.fromkeys(array.ndim for array in arrays):
        alike = [(array, count) for array, count in zip(arrays, counts, strict=True) if array.ndim == rank]
        orders[rank] = _order(alike, reading, what)
        _tell_axes(orders[rank], alike[0][0].shape, reading, changes)
    if reading.transpose:
        changes.append("rows and columns of each image were swapped")
    return [orders[array.ndim] for array in arrays]


def _order(alike: Sequence[tuple[np.ndarray, int | None]], reading: Reading, what: str) -> list[str]:
    shape = alike[0][0].shape
    if reading.axes:
        order = reading.axes.split()
        _check_axes(order, len(shape))
    else:
        fits = [_readings(array.shape, count) for array, count in alike]
        options = [one for one in fits[0] if all(one in others for others in fits)]
        if not options:
            raise _no_axis(alike, what)
        if len(options) > 1:
            raise ask(f"images of shape {list(shape)}", [(f"axes={one!r}", _meaning(one)) for one in options])
        order = options[0].split()
    if any(count not in (None, array.shape[_place(order, array.ndim, "example")]) for array, count in alike):
        raise _no_axis(alike, what)
    return order


def _check_axes(order: list[str], rank: int) -> None:
    flat = rank == 2 and {*order} == {"example", "row", "col", "channel"} and order[0] == "example"
    whole = {"row", "col"} <= {*order} or "pixel" in order
    if not flat and (len(order) != rank or "example" not in order or not whole or not {*order} <= {*NAMES}):
        raise DataError(
            f"axes is {' '.join(order)!r}; it names each of the {rank} axes once, with {', '.join(NAMES)}: example, and "
            "row and col, or pixel"
        )
    if len({*order}) < len(order) or {"row", "pixel"} <= {*order}:
        raise DataError(f"axes is {' '.join(order)!r}; it names no axis twice, and row and col or pixel")


def _place(order: Sequence[str], rank: int, name: str) -> int:
    return 0 if len(order) > rank else order.index(name)


def _square(pixels: int) -> bool:
    return math.isqrt(pixels) ** 2 == pixels >= FEWEST


def _examples_last(shape: tuple[int, ...]) -> bool:
    """True for a shape whose first axes seem to be those of a square image."""
    return _square(shape[0]) and not _square(shape[1]) if len(shape) == 2 else shape[0] == shape[1]


def _readings(shape: tuple[int, ...], count: int | None) -> list[str]:
    """The usual orders of axes that fit a shape and a number of images."""
    first, last = count in (None, shape[0]), shape[-1] == count or (count is None and _examples_last(shape))
    if len(shape) == 2:
        colored = shape[1] % 3 == 0 and _square(shape[1] // 3)
        rows = ["example channel row col", "example row col channel"] if colored else ["example pixel"]
        return (rows if first else []) + (["pixel example"] if last and shape[0] > 1 else [])
    if len(shape) == 3:
        found = ["example row col"] if first else []
        found += ["example pixel channel"] if first and shape[2] == 3 and _square(shape[1]) else []
        found += ["example channel pixel"] if first and shape[1] == 3 and _square(shape[2]) else []
        return found + (["row col example"] if last else [])
    if len(shape) == 4:
        ways = {"example channel row col": shape[1], "example row col channel": shape[3]}
        usual = [one for one, channels in ways.items() if channels in (1, 3)]
        found = (usual or [*ways]) if first else []
        return found + (["row col channel example"] if last and shape[2] in (1, 3) else [])
    return []


def _no_axis(alike: Sequence[tuple[np.ndarray, int | None]], what: str) -> DataError:
    held = ["" if count is None else f" with {count:,} {what}" for _, count in alike]
    came = " and ".join(f"images of shape {list(one.shape)}{more}" for (one, _), more in zip(alike, held, strict=True))
    return DataError(f"{came} came; each image needs one, and axes= names the axes where they are not the usual")


def _meaning(order: str) -> str:
    words = {
        "example channel row col": "channels first",
        "example row col channel": "channels last",
        "example row col": "gray images",
        "example pixel": "a row is an image",
        "pixel example": "a column is an image",
    }
    return words.get(order, "flat images in color" if "pixel" in order else "examples last")


def _tell_axes(order: list[str], shape: tuple[int, ...], reading: Reading, changes: list[str]) -> None:
    if order[0] != "example":
        changes.append(f"the images lay along the last axis of {list(shape)}, now along the first")
    if (
        len(order) == len(shape) == 4
        and order.index("channel") < order.index("row")
        and shape[order.index("channel")] > 1
    ):
        changes.append("channels came before rows and columns, and are now the last axis")
    if "pixel" in order or len(order) > len(shape):
        pixels = shape[_place(order, len(shape), "pixel")] if "pixel" in order else shape[1]
        rows, cols, channels = _sides(pixels, order, len(shape), reading)
        color = f" with {channels} channels" if channels > 1 else ""
        changes.append(f"{pixels} pixels a row are images of {rows} x {cols}{color}")


def _sides(pixels: int, order: Sequence[str], rank: int, reading: Reading) -> tuple[int, int, int]:
    """(rows, columns, channels) of flat images; of one channel where the channels have an axis of their own."""
    channels = 1
    if len(order) > rank:
        channels = pixels // math.prod(reading.shape) if reading.shape else 3
    rows, cols = reading.shape or (math.isqrt(pixels // channels),) * 2
    if rows * cols * channels != pixels or not channels:
        asked = f"{rows} x {cols}" if reading.shape else "a square"
        raise DataError(f"{pixels} pixels are not images of {asked}; pass shape=(rows, columns)")
    return rows, cols, channels


def arranged(array: np.ndarray, order: Sequence[str], reading: Reading) -> np.ndarray:
    """A view [example, row, col, channel]."""
    if len(order) > array.ndim:
        rows, cols, channels = _sides(array.shape[1], order, array.ndim, reading)
        sizes = {"row": rows, "col": cols, "channel": channels}
        array = array.reshape(len(array), *(sizes[name] for name in order[1:]))
    elif "pixel" in order:
        at = order.index("pixel")
        rows, cols, _ = _sides(array.shape[at], order, array.ndim, reading)
        array = array.reshape(*array.shape[:at], rows, cols, *array.shape[at + 1 :])
        order = [*order[:at], "row", "col", *order[at + 1 :]]
    swapped = {"row": "col", "col": "row"} if reading.transpose else {}
    wanted = [swapped.get(name, name) for name in ("example", "row", "col", "channel")]
    array = array.transpose([order.index(name) for name in wanted if name in order])
    return array if "channel" in order else array[..., None]
