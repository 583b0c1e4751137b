"""The log: one Zarr v3 store, preallocated, in which no file is ever written twice.

Root group: the ``snapshot`` axis, one chunk a snapshot. Group ``training``: scalars of every step, in chunks of `ROWS` steps that are written when
full. Group ``gradients``: norms of every so many steps, likewise. Absent means NaN (or -1); shapes never change, so the
consolidated metadata is never stale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

ROWS = 256
"""Steps in a chunk of the groups ``training`` and ``gradients``."""


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
                compressors=ZstdCodec(level=1, checksum=True),
                dimension_names=spec.dims,
                attributes={"long_name": spec.about, "units": spec.units},
            )
    zarr.consolidate_metadata(path, zarr_format=3)


def _chunks(spec: ArraySpec) -> tuple[int, ...]:
    first = spec.shape[0] if spec.whole else {"snapshot": 1, "step": ROWS}.get(spec.dims[0], spec.shape[0])
    return (min(first, max(1, spec.shape[0])), *(max(1, n) for n in spec.shape[1:]))


class LogWriter:
    """Writes whole chunks and says which files they became."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.root = zarr.open_group(path, mode="r+", zarr_format=3, use_consolidated=False)
        self.arrays: dict[str, Any] = {}

    def _array(self, name: str) -> Any:
        if name not in self.arrays:
            # A chunk that holds nothing but the fill value is written too: absence must mean "not recorded".
            self.arrays[name] = self.root[name].with_config({"write_empty_chunks": True})
        return self.arrays[name]

    def write(self, name: str, chunk: int, values: Any) -> str:
        """Writes chunk number ``chunk`` along the first axis; returns its file, relative to the store."""
        array = self._array(name)
        start = chunk * array.chunks[0]
        values = np.asarray(values, array.dtype)
        array[start : start + len(values)] = values
        return "/".join([name, "c", str(chunk), *["0"] * (array.ndim - 1)])
