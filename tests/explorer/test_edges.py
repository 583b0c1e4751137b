"""Edges and sums: what the page says adds up to a pre-activation does, and is torch's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_page import FLOATS, address, given, in_page, linear_sums, pixels, unpacked
from playwright.sync_api import Locator, Page, expect

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
TOLERANCE = 1e-4

SUMS = f"""([network, snapshot, text, changed, units]) => {{
    const {{sums, Trace, models}} = microscope, model = models[network];
    const changes = new Map(changed.map(([layer, unit]) => [layer, new Map([[unit, {{kind: 'zero'}}]])]));
    const trace = new Trace(model, ({FLOATS})(text), snapshot, changes);
    return sums.linksOf(model).map(link => units.map(unit => {{
        const position = sums.highestAt(trace, link, unit);
        return [position, [...sums.contributions(trace, link, unit, position)], sums.biasOf(trace, link, unit),
            sums.preActivation(trace, link, unit, position)]; }})); }}"""
"""Of each linear layer and convolution, for each unit asked for: position, contributions, bias, sum."""


@pytest.mark.parametrize("network", [0, 1])
@pytest.mark.parametrize("ablated", [False, True])
def test_contributions_and_bias_sum_to_torchs_pre_activation(
    explorer: Path, opened: Opener, runs: list[nm.Run], network: int, ablated: bool
) -> None:
    tab, run = unpacked(opened(explorer)), runs[network]
    image, units = run.probe.tensor()[5:6], [0, 3]
    steps = tab.evaluate("network => microscope.page.networks[network].steps", network)
    layers = tab.evaluate("network => microscope.page.networks[network].layers", network)
    for snapshot in range(len(steps)):
        model = in_page(tab, run, network, snapshot)
        cut = [(layer, 3) for layer in layers] if ablated else []
        what = ["channel" if len(model.run_with_cache(image)[1][layer].shape) > 2 else "unit" for layer, _ in cut]
        hooks = [(layer, nm.interventions.zero(**{word: unit})) for (layer, unit), word in zip(cut, what, strict=True)]
        found = tab.evaluate(SUMS, [network, snapshot, given(image.numpy()), cut, units])
        with model.hooks(hooks):
            expected = linear_sums(model, image)
        assert len(found) == len(expected) == len(layers) + 1
        for link, of_unit in zip(expected, found, strict=True):
            for unit, (position, parts, bias, whole) in zip(units, of_unit, strict=True):
                torchs = link(unit, position, len(parts))
                assert whole == pytest.approx(torchs["highest"], abs=TOLERANCE)
                np.testing.assert_allclose(parts, torchs["parts"], atol=TOLERANCE)
                assert sum(parts) + bias == pytest.approx(torchs["sum"], abs=TOLERANCE)
        if ablated:
            assert [of_unit[0][1][3] for of_unit in found[1:]] == [0.0] * len(layers)


def exact(place: Locator) -> list[float]:
    return [float(one.get_attribute("data-value") or "nan") for one in place.locator(".exact").all()]


def edges(tab: Page, network: int) -> Locator:
    place = tab.locator(".network").nth(network).locator("canvas.edges[data-edges]")
    place.wait_for(state="attached")
    return place


def colored(tab: Page) -> np.ndarray:
    """Pixels of strongly drawn edges: [orange, blue]."""
    ink = pixels(tab, "canvas.edges").astype(int)
    strong = ink[..., 3] > 60
    return np.array([(strong & (ink[..., 0] > ink[..., 2])).sum(), (strong & (ink[..., 2] > ink[..., 0])).sum()])


def test_edges_are_drawn_in_both_colors_and_a_units_own_are_lit(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    assert 100 <= int(edges(tab, 0).get_attribute("data-edges") or 0) <= 160
    assert edges(tab, 0).get_attribute("data-lit") == "0"
    assert (colored(tab) > 100).all()
    strip = tab.locator(".network").first.locator("[data-layer='1']")
    active = tab.evaluate("""() => {
        const {sums, Trace, models, lab} = microscope, trace = new Trace(models[0], lab.image(lab.images.opening), models[0].last);
        return sums.edgesOf(trace)[1][0].source; }""")
    tile = strip.locator(f"[data-unit='{active}']")
    for light in (tile.hover, tile.focus):
        tab.mouse.move(0, 0)
        tab.locator("canvas.edges[data-lit='0']").first.wait_for(state="attached")
        light()
        tab.locator("canvas.edges:not([data-lit='0'])").wait_for(state="attached")
        assert int(edges(tab, 0).get_attribute("data-lit") or 0) > 10  # to it and from it
        assert edges(tab, 1).get_attribute("data-lit") == "0"


def test_edges_lie_between_the_blocks_and_a_lit_one_leads_from_tile_to_tile(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    edges(tab, 0)
    left, top, width, height = (
        tab.evaluate("""() => { const own = document.querySelector('canvas.edges').getBoundingClientRect();
        const tiles = document.querySelector('[data-layer="1"] .tiles'), box = tiles.getBoundingClientRect();
        const end = tiles.lastElementChild.getBoundingClientRect().top;
        return [box.left - own.left, box.top - own.top, box.width, end - box.top].map(Math.round); }""")
    )

    def over() -> int:
        """Pixels of strong edges over the full lines of the second layer."""
        ink = pixels(tab, "canvas.edges")[top + 1 : top + height - 1, left + 1 : left + width - 1, 3]
        return int((ink > 60).sum())

    assert over() == 0
    tab.locator('.network [data-layer="1"] .tile').nth(5).focus()
    tab.locator("canvas.edges:not([data-lit='0'])").wait_for(state="attached")
    assert over() > 10


def test_a_click_on_an_edge_shows_its_sum(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    edges(tab, 0)
    place = tab.evaluate("""() => {
        const {sums, Trace, models, lab} = microscope, trace = new Trace(models[0], lab.image(lab.images.opening), models[0].last);
        const label = document.querySelectorAll('.network .bars .digit-label')[sums.edgesOf(trace)[1][0].unit];
        const {left, top, height} = label.getBoundingClientRect();
        return [left - 8, top + height / 2]; }""")
    tab.mouse.click(*place)
    shown = tab.locator(".edge")
    assert "→ class" in shown.inner_text()
    weight, activation, product = exact(shown.locator(".product"))
    parts, bias, whole = exact(shown.locator(".total"))
    assert weight * activation == pytest.approx(product, abs=1e-6)
    assert parts + bias == pytest.approx(whole, abs=TOLERANCE)
    assert "All 16 contributions" in shown.inner_text()
    told, link = shown.inner_text(), address(tab, r"e=0\.\d+\.\d+\.\d+$")
    again = opened(explorer, link)
    assert again.locator(".edge").inner_text() == told
    tab.go_back()  # it changed nothing that could be undone
    shown.wait_for(state="detached")
    tab.go_forward()
    shown.wait_for()
    tab.keyboard.press("Escape")
    assert shown.count() == 0


ABOVE = """async () => {
    const [sum, sheet] = ['.edge', '.inspector.open'].map(name => document.querySelector(name));
    for (let i = 0; i < 300 && sum.getBoundingClientRect().bottom > sheet.getBoundingClientRect().top; i++)
        await new Promise(requestAnimationFrame); }"""
"""Done once the sum stands above the sheet, or after some seconds."""


def test_on_a_phone_a_sum_stands_above_the_sheet(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, width=360, height=740)
    link = tab.evaluate("microscope.sums.linksOf(microscope.models[0]).find(link => link.from === 0).place")
    tab = opened(explorer, f"#s=0.0.3&e=0.{link}.3.2", width=360, height=740)
    shown, sheet = tab.locator(".edge"), tab.locator(".inspector.open")
    expect(shown).to_contain_text("→ unit 2 of layers.1")
    tab.evaluate(ABOVE)
    own, below = shown.bounding_box(), sheet.bounding_box()
    assert own
    assert below
    assert own["y"] >= 0
    assert own["y"] + own["height"] <= below["y"]


@pytest.mark.parametrize(("state", "source"), [("#s=0.1.3", "unit"), ("#s=1.1.2", "channel"), ("", "pixel")])
def test_the_same_sums_by_keys_alone(explorer: Path, opened: Opener, state: str, source: str) -> None:
    tab = opened(explorer, state)
    if not state:  # the most active unit of the first layer, and before it one that is not active
        values = tab.evaluate("""() => { const {lab, models} = microscope;
            return [...models[0].forward(lab.image(lab.images.opening), models[0].last).get(lab.layer(0, 0))]; }""")
        tab.evaluate("unit => { location.hash = `s=0.0.${unit}`; }", values.index(0))
        expect(tab.locator(".card")).to_contain_text("Every contribution is 0.")
        tab.evaluate("unit => { location.hash = `s=0.0.${unit}`; }", values.index(max(values)))
    into = tab.get_by_role("list", name="Contributions to it")
    into.get_by_role("button").first.focus()
    tab.keyboard.press("Enter")
    assert into.get_by_role("button").first.inner_text().startswith(source)
    parts, bias, whole = exact(into.locator(".total"))
    assert parts + bias == pytest.approx(whole, abs=TOLERANCE)
    *pair, product = exact(into.locator(".product"))
    if pair:
        assert pair[0] * pair[1] == pytest.approx(product, abs=1e-6)
    else:
        assert "9 weights × 9 activations in the window" in into.inner_text()
    tab.keyboard.press("Enter")
    assert into.locator(".total").count() == 0
    out = tab.get_by_role("list", name="Contributions from it")
    out.get_by_role("button").first.click()
    assert exact(out.locator(".product"))[-1] == exact(out)[0]


def test_sums_follow_an_ablation(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.3")
    into = tab.get_by_role("list", name="Contributions to it")
    first = into.get_by_role("button").first.inner_text()
    unit = first.split()[1]
    tab.evaluate("unit => { location.hash = `s=0.1.3&c=0.0.${unit}z`; }", unit)
    into.get_by_role("button", name=first, exact=True).wait_for(state="detached")
    assert first not in into.inner_text()


def test_no_shown_number_is_left_out_of_the_sum(explorer: Path, opened: Opener, runs: list[nm.Run]) -> None:
    """The class with the highest logit, its sum as a table, is what the run predicts."""
    tab = opened(explorer, "#i=5")
    model: Any = in_page(tab, runs[0], 0)
    with torch.no_grad():
        logits = model(runs[0].probe.tensor()[5:6])[0]
    tab.get_by_role("button", name=f"Step inside class {int(logits.argmax())}").first.click()
    rows = tab.locator("dialog tbody tr")
    rows.first.wait_for()
    values = [exact(row)[-1] for row in rows.all()]
    assert sum(values[:-1]) == pytest.approx(values[-1], abs=TOLERANCE)
    assert values[-1] + model.output.bias.tolist()[int(logits.argmax())] == pytest.approx(
        float(logits.max()), abs=TOLERANCE
    )


def test_a_unit_under_the_pointer_shows_its_contributions_and_none_while_it_is_changed(
    explorer: Path, opened: Opener
) -> None:
    for state, shown in (("", True), ("#c=0.1.3z", False), ("#c=0.1.2z", True)):
        tab = opened(explorer, state)
        tab.locator('[data-network="0"] [data-layer="1"] [data-unit="3"]').hover()
        expect(tab.locator(".seen figcaption")).to_contain_text("Gradient × pixel")
        expect(tab.locator('[data-network="0"] .added')).to_have_count(10 if shown else 0)
        expect(tab.locator('[data-network="0"] .heading')).to_contain_text("contribution to " if shown else "")
        if not shown:
            expect(tab.locator('[data-network="0"] .heading')).not_to_contain_text("contribution to ")
