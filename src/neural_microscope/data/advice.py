"""Hints for arrays that are not a valid image set: code that converts them, or no code.

The code depends on the values, not on their type alone: the same int8 may hold -128..127, 0..127 or -1..1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

GRAY = "[0.299, 0.587, 0.114]"
WHITES = (1023, 4095, 16383, 65535)  # the highest values of 10, 12, 14 and 16 bits


def pixels(images: np.ndarray) -> str:
    """Code that converts an array of another dtype to uint8, 0 black to 255 white."""
    kind = images.dtype.kind
    if kind not in "biuf":
        return "give numbers, 0 black to 255 white"
    if kind == "b":
        return "convert with images.astype(numpy.uint8) * 255 if True is white"
    finite = np.isfinite(np.atleast_1d(images))
    bad = np.flatnonzero(~finite.reshape(len(finite), -1).all(1)).tolist() if finite.size else []
    if len(bad):
        return (
            f"{len(bad)} of them hold NaN or infinite pixels, the first is example {bad[0]}: fix them or leave them out"
        )
    low, high = (images.min(), images.max()) if images.size else (0, 0)
    span = f"from {low:.6g} to {high:.6g}"
    rounded = "numpy.round({}).astype(numpy.uint8)".format
    if low >= 0 and high <= 1:
        code = rounded("images * 255") if kind == "f" else "(images != 0).astype(numpy.uint8) * 255"
        return f"they lie in 0..1; convert with {code} if 1 is white"
    if low >= -1 and high <= 1:
        return f"they run {span}; convert with {rounded('(images + 1) * 127.5')} if -1 is black and 1 is white"
    if low < 0 and images.dtype == np.int8:
        code = "(images.astype(numpy.int16) + 128).astype(numpy.uint8)"
        return f"they run {span}; convert with {code} if -128 is black and 127 is white"
    if low < 0:
        return f"they run {span}; undo their normalization (images * std + mean), so that 0 is black and 1 is white"
    if 128 <= high <= 255:
        return f"they run {span}; convert with {rounded('images')} if 255 is white"
    white = f"{next((w for w in WHITES if high <= w), high) if high > 255 else high:.6g}"
    dark = f", with {rounded('images')} if 255 is" if high < 128 else ""
    return f"they run {span}; convert with {rounded(f'images * (255 / {white})')} if {white} is white{dark}"


def axes(shape: tuple[int, ...], count: int | None) -> str:
    """Code that converts images to [example, row, col] or [example, row, col, 3]; ``count``: the number of labels, if known."""
    if len(shape) == 4:
        return _maps(shape, count)
    side = math.isqrt(shape[-1]) if shape else 0
    square = f"images.reshape(-1, {side}, {side})"
    flat = square if side**2 == shape[-1] else f"images.reshape(-1, rows, cols), where rows * cols is {shape[-1]}"
    if len(shape) == 2 and count not in (1, shape[0]) and count == shape[1]:
        return "each column seems to be an image: take images.T first"
    if len(shape) == 2 and count == shape[0] != 1:
        return f"each row is an image: take {flat}"
    if len(shape) == 2 and count == 1:
        return "take images[None] for a set of one image"
    if len(shape) == 2:
        return f"take images[None] if it is one image, {flat} if each row is one"
    return f"take {square} for one image" if len(shape) == 1 and count == 1 and side**2 == shape[0] else ""


def _maps(shape: tuple[int, ...], count: int | None) -> str:
    if count not in (None, shape[0]) and count == shape[-1]:
        return "the examples are the last axis: take numpy.moveaxis(images, -1, 0) first"
    first, last = shape[1], shape[-1]
    if first == 1 or last == 1:
        return f"take {'images[:, 0]' if first == 1 else 'images[..., 0]'}"
    colors = (3, 4)
    if first in colors and last not in colors:
        return "the channels are the second axis: take numpy.moveaxis(images[:, :3], 1, -1)"
    return "take images[..., :3]" if last == 4 and first not in colors else ""


def classes(labels: np.ndarray, count: int | None) -> str:
    """Code that converts labels of another shape or dtype to int64 [example]; ``count``: the number of images, if known."""
    if labels.ndim == 2 and labels.size:
        return _table(labels, count)
    if labels.ndim != 1:
        return ""
    kind = labels.dtype.kind
    if kind in "US" or (kind == "O" and all(isinstance(label, str) for label in labels)):
        return "number them with numpy.unique(labels, return_inverse=True)[1], in the order of their names"
    if kind == "f":
        bad = np.flatnonzero(~np.isfinite(labels) | (labels != np.round(labels)))
        if len(bad):
            return f"classes are whole numbers, but example {bad[0]} has {labels[bad[0]]:.6g}"
    whole = kind in "biuf" or (kind == "O" and all(isinstance(label, (int, np.integer)) for label in labels))
    return "convert with labels.astype(numpy.int64)" if whole else ""


def _table(labels: np.ndarray, count: int | None) -> str:
    rows, columns = labels.shape
    if columns == 1 and count in (None, rows):
        return "take labels[:, 0]"
    if rows == 1 and count in (None, columns):
        return "take labels[0]"
    axis = 0 if count != rows and count == columns else 1
    if labels.dtype.kind in "biuf":
        if (np.count_nonzero(labels, axis=axis) == 1).all() and np.isfinite(labels).all():
            return f"they are one-hot; take labels.argmax({axis})"
        if labels.dtype.kind == "f" and (labels >= 0).all() and np.allclose(labels.sum(axis), 1, atol=1e-3):
            return f"they are probabilities; take labels.argmax({axis}) if the most probable class is the label"
    column = "labels[:, 0]" if axis == 1 else "labels[0]"
    choose = f"each image has {labels.shape[axis]} labels, and a set has one: choose, for example {column}"
    whole = axis == 1 and labels.dtype.kind in "biuf" and np.isin(labels, (0, 1)).all()
    return choose + (", or give them as targets with task='multi-label': nm.data.examples" if whole else "")


def outside(labels: np.ndarray) -> str:
    """A hint for labels that are not classes from 0."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0:
        return "numpy.unique(labels, return_inverse=True)[1] numbers all that occur from 0"
    more = f"pass classes={high + 1} if there are so many"
    return f"take labels - 1 if they count from 1, or {more}" if low == 1 else f"correct the label, or {more}"


