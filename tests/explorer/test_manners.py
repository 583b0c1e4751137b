"""Nothing moves unless the reader moves it: what is computed again stays and is marked, cards cover nothing that was clicked, keys work."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from in_page import FRAME, address, draw, panel, unpacked
from playwright.sync_api import Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]

HOLD = """() => {
    const go = new Promise(done => { microscope.release = done; });
    for (const evaluator of microscope.evaluators)
        for (const name of ['answers', 'means']) {
            const real = evaluator[name].bind(evaluator);
            evaluator[name] = (...given) => go.then(() => real(...given));
        } }"""
"""Predictions for all images wait until ``microscope.release()``."""


def settled(tab: Page) -> Page:
    tab.evaluate(FRAME)
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    return tab


def tile(tab: Page, network: int, layer: int, unit: int) -> Locator:
    strip = tab.locator(".network").nth(network).locator(".strip").nth(layer)
    return strip.locator(f'[data-unit="{unit}"]')


def places(tab: Page) -> list[Any]:
    """The place of every tile, strip by strip."""
    found: list[Any] = tab.evaluate(
        """() => [...document.querySelectorAll('.tile')].map(tile => {
            const box = tile.getBoundingClientRect(), {scrollTop} = tile.closest('.networks');
            return [box.x, box.y + scrollY + scrollTop]; })"""
    )
    return found


def test_the_last_values_stay_marked_while_new_ones_are_computed(explorer: Path, opened: Opener) -> None:
    tab = unpacked(settled(opened(explorer, "#v=confusion")))
    tab.locator(".details").first.get_by_text("By class").click()
    panel(tab, "Map")
    tab.locator(".scatter").focus()
    tab.keyboard.press("+")
    tab.locator(".scatter").scroll_into_view_if_needed()
    box = tab.locator(".scatter").bounding_box()
    assert box
    corners = [(0.05, 0.05), (0.95, 0.05), (0.95, 0.95), (0.05, 0.95)]
    for i, (x, y) in enumerate(corners):
        tab.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        if not i:
            tab.mouse.down()
    tab.mouse.up()
    chosen = tab.locator(".chosen strong").inner_text()
    tab.evaluate("document.querySelector('.scatter').dataset.first = 'yes'")
    height = tab.evaluate("document.documentElement.scrollHeight")
    accuracy = tab.locator(".cost .accuracy").first.inner_text()
    tab.evaluate(HOLD)
    tab.get_by_label("Snapshot of training").fill("0")
    for state, when in (("[aria-busy]", "while"), (":not([aria-busy])", "after")):
        tab.locator(f".map{state} .scatter[data-first]").wait_for()
        tab.locator(f".network .cost{state}").nth(1).wait_for()
        assert tab.get_by_role("button", name="Show all").is_enabled(), when
        assert tab.locator(".chosen strong").inner_text() == chosen, when
        assert tab.locator("#panel-confusion details[open] table").count() == 3, when
        moved = tab.evaluate("document.documentElement.scrollHeight") - height
        assert abs(moved) <= (0 if when == "while" else 40), when  # a sentence may be a line longer
        assert (tab.locator(".cost .accuracy").first.inner_text() == accuracy) is (when == "while")
        tab.evaluate("microscope.release()")


@pytest.mark.parametrize("width", [1280, 1440])
def test_opening_a_card_and_ablating_move_no_tile(explorer: Path, opened: Opener, width: int) -> None:
    tab = settled(opened(explorer, width=width))
    before = places(tab)
    tile(tab, 0, 1, 3).click()
    card = tab.locator(".card")
    assert places(tab) == before
    card.get_by_role("button", name="Ablate").click()
    tab.locator(".network").first.locator(".odds").wait_for()
    assert places(tab) == before


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 768), (900, 760), (360, 740)])
def test_a_card_opens_in_sight_and_takes_the_focus(explorer: Path, opened: Opener, width: int, height: int) -> None:
    tab = settled(opened(explorer, width=width, height=height))
    before = places(tab)
    tile(tab, 1, 2, 5).click()
    card = tab.locator(".card:focus")
    box = card.bounding_box()
    assert box
    assert box["y"] >= 0
    assert box["y"] + 200 <= height
    assert box["x"] + box["width"] <= width
    ablate = card.get_by_role("button", name="Ablate").bounding_box()
    assert ablate
    assert ablate["y"] + ablate["height"] < height
    assert places(tab) == before
    tab.keyboard.press("Escape")
    assert tab.locator(".card").count() == 0
    assert tile(tab, 1, 2, 5).evaluate("tile => tile === document.activeElement")
    tile(tab, 1, 2, 6).click()
    tab.get_by_role("button", name="Close the card").click()
    assert tile(tab, 1, 2, 6).evaluate("tile => tile === document.activeElement")


def test_escape_closes_what_is_open_one_by_one(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#s=0.1.4"))
    for name in ("pre-activation", "effective pattern"):  # no edge of the column cuts a gloss
        tab.locator(".card").get_by_role("button", name=name).focus()
        gloss, column = (tab.locator(part).bounding_box() for part in (".tip.open", ".inspector"))
        assert gloss, name
        assert column
        assert column["x"] <= gloss["x"], name
        assert gloss["x"] + gloss["width"] <= column["x"] + column["width"], name
        assert column["y"] <= gloss["y"], name
        assert gloss["y"] + gloss["height"] <= column["y"] + column["height"], name
    tab.keyboard.press("Escape")
    assert tab.locator(".tip.open").count() == 0
    assert tab.locator(".card").count() == 1
    tab.keyboard.press("Escape")
    assert tab.locator(".card").count() == 0
    assert address(tab) == ""


def test_the_invitation_counts_the_ablations_that_flip_the_prediction_and_does_one(
    explorer: Path, opened: Opener
) -> None:
    tab = settled(opened(explorer))
    words = tab.locator(".invitation .flips")
    words.nth(1).wait_for()
    counts = [re.findall(r"\d+", text) for text in words.all_inner_texts()]
    units = tab.evaluate("microscope.models.map(m => m.data.layers.reduce((n, name) => n + m.units(name).count, 0))")
    assert [int(of) for _, of in counts] == units
    assert all(0 < int(count) < int(of) for count, of in counts)
    before = tab.locator(".verdict strong").all_inner_texts()
    tab.locator(".invitation").get_by_role("button", name="Ablate").click()
    tab.locator(".card:focus").wait_for()
    assert tab.locator(".verdict strong").all_inner_texts() != before
    assert re.fullmatch(r"#s=(\d\.\d\.\d+)&c=\1z", address(tab))


def test_one_history_undoes_and_redoes_everything_and_back_is_undo(explorer: Path, opened: Opener) -> None:
    tab = unpacked(settled(opened(explorer)))
    slider = tab.get_by_label("Snapshot of training")
    states = [address(tab)]
    steps: list[tuple[bool, Callable[[], object]]] = [  # whether it changes anything but what is looked at
        (False, lambda: tile(tab, 0, 1, 3).click()),
        (True, lambda: tab.locator(".card").get_by_role("button", name="Ablate").click()),
        (True, lambda: [slider.fill(str(frame)) for frame in (2, 1, 0)]),  # one step: a slider that is dragged
        (True, lambda: tab.locator(".filter select").first.select_option("7")),
        (False, lambda: panel(tab, "Map")),
        (False, lambda: tab.locator(".map select").nth(2).select_option("error")),
        (False, lambda: panel(tab, "Unit")),
        (True, lambda: [tab.get_by_role("slider", name="Scale").fill(value) for value in ("0.5", "1.5", "2")]),
        (False, lambda: panel(tab, "Missions")),
        (False, lambda: tab.locator(".guide li button.link").first.click()),
    ]
    for _, step in steps:
        step()
        states.append(address(tab))
    assert len(set(states)) == len(states)
    changes = [i for i, (change, _) in enumerate(steps) if change]
    undo = tab.get_by_role("button", name="Undo")
    for i, change in enumerate(reversed(changes)):  # to before each change, past what only looked
        tab.keyboard.press("Control+z") if i % 2 else undo.click()
        arrived(tab, states[change])
    assert undo.is_disabled()
    tab.keyboard.press("Control+z")  # and nothing before the first
    for i, change in enumerate(changes):
        tab.keyboard.press(("Control+Shift+z", "Control+y")[i % 2])
        arrived(tab, states[change + 1])
    assert tab.get_by_role("button", name="Redo").is_disabled()
    tab.reload()
    tab.wait_for_selector("html[data-ready]")
    undo.click()  # what a reload does not forget
    arrived(tab, states[changes[-1]])
    for _ in range(len(states) - 1 - changes[-1]):
        tab.evaluate("history.forward()")
    arrived(tab, states[-1])
    for state in states[-2::-1]:
        tab.evaluate("history.back()")  # Back goes through all of it
        arrived(tab, state)
    for state in states[1:]:
        tab.evaluate("history.forward()")
        arrived(tab, state)
    panel(tab, "Unit")
    assert tab.get_by_role("slider", name="Scale").input_value() == "2"
    assert slider.input_value() == "0"


def arrived(tab: Page, state: str) -> None:
    tab.evaluate(
        "state => new Promise(done => { const look = () => location.hash === state ? done() : requestAnimationFrame(look); look(); })",
        state,
    )
    assert address(tab) == state


def test_a_drawing_is_undone_stroke_by_stroke(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer))
    draw(tab, (0.3, 0.2), (0.7, 0.2))
    one = address(tab)
    draw(tab, (0.7, 0.2), (0.4, 0.8))
    assert one != address(tab)
    tab.get_by_role("button", name="Clear").click()
    assert "Nothing is drawn" in tab.locator(".network .was").first.inner_text()
    expect(tab.locator(".invitation > ul li")).to_have_text(["Nothing is drawn, so nothing is predicted."])
    expect(tab.locator(".verdict").first).to_have_text("Predicts nothing")
    expect(tab.locator(".bar.best, .network .step-inside")).to_have_count(0)
    expect(tab.locator(".invitation button.primary")).to_have_text("Show a test image")
    for _ in range(2):
        tab.keyboard.press("Control+z")
    arrived(tab, one)
    assert tab.locator(".digit .said").inner_text() == "Your drawing."
    tab.keyboard.press("Control+z")
    arrived(tab, "")
    assert "Image" in tab.locator(".digit .said").inner_text()


def test_a_filter_keeps_the_image_inside_it_and_says_when_it_is_empty(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#i=12"))
    labels = tab.evaluate("microscope.images.labels")
    other = (labels[12] + 1) % 10
    tab.locator(".filter select").nth(0).select_option(str(other))
    said = tab.locator(".digit .said").inner_text()
    assert f"Image {labels.index(other)}:" in said
    assert f": a {other} (" in said
    tab.locator(".filter select").nth(0).select_option("")
    tab.locator(".filter select").nth(1).select_option("1")
    tab.locator(".filter small", has_text=re.compile(r"^\d+ images$")).wait_for()
    wrong = tab.evaluate(
        """async () => { const {lab, evaluators, images} = microscope;
            const {predicted} = await evaluators[1].answers(lab.models[1].last, new Map());
            return images.labels.map((label, i) => [i, label]).filter(([i, label]) => predicted[i] !== label); }"""
    )
    index = int(re.findall(r"Image (\d+)", tab.locator(".digit .said").inner_text())[0])
    assert index in [i for i, _ in wrong]
    empty = next(c for c in range(10) if c not in [label for _, label in wrong])
    tab.locator(".filter select").nth(0).select_option(str(empty))
    assert "No images" in tab.locator(".filter small").inner_text()
    for name in ("Previous", "Next"):
        assert tab.get_by_role("button", name=f"{name} test image").is_disabled()


def test_a_mission_goes_to_what_it_shows_cleans_up_and_keeps_its_answer(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#c=0.0.1z&t=1&s=0.0.1&v=missions"))
    titles = tab.locator(".guide li button.link").all_inner_texts()
    together = next(i for i, title in enumerate(titles) if "misclassify the same" in title)
    many = next(i for i, title in enumerate(titles) if "How many units" in title)
    for mission in (many, together):
        tab.locator(".guide li button.link").nth(mission).click()
        tab.locator(".mission input[type=number]").fill("40")
        tab.get_by_role("button", name="Commit").click()
        tab.locator(".outcome").wait_for()
        tab.get_by_role("button", name="in the network").click()
        assert tab.locator(".network").first.evaluate(
            "one => { const {top, bottom} = one.getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; }"
        )
        if mission == many:
            expect(tab.get_by_role("tab", name="Set")).to_have_attribute("aria-selected", "true")
            assert tab.locator(".changes details:not([open])").count() == 1  # not one line a unit
            assert re.search(r"_0\.\d\.\d+z.*&u=0\.\d", address(tab))
            panel(tab, "Missions")
    panel(tab, "Set")
    assert tab.locator(".changes").count() == 0  # neither the reader's change nor the other mission's
    assert tab.locator(".card").count() == 0
    panel(tab, "Missions")
    tab.locator(".guide li button.link").nth(many).click()
    expect(tab.locator(".mission fieldset")).to_contain_text("40%")
    words = tab.locator(".outcome strong").inner_text()
    again = settled(opened(explorer, address(tab)))
    assert again.locator(".outcome strong").inner_text() == words
    expect(again.locator(".mission fieldset")).to_contain_text("40%")
    assert again.locator(".mission input").count() == 0  # the prediction binds
    assert again.locator(".mission").get_by_role("button", name="Withdraw").count() == 0
    assert f"a={together}.40_{many}.40" in address(again)


def test_the_wheel_scrolls_the_page_and_with_ctrl_zooms_no_further_out_than_all(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#v=map"))
    plot = tab.locator(".scatter")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    show_all = tab.get_by_role("button", name="Show all")

    def wheel(by: int, ctrl: bool) -> bool:
        """True if the map took the turn of the wheel, which then does not scroll the page."""
        return bool(
            plot.evaluate(
                """(plot, [deltaY, ctrlKey]) => !plot.dispatchEvent(
                    new WheelEvent('wheel', {deltaY, ctrlKey, bubbles: true, cancelable: true, clientX: 400, clientY: 300}))""",
                [by, ctrl],
            )
        )

    assert not wheel(-100, ctrl=False)
    assert show_all.is_disabled()
    assert wheel(-100, ctrl=True)
    tab.evaluate(FRAME)
    assert show_all.is_enabled()
    assert not wheel(100, ctrl=False)
    for _ in range(3):
        assert wheel(100, ctrl=True)
        tab.evaluate(FRAME)
    assert show_all.is_disabled()  # all is the furthest


def test_a_finger_scrolls_over_the_map_and_selects_when_asked(explorer: Path, opened: Opener) -> None:
    tab = settled(opened(explorer, "#v=map", width=390, height=780, has_touch=True, is_mobile=True))
    plot = tab.locator(".scatter")
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    box = plot.bounding_box()
    assert box
    finger = tab.context.new_cdp_session(tab)

    def drag(points: list[tuple[float, float]]) -> None:
        for i, (x, y) in enumerate(points):
            point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            finger.send(
                "Input.dispatchTouchEvent", {"type": "touchMove" if i else "touchStart", "touchPoints": [point]}
            )
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        tab.evaluate(FRAME)

    around = [(0.05, 0.05), (0.05, 0.3), (0.05, 0.6), (0.05, 0.95), (0.5, 0.95), (0.95, 0.95), (0.95, 0.05)]
    before = tab.evaluate("scrollY")
    drag(around[::-1][:3] + around[2::-1])
    assert tab.locator(".chosen").count() == 0
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    tab.get_by_role("button", name="Select by finger").click()
    plot.evaluate("plot => plot.scrollIntoView({block: 'center'})")
    assert plot.evaluate("plot => getComputedStyle(plot).touchAction") == "none"
    box = plot.bounding_box()
    assert box
    drag(around)
    assert int(tab.locator(".chosen strong").inner_text().split()[0]) > 20
    assert tab.evaluate("scrollY") == pytest.approx(before, abs=5)
    assert plot.evaluate("plot => getComputedStyle(plot).touchAction") != "none"
