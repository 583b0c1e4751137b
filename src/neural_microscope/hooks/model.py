"""HookedModel: a torch module whose hook points can be read and changed by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from ..doors import MEASURING, told
from ..errors import HookError, UnknownName
from .attach import Action, Attachment, HookFunction, Pass, attach, attached, edit, edit_gradient, watch
from .cache import ActivationCache, flatten_calls
from .modes import evaluation
from .parts import name_of, parts
from .point import HookPoint, Site, Tree
from .select import NamesFilter, select
from .tables import without_entries

Hooks = Sequence[tuple[NamesFilter, HookFunction]]
_UNSTEADY = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


class _Stopped(BaseException):
    """Ends a forward pass early. Not an Exception, so that no ``except Exception`` in a model swallows it."""

    def __init__(self, value: Tensor, scope: Pass) -> None:
        self.value, self.scope = value, scope


class HookedModel(nn.Module):
    """Base class of models with hook points.

    Put `HookPoint` modules at the values of interest and pass tensors through them; they are found at first use and
    named by their path. Hook functions are called as ``f(tensor, hook=point)`` and may return a replacement.

    >>> class Doubled(nm.HookedModel):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.doubled = nm.HookPoint()
    ...     def forward(self, x):
    ...         return self.doubled(2 * x).sum()
    >>> Doubled().run_with_cache(torch.ones(3))[1]["doubled"]
    tensor([2., 2., 2.])
    """

    copy_cached: ClassVar[bool] = True
    """True if cached tensors are copied. A subclass whose forward pass edits nothing in place may set False, which is faster."""

    _found: tuple[Tree, dict[str, Site], bool] | None = None
    """The modules at the last check, their sites, and whether one may edit a tensor in place."""
    _attached: list[tuple[str, bool, Pass]] | None = None
    _once: frozenset[Site] = frozenset()
    """Sites known to be reached once in a forward pass."""
    _warned: bool = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.copy_cached or self._current()[2]:  # an edit in place may reach the caller's tensors
            args, kwargs = lent(args), lent(kwargs)
        return super().__call__(*args, **kwargs)

    def _sites(self) -> dict[str, Site]:
        """The sites where hooks can be attached, by name, for the current modules."""
        return self._current()[1]

    def _select(self, names_filter: NamesFilter) -> list[Site]:
        """The sites that a filter selects; for a measure, with units or channels on axis 1."""
        sites = select(self._sites(), names_filter)
        return sites if MEASURING.get() is None else [site.when_measured for site in sites]

    def _current(self) -> tuple[Tree, dict[str, Site], bool]:
        found = self._found
        if found is None or not found[0].current(self._root()):
            tree = Tree(self._root())
            found = self._found = tree, {site.name: site for site in self._find(tree)}, self._edits(tree)
        return found

    def _find(self, tree: Tree) -> Iterator[Site]:
        for paths, again in ((tree.first, False), (tree.again, True)):
            for name, module in paths.items():
                if isinstance(module, HookPoint):
                    module.name = module.name if again else name
                    yield Site(name, module, module, self._edits(tree), again=again)

    def _edits(self, tree: Tree) -> bool:
        """True if some module may edit a tensor in place after a hook point has seen it."""
        return self.copy_cached or any(getattr(module, "inplace", False) for module in tree.first.values())

    def __getstate__(self) -> dict[str, Any]:
        fresh: dict[str, Any] = {"_found": None, "_attached": None, "_once": frozenset()}
        return without_entries({**self.__dict__, **fresh})

    def _root(self) -> nn.Module:
        return self

    @property
    def hook_points(self) -> dict[str, HookPoint]:
        """Every hook point by name, in the model's order."""
        return {site.name: site.point for site in self._sites().values() if not site.again and not site.closed}

    def _actions(self, hooks: Hooks, wrap: Callable[[HookFunction], Action]) -> list[tuple[Site, Action]]:
        pairs = []
        if isinstance(hooks, nn.Module | str) or not isinstance(hooks, Iterable):
            raise HookError(f"hooks must be a list of pairs (name or filter, function); got {type(hooks).__name__}")
        for item in hooks:
            if not (isinstance(item, tuple) and len(item) == 2):
                raise HookError(f"hooks must be pairs (name or filter, function); got {item!r}")
            names, function = item
            action = wrap(function)
            pairs += [(site, action) for site in self._select(names)]
        return pairs

    @contextmanager
    def hooks(self, fwd_hooks: Hooks = (), bwd_hooks: Hooks = (), *, strict: bool = True) -> Iterator[HookedModel]:
        """Attaches hooks while the block lasts.

        They act on the forward passes of the thread that entered the block; `reset_hooks` detaches them.

        Args:
            fwd_hooks: Pairs (name, names or predicate; function of the value there).
            bwd_hooks: Pairs (name, names or predicate; function of the gradient there) for any ``backward`` called
                inside the block.
            strict: True to refuse a replacement of another shape, dtype or device.

        Yields:
            This model.

        Raises:
            UnknownName: A name that is no hook point, or a filter that matches none.
            HookError: A hook that the block's forward passes, or gradients, never reached; a replacement that
                ``strict`` refuses.

        >>> with model.hooks([("layers.1.hook_post", nm.interventions.zero(unit=14))]):
        ...     ablated = model(images)
        >>> ablated.equal(model(images))
        False
        """
        both = (("fwd", self._actions(fwd_hooks, edit)), ("bwd", self._actions(bwd_hooks, edit_gradient)))
        scopes: list[Pass] = []
        try:
            for dir, actions in both:
                if actions:
                    scopes.append(self._attach(dir, False, attach(self._root(), actions, strict=strict)))
            yield self
            for scope in scopes:
                scope.check()
        finally:
            for scope in scopes:
                scope.end()
            self._forget(scopes)

    def _attach(self, dir: str, is_permanent: bool, scope: Pass) -> Pass:
        if self._attached is None:
            self._attached = []
        self._attached.append((dir, is_permanent, scope))  # in place: another thread may be at it too
        return scope

    def _forget(self, scopes: Sequence[Pass]) -> None:
        for entry in [entry for entry in self._attached or [] if entry[2] in scopes]:
            self._attached.remove(entry)  # type: ignore[union-attr]

    @told
    def run_with_hooks(
        self,
        *args: Any,
        fwd_hooks: Hooks = (),
        bwd_hooks: Hooks = (),
        stop_at: str | None = None,
        strict: bool = True,
        **kwargs: Any,
    ) -> Any:
        """The model's output with hooks attached for this one call.

        Args:
            *args: Arguments of the model.
            fwd_hooks: Pairs (name, names or predicate; function of the value there).
            bwd_hooks: Refused, since they would last no longer than the call: use `hooks` around ``backward``.
            stop_at: Name of the hook point at which to end the pass; ``name@0``, ``name@1``, … select a call of a
                module that runs several times. None: the whole pass.
            strict: True to refuse a replacement of another shape, dtype or device.
            **kwargs: Keyword arguments of the model.

        Returns:
            The output of the model, or the tensor at ``stop_at``.

        Raises:
            UnknownName: A name that is no hook point, or a filter that matches none.
            HookError: A hook or a ``stop_at`` that the pass never reached; a replacement that ``strict`` refuses.

        >>> scaled = model.run_with_hooks(images, fwd_hooks=[("layers.0.hook_post", nm.interventions.scale(2.0))])
        >>> scaled.shape == model(images).shape
        True
        """
        if bwd_hooks:
            raise HookError(
                "backward hooks would be gone before backward runs: use `with model.hooks(bwd_hooks=…)` and call "
                "backward inside, or run_with_cache(…, incl_bwd=True)"
            )
        return self._run(self._actions(fwd_hooks, edit), stop_at, strict, args, kwargs)

    @told
    def run_with_cache(
        self,
        *args: Any,
        names_filter: NamesFilter = None,
        device: str | torch.device | None = None,
        incl_bwd: bool = False,
        loss: Callable[[Any], Tensor] | None = None,
        stop_at: str | None = None,
        **kwargs: Any,
    ) -> tuple[Any, ActivationCache]:
        """The output of one forward pass, and a cache of the activations.

        Gradients are taken with ``torch.autograd.grad``, so no ``param.grad`` changes. Those of points that the loss
        does not depend on are zero.

        Args:
            *args: Arguments of the model.
            names_filter: Hook points to cache: a name, names or a predicate; None: all. Named ones must be reached and
                hold a tensor, others are cached if possible.
            device: Device of the cache; None: that of each tensor.
            incl_bwd: True to cache, as ``<name>_grad``, the gradient of ``loss(output)`` too.
            loss: Function of the output that returns one number; None: the output itself, if it is one number.
            stop_at: Name of the hook point at which to end the pass; None: the whole pass.
            **kwargs: Keyword arguments of the model.

        Returns:
            (output, cache); with ``stop_at`` the output is the tensor there.

        Raises:
            UnknownName: A name that is no hook point, or a filter that matches none.
            HookError: A named hook point that was not reached or holds no tensor; a gradient that can't be taken.

        >>> logits, cache = model.run_with_cache(images)
        >>> logits.equal(cache["logits"])
        True
        """
        if loss is not None and not incl_bwd:
            raise HookError("loss= is the function whose gradients are taken; it needs incl_bwd=True")
        there = self._sites()
        sites, known = self._select(names_filter), tuple(name for name, site in there.items() if not site.again)
        self._warn_if_unsteady()
        found: dict[str, list[Tensor]] = {}
        watched: dict[str, list[Tensor]] = {}

        def store(at: Attachment, output: Any) -> Tensor | None:
            if not at.site.named and not isinstance(output, Tensor):
                for path, part in parts(output):
                    held = part.detach().to(device) if device is not None else part.detach()
                    found.setdefault(f"{at.site.label}.{name_of(path)}", []).append(held.clone())
                return None
            tensor, passed, name = at.site.tensor(output), None, at.site.label
            if incl_bwd and tensor.is_floating_point():
                tensor, passed = watch(at.site, tensor)
                watched.setdefault(name, []).append(tensor)
            value = tensor.detach()
            if device is not None and torch.device(device) != value.device:
                value = value.to(device)
            elif at.site.copy:
                value = value.clone()
            found.setdefault(name, []).append(value)
            return passed

        output = self._run([(site, store) for site in sites], stop_at, True, args, kwargs)
        tensors = flatten_calls(found)
        if not tensors:
            raise HookError("nothing was cached: no module that was reached returned a tensor")
        if incl_bwd:
            gradients = _gradients(output if loss is None else loss(output), flatten_calls(watched))
            tensors |= {name: gradient.to(device or gradient.device) for name, gradient in gradients.items()}
            output = output.detach() if isinstance(output, Tensor) else output
        return output, ActivationCache(tensors, known, self._root().training)

    def _run(
        self, actions: list[tuple[Site, Action]], stop_at: str | None, strict: bool, args: Any, kwargs: Any
    ) -> Any:
        ends = self._select(stop_at) if stop_at is not None else []
        for site in ends:
            self._refuse_several_calls(site, args, kwargs)
        stops = [(replace(site, named=False), _stop) for site in ends]  # of several, one is enough
        scope = attach(self._root(), [*actions, *stops], strict=strict, once=True)
        try:
            try:
                output, stopped = self(*args, **kwargs), False
            except _Stopped as stop:
                if stop.scope is not scope:
                    raise
                output, stopped = stop.value, True
            if stops and not stopped:
                raise HookError(f"the forward pass ended without reaching {stop_at!r}")
            scope.check()
            return output
        finally:
            scope.end()

    def _refuse_several_calls(self, site: Site, args: Any, kwargs: Any) -> None:
        """Raises if a forward pass would reach a site several times and no number selects one of its calls."""
        if not self.copy_cached or site.call is not None or site in self._once:
            return
        calls = 0

        def count(at: Attachment, output: Any) -> None:
            nonlocal calls
            calls = at.call + 1

        quiet = (torch.no_grad(), evaluation(self), torch.random.fork_rng(devices=[]))
        with ExitStack() as stack:
            for one in quiet:
                stack.enter_context(one)
            scope = stack.enter_context(attached(self._root(), [(site, count)]))
            stack.enter_context(scope.alone())
            stack.enter_context(suppress(Exception))  # raised after the site, or raised again later
            self(*args, **kwargs)
        if calls > 1:
            numbered = ", ".join(f"{site.name}@{call}" for call in range(calls))
            raise UnknownName(f"{site.name!r} is reached {calls} times in a forward pass; choose one of: {numbered}")
        self._once |= {site}

    @told
    def add_hook(
        self,
        name: NamesFilter,
        hook: HookFunction,
        dir: Literal["fwd", "bwd"] = "fwd",
        is_permanent: bool = False,
        *,
        strict: bool = True,
    ) -> None:
        """Attaches a function until `reset_hooks`. Prefer `hooks`, which detaches by itself.

        Args:
            name: A name, names or a predicate; None: all hook points.
            hook: Function of the value, or the gradient, there.
            dir: ``fwd`` for values, ``bwd`` for gradients.
            is_permanent: True to keep it at `reset_hooks`, unless permanent hooks are included.
            strict: True to refuse a replacement of another shape, dtype or device.
        """
        if dir not in ("fwd", "bwd"):
            raise HookError(f"dir is {dir!r}; it must be 'fwd' or 'bwd'")
        actions = self._actions([(name, hook)], edit if dir == "fwd" else edit_gradient)
        self._attach(dir, is_permanent, attach(self._root(), actions, strict=strict, everywhere=True))

    @told
    def reset_hooks(self, direction: Literal["fwd", "bwd", "both"] = "both", including_permanent: bool = False) -> None:
        """Detaches the hooks attached by `add_hook` and by the blocks of `hooks`; hooks registered by others stay.

        Args:
            direction: ``fwd`` for hooks on values, ``bwd`` for those on gradients, ``both``.
            including_permanent: True to detach permanent ones too.
        """
        if direction not in ("fwd", "bwd", "both"):
            raise HookError(f"direction is {direction!r}; it must be 'fwd', 'bwd' or 'both'")
        taken = [
            scope
            for dir, is_permanent, scope in self._attached or []
            if direction in (dir, "both") and (including_permanent or not is_permanent)
        ]
        for scope in taken:
            scope.end()
        self._forget(taken)

    def _warn_if_unsteady(self) -> None:
        if self._warned or not self._root().training:
            return
        if any(isinstance(m, _UNSTEADY) and m.training for m in self.modules()):
            self._warned = True
            warnings.warn(
                "this model is in training mode with dropout or batch normalization: its activations are random or "
                "depend on the batch. Call model.eval() first, unless this is intended (reported once)",
                stacklevel=4,
            )


