"""The documentation site: what its pages show runs, each page can be found, and it is built without a warning or a network."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import distributed
import pytest

from neural_microscope.measure import MEASURES

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [DOCS / "start.md", *sorted(DOCS.glob("how-to/*.md")), *sorted(DOCS.glob("concepts/*.md"))]
LONG = {"calibrate", "other-seeds"}
"""Pages whose Python takes seconds, and whose calls other tests make in small."""
TRIED = [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in LONG)) for p in PAGES if p.stem != "index"]
PYTHON = re.compile(r"^```python\n(.*?)^```", re.M | re.S)


def name(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


@pytest.mark.usefixtures("looked_once", "undrawn")
@pytest.mark.parametrize("page", TRIED, ids=name)
def test_the_python_of_a_page_runs_top_to_bottom(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of a sweep are threads here, which start at once; the next test has them as the page says."""
    here = distributed.LocalCluster
    monkeypatch.setattr(distributed, "LocalCluster", lambda **how: here(**{**how, "processes": False}))
    run_python_of(page, tmp_path, monkeypatch)


@pytest.mark.slow
def test_the_python_about_sweeps_runs_with_workers_that_are_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_python_of(DOCS / "how-to" / "sweep.md", tmp_path, monkeypatch)


def run_python_of(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NEURAL_MICROSCOPE_DATA", raising=False)  # MNIST would have to be downloaded
    text = page.read_text("utf-8")
    blocks = list(PYTHON.finditer(text))
    assert blocks
    names: dict[str, object] = {}
    registered = dict(MEASURES)
    try:
        for block in blocks:
            lines_before = text[: block.start(1)].count("\n")
            exec(compile("\n" * lines_before + block[1], page, "exec"), names)
    finally:  # a measure of the page's own
        MEASURES.clear()
        MEASURES.update(registered)


def in_toctrees(page: Path) -> set[Path]:
    """The pages that a page's toctrees name."""
    found: set[Path] = set()
    for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        entries = [line for line in block.splitlines() if line and not line.startswith(":")]
        found.update(path.resolve() for entry in entries for path in page.parent.glob(f"{entry}.md"))
    return found


def test_every_page_is_in_a_table_of_contents() -> None:
    reached, ahead = set(), {(DOCS / "index.md").resolve()}
    while ahead:
        page = ahead.pop()
        reached.add(page)
        ahead |= in_toctrees(page) - reached
    pages = {
        page.resolve() for page in DOCS.rglob("*.md") if not {"_build", "notebooks"} & {*page.relative_to(DOCS).parts}
    }
    assert {name(page) for page in pages - reached} == set()


def test_every_picture_of_a_concept_has_the_words_it_was_drawn_with() -> None:
    drawn = json.loads((DOCS / "images" / "concepts" / "alt.json").read_text("utf-8"))
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("concepts/*.md"))
    shown = {picture: alt for alt, picture in re.findall(r"!\[(.*?)\]\(\.\./images/concepts/(.*?)\.png\)", pages)}
    assert shown == drawn
    assert {path.stem for path in (DOCS / "images" / "concepts").glob("*.png")} == {*drawn}


@pytest.mark.parametrize("picture", sorted(DOCS.glob("images/concepts/*.png")), ids=lambda path: path.stem)
def test_a_picture_is_light(picture: Path) -> None:
    assert picture.stat().st_size < 120_000


FROM_AFAR = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//""", re.I
)
LINK = re.compile(r"""<link\b[^>]*\bhref=["']?(?:https?:)?//[^>]*>""", re.I)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_needs_no_network(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        *["-W", "--keep-going", "-q", "-b", "html", "-d"],
        tmp_path / "made",
        DOCS,
        tmp_path / "site",
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    pages = [*(tmp_path / "site").rglob("*.html"), *(tmp_path / "site").rglob("*.css")]
    assert len(pages) > 50
    for page in pages:
        text = page.read_text("utf-8")
        assert not FROM_AFAR.search(text), page
        assert not LINK.search(text), page
        assert "&lt;function" not in text, f"{page} shows the value of a name in full"
