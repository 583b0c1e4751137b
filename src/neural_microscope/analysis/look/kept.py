"""Results of a look, cached in one file in the run's folder, and reused only if nothing that they depend on has changed.

The file is untrusted: content that differs from what this code writes is ignored, and computed again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import safetensors.numpy
import torch
import xarray as xr
from msgspec import Meta, Struct

from ... import documents, files
from ...documents import Count, Digest, Text
from ...errors import MicroscopeError, RunError
from ...measure import every
from ...run import RESULTS, Run

Results = Mapping[str, Mapping[str, Any]]
"""Results of the network ("") and its hook points, by the names of their measures."""

PACKAGE = Path(__file__).parents[2]
LIBRARIES = ("numpy", "scipy", "scikit-learn", "torch", "xarray")
_Plain = bool | int | float | Text | list[Any]
_Tensors = dict[str, np.ndarray]


class _Variable(Struct, frozen=True, forbid_unknown_fields=True):
    dims: Annotated[tuple[Text, ...], Meta(max_length=8)]
    attrs: dict[Text, _Plain]
    tensor: Count | None = None
    """Its number among the file's tensors; None for text."""
    words: list[Text] | None = None


class _Result(Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["dataset", "array", "none"]
    variables: dict[Text, _Variable]
    coords: list[Text]
    attrs: dict[Text, _Plain]
    name: Text | None = None


class _About(Struct, frozen=True, forbid_unknown_fields=True):
    sha256: Digest
    key: Digest
    results: dict[Text, dict[Text, _Result]]


def key(run: Run) -> str | None:
    """A hash of all that the results of a run depend on: the commit and probe, the code of all measures, the libraries, the processor
    and the threads. None where it can't be known: of a run in the making, of a module, with a measure whose code has no file.
    """
    if type(run) is not Run or run.status == "running" or run.description["model"]["kind"] == "module":
        return None
    probe = [hashlib.sha256(one.tobytes()).hexdigest() for one in (run.probe.images, run.probe.labels)]
    machine = [platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability()]
    made_by = [platform.python_version(), *map(version, LIBRARIES), *machine, torch.get_num_threads()]
    try:
        code = [_package(), *_others()]
    except (OSError, TypeError):
        return None
    parts = [run.record.chain, run.description, probe, run.probe.classes, code, made_by]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _package() -> str:
    """The hash of every file of this package's code."""
    found = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        found.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _others() -> Iterator[str]:
    """The code of measures that are not of this package."""
    own = f"{__name__.partition('.')[0]}."
    for measure in every():
        for function in (inspect.unwrap(measure.function), *(asked.look for asked in measure.asked.values())):
            if not function.__module__.startswith(own):
                module = inspect.getmodule(function)
                if module is None:
                    raise TypeError(measure.name)
                yield inspect.getsource(module)


def encoded(results: Results, mark: str) -> bytes | None:
    """The content of the file, sealed; None if a result can't be stored."""
    tensors: _Tensors = {}
    try:
        about = {
            place: {name: _described(one, tensors) for name, one in found.items()} for place, found in results.items()
        }
    except TypeError:
        return None
    text = msgspec.json.encode(_About(documents.UNSEALED, mark, about)).decode()
    return documents.sealed(safetensors.numpy.save(tensors, {"about": text}))


def _described(result: Any, tensors: _Tensors) -> _Result:
    if result is None:
        return _Result("none", {}, [], {})
    if not isinstance(result, xr.Dataset | xr.DataArray):
        raise TypeError(type(result))
    given = {str(name): one.variable for name, one in result.coords.items()}
    if isinstance(result, xr.Dataset):
        given |= {str(name): one.variable for name, one in result.data_vars.items()}
    else:
        given[""] = result.variable
    variables = {name: _variable(one, tensors) for name, one in given.items()}
    kind: Literal["dataset", "array"] = "dataset" if isinstance(result, xr.Dataset) else "array"
    name = None if isinstance(result, xr.Dataset) or result.name is None else str(result.name)
    return _Result(kind, variables, [str(one) for one in result.coords], _plain(result.attrs), name)


def _variable(variable: xr.Variable, tensors: _Tensors) -> _Variable:
    dims, values = tuple(map(str, variable.dims)), variable.values
    if values.dtype.kind == "U" and values.ndim == 1:
        return _Variable(dims, _plain(variable.attrs), words=values.tolist())
    if values.dtype.kind not in "fib":
        raise TypeError(values.dtype)
    number = len(tensors)
    tensors[str(number)] = np.ascontiguousarray(values).reshape(values.shape)
    return _Variable(dims, _plain(variable.attrs), number)


def _plain(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Attributes that JSON stores unchanged."""
    for one in attrs.values():
        values = one if type(one) is list else [one]
        if any(type(value) not in (bool, int, float, str) or value != value for value in values):
            raise TypeError(type(one))
    return {str(name): one for name, one in attrs.items()}


def decoded(content: bytes, mark: str, name: object = RESULTS) -> dict[str, dict[str, Any]]:
    """The results given to `encoded`. Content that it did not write, or wrote for another ``mark``, is a RunError."""
    header = documents.header(content, name, RunError)
    about = documents.decode(header.metadata.get("about", "").encode(), _About, name, RunError)
    if about.key != mark:
        raise RunError(f"{name} is of another run, or made by other code")
    documents.check_seal(content, about.sha256, name, RunError)
    tensors = safetensors.numpy.load(content)
    try:
        return {
            place: {measure: _result(one, tensors) for measure, one in found.items()}
            for place, found in about.results.items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{name} holds no results: {error}") from None


def _result(one: _Result, tensors: _Tensors) -> xr.Dataset | xr.DataArray | None:
    if one.kind == "none":
        return None
    made = {
        name: xr.Variable(v.dims, np.array(v.words, "U") if v.words is not None else tensors[str(v.tensor)], v.attrs)
        for name, v in one.variables.items()
    }
    coords = {name: made.pop(name) for name in one.coords}
    if one.kind == "dataset":
        return xr.Dataset(made, coords, one.attrs)
    return xr.DataArray(made[""], coords, name=one.name).assign_attrs(one.attrs)


def read(run: Run, mark: str) -> dict[str, dict[str, Any]] | None:
    """The cached results of a run; None if there are no valid ones."""
    try:
        with files.opened(run.folder / RESULTS, run.folder) as file:
            return decoded(file.read(documents.LARGEST), mark)
    except (MicroscopeError, OSError):
        return None


def write(run: Run, content: bytes) -> None:
    """Caches the results, all or none; if the folder can't be written, nothing is cached."""
    with suppress(OSError), files.whole(run.folder / RESULTS) as partial:
        partial.write_bytes(content)
