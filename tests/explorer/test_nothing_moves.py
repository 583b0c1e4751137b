"""Places on the screen stay where they are: computing, drawing and telling beside them moves and covers nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import FRAME, address, draw, panel
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]

PLACES = """selectors => selectors.map(selector => {
    const {left, top, width, height} = document.querySelector(selector).getBoundingClientRect();
    return [left, top, width, height].map(v => Math.round(10 * v) / 10); })"""
"""Boxes of the first element of each selector."""

COVERED = """part => {
    const {left, right, top, bottom} = part.getBoundingClientRect();
    const places = [left + 4, right - 4].flatMap(x => [top + 4, (top + bottom) / 2, bottom - 4].map(y => [x, y]));
    return places.some(([x, y]) => !part.contains(document.elementFromPoint(x, y))); }"""
"""True if something lies over an element, or the window ends before it."""


def places(tab: Page, *selectors: str) -> list[list[float]]:
    tab.evaluate(FRAME)
    return list(tab.evaluate(PLACES, [*selectors]))


def settled(tab: Page) -> Page:
    tab.locator(".network .cost[data-accuracy]:not([aria-busy])").nth(1).wait_for()
    return tab


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1280, 720), (1024, 768), (900, 760), (360, 740)])
def test_drawing_and_pointing_move_neither_the_pad_nor_what_is_below_it(
    explorer: Path, opened: Opener, width: int, height: int
) -> None:
    tab = settled(opened(explorer, width=width, height=height))
    parts = [".pad", ".pick", "[data-fold=about]", ".network .tiles"]
    parts = parts if width > 46 * 14 else parts[:3]
    before = places(tab, *parts)
    tab.locator(".pick").get_by_role("button", name="Clear").click()
    assert places(tab, *parts) == before
    draw(tab, (0.3, 0.2), (0.3, 0.5), (0.7, 0.5))
    expect(tab.locator(".said")).to_have_text("Your drawing.")
    assert places(tab, *parts) == before
    tab.locator(".flips").first.wait_for(state="attached")
    assert places(tab, *parts) == before
    tab.go_back()
    if width > 46 * 14:
        tab.locator('[data-network="0"] [data-layer="0"] .tile').nth(2).hover()
        expect(tab.locator(".seen figcaption")).to_contain_text("Gradient × pixel")
        assert places(tab, *parts) == before


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (900, 760)])
def test_the_invitation_takes_the_same_few_lines_whatever_it_says(
    explorer: Path, opened: Opener, width: int, height: int
) -> None:
    found = []
    for state in ("", "#c=0.1.3z", "#t=0", "#d="):
        tab = settled(opened(explorer, state, width=width, height=height))
        found.append(places(tab, ".networks", ".invitation"))
    assert found == [found[0]] * len(found)
    assert found[0][1][3] < 90


def test_on_a_phone_an_ablation_moves_no_tile(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, width=360, height=740))
    before = places(tab, ".tiles")[0][1] + tab.evaluate("scrollY")
    best = tab.evaluate(
        """async () => {
        const {lab, evaluators, images} = microscope, {signal} = new AbortController();
        const {best} = await evaluators[0].flips(lab.image(images.opening), lab.models[0].last, signal);
        location.hash = `c=0.${best.layer}.${best.unit}z`; return best; }"""
    )
    assert best
    expect(tab.locator(".network .was").first).to_contain_text("before:")
    settled(tab).locator(".network .chance").first.wait_for()
    assert places(tab, ".tiles")[0][1] + tab.evaluate("scrollY") == before


def test_on_a_phone_the_tabs_are_in_reach_at_the_end_of_the_page(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, width=360, height=740))
    tab.evaluate("scrollTo(0, 99999)")
    tab.evaluate(FRAME)
    assert not tab.get_by_role("tab", name="Map").evaluate(COVERED)
    end = tab.locator(".time").evaluate("time => time.getBoundingClientRect().bottom")
    assert end == pytest.approx(740, abs=1)


@pytest.mark.parametrize("width", [1440, 1024, 900])
def test_no_gloss_is_cut_by_the_tabs_nor_lies_over_the_player(explorer: Path, opened: Opener, width: int) -> None:
    tab = opened(explorer, width=width, height=768)
    tab.locator(".time .term button").first.focus()
    assert not tab.locator(".tip.open").evaluate(COVERED)
    assert not tab.locator(".player .row button").first.evaluate(COVERED)


def test_nothing_overlaps_beside_the_larger_map(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=map&j=12-60", width=360, height=740)
    tab.get_by_role("button", name="Larger").click()
    tab.locator("dialog .chosen").wait_for()
    overlap = tab.evaluate(
        """() => { const all = [...document.querySelectorAll('dialog.map > *')].map(one => [one.getBoundingClientRect(), one.scrollHeight]);
        return all.some(([a, inner], i) => i && a.top < all[i - 1][0].top + all[i - 1][1] - 2); }"""
    )
    assert not overlap


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_whole_confusion_matrix_is_seen_also_with_changes_and_keeps_its_cells(
    explorer: Path, opened: Opener, width: int
) -> None:
    tab = settled(opened(explorer, "#v=confusion", width=width, height=720))
    table = tab.locator(".matrix .scroll").first
    last = ".confusion tbody tr:last-child td:last-child"
    before = places(tab, last)[0]
    tab.evaluate("location.hash = 'v=confusion&c=0.1.3z_0.1.7z_0.1.5z'")
    tab.locator(".confusion small").first.wait_for()
    assert table.evaluate("scroll => scroll.scrollWidth <= scroll.clientWidth")
    after = places(tab, last)[0]
    assert (after[0], after[2], after[3]) == (before[0], before[2], before[3])
    ink = tab.evaluate("getComputedStyle(document.body).color")
    small = tab.locator(".confusion small").first
    assert small.evaluate("one => getComputedStyle(one).color") in (
        ink,
        small.evaluate("one => getComputedStyle(one.closest('td')).color"),
    )


def test_a_chosen_cell_is_answered_in_sight_for_the_first_network(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#v=confusion", width=1280, height=720))
    tab.locator(".confusion").first.get_by_role("button", name="class 4 predicted as 9:").click()
    expect(tab.locator(".learning svg").first).to_be_in_viewport(ratio=1)
    tab = settled(opened(explorer, "#v=confusion&k=4.9", width=1024, height=768))
    first, second = (tab.locator(".matrix").nth(i).bounding_box() for i in range(2))
    assert first
    assert second
    assert first["y"] == second["y"]  # beside each other


def test_edges_without_one_that_stands_out_stay_behind_the_tiles(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.0.3&c=0.0.3z")
    canvas = tab.locator(".network canvas.edges").first
    expect(canvas).to_have_attribute("data-lit", "0")
    assert "lit" not in (canvas.get_attribute("class") or "")


def test_buttons_of_the_player_and_tabs_stay_where_they_are(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#t=2", width=1024, height=768))
    parts = [f".player button:nth-child({i})" for i in range(1, 5)]
    before = places(tab, *parts)
    tab.get_by_role("button", name="Play backward").click()
    tab.get_by_role("button", name="Pause").wait_for()
    assert places(tab, *parts) == before
    tab.get_by_role("button", name="Pause").click()
    across = [place[0] for place in places(tab, "#tab-map", "#tab-python")]
    heights = set()
    for name in ("Map", "Missions", "Set"):
        panel(tab, name)
        assert [place[0] for place in places(tab, "#tab-map", "#tab-python")] == across
        heights.add(places(tab, ".inspector")[0][3])
    assert len(heights) == 1


def test_the_track_of_the_window_that_slides_has_one_length(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#x=1.0.2.0.0")
    slider = tab.get_by_role("dialog").get_by_role("slider")
    before = places(tab, "dialog input[type=range]")
    slider.evaluate("one => { one.value = 300; one.dispatchEvent(new Event('input', {bubbles: true})); }")
    expect(tab.get_by_role("dialog").locator(".slider")).to_contain_text("row 10")
    assert places(tab, "dialog input[type=range]") == before


def test_the_buttons_of_a_card_stay_when_its_unit_is_ablated(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#s=0.1.3"))
    parts = [".card .row button", ".card .step-inside", ".card .actions button", ".card .sliders"]
    before = [place[:2] for place in places(tab, *parts)]
    tab.locator(".card").get_by_role("button", name="Ablate").click()
    tab.locator(".card .effect .chance").wait_for()
    assert [place[:2] for place in places(tab, *parts)] == before


@pytest.mark.parametrize(("width", "height"), [(900, 760), (360, 740)])
@pytest.mark.parametrize("state", ["#s=1.2.3", "#u=1.2.3&v=set"])
def test_the_unit_of_a_link_is_in_sight(explorer: Path, opened: Opener, state: str, width: int, height: int) -> None:
    tab = settled(opened(explorer, state, width=width, height=height))
    tile = tab.locator('[data-network="1"] [data-layer="2"] [data-unit="3"]')
    expect(tile).to_be_in_viewport(ratio=1)
    tab.evaluate(FRAME)
    assert not tile.evaluate(COVERED)


def test_a_card_of_a_network_that_is_not_shown_is_computed(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#n=0&s=1.1.2&c=1.1.2z")
    tab.locator(".card .effect .chance").wait_for()


def test_a_patch_is_told_in_its_field(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=1.2.3&c=1.2.3p7")
    expect(tab.locator(".card").get_by_label("Patch from image")).to_have_value("7")


def test_a_link_that_does_not_fit_is_said_to_be_so_once(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=9.9.9&i=99999")
    told = tab.locator("#app > .told")
    expect(told).to_contain_text("do not fit this page")
    tab.keyboard.press("Shift")
    expect(told).to_be_empty()
    for state in ("", "#s=0.1.3&c=0.1.3z&t=1&i=4", f"#i={tab.evaluate('microscope.images.opening')}"):
        expect(opened(explorer, state).locator("#app > .told")).to_be_empty()


def test_compare_leads_to_the_two_units(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.3&p=0.1.3_1.2.4", width=1280, height=720)
    tab.get_by_role("button", name="Compare", exact=True).click()
    expect(tab.get_by_role("heading", name="Two units side by side")).to_be_in_viewport()
    expect(tab.locator(".compared canvas").first).to_be_in_viewport(ratio=1)


def test_code_is_not_broken_inside_words(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=python&s=0.1.3&c=0.1.3z")
    assert tab.locator(".python pre").evaluate("one => getComputedStyle(one).whiteSpace") == "pre"


def test_taking_units_by_clicks_says_so(explorer: Path, opened: Opener) -> None:
    for width in (1280, 1024):
        tab = settled(opened(explorer, width=width, height=768))
        before = places(tab, ".network .tiles")
        tab.get_by_role("button", name="Select several").click()
        expect(tab.locator(".top .choosing")).to_be_visible()
        assert places(tab, ".network .tiles") == before
        tab.locator(".tile").nth(3).click()
        expect(tab.get_by_role("button", name=re.compile("^Done: 1 unit"))).to_be_visible()
        assert "u=" in address(tab, "u=")


@pytest.mark.parametrize("width", [1440, 1024, 900, 360])
def test_every_gloss_lies_in_the_window_with_all_its_words(explorer: Path, opened: Opener, width: int) -> None:
    tab = opened(explorer, "#s=0.1.3&c=0.1.3z", width=width, height=768)
    expect(tab.locator(".cost .term").first).to_be_attached()
    seen = 0
    for button in tab.locator(".term button").locator("visible=true").all():
        button.focus()
        gloss = tab.locator(".tip.open")
        left, right, inner, outer = gloss.evaluate(
            "tip => { const {left, right} = tip.getBoundingClientRect(); return [left, right, tip.scrollWidth, tip.clientWidth]; }"
        )
        assert left >= 0, button.inner_text()
        assert right <= width, button.inner_text()
        assert inner <= outer, button.inner_text()
        seen += 1
    assert seen > 5
