"""The axes of the value at a hook point: stated, known from its layer, or implied by the widths of the layers around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, conv, dropout, instancenorm, pooling, upsampling

from ..axes import LOGGED, UNIT_AXES, VOCABULARY, of_activation
from ..doors import MEASURING, came
from ..errors import HookError
from .point import HookPoint, Site
from .select import select

FIRST = (
    *(conv._ConvNd, batchnorm._BatchNorm, instancenorm._InstanceNorm, nn.GroupNorm, nn.LocalResponseNorm),
    *(pooling._MaxPoolNd, pooling._AvgPoolNd, pooling._AdaptiveMaxPoolNd, pooling._AdaptiveAvgPoolNd),
    *(dropout.Dropout2d, upsampling.Upsample, nn.PixelShuffle, HookPoint),
)
"""Layers whose maps are [example, channel, row, col]."""

LAST = (nn.Linear, nn.Embedding)
"""Layers that mix the last axis: their maps are [example, row, col, channel], their sequences [example, token, unit]."""

SEQUENCES = (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer, nn.TransformerEncoder, nn.TransformerDecoder)
TOKENS = ("example", "token", "unit")
PATTERN = ("example", "head", "query", "key")
MAPS = {
    ("first", 3): ("example", "channel", "col"),
    ("first", 4): ("example", "channel", "row", "col"),
    ("last", 3): TOKENS,
    ("last", 4): ("example", "row", "col", "channel"),
}


def checked(axes: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Stated axes by hook point; a HookError for those that name no examples, one axis twice, or an unknown word."""
    if not isinstance(axes, Mapping):
        raise HookError(f"axes is {came(axes)}; it must be a dict from hook points to the names of their axes")
    for name, words in axes.items():
        known = isinstance(words, Sequence) and not isinstance(words, str) and "example" in words
        if not known or len(set(words)) < len(words) or not set(words) <= set(VOCABULARY):
            raise HookError(
                f"axes of {name!r} is {words!r}; it must name each axis once, among them 'example', with words of: "
                f"{', '.join(VOCABULARY)}"
            )
    return {name: tuple(words) for name, words in axes.items()}


def axes_of(site: Site, shape: Sequence[int]) -> tuple[str, ...]:
    """The axes of a site's value, or of the token that it selects; numbered where more than one reading fits, or none."""
    key = f"{site.name}{' measured' * site.measured}", tuple(shape)
    if key not in site.found:
        site.found[key] = _axes_of(site, shape)
    return site.found[key]


def _axes_of(site: Site, shape: Sequence[int]) -> tuple[str, ...]:
    if site.token is not None or (site.measured and site.module is not site.point):
        return of_activation(tuple(shape), site.name)
    if site.name in site.stated:
        if len(site.stated[site.name]) != len(shape):
            raise HookError(
                f"axes of {site.name!r} is {site.stated[site.name]!r}; it holds {list(shape)}: name each axis"
            )
        return site.stated[site.name]
    if site.pattern:
        return PATTERN[4 - len(shape) :] if len(shape) < 4 else PATTERN
    if known := _of_layer(site, len(shape)):
        return known
    if len(shape) not in (3, 4) or site.module is site.point:
        return of_activation(tuple(shape), site.name)
    return MAPS.get((channels(site, shape), len(shape)), ("example", *(f"axis_{i}" for i in range(1, len(shape)))))


def _of_layer(site: Site, rank: int) -> tuple[str, ...]:
    """The axes that torch's own sequence layers document; otherwise empty."""
    module, part = site.module, site.part
    if site.given:
        return ()
    if isinstance(module, nn.RNNBase) and rank == 3:
        if part not in (None, "0"):
            return ("layer", "example", "unit")
        return TOKENS if module.batch_first else ("token", "example", "unit")
    if isinstance(module, nn.MultiheadAttention) and part == "1":
        return {3: ("example", "query", "key"), 4: PATTERN}.get(rank, ())
    if isinstance(module, (nn.MultiheadAttention, *SEQUENCES)) and rank == 3:
        one = next(one for one in module.modules() if isinstance(one, nn.MultiheadAttention))
        return TOKENS if one.batch_first else ("token", "example", "unit")
    return ()


def channels(site: Site, shape: Sequence[int]) -> str:
    """``first`` or ``last``: the place of the channels or units in [example, …]. Empty where both readings fit, or none."""
    module = site.module
    while isinstance(module, nn.Sequential) and len(module):
        module = module[0 if site.given else -1]
    if isinstance(module, FIRST):
        return "first"
    norm = isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1
    if isinstance(module, LAST) or (norm and type(module).forward is nn.LayerNorm.forward):
        return "last"
    first, last = _widths(module)
    if norm:  # with a forward of its own, which may move the channels
        first = last
    if site.around is not None and (site.given or not ({shape[1], shape[-1]} & first or shape[-1] in last)):
        first, last = _widths(site.around, head=False)
    turned = len(shape) == 3 and shape[-1] in first  # a map as a sequence, such as the patches of an image
    in_first, in_last = shape[1] in first, turned or shape[-1] in last
    square = len(shape) == 4 and shape[2] == shape[3] != shape[1]  # a map, or attention of which head comes first
    if in_first and (square or not in_last):  # a square map is as wide as a dense layer behind it by chance
        return "first"
    if in_last and not (in_first or square) and (len(shape) == 4 or shape[1] not in last):
        return "last"
    return "first" if square and not in_last else ""


