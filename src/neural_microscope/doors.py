"""Argument checks: the arguments of a public function are checked against its annotations before its body runs.

A DataLoader in place of images is one sentence that says so, instead of an AttributeError from the middle of the
library. Problems that appear only in the body, such as a table that lacks a variable, are one sentence too. An error of the
caller's own code, in a model or a hook function, is unchanged.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
import sysconfig
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, wraps
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast

from .errors import MicroscopeError, NoLabels, WrongType, WrongValue, reason, unknown

Public = TypeVar("Public", bound=Callable[..., Any])

_COUNTS = (
    "batch_size n n_latents k per bins iterations networks controls resamples steps snapshots components patch stride most "
    "empties workers per_octave epochs columns across hardest size height"
)
LEAST = (
    dict.fromkeys(["seed", "draws", "jitter", "warmup_steps", "retries", "planted", "pages"], 0)
    | dict.fromkeys(_COUNTS.split(), 1)
    | {"classes": 2}
)
"""The minimum of an integer of this name."""

WAYS = {
    "ImageSet": "nm.data.ImageSet(images, labels), or nm.data.examples(inputs, labels)",
    "Dataset": "nm.data.load(name), or nm.data.Dataset(name, train, test)",
    "DataArray": "nm.activations(model, images)[hook_point], or run.activations(hook_point)",
    "Run": "nm.Run.open(folder)",
    "FirstLook": "nm.analysis.look.first_look(run)",
    "TopKSAE": "nm.analysis.dictionary.train_sae(acts, n_latents, k)",
    **{name: f"nm.{name}(…)" for name in ("TrainConfig", "MLPConfig", "CNNConfig", "RecordConfig")},
}
"""Calls that return an object, by the name of its class."""

WHOSE = dict.fromkeys(WAYS, "neural_microscope") | {"DataArray": "xarray"}
"""The package of such a class."""


def door(public: Public) -> Public:
    """The function, or the class with its constructor, whose arguments are checked before it is called."""
    return _entered(public, admit)


def typed(public: Public) -> Public:
    """Like `door`, without ranges: the seed of a network may be negative."""
    return _entered(public, _right)


def told(public: Public) -> Public:
    """Like `door`, for functions that check their arguments themselves: only remaining errors become one sentence."""
    return _entered(public, lambda function, given: None)


def _entered(function: Public, check: Callable[[Callable[..., Any], Mapping[str, Any]], None]) -> Public:
    if inspect.isclass(function):
        setattr(function, "__init__", _entered(function.__init__, check))  # noqa: B010 -- an assignment is none to mypy
        return function
    signature = inspect.signature(function)
    measures = str(function.__module__).startswith(f"{__package__}.analysis")

    @wraps(function)
    def entered(*args: Any, **options: Any) -> Any:
        given = _bound(function, signature, args, options)
        check(function, given)
        renamed = MEASURING.get()
        outside = MEASURING.set({} if measures and renamed is None else renamed)
        try:
            result = function(*args, **options)
            return result if renamed is not None else _renamed(result, MEASURING.get())
        except NoLabels as error:
            error.needs = function.__name__  # of nested calls the outermost, which the caller knows
            raise
        except MicroscopeError:
            raise
        except ModuleNotFoundError as error:
            if _of_the_caller(error):
                raise
            extra = EXTRAS.get(str(error.name).split(".")[0], error.name)
            raise MicroscopeError(
                f"{function.__qualname__} needs {error.name}, which is not installed: pip install {extra}"
            ) from error
        except FOREIGN as error:
            if _of_the_caller(error):
                raise
            raise _unforeseen(function, given, error) from error
        finally:
            MEASURING.reset(outside)

    return cast(Public, entered)


MEASURING: ContextVar[dict[str, str] | None] = ContextVar("measuring", default=None)
"""Not None while a measure runs, which expects units or channels at a hook point. Holds other names for axes of its result: the units of
tokens are ablated as the channels of a map.
"""


def _renamed(result: Any, axes: dict[str, str] | None) -> Any:
    there = {old: new for old, new in (axes or {}).items() if old in getattr(result, "dims", ())}
    return result.rename(there) if there else result


EXTRAS = {
    name: f"'neural-microscope[{extra}]'"
    for extra, names in {"umap": ["umap"], "netcdf": ["h5netcdf"], "sweep": ["dask", "distributed", "fsspec"]}.items()
    for name in names
}
"""The extras that install an optional module."""

FOREIGN = (
    TypeError,
    AttributeError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    StopIteration,
)
"""Exceptions raised by function bodies and libraries for unsuitable input."""


def admit(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """A WrongType for the first argument that its annotation does not allow, a WrongValue for one out of its range."""
    _right(function, given)
    for name, value in given.items():
        if name in LEAST and isinstance(value, Integral) and value < LEAST[name]:
            raise WrongValue(f"{name} is {value}; it must be at least {LEAST[name]}")
        if isinstance(value, Real) and math.isnan(value):
            raise WrongValue(f"{name} is nan; it must be a number")


def _right(function: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """A WrongType for an argument that its annotation does not allow, and for tensors and networks without values."""
    for name, hint in _hints(function).items():
        if name not in given:
            continue
        if not fits(given[name], hint):
            raise WrongType(f"{name} is {came(given[name])}; it must be {wanted(hint)}{_way(given[name], hint, name)}")
        options = _options(hint)
        if options and isinstance(given[name], str) and given[name] not in options:
            raise unknown(name.replace("_", " "), given[name], options)
        if _on_meta(given[name]):
            raise WrongValue(f"{name} is on the meta device, which holds shapes without values; load it to 'cpu' first")


def _options(hint: Any) -> list[str]:
    """The words that an annotation allows, where it allows nothing else but None."""
    either = typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)
    named = [one for one in either if one is not type(None)]
    words = [word for one in named if typing.get_origin(one) is Literal for word in typing.get_args(one)]
    return words if all(typing.get_origin(one) is Literal for one in named) else []


def _bound(function: Callable[..., Any], signature: inspect.Signature, args: Any, options: Any) -> dict[str, Any]:
    """The arguments by name; a call that does not fit the signature is a WrongType that shows it."""
    try:
        return dict(signature.bind(*args, **options).arguments)
    except TypeError as error:
        takes = ", ".join(name for name in signature.parameters if name != "self")
        raise WrongType(
            f"{function.__qualname__.removesuffix('.__init__')}: {error}; it takes {takes or 'nothing'}"
        ) from None


@cache
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters' annotations, resolved; without those of ``*args`` and ``**options``, and those for type checkers only."""
    hints: dict[str, Any] = {}
    for name, annotation in inspect.get_annotations(function).items():
        with suppress(NameError):
            one = types.FunctionType(door.__code__, {})  # a bare function with this one annotation
            one.__annotations__ = {name: annotation}
            hints |= typing.get_type_hints(one, inspect.unwrap(function).__globals__)
    single = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: hints[one.name] for one in parameters if one.kind not in single and one.name in hints}