def tensor_values(images: Tensor) -> str:
    """Code that converts an integer tensor to float, 0 black to 1 white."""
    if images.is_complex():
        return "give numbers, 0 black and 1 white"
    low, high = (float(part) for part in images.long().aminmax()) if images.numel() else (0.0, 0.0)
    ways = (
        ((low == 0 and high == 1) or images.dtype == torch.bool, "images.float()", "1 is white"),
        (low >= 0 and high <= 255, "images.float() / 255", "255 is white, or take ImageSet.tensor()"),
        (low >= -1 and high <= 1, "(images.float() + 1) / 2", "-1 is black and 1 is white"),
        (low >= -128 and high <= 127, "(images.float() + 128) / 255", "-128 is black and 127 is white"),
        (low >= 0 and high <= 65535, "images.float() / 65535", "65535 is white"),
    )
    for fits, code, white in ways:
        if fits:
            return f"they run from {low:g} to {high:g}; convert with {code} if {white}"
    return f"they run from {low:g} to {high:g}; convert them to floats, 0 black and 1 white"


def tensor_axes(shape: tuple[int, ...], rows: int, cols: int, channels: int = 1) -> str:
    """Code that converts a tensor of another shape to [example, channel, row, col]; a reshape only if it keeps each image whole."""
    if channels > 1:
        return _tensor_channels(shape, rows, cols, channels)
    if shape[-2:] == (rows, cols) and len(shape) < 4:
        return f"take images.reshape(-1, 1, {rows}, {cols})"
    if shape in ((rows * cols,), (*shape[:1], rows * cols), (*shape[:1], rows, cols, 1)):
        return f"take images.reshape(-1, 1, {rows}, {cols})"
    color = (
        "they are in color, for which the config has image_channels=3; make them gray with ({} * torch.tensor("
        + GRAY
        + "){}).sum({}, keepdim=True).clamp(0, 1){}"
    )
    if len(shape) == 4 and shape[2:] == (rows, cols) and shape[1] in (3, 4):
        return color.format("images[:, :3]", ".view(3, 1, 1)", 1, "")
    if len(shape) == 4 and shape[1:3] == (rows, cols) and shape[3] in (3, 4):
        return color.format("images[..., :3]", "", -1, ".movedim(-1, 1)")
    if len(shape) == 4 and shape[2:] == (rows, cols) and shape[0] == 1:
        return "take images.transpose(0, 1) if the examples are the second axis"
    if len(shape) == 3 and shape[:2] == (rows, cols):
        return "take images.movedim(-1, 0)[:, None] if the examples are the last axis"
    return f"give images of that size; this network was built for {rows} x {cols}"


def _tensor_channels(shape: tuple[int, ...], rows: int, cols: int, channels: int) -> str:
    if shape[-3:] == (rows, cols, channels):
        return f"take images.movedim(-1, -3){'[None]' if len(shape) == 3 else ''}"
    if shape == (channels, rows, cols):
        return "take images[None]"
    if len(shape) == 4 and shape[1:] == (1, rows, cols):
        return f"they are gray; take images.expand(-1, {channels}, -1, -1)"
    return f"give images of that size; this network was built for {rows} x {cols} with {channels} channels"


def not_finite(images: Tensor) -> str:
    """A hint that names the first image of a tensor [example, …] that is not finite."""
    first = int((~images.isfinite()).reshape(len(images), -1).any(1).nonzero()[0])
    return f"image {first} holds NaN or infinite pixels. Fix such images or leave them out"
