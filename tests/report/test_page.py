"""The page holds everything it shows, says what stands behind each picture, and escapes what came from a run."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import neural_microscope as nm
from neural_microscope.analysis.findings import FirstLook, findings
from neural_microscope.errors import RunError
from neural_microscope.report import compose, html


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
        if self.open and self.open[-1] not in ("style",):
            self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def outline(page: Path) -> Outline:
    return Outline(page.read_text("utf-8"))


def test_the_page_asks_for_nothing_outside_itself(page: Path, outline: Outline) -> None:
    text = page.read_text("utf-8")
    assert not re.findall(r'(?:src|href|srcset)="(?!data:|#)', text)
    assert not outline.all("script")
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text)


def test_every_picture_has_words_a_caption_with_n_and_seeds_and_most_a_table(
    outline: Outline, looks: list[FirstLook]
) -> None:
    figures, images = outline.all("figure"), outline.all("img")
    assert len(images) == len(figures) >= 20
    assert all(len(image["alt"] or "") > 40 for image in images)
    assert outline.words.count("one seed: not replicated") >= len(figures)
    n = looks[0].confusion.attrs["n_examples"]
    assert outline.words.count(f"{n:,} probe images") >= 10
    assert len(outline.all("table")) >= 15


def test_links_of_the_page_lead_somewhere_on_it(outline: Outline) -> None:
    targets = {attrs.get("id") for _, attrs in outline.tags}
    assert {(link["href"] or "")[1:] for link in outline.all("a")} <= targets


def test_all_findings_stand_on_the_page_those_that_hold_first(outline: Outline, looks: list[FirstLook]) -> None:
    found = [f for look in looks for f in findings(look)]
    for finding in found:
        assert finding.text in outline.words
    assert any(f.holds for f in found)
    rest = outline.words.index("Looked for and not found")
    assert all((outline.words.index(f.text) < rest) == f.holds for f in found)


def test_findings_of_an_untrained_network_claim_nothing_of_learning(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(model, digits, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "run")])
    look = nm.analysis.findings.first_look(nm.Run.open(tmp_path / "run"))
    reading, _, selective, _ = findings(look)
    assert not reading.holds
    assert not selective.holds


def test_the_calls_that_go_with_findings_run(looks: list[FirstLook]) -> None:
    look = looks[0]
    table, effects = look.layers[0].selectivity, look.layers[0].effects
    for finding in findings(look):
        assert eval(finding.call, {"nm": nm, "run": look.run, "table": table, "effects": effects}) is not None


def test_names_that_hold_html_are_shown_as_text(looks: list[FirstLook], tmp_path: Path) -> None:
    evil = dataclasses.replace(looks[0], name="<script>alert(1)</script>", layers=())
    text = compose([evil], tmp_path / "evil.html").read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    Outline(text)


def test_two_runs_of_one_kind_are_told_apart(looks: list[FirstLook], tmp_path: Path) -> None:
    bare = dataclasses.replace(looks[0], layers=())
    text = compose([bare, bare], tmp_path / "two.html").read_text("utf-8")
    assert f"MLP ({looks[0].run.folder.name})" in text


def test_the_note_about_the_data_is_loud(looks: list[FirstLook], outline: Outline) -> None:
    note = looks[0].run.description["data"]["note"]
    assert note
    assert note in outline.words
    assert any("loud" in (attrs.get("class") or "") for attrs in outline.all("p"))


def test_cells_print_numbers_for_people() -> None:
    assert [html.cell(v) for v in (float("nan"), -0.12345, 12345, True, "<b>")] == [
        "–",
        "−0.123",
        "12,345",
        "yes",
        "&lt;b&gt;",
    ]


def test_numbers_in_prose_have_true_minus_signs_and_no_minus_zero() -> None:
    from neural_microscope.analysis.findings import number

    assert [number(v, 2) for v in (-0.001, -0.456, 0.0, 1.005e3)] == ["0.00", "−0.46", "0.00", "1005.00"]


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="at least one run"):
        nm.report.write([], tmp_path / "x.html")
