"""An architecture of the corpus, and what its inputs may be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

CLASSES = 3
Make = Callable[[int], tuple[Tensor, ...]]
"""From a number of examples to the arguments of the model."""


@dataclass(frozen=True)
class Architecture:
    """A small network with random weights. ``build`` draws them from torch's generator."""

    family: str
    name: str
    build: Callable[[], nn.Module]
    inputs: Make

    def made(self, count: int) -> tuple[nn.Module, tuple[Tensor, ...]]:
        """The network in evaluation mode and its arguments: the same ones at every call."""
        torch.manual_seed(0)
        model = self.build().eval()
        torch.manual_seed(1)
        return model, self.inputs(count)


def floats(*shape: int) -> Make:
    """Normal numbers [example, …]."""
    return lambda count: (torch.randn(count, *shape),)


def tokens(length: int, vocabulary: int = 20) -> Make:
    """Integers [example, token] from 3: the first three are often special."""
    return lambda count: (torch.randint(3, vocabulary, (count, length)),)


def main(output: Any) -> Tensor:
    """The tensor that a loss would be taken of: the logits, or the first floats."""
    found = [part for path, part in tensors(output) if part.is_floating_point()]
    named = [part for path, part in tensors(output) if path == ("logits",)]
    return (named or found)[0]


def tensors(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Tensor]]:
    """Every tensor in tuples, lists, dicts and dataclasses, with its path: written without the library's own."""
    if isinstance(value, Tensor):
        return [(path, value)]
    if isinstance(value, dict):
        items = [(str(key), inner) for key, inner in value.items()]
    elif isinstance(value, tuple | list):
        names = getattr(value, "_fields", range(len(value)))
        items = [(str(key), inner) for key, inner in zip(names, value, strict=True)]
    elif hasattr(value, "__dataclass_fields__"):
        items = [(key, getattr(value, key)) for key in value.__dataclass_fields__]
    else:
        return []
    return [pair for key, inner in items for pair in tensors(inner, (*path, key))]
