"""Front doors: what a public function is given is checked against its annotations before its body runs.

Whoever passes a DataLoader where images are wanted reads one sentence that says so, instead of an AttributeError from the middle of the
library.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, Literal, TypeVar, Union, cast

import numpy as np

from .errors import WrongType

Function = TypeVar("Function", bound=Callable[..., Any])


def door(function: Function) -> Function:
    """The function, whose arguments are checked before it is called."""
    signature = inspect.signature(function)

    @wraps(function)
    def entered(*args: Any, **options: Any) -> Any:
        admit(function, signature.bind(*args, **options).arguments)
        return function(*args, **options)

    return cast(Function, entered)


def admit(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """A WrongType for the first argument that is nothing its annotation allows."""
    for name, hint in _hints(function).items():
        if name in given and not fits(given[name], hint):
            raise WrongType(f"{name} is {came(given[name])}; it is {wanted(hint)}")


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters' annotations, resolved; without those of ``*args`` and ``**options``, and those that only a type checker can read."""
    try:
        hints = typing.get_type_hints(function)
    except NameError:
        return {}
    single = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: hints[one.name] for one in parameters if one.kind not in single and one.name in hints}


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what an annotation says, as far as it shows without being read: what is lazy stays so."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) or any(type(value) is type(one) and value == one for one in inner)
    if origin is not None:
        return _holds(value, origin, inner)
    if hint in _NUMBERS:
        return isinstance(value, _NUMBERS[hint]) and (hint is bool or not isinstance(value, bool | np.bool_))
    if hint is np.ndarray:
        return hasattr(value, "__array__") or isinstance(value, list | tuple)
    return not inspect.isclass(hint) or isinstance(value, hint | types.SimpleNamespace)  # a stand-in made by hand


_NUMBERS: dict[Any, Any] = {bool: (bool, np.bool_), int: Integral, float: Real}


def _holds(value: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    """As `fits`, of a container and what it holds."""
    if origin is Callable:
        return callable(value)
    if isinstance(value, str | bytes):
        return False
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(one, inner[1]) for one in _seen(value))
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(kinds) == len(value) and all(map(fits, value, kinds))
    if issubclass(origin, Iterable):
        array = hasattr(value, "__array__") and hasattr(value, "__getitem__")
        of_kind = isinstance(value, origin) or (array and issubclass(Sequence, origin))
        return of_kind and all(fits(one, inner[0]) for one in _seen(value))
    return isinstance(value, origin)


def _seen(value: Any) -> Iterable[Any]:
    """What a container holds where it lies open."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()


def came(value: Any) -> str:
    """A value in a few words: its type, and of an array its shape and dtype."""
    kind = type(value).__name__
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if hasattr(value, "sizes") and hasattr(value, "dtype"):
        return f"a {kind} [{', '.join(f'{dim} {size}' for dim, size in value.sizes.items())}], {value.dtype}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {kind} {list(value.shape)}, {value.dtype}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value) if len(repr(value)) < 60 else f"a {kind}"
    return f"{'an' if kind[0] in 'AEIOUaeio' else 'a'} {kind}"


def wanted(hint: Any) -> str:
    """What an annotation allows, in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return "None"
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(wanted(one) for one in inner))
    if origin is Literal:
        return " or ".join(repr(one) for one in inner)
    if origin is Callable:
        return "a function"
    if origin is tuple and len(inner) == 2 and inner[1] is not ...:
        return f"a pair of {wanted(inner[0])} and {wanted(inner[1])}"
    name = getattr(origin or hint, "__name__", str(hint))
    said = _WORDS.get(name, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")
    if origin is None or not inner or Any in inner:
        return said
    return f"{said} of {wanted(inner[-1] if inner[-1] is not ... else inner[0])}"


_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "str": "a string",
    "ndarray": "an array",
    "Sequence": "a list",
    "Iterable": "a list",
    "Mapping": "a dict",
    "dict": "a dict",
}
