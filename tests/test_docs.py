"""Every Python block of the README runs; links of the documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from neural_microscope import analysis

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_readmes_python_runs_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert len(blocks) == 3
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert "<svg" in (tmp_path / "neuron.svg").read_text("utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_every_public_measure_has_its_null_in_the_table() -> None:
    page = (ROOT / "docs" / "measures.md").read_text("utf-8")
    measures = [name for name in analysis.__all__ if name not in ("findings", "look")]
    for measure in measures:
        module = getattr(analysis, measure)
        public = getattr(module, "__all__", None) or [
            name for name, thing in vars(module).items() if callable(thing) and thing.__module__ == module.__name__
        ]
        for name in public:
            thing = getattr(module, name)
            if name.startswith("_") or not callable(thing) or isinstance(thing, type):
                continue
            assert f"`{name}`" in page, f"docs/measures.md does not say what the null of {measure}.{name} is"
