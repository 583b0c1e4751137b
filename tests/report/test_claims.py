"""Every number and verdict of a page belongs to a claim, whose stored values give its sentence again; pages don't contradict themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from neural_microscope.analysis.look import FirstLook
from neural_microscope.claim import fill
from neural_microscope.report import compose

VOID = ("meta", "img", "source")


class Elements(HTMLParser):
    """Each text with the elements around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.above: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[list[tuple[str, dict[str, str]]], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.above.append((tag, {k: v or "" for k, v in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self.above.pop()

    def handle_data(self, data: str) -> None:
        if self.above:
            self.texts.append(([*self.above], data))


@pytest.fixture(scope="module")
def texts(page: Path) -> list[tuple[list[tuple[str, dict[str, str]]], str]]:
    return Elements(page.read_text("utf-8")).texts


@pytest.fixture(scope="module")
def stored(texts: list[Any]) -> dict[str, dict[str, Any]]:
    (block,) = (text for above, text in texts if above[-1][0] == "script")
    claims = json.loads(block)
    assert len({claim["id"] for claim in claims}) == len(claims), "ids are unique"
    return {claim["id"]: claim for claim in claims}


def named(above: list[tuple[str, dict[str, str]]]) -> list[str]:
    """The claims that the innermost element around a text names."""
    return next((attrs["data-claim"].split() for _, attrs in reversed(above) if "data-claim" in attrs), [])


def classed(above: list[tuple[str, dict[str, str]]], name: str) -> bool:
    return any(name in attrs.get("class", "").split() for _, attrs in above)


def test_every_number_lies_in_an_element_that_names_its_claims(texts: list[Any], stored: dict[str, Any]) -> None:
    wheres = {f"{c['network']} {c['hook_point'].removesuffix('.hook_post')}".strip() for c in stored.values()}
    for above, text in texts:
        tags = [tag for tag, _ in above]
        if "main" not in tags or "script" in tags or any(attrs.get("id") == "about" for _, attrs in above):
            continue
        ids = named(above)
        assert set(ids) <= set(stored), ids
        if re.search(r"\d", text) and not ids:
            assert classed(above, "where"), text
            assert text.strip() in wheres, text


def sentences(texts: list[Any]) -> Iterator[tuple[str, str]]:
    for above, text in texts:
        if above and above[-1][1].get("class") == "sentence":
            (one,) = named(above)
            yield one, text


def test_every_sentence_is_given_again_by_what_is_stored(texts: list[Any], stored: dict[str, Any]) -> None:
    found = list(sentences(texts))
    assert len(found) > 100
    for one, text in found:
        claim = stored[one]
        numbers = {k: float("nan") if v is None else v for k, v in claim["numbers"].items()}
        template = claim["yes"] if claim["shown"] or claim["describes"] else claim["no"]
        said = fill(template, numbers)
        assert said[0].upper() + said[1:] == text


def test_every_sentence_begins_with_a_capital_or_a_number(texts: list[Any], page: Path) -> None:
    assert not [text for _, text in sentences(texts) if text[0].islower()]
    calls = re.findall(r"<li data-claim=[^>]*>[^<]*?: ([^<]*) <code>", page.read_text("utf-8"))
    assert len(calls) > 3
    assert not [text for text in calls if text[0].islower()]


def test_every_verdict_is_that_of_its_claim(texts: list[Any], stored: dict[str, Any]) -> None:
    found = [
        (named(above), text) for above, text in texts if above and "verdict" in above[-1][1].get("class", "").split()
    ]
    assert len(found) > 200
    for ids, text in found:
        assert len(ids) == 1
        assert stored[ids[0]]["verdict"] == text


def test_no_sentence_contradicts_its_numbers_or_makes_a_null_a_claim(texts: list[Any]) -> None:
    words = "\n".join(text for above, text in texts if above and above[-1][0] not in ("style", "script"))
    assert not re.search(r"(rises|raises|falls|increases|shrinks) (the loss )?by −", words)
    assert not re.search(r"\b1 (images|units|channels|seeds|draws|networks)\b", words)
    assert not re.search(r"no (better|worse|different)|is the same|does what|p = 0\.048", words)
    assert words.count("One seed") == 1
    orders = re.findall(r"class \d reaches 50% first", words)
    assert len(set(orders)) <= 2, "one order for each network"


def test_the_same_looks_give_the_same_bytes(looks: list[FirstLook], page: Path, tmp_path: Path) -> None:
    assert compose(looks, tmp_path / "again.html").read_bytes() == page.read_bytes()
