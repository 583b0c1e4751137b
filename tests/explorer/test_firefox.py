"""The page in Firefox, over WebDriver BiDi: the same numbers as PyTorch's, a drawing, another snapshot, the map, and no request."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from in_page import ARRAY, FLOATS, array, given, in_page, one_image

import neural_microscope as nm

pytestmark = [pytest.mark.slow, pytest.mark.browser, pytest.mark.mnist]

LAYER = "layers.0.hook_post"
UNITS = [0, 3]
FEW = 30
SNAPSHOTS = [1, -1]

PASSES = f"""([network, snapshot, text]) => {{
    const model = microscope.models[network], all = ({FLOATS})(text), found = {{}};
    for (let i = 0; i < all.length; i += 784)
        for (const [name, values] of model.forward(all.subarray(i, i + 784), snapshot)) (found[name] ??= []).push(...values);
    return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, ({ARRAY})(new Float32Array(values))])); }}"""
ABLATIONS = f"""async units => Promise.all(microscope.evaluators.map(async (evaluator, network) => {{
    const {{last}} = microscope.models[network], base = await evaluator.answers(last, new Map()), found = [];
    for (const unit of units) {{
        const cut = await evaluator.answers(last, new Map([['{LAYER}', new Map([[unit, {{kind: 'zero'}}]])]]));
        found.push([base.accuracy - cut.accuracy, cut.loss - base.loss]); }}
    return found; }}))"""
SEEN = """() => ({
    hash: location.hash, said: document.querySelector('.digit .said').textContent,
    predicts: [...document.querySelectorAll('.verdict strong')].map(one => one.textContent),
    accuracy: [...document.querySelectorAll('.cost')].map(one => Number(one.dataset.accuracy)) })"""
INPUT = f"""() => {{
    const {{Ink, centered, images, lab}} = microscope, text = new URLSearchParams(location.hash.slice(1)).get('d');
    const strokes = text.split('-').map(stroke => stroke.match(/../g).map(v => parseInt(v, 36)));
    return ({ARRAY})(centered(Ink.of(strokes).cells, 280, images.rows, images.cols, lab.usual)); }}"""
SNAPSHOT = """() => { const slider = document.querySelector('.time input[type=range]');
    slider.value = 1; slider.dispatchEvent(new Event('input', {bubbles: true})); }"""
SETTLED = ".network:last-child .cost[data-accuracy]:not([aria-busy])"
COLORS = """() => { const canvas = document.querySelector('#panel-map canvas');
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height), found = new Set();
    for (let i = 0; i < data.length; i += 4) found.add(data.slice(i, i + 3).join());
    return found.size; }"""


def driven(firefox: list[str], page: Path, steps: list[list[Any]]) -> SimpleNamespace:
    """Results of each step in Firefox, the errors of the page, and its requests."""
    done = subprocess.run([*firefox, str(page)], input=json.dumps(steps), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return SimpleNamespace(**json.loads(done.stdout))


@pytest.fixture(scope="module")
def found(firefox: list[str], explorer: Path, runs: list[nm.Run]) -> SimpleNamespace:
    """One visit: what it gave by name, its complaints, its requests."""
    images = given(runs[0].probe.images[:FEW] / np.float32(255))
    steps: dict[str, list[Any]] = {
        "open": ["open"],
        "networks": ["evaluate", "() => microscope.page.networks"],
        "wasm": ["evaluate", "() => microscope.inWebAssembly()"],
        **{
            f"passes {network} {snapshot}": ["evaluate", PASSES, [network, snapshot % 4, images]]
            for network in range(len(runs))
            for snapshot in SNAPSHOTS
        },
        "ablations": ["evaluate", ABLATIONS, UNITS],
        "draw": ["draw", ".pad", [[0.62, 0.15], [0.42, 0.85]]],
        "lift": ["lift"],
        "drawn": ["evaluate", SEEN],
        "input": ["evaluate", INPUT],
        "slide": ["evaluate", SNAPSHOT],
        "settle": ["wait", SETTLED],
        "earlier": ["evaluate", SEEN],
        "map": ["click", "#tab-map"],
        "points": ["wait", "#panel-map canvas"],
        "colors": ["evaluate", f"() => new Promise(done => setTimeout(() => done(({COLORS})()), 1000))"],
    }
    told = driven(firefox, explorer, list(steps.values()))
    return SimpleNamespace(of=dict(zip(steps, told.results, strict=True)), said=told.said, requests=told.requests)


def model_of(found: SimpleNamespace, run: nm.Run, network: int, snapshot: int = -1) -> Any:
    """The network with the weights that the page holds."""
    page = SimpleNamespace(
        evaluate=lambda text, one: found.of["networks"][one]["steps"] if "steps" in text else found.of["networks"][one]
    )
    return in_page(page, run, network, snapshot)  # type: ignore[arg-type]


def test_it_opens_computes_in_web_assembly_and_says_nothing(found: SimpleNamespace) -> None:
    assert found.of["wasm"] is True
    assert found.said == []


def test_every_hook_point_is_torchs(found: SimpleNamespace, runs: list[nm.Run]) -> None:
    for network, run in enumerate(runs):
        for snapshot in SNAPSHOTS:
            passes = found.of[f"passes {network} {snapshot}"]
            with torch.no_grad():
                _, cache = model_of(found, run, network, snapshot).run_with_cache(run.probe.tensor()[:FEW])
            assert set(passes) == set(cache)
            for name, text in passes.items():
                assert np.abs(array(text) - cache[name].numpy().reshape(-1)).max() < 1e-4, (network, snapshot, name)


def test_ablations_are_the_librarys(found: SimpleNamespace, runs: list[nm.Run]) -> None:
    for network, run in enumerate(runs):
        effects = nm.analysis.causal.ablate_all(model_of(found, run, network), run.probe, LAYER, draws=1)
        for unit, (drop, increase) in zip(UNITS, found.of["ablations"][network], strict=True):
            row = effects.isel({effects["loss_increase"].dims[0]: unit})
            assert drop == pytest.approx(float(row["accuracy_drop"]), abs=one_image(run))
            assert increase == pytest.approx(float(row["loss_increase"]), abs=1e-5)


def test_a_drawing_and_an_earlier_snapshot_are_predicted_as_torch_does(
    found: SimpleNamespace, runs: list[nm.Run]
) -> None:
    drawn, earlier = found.of["drawn"], found.of["earlier"]
    assert drawn["said"] == "Your drawing."
    assert re.search(r"t=1\b", earlier["hash"])
    image = torch.from_numpy(array(found.of["input"]).copy()).reshape(1, 1, 28, 28)
    assert float(image.max()) > 0.9
    for network, run in enumerate(runs):
        for seen, snapshot in ((drawn, -1), (earlier, 1)):
            model = model_of(found, run, network, snapshot)
            with torch.no_grad():
                assert int(seen["predicts"][network]) == int(model(image).argmax())
                right = model(run.probe.tensor()).argmax(1).numpy() == run.probe.labels
            assert seen["accuracy"][network] == pytest.approx(float(right.mean()), abs=one_image(run))


def test_the_map_is_drawn(found: SimpleNamespace) -> None:
    assert found.of["colors"] > 10  # points of ten classes on paper


def test_no_request_leaves(found: SimpleNamespace, firefox: list[str], tmp_path: Path) -> None:
    inside = ("file:", "data:", "blob:", "about:")
    assert [url for url in found.requests if not url.startswith(inside)] == []
    loud = tmp_path / "loud.html"
    ready = '<div class="network"><p class="cost" data-accuracy="1">.</p></div>'
    loud.write_text(f'<html data-ready><script>fetch("http://example.org/x")</script>{ready}</html>', "utf-8")
    assert "http://example.org/x" in driven(firefox, loud, [["open"]]).requests  # one that does is seen
