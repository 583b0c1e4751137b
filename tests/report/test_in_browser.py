"""The page in a real browser, from disk, with networking off."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page

import neural_microscope as nm
from command_line import microscope
from neural_microscope.analysis.look import FirstLook

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
@pytest.mark.parametrize("width", [360, 768, 1100])
def test_the_page_opens_whole_and_fits_its_window(browser: Browser, page: Path, width: int, scheme: str) -> None:
    tab, said = opened(browser, page, width, scheme)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Every picture is there, and is the one for this color scheme.
    assert tab.evaluate("[...document.images].every(i => i.complete && i.naturalWidth >= 150)")
    ground = tab.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    expected = [int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")]
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for kind in (".network img", "img.amount", "img.signed", ".side picture img"):
        seen = Image.open(io.BytesIO(tab.locator(kind).first.screenshot())).convert("RGB").getpixel((3, 3))
        assert isinstance(seen, tuple)
        assert max(abs(a - b) for a, b in zip(seen, expected, strict=True)) <= 2, kind
    tab.context.close()


def test_what_is_wider_than_the_window_says_that_it_scrolls(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 360, "light")
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    wide = "[...document.querySelectorAll('pre, .scroll')].filter(e => e.scrollWidth > e.clientWidth)"
    tab.wait_for_function(f"{wide}.length > 10 && {wide}.every(e => e.matches('[data-wide]'))")
    tab.context.close()


MEASURED = """() => ({
    height: document.documentElement.scrollHeight,
    words: document.body.innerText.split(/\\s+/).filter(one => /\\w/.test(one)).length,
    nodes: document.querySelectorAll("*").length,
    units: document.querySelectorAll("table.units tbody *").length,
    row: document.querySelector("table.units tbody tr").querySelectorAll("*").length + 2 })"""
UNITS = 304
"""Units of the demo's two networks; the nodes of a row of theirs are counted with the link that an explorer gives it."""


def measured(browser: Browser, page: Path) -> dict[str, int]:
    """The size of a closed page, of which height, words and bytes are within their budgets."""
    tab, _ = opened(browser, page, 1300, "light")
    found: dict[str, int] = tab.evaluate(MEASURED)
    tab.context.close()
    assert found["height"] <= 4000
    assert found["words"] <= 1500
    assert page.stat().st_size <= 2e6
    return found


def test_the_closed_page_keeps_to_its_budgets(browser: Browser, page: Path) -> None:
    found = measured(browser, page)
    assert found["nodes"] - found["units"] + UNITS * found["row"] <= 8000


@pytest.fixture
def demo(tmp_path: Path, mnist_folder: Path) -> Path:
    """The folder of a short demo: the one that `.ci/run` has just made, or one that is made here."""
    if "NEURAL_MICROSCOPE_DEMO" in os.environ:
        return Path(os.environ["NEURAL_MICROSCOPE_DEMO"])
    done = microscope("demo", "--short", "--out", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    return tmp_path / "demo"


@pytest.mark.slow
def test_the_demos_page_keeps_to_its_budgets(browser: Browser, demo: Path) -> None:
    assert (demo / "explorer.html").is_file()
    assert measured(browser, demo / "report.html")["nodes"] <= 8000


def test_the_first_screen_holds_each_network_with_its_verdict_and_picture(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 1280, "light")
    ends = tab.locator(".network p, .network img, .trust").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().bottom)"
    )
    assert len(ends) == 5
    assert max(ends) <= 800
    tab.context.close()


def test_in_a_window_of_360_pixels_pictures_are_narrow_ones_and_none_scrolls(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 360, "light")
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    widths = tab.locator("figure").evaluate_all("all => all.map(one => [one.scrollWidth, one.clientWidth])")
    assert all(inside <= outside <= 360 for inside, outside in widths)
    drawn = tab.locator("figure img").evaluate_all("all => all.map(one => one.getAttribute('width') / 104)")
    assert max(drawn[2:]) < 3.5, "inches; the first two have a narrow form of their own"
    assert all(
        "244.8" in one for one in tab.locator(".network img").evaluate_all("all => all.map(one => one.currentSrc)")
    )
    tab.context.close()


def test_a_link_opens_what_it_names_and_the_contents_follow(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 1280, "light")
    tab.evaluate("location.hash = '#selectivity-top_examples'.replace('_', '-')")
    tab.locator("#selectivity-top-examples > details[open]").wait_for()
    assert tab.locator("#selectivity-top-examples h4").is_visible(), "it lies behind the other measures"
    tab.wait_for_function("document.querySelector('nav a[aria-current]')?.hash === '#units'")
    tab.context.close()


