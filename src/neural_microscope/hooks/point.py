"""The hook point: an identity with a name, where a network can be read and changed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import HookError


class HookPoint(nn.Module):
    """An identity module with a name. A hook function receives it as ``hook``.

    ``name`` is its path in the model. ``call`` is 0 the first time it is reached in a forward pass, 1 the second time.
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.call = 0
        # torch.compile guards on this number but not on the module's hooks: changing it is what makes a compiled model
        # notice a hook that was added later.
        self.attached = 0

    def forward(self, tensor: Tensor) -> Tensor:
        return tensor

    def __call__(self, tensor: Tensor) -> Tensor:
        # nn.Module.__call__ costs more than a small layer's share of a one-image forward pass, so an idle point skips it.
        if self.attached or self._forward_hooks or self._forward_pre_hooks or self._backward_hooks:
            return super().__call__(tensor)
        return tensor

    def layer(self) -> int:
        """The layer number in the name: 1 for ``layers.1.hook_post``. A name without a number is an error."""
        numbers = re.findall(r"(?:^|\.)(\d+)(?=\.|$)", self.name)
        if not numbers:
            raise HookError(f"hook point {self.name!r} belongs to no numbered layer")
        return int(numbers[0])

    def extra_repr(self) -> str:
        return repr(self.name)


@dataclass(frozen=True, eq=False)
class Site:
    """Where a hook point lives: the module whose output it sees, and the point that hook functions are given."""

    name: str
    module: nn.Module
    point: HookPoint
    copy: bool
    """Whether what is cached must be a copy, because the code around the module may change its output in place."""
    call: int | None = None
    """With a number, only that call of the module in each forward pass (``name@1``)."""

    def tensor(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise HookError(
                f"hook point {self.name!r} saw a {type(output).__name__}, not a tensor: hook a module inside it"
            )
        return output


def find_points(model: nn.Module) -> dict[str, HookPoint]:
    """Every HookPoint in a module tree by its path; each learns its name."""
    points = {name: module for name, module in model.named_modules() if isinstance(module, HookPoint)}
    for name, point in points.items():
        point.name = name
    return points


def is_compiled(module: nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None or isinstance(
        module, torch._dynamo.eval_frame.OptimizedModule
    )
