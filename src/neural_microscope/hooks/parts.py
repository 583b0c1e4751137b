"""Named parts of what a module gives or takes: of tuples, lists, dicts and dataclasses, as in ``lstm.hook_out.1.0``."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from ..errors import HookError

Path = tuple[Any, ...]
"""The keys from a value to a part of it."""


def parts(value: Any, path: Path = ()) -> Iterator[tuple[Path, Tensor]]:
    """Every tensor in a value, with the keys to it, in the value's order."""
    if isinstance(value, Tensor):
        yield path, value
        return
    for key, inner in _inside(value):
        yield from parts(inner, (*path, key))


def name_of(path: Path) -> str:
    """The keys as in a hook point's name."""
    return ".".join(map(str, path))


def within(label: str, part: str | None, run: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``run`` on one part of a value, which its result replaces; ``part`` None is the first tensor."""

    def runs(value: Any) -> Any:
        found = dict(parts(value))
        path = next((path for path in found if part is None or name_of(path) == part), None)
        if path is None:
            there = ", ".join(filter(None, map(name_of, found))) or "no tensors"
            raise HookError(
                f"hook point {label!r}: there is no such part of a {type(value).__name__}; it holds {there}"
            )
        result = run(found[path])
        return None if result is None else _replaced(value, path, result)

    return runs


def _inside(value: Any) -> list[tuple[Any, Any]]:
    """The keys of a value that holds others, with what they hold."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, tuple | list):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(one.name, getattr(value, one.name)) for one in dataclasses.fields(value)]
    return []


def _replaced(value: Any, path: Path, tensor: Any) -> Any:
    """A copy of a value in which a part is another tensor."""
    if not path:
        return tensor
    key, *rest = path
    held = dict(_inside(value))
    held[key] = _replaced(held[key], tuple(rest), tensor)
    if isinstance(value, Mapping):
        copied: Any = copy.copy(value)
        copied[key] = held[key]
        return copied
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(**held)
    if isinstance(value, tuple | list):
        return type(value)(held.values())
    return dataclasses.replace(value, **{key: held[key]})
