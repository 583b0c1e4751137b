"""A reader who knows only what the page shows finds out what it can tell: by a few clicks, and by keys alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import address, says
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
MOST_TABS = 60
FOCUSED = "part => part === document.activeElement"


def click(place: Locator) -> None:
    place.click()


def by_keys(place: Locator) -> None:
    """Tab until the element has the focus, and Enter, or space on a choice."""
    place.wait_for()
    for _ in range(MOST_TABS):
        if place.evaluate(FOCUSED):
            break
        place.page.keyboard.press("Tab")
    assert place.evaluate(FOCUSED), f"not reached by {MOST_TABS} tabs"
    place.page.keyboard.press("Space" if place.get_attribute("type") == "radio" else "Enter")


Do = Callable[[Locator], None]
HOW = pytest.mark.parametrize("do", [click, by_keys])


def settled(tab: Page) -> Page:
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    return tab


@HOW
def test_a_unit_that_flips_the_prediction_by_one_click(explorer: Path, opened: Opener, do: Do) -> None:
    tab = settled(opened(explorer))
    before = [says(tab, network) for network in range(2)]
    do(tab.get_by_role("button", name="Ablate one that does"))
    expect(tab.locator(".card h2")).to_be_visible()
    now = [says(tab, network) for network in range(2)]
    assert now != before
    changed = [network for network in range(2) if now[network] != before[network]]
    expect(tab.locator(".verdict").nth(changed[0])).to_have_text(
        f"Predicts {now[changed[0]]}, was {before[changed[0]]}"
    )
    expect(tab.locator(".network .was").nth(changed[0])).to_have_text(
        re.compile(rf"^Now {now[changed[0]]} .*, before: {before[changed[0]]} ")
    )


@HOW
def test_whether_the_most_selective_unit_matters_by_three(explorer: Path, opened: Opener, do: Do) -> None:
    tab = settled(opened(explorer))
    do(tab.get_by_role("button", name="Is the most selective unit the most important one?"))
    do(tab.get_by_role("radio").first)
    do(tab.get_by_role("button", name="Commit and run the experiment"))
    expect(tab.locator(".outcome strong").first).to_have_text(
        re.compile(r"^(Correct|Not correct): it is number \d+ of \d+\.$")
    )


@HOW
def test_one_convolution_step_by_step_by_one_and_a_key_for_each_step(explorer: Path, opened: Opener, do: Do) -> None:
    tab = settled(opened(explorer))
    do(tab.get_by_role("button", name=re.compile("^How does CNN compute channel .* Step by step$")))
    place = tab.get_by_role("dialog")
    for name in ("Convolution", "Bias", "ReLU", "Max pooling"):
        expect(place.locator("[aria-current=step]")).to_contain_text(name)
        tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Escape")
    expect(place).to_have_count(0)


@HOW
def test_when_two_classes_were_told_apart_by_one_or_two(explorer: Path, opened: Opener, do: Do) -> None:
    tab = settled(opened(explorer))
    way = tab.get_by_role("button", name=re.compile("^When did MLP learn to tell"))
    asked = re.findall(r"\d+", way.inner_text())
    do(way)
    heading = tab.locator(".learning h3").first
    expect(heading).to_have_text(
        re.compile(f"^MLP: ({asked[0]} predicted as {asked[1]}|{asked[1]} predicted as {asked[0]}) over")
    )
    again = settled(opened(explorer, "#v=confusion"))
    cells = again.locator(".confusion").first.locator("td button")
    if do is click:
        do(cells.and_(again.get_by_role("button", name="class 4 predicted as 9")))
    else:  # the matrix is one stop; its caption names the arrow keys
        expect(again.locator(".matrix .quiet").first).to_contain_text("arrow keys and Enter")
        again.get_by_role("tab", name="Confusion").focus()
        by_keys(cells.first)
        for key in [*["ArrowDown"] * 4, *["ArrowRight"] * 9, "Enter"]:
            again.keyboard.press(key)
    expect(again.locator(".learning h3").first).to_have_text("MLP: 4 predicted as 9 over training")
    expect(again.locator(".learning p").first).to_contain_text("MLP")
    expect(again.locator(".learning p").first).to_contain_text(re.compile("step|snapshot"))


@HOW
def test_a_link_that_shows_it_by_one(explorer: Path, opened: Opener, do: Do) -> None:
    tab = settled(opened(explorer, "#v=confusion&k=4.9&t=2"))
    do(tab.get_by_role("button", name="Copy link"))
    expect(tab.locator(".told, .copy textarea").first).to_be_visible()
    again = settled(opened(explorer, address(tab)))
    expect(again.locator(".learning h3").first).to_have_text("MLP: 4 predicted as 9 over training")
    expect(again.get_by_role("slider", name="Snapshot of training")).to_have_value("2")