def _widths(module: nn.Module, head: bool = True) -> tuple[set[int], set[int]]:
    """The widths of the layers inside a module: those with channels on axis 1, and those with units on the last axis.

    Without ``head`` the last linear layer does not count: what it gives are rarely sequences.
    """
    first: set[int] = set()
    last: list[int] = []
    linear = None
    for one in module.modules():
        if isinstance(one, conv._ConvNd):
            first.add(one.out_channels)
        elif isinstance(one, nn.Linear | nn.Bilinear):
            linear = len(last)
            last.append(one.out_features)
        elif isinstance(one, nn.Embedding):
            last.append(one.embedding_dim)
        elif isinstance(one, nn.LayerNorm):
            last.append(one.normalized_shape[-1])
        elif isinstance(one, nn.RNNBase):
            last.append(one.hidden_size * (1 + one.bidirectional))
    if linear is not None and not head:
        del last[linear]
    return first, set(last)


def ask(site: Site, shape: Sequence[int]) -> HookError:
    """The error that asks for the axes of a value."""
    readings = {
        3: "[example, token, unit], [token, example, unit] or [example, channel, col]",
        4: "[example, channel, row, col] or [example, row, col, channel]",
    }.get(len(shape), "in any order")
    return HookError(
        f"{site.label!r} holds {list(shape)}, which may be {readings}: name its axes once, "
        f'nm.hooked(model, axes={{"{site.name}": ("example", …)}}), and use that model'
    )


def numbered(axes: Sequence[str]) -> bool:
    """True if axes are not known."""
    return "axis_1" in axes


def arranged(lens: Any, name: str, tensor: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    """(the value of a hook point of a foreign module in the order of a log, without an axis of one layer; its axes)."""
    (site,) = select(lens._sites(), name)
    axes = axes_of(site, tensor.shape)
    if tensor.ndim < 3 or "example" not in axes or numbered(axes):
        return tensor, axes
    order = sorted(range(len(axes)), key=lambda axis: LOGGED.index(axes[axis]) if axes[axis] in LOGGED else len(LOGGED))
    tensor, axes = tensor.permute(order), tuple(axes[axis] for axis in order)
    if "layer" in axes and tensor.shape[axes.index("layer")] == 1:
        tensor, axes = tensor.squeeze(axes.index("layer")), tuple(axis for axis in axes if axis != "layer")
    return tensor, axes


def viewed(site: Site, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``run`` on the token that a site selects; for a measure, which expects units or channels on axis 1, on a value with that order."""
    if site.module is site.point or (site.token is None and not site.measured):
        return run

    def runs(value: Any) -> Any:
        tensor = site.tensor(value) if site.token is not None or isinstance(value, Tensor) else None
        if tensor is None:
            return run(value)
        there, back = _token(site, tensor) if site.token is not None else _measured(site, tensor)
        result = run(there)
        return result if result is None else back(result)

    return runs


def _token(site: Site, tensor: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(one token [example, unit], a function that puts another one in its place)."""
    axes, at = axes_of(site.whole, tensor.shape), int(site.token or 0)
    along = next((axis for axis in ("token", "layer") if axis in axes), None)
    if along is None:
        if numbered(axes):
            raise ask(site.whole, tensor.shape)
        raise HookError(f"{site.label!r}: {site.whole.label!r} holds [{', '.join(axes)}], of which none counts tokens")
    axis = axes.index(along)
    if not -tensor.shape[axis] <= at < tensor.shape[axis]:
        raise HookError(f"{site.label!r}: {site.whole.label!r} has {along}s 0 to {tensor.shape[axis] - 1}")

    def back(one: Tensor) -> Tensor:
        changed = tensor.clone()
        changed.select(axis, at).copy_(one)
        return changed

    return tensor.select(axis, at), back


def _measured(site: Site, tensor: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """(the value as [example, unit] or [example, channel, row, col], a function that restores the order of such a one)."""
    axes = axes_of(site.whole, tensor.shape)
    if numbered(axes) and tensor.ndim in (3, 4) and site.named:
        raise ask(site, tensor.shape)
    unit = next((axis for axis in (*UNIT_AXES, "head") if axis in axes), None)
    if unit is None or tensor.ndim not in (2, 3, 4) or "example" not in axes:
        return tensor, lambda changed: changed
    order = [axes.index("example"), axes.index(unit)]
    order += [axis for axis in range(tensor.ndim) if axis not in order]
    given = tensor.permute(order)
    if tensor.ndim == 3:
        given = given.unsqueeze(-1)
    if unit != "channel" and tensor.ndim > 2 and (said := MEASURING.get()) is not None:
        said["channel"] = unit
    back = torch.tensor(order).argsort().tolist()
    return given, lambda changed: (changed.squeeze(-1) if tensor.ndim == 3 else changed).permute(back)
