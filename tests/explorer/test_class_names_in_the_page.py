"""Names of classes in the explorer, in place of their numbers."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from in_page import FRAME, panel
from playwright.sync_api import Page, expect

import neural_microscope as nm
import small_runs

pytestmark = pytest.mark.browser

WRITTEN = """() => {
    window.texts = [];
    const {fillText} = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (text, ...more) { texts.push(text); fillText.call(this, text, ...more); }; }"""
"""From now on the page's texts on canvases are kept."""
NAMES = ("T-shirt", "<b>bag</b>", "ankle boot")


def test_the_page_calls_classes_by_name(tmp_path: Path, opened: Callable[..., Page]) -> None:
    data = small_runs.data()
    parts = {part: dataclasses.replace(getattr(data, part), class_names=NAMES) for part in ("train", "test")}
    recorder = nm.Recorder(tmp_path / "run", dataclasses.replace(small_runs.RECORD, probe_size=24))
    named = dataclasses.replace(data, **parts)
    nm.train(small_runs.mlp(), named, nm.TrainConfig(epochs=2, batch_size=30), observers=[recorder])
    path = nm.explorer.write([nm.Run.open(tmp_path / "run")], tmp_path / "explorer.html", snapshots=3)
    tab = opened(path, "#v=confusion&k=0.2")
    assert tab.locator(".digit-label").all_inner_texts() == [*NAMES]
    assert tab.locator("table.confusion tbody th").all_inner_texts() == [*NAMES]
    expect(tab.locator(".learning h3")).to_have_text(re.compile(": T-shirt predicted as ankle boot over training$"))
    expect(tab.locator(".digit .said")).to_contain_text("class ")
    assert tab.locator(".filter select").first.locator("option").all_inner_texts() == ["all", *NAMES]
    expect(tab.locator(".top")).to_contain_text("Choose an image or draw one")
    panel(tab, "Map")
    tab.locator(".scatter").wait_for()
    tab.evaluate(WRITTEN)
    tab.get_by_role("button", name="Zoom in").click()
    tab.evaluate(FRAME)
    written = set(tab.evaluate("texts"))
    assert written >= {"T-shirt", "<b>bag</b>", "ankle boot"}
    assert not written & {"0", "1", "2"}
