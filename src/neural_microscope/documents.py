"""Validation of untrusted documents: schema and bounds, checked before anything is allocated, opened or deleted.

    class Card(msgspec.Struct, forbid_unknown_fields=True):
        title: Text
        classes: Annotated[int, msgspec.Meta(ge=2, le=1000)]

    card = documents.read("card.json", Card, RunError)

Anything invalid is one error of the caller's own type, which names the file and the field.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

from . import files
from .errors import MicroscopeError, reason

T = TypeVar("T")

LARGEST = 1 << 28
"""The most bytes of a JSON document."""
LARGEST_HEADER = 1 << 24
"""The most bytes of the header of a safetensors file."""

_MOST_VALUES = 1 << 40

Text = Annotated[str, Meta(max_length=1 << 16)]
Count = Annotated[int, Meta(ge=0, le=_MOST_VALUES)]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""A SHA-256 in hexadecimal."""
Shape = Annotated[tuple[Count, ...], Meta(max_length=32)]

Dtype = Literal[
    "BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "U16", "I16", "F16", "BF16", "U32", "I32", "F32", "U64", "I64", "F64", "C64"
]  # fmt: skip
"""The dtype of a tensor in a safetensors file, as the format names it."""
_BYTES = dict(zip(get_args(Dtype), [1] * 5 + [2] * 4 + [4] * 3 + [8] * 4, strict=True))


def decode(content: bytes, schema: type[T], name: object, error: type[MicroscopeError]) -> T:
    """The JSON document ``content`` as ``schema``, a type supported by msgspec; ``name`` is the file's name in ``error``."""
    if len(content) > LARGEST:
        raise error(f"{name} has {len(content):,} bytes; at most {LARGEST:,} are allowed")
    try:
        return msgspec.json.decode(content, type=schema)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:  # ValueError: not UTF-8
        raise error(f"{name} is not a valid document: {reason(problem)}") from None


def convert(values: object, schema: type[T], name: object, error: type[MicroscopeError]) -> T:
    """Plain values, as from JSON, as ``schema``."""
    try:
        return msgspec.convert(values, schema)
    except (msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise error(f"{name} is not a valid document: {reason(problem)}") from None


def read(path: str | Path, schema: type[T], error: type[MicroscopeError], below: Path | None = None) -> T:
    """The JSON document at ``path``, a regular file; ``below`` as in `files.opened`, whose errors pass through."""
    with files.opened(path, below) as file:
        return decode(file.read(LARGEST + 1), schema, path, error)


def plain(text: str) -> str:
    """``text`` in a form that `decode` can read: ? for invalid Unicode, such as half a character in the name of a file."""
    return text.encode("utf-8", "replace").decode()


UNSEALED = "0" * 64
"""Placeholder for the SHA-256 of a file that is not sealed yet."""


def sealed(content: bytes) -> bytes:
    """A file's content with its first `UNSEALED` replaced by the SHA-256 of the original content."""
    return content.replace(UNSEALED.encode(), hashlib.sha256(content).hexdigest().encode(), 1)


def check_seal(
    content: bytes, seal: str | None, name: object, error: type[MicroscopeError], required: bool = False
) -> None:
    """Raises ``error`` if ``content`` differs from when it was `sealed`. Files of older releases have no seal (None), unless it is
    ``required``.
    """
    if seal is None and required:
        raise error(f"{name} has changed since it was written: its sha256 is missing")
    if seal is not None:
        before = content.replace(seal.encode(), UNSEALED.encode(), 1)
        if hashlib.sha256(before).hexdigest() != seal:
            raise error(f"{name} has changed since it was written: its SHA-256 does not match")


class Tensor(Struct, frozen=True, forbid_unknown_fields=True):
    """One tensor of a safetensors file, as the file's header describes it."""

    dtype: Dtype
    shape: Shape
    data_offsets: tuple[Count, Count]
    """The first and last byte, counted from the header's end."""


class Header(Struct, frozen=True):
    """The header of a safetensors file, validated."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


def header(source: bytes | BinaryIO, name: object, error: type[MicroscopeError]) -> Header:
    """The header of a safetensors file, from its bytes or the open file; the rest is not read.

    Checked: the header's length, known dtypes, and that the tensors fill the rest of the file without a gap. A valid file can be loaded
    by safetensors, into no more memory than the file has bytes.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(total - 8, LARGEST_HEADER):
        raise error(f"{name} is not a safetensors file: of its {total:,} bytes, {length:,} are declared as its header")
    entries: dict[str, Any] = decode(file.read(length), dict[str, msgspec.Raw], f"the header of {name}", error)
    about = entries.pop("__metadata__", b"{}")
    metadata = decode(bytes(about), dict[str, str], f"the metadata of {name}", error)
    tensors = {key: decode(bytes(raw), Tensor, f"tensor {key!r} of {name}", error) for key, raw in entries.items()}
    end = 0
    for key, tensor in sorted(tensors.items(), key=lambda item: item[1].data_offsets):
        size = math.prod(tensor.shape) * _BYTES[tensor.dtype]
        if math.prod(max(1, n) for n in tensor.shape) > _MOST_VALUES:  # zero bytes if an axis has length 0
            raise error(f"tensor {key!r} of {name} has the shape {list(tensor.shape)}, which is too large")
        if tensor.data_offsets != (end, end + size):
            raise error(
                f"tensor {key!r} of {name} lies at bytes {tensor.data_offsets}; for {tensor.dtype} {list(tensor.shape)} it "
                f"must be {(end, end + size)}"
            )
        end += size
    if end != total - 8 - length:
        raise error(f"{name} holds {total - 8 - length:,} bytes of tensors; its header describes {end:,}")
    return Header(tensors, metadata)