def lent(given: Any) -> Any:
    """A copy of each tensor, also inside lists, tuples and dicts: for code that may write to its input.

    Args:
        given: Tensors, and anything else, which is passed on.
    """
    return tree_map_only(Tensor, Tensor.clone, given)


def _stop(at: Attachment, output: Any) -> Tensor | None:
    raise _Stopped(at.site.tensor(output), at.scope)


def _gradients(scalar: Any, watched: dict[str, Tensor]) -> dict[str, Tensor]:
    if not isinstance(scalar, Tensor) or scalar.numel() != 1:
        came = f"a tensor of shape {list(scalar.shape)}" if isinstance(scalar, Tensor) else f"a {type(scalar).__name__}"
        raise HookError(
            f"a gradient needs one number, but {came} came: give loss=, for example "
            "loss=lambda logits: logits[:, 3].sum()"
        )
    if not watched:
        raise HookError("no hook point that could have a gradient was reached")
    if not scalar.requires_grad:
        raise HookError("the loss depends on no hook point: is there a detach, an argmax or a no_grad in it?")
    gradients = torch.autograd.grad(scalar, list(watched.values()), allow_unused=True)
    return {
        f"{name}_grad": torch.zeros_like(tensor) if gradient is None else gradient.detach()
        for (name, tensor), gradient in zip(watched.items(), gradients, strict=True)
    }
