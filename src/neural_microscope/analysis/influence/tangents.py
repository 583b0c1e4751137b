"""The gradient of one number per example by all weights, kept as the factors of which products of such gradients are made.

The gradient by a linear map's weights is the product of the slope at its output, δ, and its input, h. So two examples' gradients
have the product (δ·δ′)(h·h′ + 1), the 1 for the bias, and no gradient needs to be formed. A convolution's weights are few and its positions
many: there the gradients are formed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...errors import DataError

MOST_AT_ONCE = 1024
"""Images of a forward pass."""


class Factor(NamedTuple):
    """The part of one map, of which `product` gives the products of gradients."""

    inputs: Tensor | None
    """[example, feature]; None: ``slopes`` are whole gradients."""
    slopes: Tensor
    """[example, output], or [example, weight]."""
    bias: bool = False


Tangents = list[Factor]
"""One factor for each map that the number depends on."""


def tangents(
    model: nn.Module,
    images: Tensor,
    value: Callable[[Tensor, slice], Tensor],
    hook_point: str = "logits",
    maps: list[nn.Module] | None = None,
) -> Tangents:
    """The gradients of a number for each image.

    Args:
        model: A network of ours.
        images: [example, channel, row, col].
        value: Function of the tensor at the hook point and of the examples' places that gives a number for each, [example].
        hook_point: Where the number is computed.
        maps: The maps by whose weights to differentiate; None: `maps_of`.

    Raises:
        DataError: A network with other weights than those of linear maps and convolutions.
    """
    maps = maps_of(model) if maps is None else maps
    parts = [
        _some(model, images[first : first + MOST_AT_ONCE], value, hook_point, maps, first)
        for first in range(0, len(images), MOST_AT_ONCE)
    ]
    if len(parts) == 1:
        return parts[0]
    return [
        Factor(
            None if each[0].inputs is None else torch.cat([one.inputs for one in each]),
            torch.cat([one.slopes for one in each]),
            each[0].bias,
        )
        for each in zip(*parts, strict=True)
    ]


def maps_of(model: nn.Module) -> list[nn.Module]:
    """The linear maps and convolutions of a network, which must hold all its weights.

    Raises:
        DataError: Other weights, such as those of a normalization.
    """
    found: list[nn.Module] = [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    own = {id(parameter) for module in found for parameter in module.parameters()}
    others = [name for name, parameter in model.named_parameters() if id(parameter) not in own]
    if others:
        raise DataError(
            f"influence by gradients needs all weights in linear maps and convolutions; this network also has {others[0]}"
            f"{f' and {len(others) - 1} more' if len(others) > 1 else ''}. The method 'pixels' takes any network"
        )
    return found


def product(a: Tangents, b: Tangents) -> Tensor:
    """The products of the gradients of all pairs of examples, [example, example_b]."""
    total = torch.zeros(len(a[0].slopes), len(b[0].slopes), dtype=a[0].slopes.dtype)
    for one, other in zip(a, b, strict=True):
        part = one.slopes @ other.slopes.T
        if one.inputs is not None and other.inputs is not None:
            inputs = one.inputs @ other.inputs.T
            part *= inputs.add_(1) if one.bias else inputs
        total += part
    return total


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """log p / (1 - p) of each image's class: its logit minus the others' logsumexp, [example]."""
    index = labels[:, None]
    return logits.gather(1, index)[:, 0] - logits.scatter(1, index, -torch.inf).logsumexp(1)


def _some(
    model: nn.Module,
    images: Tensor,
    value: Callable[[Tensor, slice], Tensor],
    hook_point: str,
    maps: list[nn.Module],
    first: int,
) -> Tangents:
    held: dict[str, Tensor] = {}

    def keep(tensor: Tensor, hook: Any) -> None:
        held["here"] = tensor

    with torch.enable_grad(), _seen(maps) as seen, model.hooks([(hook_point, keep)]):  # type: ignore[operator]
        model(images)
        numbers = value(held["here"], slice(first, first + len(images)))
        slopes = torch.autograd.grad(numbers.sum(), [output for _, _, output in seen], allow_unused=True)
    return [
        _factor(module, given, torch.zeros_like(output) if slope is None else slope)
        for (module, given, output), slope in zip(seen, slopes, strict=True)
    ]


@contextmanager
def _seen(maps: list[nn.Module]) -> Iterator[list[tuple[Any, Tensor, Tensor]]]:
    """(map, its input, its output) of each, in the order of the forward pass in the block."""
    found: list[tuple[Any, Tensor, Tensor]] = []
    handles = [
        module.register_forward_hook(lambda module, given, output: found.append((module, given[0].detach(), output)))
        for module in maps
    ]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _factor(module: Any, given: Tensor, slope: Tensor) -> Factor:
    bias = module.bias is not None
    if isinstance(module, nn.Linear):
        return Factor(given, slope, bias)
    patches = nn.functional.unfold(given, module.kernel_size, module.dilation, module.padding, module.stride)
    slope = slope.flatten(2)
    weights = torch.einsum("eop,eip->eoi", slope, patches).flatten(1)
    return Factor(None, torch.cat([weights, slope.sum(2)], 1) if bias else weights)
