"""The log as read by xarray: lazily, each chunk from the file that the commit record names, checked against its hash when read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from .commits import Record
from .log import Array
from .verify import checked

STORE = "log.zarr"


class Recorded(BackendArray):
    """An array of a log up to the recorded part: its first ``rows`` along the first axis."""

    def __init__(self, folder: Path, record: Record, array: Array, rows: int) -> None:
        self.folder, self.record, self.array = folder, record, array
        self.shape = (rows, *array.spec.shape[1:])
        self.dtype = np.dtype(array.spec.dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> np.ndarray:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self.read)

    def read(self, key: tuple[Any, ...]) -> np.ndarray:
        """The values at ``key``: for each axis an integer, a slice or an array of integers."""
        first, *others = key
        wanted = np.arange(self.shape[0])[first]
        rows, length = np.atleast_1d(wanted), self.array.chunks[0]
        values = np.empty((len(rows), *_outer(np.empty((1, *self.shape[1:])), others).shape[1:]), self.dtype)
        for number in np.unique(rows // length).tolist():
            here = rows // length == number
            chunk, within = self._chunk(number), rows[here] - number * length
            whole = np.array_equal(within, np.arange(length))  # indexing would copy it
            values[here] = _outer(chunk if whole else chunk[within], others)
        return values if wanted.ndim else values[0]

    def variable(self, values: Any) -> xr.Variable:
        """These values with the array's axes and attributes."""
        spec = self.array.spec
        return xr.Variable(spec.dims, values, {"long_name": spec.about, "units": spec.units})

    def _chunk(self, number: int) -> np.ndarray:
        path = f"{STORE}/{self.array.path(number)}"
        return self.array.unpacked(checked(self.folder, path, self.record), self.folder / path)


def _outer(values: np.ndarray, keys: Iterable[Any]) -> np.ndarray:
    """``values`` indexed along all axes except the first, each independently."""
    for axis, key in reversed([*enumerate(keys, 1)]):
        values = values[(slice(None),) * axis + (key,)]
    return values


class Backend(BackendEntrypoint):
    """``xarray.open_dataset(folder, engine=Backend, arrays=…)``: from then on xarray's own laziness and caching."""

    def open_dataset(  # type: ignore[override]
        self,
        filename_or_obj: Any,
        *,
        drop_variables: Any = None,
        arrays: Mapping[str, Recorded],
        attributes: Mapping[str, Any],
    ) -> xr.Dataset:
        lazy = {name: one.variable(indexing.LazilyIndexedArray(one)) for name, one in arrays.items()}
        return xr.Dataset(lazy, attrs=attributes)
