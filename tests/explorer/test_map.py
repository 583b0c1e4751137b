"""The map of a layer: what the reader zoomed and selected stays, in the inspector and over the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_page import FRAME, address
from playwright.sync_api import Locator, Page, Position, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]


def plotted(tab: Page) -> Locator:
    tab.locator(".map:not([aria-busy]) .scatter").first.wait_for()
    tab.evaluate(FRAME)
    return tab.locator(".scatter")


def box_of(plot: Locator) -> dict[str, Any]:
    box = plot.bounding_box()
    assert box
    return dict(box)


def lasso(tab: Page, *corners: tuple[float, float]) -> None:
    box = box_of(tab.locator(".scatter"))
    for i, (x, y) in enumerate(corners):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not i:
            tab.mouse.down()
    tab.mouse.up()


def test_zoom_and_lasso_survive_snapshots_ablations_and_the_larger_map(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#m=0.1.class")
    plot = plotted(tab)
    all_of_it = tab.get_by_role("button", name="Show all")
    plot.focus()
    tab.keyboard.press("+")
    lasso(tab, (0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98))
    chosen = tab.locator(".chosen strong").inner_text()
    assert 0 < int(chosen.split()[0]) < 300  # zoomed: not all images
    link = address(tab, r"y=.*&j=")
    for state in (f"{link}&t=1", f"{link}&t=1&c=0.1.3z&v=map"):
        tab.evaluate("hash => { location.hash = hash; }", state)
        address(tab, state.split("&")[-1])
        plotted(tab)
        assert all_of_it.is_enabled(), state
        assert tab.locator(".chosen strong").inner_text() == chosen, state
    other = opened(explorer, link)
    plotted(other)
    assert other.locator(".chosen strong").inner_text() == chosen
    assert other.get_by_role("button", name="Show all").is_enabled()
    other.get_by_role("button", name="Show all").click()
    expect(other.get_by_role("button", name="Show all")).to_be_disabled()
    other.go_back()
    expect(other.get_by_role("button", name="Show all")).to_be_enabled()
    small = box_of(plot)["width"]
    tab.get_by_role("button", name="Larger").click()
    large = tab.get_by_role("dialog", name="Map of the images")
    large.wait_for()
    assert box_of(plot)["width"] > 2 * small
    assert all_of_it.is_enabled()
    assert tab.locator(".chosen strong").inner_text() == chosen
    tab.keyboard.press("Escape")
    expect(large).to_have_count(0)
    assert tab.locator(".panel:not([hidden]) .scatter").count() == 1
    assert tab.evaluate("document.activeElement.innerText") == "Larger"
    plot.focus()
    tab.keyboard.press("0")
    expect(all_of_it).to_be_disabled()
    for key in ("-", "ArrowLeft"):  # neither further out nor beside it
        tab.keyboard.press(key)
        expect(all_of_it).to_be_disabled()


def test_a_point_that_is_clicked_opens_its_image_at_any_size(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#m=0.1.class")
    for larger in (False, True):
        plot = plotted(tab)
        if larger:
            tab.get_by_role("button", name="Larger").click()
            tab.get_by_role("dialog").wait_for()
            tab.evaluate(FRAME)
        lasso(tab, (0.44, 0.44), (0.56, 0.44), (0.56, 0.56), (0.44, 0.56))
        names = [one.get_attribute("aria-label") or "" for one in tab.locator(".chosen .thumb").all()]
        among = {name.split(",")[0].split()[1] for name in names}
        assert among
        box = box_of(plot)
        middle: Position = {"x": box["width"] / 2, "y": box["height"] / 2}
        plot.hover(position=middle)
        near = tab.locator(".map .hint").inner_text()
        assert near.startswith("Image ")
        image = near.split(":")[0].split()[1]
        assert image in among  # what the pointer finds is what the lasso around it holds
        plot.click(position=middle)
        address(tab, rf"i={image}\b")


def test_two_fingers_zoom_and_do_not_open_an_image(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#m=0.1.class", width=390, height=780, has_touch=True, is_mobile=True)
    plot = plotted(tab)
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    box = box_of(plot)
    fingers = tab.context.new_cdp_session(tab)
    for i, apart in enumerate((20, 40, 60, 80)):
        points = [
            {"x": box["x"] + box["width"] / 2 + side * apart, "y": box["y"] + box["height"] / 2, "id": k}
            for k, side in enumerate((-1, 1))
        ]
        if not i:
            fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
        fingers.send("Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": points})
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(tab.get_by_role("button", name="Show all")).to_be_enabled()
    assert "i=" not in address(tab, "y=")
    assert tab.evaluate("visualViewport.scale") == 1