def fits(value: Any, hint: Any) -> bool:
    """True if a value matches an annotation, as far as it can be seen without reading it: lazy values stay lazy."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if hint is None:
        return value is None
    if origin in (Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:  # the body rejects other strings and suggests the nearest option
        return isinstance(value, str) or any(type(value) is type(one) and value == one for one in inner)
    if origin is Callable:
        return _callable(value, *inner)
    if origin is not None:
        return _holds(value, origin, inner)
    return _is(value, hint)


def _is(value: Any, kind: Any) -> bool:
    """Like `fits`, for a plain class."""
    if kind is bool:
        return _flag(value)
    if kind is int:
        return not _flag(value) and _whole(value)
    if kind is float:
        return not _flag(value) and (isinstance(value, Real) or (_axes(value) == 0 and _kind(value) in "iuf"))
    if kind.__name__ == "ndarray":
        return _kind(value) in "biuf"
    if getattr(kind, "_is_protocol", False):
        return callable(value)
    right = not inspect.isclass(kind) or isinstance(value, (kind, types.SimpleNamespace))  # a stand-in made by hand
    return right and not (kind.__name__ == "DataArray" and _kind(value) not in "biuf")


def _flag(value: Any) -> bool:
    """True for a bool, including numpy's."""
    return isinstance(value, bool) or type(value).__name__ in ("bool", "bool_")


