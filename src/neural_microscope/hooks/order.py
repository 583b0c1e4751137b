"""The channel axis of a map: known from its layer or from its sizes; requested if neither is conclusive."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, dropout, instancenorm, pooling, upsampling

from ..axes import of_activation
from ..doors import MEASURING
from ..errors import HookError
from .attach import Action, Attachment
from .point import HookPoint, Site

FIRST = (
    *(conv._ConvNd, batchnorm._BatchNorm, instancenorm._InstanceNorm, nn.GroupNorm, nn.LocalResponseNorm),
    *(pooling._MaxPoolNd, pooling._AvgPoolNd, pooling._AdaptiveMaxPoolNd, pooling._AdaptiveAvgPoolNd),
    *(dropout.Dropout2d, upsampling.Upsample, nn.PixelShuffle, HookPoint),
)
"""Layers whose maps are [example, channel, row, col]."""

LAST = (nn.Linear, nn.Bilinear, nn.Embedding)
"""Layers that mix the last axis: their maps are [example, row, col, channel]."""


def channels(module: nn.Module, shape: tuple[int, ...]) -> str:
    """``first`` or ``last``; empty if a map may be either: its layer accepts any order, and its first two sizes are equal
    and the third is not, as in square maps with channels last.
    """
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    if isinstance(module, FIRST):
        return "first"
    if isinstance(module, LAST) or (isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1):
        return "last"
    _, first, second, third = shape
    return "" if first == second != third else "first"


def axes_of(site: Site, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The axes of a site's value. An ambiguous map is a HookError if a filter named the site; otherwise its axes are numbered."""
    if len(shape) != 4 or channels(site.module, shape) == "first":
        return of_activation(shape, site.name)
    if channels(site.module, shape) == "last":
        return ("example", "row", "col", "channel")
    if site.named:
        raise HookError(
            f"{site.label!r} holds {list(shape)}, which may be [example, channel, row, col] or [example, row, col, channel]: "
            "give axes="
        )
    return ("example", "axis_1", "axis_2", "axis_3")


def refuse_last(site: Site, output: Any) -> None:
    """For a measure, which expects units or channels on axis 1: a HookError for a map whose channels are not known to be there."""
    if not MEASURING.get() or not isinstance(output, Tensor) or output.ndim != 4:
        return
    if channels(site.module, tuple(output.shape)) != "first":
        raise HookError(
            f"{site.label!r} holds {list(output.shape)}, which is or may be [example, row, col, channel]; measures change channels "
            "where they come second: hook a module that gives [example, channel, row, col], such as one that permutes the axes"
        )


def known_order(action: Action) -> Action:
    """The action, after `refuse_last`."""

    def run(at: Attachment, output: Any) -> Tensor | None:
        refuse_last(at.site, output)
        return action(at, output)

    return run
