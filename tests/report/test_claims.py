"""Every number and verdict of a page belongs to a claim, whose stored values give its text again."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
from elements import Element, Elements, classed, named
from neural_microscope.analysis.findings import findings
from neural_microscope.analysis.look import FirstLook, Pair, pairs
from neural_microscope.claim import Claim
from neural_microscope.glossary import glosses
from neural_microscope.measure import MEASURES, every, rules
from neural_microscope.report import bibtex, compose
from neural_microscope.report.body import WORDS
from neural_microscope.report.cards import LEGEND
from neural_microscope.report.drawing import NULLS
from neural_microscope.report.paper import described
from neural_microscope.report.tables import OF_UNITS
from neural_microscope.wording import fill, probability, significant


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return Elements(page.read_text("utf-8"))


@pytest.fixture(scope="module")
def stored(elements: Elements) -> dict[str, Claim]:
    """The claims as the page's values alone give them."""
    return {key: again(claim) for key, claim in elements.stored.items()}


def again(values: dict[str, Any]) -> Claim:
    given = {one.name: values[one.name] for one in fields(Claim) if one.name in values}
    given["numbers"] = {key: np.nan if value is None else value for key, value in given["numbers"].items()}
    for name in ("p", "corrected", "opposite"):
        given[name] = np.nan if given[name] is None else given[name]
    return Claim(**given | {"seeds": tuple(given["seeds"])})


def seen(elements: Elements) -> Iterator[tuple[list[Element], str]]:
    """The visible text of the whole document, the header before ``main`` and its title too."""
    for above, text in elements.texts:
        if not {"script", "style"} & {tag for tag, _ in above}:
            yield above, text


def inside(above: list[Element], key: str) -> bool:
    return any(attrs.get("id") == key for _, attrs in above)


def numbers(text: str) -> list[str]:
    return re.findall(r"−?\d[\d,.]*", text)


def test_every_number_of_the_document_lies_in_an_element_that_names_its_claims(
    elements: Elements, stored: dict[str, Claim], looks: list[FirstLook]
) -> None:
    """The rest are a layer's name, the stored note, and at the end what the run folders say of themselves."""
    runs = [look.run.description for look in looks]
    told = {f"{d['machine']['processor']}, {d['machine']['cores']} cores" for d in runs}
    told |= {str(d[part]["seed"]) for d in runs for part in ("model", "train")}
    told |= {d["versions"]["torch"] for d in runs} | {str(d["machine"]["threads"]) for d in runs}
    notes = {d["data"]["note"].lower() for d in runs}
    paper = {bibtex(), *glosses(WORDS).values(), *chain(*described(looks, findings(looks)))}
    defined = " ".join([*OF_UNITS.values(), *(inspect.getdoc(one.function) or "" for one in every())])
    version = f"Made by neural-microscope {nm.__version__}."
    parts = set()
    for above, text in seen(elements):
        ids = named(above)
        assert set(ids) <= set(stored), ids
        if not re.search(r"\d", text.replace("layers.0 is the first hidden layer", "")):
            continue
        tag, _ = above[-1]
        if ids:
            parts |= {name for name, _ in above}
        elif classed(above, "where"):
            assert text.strip() in {claim.where for claim in stored.values()}, text
        elif classed(above, "loud"):
            assert text.lower() in notes, text
        elif text in paper:
            assert inside(above, "about")
        elif classed(above, "legend"):
            assert text == LEGEND
        elif classed(above, "lines"):  # what columns hold
            assert {*numbers(text)} <= {*numbers(defined)}, text
        elif tag == "td" and inside(above, "about"):
            assert text in told, text
        else:
            assert inside(above, "about"), (text, above)
            assert text in paper or numbers(text) == numbers(version), text
    assert parts >= {"header", "main", "article", "figcaption", "summary", "caption", "td", "pre", "li"}


def test_every_text_of_a_claim_is_given_again_by_what_is_stored(elements: Elements, stored: dict[str, Claim]) -> None:
    found = list(elements.of_class("sentence"))
    assert len(found) > 100
    for ids, text in found:
        (claim,) = (stored[one] for one in ids)
        template = claim.yes if claim.shown or claim.describes else claim.no
        said = fill(template, claim.numbers)
        assert said[0].upper() + said[1:] == text
    reasons = [(stored[ids[0]], text) for ids, text in elements.of_class("reasons")]
    assert len(reasons) > 30
    for claim, text in reasons:
        least = claim.least  # stored as None where it is infinite or not known
        assert text in {
            Claim(**{**vars(claim), "least": one}).reasons for one in ([np.inf, np.nan] if least is None else [least])
        }, claim.id


def test_every_verdict_is_that_of_its_claim_and_stands_nowhere_else(
    elements: Elements, stored: dict[str, Claim]
) -> None:
    found = list(elements.of_class("verdict"))
    assert len(found) > 200
    for ids, text in found:
        (claim,) = (stored[one] for one in ids)
        corrected = probability(claim.corrected).removeprefix("p ").removeprefix("= ")
        assert text in (claim.verdict, f"{claim.verdict}, {corrected}")  # the row of a unit gives its p
        assert claim.describes or claim.shown == (claim.corrected < 0.05)
    for above, text in seen(elements):
        if text in ("shown", "not shown", "description") and above[-1][0] != "dt":
            assert classed(above, "verdict"), above


