"""Entries in torch's own tables of hooks that no copy of the module has."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import nn

TABLES = ("_forward_hooks", "_forward_pre_hooks")


class Entry:
    """A hook on a module. ``run`` is given the output, or before the pass the arguments; what it returns replaces them."""

    def __init__(self, run: Callable[[Any], Any] | None) -> None:
        self.run = run

    def __call__(self, module: nn.Module, *given: Any) -> Any:
        if self.run is not None:
            return self.run(given[-1])
        for table in TABLES:  # an entry of a copy: of no use
            entries = getattr(module, table)
            for key in [key for key, entry in entries.items() if entry is self]:
                del entries[key]
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return Entry, (None,)


class _State:
    """What a module's copies and pickles are made of while hooks are in its tables: all but those."""

    def __init__(self, module: nn.Module) -> None:
        self.module = weakref.ref(module)

    def __call__(self) -> Any:
        module: Any = self.module()
        kind: Any = type(module)
        state = kind.__getstate__(module)
        return without_entries(state) if isinstance(state, dict) else state


def without_entries(state: dict[str, Any]) -> dict[str, Any]:
    """A module's state without what this package has attached."""
    state = {name: value for name, value in state.items() if not isinstance(value, _State)}
    for table in TABLES:
        kept = [(key, entry) for key, entry in state.get(table, {}).items() if not isinstance(entry, Entry)]
        state[table] = OrderedDict(kept)
    return state


def put(module: nn.Module, table: str, run: Callable[[Any], Any]) -> Callable[[], None]:
    """Has ``run`` called at each call of the module until the function returned is."""
    register: dict[str, Any] = {
        "_forward_hooks": module.register_forward_hook,
        "_forward_pre_hooks": module.register_forward_pre_hook,
    }
    handle = register[table](Entry(run))
    own = type(module)
    if (
        own.__reduce_ex__ is object.__reduce_ex__
        and own.__reduce__ is object.__reduce__
        and not hasattr(own, "__deepcopy__")
    ):
        module.__dict__.setdefault("__getstate__", _State(module))

    def remove() -> None:
        handle.remove()
        if not any(isinstance(entry, Entry) for name in TABLES for entry in tuple(getattr(module, name).values())):
            module.__dict__.pop("__getstate__", None)

    return remove
