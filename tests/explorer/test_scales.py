"""A layer's colors end at its largest activation at the snapshot shown, or at all snapshots, as the reader chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import address, pixels
from playwright.sync_api import Page, expect

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

LAYER = "layers.0.hook_post"


def brightness(tab: Page) -> float:
    """Of the first layer's tiles."""
    found = pixels(tab, ".strip canvas")
    return float(found[found[..., 3] > 0][:, :3].mean())


def test_the_largest_activation_is_torchs_at_each_snapshot_and_an_early_one_is_visible(
    explorer: Path, runs: list[nm.Run], opened: Callable[..., Page]
) -> None:
    tab = opened(explorer, "#t=0")
    about = tab.evaluate(f"microscope.page.networks.map(one => [one.steps, one.scales['{LAYER}']])")
    tops = []
    for run, (steps, scale) in zip(runs, about, strict=True):
        acts = [nm.activations(run.model(step), run.probe, LAYER)[LAYER] for step in steps]
        assert scale["top"] == pytest.approx([float(abs(one).max()) for one in acts])
        assert not scale["both"]
        tops.append(scale["top"])
    assert tops[0][0] < 0.7 * max(tops[0])  # else the two scales look alike
    said = tab.locator(".layer h3 small").first
    expect(said).to_contain_text(f"0 to {tops[0][0]:.3g}")
    own = brightness(tab)
    tab.get_by_label("Colors scaled to").select_option("all snapshots")
    expect(said).to_contain_text(f"0 to {max(tops[0]):.3g}")
    assert "z=all" in address(tab)
    assert brightness(tab) > own + 5  # on a light page small activations are pale
