"""The axis vocabulary: one word for each kind of axis, everywhere.

``step`` counts optimizer steps (scalars of every step); ``snapshot`` counts recorded snapshots, with ``step`` as a coordinate.
A second axis of one kind ends in ``_b``. In a log, where layers differ in width, an axis carries its hook point:
``unit_layers.0.hook_post``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, Literal

from .errors import DataError

VOCABULARY = (
    "snapshot",
    "step",
    "example",
    "token",
    "unit",
    "channel",
    "row",
    "col",
    "head",
    "query",
    "key",
    "class",
    "predicted",
    "component",
    "latent",
    "seed",
    "layer",
    "bin",
)

UNIT_AXES = ("unit", "channel")

POSITIONS = ("row", "col", "token", "query", "key")
"""Axes along which a unit, a channel or a head has many values for one example."""

LOGGED = ("example", "head", "query", "key", "channel", "layer", "row", "col", "token", "unit")
"""The order of axes in a log: channels before their rows and columns, tokens before their units."""

Token = int | Literal["mean", "max", "all"]
"""A reduction of a sequence [example, token, unit] to one token (below 0 from the end), to their mean or highest, or to all."""


def of_activation(shape: tuple[int, ...], hook_point: str = "") -> tuple[str, ...]:
    """Axis names of a tensor seen at a hook point.

    [example, unit], [example, channel, row, col], and for logits [example, class]. Any other rank gets ``example`` and
    then ``axis_1``, ``axis_2``, … because its axes are unknown.

    Args:
        shape: Shape of the tensor, the examples first.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``; empty: not the logits.
    """
    if hook_point == "logits" and len(shape) == 2:
        return ("example", "class")
    known = {1: ("example",), 2: ("example", "unit"), 4: ("example", "channel", "row", "col")}
    return known.get(len(shape), ("example", *(f"axis_{i}" for i in range(1, len(shape)))))


def positions(dims: Iterable[str]) -> tuple[str, ...]:
    """The axes over which the values of a unit, a channel or a head are reduced; empty where there is none of them.

    Args:
        dims: Names of axes.
    """
    found = tuple(dims)
    features = [dim for dim in found if dim in (*UNIT_AXES, "head")]
    return tuple(dim for dim in found if dim in POSITIONS) if len(features) == 1 else ()


def in_log(axis: str, hook_point: str) -> str:
    """The name an axis carries in a log, where layers differ in width: ``unit`` -> ``unit_layers.0.hook_post``.

    Args:
        axis: Name of an axis.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
    """
    return axis if axis in ("snapshot", "example", "class") else f"{axis}_{hook_point}"


def from_log(axis: str, hook_point: str) -> str:
    """The inverse of `in_log`.

    Args:
        axis: Name of an axis in a log.
        hook_point: Name of a hook point, such as ``layers.1.hook_post``.
    """
    return axis.removesuffix(f"_{hook_point}")


def unit_axis(dims: Iterable[Hashable]) -> str:
    """``unit`` or ``channel``, whichever is in ``dims``.

    Args:
        dims: Names of axes.

    Raises:
        DataError: Neither is.
    """
    names = [str(dim) for dim in dims]
    for axis in UNIT_AXES:
        if axis in names:
            return axis
    raise DataError(f"the activations have the axes {', '.join(names)}; one of them must be unit or channel")


def of_tokens(values: Any, dims: tuple[str, ...], token: Token) -> tuple[Any, tuple[str, ...]]:
    """(a sequence reduced to one token, or over its tokens; its axes).

    Args:
        values: Tensor with an axis ``token``.
        dims: Names of its axes.
        token: A token, ``mean`` or ``max``; ``all`` changes nothing.

    Raises:
        DataError: A token that the sequence does not have.
    """
    if token == "all":
        return values, dims
    axis, rest = dims.index("token"), tuple(dim for dim in dims if dim != "token")
    if token == "mean":
        return values.mean(axis), rest
    if token == "max":
        return values.amax(axis), rest
    if not -values.shape[axis] <= token < values.shape[axis]:
        raise DataError(f"token is {token}; the sequence has tokens 0 to {values.shape[axis] - 1}")
    return values.select(axis, token), rest


def tokens_as_examples(acts: Any) -> Any:
    """Activations whose tokens are examples of their own, those of an example one after the other; others unchanged.

    Args:
        acts: DataArray, perhaps with the axes ``example`` and ``token``, in this order.
    """
    if "token" not in acts.dims:
        return acts
    import xarray as xr  # not needed by the command line's start

    size, start = acts.sizes["token"], list(acts.dims).index("example")
    shape = (*acts.shape[:start], -1, *acts.shape[start + 2 :])
    coords = {name: one for name, one in acts.coords.items() if "example" not in one.dims}
    coords |= {name: ("example", one.values.repeat(size)) for name, one in acts.coords.items() if "example" in one.dims}
    dims = [dim for dim in acts.dims if dim != "token"]
    return xr.DataArray(acts.values.reshape(shape), coords, dims, acts.name, acts.attrs)
