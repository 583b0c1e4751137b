"""Every Python block of the README runs; links of the documents lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import neural_microscope as nm
from neural_microscope import analysis
from neural_microscope.analysis.look.untrained import NETWORKS
from neural_microscope.measure import MEASURES, of
from neural_microscope.phantoms import open_record
from neural_microscope.phantoms.calibration import claims
from neural_microscope.statistics import ALPHA

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


@pytest.mark.usefixtures("looked_once", "undrawn")
def test_the_readmes_python_runs_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)
    assert len(blocks) == 1
    exec(blocks[0], {})
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert (tmp_path / "explorer.html").stat().st_size > 100_000
    assert "<svg" in (tmp_path / "units.svg").read_text("utf-8")


def test_the_readmes_numbers_are_the_codes() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert len(readme.split()) <= 1135
    digits = nm.data.load("digits")
    record = open_record()
    rate = claims(record)[0].numbers
    assert len([*ROOT.glob("notebooks/*.ipynb")]) == readme.count(".ipynb)") == 12
    for words in (
        "course of twelve notebooks",
        f"the {len(digits.train) + len(digits.test):,} digits",
        f"{NETWORKS} untrained networks",
        f"at most {ALPHA:.0%} of reports on one network may contain a false claim (in calibration, {rate['false']} of {rate['pages']} did)",
        f"on {record.attrs['n_empty']} data sets with nothing planted",
        f"with {nm.RecordConfig().probe_size:,} images",
    ):
        assert words in readme, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_within_the_project_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text("utf-8")):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_the_tables_of_the_calibration_are_the_records() -> None:
    page = (ROOT / "docs" / "how-to" / "calibrate.md").read_text("utf-8")
    assert runpy.run_path(str(ROOT / "docs" / "tables.py"))["calibrated"](page) == page, "run docs/tables.py"


def test_the_tables_of_measures_are_the_registers() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    for path in tables["PAGES"]:
        assert tables["filled"](path.read_text("utf-8")) == path.read_text("utf-8"), f"run docs/tables.py: {path.name}"
    page = (ROOT / "docs" / "measures.md").read_text("utf-8")
    concepts = "".join(path.read_text("utf-8") for path in tables["PAGES"])
    assert set(re.findall("<!-- nulls: (.*) -->", concepts)) == set(analysis.__all__) - {
        "findings",
        "look",
        "streaming",
    }
    areas = {area for found in re.findall("<!-- measures: (.*) -->", page) for area in found.split(", ")}
    assert areas | {"streaming"} >= {
        one.area for one in MEASURES.values() if one.function.__module__.startswith("neural_microscope")
    }


def test_every_public_function_of_an_analysis_is_a_measure_of_the_register() -> None:
    for area in (name for name in analysis.__all__ if name not in ("findings", "look")):
        module = getattr(analysis, area)
        public = getattr(module, "__all__", None) or [
            name for name, thing in vars(module).items() if callable(thing) and thing.__module__ == module.__name__
        ]
        for name in public:
            thing = getattr(module, name)
            if not name.startswith("_") and callable(thing) and not isinstance(thing, type):
                assert of(thing).area == area
