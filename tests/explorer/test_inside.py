"""Step inside: every number of a unit's walk is torch's, and the walk goes by keys alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from in_page import address, check_axe
from playwright.sync_api import Locator, Page, expect
from test_edges import exact

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
TOLERANCE = 1e-4
IMAGE = 5


@pytest.fixture(scope="module")
def caches(runs: list[nm.Run]) -> list[tuple[Any, dict[str, torch.Tensor]]]:
    """Each network at its last snapshot, which the page has in float16, and what it computes of the image."""
    models: list[Any] = [run.model().half().float() for run in runs]
    return [
        (model, dict(model.run_with_cache(run.probe.tensor()[IMAGE : IMAGE + 1])[1]))
        for model, run in zip(models, runs, strict=True)
    ]


def step_inside(tab: Page) -> Locator:
    tab.locator(".card").get_by_role("button", name="Step inside").click()
    place = tab.get_by_role("dialog")
    place.wait_for()
    return place


def title(place: Locator) -> str:
    return place.locator(".steps [aria-current]").inner_text()


def totals(place: Locator) -> list[float]:
    return exact(place.locator(".step [data-total]"))


@pytest.mark.parametrize(("layer", "unit"), [(0, 3), (1, 7)])
def test_a_units_walk_gives_torchs_numbers(explorer: Path, opened: Opener, caches: Any, layer: int, unit: int) -> None:
    model, cache = caches[0]
    tab = opened(explorer, f"#i={IMAGE}&s=0.{layer}.{unit}")
    place = step_inside(tab)
    assert title(place) == "1. Dot product"
    x = (cache["input"] if layer == 0 else cache["layers.0.hook_post"]).reshape(-1)
    weight, bias = model.layers[layer].weights.weight[unit].detach(), model.layers[layer].weights.bias.tolist()[unit]
    products = sorted((weight * x).tolist(), key=abs, reverse=True)
    rows = [exact(row) for row in place.locator("[data-term]").all()]
    assert [row[2] for row in rows] == pytest.approx(products[:8], abs=TOLERANCE)
    assert [a * w for a, w, _ in rows] == pytest.approx([row[2] for row in rows], abs=1e-6)
    assert exact(place.locator("[data-rest]")) == pytest.approx([sum(products[8:])], abs=TOLERANCE)
    assert totals(place) == pytest.approx([sum(products)], abs=TOLERANCE)
    assert place.locator(".pictures canvas").count() == (3 if layer == 0 else 0)
    tab.keyboard.press("ArrowRight")
    assert title(place) == "2. Bias"
    pre, post = (float(cache[f"layers.{layer}.{name}"][0, unit]) for name in ("hook_pre", "hook_post"))
    assert exact(place.locator(".step")) == pytest.approx([sum(products), bias, pre], abs=TOLERANCE)
    tab.keyboard.press("ArrowRight")
    assert title(place) == "3. ReLU"
    assert totals(place) == pytest.approx([pre, post], abs=TOLERANCE)
    tab.keyboard.press("ArrowRight")  # there is no further one
    assert title(place) == "3. ReLU"
    tab.keyboard.press("ArrowLeft")
    assert title(place) == "2. Bias"
    place.get_by_role("button", name="Back").click()
    assert title(place) == "1. Dot product"
    tab.keyboard.press("Escape")
    place.wait_for(state="detached")
    assert tab.evaluate("document.activeElement.innerText") == f"Step inside unit {unit}"
    assert tab.locator(".card").count() == 1


@pytest.mark.parametrize("layer", [0, 1])
def test_a_channels_walk_gives_torchs_numbers_wherever_the_window_is(
    explorer: Path, opened: Opener, caches: Any, layer: int
) -> None:
    model, cache = caches[1]
    channel = int(cache[f"layers.{layer}.hook_post"][0].amax((1, 2)).argmax())
    tab = opened(explorer, f"#i={IMAGE}&s=1.{layer}.{channel}", reduced_motion="reduce")
    place = step_inside(tab)
    conv = model.layers[layer].weights
    x = cache["input"] if layer == 0 else cache["layers.0.hook_pool"]
    windows = torch.nn.functional.unfold(x, 3, padding=1)[0]
    pre, post, pooled = (cache[f"layers.{layer}.{name}"][0, channel] for name in ("hook_pre", "hook_post", "hook_pool"))
    assert place.get_by_role("button", name="Slide").count() == 0  # the reader asks for less motion
    slider = place.get_by_role("slider")
    apart = windows.reshape(x.shape[1], 9, -1)
    weights = conv.weight[channel].detach().reshape(x.shape[1], 9, 1)
    opens = int((weights * (apart - apart.mean(1, keepdim=True))).abs().sum((0, 1)).argmax())
    assert int(slider.input_value()) == opens
    for position in (opens, 0, len(windows.T) // 3):
        slider.fill(str(position))
        row, col = divmod(position, pre.shape[1])
        assert f"row {row}, column {col}" in place.inner_text()
        products = (conv.weight[channel].detach().reshape(-1) * windows[:, position]).reshape(x.shape[1], 9)
        sums = products.sum(1)
        source = int(place.locator("[aria-pressed=true]").inner_text().split()[1]) if layer else 0
        grids = [exact(grid) for grid in place.locator(".grid").all()]
        torchs = [
            windows[:, position].reshape(-1, 9)[source],
            conv.weight[channel, source].detach().reshape(-1),
            products[source],
        ]
        for grid, values in zip(grids, torchs, strict=True):
            assert grid == pytest.approx(values.tolist(), abs=TOLERANCE)
        assert totals(place) == pytest.approx([float(sums.sum())], abs=TOLERANCE)
        if layer:
            own, whole = float(sums[source]), float(sums.sum())
            assert exact(place.locator(".equation .total")) == pytest.approx([own, whole - own, whole], abs=TOLERANCE)
            listed = sum(exact(place.locator("table"))[:-1])
            assert listed == pytest.approx(float(sums.sum()), abs=TOLERANCE)
        place.get_by_role("button", name="Next").click()
        expect(place.locator(".steps [aria-current]")).to_have_text("2. Bias")
        told = [float(sums.sum()), conv.bias.tolist()[channel], float(pre[row, col])]
        assert exact(place.locator(".step")) == pytest.approx(told, abs=TOLERANCE)
        place.get_by_role("button", name="Next").click()
        assert title(place) == "3. ReLU"
        assert totals(place) == pytest.approx([float(pre[row, col]), float(post[row, col])], abs=TOLERANCE)
        place.get_by_role("button", name="Next").click()
        assert title(place) == "4. Max pooling"
        window = post[row // 2 * 2 : row // 2 * 2 + 2, col // 2 * 2 : col // 2 * 2 + 2].flatten().tolist()
        assert totals(place) == pytest.approx([*window, float(pooled[row // 2, col // 2])], abs=TOLERANCE)
        place.locator(".steps button").first.click()


def test_the_window_slides_and_goes_where_the_map_is_clicked(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, f"#i={IMAGE}&s=1.0.1", reduced_motion="no-preference")
    place = step_inside(tab)
    slider = place.get_by_role("slider")
    expect(place).to_contain_text(
        "Colors here, unlike on the tiles: blue is negative, orange is positive, 0 has the page's color; an image is ink."
    )
    for number in place.locator(".grid").nth(1).locator(":scope > span").all():
        hue = "negative" if number.inner_text().startswith("−") else "positive"
        assert f"--hue: var(--{hue})" in (number.get_attribute("style") or "") or float(number.inner_text()) == 0
    slider.fill("3")
    place.get_by_role("button", name="Slide").click()
    expect(slider).not_to_have_value("3")
    place.get_by_role("button", name="Pause").click()
    place.get_by_role("img", name="the sum at each position").click(position={"x": 2, "y": 2})
    expect(slider).to_have_value("0")


def test_a_classs_walk_ends_in_the_softmax(explorer: Path, opened: Opener, caches: Any) -> None:
    _, cache = caches[1]
    logits = cache["logits"][0]
    tab = opened(explorer, f"#i={IMAGE}")
    tab.get_by_role("button", name="Step inside class").nth(1).click()
    place = tab.get_by_role("dialog")
    for label in (int(logits.argmax()), 2):
        place.locator("select").select_option(str(label))
        place.locator(".steps button").nth(1).click()
        assert exact(place.locator(".step"))[-1] == pytest.approx(float(logits[label]), abs=TOLERANCE)
    place.get_by_role("button", name="Next").click()
    assert title(place) == "3. Softmax"
    rows = torch.tensor([exact(row) for row in place.locator("[data-term]").all()])
    torch.testing.assert_close(rows[:, 0], logits, atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(rows[:, 1], (logits - logits.max()).exp(), atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(rows[:, 2], logits.softmax(0), atol=TOLERANCE, rtol=0)


def test_a_walk_is_in_the_address_and_undone(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, f"#i={IMAGE}&s=1.0.1", reduced_motion="reduce")
    place = step_inside(tab)
    place.get_by_role("slider").fill("3")
    address(tab, r"x=1\.0\.1\.0\.3\b")
    place.get_by_role("button", name="Next").click()
    tab.keyboard.press("ArrowRight")
    link = address(tab, r"x=1\.0\.1\.2\.\d+$")
    shown = place.locator(".step").inner_text()
    again = opened(explorer, link, reduced_motion="reduce").get_by_role("dialog")
    assert title(again) == title(place)
    assert again.locator(".step").inner_text() == shown
    expect(tab.get_by_role("button", name="Undo", include_hidden=True)).to_be_disabled()  # nothing was changed
    tab.go_back()
    expect(place.locator(".steps [aria-current]")).to_have_text("1. Convolution")
    tab.go_back()
    place.wait_for(state="detached")
    assert tab.evaluate("document.activeElement.innerText") == "Step inside channel 1"
    tab.go_forward()
    place.wait_for()


def test_every_picture_of_a_walk_has_its_range_and_maps_share_one(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, f"#i={IMAGE}&x=1.0.1.0.300")
    place = tab.get_by_role("dialog")
    shared = set()
    for button in place.locator(".steps button").all():
        button.click()
        expect(place).to_contain_text("Colors here, unlike on the tiles: blue is negative, orange is positive")
        pictures, ends = place.locator(".mapped, .grid"), place.locator(".ends")
        assert pictures.count() == ends.count() > 0
        assert place.locator(".ends .amount").count() == 0  # blue is one thing
        assert place.locator(".ends .ink").count() == (2 if title(place) == "1. Convolution" else 0)
        maps = place.locator(".captioned", has=tab.locator(".mapped")).locator(".ends:has(.signed)")
        shared |= set(maps.all_inner_texts())
    assert len(shared) == 1


def test_a_walk_opens_where_there_is_something_and_ends_in_what_it_adds_up_to(
    explorer: Path, opened: Opener, caches: Any
) -> None:
    tab = opened(explorer, f"#i={IMAGE}")
    cache = caches[1][1]
    for channel, pre in enumerate(cache["layers.0.hook_pre"][0].flatten(1)):
        tab.evaluate("hash => { location.hash = hash; }", f"#i={IMAGE}&s=1.0.{channel}")
        tab.locator(".card h2", has_text=f"channel {channel}").wait_for()
        place = step_inside(tab)
        window = exact(place.locator(".grid").first)
        assert any(window), channel  # not the empty background
        assert pre.std() > 0
        place.locator(".steps button").last.click()
        value = float(place.locator(".equation .exact").last.get_attribute("data-value") or "nan")
        closing = place.locator(".closing")
        expect(closing).to_have_text(
            re.compile(
                r"^In short: Convolution .* → with the bias .* → ReLU .* → Max pooling \(largest of its 2 × 2 window\) "
            )
        )
        expect(closing).to_contain_text(f"make the map of channel {channel}, 14 × 14, which layers.1 reads.")
        said = re.findall(r"window\) ([^ ]*)\. ", closing.inner_text())
        assert float(said[0].replace("−", "-")) == pytest.approx(value, rel=5e-3, abs=1e-6)
        tab.keyboard.press("Escape")
        place.wait_for(state="detached")
    place.wait_for(state="detached")
    tab.evaluate("hash => { location.hash = hash; }", f"#i={IMAGE}&x=0.2.4.2.0")
    best = int(caches[0][1]["logits"][0].argmax())
    expect(tab.locator(".closing")).to_contain_text(f"so the network predicts {best}.")


def test_an_ablation_is_a_step_of_the_walk(explorer: Path, opened: Opener, caches: Any) -> None:
    unit = int(caches[0][1]["layers.1.hook_post"][0].argmax())
    place = step_inside(opened(explorer, f"#i={IMAGE}&s=0.1.{unit}&c=0.1.{unit}z"))
    place.locator(".steps button").last.click()
    assert title(place) == "4. Ablated"
    before = float(caches[0][1]["layers.1.hook_post"][0, unit])
    assert totals(place) == pytest.approx([before, 0], abs=TOLERANCE)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
@pytest.mark.parametrize("state", ["#s=0.0.3", "#s=1.1.2&c=1.1.2z"])
def test_each_step_is_accessible_and_fits(explorer: Path, opened: Opener, state: str, width: int, scheme: str) -> None:
    tab = opened(explorer, state, width=width, scheme=scheme)
    tab.get_by_role("list", name="Contributions to it").get_by_role("button").first.click()
    place = step_inside(tab)
    for step in place.locator(".steps button").all():
        step.click()
        box = place.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        check_axe(tab, step.inner_text())
