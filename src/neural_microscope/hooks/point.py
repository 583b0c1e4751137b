"""The hook point: a named identity at which a network can be read and changed."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from ..errors import HookError
from .parts import name_of, parts, within
from .patterns import watch
from .tables import put


class HookPoint(nn.Module):
    """An identity module with a name. A hook function receives it as ``hook``.

    ``call`` is 0 the first time it is reached in a forward pass, 1 the second time. ``axes`` names the axes of the value
    that a hook function receives.

    Args:
        name: Its path in the model, which the model fills in.

    >>> model.hook_points["layers.0.hook_post"].layer()
    0
    """

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.name = name
        self.call = 0
        self.axes: tuple[str, ...] = ()
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
    closed: bool = False
    """True for a scripted module, whose output no hook can see; it is no hook point, and its name says why."""
    again: bool = False
    """True if this is a further name of a module used at several places; each of its names sees all its calls."""
    part: str | None = None
    """The name of a part of the output (``lstm.hook_out.0``), or of the arguments."""
    given: bool = False
    """True if the value is an argument of the module, not its output (``block.hook_in``)."""
    pattern: bool = False
    """True if the value is the attention pattern of the module (``attention.hook_pattern``)."""
    token: int | None = None
    """The token that is selected (``block.hook_out[0]``); None: all."""
    measured: bool = False
    """True for a measure, which expects units or channels on axis 1."""
    stated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The axes of hook points that the caller has named, by hook point."""
    around: nn.Module | None = None
    """The whole network."""
    found: dict[tuple[str, tuple[int, ...]], tuple[str, ...]] = field(default_factory=dict)
    """The axes of values by name and shape, as far as they were asked for."""

    @cached_property
    def when_named(self) -> Site:
        """The same site, marked as named."""
        return replace(self, named=True)

    @cached_property
    def when_measured(self) -> Site:
        """The same site for a measure."""
        return replace(self, measured=True)

    @cached_property
    def whole(self) -> Site:
        """The same site with all its tokens, in the module's order of axes."""
        return replace(self, token=None, measured=False, name=self.name.partition("[")[0])

    @cached_property
    def label(self) -> str:
        return self.name if self.call is None else f"{self.name}@{self.call}"

    def attach(self, run: Callable[[Any], Any]) -> Callable[[], None]:
        """Calls ``run`` on every output, which it may replace. Returns a function that detaches it."""
        if self.module is self.point:
            self.point.attached.append(run)
            return partial(self.point.attached.remove, run)
        if self.pattern:
            return watch(self.module, run)
        if self.given or self.part is not None:
            run = within(self.label, self.part, run)
        return put(self.module, "_forward_pre_hooks" if self.given else "_forward_hooks", run)

    def tensor(self, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            inside = [f"{self.name}.{name_of(path)}" for path, _ in parts(output)]
            way = f"name a part of it: {', '.join(inside[:8])}" if inside else "it holds no tensor"
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
