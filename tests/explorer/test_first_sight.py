"""The page opens on an image on which the networks hesitate, and an ablation changes the prediction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_page import address, says
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
        tab.locator(".network .was", has_text=f", before: {before} (p").wait_for()
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
        """() => { for (const one of microscope.evaluators) one.flips = async () => ({count: 0, best: null}); }"""
    )
    tab.evaluate("i => { location.hash = `i=${i}`; }", other)
    place.get_by_role("button", name="Show an image that one unit decides").click()
    expect(place.locator(".flips").first).to_contain_text("0 of")
    tab.evaluate("location.hash = 't=0'")
    place.get_by_role("button", name="Show the last snapshot").click()
    expect(tab.get_by_role("slider", name="Snapshot of training")).to_have_value("3")
    assert opening != other