def _whole(value: Any) -> bool:
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def _axes(value: Any) -> int | None:
    shape = getattr(value, "shape", None)
    return len(shape) if isinstance(shape, tuple) else None


def _kind(value: Any) -> str:
    """The kind of an array, or of a list that may become one, in numpy's letters: "f" for floats; "-" for neither."""
    if isinstance(value, list | tuple):
        import numpy as np  # not needed by the command line's start

        try:
            value = np.asarray(value)
        except (ValueError, TypeError, RuntimeError):
            return "-"
    kind = getattr(value, "dtype", None)
    if kind is None or not hasattr(value, "__array__"):
        return "-"
    if hasattr(kind, "kind"):
        return str(kind.kind)
    return "c" if kind.is_complex else "f" if kind.is_floating_point else "b" if "bool" in str(kind) else "i"


def _callable(value: Any, arguments: Any = ..., result: Any = Any) -> bool:
    """True if a value can be called with these arguments, or does not declare its parameters."""
    if not callable(value) or inspect.isclass(value):
        return False
    forward = getattr(value, "forward", None)
    if arguments is ...:
        return forward is None or getattr(result, "__name__", "") != "Dataset"
    try:
        inspect.signature(forward or value).bind(*arguments)
    except TypeError:
        return False
    except ValueError:
        return True
    return True


def _holds(value: Any, origin: Any, inner: tuple[Any, ...]) -> bool:
    """Like `fits`, for a container and its items."""
    if isinstance(value, str | bytes):
        return False
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(fits(one, inner[1]) for one in _seen(value))
    if origin is tuple:
        if not isinstance(value, tuple | list):
            return False
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        return len(kinds) == len(value) and all(map(fits, value, kinds))
    if not issubclass(origin, Iterable):
        return isinstance(value, origin)
    if _axes(value) is not None:
        return (
            issubclass(Sequence, origin)
            and _axes(value) == 1
            and inner[0] in _LETTERS
            and _kind(value) in _LETTERS[inner[0]]
        )
    of_kind = isinstance(value, origin) and not hasattr(value, "forward") and not isinstance(value, Mapping)
    return of_kind and all(fits(one, inner[0]) for one in _seen(value))


_LETTERS = {int: "iu", float: "iuf", Any: "biuf"}


def _seen(value: Any) -> Iterable[Any]:
    """The items of a container, if they can be read without side effects."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()


def _on_meta(value: Any) -> bool:
    return value.is_meta if hasattr(value, "is_meta") else any(p.is_meta for p in _parameters(value))


def _parameters(value: Any) -> Iterable[Any]:
    return value.parameters() if hasattr(value, "forward") and not inspect.isclass(value) else ()


def came(value: Any) -> str:
    """A value in a few words: its type, and for an array its shape and dtype."""
    kind = type(value).__name__
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if hasattr(value, "sizes") and hasattr(value, "dtype"):
        return f"a {kind} [{', '.join(f'{dim} {size}' for dim, size in value.sizes.items())}] of {value.dtype}"
    if hasattr(value, "data_vars"):
        return f"a table of {', '.join(map(str, value.data_vars)) or 'nothing'}"
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"a {_MODULES.get(type(value).__module__, '')}{kind} {list(value.shape)} of {value.dtype}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value) if len(repr(value)) < 60 else f"a {kind}"
    inside = f" of {came(value[0])} and {len(value) - 1} more" if isinstance(value, list | tuple) and value else ""
    return f"{_a(kind)}{inside}"


_MODULES = {"torch": "torch ", "numpy": "numpy "}


def wanted(hint: Any) -> str:
    """The values that an annotation allows, in words."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is None or hint is type(None):
        return "None"
    if origin in (Union, types.UnionType):
        parts = list(dict.fromkeys(wanted(one) for one in inner))
        return (", or " if any("each" in one for one in parts) else " or ").join(parts)
    if origin is Literal:
        return " or ".join(repr(one) for one in inner)
    if origin is Callable:
        return _function(*inner)
    if origin is tuple and len(inner) == 2 and inner[1] is not ...:
        return f"a pair of {wanted(inner[0])} and {wanted(inner[1])}"
    name = getattr(origin or hint, "__name__", str(hint))
    if name == "Dataset" and hint.__module__.startswith("xarray"):
        return "an xarray Dataset, as measures return it"
    if origin is None or not inner or Any in inner:
        return _WORDS.get(name) or _a(name)
    held = wanted(inner[-1] if inner[-1] is not ... else inner[0])
    return f"{_WORDS.get(name) or _a(name)}, each {held}"


