"""make test-corpus: every architecture through every step; the last test writes docs/corpus.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from architectures import Architecture
from corpus_checks import CHECKED_EXACTLY, Row, examined
from corpus_page import PAGE, page
from own_architectures import OWN

from undrawn import draw_nothing, save_nothing

pytestmark = [pytest.mark.corpus, pytest.mark.filterwarnings("default")]  # other packages warn as they like
pytest.importorskip("transformers", reason="make test-corpus has it")
from transformers_architectures import TRANSFORMERS  # noqa: E402

ALL = [*OWN, *TRANSFORMERS]
FIRST = {one.family: one.name for one in reversed(ALL)}
"""The first of each family, whose report has figures."""


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[str, Row]]:
    return {}


@pytest.mark.parametrize("architecture", ALL, ids=[one.name for one in ALL])
def test_architecture(
    architecture: Architecture, rows: dict[str, Row], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FIRST[architecture.family] == architecture.name
    (save_nothing if first else draw_nothing)(monkeypatch)  # figures take most of the time
    row = rows[architecture.name] = examined(architecture, tmp_path / "run")
    assert row.activations
    assert row.ablation
    assert all(getattr(row, step) or step in row.reasons for step in CHECKED_EXACTLY)


def test_the_page_is_written(rows: dict[str, Row]) -> None:
    if len(rows) < len(ALL):
        pytest.skip("only a part of the corpus ran, or some of it failed")
    PAGE.write_text(page([rows[one.name] for one in ALL]), "utf-8")
