"""Every shortcut in the list of keys does what the list says, and none while a reader types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import address, check_axe
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]


def tile(tab: Page, unit: int) -> None:
    tab.locator(f'.network [data-layer="1"] [data-unit="{unit}"]').first.focus()


def test_each_shortcut_of_the_list_does_what_it_says(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tab.keyboard.press("?")
    place = tab.get_by_role("dialog", name="Keyboard shortcuts")
    listed = {
        row.locator("dd").inner_text(): row.locator("kbd").all_inner_texts() for row in place.locator("dl > div").all()
    }
    tab.keyboard.press("Escape")
    place.wait_for(state="detached")
    opening = tab.evaluate("microscope.images.opening")
    last = tab.evaluate("microscope.lab.frames - 1")
    tile(tab, 3)
    one = r"0\.1\.3"
    expected = [  # the list's words, a pattern of the address before and one after
        ("Ablate or restore the unit or the set", rf"#c={one}z"),
        ("Take the unit into the set, or out of it", rf"u={one}"),
        ("Pin the unit to compare it with another", rf"p={one}"),
        ("Next image", rf"#i={opening + 1}\b"),
        ("Previous image", r"#c="),
        ("Reset all changes", r"#u="),
        ("Undo the last change", r"#c="),
        ("Redo the next change", r"#u="),
        ("Step inside the unit", rf"x={one}"),
    ]
    names = {"Esc": "Escape", "←": "ArrowLeft", "→": "ArrowRight", "Shift+U": "Shift+u", "Ctrl+Z": "Control+z"}
    for words, after in expected:
        key = listed[words][0]
        tab.keyboard.press(names.get(key, key.lower()))
        address(tab, after[1:] if after.startswith("#") else after)
    tab.get_by_role("dialog").wait_for()
    tab.keyboard.press("Escape")
    tab.get_by_role("dialog").wait_for(state="detached")
    tab.evaluate("document.activeElement.blur()")
    tab.keyboard.press("ArrowLeft")
    address(tab, rf"t={last - 1}\b")
    tab.keyboard.press("ArrowRight")
    expect(tab.get_by_label("Snapshot of training")).to_have_value(str(last))
    tile(tab, 3)
    for key, step in zip(listed["Previous snapshot"][1] + listed["Next snapshot"][1], (last - 1, last), strict=True):
        tab.keyboard.press(key)  # on a tile, where arrow keys move between tiles
        expect(tab.get_by_label("Snapshot of training")).to_have_value(str(step))
    tab.keyboard.press("/")
    field = tab.get_by_role("searchbox")
    expect(field).to_be_focused()
    before = address(tab)
    tab.keyboard.type("ax1")  # words for the search, no shortcuts
    assert address(tab) == before
    tab.keyboard.press("Escape")
    expect(field).to_have_value("")
    assert address(tab) == before
    field.evaluate("field => field.blur()")
    for i, name in enumerate(["Unit", "Set", "Confusion", "Map", "Missions", "Python"]):
        tab.keyboard.press(str(i + 1))
        expect(tab.get_by_role("tab", name=name)).to_be_focused()
        expect(tab.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    assert listed["Open a tab of the inspector"] == list("123456")
    tab.keyboard.press("Escape")
    expect(tab.locator(".tile.in-set")).to_have_count(0)
    assert listed["Show this list"] == ["?"]
    done = {words for words, _ in expected} | {
        "Previous snapshot",
        "Next snapshot",
        "Search for a unit",
        "Open a tab of the inspector",
        "Close what was opened last, then clear the set",
        "Show this list",
    }
    assert done == set(listed)


def test_the_list_of_keys_keeps_and_returns_the_focus_and_switches_them_off(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, width=360, height=740, scheme="dark")
    button = tab.get_by_role("button", name="Keyboard shortcuts")
    button.focus()
    tab.keyboard.press("Enter")
    place = tab.get_by_role("dialog", name="Keyboard shortcuts")
    place.wait_for()
    for _ in range(6):
        tab.keyboard.press("Tab")
        inside = "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        assert tab.evaluate(inside)  # the browser's own bar is the only other place
    box = place.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    check_axe(tab)
    place.get_by_role("checkbox").uncheck()
    tab.keyboard.press("Escape")
    place.wait_for(state="detached")
    expect(button).to_be_focused()
    before = address(tab)
    tab.keyboard.press("]")
    tab.keyboard.press("ArrowLeft")
    assert address(tab) == before