def _function(arguments: Any = ..., result: Any = Any) -> str:
    if arguments is ...:
        return "a function"
    return f"a function of {len(arguments)} argument{'s' * (len(arguments) != 1)}"


def _a(name: str) -> str:
    spelled = name[:2].isupper()  # an MLP, a CNN
    return f"{'an' if name[0] in ('AEFHILMNORSX' if spelled else 'AEIOUaeio') else 'a'} {name}"


_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "True or False",
    "str": "a string",
    "ndarray": "an array of numbers",
    "DataArray": "an xarray DataArray",
    "Sequence": "a list",
    "Iterable": "a list",
    "list": "a list",
    "tuple": "a tuple",
    "Mapping": "a dict",
    "dict": "a dict",
    "Module": "a torch module",
}


def _way(value: Any, hint: Any, name: str) -> str:
    """A hint on how to obtain a value, if it is one of the library's types."""
    kinds = [one for one in (typing.get_args(hint) or (hint,)) if inspect.isclass(one)]
    known = [one.__name__ for one in kinds if one.__name__ in WAYS and one.__module__.startswith(WHOSE[one.__name__])]
    if not known:
        return ""
    way = f"nm.{known[0]}(**{name})" if isinstance(value, dict) and known[0].endswith("Config") else WAYS[known[0]]
    return f": {way}"


def _of_the_caller(error: BaseException) -> bool:
    """True if an error comes from code outside this package and installed libraries: a model's, a hook function's."""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename  # relative in compiled libraries, <…> in generated code
        typed_in = frame.tb_frame.f_globals.get("__name__") == "__main__"
        if typed_in or (Path(file).is_absolute() and not file.startswith(_LIBRARIES)):
            return True
        frame = frame.tb_next
    return False


_LIBRARIES = tuple({str(Path(__file__).parent), *(sysconfig.get_path(one) for one in ("stdlib", "purelib", "platlib"))})


OF_CLASSES = ("label", "test_accuracy_by_class")
"""Variables that a table of a run without class labels lacks."""


def _unforeseen(function: Callable[..., Any], given: Mapping[str, Any], error: Exception) -> MicroscopeError:
    """An error for input that a body could not handle, with the reason."""
    tables = [(name, one) for name, one in given.items() if hasattr(one, "data_vars")]
    if isinstance(error, KeyError) and tables:
        name, one = tables[-1]
        lacking = re.search(r"'(\w+)'", str(error))
        if lacking and lacking[1] in OF_CLASSES:
            refusal = NoLabels(name)
            refusal.needs = function.__name__
            return refusal
        return WrongValue(
            f"{name} is {came(one)}; it lacks {lacking[0] if lacking else error}: give the result of a measure"
        )
    name = function.__qualname__.removesuffix(".__init__")
    words = f"{name} can't use {'; '.join(f'{name}: {came(one)}' for name, one in given.items() if name != 'self')}"
    kind = WrongType if isinstance(error, TypeError | AttributeError) else WrongValue
    return kind(f"{words} ({type(error).__name__}: {textwrap.shorten(reason(error), 200)})")
