"""The screen: all that matters stands in one window, the inspector's tabs, the curve that is the slider, and the choice of networks."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_page import FRAME, address, panel, pixels
from playwright.sync_api import Locator, Page, expect

from neural_microscope.explorer.page import front_end

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]


def box(place: Locator) -> dict[str, float]:
    found = place.bounding_box()
    assert found
    return dict(found)


def inside(place: Locator, width: int, height: int) -> None:
    found = box(place)
    assert found["x"] >= 0
    assert found["y"] >= 0
    assert found["x"] + found["width"] <= width, place
    assert found["y"] + found["height"] <= height, place


def test_nothing_essential_lies_below_the_fold_and_networks_run_from_left_to_right(
    explorer: Path, opened: Opener
) -> None:
    for state in ("", "#s=0.1.3&c=0.1.3z"):
        tab = opened(explorer, state, width=1280, height=720)
        tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
        for selector in (
            ".pad",
            ".filter",
            ".tiles",
            ".bars",
            ".verdict",
            ".cost",
            ".plot",
            ".player",
            ".inspector",
        ):
            for place in tab.locator(selector).all():
                inside(place, 1280, 720)
        for key in tab.locator(".reading li").all():
            expect(key).to_be_in_viewport(ratio=1)  # nor is it cut by its column
        inside(tab.get_by_role("button", name="Ablate" if not state else "Restore", exact=False).first, 1280, 720)
        assert tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
            1280,
            720,
        ]
        for network in tab.locator(".network").all():
            ends = 0.0
            for block in [*network.locator(".tiles").all(), network.locator(".bars")]:
                assert box(block)["x"] >= ends + 25, "room for edges"
                ends = box(block)["x"] + box(block)["width"]
        first, second = tab.locator(".network").all()
        assert box(second)["y"] >= box(first)["y"] + box(first)["height"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_focus_does_not_look_like_selection(explorer: Path, opened: Opener, scheme: str) -> None:
    tab = opened(explorer, "#s=0.1.3&u=0.1.3.4", scheme=scheme)
    selected, ink = tab.evaluate(
        "['--selected', '--ink'].map(name => { const one = document.body.appendChild(document.createElement('i')); "
        "one.style.color = `var(${name})`; const {color} = getComputedStyle(one); one.remove(); return color; })"
    )
    assert selected != ink
    for selector in ('[data-unit="4"]', ".step-inside", "[role=tab]", ".pad", "select"):
        part = tab.locator(selector).first
        part.focus()
        tab.keyboard.press("Shift")  # the focus is seen: keys are in use
        outline, gap = part.evaluate(
            "part => { const {outlineColor, outlineStyle, outlineWidth, outlineOffset} = getComputedStyle(part); "
            "return [`${outlineStyle} ${outlineWidth} ${outlineColor}`, parseFloat(outlineOffset)]; }"
        )
        assert outline == f"solid 2px {ink}", selector
        assert gap >= 1, selector  # the ring of what is selected stays to be seen
    ring = tab.locator('.network [data-layer="1"] [data-unit="4"]').first
    assert selected in ring.evaluate("tile => getComputedStyle(tile).boxShadow")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768), (900, 760), (360, 740)])
@pytest.mark.parametrize("state", ["#s=0.0.3", "#u=0.0.3.4&v=set"])
def test_the_result_of_an_ablation_is_seen_without_scrolling(
    explorer: Path, opened: Opener, state: str, width: int, height: int
) -> None:
    tab = opened(explorer, state, width=width, height=height)
    tab.get_by_role("tabpanel").get_by_role("button", name="Ablate").click()
    result = tab.get_by_role("tabpanel").locator(".effect p, .claim p").first
    expect(result).to_be_in_viewport(ratio=1)
    assert tab.locator(".inspector").evaluate("column => column.scrollTop") == 0
    assert tab.evaluate(IN_SIGHT_NOW, result.element_handle())


IN_SIGHT_NOW = """part => {
    const {left, right, top, bottom} = part.getBoundingClientRect();
    return [top + 2, bottom - 2].every(y => part.contains(document.elementFromPoint((left + right) / 2, y))); }"""
"""True if nothing lies over an element."""


def test_what_an_interval_and_a_p_are_is_explained_where_they_first_stand(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#c=0.0.3z")
    line = tab.locator(".network .cost").first
    line.locator(".odds").wait_for()
    for name, gloss in (("±", "Half of the 95% interval over images"), ("p =", "The share of random draws")):
        line.get_by_role("button", name=name).focus()
        expect(line.locator(".tip.open")).to_contain_text(gloss)


@pytest.mark.parametrize("width", [1280, 360])
def test_tiles_are_as_large_as_a_finger(explorer: Path, opened: Opener, width: int) -> None:
    tab = opened(explorer, width=width)
    least = tab.evaluate(
        "Math.min(...[...document.querySelectorAll('.tile')].flatMap(t => [t.offsetWidth, t.offsetHeight]))"
    )
    assert least >= 24


def test_the_tabs_by_keys_by_address_and_by_back(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tabs = tab.get_by_role("tab")
    names = tabs.all_inner_texts()
    assert names == ["Unit", "Set", "Confusion", "Map", "Missions", "Python"]
    tab.get_by_role("tab", name="Unit").focus()
    for key, name in (("ArrowRight", "Set"), ("ArrowRight", "Confusion"), ("End", "Python"), ("ArrowRight", "Unit")):
        tab.keyboard.press(key)
        chosen = tab.get_by_role("tab", name=name)
        expect(chosen).to_be_focused()
        expect(chosen).to_have_attribute("aria-selected", "true")
        expect(tab.get_by_role("tabpanel")).to_have_count(1)
        assert tab.get_by_role("tabpanel").get_attribute("id") == chosen.get_attribute("aria-controls")
        assert [one.get_attribute("tabindex") for one in tabs.all()].count("0") == 1
    panel(tab, "Map")
    address(tab, "v=map")
    panel(tab, "Missions")
    tab.go_back()
    expect(tab.get_by_role("tab", name="Map")).to_have_attribute("aria-selected", "true")
    tab.locator(".network").first.locator('[data-unit="3"]').first.click()
    expect(tab.get_by_role("tab", name="Unit")).to_have_attribute("aria-selected", "true")
    again = opened(explorer, "#v=missions")
    expect(again.get_by_role("tabpanel", name="Missions")).to_be_visible()


def test_the_curve_is_the_slider_by_keys_and_by_drag(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, height=720)
    slider = tab.get_by_role("slider", name="Snapshot of training")
    last = tab.evaluate("microscope.lab.frames - 1")
    steps = tab.evaluate("microscope.models.map(m => m.data.steps)")
    assert tab.get_by_role("slider").count() == 1
    slider.focus()
    for key, frame in (("Home", 0), ("ArrowRight", 1), ("End", last), ("ArrowLeft", last - 1)):
        tab.keyboard.press(key)
        expect(slider).to_have_value(str(frame))
        words = slider.get_attribute("aria-valuetext") or ""
        assert f"MLP step {steps[0][frame]:,}" in words
        expect(tab.locator(".network h2").first).to_contain_text(f"step {steps[0][frame]:,}")
    address(tab, rf"t={last - 1}\b")
    over = box(tab.locator(".u-over"))
    middle = over["y"] + over["height"] / 2
    before = pixels(tab, ".curves canvas")
    tab.mouse.move(over["x"] + over["width"] - 2, middle)
    tab.mouse.down()
    expect(slider).to_have_value(str(last))
    for share in (0.8, 0.6, 0.4, 0.2, 0.0):
        tab.mouse.move(over["x"] + share * over["width"], middle)
        tab.evaluate(FRAME)
    tab.mouse.up()
    expect(slider).to_have_value("0")
    assert (pixels(tab, ".curves canvas") != before).any(), "the line moves"
    tab.keyboard.press("Control+z")  # all of it is one step
    expect(slider).to_have_value(str(last))
    inside(tab.locator(".plot"), 1280, 720)


IN_SIGHT = """part => {
    part.scrollIntoView({block: 'nearest', inline: 'nearest'});
    const {left, right, top, bottom} = part.getBoundingClientRect();
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    return !!hit && (part === hit || part.contains(hit) || hit.contains(part)); }"""
"""True if nothing lies over an element once it is scrolled into sight."""


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1200, 800), (1024, 768), (900, 760), (760, 700)])
def test_the_inspector_covers_none_of_the_networks_and_is_a_sheet_above_time_in_a_narrow_window(
    explorer: Path, opened: Opener, width: int, height: int
) -> None:
    tab = opened(explorer, "#s=1.2.5&c=1.2.5z", width=width, height=height)
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    assert tab.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        width,
        height,
    ]
    inspector, networks, time = (box(tab.locator(part)) for part in (".inspector", ".networks", ".time"))
    if width > 1200:
        assert networks["x"] + networks["width"] <= inspector["x"] + 1
    else:
        assert networks["y"] + networks["height"] <= inspector["y"] + 1
        assert inspector["y"] + inspector["height"] <= time["y"] + 1
        assert inspector["width"] == width
    for selector in (".tiles > :first-child", ".tiles > :last-child", ".bar:first-child", ".bar:last-child", ".cost"):
        for part in tab.locator(f".network {selector}").all():
            assert part.evaluate(IN_SIGHT), selector
    for name in ("Set", "Confusion", "Map", "Missions", "Python", "Unit"):
        inside(panel(tab, name).locator("h2").first, width, height)
    for part in tab.locator(".top button, .top select, .pick button, .player button").all():
        inside(part, width, height)


def test_on_a_phone_the_inspector_is_a_sheet_that_closes_above_the_time_bar(explorer: Path, opened: Opener) -> None:
    width, height = 360, 740
    tab = opened(explorer, width=width, height=height)
    expect(tab.locator(".invitation")).to_be_visible()
    expect(tab.get_by_role("tabpanel")).to_have_count(0)
    for name in ("Confusion", "Map", "Missions", "Python"):
        place = panel(tab, name)
        expect(place).to_be_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") == width, name
        sheet, time = box(tab.locator(".inspector")), box(tab.locator(".plot"))
        inside(tab.locator(".inspector"), width, height)
        assert sheet["height"] > 200
        assert sheet["y"] + sheet["height"] <= time["y"]
        x, y = time["x"] + time["width"] / 2, time["y"] + time["height"] / 2
        assert tab.evaluate("([x, y]) => !!document.elementFromPoint(x, y).closest('.time')", [x, y]), name
    tab.get_by_role("button", name="Close the inspector").click()
    expect(tab.get_by_role("tabpanel")).to_have_count(0)
    panel(tab, "Set")
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("tabpanel")).to_have_count(0)
    assert address(tab) == ""


def test_another_unit_and_another_tab_are_shown_from_their_top(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.3", height=720)
    column = tab.locator(".inspector")

    def scrolled() -> None:
        column.evaluate("column => column.scrollTo(0, 300)")
        assert column.evaluate("column => column.scrollTop") == 300

    scrolled()
    tab.locator('[data-network="0"] [data-layer="1"] [data-unit="4"]').click()
    expect(tab.locator(".card h2")).to_contain_text("unit 4")
    assert column.evaluate("column => column.scrollTop") == 0
    scrolled()
    tab.keyboard.press("Alt")  # the same unit stays where it is
    tab.locator(".left").get_by_role("button", name="Next test image").click()
    tab.evaluate(FRAME)
    assert column.evaluate("column => column.scrollTop") == 300
    panel(tab, "Confusion")
    assert column.evaluate("column => column.scrollTop") == 0


def test_side_by_side_bars_have_numbers_apart(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, width=360, height=740)
    for image in range(0, 300, 60):
        tab.evaluate("image => { location.hash = `#i=${image}`; }", image)
        tab.evaluate(FRAME)
        for bars in tab.locator(".bars").all():
            values = bars.locator(".value").all()
            visible = [one.evaluate("one => getComputedStyle(one).visibility") == "visible" for one in values]
            shares = [float(value.text_content() or "") for value in values]
            assert all(
                (share >= 0.005) if seen else (share <= 0.005) for share, seen in zip(shares, visible, strict=True)
            )
            assert any(visible)
            assert not all(visible)
            text = """one => { const range = document.createRange(); range.selectNodeContents(one);
                const {left, right} = range.getBoundingClientRect(); return [left, right]; }"""
            ends = [value.evaluate(text) for value in values]
            assert all(left > before + 3 for (_, before), (left, _) in itertools.pairwise(ends))


def test_each_network_has_a_line_at_its_own_step(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    slider = tab.get_by_role("slider", name="Snapshot of training")

    def lines() -> int:
        ink = pixels(tab, ".curves canvas").astype(int)
        pink = (abs(ink[..., :3] - [194, 24, 91]).sum(2) < 30) & (ink[..., 3] > 200)
        tall = pink.sum(0) > 0.4 * len(ink)
        return int((tall & ~np.roll(tall, 1)).sum())

    slider.focus()
    tab.keyboard.press("ArrowLeft")
    tab.evaluate(FRAME)
    assert lines() == 1  # both were recorded at the same steps
    tab.evaluate("microscope.models[1].data.steps = microscope.models[1].data.steps.map(step => Math.floor(step / 4))")
    tab.keyboard.press("ArrowLeft")
    tab.evaluate(FRAME)
    assert lines() == 2
    steps = tab.evaluate("microscope.models.map(model => model.data.steps.at(-3))")
    for step in steps:
        expect(tab.locator(".legend")).to_contain_text(f"step {step:,}")


def test_one_network_or_two_are_shown_and_one_has_all_the_room(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.3", height=720)
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    before = box(tab.locator(".network").nth(1))["height"]
    chooser = tab.locator(".chooser select")
    assert chooser.locator("option").all_inner_texts() == ["MLP and CNN", "MLP", "CNN"]
    chooser.select_option("CNN")
    expect(tab.locator(".network")).to_have_count(1)
    expect(tab.locator(".network h2")).to_contain_text("CNN")
    expect(tab.locator(".card")).to_have_count(0)  # its network is not shown
    assert box(tab.locator(".network"))["height"] > 1.8 * before
    assert "MLP" not in tab.locator(".legend").inner_text()
    address(tab, r"n=1\b")
    tab.go_back()
    expect(tab.locator(".network")).to_have_count(2)
    expect(tab.locator(".card h2")).to_contain_text("MLP")
    one = opened(explorer, "#n=0")
    expect(one.locator(".network h2")).to_contain_text("MLP")
    assert "CNN" not in panel(one, "Python").inner_text()


ENDS = """([network, right]) => {
    const {sums, Trace, models, lab} = microscope, model = models[network];
    const trace = new Trace(model, lab.image(lab.images.opening), model.last);
    const section = document.querySelectorAll('.network')[network];
    const origin = section.querySelector('canvas.edges').getBoundingClientRect();
    const labels = section.querySelectorAll('.digit-label');
    const tiles = layer => section.querySelector(`[data-layer="${layer}"]`)?.querySelectorAll('.tile') ?? labels;
    const place = (layer, unit) => tiles(layer)[unit].getBoundingClientRect();
    const blocks = [...section.querySelectorAll('.tiles, .bars')].map(block => block.getBoundingClientRect());
    return sums.edgesOf(trace).flatMap(edges => edges.filter(e => e.link.from >= 0).slice(0, 3).flatMap(({link, source, unit}) => {
        const [a, b, from, to] = [place(link.from, source), place(link.to, unit), blocks[link.from], blocks[link.to]];
        const ahead = link.to === model.data.layers.length ? 5 : 0;
        const ends = right ? [[from.right, a.top, from.right + 4, a.bottom], [to.left - 4 - ahead, b.top, to.left - ahead, b.bottom]]
            : [[a.left, from.bottom, a.right, from.bottom + 4], [b.left, to.top - 4 - ahead, b.right, to.top - ahead]];
        return ends.map(end => end.map((at, i) => Math.round(at - (i % 2 ? origin.top : origin.left)))); })); }"""
"""Boxes in which the strongest edges leave their block and reach the next, at the line of their tile, in pixels of their canvas."""


@pytest.mark.parametrize(("width", "right"), [(1280, True), (360, False)])
def test_edges_run_from_tile_to_tile_to_the_right_or_down(
    explorer: Path, opened: Opener, width: int, right: bool
) -> None:
    tab = opened(explorer, width=width)
    for network in range(2):
        tab.locator(".network").nth(network).locator("canvas.edges[data-edges]").wait_for(state="attached")
        tab.evaluate(FRAME)
        ends = tab.evaluate(ENDS, [network, right])
        assert len(ends) >= 6
        ink = pixels(tab, f"[data-network='{network}'] canvas.edges")[..., 3]
        for left, top, end, bottom in ends:
            assert (ink[top:bottom, left:end] > 20).any(), (network, left, top)


def test_what_is_computed_again_stays_as_dark_as_all_text(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    found: Any = tab.evaluate(
        """async () => {
          for (const one of microscope.evaluators) one.answers = () => new Promise(() => {});
          document.querySelector("[aria-label='Previous snapshot']").click();
          while (!document.querySelector('.cost[aria-busy]')) await new Promise(requestAnimationFrame);
          const style = getComputedStyle(document.querySelector('.cost'));
          return [style.color, style.opacity, getComputedStyle(document.body).color]; }"""
    )
    assert found[0] == found[2]
    assert found[1] == "1"


def test_lines_are_written_so_that_every_browser_draws_them() -> None:
    """WebKit draws no line for a shorthand with two values."""
    _, style = front_end()
    assert "text-decoration-line:underline" in re.sub(r":\s+", ":", style)
    assert not re.search(r"text-decoration:[^;}]*\s", style)


def test_on_paper_there_is_the_view_without_its_buttons(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.3")
    tab.emulate_media(media="print")
    try:
        tab.evaluate(FRAME)
        for selector in (".tabs", ".player", ".filter", ".actions"):
            assert not tab.locator(selector).first.is_visible(), selector
        for selector in (".tiles", ".bars", ".plot", ".card h2"):
            assert tab.locator(selector).first.is_visible(), selector
        assert tab.evaluate("getComputedStyle(document.documentElement).overflow") == "visible"
        assert re.search(
            r"position: static|static", tab.locator(".inspector").evaluate("e => getComputedStyle(e).position")
        )
    finally:
        tab.emulate_media(media="screen")
