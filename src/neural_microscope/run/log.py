"""The log: one Zarr v3 store, preallocated, in which no file is ever written twice.

Root group: the ``snapshot`` axis, one chunk a snapshot. Group ``training``: scalars of every step, in chunks of `ROWS` steps that
are written when full. Group ``gradients``: norms of every so many steps, likewise. Absent means NaN (or -1); shapes never
change, so the consolidated metadata is never stale.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]
from zarr.codecs import BytesCodec, ZstdCodec

ROWS = 256
"""Steps in a chunk of the groups ``training`` and ``gradients``."""

_LEVEL = 1


@dataclass(frozen=True)
class ArraySpec:
    """One array of the log: its axes, their lengths, and what it says."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    about: str
    units: str = "1"
    dtype: str = "float32"
    whole: bool = False
    """Written once, at creation, as one chunk."""


def create(path: Path, groups: Mapping[str, Mapping[str, ArraySpec]], attrs: Mapping[str, Any]) -> None:
    """Makes the store with every array at its full size; group ``""`` is the root."""
    root = zarr.create_group(store=path, zarr_format=3, attributes=dict(attrs))
    for group_name, arrays in groups.items():
        group = root.create_group(group_name) if group_name else root
        for name, spec in arrays.items():
            group.create_array(
                name,
                shape=spec.shape,
                chunks=_chunks(spec),
                dtype=spec.dtype,
                fill_value=np.nan if spec.dtype.startswith("float") else -1,
                serializer=BytesCodec(endian="little"),
                compressors=ZstdCodec(level=_LEVEL, checksum=True),
                chunk_key_encoding={"name": "default", "separator": "."},  # "/" would cost two folders a chunk
                dimension_names=spec.dims,
                attributes={"long_name": spec.about, "units": spec.units},
            )
    with warnings.catch_warnings():  # that other readers may not know it: they can read the store without it
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", UserWarning)
        zarr.consolidate_metadata(path, zarr_format=3)


def _chunks(spec: ArraySpec) -> tuple[int, ...]:
    first = spec.shape[0] if spec.whole else {"snapshot": 1, "step": ROWS}.get(spec.dims[0], spec.shape[0])
    return (min(first, max(1, spec.shape[0])), *(max(1, n) for n in spec.shape[1:]))


def scalar(content: bytes) -> float:
    """The number in a chunk file of an array that holds one number a snapshot, such as test_accuracy."""
    return float(np.frombuffer(Zstd().decode(content), "<f8")[0])


class Encoder:
    """Turns values into the bytes of a chunk file, as zarr itself would, without its event loop: that costs milliseconds a chunk."""

    def __init__(self, path: Path) -> None:
        self.root = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
        self.arrays: dict[str, Any] = {}
        self.zstd = Zstd(level=_LEVEL, checksum=True)

    def array(self, name: str) -> Any:
        if name not in self.arrays:
            self.arrays[name] = self.root[name]
        return self.arrays[name]

    def chunk(self, name: str, number: int, values: Any) -> tuple[str, bytes]:
        """(path in the store, content) of chunk ``number`` along the first axis. Rows that are missing at its end are absent."""
        array = self.array(name)
        rows = np.asarray(values, array.dtype.newbyteorder("<"))
        if rows.shape[1:] != array.chunks[1:] or len(rows) > array.chunks[0]:
            raise ValueError(f"{name} takes chunks of {array.chunks}; got {rows.shape}")
        content = np.full(array.chunks, array.fill_value, rows.dtype)
        content[: len(rows)] = rows
        key = ".".join(["c", str(number), *["0"] * (array.ndim - 1)])
        return f"{name}/{key}", bytes(self.zstd.encode(content))
