"""A test of whether the first axis of an output counts the examples: the outputs for another number of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .attach import Attachment, attached
from .cache import flatten_calls
from .model import HookedModel
from .parts import parts
from .select import select


def some(images: Tensor, *but: int) -> Tensor:
    """A few images, but not so many."""
    count = next(number for number in (2, 3, 4) if number not in but)
    return torch.cat([images] * count)[:count] if len(images) < count else images[:count]


def outputs(lens: HookedModel, images: Tensor) -> dict[str, Any]:
    """The output at every hook point, tensor or not, by its name, or ``name@call`` if it is reached several times."""
    found: dict[str, list[Any]] = {}

    def note(at: Attachment, output: Any) -> None:
        inside = [] if isinstance(output, Tensor) else list(parts(output))
        for path, part in inside or [((), output)]:
            found.setdefault(".".join([at.site.name, *map(str, path)]), []).append(part)

    with torch.no_grad(), attached(lens._root(), [(site, note) for site in select(lens._sites(), None)]):
        lens(images)
    return flatten_calls(found)
