"""In a notebook the page lives in a frame; what is saved is small: a picture and a link."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

import neural_microscope as nm
from neural_microscope.analysis.look import FirstLook, first_look


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nm.Run:
    folder = tmp_path_factory.mktemp("shown") / "run"
    model = nm.MLP(nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)))
    recorder = nm.Recorder(folder, nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=60))
    nm.train(model, nm.data.load("digits"), nm.TrainConfig(epochs=1), observers=[recorder])
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def look(run: nm.Run) -> FirstLook:
    return first_look(run)


@pytest.mark.browser
def test_a_cell_shows_the_page_in_a_frame_and_the_state_is_kept_in_its_address(
    run: nm.Run, tmp_path: Path, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = nm.explorer.show(run, "a page & more.html", snapshots=2)
    bundle = shown._repr_mimebundle_()
    assert len(json.dumps(bundle)) < 200_000  # however large the page is
    (tmp_path / "notebook.html").write_text(bundle["text/html"], "utf-8")
    tab = browser.new_context(offline=True).new_page()
    tab.goto((tmp_path / "notebook.html").as_uri())
    frame = tab.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached")
    frame.locator('[data-unit="3"]').first.click()
    expect(frame.locator(".card h2")).to_contain_text("unit 3")
    tab.frames[1].wait_for_url("**#s=0.0.3")
    assert tab.get_by_role("link", name="Open the explorer").get_attribute("href") == "a%20page%20%26%20more.html"
    tab.context.close()


def test_what_is_saved_is_a_picture_with_words_and_no_path_of_this_machine(
    look: FirstLook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = nm.explorer.show([look], tmp_path / "page.html", snapshots=1)._repr_mimebundle_()
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))).convert("L"))
    assert (picture < 100).mean() > 0.005  # a digit in ink
    assert "the activations of each layer of each network" in bundle["text/html"]
    assert str(tmp_path) not in json.dumps(bundle)


@pytest.mark.browser
def test_the_page_also_lives_in_a_frame_without_an_address(look: FirstLook, tmp_path: Path, browser: Browser) -> None:
    page = nm.explorer.write([look], tmp_path / "page.html", snapshots=1)
    tab, said = browser.new_context(offline=True).new_page(), list[str]()
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.set_content("<iframe width=900 height=700></iframe>")
    tab.locator("iframe").evaluate("(frame, text) => { frame.srcdoc = text; }", page.read_text("utf-8"))
    frame = tab.frame_locator("iframe")
    frame.locator("html[data-ready]").wait_for(state="attached")
    frame.locator('[data-unit="3"]').first.click()
    expect(frame.locator(".card h2")).to_contain_text("unit 3")
    assert said == []
    tab.context.close()
