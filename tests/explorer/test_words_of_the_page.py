"""Every word on the screen comes from the dictionary: with ``?pseudo`` what it says is in ⟦⟧, and nothing but data is outside."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import FRAME
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]

OUTSIDE = """() => {
    const found = [];
    let open = 0;
    const hear = (text, what) => {
        let own = '';
        for (const letter of text) {
            if (letter === '⟦') open++;
            if (!open) own += letter;
            if (letter === '⟧') { open--; own += ' '; }
        }
        if (/[a-z]/i.test(own)) found.push([own.trim(), what]);
    };
    const NAMES = ['aria-label', 'title', 'alt', 'placeholder', 'aria-valuetext', 'aria-roledescription'];
    const walk = element => {
        if (element.matches('pre, script, style, .tip, .gloss') || !element.checkVisibility()) return;
        for (const node of element.childNodes) {
            if (node.nodeType === Node.TEXT_NODE) hear(node.data, element.tagName + '.' + element.getAttribute('class'));
            else if (node.nodeType === Node.ELEMENT_NODE) walk(node);
        }
    };
    walk(document.body);
    if (open) found.push(['⟦ without ⟧', 'page']);
    for (const element of document.body.querySelectorAll('*'))
        for (const name of NAMES) if (element.hasAttribute(name)) hear(element.getAttribute(name), name);
    hear(document.title, 'document.title');
    return found; }"""
"""[text, where] of every text and label that has letters outside of ⟦⟧; glosses are Python's, and so is the code."""

DATA = """() => {
    const found = new Set();
    const walk = value => {
        if (typeof value === 'string') { if (value.length < 3000) found.add(value).add(value.replace(/\\.hook_(post|out)$/, '')); }
        else if (value && typeof value === 'object') for (const own of Object.values(value)) walk(own);
    };
    const {title, glossary, ...rest} = microscope.page;
    walk(rest); walk(microscope.lab.claims); walk(Object.keys(rest.networks[0].measures));
    return [...found]; }"""
"""Data of the page: names, measures, claims."""


def foreign(tab: Page) -> list[str]:
    """Words on the page that are neither in the dictionary nor data."""
    data = sorted((text for text in tab.evaluate(DATA) if re.search("[A-Za-z]", text)), key=len, reverse=True)
    known = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in data), re.IGNORECASE)
    found = []
    for text, where in tab.evaluate(OUTSIDE):
        rest = known.sub(" ", re.sub(r"\d(\.\d+)?e[-+−]?\d+", " ", text))
        if re.search("[A-Za-z]", rest):
            found.append(f"{where}: {text[:90]}")
    return found


def opened_up(tab: Page) -> Page:
    """With all that folds unfolded."""
    tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    tab.evaluate(FRAME)
    return tab


STATES = {
    "first sight": "",
    "unit, ablated": "#s=0.1.4&c=0.1.4z",
    "channel, all changes": "#s=1.0.2&c=1.0.2c0.5_1.1.1s2_0.0.7p40_0.1.3z",
    "untrained, all snapshots' colors": "#t=0&s=0.0.0&z=all",
    "set": "#u=0.1.3.4_1.0.2&v=set",
    "set, ablated": "#u=0.1.3.4&b=e&c=0.1.3z_0.1.4z&v=set",
    "pins": "#p=0.1.3_1.0.2&s=0.1.3",
    "edge": "#e=0.4.3.2",
    "confusion": "#v=confusion&c=1.2.3z&k=4.9",
    "map, errors": "#m=1.2.error&v=map",
    "python": "#v=python",
    "drawing": "#d=4646466e466y4678-1e1e1e3c",
    "empty pad": "#d=",
    "empty filter": "#f=0&w=1",
    "missions": "#v=missions",
    **{f"mission {i}": f"#q={i}&a={i}.1" for i in range(6)},
    **{f"inside a unit, step {i}": f"#x=0.1.3.{i}.0&c=0.1.3z" for i in range(4)},
    **{f"inside a channel, step {i}": f"#x=1.1.3.{i}.20" for i in range(4)},
    **{f"inside a class, step {i}": f"#x=1.3.3.{i}.0" for i in range(3)},
}


