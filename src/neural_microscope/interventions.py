"""Hook functions that change a network's activations.

Each returns a function for `HookedModel.hooks`::

    with model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=14))]):
        logits = model(images)

Activations to take values from may be a tensor, an array or a DataArray. At most one of ``unit``, ``channel`` and
``mask`` selects activations, the first two at all tokens or those of ``token``; without any of them, the whole hook point
is selected. Two of them, an index that does not
exist, and values whose shape does not fit are a HookError. Values that are not selected are bitwise unchanged, also if
the replacement is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .axes import of_activation
from .doors import told
from .errors import HookError

Indices = int | Sequence[int] | Tensor | None
Intervention = Callable[..., Tensor]


@told
def zero(
    *, unit: Indices = None, channel: Indices = None, token: Indices = None, mask: Tensor | None = None
) -> Intervention:
    """A hook function that sets the selected activations to 0 (zero ablation).

    Args:
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.

    >>> with model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=14))]):
    ...     _, cache = model.run_with_cache(images)
    >>> float(cache["post", 1][:, 14].abs().max())
    0.0
    """
    return _intervention(torch.zeros_like, unit, channel, token, mask)


@told
def scale(
    factor: float, *, unit: Indices = None, channel: Indices = None, token: Indices = None, mask: Tensor | None = None
) -> Intervention:
    """A hook function that multiplies the selected activations by ``factor``.

    Args:
        factor: 1 changes nothing, 0 ablates (if the activations are finite).
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.

    >>> hook = ("layers.0.hook_post", nm.interventions.scale(1.0))
    >>> model.run_with_hooks(images, fwd_hooks=[hook]).equal(model(images))
    True
    """
    return _intervention(lambda tensor: tensor * factor, unit, channel, token, mask)


@told
def mean(
    reference: Any, *, unit: Indices = None, channel: Indices = None, token: Indices = None, mask: Tensor | None = None
) -> Intervention:
    """A hook function that replaces the selected activations by their mean over ``reference`` (mean ablation).

    Args:
        reference: Activations of the same hook point, [example, …]; feature maps keep a mean for each position.
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.
    """
    average = _reference(reference).mean(0)
    return _intervention(lambda tensor: _like(average, tensor, "mean"), unit, channel, token, mask)


@told
def resample(
    reference: Any,
    *,
    seed: int = 0,
    unit: Indices = None,
    channel: Indices = None,
    token: Indices = None,
    mask: Tensor | None = None,
) -> Intervention:
    """A hook function that replaces the selected activations by those of random examples (resample ablation).

    One example is drawn for each example of the batch, the same for all selected units. The draws restart from ``seed``
    with each function made, and continue from batch to batch.

    Args:
        reference: Activations of the same hook point, [example, …].
        seed: Seed of the draws.
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.
    """
    pool = _reference(reference)
    generator = torch.Generator().manual_seed(seed)

    def draw(tensor: Tensor) -> Tensor:
        chosen = torch.randint(len(pool), (len(tensor),), generator=generator)
        return _like(pool[chosen.to(pool.device)], tensor, "resample")

    return _intervention(draw, unit, channel, token, mask)


@told
def patch(
    source: Any, *, unit: Indices = None, channel: Indices = None, token: Indices = None, mask: Tensor | None = None
) -> Intervention:
    """A hook function that replaces the selected activations by those of ``source`` (activation patching).

    Args:
        source: Activations of the same hook point, [example, …] like the batch, or of one example for all.
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.

    >>> _, cache = model.run_with_cache(images)
    >>> from_image_0 = nm.interventions.patch(cache["post", -1][:1])
    >>> patched = model.run_with_hooks(images, fwd_hooks=[("layers.1.hook_post", from_image_0)])
    >>> patched.argmax(1).unique().numel()
    1
    """
    values = _reference(source)
    return _intervention(lambda tensor: _like(values, tensor, "patch"), unit, channel, token, mask)


@told
def steer(
    direction: Any,
    strength: float = 1.0,
    *,
    unit: Indices = None,
    channel: Indices = None,
    token: Indices = None,
    mask: Tensor | None = None,
) -> Intervention:
    """A hook function that adds ``strength`` × ``direction`` to the selected activations of every example.

    Args:
        direction: The hook point's shape without the example axis.
        strength: Factor on the direction.
        unit: An index or several along the units of [example, unit] or [example, token, unit].
        channel: An index or several along the channels of [example, channel, row, col].
        token: An index or several along the tokens of [example, token, unit]; None: all tokens.
        mask: Booleans over every axis but ``example``; may broadcast.
    """
    added = strength * _tensor(direction)
    return _intervention(lambda tensor: tensor + _like(added, tensor, "steer"), unit, channel, token, mask)


def _intervention(
    replacement: Callable[[Tensor], Tensor],
    unit: Indices,
    channel: Indices,
    token: Indices,
    mask: Tensor | None,
) -> Intervention:
    given = [name for name, value in (("unit", unit), ("channel", channel), ("mask", mask)) if value is not None]
    if len(given) > 1 or (mask is not None and token is not None):
        raise HookError(
            f"{' and '.join(given + ['token'] * (token is not None))} were given together; give one of unit, channel, mask, or "
            "none for everything, and token beside the first two"
        )
    chosen = {"unit": unit, "channel": channel, "token": token}

    def hook_fn(tensor: Tensor, hook: Any) -> Tensor:
        selected = _selection(tensor, hook, {word: one for word, one in chosen.items() if one is not None}, mask)
        new = replacement(tensor)
        return new if selected is None else torch.where(selected, new, tensor)

    return hook_fn


def _selection(tensor: Tensor, hook: Any, chosen: dict[str, Indices], mask: Tensor | None) -> Tensor | None:
    """The selection as a boolean tensor that broadcasts against [example, …]; None for everything."""
    if mask is not None:
        return _of_mask(_tensor(mask), tensor, hook.name)
    axes = getattr(hook, "axes", ()) or of_activation(tuple(tensor.shape))
    for word in chosen:
        if word not in axes:
            other = {"unit": "channel", "channel": "unit"}.get(word)
            has = (
                f"{other}s: use {other}="
                if other in axes
                else f"{tensor.ndim} axes, [{', '.join(axes)}]: name them with nm.hooked(model, axes=…), or use mask="
            )
            raise HookError(f"{word}= was given, but {hook.name!r} has {has}")
    picked = [_of_indices(one, tensor, axes.index(word), word, hook.name) for word, one in chosen.items()]
    return reduce(torch.logical_and, picked) if picked else None


def _of_mask(mask: Tensor, tensor: Tensor, name: str) -> Tensor:
    one = tensor.shape[1:]
    if mask.dtype != torch.bool:
        raise HookError(f"the mask for {name!r} is {mask.dtype}; it must be boolean")
    if mask.ndim > len(one) or any(m not in (1, size) for m, size in zip(mask.shape[::-1], one[::-1], strict=False)):
        raise HookError(
            f"the mask for {name!r} has shape {list(mask.shape)}; it must broadcast to {list(one)}, that hook point without "
            "its example axis"
        )
    return mask.to(tensor.device)


def _of_indices(indices: Indices, tensor: Tensor, axis: int, word: str, name: str) -> Tensor:
    chosen = _tensor(indices).reshape(-1)
    if not chosen.numel():
        raise HookError(f"{word}= is empty: it would select nothing; leave it out to select everything")
    if chosen.is_floating_point() or chosen.dtype == torch.bool:
        raise HookError(f"{word} must be one or several indices; got {chosen.dtype} (a boolean selection is mask=)")
    size = tensor.shape[axis]
    if word == "token":
        chosen = torch.where(chosen < 0, chosen + size, chosen)
    wrong = chosen[(chosen < 0) | (chosen >= size)]
    if wrong.numel():
        raise HookError(f"{name!r} has {word}s 0 to {size - 1}; there is no {word} {int(wrong[0])}")
    selected = torch.zeros(size, dtype=torch.bool, device=tensor.device)
    selected[chosen.long().to(tensor.device)] = True
    return selected.reshape(size, *[1] * (tensor.ndim - axis - 1))


def _tensor(values: Any) -> Tensor:
    """A tensor unchanged; for an array or DataArray, whose memory may be read-only, a copy."""
    if isinstance(values, Tensor):
        return values
    array = np.array(getattr(values, "values", values))
    if array.dtype.kind not in "biuf":
        raise HookError(f"a tensor, array or list of numbers is needed; got {type(values).__name__}")
    return torch.from_numpy(array)


def _reference(values: Any) -> Tensor:
    tensor = _tensor(values).detach()
    if tensor.ndim < 2 or len(tensor) == 0:
        raise HookError(
            f"the activations to take values from have shape {list(tensor.shape)}; they must be [example, …] with at least "
            "one example"
        )
    return tensor if tensor.is_floating_point() else tensor.float()


def _like(values: Tensor, tensor: Tensor, what: str) -> Tensor:
    """``values`` in the tensor's shape, dtype and device, if they can replace it."""
    one = tensor.shape[1:]
    if values.shape not in (tensor.shape, one, (1, *one)):
        raise HookError(
            f"{what} was given values of shape {list(values.shape)}; this hook point holds {list(tensor.shape)} (the first "
            "axis counts examples)"
        )
    return (
        values.to(device=tensor.device, dtype=tensor.dtype).expand_as(tensor).clone()
    )  # a later layer may write into it
