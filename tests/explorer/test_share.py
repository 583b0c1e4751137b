"""Output of the page: a link of the view, and the confusion matrix as a table and as a picture."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_page import address
from PIL import Image
from playwright.sync_api import Page, expect
from test_in_the_page import saved

import neural_microscope as nm

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

Opener = Callable[..., Page]
VIEW = "#i=7&t=2&s=0.1.4&c=0.1.4z_1.0.2s2&m=1.2.error&v=map"


def test_the_link_of_the_view_is_copied_and_opens_it(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, VIEW, permissions=["clipboard-read", "clipboard-write"])
    told = tab.locator(".copy").first.get_by_role("status")
    expect(told).to_be_empty()
    tab.get_by_role("button", name="Copy link").click()
    expect(told).to_contain_text("Link copied.")
    message, button = (one.bounding_box() for one in (told, tab.get_by_role("button", name="Copy link")))
    assert message
    assert button
    assert 0 <= message["y"] - button["y"] - button["height"] < 20  # it stands below its button
    assert message["x"] + message["width"] <= 1280
    assert told.evaluate("told => getComputedStyle(told).pointerEvents") == "none"  # and keeps no press from the tabs
    tab.keyboard.press("Escape")
    expect(told).to_be_empty()
    assert tab.locator(".map").is_visible()  # Esc closed the message alone
    link = tab.evaluate("navigator.clipboard.readText()")
    assert link == tab.url
    again = opened(explorer, link[link.index("#") :])
    assert address(again) == address(tab)
    expect(again.locator(".bars")).to_have_text(tab.locator(".bars").all_text_contents())


def test_opened_sections_are_part_of_the_link_and_no_step_of_the_history(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=confusion")
    length = tab.evaluate("history.length")
    section = tab.locator(".details").first
    section.get_by_text("By class").click()
    tab.locator(".matrix summary", has_text="Confusion matrix").first.click()  # open at first
    assert "o=class.0_matrix.0" in address(tab, "matrix")
    assert tab.evaluate("history.length") == length
    again = opened(explorer, address(tab))
    expect(again.locator(".details").first.get_by_role("columnheader", name="accuracy (%)")).to_be_visible()
    expect(again.locator(".confusion").first).to_be_hidden()
    expect(again.locator(".confusion").nth(1)).to_be_visible()


def copied(tab: Page) -> str:
    """The hash of the link that Copy link gives."""
    tab.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    tab.get_by_role("button", name="Copy link").click()
    expect(tab.locator(".copy .told").first).to_contain_text("Link copied.")
    link = str(tab.evaluate("window.copied"))
    return link[link.find("#") :] if "#" in link else ""


def test_the_link_leaves_out_predictions_and_what_is_not_in_sight(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#i=7&c=0.1.4z&q=0&a=0.3_1.1&v=confusion&o=class.0_results.0")
    tab.locator(".details .breakdown").first.wait_for()
    assert copied(tab) == "#i=7&c=0.1.4z&v=confusion&o=class.0"
    expect(tab.locator(".copy .told").first).to_contain_text("without your predictions")
    assert "a=0.3_1.1" in address(tab)  # which the page itself keeps
    tab = opened(explorer, "#q=0&a=0.3&o=results.0")
    tab.locator(".outcome").wait_for()
    assert copied(tab) == "#q=0"
    expect(opened(explorer, "#q=0").get_by_role("button", name="Commit")).to_be_visible()


def test_the_link_opens_where_the_sender_reads(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#s=0.1.4", height=720)
    tab.get_by_role("heading", name="Claims about this unit").wait_for()
    tab.locator(".card h3", has_text="Measures").evaluate("one => one.scrollIntoView({block: 'start'})")
    link = copied(tab)
    assert "&at=" in link
    again = opened(explorer, link, height=720)
    expect(again.locator(".card h3", has_text="Measures")).to_be_in_viewport()
    expect(again.locator(".card h3", has_text="Strongest")).not_to_be_in_viewport()
    assert "at=" not in copied(opened(explorer, "#s=0.1.4"))


@pytest.mark.parametrize("clipboard", ["undefined", "{writeText: () => Promise.reject(new Error('refused'))}"])
def test_a_refused_clipboard_shows_the_link_selected(explorer: Path, opened: Opener, clipboard: str) -> None:
    tab = opened(explorer, VIEW)
    tab.evaluate(f"Object.defineProperty(navigator, 'clipboard', {{value: {clipboard}}})")
    for button, text in (("Copy link", tab.url), ("Copy", None)):
        if text is None:
            tab.get_by_role("tab", name="Python").click()
            text = tab.locator("pre").inner_text()
        tab.get_by_role("button", name=button, exact=True).click()
        field = tab.get_by_label("This browser blocks copying")
        assert field.input_value() == text
        shown, pressed = field.bounding_box(), tab.get_by_role("button", name=button, exact=True).bounding_box()
        assert shown
        assert pressed
        assert 0 <= shown["y"] - pressed["y"] - pressed["height"] < 80
        assert shown["x"] < pressed["x"] + pressed["width"]
        tab.wait_for_function(
            "([field, end]) => !field.selectionStart && field.selectionEnd === end",
            arg=[field.element_handle(), len(text)],
        )
        assert field.evaluate("field => field === document.activeElement")
        tab.keyboard.press("Escape")
        expect(field).to_have_count(0)


def test_the_confusion_matrix_is_saved_as_table_and_as_captioned_picture(explorer: Path, opened: Opener) -> None:
    tab = opened(explorer, "#v=confusion&c=1.2.3z")
    tab.locator(".breakdown").nth(1).wait_for()
    shown = [
        [int(cell.split()[0]) for cell in row.split("\t")[1:]]
        for row in tab.locator(".confusion").nth(1).locator("tbody tr").all_inner_texts()
    ]
    name, table = saved(tab, "as CSV: CNN .* confusion")
    assert re.fullmatch(r"CNN-step-\d+-confusion-matrix.csv", name)
    head, *rows = table.decode().splitlines()
    assert head == "true class," + ",".join(f"predicted {label}" for label in range(10))
    assert [[int(cell) for cell in row.split(",")[1:]] for row in rows] == shown
    name, picture = saved(tab, "as PNG: CNN .* confusion")
    assert name.endswith("confusion-matrix.png")
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("L"))
    assert pixels.shape[0] > pixels.shape[1]  # below the square there is a caption
    assert (pixels[pixels.shape[1] :] < 100).sum() > 200


def test_the_python_of_a_set_gives_its_effect(
    explorer: Path, opened: Opener, runs: list[nm.Run], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    tab = opened(explorer, "#u=0.1.3.4_1.1.2&c=0.1.3z_0.1.4z_1.1.2s2_0.0.1z&v=set")
    shown = []
    for network in (0, 1):
        place = tab.locator(".panel:not([hidden]) .claim").nth(network)
        expect(place).to_have_attribute("data-increase", re.compile(r"\d"), timeout=60_000)
        shown.append(float(place.get_attribute("data-increase") or "nan"))
    tab.get_by_role("tab", name="Python").click()
    text = tab.locator("pre").inner_text()
    assert "unit=[3, 4]" in text  # the same change to two units is one line
    names: dict[str, Any] = {}
    exec(text.replace('Path(".")', f"Path({str(runs[0].folder.parent)!r})"), names)
    for name, value in zip(("mlp", "cnn"), shown, strict=True):
        assert names[f"{name}_increase"] == pytest.approx(value, abs=2e-3)  # rounding of the weights
        assert names[f"{name}_increase"] != 0
