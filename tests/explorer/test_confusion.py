"""A cell of the confusion matrix over training: Python's counts, a sentence about them, and the way to a snapshot."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_page import FRAME, address, check_axe
from playwright.sync_api import Page, expect

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
VIEW = "#v=confusion&k=4.9"


def counted(tab: Page, run: nm.Run, network: int) -> tuple[list[int], np.ndarray]:
    """The page's steps, and images [snapshot, class, predicted] by the run's recorded logits."""
    steps = tab.evaluate("network => microscope.page.networks[network].steps", network)
    logits = run.activations("logits").values[[run.steps.index(step) for step in steps]]
    labels = run.probe.labels
    pairs = [[[int(((labels == a) & (p == b)).sum()) for b in range(10)] for a in range(10)] for p in logits.argmax(2)]
    return steps, np.array(pairs)


def test_counts_of_the_page_and_of_its_table_are_those_of_the_recorded_logits(
    explorer: Path, opened: Opener, runs: list[nm.Run]
) -> None:
    tab = opened(explorer, VIEW)
    for network, run in enumerate(runs):
        steps, counts = counted(tab, run, network)
        assert tab.evaluate("network => microscope.page.networks[network].confusion", network) == counts.tolist()
        place = tab.locator(".learning").nth(network)
        size = int((run.probe.labels == 4).sum())
        most = counts[:, 4, 9].max()
        expected = f"are most, {most} of {size}, at step {steps[counts[:, 4, 9].argmax()]:,}"
        expect(place).to_contain_text(expected if most else "no image of class 4 is predicted as 9")
        other = counts[:, 9, 4]
        expected = f"images of class 9 predicted as 4 are most, {other.max()} of {counts[0, 9].sum()}, at step"
        expected = expected if other.max() else "no image of class 9 is predicted as 4"
        expect(place).to_contain_text(f"The other way: {expected}")
        place.get_by_text("The numbers").click()
        expect(place.locator("tbody tr")).to_have_count(len(steps))
        rows = [row.split("\t") for row in place.locator("tbody tr").all_inner_texts()]
        shown = [[int(cell.replace(",", "")) for cell in row] for row in rows]
        three = counts[:, [4, 9, 4], [9, 4, 4]].tolist()
        assert shown == [[step, *one] for step, one in zip(steps, three, strict=True)]


def test_the_chart_has_both_ways_the_bound_and_the_step_from_which_it_holds(
    explorer: Path, opened: Opener, runs: list[nm.Run]
) -> None:
    tab = opened(explorer, VIEW)
    steps, counts = counted(tab, runs[0], 0)
    chart = tab.locator(".learning").first.locator("svg")
    expect(chart.locator(".curve")).to_have_count(3)
    for line in ("4 as 9", "9 as 4", "4 as 4"):
        expect(chart.locator("text", has_text=re.compile(f"^{line}$"))).to_have_count(1)
    low, high = (
        float(chart.locator(f".curve{kind}").get_attribute("points").split()[-1].split(",")[1])
        for kind in (":not(.own):not(.other)", ".own")
    )
    share = [counts[-1, 4, to] / counts[-1, 4].sum() for to in (9, 4)]
    height = (low - high) / (share[1] - share[0])
    bound = float(chart.locator(".bound").first.get_attribute("y1") or "nan")
    assert bound == pytest.approx(low + (share[0] - 0.05) * height, abs=0.1)
    few = [counts[:, a, b] <= counts[0, a].sum() // 20 for a, b in ((4, 9), (9, 4))]
    both = np.logical_and(*few)
    mark = chart.locator(".settled text")
    if not both[-1]:
        expect(mark).to_have_count(0)
    else:
        first = len(both) - int(np.argmin(np.append(both[::-1], False)))
        expect(mark).to_have_text(f"from step {steps[first]:,}")


@pytest.mark.parametrize("width", [1280, 1000])
def test_the_question_of_the_first_screen_leads_to_its_answer(explorer: Path, opened: Opener, width: int) -> None:
    tab = opened(explorer, width=width, height=720)
    if width == 1000:
        tab.get_by_role("button", name="Questions").click()
    tab.locator(".invitation, .questions").get_by_role("button", name="learn to tell").locator("visible=true").click()
    heading, tabs = tab.locator(".learning h3").first, tab.locator(".tabs")
    expect(heading).to_be_in_viewport()
    tab.wait_for_function(
        "() => { const [below, above] = ['.learning h3', '.tabs'].map(one => document.querySelector(one).getBoundingClientRect()); "
        "return below.top >= above.bottom && below.bottom + 60 < innerHeight; }"
    )
    expect(tabs).to_be_visible()


def test_with_a_unit_ablated_the_invitation_says_of_what_it_speaks(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    expect(tab.locator(".invitation li").first).not_to_contain_text("Without changes")
    tab = opened(explorer, "#c=0.0.3z")
    expect(tab.locator(".invitation li").first).to_contain_text("Without changes, MLP predicts")


def test_a_cell_is_chosen_by_pointer_and_key_kept_in_the_address_and_undone(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=confusion")
    place = tab.locator(".confusion").first
    cell = place.get_by_role("button", name="class 4 predicted as 9:")
    expect(cell).to_be_visible()  # the matrix is open
    expect(tab.locator(".learning")).to_have_count(0)
    cell.click()
    address(tab, r"k=4\.9\b")
    expect(tab.locator(".learning")).to_have_count(2)
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowRight")  # at the edge it stays
    expect(place.get_by_role("button", name="class 3 predicted as 9:")).to_be_focused()
    tab.keyboard.press("Enter")
    address(tab, r"k=3\.9\b")
    expect(tab.locator(".learning").first).to_contain_text("3 predicted as 9")
    tab.go_back()
    expect(cell).to_have_attribute("aria-pressed", "true")
    again = opened(explorer, address(tab))
    expect(again.locator(".learning h3")).to_have_text(
        [f"{name}: 4 predicted as 9 over training" for name in ("MLP", "CNN")]
    )
    cell.click()
    expect(tab.locator(".learning")).to_have_count(0)


def test_picture_and_table_lead_to_their_snapshot(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, VIEW)
    slider = tab.get_by_label("Snapshot of training")
    place = tab.locator(".learning").first
    marks = place.locator("svg .curve:not(.own):not(.other) ~ circle")
    for snapshot in (1, 0, 2):
        marks.nth(snapshot).click()
        expect(slider).to_have_value(str(snapshot))
        assert place.locator("svg .here").get_attribute("x1") == marks.nth(snapshot).get_attribute("cx")
    place.get_by_text("The numbers").click()
    place.locator("tbody tr").nth(1).locator("td").first.click()
    expect(slider).to_have_value("1")
    place.locator("tbody button").nth(3).focus()
    tab.keyboard.press("Enter")
    expect(slider).to_have_value("3")
    expect(place.locator("tbody tr[aria-current]")).to_have_count(1)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_chosen_pair_is_accessible_and_fits(explorer: Path, opened: Opener, width: int, scheme: str) -> None:
    tab = opened(explorer, VIEW, width=width, scheme=scheme)
    tab.locator(".learning").nth(1).wait_for()
    tab.evaluate("document.querySelectorAll('.learning details').forEach(d => d.open = true)")
    tab.evaluate("document.querySelector('.time').style.position = 'static'")
    tab.evaluate(FRAME)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_axe(tab)


def test_claims_name_their_layer(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=confusion")
    claims = tab.evaluate("microscope.lab.claims[0].filter(claim => claim.unit === null)")
    shown = tab.locator(".details").first.locator(".claim").all_text_contents()
    assert any(claim["hook_point"] for claim in claims)
    for claim, text in zip(claims, shown, strict=True):
        layer, sentence = claim["hook_point"].removesuffix(".hook_post"), claim["sentence"]
        headline = f"{sentence[0].upper()}{sentence[1:]}"
        assert text.startswith(f"{claim['verdict']} {layer}: {headline}" if layer else f"{claim['verdict']} {headline}")
