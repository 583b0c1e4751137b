"""The page takes any supported network on any small images; what it can't take it refuses by name, and what names say is text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from in_page import ARRAY, FLOATS, array, given, in_page, linear_sums, unpacked
from playwright.sync_api import Page, expect
from test_edges import SUMS
from test_graph import Residual
from torch import nn

import neural_microscope as nm
from neural_microscope.analysis.causal import ablate_all
from neural_microscope.explorer import UnsupportedLayer, operations
from neural_microscope.explorer.payload import payload, shown
from neural_microscope.explorer.weights import stored
from neural_microscope.run import same_but_seed

Opener = Callable[..., Page]
SHAPE = (8, 8)
RECORD = nm.RecordConfig(per_octave=1, every_epoch=False, probe_size=120)
MARKUP = "<img src=x onerror=alert(1)>"


def own() -> nn.Sequential:
    """One of each layer that the page can compute."""
    torch.manual_seed(0)
    kind = type(MARKUP, (nn.Sequential,), {})  # a class may be called anything
    return kind(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.BatchNorm2d(3),
        nn.GELU(),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Tanh(),
        nn.MaxPool2d(3, stride=2, padding=1),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 6), nn.LayerNorm(6), nn.ReLU()),
        nn.Linear(6, 10),
    )


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "own": own,
    "residual": Residual,
    "norms": lambda: nm.MLP(
        nm.MLPConfig(image_shape=SHAPE, hidden=(9, 7), norm="layer", activation="tanh", pixel_mean=0.2)
    ),
    "batch": lambda: nm.CNN(
        nm.CNNConfig(image_shape=SHAPE, channels=(4,), head=(), norm="batch", pool="average", activation="gelu")
    ),
    "linear": lambda: nm.MLP(nm.MLPConfig(image_shape=SHAPE, hidden=())),
}


def foreign(name: str) -> nn.Module | None:
    """An instance of a network that was not built from a config."""
    return NETWORKS[name]() if name in ("own", "residual") else None


def record(folder: Path, model: nn.Module, data: Any = None) -> nm.Run:
    whole = nm.data.load("digits")
    renamed = nm.data.Dataset("</script><b id=planted>digits", whole.train, whole.test)
    nm.train(
        model, data or renamed, nm.TrainConfig(epochs=4, learning_rate=3e-3), observers=[nm.Recorder(folder, RECORD)]
    )
    return nm.Run.open(folder)


@pytest.fixture(scope="module")
def small(shared: Any) -> dict[str, nm.Run]:
    folder = shared("small", lambda folder: [record(folder / name, make()) for name, make in NETWORKS.items()])
    return {name: nm.Run.open(folder / name) for name in NETWORKS}


@pytest.fixture(scope="module")
def page(small: dict[str, nm.Run], shared: Any) -> Path:
    """Their page; of nulls of ablations, which pass ten layers of a module again and again, few draws."""

    def write(path: Path) -> None:
        few = partial(ablate_all, draws=5)
        with patch("neural_microscope.analysis.causal.ablation.ablate_all", few):
            nm.explorer.write(list(small.values()), path, snapshots=3, models=[own(), Residual()])

    return shared("small.html", write)


@pytest.mark.browser
def test_a_users_own_network_and_every_layer_give_torchs_numbers_in_the_browser(
    page: Path, small: dict[str, nm.Run], opened: Opener
) -> None:
    tab = unpacked(opened(page))
    for network, (name, run) in enumerate(small.items()):
        images = run.probe.images[:50] / np.float32(run.probe.images.max())
        for snapshot, step in enumerate(tab.evaluate("network => microscope.page.networks[network].steps", network)):
            model = nm.hooked(in_page(tab, run, network, snapshot, foreign(name)))
            _, cache = model.run_with_cache(torch.from_numpy(images)[:, None])
            found = tab.evaluate(
                f"""([network, snapshot, text]) => {{
                    const all = ({FLOATS})(text), whole = {{}};
                    for (let i = 0; i < all.length; i += 64)
                        for (const [name, seen] of microscope.models[network].forward(all.subarray(i, i + 64), snapshot))
                            (whole[name] ??= []).push(...seen);
                    return Object.fromEntries(Object.entries(whole).map(([n, v]) => [n, ({ARRAY})(new Float32Array(v))])); }}""",
                [network, snapshot, given(images)],
            )
            for hook in [hook for hook in found if hook in cache]:
                expected = cache[hook].numpy().reshape(-1)
                assert np.abs(array(found[hook]) - expected).max() < 1e-4, (name, step, hook)
            assert len(set(found) & set(cache)) >= 2


@pytest.mark.browser
def test_contributions_of_every_network_sum_to_torchs(page: Path, small: dict[str, nm.Run], opened: Opener) -> None:
    """Through normalization, pooling and flattened maps too."""
    tab = unpacked(opened(page))
    for network, (name, run) in enumerate(small.items()):
        model = in_page(tab, run, network, -1, foreign(name))
        image = run.probe.tensor()[:1]
        last = tab.evaluate("network => microscope.models[network].last", network)
        found = tab.evaluate(SUMS, [network, last, given(image.numpy()), [], [0, 2]])
        expected = linear_sums(model.eval(), image)
        assert len(found) == len(expected) >= 1
        for link, of_unit in zip(expected, found, strict=True):
            for unit, (position, parts, bias, whole) in zip([0, 2], of_unit, strict=True):
                torchs = link(unit, position, len(parts))
                np.testing.assert_allclose(parts, torchs["parts"], atol=1e-4, err_msg=name)
                assert [sum(parts) + bias, whole] == pytest.approx([torchs["sum"]] * 2, abs=1e-4), name
                assert whole == pytest.approx(torchs["highest"], abs=1e-4), name


@pytest.mark.browser
def test_every_unit_of_each_can_be_opened_and_ablated(page: Path, small: dict[str, nm.Run], opened: Opener) -> None:
    tab = opened(page)
    for network in range(len(small)):
        layers = tab.evaluate(f"microscope.page.networks[{network}].layers")
        for layer, name in enumerate(layers):
            state = f"#s={network}.{layer}.0&c={network}.{layer}.0z&m={network}.{layer}.class"
            tab.evaluate("state => { location.hash = state; }", state)
            short = re.escape(re.sub(r"\.hook_(post|out)$", "", name))
            tab.locator(".card h2", has_text=re.compile(rf"· {short} · (unit|channel) 0$")).wait_for()
            tab.locator(".network").nth(network).locator(".cost[data-accuracy]").wait_for()


@pytest.mark.browser
def test_names_that_hold_markup_are_text(page: Path, opened: Opener) -> None:
    tab = opened(page, "#s=0.0.1")
    expect(tab.locator(".network h2").first).to_contain_text(MARKUP)
    expect(tab.locator(".card h2")).to_contain_text(MARKUP)
    assert MARKUP in tab.title()
    tab.get_by_text("About this page").click()
    assert "</script><b id=planted>digits" in tab.locator("footer").inner_text()
    assert tab.locator("#planted, img").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("name", ["linear", pytest.param("norms", marks=pytest.mark.slow)])
def test_a_page_of_one_network_on_one_snapshot(
    small: dict[str, nm.Run], opened: Opener, tmp_path: Path, name: str
) -> None:
    tab = opened(nm.explorer.write([small[name]], tmp_path / "one.html", snapshots=1))
    tab.locator(".network .cost[data-accuracy]").wait_for()
    expect(tab.locator(".network")).to_have_count(1)
    for mission in range(tab.locator(".guide li").count()):
        tab = opened(tmp_path / "one.html", f"#q={mission}")
        place = tab.locator(".mission")
        if place.locator("input[type=radio]").count():
            place.locator("input[type=radio]").first.check()
        else:
            place.locator("input[type=number]").fill("1")
        place.get_by_role("button", name="Commit").click()
        place.locator(".outcome").wait_for()


def test_layers_that_only_change_the_form_are_not_drawn_twice() -> None:
    model = own()
    layers = [
        "0",
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "7.2",
        "7.3",
        "7.4",
    ]  # no Flatten, no Dropout, no nested whole, no logits
    assert shown(operations(model), model) == [f"{layer}.hook_out" for layer in layers]
    plain = NETWORKS["norms"]()
    assert shown(operations(plain), plain) == ["layers.0.hook_post", "layers.1.hook_post"]


def test_a_layer_that_the_page_cannot_compute_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    def gated() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.Softplus(), nn.Linear(8, 10))

    run = record(tmp_path / "run", gated())
    with pytest.raises(UnsupportedLayer, match=r"can't compute '2', a Softplus; it knows Linear, Conv2d"):
        nm.explorer.write([run], tmp_path / "page.html", models=[gated()])
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]
    with pytest.raises(nm.errors.RunError, match="records a Sequential, which has no config here"):
        nm.explorer.write([run], tmp_path / "page.html")


def test_networks_on_different_images_do_not_share_a_page(small: dict[str, nm.Run], tmp_path: Path) -> None:
    whole = nm.data.load("digits")
    other = nm.data.Dataset("digits", whole.train, whole.test.subset(slice(0, 200)))
    run = record(tmp_path / "run", NETWORKS["norms"](), other)
    with pytest.raises(
        nm.errors.RunError, match=r"recorded with other probe images than .*norms; one page needs networks on the same"
    ):
        nm.explorer.write([small["norms"], run], tmp_path / "page.html")


def test_no_run_no_snapshot_and_no_front_end_are_said(
    small: dict[str, nm.Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(nm.errors.RunError, match="at least one run"):
        nm.explorer.write([], tmp_path / "page.html")
    with pytest.raises(nm.errors.WrongValue, match="snapshots is 0; it must be at least 1"):
        nm.explorer.write([small["norms"]], tmp_path / "page.html", snapshots=0)
    monkeypatch.setattr("neural_microscope.explorer.page.resources.files", lambda package: tmp_path)
    with pytest.raises(nm.errors.RunError, match=r"front end was not built.*pip install -e \."):
        nm.explorer.write([small["norms"]], tmp_path / "page.html")


def test_weights_that_float16_rounds_too_far_are_stored_as_float32_and_infinite_ones_refused(tmp_path: Path) -> None:
    model = NETWORKS["linear"]()
    with torch.no_grad():
        model.output.weight[0, 0] = 7e4
    (weights,) = payload([record(tmp_path / "large", model)], snapshots=1)["networks"][0]["weights"]
    assert (weights["kind"], weights["agreement"], weights["logit"]) == ("float32", 1, 0)
    with torch.no_grad():
        model.output.weight[0, 0] = torch.inf
    with pytest.warns(UserWarning, match="diverged"):
        run = record(tmp_path / "run", model)
    with pytest.raises(nm.errors.RunError, match=r"output\.weight at step 0 holds numbers that are not finite"):
        stored(run, model, [0], ["output.weight"], [])


@pytest.mark.browser
def test_seeds_are_one_network_whose_units_are_matched_or_not(tmp_path: Path, opened: Opener) -> None:
    config = nm.MLPConfig(image_shape=SHAPE, hidden=(12,))
    runs = [record(tmp_path / f"seed{seed}", nm.MLP(config, seed=seed)) for seed in range(3)]
    assert same_but_seed(runs) == [[0, 1, 2]]
    table = nm.analysis.similarity.replication(
        [run.activations("layers.0.hook_post").isel(snapshot=-1) for run in runs]
    )
    tab = opened(nm.explorer.write(runs, tmp_path / "page.html", snapshots=2), "#s=0.0.4")
    expect(tab.locator(".network")).to_have_count(1)
    again = f"A matching unit exists in {int(table['replicated'][4])} of {int(table['of'][4])} other seeds."
    expect(tab.locator(".card")).to_contain_text(again)
    chooser = tab.locator(".chooser select")
    assert chooser.locator("option").all_inner_texts() == ["MLP seed 0", "MLP seed 1", "MLP seed 0 and MLP seed 1"]
    chooser.select_option("0,1")
    names = [re.sub(r" *step .*", "", text) for text in tab.locator(".network h2").all_inner_texts()]
    assert names == ["MLP seed 0", "MLP seed 1"]
    image = runs[0].probe.tensor()[3:4]
    tab.evaluate("location.hash = 'n=0.1&i=3'")
    expect(tab.locator(".said")).to_contain_text("Image 3:")
    for place, run in enumerate(runs[:2]):
        expected = run.model()(image).argmax().item()
        expect(tab.locator(".verdict strong").nth(place)).to_have_text(str(expected))
    tab.get_by_role("tab", name="Confusion").click()
    expect(tab.locator(".details").nth(1)).to_contain_text("differs from MLP in its seed alone")


def test_a_second_seed_is_left_out_of_a_page_that_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = nm.MLPConfig(image_shape=SHAPE, hidden=(5,))
    runs = [record(tmp_path / f"seed{seed}", nm.MLP(config, seed=seed)) for seed in range(2)]
    assert [one["twin"] for one in payload(runs)["networks"]] == [None, 0]
    monkeypatch.setattr("neural_microscope.explorer.payload.ROOM", 1000)
    assert [one["twin"] for one in payload(runs)["networks"]] == [None]


def test_runs_alike_in_all_but_name_are_told_apart(tmp_path: Path) -> None:
    config = nm.MLPConfig(image_shape=SHAPE, hidden=(5,))
    runs = [
        record(tmp_path / "narrow", nm.MLP(config)),
        record(tmp_path / "wide", nm.MLP(dataclasses.replace(config, hidden=(6,)))),
    ]
    text = nm.explorer.write(runs, tmp_path / "page.html").read_text("utf-8")
    assert "MLP (hidden 5) and MLP (hidden 6)" in text


@pytest.mark.browser
def test_who_asks_for_less_motion_gets_none(page: Path, opened: Opener) -> None:
    moving = """[...document.querySelectorAll('*')].filter(
        element => parseFloat(getComputedStyle(element).transitionDuration) > 0).length"""
    assert opened(page, reduced_motion="no-preference").evaluate(moving) > 0
    assert opened(page, reduced_motion="reduce").evaluate(moving) == 0


@pytest.mark.browser
def test_any_set_of_changes_gives_torchs_accuracy_and_loss(
    page: Path, small: dict[str, nm.Run], opened: Opener
) -> None:
    """Two thirds of them take the short way, from what a change adds to the next map; the rest may not."""
    tab = opened(page)
    rng = np.random.default_rng(0)
    for network, (name, run) in enumerate(small.items()):
        model = nm.hooked(in_page(tab, run, network, into=foreign(name)))
        layers = tab.evaluate(f"microscope.page.networks[{network}].layers")
        _, cache = model.run_with_cache(run.probe.tensor()[:1])
        sets = [[layer] for layer in layers] + [rng.choice(layers, 2, replace=False).tolist() for _ in layers[1:]]
        for chosen in sets:
            changes, hooks = [], []
            for layer in chosen:
                alone = cache[layer][0]
                what = "unit" if alone.ndim == 1 else "channel"
                for unit in rng.choice(len(alone), 3, replace=False).tolist():
                    kind = rng.choice(["zero", "scale", "turned", "clamp", "patch"])
                    value = {"scale": 1.7, "turned": -0.8, "clamp": 0.6}.get(kind, 0.0)
                    if kind == "zero":
                        hook = nm.interventions.zero(**{what: unit})
                    elif value and kind != "clamp":
                        hook = nm.interventions.scale(value, **{what: unit})
                    else:
                        held = cache[layer] if kind == "patch" else torch.full_like(cache[layer], value)
                        hook = nm.interventions.patch(held, **{what: unit})
                    hooks.append((layer, hook))
                    values = alone[unit].flatten().tolist()
                    changes.append(
                        [layer, unit, {"kind": kind.replace("turned", "scale"), "value": value, "values": values}]
                    )
            with model.hooks(hooks):
                expected = nm.evaluate(model, run.probe)
            found = tab.evaluate(
                """async ([network, changes]) => {
                    const model = microscope.models[network], all = new Map();
                    for (const [layer, unit, change] of changes) {
                        if (!all.has(layer)) all.set(layer, new Map());
                        all.get(layer).set(unit, {...change, values: new Float32Array(change.values)});
                    }
                    const answers = await microscope.evaluators[network].answers(model.last, all);
                    return [answers.accuracy, answers.loss]; }""",
                [network, changes],
            )
            assert found == pytest.approx([expected.accuracy, expected.loss], abs=1e-5), (name, chosen, changes)
