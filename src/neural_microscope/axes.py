"""The axis vocabulary: one word for each kind of axis, everywhere.

``step`` counts optimizer steps (scalars of every step); ``snapshot`` counts recorded snapshots, with ``step`` as a coordinate.
A second axis of one kind ends in ``_b``. In a log, where layers differ in width, an axis carries its hook point:
``unit_layers.0.hook_post``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from .errors import DataError

VOCABULARY = (
    "snapshot",
    "step",
    "example",
    "unit",
    "channel",
    "row",
    "col",
    "class",
    "predicted",
    "component",
    "latent",
    "seed",
    "layer",
    "bin",
)

UNIT_AXES = ("unit", "channel")


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
