"""Images in color and of several channels in the explorer: torch's numbers, the library's ablations, and the pictures."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from in_page import (
    ARRAY,
    FLOATS,
    array,
    check_axe,
    draw,
    given,
    in_page,
    linear_sums,
    one_image,
    panel,
    pixels,
    unpacked,
)
from PIL import Image
from playwright.sync_api import Page, expect
from test_edges import SUMS, exact
from test_firefox import driven

import neural_microscope as nm
import small_runs
import test_color
from neural_microscope.analysis.causal import ablate_all
from neural_microscope.errors import RunError
from neural_microscope.explorer.show import overview

Opener = Callable[..., Page]
TOLERANCE = 1e-4
RECORD = replace(small_runs.RECORD, probe_size=24, per_octave=0)


FIREFOX_PASSES = f"""() => microscope.models.map(model => Object.fromEntries([...model.forward(microscope.lab.image(4), 2)]
    .map(([name, values]) => [name, ({ARRAY})(new Float32Array(values))])))"""


def recorded(folder: Path, channels: int) -> None:
    for name, model in zip(("mlp", "cnn"), test_color.networks(channels), strict=True):
        config = nm.TrainConfig(epochs=8, batch_size=30, learning_rate=0.02)
        nm.train(model, test_color.data(channels), config, observers=[nm.Recorder(folder / name, RECORD)])


def of_image(channels: int) -> list[str]:
    """The channels of an image, as the page calls them."""
    return (
        [f"the {name} channel" for name in test_color.NAMES]
        if channels == 3
        else [f"channel {i} of the image" for i in range(channels)]
    )


@pytest.fixture(scope="module", params=[3, 5])
def channels(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module")
def runs(shared: Any, channels: int) -> list[nm.Run]:
    folder = shared(f"colors {channels}", lambda folder: recorded(folder, channels))
    return [nm.Run.open(folder / name) for name in ("mlp", "cnn")]


@pytest.fixture(scope="module")
def page(runs: list[nm.Run], shared: Any, channels: int) -> Path:
    def write(path: Path) -> None:
        with patch("neural_microscope.analysis.causal.ablation.ablate_all", partial(ablate_all, draws=5)):
            nm.explorer.write(runs, path, snapshots=3)

    return shared(f"colors {channels}.html", write)


@pytest.mark.browser
def test_every_hook_point_gradient_and_sum_is_torchs(page: Path, runs: list[nm.Run], opened: Opener) -> None:
    tab, images = unpacked(opened(page)), runs[0].probe.tensor()
    assert np.allclose(array(tab.evaluate(f"({ARRAY})(microscope.lab.images.pixels)")), images.reshape(-1), atol=1e-6)
    for network, run in enumerate(runs):
        for snapshot in range(3):
            model = in_page(tab, run, network, snapshot)
            _, cache = model.run_with_cache(images)
            found = tab.evaluate(
                f"""([network, snapshot]) => {{
                    const {{lab, models}} = microscope, whole = {{}};
                    for (let i = 0; i < lab.images.count; i++)
                        for (const [name, seen] of models[network].forward(lab.image(i), snapshot))
                            (whole[name] ??= []).push(...seen);
                    return Object.entries(whole).map(([name, all]) => [name, ({ARRAY})(new Float32Array(all))]); }}""",
                [network, snapshot],
            )
            assert {name for name, _ in found} == set(cache)
            for name, text in found:
                np.testing.assert_allclose(array(text), cache[name].reshape(-1), atol=TOLERANCE, err_msg=name)
        image = images[7:8].requires_grad_()
        kept: dict[str, torch.Tensor] = {}
        with model.hooks([("layers.0.hook_pre", lambda tensor, hook, kept=kept: kept.update(pre=tensor))]):
            model(image)
        (expected,) = torch.autograd.grad(kept["pre"][0, 2].max(), image)
        pattern = tab.evaluate(
            f"""([network, text]) => {{
                const model = microscope.models[network];
                return ({ARRAY})(new microscope.Trace(model, ({FLOATS})(text), 2).pattern('layers.0.hook_post', 2)); }}""",
            [network, given(image.detach().numpy())],
        )
        np.testing.assert_allclose(array(pattern), expected.reshape(-1), atol=TOLERANCE)
        sums = tab.evaluate(SUMS, [network, 2, given(image.detach().numpy()), [], [0, 2]])
        for link, of_unit in zip(linear_sums(model, image.detach()), sums, strict=True):
            for unit, (position, parts, bias, whole) in zip([0, 2], of_unit, strict=True):
                torchs = link(unit, position, len(parts))
                np.testing.assert_allclose(parts, torchs["parts"], atol=TOLERANCE)
                assert [sum(parts) + bias, whole] == pytest.approx([torchs["sum"]] * 2, abs=TOLERANCE)


@pytest.mark.browser
def test_ablations_are_the_librarys(page: Path, runs: list[nm.Run], opened: Opener) -> None:
    tab = unpacked(opened(page))
    for network, run in enumerate(runs):
        model = in_page(tab, run, network)
        for layer in tab.evaluate("network => microscope.page.networks[network].layers", network):
            effects = ablate_all(model, run.probe, layer, draws=1)
            found = tab.evaluate(
                """async ([network, layer, units]) => {
                    const evaluator = microscope.evaluators[network], answers = [];
                    const base = await evaluator.answers(2, new Map());
                    for (let unit = 0; unit < units; unit++) {
                        const cut = await evaluator.answers(2, new Map([[layer, new Map([[unit, {kind: 'zero'}]])]]));
                        answers.push([base.accuracy - cut.accuracy, cut.loss - base.loss]);
                    }
                    return answers; }""",
                [network, layer, len(effects["loss_increase"])],
            )
            drops, losses = np.array(found).T
            np.testing.assert_allclose(drops, effects["accuracy_drop"], atol=one_image(run))
            np.testing.assert_allclose(losses, effects["loss_increase"], atol=1e-5)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_images_are_in_color_or_the_mean_of_their_channels(
    page: Path, runs: list[nm.Run], opened: Opener, channels: int, scheme: str
) -> None:
    tab, probe = opened(page, "#i=4&s=0.0.2", scheme=scheme), runs[0].probe
    pad = pixels(tab, ".pad")
    middles = [round((i + 0.5) * len(pad) / 6) for i in range(6)]
    shown = pad[np.ix_(middles, middles)][..., :3].astype(int)
    assert (np.ptp(shown, axis=-1).max() > 60) == (channels == 3)  # else ink on paper
    if channels == 3:
        assert np.abs(shown - probe.images[4]).max() <= 1
    else:
        ink = shown.mean(-1).ravel() * (-1 if scheme == "light" else 1)
        assert np.corrcoef(ink, probe.tensor()[4].mean(0).ravel())[0, 1] > 0.99
    mean = "" if channels == 3 else f" Pictures show the mean of its {channels} channels."
    expect(tab.locator(".seen figcaption")).to_have_text(f"The networks' input.{mean}")
    expect(tab.locator(".card figure canvas")).to_have_count(channels)  # the unit's weights, channel by channel
    first = f"the weights of unit 2 of {of_image(channels)[0]}"
    expect(tab.locator(".card figure canvas").first).to_have_attribute("aria-label", first)
    tab.locator('.network [data-unit="1"]').first.hover()
    expect(tab.locator(".seen figcaption")).to_contain_text(f"summed over the {channels} channels")


@pytest.mark.browser
def test_the_pen_inks_every_channel_and_its_python_is_the_pages(
    page: Path, runs: list[nm.Run], opened: Opener, channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tab = opened(page)
    draw(tab, (0.3, 0.3), (0.6, 0.7))
    expect(tab.locator(".digit .said")).to_have_text(f"Your drawing, alike in all {channels} channels.")
    pen, paper = (pixels(tab, ".pad")[place][:3].tolist() for place in [(140, 126), (5, 5)])
    assert (pen == [255] * 3 and paper == [0] * 3) == (channels == 3)
    text = panel(tab, "Python").locator("pre").inner_text()
    names: dict[str, Any] = {}
    exec(text.replace('Path(".")', f"Path({str(runs[0].folder.parent)!r})"), names)
    drawn = names["mlp_images"]
    assert drawn.shape == (1, channels, 6, 6)
    assert drawn.max() > 0.9
    assert torch.equal(drawn, drawn[:, :1].expand_as(drawn))
    said = tab.locator(".verdict strong").all_inner_texts()
    assert [runs[0].probe.class_names[int(names[f"{name}_logits"].argmax())] for name in ("mlp", "cnn")] == said
    assert capsys.readouterr().out.count("predicts") == 2


@pytest.mark.browser
def test_step_inside_shows_each_channel(page: Path, runs: list[nm.Run], opened: Opener, channels: int) -> None:
    for network, run in enumerate(runs):
        tab = opened(page, f"#i=4&s={network}.0.1")
        tab.locator(".card").get_by_role("button", name="Step inside").click()
        place = tab.get_by_role("dialog")
        model = in_page(tab, run, network)
        link = linear_sums(model, run.probe.tensor()[4:5])[0]
        total = exact(place.locator(".step [data-total]"))[-1]
        if network == 0:
            assert total == pytest.approx(link(1, 0, 36 * channels)["parts"].sum(), abs=TOLERANCE)
            expect(place.locator(".equation.pictures")).to_have_count(channels)
            assert place.locator(".equation .captioned:first-child small").all_inner_texts() == of_image(channels)
            names = place.locator("[data-term] th").all_inner_texts()
            assert all(any(name.endswith(f" of {one}") for one in of_image(channels)) for name in names)
        else:
            expect(place.locator(".step p").first).to_contain_text(f"slides over all {channels} channels of the image")
            found = dict(
                zip(
                    place.locator("[data-term] th").all_inner_texts(),
                    exact(place.locator("[data-term] td")),
                    strict=True,
                )
            )
            position = tab.evaluate("() => Number(document.querySelector('dialog input[type=range]').value)")
            expected = link(1, position, channels)["parts"]
            assert [found[name] for name in of_image(channels)] == pytest.approx(expected.tolist(), abs=TOLERANCE)
            assert total == pytest.approx(expected.sum(), abs=TOLERANCE)
            place.get_by_role("button", name=of_image(channels)[1]).click()
            expect(place.locator(".captioned small").first).to_have_text(f"{of_image(channels)[1]}, with the window")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (900, "dark"), (360, "dark")])
def test_every_tab_is_accessible_and_says_no_word_in_the_console(
    page: Path, opened: Opener, channels: int, width: int, scheme: str
) -> None:
    tabs = ("unit", "set&u=0.0.1_1.0.2&p=0.0.3_1.0.2", "confusion&k=0.2", "map&m=1.0.class", "missions&q=0", "python")
    for name in (*tabs, "&x=1.0.1.0.7", "&x=0.0.1.0.0"):
        tab = opened(page, f"#s=1.0.2&v={name}", width=width, scheme=scheme)
        tab.locator(".network .cost[data-accuracy]").first.wait_for()
        if name.startswith("set"):
            expect(tab.locator(".compared .kernels canvas")).to_have_count(2 * channels)
            expect(tab.locator(".compared")).to_contain_text(
                re.compile(r"In order: the red|One picture for each of the 5")
            )
        assert tab.evaluate("document.documentElement.scrollWidth") == width, name
        check_axe(tab)


@pytest.mark.browser
@pytest.mark.slow
def test_firefox_computes_and_draws_them(firefox: list[str], page: Path, runs: list[nm.Run], channels: int) -> None:
    steps = {
        "open": ["open", "#i=4&s=1.0.2"],
        "page": ["evaluate", "() => microscope.page.networks"],
        "unpack": ["evaluate", "async () => { for (let i = 0; i < 3; i++) await microscope.lab.load(i); }"],
        "passes": ["evaluate", FIREFOX_PASSES],
        "pad": ["evaluate", "() => document.querySelector('.pad').toDataURL()"],
        "pattern": ["wait", ".card figure canvas"],
        "patterns": ["evaluate", "() => document.querySelectorAll('.card figure canvas').length"],
        "said": ["evaluate", "() => document.querySelector('.digit .said').textContent"],
    }
    told = driven(firefox, page, list(steps.values()))
    found = dict(zip(steps, told.results, strict=True))
    assert told.said == []
    image = runs[0].probe.tensor()[4:5]
    for network, run in enumerate(runs):
        about = SimpleNamespace(
            evaluate=lambda text, one: found["page"][one]["steps"] if "steps" in text else found["page"][one]
        )
        model = in_page(about, run, network)  # type: ignore[arg-type]
        with torch.no_grad():
            _, cache = model.run_with_cache(image)
        for name, text in found["passes"][network].items():
            np.testing.assert_allclose(array(text), cache[name].reshape(-1), atol=TOLERANCE, err_msg=name)
    assert found["patterns"] == channels + (channels if runs[1].model().layers[0].kind == "conv" else 0)
    assert f"class {runs[0].probe.class_names[int(runs[0].probe.labels[4])]}" in found["said"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["pad"].split(",")[1]))).convert("RGB")).astype(int)
    middles = [round((i + 0.5) * len(shown) / 6) for i in range(6)]
    if channels == 3:
        assert np.abs(shown[np.ix_(middles, middles)] - runs[0].probe.images[4]).max() <= 1


def test_the_picture_of_a_notebook_takes_them(runs: list[nm.Run]) -> None:
    assert "MLP predicts" in overview(runs).alt


def test_inputs_that_are_no_images_are_refused_with_what_works(tmp_path: Path) -> None:
    parts = [
        replace(part, inputs=2 * part.tensor() - 1) for part in (test_color.colored(60, 0), test_color.colored(30, 1))
    ]
    data = nm.data.Dataset("normalized", *parts)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 4), torch.nn.ReLU(), torch.nn.Linear(4, 3))
    recorder = nm.Recorder(tmp_path / "run", RECORD)
    nm.train(model, data, nm.TrainConfig(epochs=1, batch_size=30), observers=[recorder])
    said = "inputs [3, 6, 6]; the page draws and computes only on images [channel, row, col] in 0..1, in steps of 1/255"
    with pytest.raises(RunError, match=re.escape(said)):
        nm.explorer.write([nm.Run.open(tmp_path / "run")], tmp_path / "page.html", models=[model])
