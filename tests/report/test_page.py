"""The page holds everything it shows, says what stands behind each picture, and escapes what came from a run."""

from __future__ import annotations

import dataclasses
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import neural_microscope as nm
from neural_microscope.analysis.findings import findings, headlines
from neural_microscope.analysis.look import FirstLook
from neural_microscope.errors import RunError
from neural_microscope.measure import EMPTY_KINDS
from neural_microscope.phantoms import Instrument, calibrate, page_rate
from neural_microscope.report import compose, tables


class Outline(HTMLParser):
    """Checks that tags nest, and gathers what a test asks for."""

    VOID = frozenset({"meta", "img", "source"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def bare(look: FirstLook, **changes: Any) -> FirstLook:
    """The look at a network without hidden layers."""
    kept = {
        name: value for name, value in look.results.items() if not name.startswith(("causal", "geometry", "similarity"))
    }
    none = dict.fromkeys(("causal.cumulative_ablation", "geometry.neural_collapse", "similarity.matrix"))
    return dataclasses.replace(look, layers=(), results={**kept, **none}, **changes)


@pytest.fixture(scope="module")
def outline(page: Path) -> Outline:
    return Outline(page.read_text("utf-8"))


def test_the_page_asks_for_nothing_outside_itself(page: Path, outline: Outline) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(r'(?:src|href|srcset)="(?!data:|#)', text)
    assert [script["type"] for script in outline.all("script")] == ["application/json"], "no script runs"
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)


def test_every_picture_has_words_and_a_caption_and_most_measures_a_table(outline: Outline) -> None:
    figures = outline.all("figure")
    pixels = [image["alt"] or "" for image in outline.all("img")]
    shapes = [drawing["aria-label"] or "" for drawing in outline.all("svg")]
    assert len(pixels) + len(shapes) == len(figures) == len(outline.all("figcaption")) >= 40
    assert all(len(words) > 40 for words in pixels + shapes)
    assert outline.words.count("One seed") == 1
    assert len(outline.all("table")) >= 30


def test_shapes_are_drawn_in_the_pages_own_colours_for_both_themes(page: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page.read_text("utf-8"), re.DOTALL)
    assert len(drawings) > 20
    for drawing in drawings:
        assert "var(--ink)" in drawing
        assert not re.search(r"#(1c1e21|fbfaf7)", drawing, re.IGNORECASE)
        assert "xmlns" not in drawing


def test_every_unit_has_a_row_with_its_verdicts(outline: Outline, looks: list[FirstLook]) -> None:
    rows = [attrs["data-claim"] or "" for attrs in outline.all("tr") if "data-claim" in attrs]
    assert len(rows) == sum(layer.size for look in looks for layer in look.layers)
    assert all("a-unit-matters" in row for row in rows)


@pytest.mark.usefixtures("undrawn")
def test_networks_stand_side_by_side_and_calibration_where_it_is_given(
    outline: Outline, looks: list[FirstLook], tmp_path: Path
) -> None:
    assert "Side by side" in outline.words
    assert "recover a planted truth" not in outline.words
    toy = Instrument("toy", "none", "two", "nothing", lambda seed: (2.0, 2.0), 0.1, lambda seed: False)
    only = [bare(looks[0])]
    words = Outline(
        compose(only, tmp_path / "c.html", calibration=calibrate([toy], empties=3)).read_text("utf-8")
    ).words
    assert "1 of 1 instruments recover a planted truth" in words


@pytest.mark.usefixtures("undrawn")
def test_the_first_screen_says_the_rate_of_pages_with_a_false_claim_where_the_record_holds_pages(
    looks: list[FirstLook], tmp_path: Path
) -> None:
    toy = Instrument("toy", "none", "two", "nothing", lambda seed: (2.0, 2.0), 0.1, lambda seed: False)
    instruments, only = calibrate([toy], empties=3), [bare(looks[0])]
    counted = xr.Dataset(
        {"pages": ("kind", [4, 3, 2, 1]), "pages_false": ("kind", [1, 0, 2, 0])}, {"kind": list(EMPTY_KINDS)}
    )
    record = instruments.merge(counted, combine_attrs="override")

    def first_screen(calibration: xr.Dataset) -> str:
        text = compose(only, tmp_path / "page.html", calibration=calibration).read_text("utf-8")
        return text[text.index("<header>") : text.index("</header>")]

    said = first_screen(record)
    assert page_rate(record).startswith("3 of 10 pages")
    assert f'<li data-claim="calibration/pages-with-a-false-claim"><strong class="sentence">{page_rate(record)}' in said
    assert "calibration/" not in first_screen(instruments), "instruments are no rate of pages"


def test_links_of_the_page_lead_to_headings_of_the_same_words(outline: Outline, page: Path) -> None:
    targets = {attrs.get("id") for _, attrs in outline.tags}
    assert {(link["href"] or "")[1:] for link in outline.all("a")} <= targets
    text = page.read_text("utf-8")
    links = dict(re.findall(r'<a href="#([\w-]+)">(.*?)</a>', text))
    headings = dict(re.findall(r'<h2 id="([\w-]+)">(.*?)</h2>', text))
    assert len(headings) > 4
    assert headings == {key: words for key, words in links.items() if key != "about"}


def test_headlines_stand_on_the_page_those_that_are_shown_first(outline: Outline, looks: list[FirstLook]) -> None:
    first = headlines(findings(looks))
    assert any(c.shown for c in first)
    rest, end = (
        outline.words.index(text) for text in ("What was asked and not shown may still be there", "Accuracy per class")
    )
    for claim in first:
        assert claim.reasons in (outline.words[:rest] if claim.shown else outline.words[rest:end])


def test_findings_of_an_untrained_network_claim_nothing_of_learning(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(model, digits, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "run")])
    look = nm.analysis.look.first_look(nm.Run.open(tmp_path / "run"))
    held = [f.sentence for f in findings(look) if f.shown]
    learning = ("test accuracy", "learning makes", "variability shrinks", "purity rises", "reaches 50% first")
    assert not [text for text in held if any(word in text for word in learning)]


