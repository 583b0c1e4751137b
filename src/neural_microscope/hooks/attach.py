"""Attaching functions to hook points, and detaching exactly those again, whatever happens in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import HookError
from .point import Site, is_compiled


class HookFunction(Protocol):
    """What a user writes. None leaves the tensor as it is (or as edited in place); a tensor replaces it."""

    def __call__(self, tensor: Tensor, /, *, hook: Any) -> Tensor | None: ...


@dataclass(eq=False)
class Pass:
    """One scope of attached hooks: how often each site was reached in the present forward pass, and ever."""

    strict: bool = True
    forwards: int = 0
    calls: dict[int, int] = field(default_factory=dict)
    fired: set[tuple[str, int | None]] = field(default_factory=set)
    handles: list[Any] = field(default_factory=list)

    def begin(self, *_: Any) -> None:
        self.forwards += 1
        self.calls.clear()

    def remove(self) -> None:
        while self.handles:
            self.handles.pop().remove()


Action = Callable[[Site, Pass, Tensor, int], Tensor | None]
"""What happens at a site: (site, pass, the module's output, number of the call) -> a replacement or None."""


@contextmanager
def attached(root: nn.Module, actions: Sequence[tuple[Site, Action]], *, strict: bool = True) -> Iterator[Pass]:
    """Runs every action at its site while the block lasts, in the order given."""
    for site, _ in actions:
        _refuse_compiled(root, site)
    scope = Pass(strict)
    with ExitStack() as stack:
        stack.callback(scope.remove)
        if actions:
            scope.handles.append(root.register_forward_pre_hook(scope.begin))
        for number, (site, action) in enumerate(actions):
            scope.handles.append(site.module.register_forward_hook(_torch_hook(scope, number, site, action)))
            site.point.attached += 1
            stack.callback(_idle, site)
        yield scope


def _idle(site: Site) -> None:
    site.point.attached -= 1


def _refuse_compiled(root: nn.Module, site: Site) -> None:
    # Our own points are seen by torch.compile (HookPoint.attached); a foreign module's hooks are not.
    if site.module is not site.point and (is_compiled(root) or is_compiled(site.module)):
        raise HookError(
            f"the module is compiled: torch.compile would ignore a hook on {site.name!r} without a word. "
            "Hook the module as it was before compiling"
        )


def _torch_hook(scope: Pass, number: int, site: Site, action: Action) -> Callable[..., Any]:
    key = (site.name, site.call)

    def run(module: nn.Module, args: Any, output: Any) -> Any:
        call = scope.calls.get(number, 0)
        scope.calls[number] = call + 1
        if site.call is not None and call != site.call:
            return None
        scope.fired.add(key)
        return action(site, scope, output, call)

    return run


def check_fired(scope: Pass, sites: Sequence[Site]) -> None:
    """Raises for a site that a finished forward pass never reached: its hook would have done nothing, silently."""
    if not scope.forwards:
        return
    missed = [site for site in sites if (site.name, site.call) not in scope.fired]
    if missed:
        names = ", ".join(f"{s.name}@{s.call}" if s.call is not None else s.name for s in missed)
        raise HookError(f"the forward pass never reached {names}: nothing was read or changed there")


def check_signature(function: Any) -> None:
    """A hook function takes one tensor and the keyword ``hook``."""
    if not callable(function):
        raise HookError(f"a hook function is callable as f(tensor, hook=…); got {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # builtins do not always tell
        return
    try:
        signature.bind(None, hook=None)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        raise HookError(f"a hook function is called as f(tensor, hook=point); {name}{signature} can't be") from None


def edit(function: HookFunction) -> Action:
    """An action that lets the user's function see, and replace or edit in place, a copy of the tensor."""
    check_signature(function)

    def action(site: Site, scope: Pass, output: Any, call: int) -> Tensor | None:
        tensor = site.tensor(output)
        given = tensor.clone()  # an edit in place must reach neither the caller's images nor an earlier cached value
        return _outcome(function, site, scope, given, call)

    return action


def edit_gradient(function: HookFunction) -> Action:
    """An action that lets the user's function see, and replace or edit in place, the gradient at the site."""
    check_signature(function)

    def action(site: Site, scope: Pass, output: Any, call: int) -> Tensor | None:
        watched, passed = watch(site, output)

        def on_gradient(gradient: Tensor) -> Tensor | None:
            return _outcome(function, site, scope, gradient.clone(), call)

        scope.handles.append(watched.register_hook(on_gradient))
        return passed

    return action


def watch(site: Site, output: Any) -> tuple[Tensor, Tensor]:
    """(the tensor whose gradient counts, the tensor to pass on). They differ where code downstream may edit in place."""
    tensor = site.tensor(output)
    if not torch.is_grad_enabled():
        raise HookError(
            f"gradients are off (torch.no_grad), so none can be seen at {site.name!r}: call it outside no_grad"
        )
    if not tensor.is_floating_point():
        raise HookError(f"hook point {site.name!r} holds {tensor.dtype}: it has no gradient")
    watched = tensor if tensor.requires_grad else tensor.detach().requires_grad_(True)
    return watched, watched.clone() if site.copy else watched


def _outcome(function: HookFunction, site: Site, scope: Pass, given: Tensor, call: int) -> Tensor | None:
    site.point.call = call
    before = None if given.is_inference() else given._version
    shape, dtype, device = given.shape, given.dtype, given.device
    result = function(given, hook=site.point)
    if result is None:
        if before is not None and given._version == before:
            return None
        result = given
    if not isinstance(result, Tensor):
        raise HookError(f"the hook at {site.name!r} returned {type(result).__name__}; it returns a tensor or None")
    if scope.strict and (result.shape, result.dtype, result.device) != (shape, dtype, device):
        raise HookError(
            f"the hook at {site.name!r} returned {_describe(result.shape, result.dtype, result.device)}; what came was "
            f"{_describe(shape, dtype, device)}. strict=False lets it pass"
        )
    return result


def _describe(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')} on {device}"
