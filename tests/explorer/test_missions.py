"""Missions: a prediction binds, what a mission put into the network leaves with it, and none is asked that the network can't carry."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import address
from playwright.sync_api import Page, expect
from test_manners import HOLD

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]


def number_of(tab: Page, words: str) -> int:
    return next(i for i, title in enumerate(tab.locator(".guide li button.link").all_inner_texts()) if words in title)


def test_a_prediction_is_withdrawn_only_before_the_answer_and_not_changed_unsaid(
    explorer: Path, opened: Opener
) -> None:
    tab = opened(explorer, "#v=missions")
    tab.locator(".network .cost[data-accuracy]").nth(1).wait_for()
    tab.evaluate(HOLD)
    tab.locator(".guide li button.link").nth(number_of(tab, "How many units")).click()
    place = tab.locator(".mission")
    field, commit = place.locator("input[type=number]"), place.get_by_role("button", name="Commit")
    field.fill("90")
    commit.click()
    expect(field).to_have_count(0)
    expect(place.locator("fieldset")).to_contain_text("90%")
    place.get_by_role("button", name="Withdraw").click()
    expect(field).to_be_enabled()
    assert "a=" not in address(tab)
    field.fill("30")
    commit.click()
    tab.evaluate("microscope.release()")
    place.locator(".outcome").wait_for(timeout=120_000)
    expect(place.get_by_role("button", name="Withdraw")).to_have_count(0)
    expect(field).to_have_count(0)
    tab.keyboard.press("Control+z")  # everything is undone, this too
    field.fill("50")
    commit.click()
    expect(place.locator(".outcome .loud")).to_contain_text("You predicted 30% when you first saw the answer.")


def test_what_a_mission_put_into_the_network_leaves_with_it(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=missions")
    many = number_of(tab, "How many units")
    titles = tab.locator(".guide li button.link")

    said = tab.locator("#app > .told")

    def see(own: bool) -> None:
        tab.get_by_role("button", name=re.compile(r"^See it in the network: ablate these \d+")).click()
        expect(said).to_have_text("Your changes were removed; Undo brings them back." if own else "")
        address(tab, "g=1")
        assert tab.locator(".tile.in-set").count() > 0
        tab.locator('.network [data-layer="0"] [data-unit="3"]').first.focus()
        tab.keyboard.press("a")  # a change of the reader's own
        address(tab, r"0\.0\.3z")
        tab.get_by_role("tab", name="Missions").click()

    titles.nth(many).click()
    tab.locator(".mission input[type=number]").fill("40")
    tab.get_by_role("button", name="Commit").click()
    see(own=False)
    titles.nth((many + 1) % titles.count()).click()  # another starts
    after = address(tab, rf"q={(many + 1) % titles.count()}\b")
    assert "c=0.0.3z&" in after
    assert "g=" not in after
    assert tab.locator(".tile.in-set").count() == 0
    titles.nth(many).click()
    see(own=True)
    titles.nth(many).click()  # it ends
    expect(tab.locator(".tile.in-set")).to_have_count(0)
    assert "q=" not in address(tab)
    assert "c=0.0.3z" in address(tab)
    titles.nth(many).click()
    tab.get_by_role("button", name="in the network").click()
    expect(said).not_to_be_empty()
    assert "0.0.3z" not in address(tab)
    tab.get_by_role("button", name="Undo").click()
    expect(said).to_be_empty()
    address(tab, r"0\.0\.3z")


def test_a_mission_ablates_the_unit_it_speaks_of_and_puts_image_and_snapshot_back(
    explorer: Path, opened: Opener
) -> None:
    tab = opened(explorer, "#i=5&t=1&v=missions")
    selective = number_of(tab, "most selective")
    titles = tab.locator(".guide li button.link")
    titles.nth(selective).click()
    tab.get_by_label("first").check()
    tab.get_by_role("button", name="Commit").click()
    expect(tab.locator(".outcome summary").first).to_have_text(
        re.compile(r"^\d+ claims? tested in Python; the verdict is “shown” for (none|it|all|\d+)$")
    )
    term = tab.locator(".outcome").get_by_role("button", name="class selectivity")
    term.focus()
    expect(tab.locator(".outcome .tip.open").first).to_contain_text("How much more a unit responds to its class")
    tab.get_by_role("button", name="See it in the network: ablate it").click()
    unit = re.findall(r"s=(0\.\d\.\d+)&c=(0\.\d\.\d+)z", address(tab, "g=1"))
    assert unit
    assert unit[0][0] == unit[0][1]
    assert "t=1" not in address(tab)  # it is shown at the end of training
    tab.get_by_role("tab", name="Missions").click()
    titles.nth(selective).click()
    after = address(tab, "t=1")
    assert "c=" not in after
    assert "s=" not in after
    titles.nth(number_of(tab, "misclassify the same")).click()
    tab.locator(".mission input[type=number]").fill("40")
    tab.get_by_role("button", name="Commit").click()
    tab.get_by_role("button", name="See it in the network", exact=True).click()
    address(tab, "g=1")
    tab.locator(".guide li button.link[aria-expanded=true]").click()
    address(tab, r"i=5&t=1\b")


def test_results_fit_the_column_and_one_network_is_said_to_be_one(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=missions", height=720)
    tab.locator(".guide li button.link").nth(number_of(tab, "most selective")).click()
    tab.get_by_label("first").check()
    tab.get_by_role("button", name="Commit").click()
    expect(tab.locator(".outcome")).to_contain_text("another layer or seed may differ.")
    tab.get_by_text("Results").click()
    table = tab.locator(".outcome .scroll")
    expect(table.locator("thead th")).to_have_text(["unit", "loss increase (nats)", "selectivity"])
    assert table.evaluate("scroll => scroll.scrollWidth <= scroll.clientWidth")


def test_an_answer_says_whether_the_prediction_was_correct_and_a_lead_that_may_be_chance_is_not_asked(
    explorer: Path, opened: Opener
) -> None:
    tab = opened(explorer, "#v=missions")
    ranked = tab.evaluate(
        """async () => { const all = microscope.missions(microscope.lab), said = [];
        for (const mission of all) for (const given of mission.predict.kind === 'choice' ? [0, 1, 2] : [0, 30, 60]) {
            const { right, answer } = await mission.experiment(given); said.push([right, answer]); }
        return said; }"""
    )
    assert {right for right, _ in ranked} == {True, False}
    assert not any(re.match("Yes|No|Not", answer) for _, answer in ranked)
    selective = number_of(tab, "most selective")
    tab.locator(".guide li button.link").nth(selective).click()
    for option in range(3):
        tab.evaluate("([at, option]) => { location.hash = `q=${at}&a=${at}.${option}`; }", [selective, option])
        place = tab.locator(".outcome[data-right]")
        place.wait_for()
        right = place.get_attribute("data-right") == "true"
        expect(place.locator("strong").first).to_have_text(
            re.compile("^Correct: " if right else "^Not correct: "), timeout=5_000
        )
    offered = "microscope.missions(microscope.lab).filter(mission => mission.predict.kind === 'unit').length"
    count = tab.evaluate(
        """() => { const { lab } = microscope, asked = microscope.page.networks[0].missions;
        return asked.filter(one => one.kind !== 'selective' && (!one.claims.length
            || lab.claims[0].some(claim => one.claims.includes(claim.id) && claim.verdict !== 'not shown'))).length; }"""
    )
    assert tab.evaluate(offered) == count
    tab.evaluate("microscope.lab.claims[0].forEach(claim => { claim.verdict = 'not shown'; })")
    assert tab.evaluate(offered) == 0


def test_as_many_missions_as_the_network_can_carry(
    explorer: Path, opened: Opener, runs: list[nm.Run], tmp_path: Path
) -> None:
    tab = opened(explorer, "#v=missions")
    count = tab.locator(".guide li").count()
    assert f"q={count - 1}" in address(opened(explorer, f"#v=missions&q={count - 1}"), "q=")
    assert "q=" not in address(opened(explorer, f"#v=missions&q={count}"))
    errors = tab.evaluate("microscope.page.networks.map(network => network.errors)")
    assert errors == [round((1 - nm.evaluate(run.model(), run.probe).accuracy) * len(run.probe)) for run in runs]
    tab.evaluate("microscope.page.networks[0].errors = 290")  # of 300: there is no half to fall below
    fewer = tab.evaluate("microscope.missions(microscope.lab).map(mission => mission.title)")
    tab.evaluate("microscope.page.networks[0].errors = 3")
    other = tab.evaluate("microscope.missions(microscope.lab).map(mission => mission.title)")
    assert len(fewer) == len(other) == count - 1
    assert not any("How many units" in title for title in fewer)
    assert not any("misclassify the same" in title for title in other)


def test_see_it_takes_other_changes_out_and_scrolls_to_the_networks(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#c=1.0.2z&v=missions", width=900, height=500)
    tab.locator(".guide li", has_text="Is the most selective unit").get_by_role("button").first.click()
    tab.locator(".mission input[type=radio]").first.check()
    tab.locator(".mission button", has_text="Commit").click()
    tab.evaluate("document.querySelector('.networks').scrollTo(0, 5000)")
    tab.locator(".outcome button", has_text="in the network").click()
    expect(tab).not_to_have_url(re.compile(r"1\.0\.2z"))
    expect(tab.locator(".networks .tile[aria-pressed=true]")).to_be_in_viewport(ratio=1)