def test_the_calls_that_go_with_findings_run(looks: list[FirstLook]) -> None:
    for finding in findings(looks[0]):
        assert not finding.call or eval(finding.call, {"nm": nm, "run": looks[0].run}) is not None


def test_names_that_hold_html_are_shown_as_text(looks: list[FirstLook], tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)<\u202e\x1b\udcff"  # the last is a byte that is no UTF-8
    shutil.copytree(looks[0].run.folder, folder)
    evil = bare(dataclasses.replace(looks[0], run=nm.Run.open(folder)))
    text = compose([evil, bare(looks[0])], tmp_path / "evil.html").read_text("utf-8")
    assert text.count("<script") == text.count("</script") == 1
    assert "&lt;script&gt;alert(1)&lt;\\u202e\\u001b\\udcff" in text
    assert not set(text) & set("\u202e\x1b\udcff")
    Outline(text)


@pytest.mark.usefixtures("undrawn")
def test_two_runs_of_one_kind_are_told_apart(looks: list[FirstLook], tmp_path: Path) -> None:
    one = bare(looks[0])
    text = compose([one, one], tmp_path / "two.html").read_text("utf-8")
    assert f"MLP ({looks[0].run.folder.name})" in text


def test_the_note_about_the_data_is_loud(looks: list[FirstLook], outline: Outline) -> None:
    note = looks[0].run.description["data"]["note"]
    assert note
    assert note[0].upper() + note[1:] in outline.words
    assert any("loud" in (attrs.get("class") or "") for attrs in outline.all("p"))


def test_cells_print_numbers_for_people() -> None:
    values = (float("nan"), -0.12345, 12345, 12345.6, True, "<b>")
    assert [tables.cell(v) for v in values] == ["–", "−0.123", "12,345", "12,346", "yes", "&lt;b&gt;"]


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="at least one run"):
        nm.report.write([], tmp_path / "x.html")
