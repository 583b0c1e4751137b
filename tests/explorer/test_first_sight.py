"""The page opens on an image on which the networks hesitate, and an ablation changes the prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_page import address, panel, says
from playwright.sync_api import Page, expect

import neural_microscope as nm
from neural_microscope.explorer.graph import operations
from neural_microscope.explorer.opening import CANDIDATES, opening
from neural_microscope.explorer.payload import shown

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]

FLIPS = """network => {
    const {models, images, lab} = microscope, model = models[network], image = lab.image(images.opening);
    const best = seen => { const l = seen.get('logits'); return l.indexOf(Math.max(...l)); };
    const usual = best(model.forward(image, model.last)), found = [];
    model.data.layers.forEach((layer, place) => {
        for (let unit = 0; unit < model.units(layer).count; unit++) {
            const changes = new Map([[layer, new Map([[unit, {kind: 'zero'}]])]]);
            if (best(model.forward(image, model.last, changes)) !== usual) found.push([place, unit]);
        }
    });
    return found; }"""
"""The units whose ablation changes a network's prediction for the opening image: [layer, unit]."""


def test_the_image_is_the_one_that_most_single_ablations_flip_in_the_least_easily_flipped_network(
    runs: list[nm.Run],
) -> None:
    images = runs[0].probe
    networks = [(model, shown(operations(model), model)) for model in (run.model() for run in runs)]
    margins, shares = [], []
    for model, layers in networks:
        logits = nm.evaluate(model, images).logits
        margins.append(np.diff(np.sort(logits.softmax(1).numpy())[:, -2:])[:, 0])
        flipped = []
        for layer in layers:
            _, cache = model.run_with_cache(images.tensor()[:1])
            axis = "unit" if cache[layer].ndim == 2 else "channel"
            for unit in range(cache[layer].shape[1]):
                with model.hooks([(layer, nm.interventions.zero(**{axis: unit}))]):
                    flipped.append((nm.evaluate(model, images).logits.argmax(1) != logits.argmax(1)).numpy())
        shares.append(np.mean(flipped, axis=0))
    hesitant = np.argsort(np.max(margins, axis=0))[:CANDIDATES]
    found = opening(networks, images)
    assert found in hesitant
    worst = np.min(shares, axis=0)
    assert worst[found] == pytest.approx(worst[hesitant].max())
    assert worst[found] > 0.02


def test_it_opens_there_and_says_so_in_no_address(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    index = tab.evaluate("microscope.images.opening")
    expect(tab.locator(".digit .said")).to_contain_text(f"Image {index}:")
    assert address(tab) == ""
    for network in range(2):
        layer, unit = tab.evaluate(FLIPS, network)[0]
        tab.evaluate("location.hash = ''")
        before = says(tab, network)
        tab.locator(".network").nth(network).locator(".strip").nth(layer).locator(f'[data-unit="{unit}"]').click()
        tab.locator(".card").get_by_role("button", name="Ablate").click()
        tab.locator(".network .was", has_text=f", before: {before} (").wait_for()
        expect(tab.locator(".verdict strong").nth(network)).not_to_have_text(str(before))
    tab.get_by_label("Image", exact=True).fill("0")
    tab.keyboard.press("Enter")
    address(tab, r"i=0\b")


def test_where_no_ablation_changes_the_prediction_the_page_says_where_one_does(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer)
    place = tab.locator(".invitation")
    expect(place.locator("button.primary")).to_have_text("Ablate one that does")
    opening, other = tab.evaluate("[microscope.images.opening, microscope.images.count - 1]")
    tab.evaluate(
        """() => { for (const one of microscope.evaluators) one.flips = async () => ({units: [], best: null}); }"""
    )
    tab.evaluate("i => { location.hash = `i=${i}`; }", other)
    place.get_by_role("button", name="Show an image that one unit decides").click()
    expect(place.locator(".flips").first).to_contain_text("0 of")
    tab.evaluate("location.hash = 't=0'")
    place.get_by_role("button", name="Show the last snapshot").click()
    expect(tab.get_by_role("slider", name="Snapshot of training")).to_have_value("3")
    assert opening != other


def test_the_units_that_change_the_prediction_are_marked_by_a_click_and_nothing_moves(
    explorer: Path, opened: Opener
) -> None:
    tab = opened(explorer)
    count = tab.locator(".flips .link").first
    before = count.bounding_box()
    count.click()
    marked = sorted(map(tuple, tab.evaluate(FLIPS, 0)))
    expect(tab.locator('[data-network="0"] .tile.in-set')).to_have_count(len(marked))
    found = tab.evaluate(
        "[...document.querySelectorAll('.in-set')].map(t => [t.closest('[data-layer]').dataset.layer, t.dataset.unit])"
    )
    assert sorted((int(layer), int(unit)) for layer, unit in found) == marked
    assert count.bounding_box() == before
    count.click()
    expect(tab.locator(".in-set")).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1024, 768), (360, 740)])
def test_the_questions_are_in_reach_after_a_unit_is_chosen_and_at_every_width(
    explorer: Path, opened: Opener, width: int, height: int
) -> None:
    tab = opened(explorer, "#s=0.1.3" if width > 1200 else "", width=width, height=height)
    if width <= 1200:
        tab.get_by_role("button", name="Questions").click()
    else:
        panel(tab, "Missions")
    question = tab.locator(".questions").get_by_role("button", name="learn to tell")
    expect(question).to_be_in_viewport(ratio=1)
    question.click()
    expect(tab.locator(".learning h3").first).to_be_in_viewport()


def test_at_1024_by_768_both_networks_are_in_sight(wide_explorer: Path, opened: Opener) -> None:
    tab = opened(wide_explorer, width=1024, height=768)
    for tiles in tab.locator(".network .tiles").all():
        expect(tiles).to_be_in_viewport(ratio=0.9)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1000, 760)])
def test_a_changed_prediction_and_what_small_bars_are_stand_below_each_other(
    explorer: Path, opened: Opener, width: int, height: int
) -> None:
    tab = opened(explorer, width=width, height=height)
    layer, unit = tab.evaluate(FLIPS, 0)[0]
    before = tab.locator(".says").first.bounding_box()
    tab.evaluate("hash => { location.hash = hash; }", f"c=0.{layer}.{unit}z")
    verdict = tab.locator(".verdict.flipped")
    expect(verdict).to_contain_text(", was ")
    assert tab.locator(".says").first.bounding_box() == before
    assert verdict.evaluate("one => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight")
    tab.locator('[data-network="0"] .tile:not([aria-label*=ablated])').first.hover()
    told = [tab.locator(".network .was").first.locator(part) for part in ("span:first-child", ".note")]
    expect(told[1]).to_contain_text("contribution to each logit")
    first, second = (one.bounding_box() for one in told)
    assert first
    assert second
    assert second["y"] >= first["y"] + 10
    assert "before:" in told[0].inner_text()
