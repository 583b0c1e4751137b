"""The gate for documents: what fits a schema passes, anything else is one error that names the file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neural_microscope import documents
from neural_microscope.errors import FileError, RunError


class Card(msgspec.Struct, forbid_unknown_fields=True):
    title: documents.Text
    classes: Annotated[int, msgspec.Meta(ge=2, le=1000)]


def test_a_document_that_fits_is_read(tmp_path: Path) -> None:
    (tmp_path / "card.json").write_text('{"title": "ten digits", "classes": 10}', "utf-8")
    assert documents.read(tmp_path / "card.json", Card, RunError) == Card("ten digits", 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "truncated"),
        (b"\xff", "malformed"),
        (b'{"title": "\xff", "classes": 10}', ""),
        (b"[" * 100_000, ""),
        (b'{"title": "x", "classes": 1}', r"\$\.classes"),
        (b'{"title": "x", "classes": 1e400}', ""),
        (b'{"title": "x", "classes": ' + b"9" * 5000 + b"}", ""),
        (b'{"title": "x", "classes": true}', r"\$\.classes"),
        (b'{"title": "x"}', "classes"),
        (b'{"title": "x", "classes": 10, "more": 1}', "more"),
        (b'{"title": "\\ud800", "classes": 10}', ""),
        (b'{"title": "' + b"x" * 70_000 + b'", "classes": 10}', r"\$\.title"),
    ],
)
def test_what_does_not_fit_is_one_error_that_names_file_and_field(content: bytes, words: str) -> None:
    with pytest.raises(RunError, match=rf"^runs/card\.json is not a valid document: .*{words}"):
        documents.decode(content, Card, "runs/card.json", RunError)


@pytest.mark.parametrize("change", [{"title": 3}, {"title": "x" * 70_000}, {"classes": "\ud800"}, {"\ud800": 3}])
def test_plain_values_that_do_not_fit_are_one_error_too(change: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"^the card is not a valid document: "):
        documents.convert({"title": "ten digits", "classes": 10, **change}, Card, "the card", RunError)
    assert documents.plain("a\ud800") == "a?"


def test_a_document_is_not_read_beyond_its_bound(tmp_path: Path) -> None:
    with (tmp_path / "endless.json").open("wb") as file:
        os.truncate(file.fileno(), documents.LARGEST + 1)
    with pytest.raises(RunError, match=r"endless\.json has 268,435,457 bytes; at most"):
        documents.read(tmp_path / "endless.json", Card, RunError)


def test_a_link_in_a_documents_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "card.json").symlink_to("/dev/zero")
    with pytest.raises(FileError, match="expected a file, found a link"):
        documents.read(tmp_path / "card.json", Card, RunError, below=tmp_path)


# --- headers of safetensors files -------------------------------------------------------------------------------------------

TENSORS = {
    "weight": torch.arange(6.0).reshape(2, 3),
    "bias": torch.zeros(3, dtype=torch.bfloat16),
    "none": torch.zeros(0, 4, dtype=torch.int64),
    "flag": torch.tensor(True),
}
CONTENT = safetensors.torch.save(TENSORS, {"about": "a test"})
LENGTH = int.from_bytes(CONTENT[:8], "little")
HEADER = json.loads(CONTENT[8 : 8 + LENGTH])


def with_header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text + CONTENT[8 + LENGTH :]


def test_the_header_says_what_the_file_holds(tmp_path: Path) -> None:
    found = documents.header(CONTENT, "x", RunError)
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {n: t.shape for n, t in TENSORS.items()}
    assert found.metadata == {"about": "a test"}
    (tmp_path / "x").write_bytes(CONTENT)
    with (tmp_path / "x").open("rb") as file:
        assert documents.header(file, "x", RunError) == found


def test_every_dtype_that_torch_saves_and_the_gate_knows_has_its_size() -> None:
    names = "bool uint8 int8 float8_e4m3fn float8_e5m2 uint16 int16 float16 bfloat16 uint32 int32 float32 uint64 int64 float64 complex64"
    dtypes = [getattr(torch, name) for name in names.split()]
    content = safetensors.torch.save({str(dtype): torch.zeros(3, dtype=dtype) for dtype in dtypes})
    assert len(documents.header(content, "x", RunError).tensors) == len(dtypes)


def entries(**change: Any) -> bytes:
    return with_header(json.dumps({**HEADER, "weight": {**HEADER["weight"], **change}}).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        CONTENT[:100],
        CONTENT[:-1],
        CONTENT + b"x",
        (1 << 62).to_bytes(8, "little") + CONTENT[8:],
        with_header(b"[]"),
        with_header(b"{}"),
        with_header(b'{"weight": 3}'),
        with_header(b'{"__metadata__": {"about": 3}}'),
        entries(dtype="F33"),
        entries(shape=[1 << 62, 1 << 62]),
        entries(shape=[-2, -3]),
        entries(shape=[0, 1 << 39, 1 << 39]),
        entries(data_offsets=[0, 0]),
        entries(data_offsets=[0]),
        entries(data_offsets=[1 << 39, (1 << 39) + 24]),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(content: bytes) -> None:
    with pytest.raises(RunError, match=r"runs/x\.safetensors"):
        documents.header(content, "runs/x.safetensors", RunError)


value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["F32", "BF16", "I64", "BOOL", ""]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["dtype", "shape", "x"]), inner),
)
change = st.tuples(
    st.sampled_from([*HEADER, "new"]), st.sampled_from(["dtype", "shape", "data_offsets", "", "x"]), value
)


@settings(max_examples=300, deadline=None)
@given(changes=st.lists(change, max_size=3), cut=st.integers(0, 12))
def test_a_header_that_passes_can_be_loaded(changes: list[tuple[str, str, Any]], cut: int) -> None:
    about: dict[str, Any] = json.loads(json.dumps(HEADER))
    for name, key, new in changes:
        if key and isinstance(about.get(name), dict):
            about[name][key] = new
        else:
            about[name] = new
    content = with_header(json.dumps(about).encode())
    content = content[: len(content) - cut]
    try:
        found = documents.header(content, "x.safetensors", RunError)
    except RunError as error:
        assert "x.safetensors" in str(error)  # noqa: PT017
        return
    assert safetensors.torch.load(content).keys() == found.tensors.keys()
