"""The page in a real browser, from disk, with networking off."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser


def opened(browser: Browser, page: Path, width: int, scheme: str) -> tuple[Page, list[str]]:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True)
    tab, said = context.new_page(), []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("requestfailed", lambda request: said.append(request.url[:80]))
    tab.goto(page.as_uri())
    return tab, said


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1100])
def test_the_page_opens_whole_and_fits_its_window(browser: Browser, page: Path, width: int, scheme: str) -> None:
    tab, said = opened(browser, page, width, scheme)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Every picture is there, and is the one for this colour scheme.
    assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 300)")
    ground = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    corner = """i => { const c = document.createElement('canvas'); c.width = c.height = 1;
        const x = c.getContext('2d'); x.drawImage(i, 0, 0); return [...x.getImageData(0, 0, 1, 1).data].slice(0, 3) }"""
    for image in tab.query_selector_all("img")[:3]:
        found = image.evaluate(corner)
        expected = [int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")]
        assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 2
    tab.context.close()


def test_the_layers_at_a_glance_are_seen_whole_in_a_window_of_1100_pixels(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 1100, "light")
    widths = tab.locator("table.glance").evaluate("one => [one.scrollWidth, one.parentElement.clientWidth]")
    assert tab.locator("table.glance thead th").count() == 6
    assert widths[0] <= widths[1]
    tab.context.close()


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
SHORTENED = """() => {
    document.querySelectorAll('tbody tr:nth-child(n + 6)').forEach(row => row.remove());
    [...document.querySelectorAll('svg')].slice(6).forEach(drawing => drawing.replaceChildren()); }"""
"""What stands in one row stands in all, and what is drawn in one drawing is drawn in all."""


@pytest.mark.parametrize("shortened", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_page_is_accessible_also_with_everything_unfolded(
    browser: Browser, page: Path, scheme: str, shortened: bool
) -> None:
    tab, _ = opened(browser, page, 800, scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    if shortened:
        tab.evaluate(SHORTENED)
    tab.context.new_cdp_session(tab).send("Page.setBypassCSP", {"enabled": True})
    result = Axe().run(tab, options=RULES)
    assert result.violations_count == 0, result.generate_report()
    tab.context.close()


def test_tables_unfold_by_keyboard(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 800, "light")
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details").first.evaluate("d => d.open")
    tab.context.close()
