"""The page's forward pass, gradients and ablations give PyTorch's numbers, on the weights that the page has."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_page import ARRAY, FLOATS, array, decoded, given, in_page, one_image, panel, unpacked
from playwright.sync_api import Page

import neural_microscope as nm
from neural_microscope.explorer.payload import spread

pytestmark = [pytest.mark.browser, pytest.mark.mnist]

TOLERANCE = 1e-4


def drawings() -> np.ndarray:
    """Twenty things nobody would call a digit, gray and of every size."""
    rng = np.random.default_rng(0)
    images = np.zeros((20, 28, 28), np.float32)
    for image in images:
        r, c = rng.integers(2, 20, 2)
        image[r : r + rng.integers(1, 9), c : c + rng.integers(1, 9)] = rng.random()
        image += (rng.random((28, 28)) < 0.03) * rng.random((28, 28))
    return images.clip(0, 1)


@pytest.fixture
def page(explorer: Path, opened: Callable[..., Page]) -> Page:
    return unpacked(opened(explorer))


def shown_steps(page: Page, run: nm.Run, network: int) -> list[int]:
    """The steps of the page's snapshots: evenly spaced, but for those that claims speak of."""
    steps: list[int] = page.evaluate("network => microscope.page.networks[network].steps", network)
    assert len(steps) == 4
    assert {run.steps[0], run.steps[-1]} <= set(steps) <= set(run.steps)
    return steps


def test_a_step_that_a_claim_speaks_of_replaces_the_nearest() -> None:
    steps = list(range(0, 200, 10))
    assert spread(steps, 5) == [0, 50, 100, 140, 190]
    assert spread(steps, 5, [60.0, float("nan"), 7.0]) == [0, 60, 100, 140, 190]
    assert spread(steps, 2, [60.0]) == [0, 190]


@pytest.mark.parametrize("network", [0, 1])
def test_every_hook_point_of_every_image_and_drawing_at_every_snapshot(
    page: Page, runs: list[nm.Run], network: int
) -> None:
    run = runs[network]
    steps = shown_steps(page, run, network)
    images = np.concatenate([run.probe.images[:50] / np.float32(255), drawings()])
    for snapshot, step in enumerate(steps):
        _, cache = in_page(page, run, network, snapshot).run_with_cache(torch.from_numpy(images)[:, None])
        found = page.evaluate(
            f"""([network, snapshot, text]) => {{
                const all = ({FLOATS})(text), pass = [];
                for (let i = 0; i < all.length; i += 784)
                    pass.push(microscope.models[network].forward(all.subarray(i, i + 784), snapshot));
                const names = [...pass[0].keys()];
                return Object.fromEntries(names.map(name => {{
                    const size = pass[0].get(name).length, whole = new Float32Array(size * pass.length);
                    pass.forEach((seen, i) => whole.set(seen.get(name), i * size));
                    return [name, ({ARRAY})(whole)]; }})); }}""",
            [network, snapshot, given(images)],
        )
        assert set(found) == set(cache)
        for name, text in found.items():
            expected = cache[name].numpy().reshape(-1)
            assert np.abs(array(text) - expected).max() < TOLERANCE, (step, name)


def test_the_stored_weights_predict_what_the_page_says_of_them(page: Page, runs: list[nm.Run]) -> None:
    kinds = []
    for (network, run), snapshot in itertools.product(enumerate(runs), range(4)):
        stored = page.evaluate("([n, s]) => microscope.page.networks[n].weights[s]", [network, snapshot])
        step, images = shown_steps(page, run, network)[snapshot], run.probe.tensor()
        with torch.no_grad():
            exact, found = run.model(step)(images), in_page(page, run, network, snapshot)(images)
        agreement = float((exact.argmax(1) == found.argmax(1)).double().mean())
        assert stored["agreement"] == pytest.approx(agreement)
        assert stored["agreement"] >= 0.998
        assert stored["logit"] == pytest.approx(float((exact - found).abs().max()), rel=1e-3, abs=1e-5)
        kinds.append(stored["kind"])
        for name, values in decoded(page, network, snapshot).items() if "scales" in stored else ():
            error = np.abs(values - run.weights(step)[name].numpy()).max()
            assert error <= 0.501 * stored["scales"][name]  # half a level, and float32's rounding
        if snapshot == 3:  # the one that the page opens at
            panel(page, "Confusion")
            assert page.locator(".agreement").nth(network).inner_text() == f"{100 * agreement:.1f}%"
    assert kinds[3] != "difference" != kinds[7]
    assert "difference" in kinds


