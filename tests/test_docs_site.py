"""The documentation site: what its pages show runs, each page can be found, and it is built without a warning or a network."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import distributed
import pytest

from neural_microscope.measure import MEASURES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
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


CARDS = runpy.run_path(str(DOCS / "cards.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_card_says_what_the_head_of_the_notebook_says(notebook: Path) -> None:
    source = (ROOT / "notebooks" / "sources" / f"{notebook.stem}.py").read_text("utf-8")
    said = " ".join(re.sub(r"(?m)^# ?", "", source).split())
    head = CARDS["head"](notebook)
    assert all(part in said for part in head.values())
    assert re.fullmatch(r"\d+ to read and run, \d+ more for the exercises", head["minutes"])
    card = CARDS["card"](notebook, "")
    for text in (head["title"], head["topic"], f"**Minutes:** {head['minutes']}. **You need:** "):
        assert text in card
    assert not re.search("Colab|Binder", card)
    for target in re.findall(r"\]\((?!notebooks/cards/)(.+?)\)", card):
        assert (ROOT / target).is_file()
    png, words = CARDS["picture"](notebook)
    assert png.startswith(b"\x89PNG")
    assert len(words) > 20


def test_a_card_has_links_that_open_the_notebook_where_the_repository_has_an_address() -> None:
    card = CARDS["card"](NOTEBOOKS[0], "https://github.com/some/body")
    path = "00_MLP_from_scratch_PyTorch.ipynb"
    for kind, folder in (("Notebook", "notebooks"), ("Exercises", "notebooks/exercises")):
        assert (
            f"[{kind} in Colab](https://colab.research.google.com/github/some/body/blob/main/{folder}/{path})" in card
        )
        quoted = f"{folder}/{path}".replace("/", "%2F")
        assert f"[{kind} in Binder](https://mybinder.org/v2/gh/some/body/main?labpath={quoted})" in card


def test_a_notebook_without_a_head_is_refused(tmp_path: Path) -> None:
    (tmp_path / "00.ipynb").write_text(json.dumps({"cells": [{"source": ["# Title\n", "\n", "Text"]}]}), "utf-8")
    with pytest.raises(ValueError, match=r"00\.ipynb: its first cell has no title, topic, minutes"):
        CARDS["head"](tmp_path / "00.ipynb")


class Page(HTMLParser):
    """The links and frames of a page, and the places in it that have a name."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = set()
        self.frames = 0
        self.lost = re.search("404[^<]{0,20}not found", text, re.I) is not None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.targets |= {given[name] for name in ("href", "src") if name in given}
        self.places |= {given[name] for name in ("id", "name") if name in given}
        self.frames += tag in ("iframe", "frame", "object", "embed")


def broken(texts: dict[Path, str]) -> list[str]:
    """Links of pages that lead to no file or no place in a page, frames, and pages that say that something was not found."""
    pages = {path.resolve(): Page(text) for path, text in texts.items()}
    found = []
    for path, page in pages.items():
        for target in sorted(page.targets):
            parts = urlsplit(target)
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if parts.scheme or parts.netloc:
                continue
            if there not in pages:
                found += [f"{path.name}: {target}"] * (not there.is_file())
            elif parts.fragment and unquote(parts.fragment) not in pages[there].places:
                found.append(f"{path.name}: {target}")
        found += [f"{path.name}: a frame"] * page.frames + [f"{path.name}: 404"] * page.lost
    return found


def test_dead_links_and_frames_are_found(tmp_path: Path) -> None:
    (tmp_path / "file.txt").touch()
    text = """<a href="other%20page.html#top">1</a> <a href="#here" id="here">2</a> <a href="https://example.org">3</a>
    <a href="file.txt">4</a> <a href="#no">5</a> <a href="other%20page.html#no">6</a> <img src="no.png"> <iframe src="file.txt"></iframe>"""
    other = "<h1 id='top'>404 : Not Found</h1>"
    assert broken({tmp_path / "page.html": text, tmp_path / "other page.html": other}) == [
        "page.html: #no",
        "page.html: no.png",
        "page.html: other%20page.html#no",
        "page.html: a frame",
        "other page.html: 404",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "notebook", sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_saved_notebook_reads_well_as_nbconvert_shows_it(notebook: Path) -> None:
    from nbconvert import HTMLExporter

    text, _ = HTMLExporter().from_filename(str(notebook))  # type: ignore[no-untyped-call]
    assert broken({notebook.with_suffix(".html"): text}) == []


FROM_AFAR = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//""", re.I
)
LINK = re.compile(r"""<link\b[^>]*\bhref=["']?(?:https?:)?//[^>]*>""", re.I)


@pytest.fixture
def site(shared: Callable[[str, Callable[[Path], object]], Path]) -> dict[Path, str]:
    """The pages of the site."""

    def build(folder: Path) -> None:
        command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
        ended = subprocess.run(
            [*command, "-d", folder / "made", DOCS, folder / "site"], capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr

    return {page: page.read_text("utf-8") for page in sorted((shared("docs", build) / "site").rglob("*.html"))}


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_needs_no_network(site: dict[Path, str]) -> None:
    assert len(site) > 50
    styles = next(iter(site)).parent.rglob("*.css")
    for page, text in (site | {page: page.read_text("utf-8") for page in styles}).items():
        assert not FROM_AFAR.search(text), page
        assert not LINK.search(text), page
        assert "&lt;function" not in text, f"{page} shows the value of a name in full"


@pytest.mark.slow
def test_the_site_has_no_dead_link_and_no_frame(site: dict[Path, str]) -> None:
    assert broken(site) == []


@pytest.mark.slow
def test_the_site_shows_a_card_of_each_notebook(site: dict[Path, str]) -> None:
    (page,) = (page for page in site if page.name == "notebooks.html")
    assert site[page].count('class="card ') == len(NOTEBOOKS)
    targets = Page(site[page]).targets
    for notebook in NOTEBOOKS:
        assert {f"notebooks/{notebook.stem}.html", f"notebooks/exercises/{notebook.stem}.html"} <= targets


@pytest.mark.slow
@pytest.mark.browser
def test_the_site_has_an_explorer_that_opens_with_no_network(site: dict[Path, str], browser: Any) -> None:
    (explorer,) = (page for page in site if page.name == "explorer.html" and page.parent.name != "how-to")
    linked = {page.relative_to(explorer.parent).as_posix() for page, text in site.items() if "explorer.html" in text}
    assert {"index.html", "notebooks.html", "how-to/explorer.html"} <= linked
    tab, wrong = browser.new_context(offline=True).new_page(), list[str]()
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.goto((explorer.parent / "index.html").as_uri())
    tab.get_by_role("link", name="Try it here, in the browser").click()
    tab.get_by_role("heading", name="Ablate a unit", exact=True).wait_for()
    tab.get_by_text("Accuracy on 358 images").first.wait_for()
    assert wrong == []
    tab.context.close()
