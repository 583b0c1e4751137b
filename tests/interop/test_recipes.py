"""The page of recipes runs as it stands, and its table names the versions that ran."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop
ROOT = Path(__file__).parents[2]
TOOLS = (
    "transformer-lens",
    "captum",
    "nnsight",
    "eai-sparsify",
    "onnx",
    "onnxruntime",
    "h5netcdf",
    "scikit-learn",
    "lightning",
    "transformers",
    "tensorboard",
)


@pytest.mark.filterwarnings(
    "ignore:.*LeafSpec:FutureWarning",
    "ignore:Input Tensor:UserWarning",
    "ignore:Module .* has a submodule named:UserWarning",
)
def test_every_recipe_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sparsify", reason="make test-interop has it")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "interop.md").read_text("utf-8"), re.S)
    assert len(blocks) == 13
    (tmp_path / "recipes.py").write_text("\n".join(blocks), "utf-8")  # a file: nnsight reads the source of its traces
    assert runpy.run_path("recipes.py")["score"] > 0.5


@pytest.mark.parametrize("tool", TOOLS)
def test_the_table_names_the_versions_that_run_here(tool: str) -> None:
    pytest.importorskip("sparsify", reason="make test-interop has it")
    page = (ROOT / "docs" / "interop.md").read_text("utf-8")
    assert f"{tool} {version(tool)}" in page, f"{tool} {version(tool)} ran: update the table of interoperability"
