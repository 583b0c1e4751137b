"""The harness works: every module gives tables of positive numbers. What they are is `make bench`'s matter, not a test's."""

from __future__ import annotations

import importlib
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
MODULES = [
    "hooks",
    "training",
    "population",
    "influence",
    "causal",
    "measures",
    "analysis",
    "report",
    "curves",
    "explorer",
]
COST = re.compile(r"^n$|range|CPU|, ms|÷|MB")
"""Columns of what is above 0; others may hold a difference."""
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|\b(?:nan|inf)\b")


@pytest.mark.slow
@pytest.mark.browser
def test_the_quick_form_fills_every_table(tmp_path: Path, chromium: str) -> None:
    results, out = ROOT / "benchmarks" / "RESULTS.md", tmp_path / "quick.md"
    before = results.read_bytes()
    command = [sys.executable, "-m", "benchmarks", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    head, *parts = out.read_text("utf-8").split("\n## ")
    assert "quick form" in head
    assert [part.split("\n", 1)[0] for part in parts] == MODULES
    for part in parts:
        found = list(tables(part))
        assert found, part
        for heads, *rows in found:
            check(heads, rows)
    assert results.read_bytes() == before


def tables(part: str) -> Iterator[list[list[str]]]:
    """The cells of each table, its heads first, without the rule under them."""
    for is_table, lines in groupby(part.splitlines(), lambda line: line.startswith("|")):
        if is_table:
            rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
            yield [row for row in rows if set("".join(row)) != {"-"}]


def check(heads: list[str], rows: list[list[str]]) -> None:
    assert rows, f"an empty table: {heads}"
    for row in rows:
        assert len(row) == len(heads), row
        found = []
        for head, cell in list(zip(heads, row, strict=True))[1:]:
            numbers = [float(number.replace(",", "")) for number in NUMBER.findall(cell)]
            found += numbers if head != "aim" else []
            assert all(math.isfinite(number) and (number > 0 or not COST.search(head)) for number in numbers), row
        assert found, f"nothing was measured: {row}"


def test_a_part_takes_its_place_in_the_file_and_names_its_machine_and_software(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)
    harness, form = (importlib.import_module(f"benchmarks.{name}") for name in ("__main__", "timing"))
    out, full, quick = tmp_path / "RESULTS.md", form.Form(quick=False), form.Form(quick=True)
    out.write_text(harness.head(full) + "\n\n## curves\n\nold\n", "utf-8")
    assert list(harness.before(out, full)) == ["", "curves"]
    with pytest.raises(SystemExit, match="is of the full form: measure everything again"):
        harness.before(out, quick)
    for module in harness.MODULES:
        told = harness.measured_on(module)
        assert harness.processor() in told
        assert f"torch {torch.__version__}" in told
        assert ("scikit-learn" in told) == hasattr(module, "peers")
    results = (ROOT / "benchmarks" / "RESULTS.md").read_text("utf-8")
    assert all("\n\nMeasured on 20" in part for part in results.split("\n## ")[1:])
