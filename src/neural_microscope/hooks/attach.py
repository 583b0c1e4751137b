"""Attaching functions to hook points, and detaching exactly those, also after an exception."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import HookError
from .order import axes_of, viewed
from .point import Site, refuse_compiled
from .tables import put


class HookFunction(Protocol):
    """A user's hook function ``f(tensor, hook=point)``: the value at a hook point, and its `HookPoint`.

    None leaves the tensor unchanged (or edited in place); a tensor, alone or as ``(tensor,)``, replaces it.
    """

    def __call__(self, tensor: Tensor, /, *, hook: Any) -> Tensor | tuple[Tensor] | None: ...


Action = Callable[["Attachment", Any], Tensor | None]
"""An action at a site: (attachment, the module's output) -> a replacement or None."""


@dataclass(eq=False, slots=True)
class Attachment:
    """One action at one site, and its state."""

    site: Site
    action: Action
    scope: Pass
    call: int = -1
    """The number of the site's current call in the current forward pass."""
    made: dict[int, list[Tensor | None]] = field(default_factory=dict)
    """For each thread: a trace of each call in its current forward pass."""
    fired: bool = False
    graded: bool | None = None
    """For an action on a gradient: True if one has arrived."""

    def __call__(self, output: Any) -> Tensor | None:
        here = 0
        if torch.compiler.is_compiling():
            torch._dynamo.graph_break()  # hooks run uncompiled: in a compiled graph they would outlive their block
        else:
            here = threading.get_ident()
        if (_alone or here != self.scope.thread) and not self.scope.concerned(here):
            return None
        self.call = self._number(output, here)
        if self.site.call is not None and self.call != self.site.call:
            return None
        self.fired = True
        return self.action(self, output)

    def _number(self, output: Any, here: int) -> int:
        """The number of this call in the forward pass. A recomputation by `torch.utils.checkpoint` during backward is the original call:
        the one with the same sum.
        """
        made = self.made.get(here)
        if (torch._C._current_graph_task_id() if here else -1) == self.scope.graph_task:
            if made is None:
                self.made[here] = [None]  # most modules run once, and need no trace
                return 0
            made.append(_trace(output))
            return len(made) - 1
        first = max(self.made.values(), key=len, default=[])  # CUDA recomputes in a separate thread
        trace = _trace(output) if len(first) > 1 else None
        same = [
            call for call, was in enumerate(first) if was is not None and trace is not None and torch.equal(was, trace)
        ]
        return same[-1] if same else 0


def _trace(output: Any) -> Tensor | None:
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    return output.detach().sum(dtype=torch.float64)


def _here() -> int:
    """The current thread; None under torch.compile, which does not support threads."""
    return 0 if torch.compiler.is_compiling() else threading.get_ident()


def _graph_task() -> int:
    """The current backward pass; -1: none."""
    return -1 if torch.compiler.is_compiling() else torch._C._current_graph_task_id()


def _of_autograd() -> bool:
    """True if this thread is torch's own, in which a backward pass on a GPU runs for the thread that called it."""
    return _graph_task() != -1 and isinstance(threading.current_thread(), threading._DummyThread)


_NO_PATTERN = (
    ". A module has a hook_pattern if it is an nn.MultiheadAttention, or itself calls torch's scaled_dot_product_attention. Another "
    "kernel writes no pattern down; attention written in single steps may give it as a part of the output"
)

_alone: dict[int, Pass] = {}
"""The only temporary scope in a thread, by thread."""


@dataclass(eq=False)
class Pass:
    """One scope of attached hooks. It applies to the forward passes of one thread, or of all."""

    strict: bool = True
    once: bool = False
    """True if it applies to a single forward pass."""
    thread: int | None = field(default_factory=threading.get_ident)
    """None: all threads."""
    elsewhere: bool = False
    """True if other threads have started forward passes."""
    graph_task: int = -1
    """The backward pass inside which the current forward pass began; -1: none."""
    forwards: int = 0
    attachments: list[Attachment] = field(default_factory=list)
    detach: list[Callable[[], None]] = field(default_factory=list)
    gradient_handles: list[Any] = field(default_factory=list)

    def begin(self, *_: Any) -> None:
        """Called when a forward pass begins."""
        here = _here()
        if _alone and _alone.get(here, self) is not self:
            return
        if here and self.thread not in (None, here):
            self.elsewhere = True
            return
        if self.once and self.forwards:
            raise HookError(
                "the model was called again inside its own forward pass, by a hook; the two would mix. Compute what the "
                "hook needs beforehand, or on a copy: copy.deepcopy(model)"
            )
        self.forwards += 1
        self.graph_task = _graph_task()
        for attachment in self.attachments:
            if self.thread is None and here:
                attachment.made.pop(here, None)
            else:
                attachment.made.clear()
        # For graphs that no longer exist: a hook attached for a whole training run must not collect them.
        self.gradient_handles = [h for h in self.gradient_handles if h.hooks_dict_ref() is not None]

    def concerned(self, here: int) -> bool:
        """True if a module's output in the thread ``here`` belongs to a forward pass of this scope."""
        if _alone and _alone.get(here, self) is not self:
            return False
        return self.thread in (None, here) or not here or _of_autograd()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other scope applies in this thread."""
        here = threading.get_ident()
        before = _alone.get(here, self)
        _alone[here] = self
        try:
            yield
        finally:
            _alone.pop(here)
            if before is not self:
                _alone[here] = before

    def end(self) -> None:
        while self.gradient_handles:
            self.gradient_handles.pop().remove()
        while self.detach:
            self.detach.pop()()
        self.attachments = []  # they refer to this scope; a reference cycle would keep cached tensors alive

    def check(self) -> None:
        """Raises for a hook that no forward pass, or gradient, reached: it had no effect."""
        if not self.forwards:
            if self.elsewhere and self.attachments:
                raise HookError(
                    "the model ran only in other threads than the one that attached the hooks; they act on forward passes of "
                    "their own thread. Attach them in each thread"
                )
            return
        fired = {a.action for a in self.attachments if a.fired}
        missed = [a.site.label for a in self.attachments if not a.fired and (a.site.named or a.action not in fired)]
        if missed:
            raise HookError(
                f"the forward pass never reached {', '.join(missed)}: nothing was read or changed there. "
                "A part that is switched off, comes after stop_at, or runs inside a module compiled by itself is not reached"
                f"{_NO_PATTERN if any('hook_pattern' in label for label in missed) else ''}"
            )
        graded = {a.action for a in self.attachments if a.graded}
        missed = [a.site.label for a in self.attachments if a.graded is False and a.action not in graded]
        if missed:
            raise HookError(
                f"no gradient reached {', '.join(missed)}: call backward inside the `with model.hooks(…)` block"
            )


def attach(
    root: nn.Module,
    actions: Sequence[tuple[Site, Action]],
    *,
    strict: bool = True,
    once: bool = False,
    everywhere: bool = False,
) -> Pass:
    """Runs every action at its site, in the order given, until the scope's `Pass.end`: in this thread, or ``everywhere``."""
    if actions and actions[0][0].module is not actions[0][0].point:
        refuse_compiled(root)  # torch.compile sees our own hook points, but not a foreign module's hooks
    scope = Pass(strict, once, None) if everywhere else Pass(strict, once)
    try:
        scope.detach.append(put(root, "_forward_pre_hooks", scope.begin))
        for site, action in actions:
            attachment = Attachment(site, action, scope)
            scope.attachments.append(attachment)
            scope.detach.append(site.attach(viewed(site, attachment)))
    except BaseException:
        scope.end()
        raise
    return scope


@contextmanager
def attached(root: nn.Module, actions: Sequence[tuple[Site, Action]], *, strict: bool = True) -> Iterator[Pass]:
    """The same for the duration of a block."""
    scope = attach(root, actions, strict=strict)
    try:
        yield scope
    finally:
        scope.end()


def check_signature(function: Any) -> None:
    """Checks that a hook function takes one tensor and the keyword ``hook``."""
    if not callable(function):
        raise HookError(f"a hook function must be callable as f(tensor, hook=…); got {type(function).__name__}")
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
    """An action that passes a copy of the tensor to the user's function, which may replace it or edit it in place."""
    check_signature(function)

    def action(at: Attachment, output: Any) -> Tensor:
        # A copy: an edit in place must reach neither the caller's images nor an earlier cached value. Passed on even when
        # unchanged, so that a tensor that the function kept is part of the graph.
        result = _outcome(function, at.site, at.scope, at.site.tensor(output).clone(), at.call)
        return result.clone() if at.site.copy else result

    return action


def edit_gradient(function: HookFunction) -> Action:
    """An action that passes the gradient at the site to the user's function, which may replace it or edit it in place."""
    check_signature(function)

    def action(at: Attachment, output: Any) -> Tensor:
        watched, passed = watch(at.site, output)
        at.graded = bool(at.graded)
        call = at.call

        def on_gradient(gradient: Tensor) -> Tensor:
            at.graded = True
            return _outcome(function, at.site, at.scope, gradient.clone(), call)

        at.scope.gradient_handles.append(watched.register_hook(on_gradient))
        return passed

    return action


def watch(site: Site, output: Any) -> tuple[Tensor, Tensor]:
    """(the tensor whose gradient counts, the tensor to pass on); not the same where later code may edit in place."""
    tensor = site.tensor(output)
    if not torch.is_grad_enabled():
        raise HookError(
            f"gradients are off (torch.no_grad, or a checkpoint with use_reentrant=True), so none can be seen at {site.label!r}: "
            "call it outside no_grad, and checkpoint with use_reentrant=False"
        )
    if not tensor.is_floating_point():
        raise HookError(f"hook point {site.label!r} holds {tensor.dtype}: it has no gradient")
    watched = tensor if tensor.requires_grad else tensor.detach().requires_grad_(True)
    if site.copy and watched is tensor:  # an Identity gives its input back, whose other uses have a gradient too
        watched = tensor.clone()
    return watched, watched.clone() if site.copy else watched


def _outcome(function: HookFunction, site: Site, scope: Pass, given: Tensor, call: int) -> Tensor:
    site.point.name, site.point.call, site.point.axes = site.name, call, axes_of(site, given.shape)
    shape, dtype, device = given.shape, given.dtype, given.device
    result = function(given, hook=site.point)
    if isinstance(result, tuple) and len(result) == 1:
        (result,) = result  # the form returned by torch's own module hooks
    if result is None:
        result = given
    if not isinstance(result, Tensor):
        raise HookError(f"the hook at {site.label!r} returned {type(result).__name__}; it must return a tensor or None")
    if scope.strict and (result.shape, result.dtype, result.device) != (shape, dtype, device):
        raise HookError(
            f"the hook at {site.label!r} returned {_describe(result.shape, result.dtype, result.device)}; what came was "
            f"{_describe(shape, dtype, device)}. strict=False lets it pass"
        )
    return result


def _describe(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> str:
    return f"{list(shape)} {str(dtype).removeprefix('torch.')} on {device}"
