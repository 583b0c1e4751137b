"""Entries in torch's own tables of hooks that no copy of the module has."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any

from torch import nn

TABLES = ("_forward_hooks", "_forward_pre_hooks")


class Entry:
    """A hook on a module. ``run`` receives the output, or before the pass the arguments; its return value replaces them.

    With ``whole`` it receives all that torch gives a hook.
    """

    def __init__(self, run: Callable[..., Any] | None, whole: bool = False) -> None:
        self.run, self.whole = run, whole

    def __call__(self, module: nn.Module, *given: Any) -> Any:
        if self.run is not None:
            return self.run(module, *given) if self.whole else self.run(given[-1])
        for table in TABLES:  # an entry of a copy: of no use
            entries = getattr(module, table)
            for key in [key for key, entry in entries.items() if entry is self]:
                del entries[key]
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return Entry, (None,)


class _State:
    """The state for a module's copies and pickles while hooks are in its tables: everything but those."""

    def __init__(self, module: nn.Module) -> None:
        self.module = weakref.ref(module)

    def __call__(self) -> Any:
        module: Any = self.module()
        kind: Any = type(module)
        state = kind.__getstate__(module)
        return without_entries(state) if isinstance(state, dict) else state


def without_entries(state: dict[str, Any]) -> dict[str, Any]:
    """A module's state without this package's hooks."""
    state = {name: value for name, value in state.items() if not isinstance(value, _State)}
    for table in TABLES:
        kept = [(key, entry) for key, entry in state.get(table, {}).items() if not isinstance(entry, Entry)]
        state[table] = OrderedDict(kept)
    return state


@cache
def _copied_by_state(kind: Any) -> bool:
    """True if copies and pickles of such modules use ``__getstate__``."""
    plain = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
    return plain and not hasattr(kind, "__deepcopy__")


def put(module: nn.Module, table: str, run: Callable[..., Any], whole: bool = False) -> Callable[[], None]:
    """Calls ``run`` at each call of the module, until the returned function is called.

    With ``whole`` it is given the module, all arguments and the output, and called after a pass that raised too.
    """
    register: Any = module.register_forward_hook if table == "_forward_hooks" else module.register_forward_pre_hook
    always = {"always_call": True} if table == "_forward_hooks" else {}
    handle = register(Entry(run, whole), **({"with_kwargs": True, **always} if whole else {}))
    kind: Any = type(module)
    if "__getstate__" not in module.__dict__ and _copied_by_state(kind):
        module.__dict__["__getstate__"] = _State(module)

    def remove() -> None:
        handle.remove()
        entries = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
        if not any([isinstance(entry, Entry) for entry in entries]):
            module.__dict__.pop("__getstate__", None)

    return remove