@pytest.mark.parametrize("network", [0, 1])
def test_ablations_equal_the_librarys_at_several_snapshots(page: Page, runs: list[nm.Run], network: int) -> None:
    run = runs[network]
    for snapshot in range(1, len(shown_steps(page, run, network))):
        model = in_page(page, run, network, snapshot)
        for layer in [name for name in run.hook_points if name.endswith("hook_post")]:
            effects = nm.analysis.causal.ablate_all(model, run.probe, layer, draws=1)
            units = [0, int(effects["loss_increase"].values.argmax())]
            for unit in units:
                found = page.evaluate(
                    """async ([network, snapshot, layer, unit]) => {
                        const evaluator = microscope.evaluators[network];
                        const base = await evaluator.answers(snapshot, new Map());
                        const changes = new Map([[layer, new Map([[unit, {kind: 'zero'}]])]]);
                        const cut = await evaluator.answers(snapshot, changes);
                        const again = await evaluator.answers(snapshot, new Map());
                        return [base.accuracy, cut.accuracy, cut.loss - base.loss, again.accuracy, cut.byClass]; }""",
                    [network, snapshot, layer, unit],
                )
                row = effects.isel({effects["loss_increase"].dims[0]: unit})
                assert found[0] == found[3] == pytest.approx(effects.attrs["accuracy"], abs=one_image(run))
                assert found[0] - found[1] == pytest.approx(float(row["accuracy_drop"]), abs=one_image(run))
                assert found[2] == pytest.approx(float(row["loss_increase"]), abs=1e-5)


def test_scaling_clamping_and_patching_equal_the_librarys(page: Page, runs: list[nm.Run]) -> None:
    for network, run in enumerate(runs):
        model = in_page(page, run, network)
        layer = next(name for name in run.hook_points if name.endswith("hook_post"))
        images = run.probe.tensor()[:5]
        _, cache = model.run_with_cache(images)
        what = "unit" if cache[layer].ndim == 2 else "channel"
        other = cache[layer][4]
        makers = [
            ("{kind: 'scale', value: 2.5}", nm.interventions.scale(2.5, **{what: 3})),
            ("{kind: 'clamp', value: 0.7}", nm.interventions.patch(torch.full_like(other, 0.7)[None], **{what: 3})),
            ("{kind: 'patch', values: patch}", nm.interventions.patch(other[None], **{what: 3})),
        ]
        for words, hook in makers:
            with torch.no_grad(), model.hooks([(layer, hook)]):
                expected = model(images)
            found = page.evaluate(
                f"""([network, layer, text, patched]) => {{
                    const model = microscope.models[network], all = ({FLOATS})(text), patch = ({FLOATS})(patched), out = [];
                    const changes = new Map([[layer, new Map([[3, {words}]])]]);
                    for (let i = 0; i < all.length; i += 784)
                        out.push(...model.forward(all.subarray(i, i + 784), model.last, changes).get('logits'));
                    return out; }}""",
                [network, layer, given(images.numpy()), given(other[3].numpy())],
            )
            np.testing.assert_allclose(np.reshape(found, expected.shape), expected, atol=TOLERANCE)


def watched(model: Any, pixels: torch.Tensor, layer: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """(logits, what stands before and after a layer's nonlinearity), as parts of the graph."""
    kept = {}

    def keep(tensor: torch.Tensor, hook: Any) -> None:
        kept[hook.name] = tensor

    with model.hooks([(layer.replace("post", "pre"), keep), (layer, keep)]):
        return model(pixels), kept


@pytest.mark.parametrize("network", [0, 1])
def test_patterns_and_contributions_are_torchs_gradients(page: Page, runs: list[nm.Run], network: int) -> None:
    run = runs[network]
    model = in_page(page, run, network)
    image = run.probe.tensor()[7:8]
    for layer in [name for name in run.hook_points if name.endswith("hook_post")]:
        pixels = image.clone().requires_grad_()
        logits, kept = watched(model, pixels, layer)
        before = kept[layer.replace("post", "pre")][0, 3].flatten()
        expected = torch.autograd.grad(before[before.argmax()], pixels, retain_graph=True)[0].flatten()
        slopes = [torch.autograd.grad(logit, kept[layer], retain_graph=True)[0][0, 3] for logit in logits[0]]
        moved = torch.stack([(slope * kept[layer][0, 3]).sum() for slope in slopes]).detach()
        pattern, contributions = page.evaluate(
            f"""([network, layer, text]) => {{
                const model = microscope.models[network];
                const trace = new microscope.Trace(model, ({FLOATS})(text), model.last);
                return [({ARRAY})(trace.pattern(layer, 3)), [...trace.contributions(layer, 3)]]; }}""",
            [network, layer, given(image.numpy())],
        )
        np.testing.assert_allclose(array(pattern), expected, atol=TOLERANCE)
        np.testing.assert_allclose(contributions, moved, atol=TOLERANCE)
