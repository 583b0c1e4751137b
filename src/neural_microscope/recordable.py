"""Selection of the tensors that a recorder keeps, reasons for the others, and their size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .axes import of_activation
from .config import RecordConfig
from .errors import RunError
from .hooks import HookedModel, evaluation, rows
from .hooks.order import arranged
from .hooks.select import SCRIPTED
from .run import ArraySpec

MEGABYTE = 1_000_000
SMALLER = (
    'Snapshots are smaller with RecordConfig(hook_points=(…), probe_size=…), and without tokens="all"; there are fewer with '
    "RecordConfig(per_octave=1, every_epoch=False)"
)
MUCH = 250
"""Megabytes of a run above which its size is reported without being asked."""


def in_order(lens: HookedModel, cache: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]]]:
    """(the values of a foreign module's hook points in the order of a log; their axes, where these do not follow from their number)."""
    found = {name: arranged(lens, name, tensor) for name, tensor in cache.items()}
    odd = {name: dims for name, (tensor, dims) in found.items() if dims != of_activation(tuple(tensor.shape), name)}
    return {name: tensor for name, (tensor, _) in found.items()}, odd


def left_out(
    lens: HookedModel, images: Tensor, cache: Mapping[str, Tensor], asked: Sequence[str] = ()
) -> dict[str, str]:
    """Reasons, by name, for which hook points that images reach can't be recorded. ``cache`` holds their values for ``images``, [example,
    …].

    A hook point is recorded if it holds one dense tensor of real numbers with a row for each image. The rows are tested with another
    number of images: a weight that passes through a hook point keeps its number of rows, even where that equals the number of images.
    """
    count = len(images)
    others = rows.some(images, count)
    with evaluation(lens):
        other = rows.outputs(lens, others)
        if asked:  # an input or one token is no output
            with torch.no_grad():
                other |= lens.run_with_cache(others, names_filter=asked)[1]
    tensors = {name: tensor for name, tensor in other.items() if isinstance(tensor, Tensor)}
    tensors, odd = in_order(lens, tensors)
    other |= tensors
    names = [name for name in dict.fromkeys([*other, *cache]) if name in cache or name != "input"]
    reasons = {name: _reason(name, cache.get(name), other.get(name), count, len(others)) for name in names}
    reasons = {name: reason or _unclear(odd.get(name, ())) for name, reason in reasons.items()}
    reasons |= {name: SCRIPTED for name, site in lens._sites().items() if site.closed and not site.again}
    return {name: reason for name, reason in reasons.items() if reason}


def _unclear(dims: tuple[str, ...]) -> str:
    """The reason that a value with these axes can't be reduced to numbers for each unit; otherwise an empty string."""
    if "layer" in dims:
        return "gives the states of several layers: record one by its name with [-1]"
    if "axis_1" in dims:
        return "gives maps whose channels may come second or last: name its axes with nm.hooked(model, axes=…)"
    return ""


def _reason(name: str, held: Tensor | None, other: Any, count: int, others: int) -> str:
    """The reason that a hook point with these values, for two numbers of images, can't be recorded; otherwise an empty string."""
    if held is None and not isinstance(other, Tensor):
        return f"gives {'None' if other is None else f'a {type(other).__name__}'}, not a tensor"
    if held is None or other is None:
        return f"is not reached as often for {others} images as for {count}"
    shape = list(held.shape)
    if not shape:
        return "gives one number for all images"
    if not isinstance(other, Tensor) or shape == list(other.shape):
        return f"gives {shape} for any number of images, as weights and embeddings of positions do"
    if len(held) != count or not other.ndim or len(other) != others:
        second = shape[1:2] == [count] and list(other.shape[1:2]) == [others]
        where = (
            ": its images are along the second axis, so name its axes with nm.hooked(model, axes=…)" if second else ""
        )
        return f"gives {shape} for {count} images, not a row for each{where}"
    if held.is_complex():
        return "gives complex numbers: record their absolute value, or both parts, from a separate module"
    if held.layout != torch.strided or held.is_quantized or held.is_nested:
        return "gives a tensor that is not dense"
    if not held.numel():
        return f"gives {shape}, which holds no number"
    return "" if name.encode(errors="replace").decode() == name else "has a name that is not valid Unicode"


def told(reasons: Mapping[str, str]) -> str:
    """One line that lists the hook points not recorded."""
    if not reasons:
        return ""
    listed = [f"{name} {reason}" for name, reason in reasons.items()]
    more = [f"{len(listed) - 8} more, see run.json"] if len(listed) > 8 else []
    return f"not recorded: {'; '.join([*listed[:8], *more])}"


def size(
    record: RecordConfig, specs: Mapping[str, ArraySpec], weights: Mapping[str, Tensor], snapshots: int
) -> tuple[str, bool]:
    """(the run's size in one line; True if it is large). A snapshot above the config's limit is a RunError."""
    arrays = {
        name: math.prod(spec.shape[1:]) * np.dtype(spec.dtype).itemsize
        for name, spec in specs.items()
        if spec.dims[0] == "snapshot" and not spec.whole
    }
    weight = sum(tensor.nbytes for tensor in weights.values())
    one = (sum(arrays.values()) + weight) / MEGABYTE
    largest = sorted({**arrays, "the weights": weight}.items(), key=lambda item: -item[1])[:3]
    parts = ", ".join(f"{name} {taken / MEGABYTE:.3g} MB" for name, taken in largest)
    total = f"{snapshots} snapshot{'s' * (snapshots > 1)} {one * snapshots:,.3g} MB"
    text = f"a snapshot takes {one:.3g} MB before compression ({parts}, …), {total}"
    if one > record.max_megabytes:
        raise RunError(
            f"{text}; RecordConfig(max_megabytes={record.max_megabytes:g}) allows less for one. {SMALLER}; or allow more"
        )
    return text, one * snapshots > MUCH
