"""The log: one Zarr v3 store, preallocated, in which no file is ever written twice.

Root group: the ``snapshot`` axis, one chunk a snapshot. Group ``training``: scalars of every step, in chunks of `ROWS` steps that
are written when full. Group ``gradients``: norms at regular intervals of steps, likewise. Absent means NaN (or -1); shapes never
change, so the consolidated metadata is never stale.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs.zstd import Zstd  # type: ignore[import-untyped]
from zarr.codecs import BytesCodec, ZstdCodec

from ..errors import RunError

ROWS = 256
"""Steps in a chunk of the groups ``training`` and ``gradients``."""

LARGEST_CHUNK = 1 << 31
"""The most bytes of a chunk in memory."""

LEVEL = 1


@dataclass(frozen=True)
class ArraySpec:
    """One array of the log: its axes, their lengths, and its description."""

    dims: tuple[str, ...]
    """Names of the axes."""
    shape: tuple[int, ...]
    """Lengths of the axes."""
    about: str
    """The description, in a few words."""
    units: str = "1"
    """The unit of measurement."""
    dtype: str = "float32"
    """The type of a number, by numpy's name."""
    whole: bool = False
    """Written once, at creation, as one chunk."""


Groups = Mapping[str, Mapping[str, ArraySpec]]
"""Every array of a store by its group; ``""`` is the root."""


@dataclass(frozen=True)
class Array:
    """An array of a log: its description, and the lengths of its chunks."""

    name: str
    """Its path in the store."""
    spec: ArraySpec
    chunks: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.spec.dtype).newbyteorder("<")

    @property
    def nbytes(self) -> int:
        """The size of a chunk in memory."""
        return math.prod(self.chunks) * self.dtype.itemsize

    @property
    def absent(self) -> float:
        """The fill value of a chunk with missing rows."""
        return np.nan if self.dtype.kind == "f" else -1

    def path(self, number: int) -> str:
        """The path in the store of chunk ``number`` along the first axis."""
        return "/".join([self.name, ".".join(["c", str(number), *["0"] * (len(self.chunks) - 1)])])

    def packed(self, values: Any) -> bytes:
        """Rows as the bytes of a chunk file, identical to those zarr writes, without its event loop, which takes milliseconds per chunk.

        Missing rows at its end are absent.
        """
        rows = np.asarray(values, self.dtype)
        if rows.shape[1:] != self.chunks[1:] or len(rows) > self.chunks[0]:
            raise ValueError(f"{self.name} takes chunks of {self.chunks}; got {rows.shape}")
        content = np.full(self.chunks, self.absent, self.dtype)
        content[: len(rows)] = rows
        return bytes(_ZSTD.encode(content))

    def unpacked(self, content: bytes, name: object) -> np.ndarray:
        """The values in the bytes of a chunk file. A RunError names a file that is not exactly one chunk of this array."""
        if self.nbytes > LARGEST_CHUNK:
            raise RunError(f"{name} would take {self.nbytes:,} bytes of memory; at most {LARGEST_CHUNK:,} are allowed")
        if _frame(content) != self.nbytes:
            raise RunError(f"{name} is not a chunk of {self.name}, which holds {self.nbytes:,} bytes")
        values = np.empty(self.chunks, self.dtype)
        try:
            _ZSTD.decode(content, values)
        except (RuntimeError, ValueError) as error:
            raise RunError(f"{name} can't be decompressed: {error}") from None
        return values


def create(path: Path, groups: Groups, attrs: Mapping[str, Any]) -> dict[str, Array]:
    """Creates the store with every array at its full size; group ``""`` is the root."""
    arrays = {name: Array(name, spec, chunks(spec)) for name, spec in named(groups)}
    for array in arrays.values():
        if array.nbytes > LARGEST_CHUNK:
            raise RunError(
                f"{array.name} would take {array.nbytes:,} bytes a snapshot; at most {LARGEST_CHUNK:,} are recorded: leave it out "
                "with RecordConfig(hook_points=…), or take a smaller probe_size"
            )
    root = zarr.create_group(store=path, zarr_format=3, attributes=dict(attrs))
    for group in filter(None, groups):
        root.create_group(group)
    for array in arrays.values():
        root.create_array(
            array.name,
            shape=array.spec.shape,
            chunks=array.chunks,
            dtype=array.spec.dtype,
            fill_value=array.absent,
            serializer=BytesCodec(endian="little"),
            compressors=ZstdCodec(level=LEVEL, checksum=True),
            chunk_key_encoding={"name": "default", "separator": "."},  # "/" would create two folders per chunk
            dimension_names=array.spec.dims,
            attributes={"long_name": array.spec.about, "units": array.spec.units},
        )
    with warnings.catch_warnings():  # other readers may not support it, but can read the store without it
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part", UserWarning)
        zarr.consolidate_metadata(path, zarr_format=3)
    return arrays


def named(groups: Groups) -> Iterator[tuple[str, ArraySpec]]:
    """(path in the store, spec) of every array."""
    for group, specs in groups.items():
        yield from ((f"{group}/{name}" if group else name, spec) for name, spec in specs.items())


def chunks(spec: ArraySpec) -> tuple[int, ...]:
    """The lengths of a chunk of such an array."""
    first = spec.shape[0] if spec.whole else {"snapshot": 1, "step": ROWS}.get(spec.dims[0], spec.shape[0])
    return (min(first, max(1, spec.shape[0])), *(max(1, n) for n in spec.shape[1:]))


# --- the bytes of chunks ----------------------------------------------------------------------------------------------------

_ZSTD = Zstd(level=LEVEL, checksum=True)
_NUMBER = Array("", ArraySpec(("snapshot",), (1,), "", dtype="float64"), (1,))


def scalar(content: bytes, name: object) -> float:
    """The number in a chunk file of an array with one number per snapshot, such as test_accuracy."""
    return float(_NUMBER.unpacked(content, name)[0])


def _frame(content: bytes) -> int:
    """The size that a Zstandard frame declares (RFC 8878, 3.1.1.1) in bytes; -1 if it is not a frame that declares it."""
    if content[:4] != b"\x28\xb5\x2f\xfd" or len(content) < 5:
        return -1
    flags = content[4]
    single = flags >> 5 & 1
    start = 5 + (1 - single) + (0, 1, 2, 4)[flags & 3]  # after the window and the dictionary's ID
    length = (single, 2, 4, 8)[flags >> 6]
    return int.from_bytes(content[start : start + length], "little") + 256 * (length == 2) if length else -1