def test_units_are_sorted_and_filtered(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 1280, "light")
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    table = tab.locator("table.units").first
    place = table.locator("th.sorts").all_inner_texts().index("AUC") + 1
    assert table.evaluate("one => one.scrollWidth <= one.closest('.scroll').clientWidth"), "no column is cut"
    for down in (True, False):
        table.locator("th.sorts", has_text="AUC").click(position={"x": 1, "y": 1})  # where no word stands
        cells = table.locator(f"tbody td:nth-child({place})").all_inner_texts()
        values = [float(text) for text in cells if text != "–"]
        assert len(values) > 10
        assert values == sorted(values, reverse=down)
    assert table.locator("th[aria-sort=ascending]").inner_text() == "AUC"
    tab.get_by_label("Filter rows").first.fill("7")
    left = table.locator("tbody tr:visible").count()
    assert 0 < left < len(values)
    assert all(
        any(cell.startswith("7") for cell in row.split()) for row in table.locator("tbody tr:visible").all_inner_texts()
    )
    tab.context.close()


def test_all_but_numbers_for_programs_is_printed(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 800, "light")
    tab.emulate_media(media="print")
    seen = "all => all.filter(one => one.checkVisibility({contentVisibilityAuto: true}) && one.offsetHeight).length"
    for what in ("figure", "table.units", ".claims li", "h4"):
        assert tab.locator(what).evaluate_all(seen) == tab.locator(what).count() > 5 - 3 * (what == "table.units")
    assert tab.locator(".numbers pre").evaluate_all(seen) == 0
    tab.context.close()


@pytest.mark.usefixtures("undrawn")
def test_links_open_the_explorer_on_the_unit_and_set_of_a_claim(
    browser: Browser, looks: list[FirstLook], tmp_path: Path
) -> None:
    nm.explorer.write(looks, tmp_path / "explorer.html", snapshots=3)
    report = nm.report.compose(looks, tmp_path / "report.html")
    tab, _ = opened(browser, report, 1280, "light")
    assert tab.get_by_role("link", name="Open the explorer").is_visible()
    found = tab.locator("[data-claim] a[href^='explorer.html#']").evaluate_all(
        "all => all.map(one => [one.getAttribute('href'), one.textContent])"
    )
    links = [link for link, _ in found]
    assert all(("c=" in link) == text.endswith("ablated") for link, text in found)
    assert len(links) > sum(layer.size for look in looks for layer in look.layers)
    unit = next(link for link in links if "#s=1.2." in link)
    for link in {unit, next(one for one in links if "t=" in one), next(one for one in links if "m=" in one)}:
        tab.goto(f"{tmp_path.as_uri()}/{link}")
        tab.locator("html[data-ready]").wait_for(state="attached")
        kept = tab.evaluate("location.hash.slice(1).split('&')")
        assert {*link.partition("#")[2].split("&")} - {"m=0.0.class"} == {*kept}, (
            "the explorer takes every part of the address"
        )
    tab.context.close()


TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
SHORTENED = """() => {
    document.querySelectorAll('tbody tr:nth-child(n + 6)').forEach(row => row.remove());
    [...document.querySelectorAll('svg')].slice(6).forEach(drawing => drawing.replaceChildren()); }"""
"""Every row has the same cells, every drawing the same marks."""


@pytest.mark.parametrize("shortened", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_page_is_accessible_also_with_everything_unfolded(
    browser: Browser, page: Path, scheme: str, shortened: bool
) -> None:
    tab, _ = opened(browser, page, 800, scheme)
    tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    if shortened:
        tab.evaluate(SHORTENED)
    tab.get_by_role("button", name="AUC").first.click()
    tab.get_by_label("only with something shown").first.check()
    tab.context.new_cdp_session(tab).send("Page.setBypassCSP", {"enabled": True})
    for closed in (False, True):
        if closed:
            tab.evaluate("document.querySelectorAll('details').forEach(d => d.open = false)")
        tab.evaluate("scrollTo(0, 0)")  # what the contents lie over can be scrolled to
        result = Axe().run(tab, options=RULES)
        assert result.violations_count == 0, result.generate_report()
    tab.context.close()


def test_tables_unfold_by_keyboard(browser: Browser, page: Path) -> None:
    tab, _ = opened(browser, page, 800, "light")
    tab.locator("summary").first.focus()
    tab.keyboard.press("Enter")
    assert tab.locator("details").first.evaluate("d => d.open")
    tab.context.close()
