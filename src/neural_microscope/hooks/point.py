"""The hook point: a named identity at which a network can be read and changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from ..errors import HookError
from .tables import put


class HookPoint(nn.Module):
    """An identity module with a name. A hook function receives it as ``hook``.

    ``call`` is 0 the first time it is reached in a forward pass, 1 the second time.

    Args:
        name: Its path in the model, which the model fills in.

    >>> model.hook_points["layers.0.hook_post"].layer()
    0
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.call = 0
        # The attached functions. torch.compile guards on this list, as it does not on a module's own hooks: that is how a
        # compiled model notices what was attached later.
        self.attached: list[Callable[[Any], Any]] = []

    def forward(self, tensor: Tensor) -> Tensor:
        return tensor

    def __call__(self, tensor: Tensor) -> Tensor:
        # nn.Module.__call__ takes longer than a small layer in a one-image forward pass: used only for foreign hooks.
        if _foreign(self):
            tensor = super().__call__(tensor)
        for run in tuple(self.attached):
            replacement = run(tensor)
            if replacement is not None:
                tensor = replacement
        return tensor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "attached": []}  # a copy of a model does not inherit temporary hooks

    def layer(self) -> int:
        """The layer number in the name: 1 for ``layers.1.hook_post``.

        Raises:
            HookError: A name without a number.
        """
        numbers = re.findall(r"(?:^|\.)(\d+)(?=\.|$)", self.name)
        if not numbers:
            raise HookError(f"hook point {self.name!r} does not belong to a numbered layer")
        return int(numbers[0])

    def extra_repr(self) -> str:
        return repr(self.name)


def watched(module: Any) -> bool:
    """True if any hook, of this package or of torch, observes or changes the output of a module or a hook point."""
    return bool(getattr(module, "attached", ())) or _foreign(module)


def _foreign(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks
    )


@dataclass(frozen=True, eq=False)
class Site:
    """The location of a hook point: the module whose output it sees, and the point passed to hook functions."""

    name: str
    module: nn.Module
    point: HookPoint
    copy: bool
    """True if cached and passed tensors must be copies, because the code around the module may change them in place."""
    call: int | None = None
    """With a number, only that call of the module in each forward pass (``name@1``)."""
    named: bool = False
    """True if a filter named this site; then never reaching it is an error."""
    again: bool = False
    """True if this is a further name of a module used at several places; each of its names sees all its calls."""

    @cached_property
    def when_named(self) -> Site:
        """The same site, marked as named."""
        return replace(self, named=True)

    @cached_property
    def label(self) -> str:
        return self.name if self.call is None else f"{self.name}@{self.call}"

    def attach(self, run: Callable[[Any], Any]) -> Callable[[], None]:
        """Calls ``run`` on every output, which it may replace. Returns a function that detaches it."""
        if self.module is self.point:
            self.point.attached.append(run)
            return partial(self.point.attached.remove, run)
        return put(self.module, "_forward_hooks", run)

    def tensor(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            inside = next(self.module.named_children(), None)
            way = (
                "hook a module inside it"
                if inside
                else "a hook point is one tensor; have the module return one, or pass the one you mean through an nn.Identity"
            )
            raise HookError(f"hook point {self.label!r} saw a {type(output).__name__}, not a tensor: {way}")
        return output


class Tree:
    """The modules of a network by every path to them, and a check that they are unchanged."""

    def __init__(self, root: nn.Module) -> None:
        self.first = dict(root.named_modules())
        self.again = dict(_further_paths(self.first))
        tables = [module._modules for module in self.first.values()]
        self._children = [(table, tuple(table.items())) for table in tables if table]
        self._leaves = [table for table in tables if not table]

    def current(self, root: nn.Module) -> bool:
        if self.first[""] is not root or any(self._leaves):
            return False
        return all([tuple(table.items()) == was for table, was in self._children])


def _further_paths(first: dict[str, nn.Module]) -> Iterator[tuple[str, nn.Module]]:
    """The places at which a module occurs a second time, and the modules inside it."""
    known = {id(module): path for path, module in first.items()}
    for path, module in first.items():
        for name, child in module._modules.items():
            here = f"{path}.{name}" if path else name
            if child is None or known[id(child)] == here:
                continue
            original = known[id(child)]
            for inner, other in first.items():
                if inner == original or inner.startswith(f"{original}."):
                    yield here + inner.removeprefix(original), other


def refuse_compiled(root: nn.Module) -> None:
    """Raises where any module in the tree is compiled: torch.compile ignores hooks that are added to it later."""
    dynamo: Any = sys.modules.get("torch._dynamo.eval_frame")  # importing it takes seconds; nothing is compiled without
    for module in root.modules():
        if module._compiled_call_impl is not None or (dynamo and isinstance(module, dynamo.OptimizedModule)):
            raise HookError(
                "the module is compiled: torch.compile would silently ignore a hook. Hook the module before "
                "compiling: the argument of torch.compile, or a copy on which .compile() was not called"
            )