def test_the_cells_of_a_units_row_are_given_again_by_its_claims(
    page: Path, stored: dict[str, Claim], looks: list[FirstLook]
) -> None:
    rows = re.findall(r'<tr data-claim="([^"]*)"><th scope="row">(.*?)</th>(.*?)</tr>', page.read_text("utf-8"))
    assert len(rows) == sum(layer.size for look in looks for layer in look.layers)
    by_rule = {rule.name: rule for _, rule in rules()}
    for ids, unit, cells in rows:
        values = re.sub(r"<[^>]*>", "|", cells)
        for claim in (stored[one] for one in ids.split()):
            columns = by_rule[claim.rule].columns
            expected = [fill(one, claim.numbers) for one in columns.values()]
            assert columns
            assert str(claim.unit) == unit
            assert f"|{'||'.join(expected)}||" in values, (claim.id, values)


def test_the_cells_of_a_table_of_results_are_values_of_its_measure(page: Path, looks: list[FirstLook]) -> None:
    """Each number of a cell is one of the measure's, of this network; so are the places that begin a row."""
    ats: dict[str, FirstLook | Pair] = {at.name: at for at in (*looks, *pairs(looks))}
    checked = 0
    for key, section in re.findall(r'<section id="\w+-([\w-]+)">(.*?)</section>', page.read_text("utf-8"), re.S):
        measure = next(one for one in MEASURES.values() if one.name.replace(".", "-") == key)
        for name, table in re.findall(r"<summary>The numbers: (.*?)</summary><pre[^>]*>(.*?)</pre>", section, re.S):
            at = ats[name]
            results = [
                at[f"{measure.name}/{variant}"] for variant, a in measure.asked.items() if a.scope == at.scope == "pair"
            ]
            for place in (at, *getattr(at, "layers", ())):
                results += [one for key, one in place.results.items() if key.split("/")[0] == measure.name]
            known = shown_of(results)
            for line in table.splitlines()[1:]:
                for word in [] if line.endswith(" gives all") else line.split():
                    if re.search(r"\d", word) and not word.startswith("layers."):
                        checked += 1
                        assert word in known, (measure.name, line)
    assert checked > 1000


def shown_of(results: list[Any]) -> set[str]:
    """Every number of these results, as a page prints it; the places along their axes too."""
    found: set[str] = set()
    for result in results:
        if result is None:
            continue
        table = result if isinstance(result, xr.Dataset) else result.to_dataset(name="value")
        found |= {f"{place:,}" for size in table.sizes.values() for place in range(size)}
        for variable in table.variables.values():
            for value in np.unique(variable.values):
                if isinstance(value, np.floating):
                    found.add(significant(round(float(value), 12) + 0.0))
                elif isinstance(value, np.integer):
                    found |= {f"{value:,}", significant(float(value))}
                else:
                    found.add(str(value))
    return found


def test_a_caption_names_the_images_and_the_null_of_its_result(page: Path, looks: list[FirstLook]) -> None:
    captions = 0
    for key, section in re.findall(r'<section id="\w+-([\w-]+)">(.*?)</section>', page.read_text("utf-8"), re.S):
        results = [
            one
            for look in looks
            for place in (look, *look.layers)
            for name, one in place.results.items()
            if name.split("/")[0].replace(".", "-") == key
        ]
        counts = {one.attrs["n_examples"] for one in results if "n_examples" in getattr(one, "attrs", {})}
        nulls = {one.attrs["null"] for one in results if "null" in getattr(one, "attrs", {})}
        for caption in re.findall(r"<figcaption>(.*?)</figcaption>", section):
            assert len(re.findall(r"Null(?: \(gray\))?:", caption)) <= 1, (key, caption)
            for found in re.findall(r"([\d,]+) images?\.$", caption):
                assert int(found.replace(",", "")) in counts, (key, caption)
            for found in re.findall(r".*Null(?: \(gray\))?: (.*?)\.(?: [\d,]+ images?\.)?$", caption):
                captions += 1
                words = found.replace("&#x27;", "'").replace("channel", "unit")  # of which a layer of channels speaks
                assert words in {one.replace("channel", "unit") for one in (*nulls, *NULLS.values())}, (key, caption)
    assert captions > 10


def test_every_sentence_begins_with_a_capital_or_a_number(elements: Elements, page: Path) -> None:
    assert not [text for _, text in elements.of_class("sentence") if text.lstrip("“")[0].islower()]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page.read_text("utf-8"))
    starts = [re.sub(r'^<span class="where">[^<]*:</span> ', "", caption) for caption in captions]
    assert len(starts) > 40
    assert not [text for text in starts if not re.match("[A-Z]", text)]
    assert not [text for above, text in seen(elements) if classed(above, "loud") and text[0].islower()]


@pytest.mark.slow
def test_the_same_looks_give_the_same_bytes(looks: list[FirstLook], page: Path, tmp_path: Path) -> None:
    assert compose(looks, tmp_path / "again.html").read_bytes() == page.read_bytes()
