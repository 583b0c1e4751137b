"""The page holds everything it shows, says what stands behind each picture, and escapes what came from a run."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.dom import minidom

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
from elements import Elements
from neural_microscope.analysis.findings import bands, findings, headlines, strength, strongest
from neural_microscope.analysis.findings.summary import CHOSEN, UNRANKED
from neural_microscope.analysis.look import FirstLook
from neural_microscope.errors import RunError
from neural_microscope.measure import ALLOWED, DECLARED, EMPTY_KINDS
from neural_microscope.phantoms import Instrument, calibrate, page_rate
from neural_microscope.phantoms.calibration import claims
from neural_microscope.report import cards, compose, paper, tables
from neural_microscope.report.html import slug
from neural_microscope.report.page import short
from neural_microscope.statistics import ALPHA
from neural_microscope.wording import fill, significant


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
    assert "default-src 'none'" in text
    assert not re.search(r"https?://", text.replace("xmlns='http://www.w3.org/2000/svg'", ""))


def test_one_script_runs_and_the_policy_knows_it_by_its_hash(page: Path, outline: Outline) -> None:
    text = page.read_text("utf-8")
    assert [script.get("type") for script in outline.all("script")] == ["application/json", None]
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = [one["content"] for one in outline.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}';" in (policy or "")
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")], "no handlers"


def test_every_picture_has_words_and_a_caption_and_most_measures_a_table(outline: Outline) -> None:
    figures = outline.all("figure")
    words = [image["alt"] or "" for image in outline.all("img")]
    assert len(words) == len(figures) == len(outline.all("figcaption")) >= 40
    assert outline.words.count("One seed") == 1
    assert len(outline.all("pre")) >= 30


def test_the_words_of_a_picture_are_those_of_its_claims(page: Path) -> None:
    """Place, sentence and verdict of each claim that the figure names and no other; then what the picture draws."""
    text = page.read_text("utf-8")
    stored, figures = Elements(text).stored, re.findall(r'<figure data-claim="([^"]*)">.*?alt="([^"]*)">', text, re.S)
    assert len(figures) >= 40
    for ids, alt in figures:
        told = html.unescape(alt)
        for claim in (stored[key] for key in html.unescape(ids).split()):
            sentence = fill(claim["yes"] if claim["shown"] or claim["describes"] else claim["no"], claim["numbers"])
            assert sentence in told
            assert claim["describes"] or f"{sentence} ({claim['verdict']})" in told
    words = re.findall(r'alt="([^"]*)">(?:</picture>)?<figcaption>(.*?)</figcaption>', text)
    assert len({*words}) == len(words) == len(figures), "two pictures of one measure differ in their words"
    assert any("Weights of 16 units as pictures" in alt for alt, _ in words)


def test_shapes_are_drawn_in_the_pages_own_colors_for_both_themes(page: Path) -> None:
    drawings = [unquote(one) for one in re.findall(r'"data:image/svg\+xml,([^"]*)"', page.read_text("utf-8"))]
    assert len(drawings) > 20
    for drawing in drawings:
        assert "var(--ink)" in drawing
        shapes = re.sub(r"<style>.*?</style>", "", drawing)
        assert not re.search(r"#(1c1e21|fbfaf7)|style=", shapes, re.IGNORECASE)
        assert "@media(prefers-color-scheme:dark){:root{--ink:#e8e6e1;" in drawing
        assert minidom.parseString(drawing).documentElement.tagName == "svg"


def test_every_unit_has_a_row_with_its_verdicts(outline: Outline, looks: list[FirstLook]) -> None:
    rows = [attrs["data-claim"] or "" for attrs in outline.all("tr") if "data-claim" in attrs]
    assert len(rows) == sum(layer.size for look in looks for layer in look.layers)
    assert all("a-unit-matters" in row for row in rows)


@pytest.mark.usefixtures("undrawn")
def test_networks_stand_side_by_side_and_calibration_where_it_is_given(
    outline: Outline, looks: list[FirstLook], tmp_path: Path
) -> None:
    assert "Side by side" in outline.words
    assert "recover a planted answer" not in outline.words
    toy = Instrument("toy", "none", "two", "nothing", lambda seed: (2.0, 2.0), 0.1, lambda seed: False)
    only = [bare(looks[0])]
    words = Outline(
        compose(only, tmp_path / "c.html", calibration=calibrate([toy], empties=3)).read_text("utf-8")
    ).words
    assert (
        "1 of 1 instruments (a measure with data whose answer is known), each also tried alone, recover the answer"
        in words
    )
    assert "for all claims about a network together, and" in words


def test_the_error_rates_of_a_page_are_related_in_one_sentence() -> None:
    toy = Instrument("toy", "none", "two", "nothing", lambda seed: (2.0, 2.0), 0.1, lambda seed: False)
    said = claims(calibrate([toy], empties=200), networks=2)[-1].sentence
    assert (DECLARED, ALLOWED) == (ALPHA, 0.09)
    assert said == (
        "The limit is 5% for all claims about a network together (10% for 2 networks), and 5% for each instrument; on 200 data "
        "sets, up to 9% is within chance."
    )


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
        return text[text.index("<header") : text.index("</header>")]

    said = first_screen(record)
    assert page_rate(record).startswith(
        "A check of the method: of 10 trial reports on networks with nothing to find, 3 ("
    )
    assert f'<li data-claim="calibration/pages-with-a-false-claim"><span class="sentence">{page_rate(record)}' in said
    assert "calibration/" not in first_screen(instruments), "instruments are no rate of pages"


def test_the_contents_are_in_order_and_every_heading_has_a_link(outline: Outline, page: Path) -> None:
    ids = [attrs["id"] for _, attrs in outline.tags if "id" in attrs]
    assert len(set(ids)) == len(ids)
    assert {(link["href"] or "")[1:] for link in outline.all("a")} <= {*ids}
    text = page.read_text("utf-8")
    nav = text[text.index("<nav") : text.index("</nav>")]
    contents = re.findall(r'href="#([\w-]+)"', nav)
    assert contents == [key for key in ids if key in contents]
    headings = re.findall(r"<h([2-4])[ >]", text)
    assert {*headings} == {"2", "3", "4"}
    assert text.count('class="deep"') == len(headings), "each has a link of its own"


def test_what_is_strongest_is_told_first_what_was_not_shown_next_and_all_in_the_atlas(
    outline: Outline, looks: list[FirstLook]
) -> None:
    claims = findings(looks)
    starts = ("on cards, the clearest first", "An effect that is not shown", "All questions, all networks")
    first, rest, end = map(outline.words.index, starts)
    assert first < rest < end
    for claim in strongest(claims):
        evidence = fill(claim.evidence, claim.numbers)
        assert evidence in outline.words[first:rest]
        assert claim.reasons.removeprefix(evidence).strip() in outline.words[first:rest]
    for claim in headlines(claims):
        assert claim.reasons in outline.words[end:]
        if claim.unit is None and not claim.shown:
            above = claim.rule in {one.rule for one in strongest(claims)}
            assert claim.reasons in (outline.words[first:rest] if above else outline.words[rest:end])


def test_every_question_with_something_shown_is_a_card_or_linked_above(
    outline: Outline, page: Path, looks: list[FirstLook]
) -> None:
    text = page.read_text("utf-8")
    found = text[text.index('id="found"') : text.index('id="not-shown"')]
    cards = re.findall(r'id="finding-([\w-]+)"', found)
    (intro,) = re.findall(r"<p[^>]*>(Besides test accuracy, .*?)</p>", found)
    linked = re.findall(r'href="#([\w-]+)"', intro)
    counts = [len(cards) + len(linked), len(cards), *[len(linked)] * bool(linked)]
    assert [int(one) for one in re.findall(r"\d+", intro.partition("<a")[0])] == counts
    shown = {slug(c.rule) for c in findings(looks) if c.shown and c.unit is None} - {"the-network-generalizes"}
    assert {*cards, *linked} == shown
    assert not {*cards} & {*linked}
    assert len(cards) + len(linked) == len(shown)
    unit = any(claim.unit is not None for claim in strongest(findings(looks)))
    assert (CHOSEN in found) == unit


@pytest.mark.usefixtures("undrawn")
def test_only_what_any_network_shows_is_called_usual(
    looks: list[FirstLook], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neural_microscope.report.page.strongest", lambda claims: strongest(claims, 1))
    some = list(map(bare, looks))
    text = compose(some, tmp_path / "one.html").read_text("utf-8")
    (intro,) = re.findall(r"<p[^>]*>(Besides test accuracy, .*?)</p>", text)
    ranked, _, usual = intro.partition("usual in any network")
    assert "1 on a card" in ranked
    assert "in the atlas: <a href=" in ranked
    shown = {claim.rule for claim in findings(some) if claim.shown}
    assert re.findall(r'href="#([\w-]+)"', usual) == [slug(rule) for rule in UNRANKED[1:] if rule in shown]


def test_what_no_test_could_show_is_called_not_testable(page: Path, looks: list[FirstLook]) -> None:
    told = {c.id: c for c in findings(looks) if c.unit is None and c.effect == "shown" and not c.shown}
    chips = dict(re.findall(r'<span class="chip" data-claim="([^" ]*)">(.*?)</span></span>', page.read_text("utf-8")))
    assert told
    for claim in told.values():
        assert ("not testable" in chips[claim.id]) == np.isinf(claim.least)
        assert ("none of" in chips[claim.id]) == (not np.isinf(claim.least))
        some = f"none of {claim.numbers['asked']:,}"
        assert [short(dataclasses.replace(claim, least=least)) for least in (np.inf, 0.5)] == ["not testable", some]


def test_the_atlas_names_the_unit_of_a_card_first(page: Path, looks: list[FirstLook]) -> None:
    told = [claim for claim in strongest(findings(looks)) if claim.unit is not None]
    assert told
    for claim in told:
        row = re.split(rf'class="question" id="{slug(claim.rule)}"', page.read_text("utf-8"))[1]
        listed = re.findall(rf'<li data-claim="([^"]*/{claim.axis}-[^"]*)"', row.partition('class="question"')[0])
        assert claim.id in listed
        assert len({*listed}) == len(listed)
        own = [one for one in listed if one.startswith(f"{claim.network}/")]
        assert own[0] == claim.id


def test_the_tracks_of_a_card_have_the_values_of_their_ends(page: Path, looks: list[FirstLook]) -> None:
    """Round numbers, between which the value, its interval and its nulls lie, each at its place; a card of several claims has one
    axis for all.
    """
    stored = {claim.id: claim for claim in findings(looks)}
    text, several = page.read_text("utf-8"), 0
    for article in re.findall(r"<article.*?</article>", text, re.S):
        ends = re.findall(r'class="ends"><span>(.*?)</span><span>(.*?)</span>', article)
        tracked = [
            stored[one] for one in re.findall(r'class="strip(?: short)?(?: plain)?" data-claim="([^" ]*)"', article)
        ]
        drawn = [claim for claim in tracked if bands(claim)]
        assert len({*ends}) == bool(drawn)
        several += len(drawn) > 1
        for said in ends:
            known = [float(c.numbers.get(f"{c.effect}{end}", np.nan)) for c in drawn for end in ("", "_low", "_high")]
            known += [end for c in drawn for pair in bands(c).values() for end in pair]
            low, high = (float(end.replace("−", "-").rstrip("%")) / (100 if "%" in end else 1) for end in said)
            assert low <= np.nanmin(known) <= np.nanmax(known) <= high
            logarithmic = "(logarithmic axis)" in article
            assert all(round_number(end, end if logarithmic else (high - low) / 8) for end in (low, high))
            assert logarithmic == (drawn[0].units == "tr Sw / tr Sb")
            scaled = np.log if logarithmic else float
            places = {float(one) for one in re.findall(r'<b style="left:([\d.]+)%"></b></span>', article)}
            values = {c.numbers[c.effect] for c in drawn}
            expected = [4 + 92 * (scaled(v) - scaled(low)) / (scaled(high) - scaled(low)) for v in values]
            assert sorted(places) == pytest.approx(sorted({round(one, 1) for one in expected}), abs=0.06)
    assert several


def round_number(end: float, least: float) -> bool:
    """A multiple of 1, 2 or 5 times a power of 10 that is at least this."""
    steps = [one * 10.0**power for power in range(-6, 6) for one in (1, 2, 5)]
    return any(step >= least and abs(end / step - round(end / step)) < 1e-6 for step in steps)


def test_the_axis_of_a_ratio_is_logarithmic_and_the_others_are_not() -> None:
    ends = dict(p=0.001, n=100, yes="", no="", evidence="", null="")
    ratio = nm.claim.tested(
        numbers={"r": 0.45, "r_null_low": 2.9, "r_null_high": 63.0}, effect="r", units="tr Sw / tr Sb", **ends
    )
    axis = cards._Axis.of([ratio])
    assert (axis.low, axis.high) == (0.2, 100)
    assert axis.at(np.sqrt(0.2 * 100)) == pytest.approx(0.5)
    for numbers, expected in (
        ({"x": 0.932, "x_null_low": 0.084, "x_null_high": 0.111}, (0, 1)),
        ({"x": -0.018, "x_null_low": -0.079, "x_null_high": 0.045}, (-0.1, 0.05)),
        ({"x": 3.0, "x_null_low": 3.0, "x_null_high": 3.0}, (3, 3.01)),
        ({"x": 0.0, "x_null_low": 0.0, "x_null_high": 0.0}, (0, 0.01)),
        ({"x": 0.01333, "x_null_low": 0.013329, "x_null_high": 0.013331}, (0.0133, 0.0134)),  # no two ends alike
    ):
        axis = cards._Axis.of([nm.claim.tested(numbers=numbers, effect="x", units="1", **ends)])
        assert (axis.low, axis.high) == pytest.approx(expected), numbers


def test_what_lies_beyond_its_band_and_is_not_shown_says_why() -> None:
    """A share of variance in the order of learning: with fewer than two classes learned it has no p."""
    words = dict(n=40, yes="", no="not shown {x:2}.", evidence="", null="shuffled labels")
    alone = nm.claim.tested(numbers={"x": 0.7, "x_null_low": 0.1, "x_null_high": 0.2}, effect="x", p=1.0, **words)
    assert cards._beyond(alone)
    assert not cards._beyond(dataclasses.replace(alone, numbers={**alone.numbers, "x": 0.15}))
    assert not cards._beyond(dataclasses.replace(alone, numbers={"x": 0.7}))
    undefined = dataclasses.replace(alone, numbers={**alone.numbers, "x": np.nan})
    assert not cards._beyond(undefined)
    assert "<b>not defined</b>" in cards._short(undefined, cards._Axis.of([undefined]))


def test_a_card_on_confidence_says_how_confident_the_network_is(page: Path, looks: list[FirstLook]) -> None:
    claims = [c for c in findings(looks) if c.rule == "confidence differs from accuracy"]
    said = {f"{100 * c.numbers['sure']:.1f}%" for c in claims}
    articles = re.findall(r"<article.*?</article>", page.read_text("utf-8"), re.S)
    own = [card for card in articles if "confidence differ from its accuracy" in card]
    assert own
    for card in own:
        strip = card[card.index('class="strip') :].partition("<details")[0]
        assert "mean confidence" in strip
        assert any(one in strip for one in said)
        assert "a calibrated network" in card


def test_a_units_card_says_how_the_unit_was_chosen(page: Path, looks: list[FirstLook]) -> None:
    told = [claim for claim in strongest(findings(looks)) if claim.unit is not None]
    text = page.read_text("utf-8")
    assert told
    for claim in told:
        (card,) = re.findall(rf'<article class="card" data-claim="{re.escape(claim.id)}.*?</article>', text, re.S)
        assert f">Strength {significant(strength(claim))}<" in card
    assert html.escape(CHOSEN) in text[text.index("How strength is measured") : text.index('class="cards"')]


def test_the_first_screen_gives_the_accuracy_and_not_that_it_is_above_chance(page: Path) -> None:
    text = page.read_text("utf-8")
    assert "above chance" not in text[: text.index('id="found"')]
    assert "not shown to be above chance" not in text


def test_methods_are_a_list_a_question_an_item(page: Path, looks: list[FirstLook]) -> None:
    before, questions, after = paper.described(looks, findings(looks))
    text = page.read_text("utf-8")
    items = re.findall(r"<li>(.*?)</li>", text[text.index("Methods and citation") :])
    assert [html.unescape(one) for one in items][: len(before + questions + after)] == [*before, *questions, *after]
    assert len(questions) > 8 < len(items)
    whole = nm.report.methods(looks)
    assert all(one in whole for one in (*before, *questions, *after))


def test_every_column_of_a_table_has_its_meaning(page: Path) -> None:
    text = page.read_text("utf-8")
    every = text[text.index('id="every-unit"') :].partition('class="question"')[0]
    heads = {*re.findall(r'class="sorts">([^<]+)</th>', every)} - {"unit", "channel"}
    (said,) = re.findall(r'class="lines">(.*?)</p>', every, re.S)
    lines = [line.partition(": ")[0].lower() for line in said.split("\n")]
    assert {head.lower() for head in heads} == {*lines}
    row = text[text.index('id="within-class-variability-shrinks"') :].partition('class="question"')[0]
    assert re.search(r'class="lines">[^<]*tr Sw / tr Sb', row)


def test_meanings_are_the_items_about_a_results_own_variables() -> None:
    doc = """A measure.

    Returns:
        Values.

        * ``nc1`` [unit]: the first,
          on two lines (NaN: none), with ``nc1_null_low``, ``…_null_high``, ``…_p``.
        * ``other``: not there.
        * ``score`` [unit].
        * ``whole``: of all units, so not in the table.

    Raises:
        DataError: Never.
    """
    table = xr.Dataset({"nc1": ("unit", [1.0]), "score": ("unit", [1.0]), "whole": 1.0})
    assert tables.meanings(doc, [table]) == ["NC1: the first, on two lines (–: none), with its null, its p."]
    assert tables.meanings("No such part.", [table]) == []


def test_findings_of_an_untrained_network_claim_nothing_of_learning(tmp_path: Path) -> None:
    digits = nm.data.load("digits")
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(16,)))
    nm.train(model, digits, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "run")])
    look = nm.analysis.look.first_look(nm.Run.open(tmp_path / "run"))
    held = [f.sentence for f in findings(look) if f.shown]
    learning = ("test accuracy", "learning makes", "variability shrinks", "purity rises", "class explains")
    assert not [text for text in held if any(word in text for word in learning)]


def test_the_calls_that_go_with_findings_run(looks: list[FirstLook]) -> None:
    calls = {finding.call for finding in findings(looks[0]) if finding.call}
    assert len(calls) > 10
    for call in calls:
        assert eval(call, {"nm": nm, "run": looks[0].run}) is not None, call


def test_names_that_hold_html_are_shown_as_text(looks: list[FirstLook], tmp_path: Path) -> None:
    folder = tmp_path / "<script>alert(1)<\u202e\x1b\udcff"  # the last is a byte that is no UTF-8
    shutil.copytree(looks[0].run.folder, folder)
    evil = bare(dataclasses.replace(looks[0], run=nm.Run.open(folder)))
    text = compose([evil, bare(looks[0])], tmp_path / "evil.html").read_text("utf-8")
    assert text.count("<script") == text.count("</script") == 2
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
    assert [tables.cell(v) for v in values] == ["–", "−0.123", "12,345", "12,346", "yes", "<b>"]
    assert "<td>&lt;b&gt;</td>" in tables.table(["x"], [["<b>"]], "")
    assert tables.aligned(["n", "x", "words"], [["a", 10, "far"]], left={0, 2}) == "n   x  words\na  10  far"
    curve = xr.Dataset(
        {"loss": ("snapshot", [2.0, 1.0])}, {"epoch": ("snapshot", [0.0, 0.5]), "step": ("snapshot", [0, 64])}
    )
    assert tables.of_results({"": curve}, "layer") == "step  loss\n0        2\n64       1"
    flow = xr.Dataset({f"grad_norm{end}": ("bin", [x]) for end, x in (("", 2.0), ("_low", 1.0), ("_high", 3.0))})
    assert "grad norm, 95% interval" in tables.of_results({"": flow}, "layer")
    assert "grad norm, 95% of the steps" in tables.of_results({"": flow}, "layer", "dynamics.gradient_flow")


def test_a_table_of_results_gives_what_has_no_snapshots_once_and_what_has_some_at_the_last() -> None:
    steps = {"step": ("snapshot", [0, 64])}
    basis = xr.Dataset(
        {"score": (("snapshot", "example"), np.zeros((2, 3))), "explained": ("component", [0.5, 0.25])}, steps
    )
    assert tables.of_results({"": basis}, "layer") == "component  explained\n0                0.5\n1               0.25"
    of_units = {
        axis: xr.Dataset({"mean": (("snapshot", axis), np.arange(2 * n).reshape(2, n))}, steps)
        for axis, n in (("channel", 2), ("unit", 9))
    }
    head, *rows, rest = tables.of_results(
        {"layers.0": of_units["channel"], "layers.1": of_units["unit"]}, "layer", "one.two"
    ).split("\n")
    assert head.split() == ["layer", "step", "unit", "or", "channel", "mean"]
    assert [row.split() for row in rows[:4]] == [["layers.0", s, u, m] for s, u, m in ("000", "011")] + [
        ["layers.0", "64", u, m] for u, m in ("02", "13")
    ]
    assert [row.split() for row in rows[4:]] == [["layers.1", "64", str(u), str(9 + u)] for u in range(9)]
    assert rest == "9 more rows; nm.analysis.one.two gives all"
    long = xr.Dataset({"loss": ("snapshot", np.arange(100.0))}, {"step": ("snapshot", np.arange(100))})
    shown = [row.split()[0] for row in tables.of_results({"": long}, "layer").split("\n")[1:-1]]
    assert shown == [str(9 * k) for k in range(12)]
    named = [row.split()[0] for row in tables.of_results({"": long}, "layer", steps={7, 9}).split("\n")[1:-1]]
    assert named == sorted([*shown, "7"], key=int), "a step that a sentence names has its row"


def test_the_columns_of_a_table_of_results_have_names_in_words() -> None:
    table = xr.Dataset(
        {
            "auc": (("layer", "layer_b"), [[0.5, 1e-16]]),
            "auc_null_low": (("layer", "layer_b"), [[-1e-17, 0.1]]),
            "auc_null_high": (("layer", "layer_b"), [[0.2, 999.7]]),
            "cka": (("layer", "layer_b"), [[1.0, 0.3]]),
        },
        {"layer": ["a"], "layer_b": ["a", "b"]},
    )
    text = tables.of_results({"": table}, "layer", "causal.cumulative_ablation")
    assert "with layer" in text
    assert "mean accuracy, null" in text
    assert "AUC, null" in tables.of_results({"": table}, "layer")
    assert text.split("\n")[1].split() == ["a", "a", "0.5", "0", "to", "0.2", "1"]
    assert text.split("\n")[2].split() == ["a", "b", "0", "0.1", "to", "1,000", "0.3"]


def test_the_atlas_and_the_cards_name_the_quantity_of_their_numbers(page: Path) -> None:
    text = page.read_text("utf-8")
    rows = [one for one in re.findall(r'<summary class="row">.*?</summary>', text) if 'class="chip"' in one]
    strips = re.findall(r'<div class="strip" .*?</div>', text)
    assert len(rows) > 5 < len(strips)
    assert all(re.search(r'\? <small class="where">[^<]{3,}</small></h4>', row) for row in rows)
    assert [" at confidence " in row for row in rows] == ["confidence differ" in row for row in rows]
    named = r'"><span class="quantity">[^<]{3,}</span><b>[^<]*\d%?</b>.*<span>[^<]{3,}</span><span class="track">'
    assert all(re.search(named, one) for one in strips)


def test_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="at least one run"):
        nm.report.write([], tmp_path / "x.html")
