"""Sets of units: chosen by hand, box, list or search; changed at once; the effect, its null and its verdict are the library's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_page import FRAME, address, in_page, panel
from playwright.sync_api import Locator, Page, expect

import neural_microscope as nm
from neural_microscope.statistics import null_band, p_values, shown
from neural_microscope.wording import probability

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
TOLERANCE = 1e-4


def tile(tab: Page, network: int, layer: int, unit: int) -> Locator:
    return tab.locator(".network").nth(network).locator(f'[data-layer="{layer}"] [data-unit="{unit}"]')


def result(tab: Page) -> tuple[Locator, float, list[float]]:
    """The claim about the set, its effect and the draws of its null, once all are there."""
    claim = tab.locator(".set .claim[data-verdict]")
    claim.wait_for(timeout=60_000)
    return (
        claim,
        float(claim.get_attribute("data-increase") or "nan"),
        json.loads(claim.get_attribute("data-draws") or ""),
    )


def take(tab: Page, count: int, by: str, layer: str) -> list[int]:
    """Takes the first units of a layer in an order; their numbers."""
    tab.locator(".top-units input").fill(str(count))
    tab.locator(".top-units select").nth(0).select_option(by)
    tab.locator(".top-units select").nth(1).select_option(label=layer)
    tab.get_by_role("button", name=f"Select {count} units").click()
    return [int(unit) for unit in address(tab, r"u=[\d.]+").split("u=")[1].split("&")[0].split(".")[2:]]


Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CHANGES: dict[str, tuple[Callable[[Page], object], Change]] = {
    "ablate": (
        lambda tab: tab.get_by_role("button", name="Ablate", exact=True).click(),
        lambda own, probe: torch.zeros_like(own),
    ),
    "scale": (lambda tab: tab.get_by_label("Scale by").fill("2.5"), lambda own, probe: 2.5 * own),
    "clamp": (lambda tab: tab.get_by_label("Clamp to").press("ArrowRight"), lambda own, probe: own),
    "patch": (lambda tab: tab.get_by_role("button", name="Patch", exact=True).click(), lambda own, probe: probe[1:2]),
}
"""Changes of the set, and the activations that they make of those of all images."""


@pytest.mark.parametrize(
    ("network", "layer", "kind"), [(0, 0, "ablate"), (0, 1, "scale"), (1, 1, "clamp"), (1, 2, "patch")]
)
def test_a_set_changed_in_the_page_is_the_librarys_with_its_null_and_verdict(
    explorer: Path, opened: Opener, runs: list[nm.Run], network: int, layer: int, kind: str
) -> None:
    run, name = runs[network], f"layers.{layer}.hook_post"
    tab = opened(explorer, "#v=set")
    model: Any = in_page(tab, run, network)
    units = take(tab, 3, "contribution", f"{('MLP', 'CNN')[network]} layers.{layer}")
    do, change = CHANGES[kind]
    do(tab)
    claim, increase, draws = result(tab)
    images = run.probe.tensor()
    _, cache = model.run_with_cache(images)
    clamped = re.search(r"\dc([\d.]+)", address(tab, "c="))

    def loss(chosen: list[int]) -> float:
        def changed(acts: torch.Tensor, hook: Any) -> torch.Tensor:
            own = acts[:, chosen]
            made = torch.full_like(own, float(clamped[1])) if clamped else change(own, cache[name][:, chosen])
            return acts.index_copy(1, torch.tensor(chosen, dtype=torch.long), made.expand_as(own))

        with model.hooks([(name, changed)]):
            return float(nm.evaluate(model, run.probe).loss)

    base = loss([])
    assert increase == pytest.approx(loss(units) - base, abs=TOLERANCE)
    if kind in ("ablate", "scale"):
        factor = {"ablate": 0.0, "scale": 2.5}[kind]
        table = nm.analysis.causal.dose_response(model, run.probe, name, units, factors=[factor], draws=1)
        assert increase == pytest.approx(table["loss_increase"].item(), abs=TOLERANCE)
    assert len(draws) == 20
    items = [{"network": network, "layer": layer, "unit": unit, "kind": "zero", "value": 0} for unit in units]
    for draw in (0, 19):
        others = tab.evaluate(
            "([items, draw]) => microscope.lab.elsewhere(items, draw).map(one => one.unit)", [items, draw]
        )
        assert len(set(others)) == 3
        assert draws[draw] == pytest.approx(loss(others) - base, abs=TOLERANCE)
    low, high = (float(end[()]) for end in null_band(np.array(draws)))
    p = float(p_values(np.array(increase), np.array(draws)))
    band = [float(end.replace("−", "-")) for end in claim.locator(".null-band").inner_text().split(" to ")]
    assert band == pytest.approx([low, high], abs=6e-4)
    assert claim.locator(".odds").inner_text() == probability(p, 1 / 21, 20)
    assert claim.get_attribute("data-verdict") == ("shown" if shown(p) else "not shown")
    assert claim.locator(".mark").inner_text() == claim.get_attribute("data-verdict")
    assert claim.locator("svg .null").count() == claim.locator("svg .value").count() == 1


def test_bands_and_verdicts_are_the_librarys(explorer: Path, opened: Opener) -> None:
    tab, rng = opened(explorer), np.random.default_rng(0)
    for n in (1, 3, 19, 20):
        draws = rng.normal(size=n)
        found = tab.evaluate("draws => microscope.nullBand(draws)", draws.tolist())
        assert found == pytest.approx([float(end) for end in null_band(draws)], abs=1e-12)
    ps = [0.0, 1 / 21, 0.05, np.nextafter(0.05, 0), 0.5, 1.0]
    assert tab.evaluate("ps => ps.map(microscope.shown)", ps) == shown(ps).tolist()


def test_the_first_of_a_list_are_those_of_the_librarys_measures(
    explorer: Path, opened: Opener, runs: list[nm.Run]
) -> None:
    run = runs[0]
    tab = opened(explorer, "#v=set&i=7")
    name = "layers.0.hook_post"
    effects = nm.analysis.causal.ablate_all(run.model(), run.probe, name)["loss_increase"].values
    table = nm.analysis.selectivity.class_selectivity(run.activations(name))
    selectivity = np.nan_to_num(table["selectivity"].values, nan=-np.inf)
    model: Any = in_page(tab, run, 0)
    kept: dict[str, torch.Tensor] = {}
    with model.hooks([(name, lambda tensor, hook: kept.setdefault("acts", tensor))]):
        logits = model(run.probe.tensor()[7:8])[0]
    slope = torch.autograd.grad(logits[int(logits.argmax())], kept["acts"])[0]
    contributions = (slope * kept["acts"])[0].detach().numpy()
    for by, values in (("effect", effects), ("selectivity", selectivity), ("contribution", contributions)):
        units = take(tab, 10, by, "MLP layers.0")
        assert len(units) == 10
        least = np.sort(values)[-10]
        assert (np.asarray(values)[units] >= least - 1e-5).all(), by
    claim_free = tab.locator(".set .claim")
    assert claim_free.count() == 0  # nothing is changed
    preferred = table["preferred"].values
    rows = tab.locator(".units tbody tr")
    assert rows.count() == 32
    first = rows.first.locator("td").all_inner_texts()
    unit = int(rows.first.locator("th").inner_text())
    assert unit == int(contributions.argmax())
    assert float(first[1].replace("−", "-")) == pytest.approx(effects[unit], abs=6e-4)
    assert first[4] == (str(preferred[unit]) if preferred[unit] >= 0 else "–")


def test_a_set_chosen_by_its_effect_is_described_not_tested(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=set")
    take(tab, 5, "effect", "MLP layers.1")
    tab.get_by_role("button", name="Ablate", exact=True).click()
    claim, *_ = result(tab)
    assert claim.get_attribute("data-verdict") == "description"
    assert "chosen by their effect" in claim.inner_text()
    assert claim.locator(".odds").count() == 0
    top = tab.locator(".network .cost").first
    expect(top).to_have_text(re.compile(r"random units: \S+ to \S+\.$"), timeout=60_000, use_inner_text=True)
    assert top.locator(".odds").count() == 0  # the panel's has more draws
    # Editing it by hand does not make it a test.
    tab.locator(".units input").nth(5).check()
    tab.locator(".set .claim[data-verdict=description]", has_text="these 5 units").wait_for()
    tab.get_by_role("button", name="Clear", exact=True).nth(1).click()
    take(tab, 5, "selectivity", "MLP layers.1")
    tab.get_by_role("button", name="Ablate", exact=True).click()
    tab.locator(".set .claim[data-verdict$=shown]").wait_for()


def members(tab: Page) -> str:
    tab.evaluate(FRAME)
    place = tab.locator(".members")
    return place.inner_text() if place.count() else ""


def test_units_are_taken_by_click_key_and_box_and_let_go(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tile(tab, 0, 1, 3).click(modifiers=["Shift"])
    tile(tab, 1, 2, 5).click(modifiers=["Shift"])
    assert members(tab) == "MLP layers.1: 3; CNN layers.2: 5"
    assert tab.locator(".card").count() == 0
    tile(tab, 0, 1, 3).click(modifiers=["Shift"])
    assert members(tab) == "CNN layers.2: 5"
    tile(tab, 0, 1, 8).focus()
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.press("Shift+ArrowRight")
    tab.keyboard.press("Shift+ArrowRight")
    assert members(tab) == "CNN layers.2: 5; MLP layers.1: 8, 9, 10"
    assert tile(tab, 0, 1, 9).get_attribute("aria-label") == "unit 9, in the set"
    a, b = tile(tab, 0, 0, 0).bounding_box(), tile(tab, 0, 0, 2).bounding_box()
    assert a
    assert b

    def box() -> None:
        tab.mouse.move(a["x"] + 4, a["y"] + 4)
        tab.mouse.down()
        tab.mouse.move(b["x"] + 4, b["y"] + 12, steps=4)

    box()
    assert tab.locator(".box").count() == 1
    tab.keyboard.press("Escape")
    tab.mouse.up()
    assert "CNN layers.2: 5" in members(tab)  # the box is given up, not the set
    assert tab.locator(".card").count() == 0
    box()
    tab.mouse.up()
    assert members(tab) == "MLP layers.0: 0, 1, 2"
    assert tab.locator(".card").count() == 0
    tab.keyboard.press("Control+z")
    address(tab, r"u=1\.2\.5_0\.1\.8\.9\.10")
    assert "8, 9, 10" in members(tab)
    again = opened(explorer, address(tab))
    assert members(again) == members(tab)
    assert again.locator(".tile.in-set").count() == 4
    again.keyboard.press("Escape")
    assert members(again) == ""


def test_a_unit_of_the_only_network_shown_is_that_networks(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    tab.locator(".chooser select").select_option(label="CNN")
    expect(tab.locator(".network")).to_have_count(1)
    tab.locator('.network [data-layer="2"] [data-unit="5"]').click(modifiers=["Shift"])
    assert members(tab) == "CNN layers.2: 5"


def test_a_finger_selects_several_when_asked(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, width=390, height=780, has_touch=True, is_mobile=True)
    tab.get_by_role("button", name="Select several").tap()
    for unit in (2, 3):
        tile(tab, 0, 1, unit).tap()
    assert tab.locator(".card").count() == 0
    tab.get_by_role("button", name="Done: 2 units").tap()
    assert members(tab) == "MLP layers.1: 2, 3"
    tab.get_by_role("button", name="Close the inspector").tap()
    tile(tab, 0, 1, 4).tap()
    tab.locator(".card").wait_for()


def test_units_are_found_by_index_name_and_class(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=set")
    preferred = tab.evaluate("microscope.page.networks.map(network => network.preferred)")
    field, rows = tab.get_by_role("searchbox"), tab.locator(".units tbody tr")

    def found(text: str) -> list[str]:
        field.fill(text)
        tab.evaluate(FRAME)
        return rows.locator("th").all_inner_texts()

    places = [("MLP", 0, 32), ("MLP", 1, 16), ("CNN", 0, 4), ("CNN", 1, 8), ("CNN", 2, 16)]
    assert found("3") == [f"{network} layers.{layer}:3" for network, layer, _ in places]
    assert found("layers.1:9") == ["MLP layers.1:9"]
    assert found("cnn layers.0") == [f"CNN layers.0:{unit}" for unit in range(4)]
    prefer = [
        f"{network} layers.{layer}:{unit}"
        for network, layer, count in places
        for unit in range(count)
        if preferred[network == "CNN"][f"layers.{layer}.hook_post"][unit] == 3
    ]
    assert found("class 3") == prefer
    tab.get_by_role("button", name=f"Select {len(prefer)} unit").click()
    assert len(re.findall(r"\b\d+\b(?![.:])", members(tab).replace("layers.", ""))) >= len(prefer)
    assert found("nothing") == []
    assert "No unit matches" in tab.locator(".set").inner_text()


def test_a_list_is_sorted_and_two_units_are_compared(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=set")
    for column, name in ((1, "effect"), (2, "selectivity"), (3, "logit")):
        tab.locator(".units th").get_by_role("button", name=name).click()
        expect(tab.locator(".units th[aria-sort=descending]")).to_contain_text(name)
        cells = tab.locator(f".units td:nth-child({column + 2})").all_inner_texts()
        values = [float(text.replace("−", "-")) for text in cells if text != "–"]
        assert values == sorted(values, reverse=True), name
    for unit in (4, 9, 2):  # a third takes the place of the first
        tile(tab, 0, 1, unit).click()
        tab.get_by_role("button", name="Pin to compare").click()
    tab.get_by_role("button", name="Compare").click()
    address(tab, r"p=0\.1\.9_0\.1\.2")
    columns = tab.locator(".compared > section")
    expect(columns).to_have_count(2)
    effects = tab.evaluate(
        "microscope.page.networks[0].measures['layers.1.hook_post'].find(m => m.id.endsWith('loss_increase')).value"
    )
    for place, unit in zip(columns.all(), (9, 2), strict=True):
        expect(place.locator("canvas")).to_have_count(7)
        shown_effect = place.locator("dd").nth(2).inner_text().replace("−", "-")
        assert float(shown_effect) == pytest.approx(effects[unit], rel=0.01)
    tab.get_by_role("button", name="Unpin MLP layers.1:9").click()
    expect(columns).to_have_count(1)
    tab.keyboard.press("Control+z")
    expect(columns).to_have_count(2)


def test_a_units_numbers_are_alike_on_its_card_in_the_list_and_beside_another(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#l=0.1.i&p=0.1.3_0.1.5&v=set")
    for column, unit in enumerate((3, 5)):
        panel(tab, "Set")
        row = tab.locator(".units tbody tr").nth(unit)
        listed = row.locator("td").all_inner_texts()[1:3]
        pinned = tab.locator(".compared section").nth(column).locator("dd").all_inner_texts()[2:4]
        row.locator("th button").click()
        card = tab.locator(".card .measure")
        values = [
            card.and_(tab.locator(f'[data-measure="{name}"]')).locator("strong.value").inner_text()
            for name in ("causal.ablate_all/loss_increase", "selectivity.class_selectivity/selectivity")
        ]
        assert pinned == values
        assert listed[1] == values[1]
        assert listed[0] == values[0] or (listed[0] == "0.000" and "0.001" in values[0])  # a bound
