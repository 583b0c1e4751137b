"""The files of a calibration: its record, as JSON, and a line for each result of an unfinished one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import xarray as xr
from msgspec import Struct

from .. import documents, files
from ..doors import door
from ..errors import DataError, reason
from ..measure import EMPTY_KINDS

_WORDS = ("measure", "planted", "empty", "unit", "hash")
_COUNTS = ("asked", "able", "claimed", "alone")
FORMS: dict[str, tuple[tuple[str, ...], type]] = {
    **{name: (("instrument",), str) for name in ("instrument", *_WORDS)},
    **{name: (("instrument",), float) for name in ("truth", "measured", "error", "tolerance", "false_alarms")},
    **{name: (("instrument",), bool) for name in ("recovered", "silent")},
    "kind": (("kind",), str),
    "rule": (("rule",), str),
    **{name: (("kind",), int) for name in ("pages", "pages_false")},
    "false_here": (("kind", "rule"), bool),
    "least_p": (("kind", "rule"), float),
    **{name: (("kind", "rule"), int) for name in _COUNTS},
    "plant": (("plant",), str),
    **{f"planted_{name}": (("plant",), float) for name in ("units", "found", "effect")},
    "must_find": (("plant",), bool),
}
"""The axes and the type of every variable of a calibration."""


class _Variable(Struct, forbid_unknown_fields=True):
    dims: tuple[str, ...]
    attrs: dict[str, str]
    data: list[Any]


class _Attributes(Struct, forbid_unknown_fields=True, omit_defaults=True):
    n_empty: int | None = None
    seed: int | None = None
    declared: float | None = None
    allowed: float | None = None
    version: documents.Text | None = None
    rules_hash: documents.Text | None = None


class _Record(Struct, forbid_unknown_fields=True):
    coords: dict[str, _Variable]
    attrs: _Attributes
    dims: dict[Literal["instrument", "kind", "rule", "plant"], documents.Count]
    data_vars: dict[str, _Variable]
    sha256: documents.Digest | None = None


@door
def save(result: xr.Dataset, path: str | Path) -> Path:
    """Writes a calibration as JSON, whole or not at all; returns the path.

    Args:
        result: A calibration.
        path: File to write; an existing one is replaced.
    """
    text = json.dumps({"sha256": documents.UNSEALED, **result.to_dict()}, indent=1) + "\n"
    with files.whole(path) as partial:
        partial.write_bytes(documents.sealed(text.encode()))
    return Path(path)


@door
def open_record(path: str | Path | None = None) -> xr.Dataset:
    """A calibration written by `save`.

    Args:
        path: File to read; None: this release's own record.

    Raises:
        DataError: Any other file, by name.

    >>> nm.phantoms.open_record()["false_alarms"].dims
    ('instrument',)
    """
    own = resources.files(__package__).joinpath("record.json")
    content = own.read_bytes() if path is None else files.read(path)
    try:
        return _dataset(content, path or own)
    except DataError as error:
        raise DataError(
            f"{path} is not a calibration; `microscope calibrate --output FILE` writes one ({error})"
        ) from None


def _dataset(content: bytes, name: object) -> xr.Dataset:
    if len(content) > documents.LARGEST:
        raise DataError(f"it has {len(content):,} bytes; at most {documents.LARGEST:,} are allowed")
    try:
        values = json.loads(content)  # not msgspec: a rate of no phantoms is NaN
    except (ValueError, RecursionError) as error:
        raise DataError("it is not JSON") from error
    record = documents.convert(values, _Record, name, DataError)
    hashed = "hash" in record.coords or record.attrs.rules_hash is not None
    documents.check_seal(content, record.sha256, name, DataError, required=hashed)
    found = {key: _checked(key, one, record.dims) for key, one in {**record.coords, **record.data_vars}.items()}
    missing = [key for key, (dims, _) in FORMS.items() if set(dims) & set(record.dims) and key not in found]
    attrs = {key: value for key, value in msgspec.structs.asdict(record.attrs).items() if value is not None}
    if "instrument" in record.dims:
        missing += [key for key in ("n_empty", "seed", "version") if key not in attrs]
    if missing not in ([], ["hash"]):  # older records have neither hashes nor a seal
        raise DataError(f"it lacks {', '.join(missing)}")
    for dim in record.dims:
        names = found[dim][1].tolist()
        lacks = sorted({*EMPTY_KINDS} - {*names}) if dim == "kind" else []
        if lacks or len(set(names)) < len(names):
            raise DataError(f"its {dim} holds {f'no {lacks[0]!r}' if lacks else 'a name twice'}")
    coords = {key: found[key] for key in record.coords}
    return xr.Dataset({key: found[key] for key in record.data_vars}, coords, attrs)


def _checked(name: str, variable: _Variable, sizes: Mapping[Any, int]) -> tuple[tuple[str, ...], np.ndarray]:
    if name not in FORMS or variable.dims != FORMS[name][0] or variable.attrs:
        raise DataError(f"no calibration has {name!r} on the axes {list(variable.dims)}")
    dims, kind = FORMS[name]
    value: Any = documents.Count if kind is int else kind
    schema: Any = list[value] if len(dims) == 1 else list[list[value]]
    data = documents.convert(variable.data, schema, name, DataError)
    try:
        array: np.ndarray = np.array(data, kind)
    except (ValueError, OverflowError) as error:  # rows of different lengths; an integer that is not a float
        raise DataError(f"{name!r}: {reason(error)}") from None
    if array.shape != tuple(sizes.get(dim) for dim in dims):
        raise DataError(f"{name!r} has the shape {array.shape}, and its axes {[sizes.get(dim) for dim in dims]}")
    return dims, array


class Kept(dict[str, Any]):
    """Results by their keys, and a file to which each new one is appended at once, so that an interrupted calibration can resume."""

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        self.path = path
        content = files.read(path) if path is not None and path.exists() else b""
        self.cut_off = bool(content) and not content.endswith(b"\n")
        for line in content.splitlines():
            with suppress(DataError, ValueError, TypeError, RecursionError):  # truncated or changed: computed again
                key, result, *mark = json.loads(line)
                documents.convert([key, result], _Line, path, DataError)
                if mark in ([], [_mark(key, result)]):  # older lines have no mark
                    self[key] = result

    def add(self, key: str, result: Any) -> None:
        self[key] = result
        if self.path is not None:
            with files.naming(self.path), self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * self.cut_off + json.dumps([key, result, _mark(key, result)]) + "\n")
            self.cut_off = False


_Numbers = list[float]
_Line: Any = tuple[str, _Numbers | dict[str, _Numbers]]


def _mark(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