@pytest.mark.parametrize("width", [1280, pytest.param(360, marks=pytest.mark.slow)])
def test_no_word_is_outside_the_dictionary(explorer: Path, opened: Opener, width: int) -> None:
    found: dict[str, list[str]] = {}
    tab = opened(explorer, "?pseudo", width=width, has_touch=True)
    for name, state in STATES.items():
        tab.evaluate("hash => { location.hash = hash; }", state)
        tab.evaluate(FRAME)
        tab.locator("main:not(:has([aria-busy]))").wait_for()
        found[name] = foreign(opened_up(tab))
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_no_word_of_what_opens_by_hand_is_outside_the_dictionary(explorer: Path, opened: Opener) -> None:
    found: dict[str, list[str]] = {}
    tab = opened(explorer, "?pseudo#m=0.1.class")
    tab.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab.locator(".copy button").first.click()
    found["link refused"] = foreign(tab)
    tab.keyboard.press("Escape")
    tab.locator(".map:not([aria-busy]) .scatter").wait_for()
    tab.locator("[aria-haspopup=dialog]", has_text="Larger").click()
    tab.locator("dialog .scatter").hover()
    box = tab.locator("dialog .scatter").bounding_box()
    assert box
    for i, (x, y) in enumerate([(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9)]):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not i:
            tab.mouse.down()
    tab.mouse.up()
    found["larger map with a lasso"] = foreign(tab)
    tab.keyboard.press("Escape")
    tab.keyboard.press("?")
    found["keys"] = foreign(tab)
    tab.keyboard.press("Escape")
    tab.locator(".tile").first.hover()
    found["pointer on a unit"] = foreign(opened_up(tab))
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_a_word_outside_the_dictionary_is_found(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "?pseudo")
    assert foreign(tab) == []
    tab.evaluate("document.querySelector('h1').append(' by hand')")
    tab.evaluate("document.querySelector('.pad').title = 'Draw here'")
    assert foreign(tab) == ["H1.null: by hand", "title: Draw here"]
    plain = opened(explorer)
    expect(plain.locator("body")).not_to_contain_text("⟦")
    assert "⟦" not in plain.title()


def test_tables_and_pictures_are_saved_in_words_of_the_dictionary(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "?pseudo#v=confusion&c=0.1.3z")
    tab.locator(".breakdown").nth(1).wait_for()
    opened_up(tab)
    heads = tab.evaluate(
        """async () => {
            const blobs = [];
            URL.createObjectURL = blob => { blobs.push(blob); return 'blob:none'; };
            HTMLAnchorElement.prototype.click = () => undefined;
            const buttons = [...document.querySelectorAll('.panel:not([hidden]) button')];
            for (const button of buttons.filter(button => button.textContent === '⟦CSV⟧')) button.click();
            return Promise.all(blobs.map(async blob => (await blob.text()).split('\\n')[0])); }"""
    )
    assert len(heads) >= 4
    for head in heads:
        assert all(re.fullmatch(r'"?⟦.*⟧"?', name) for name in head.split(",")), head


def test_explained_terms_are_underlined_in_every_engine(explorer: Path, opened: Opener) -> None:
    """WebKit drops a text-decoration that has a style in it; it knows the style by its own property."""
    style = re.search(r"<style>(.*?)</style>", explorer.read_text("utf-8"), re.DOTALL)
    assert style
    assert not re.search(r"text-decoration:[^;}]*(dotted|dashed|wavy|double)", style[1])
    term = opened(explorer, "#s=0.1.4").locator(".panel .term > button").first
    seen = term.evaluate(
        "term => { const {textDecorationLine: a, textDecorationStyle: b} = getComputedStyle(term); return [a, b]; }"
    )
    assert seen == ["underline", "dotted"]
