"""Metadata of a log's Zarr store, compared with the run's description before anything is read from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .. import documents
from ..documents import Count, Text
from ..errors import RunError
from .log import LEVEL, Array, ArraySpec, Groups, chunks, named


class _About(Struct, forbid_unknown_fields=True):
    long_name: Text
    units: Text


class _Lengths(Struct):
    chunk_shape: Annotated[tuple[Count, ...], Meta(min_length=1)]


class _Grid(Struct):
    configuration: _Lengths


class _Described(Struct):
    """The metadata that vary between stores of one layout: descriptions, the width of activations, rows of a chunk of steps."""

    attributes: _About
    data_type: Literal["float32", "float64", "int64"]
    chunk_grid: _Grid


class _Consolidated(Struct):
    metadata: dict[str, dict[str, Any]]


class _Root(Struct):
    attributes: dict[str, Text | int]
    consolidated_metadata: _Consolidated


@dataclass(frozen=True)
class Metadata:
    """The metadata of a whole store, from its root; not yet compared with the run's description."""

    file: object
    attributes: dict[str, str | int]
    described: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, content: bytes, file: object) -> Metadata:
        root = documents.decode(content, _Root, file, RunError)
        return cls(file, root.attributes, root.consolidated_metadata.metadata)

    def dtype(self, *names: str) -> str:
        """The dtype of the first of these arrays that exists."""
        name = next((name for name in names if name in self.described), names[0])
        return self._of(name).data_type

    def arrays(self, groups: Groups) -> dict[str, Array]:
        """Its arrays, which must be those of ``groups`` as `create` describes them; otherwise a RunError names the file and the array."""
        expected = dict(named(groups))
        found = {}
        for name in self.described:
            if name in expected:
                found[name] = self._array(name, expected[name])
            elif name not in groups:
                raise RunError(f"{self.file} has an array {name!r}, which this run's log does not have")
        missing = next((name for name in expected if name not in found), None)
        if missing:
            raise RunError(f"{self.file} lacks the array {missing!r}")
        return found

    def _of(self, name: str) -> _Described:
        return documents.convert(self.described.get(name), _Described, f"{self.file}: array {name!r}", RunError)

    def _array(self, name: str, spec: ArraySpec) -> Array:
        about = self._of(name)
        spec = replace(spec, about=about.attributes.long_name, units=about.attributes.units)
        lengths = chunks(spec)
        if not spec.whole and spec.dims[0] == "step":
            rows = about.chunk_grid.configuration.chunk_shape[0]
            lengths = (min(max(1, rows), max(1, spec.shape[0])), *lengths[1:])
        array = Array(name, spec, lengths)
        wrong = [key for key, value in _metadata(array).items() if self.described[name].get(key) != value]
        if wrong:
            raise RunError(f"{self.file} does not describe the array {name!r} as this run does: {', '.join(wrong)}")
        return array


def _metadata(array: Array) -> dict[str, Any]:
    """The metadata that zarr writes for an array made by `create`."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [*array.spec.shape],
        "data_type": array.spec.dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*array.chunks]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
        "fill_value": "NaN" if array.dtype.kind == "f" else -1,
        "codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            {"name": "zstd", "configuration": {"level": LEVEL, "checksum": True}},
        ],
        "dimension_names": [*array.spec.dims],
    }
