"""Experiments on training in the page: replays beside training time, and the influence of training images, as the library tells them."""

from __future__ import annotations

import base64
import functools
import pickle
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from in_page import address, check_axe, panel
from playwright.sync_api import Locator, Page, expect
from test_words_of_the_page import foreign, opened_up

import neural_microscope as nm
import small_runs
from neural_microscope.errors import DataError
from neural_microscope.explorer.payload import payload
from neural_microscope.influence import Activation, Confusion, Prediction

pytestmark = pytest.mark.browser

Shared = Callable[[str, Callable[[Path], object]], Path]
Opener = Callable[..., Page]
DATA = small_runs.data()
KEPT = nm.RecordConfig(per_octave=1, probe_size=24, norms_every=4, keep_states=True)
TARGETS = (Prediction((0, 3)), Prediction(4, "loss"), Confusion(0, 1), Activation("layers.0", 2))


def make(folder: Path) -> None:
    """A run with two replays: one that loses unit 2, one that learns without class 1; influence, verified and refused."""
    small_runs.train(folder / "mlp", record=KEPT, model=small_runs.mlp(hidden=(6,)))
    run = nm.Run.open(folder / "mlp")
    nm.replay(run, at=8, change=nm.changes.Ablate("layers.0", 2), branches=3, nulls=3, data=DATA)
    nm.replay(run, at=4, change=nm.changes.Withhold(classes=1), branches=2, nulls=2, data=DATA)
    small_runs.train(folder / "taught", record=small_runs.RECORD, optimizer="sgd", learning_rate=0.2, epochs=4)
    taught = nm.Run.open(folder / "taught")
    asked: dict[str, Any] = {"data": DATA, "methods": ["tracin", "pixels"], "seeds": 2, "draws": 99, "vary": "order"}
    sets = nm.influence.alike(DATA.train, size=10, n=10)
    found = [
        nm.influence.estimate(taught, TARGETS, method="tracin", data=DATA),
        nm.influence.verify(taught, sets, TARGETS, least=0.0, **asked),
        nm.influence.verify(taught, nm.influence.singles(DATA.train, n=10), TARGETS, **asked | {"least": 0.999}),
    ]
    (folder / "influence.pkl").write_bytes(pickle.dumps(found))


@pytest.fixture(scope="module")
def folder(shared: Shared) -> Path:
    return shared("trained otherwise", make)


@pytest.fixture(scope="module")
def run(folder: Path) -> nm.Run:
    return nm.Run.open(folder / "mlp")


@pytest.fixture(scope="module")
def replays(run: nm.Run) -> list[nm.Replay]:
    return nm.replays.replays_of(run)


@pytest.fixture(scope="module")
def results(folder: Path) -> list[Any]:
    found: list[Any] = pickle.loads((folder / "influence.pkl").read_bytes())
    return found


@pytest.fixture(scope="module")
def forked(run: nm.Run, shared: Shared) -> Path:
    return shared("forked.html", lambda path: nm.explorer.write([run], path))


@pytest.fixture(scope="module")
def taught(folder: Path, results: list[Any], shared: Shared) -> Path:
    run = nm.Run.open(folder / "taught")
    return shared("taught.html", lambda path: nm.explorer.write([run], path, influence=results[:2], data=DATA))


@pytest.fixture(scope="module")
def refused(folder: Path, results: list[Any], shared: Shared) -> Path:
    run = nm.Run.open(folder / "taught")
    return shared("refused.html", lambda path: nm.explorer.write([run], path, influence=results[2], data=DATA))


def test_replays_of_the_page_are_those_of_the_library(run: nm.Run, replays: list[nm.Replay]) -> None:
    (network,) = payload([run])["networks"]
    assert network["forks"] == [step for step in run.kept_states if step < run.steps[-1]]
    for held, one in zip(network["replays"], replays, strict=True):
        assert (held["title"], held["at"], held["until"]) == (one.title, one.settings.at, one.settings.until)
        assert (held["orders"], held["nulls"]) == (len(one.complete), len(one.settings.nulls))
        told = nm.replays.claims(one)
        assert [claim["sentence"] for claim in held["claims"]] == [claim.sentence for claim in told]
        assert [claim["verdict"] for claim in held["claims"]] == [claim.verdict for claim in told]
        for name, scale in (("loss", 1), ("accuracy", 100)):
            for role in ("twin", "branch"):
                values = scale * one.scores[name].sel(network=role).values
                expected = {"mean": values.mean(0), "low": values.min(0), "high": values.max(0)}
                for key, of in expected.items():
                    np.testing.assert_allclose(held[name][role][key], of, rtol=1e-5, atol=1e-9)
    lost = next(held for held in network["replays"] if held["lost"])
    assert lost["lost"] == [{"layer": 0, "unit": 2}]
    one = next(one for one in replays if one.title == lost["title"])
    table = nm.analysis.development.takeover(one.effects("layers.0"), 2)
    rises = np.nan_to_num(table["rise"].values, nan=-np.inf)
    unit = lost["takeover"]["unit"]
    assert unit == rises.argmax()
    assert lost["takeover"]["orders"] == int(table["orders"][unit])
    assert lost["takeover"]["by"] is None  # not shown
    effect = one.effects("layers.0").sel(network="branch").isel(unit=unit).values
    np.testing.assert_allclose(lost["takeover"]["effect"]["branch"]["high"], effect.max(0), rtol=1e-5, atol=1e-9)


def test_a_replay_that_is_damaged_is_named_and_costs_no_page(folder: Path, opened: Opener, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "runs")
    damaged = tmp_path / "runs" / "mlp.replays" / "at-0-damaged"
    damaged.mkdir()
    (damaged / "replay.json").write_text("{")
    page = nm.explorer.write([nm.Run.open(tmp_path / "runs" / "mlp")], tmp_path / "page.html", snapshots=2)
    tab = opened(page, "#r=0.0&v=training")
    expect(tab.locator(".second .loud")).to_contain_text("Not measured: ")
    expect(tab.locator("#otherwise .loud")).to_contain_text("replay.json is not a valid document")
    expect(tab.locator(".bands")).to_have_count(0)
    expect(opened(page).locator(".second select")).to_have_value("1")  # at first one that was measured


def test_a_run_without_experiments_has_none_on_its_page(folder: Path, opened: Opener, tmp_path: Path) -> None:
    run = nm.Run.open(folder / "taught")
    (network,) = payload([run])["networks"]
    assert not {"replays", "forks", "influence"} & {*network}
    tab = opened(nm.explorer.write([run], tmp_path / "page.html", snapshots=2), "#v=training&s=0.0.2&r=0.0&h=1")
    expect(tab.get_by_role("tab")).to_have_count(6)
    expect(tab.locator(".card")).to_be_visible()
    expect(tab.locator(".second, .lost, #influence, #otherwise")).to_have_count(0)
    tab.keyboard.press("7")
    expect(tab.get_by_role("tab", selected=True)).to_have_text("Unit")
    tab.keyboard.press("?")
    expect(tab.locator("dialog dd", has_text="Open a tab").locator("xpath=../dt")).to_have_text("123456")


def told(values: np.ndarray) -> str:
    """Mean and range over orders, as the page writes them."""
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


def both(place: Locator, one: nm.Replay, snapshot: int) -> None:
    for role in ("branch", "twin"):
        values = one.scores.loss.sel(network=role).isel(snapshot=snapshot).values
        expect(place.locator(f'[data-role="{role}"] .value')).to_have_text(told(values))


def test_from_a_unit_to_its_takeover_by_three_clicks(forked: Path, opened: Opener, replays: list[nm.Replay]) -> None:
    tab = opened(forked)
    lost = next(one for one in replays if "Ablate" in one.title)
    claim = nm.replays.claims(lost)[0]
    sentence = claim.sentence[0].upper() + claim.sentence[1:]
    tab.locator('.tile[data-unit="2"]').click()
    place = tab.locator(".lost")
    expect(place.locator(".claimed")).to_have_text(f"{claim.verdict} {sentence}")
    place.get_by_role("button", name=f"See both timelines: {lost.title}").click()
    expect(tab.get_by_role("tab", selected=True)).to_have_text("Training")
    expect(tab.locator("#otherwise .claim")).to_have_count(len(nm.replays.claims(lost)))
    expect(tab.locator("#otherwise .claim .reasons").first).to_have_text(claim.reasons)
    second = tab.locator(".second")
    expect(second.locator(".claimed")).to_contain_text(sentence)
    both(second, lost, -1)
    slider = tab.get_by_label("Snapshot of training")
    steps = tab.evaluate("microscope.page.networks[0].steps")
    slider.fill(str(steps.index(16)))
    both(second, lost, list(lost.settings.steps).index(16))
    both(tab.locator("#otherwise figure").first, lost, list(lost.settings.steps).index(16))
    slider.fill(str(steps.index(4)))
    expect(second.locator(".note")).to_contain_text("one network until the fork at step 8")
    expect(second.locator(".value")).to_have_count(0)


def test_both_timelines_share_their_axis(forked: Path, opened: Opener, replays: list[nm.Replay]) -> None:
    tab = opened(forked, "#t=4")
    plot, line = tab.locator(".u-over").bounding_box(), tab.locator(".second .here").bounding_box()
    assert plot
    assert line
    step, last = tab.evaluate("[microscope.lab.step(0, 4), microscope.page.networks[0].steps.at(-1)]")
    assert line["x"] + line["width"] / 2 == pytest.approx(plot["x"] + step / last * plot["width"], abs=1.5)
    fork = tab.locator(".second .fork line").bounding_box()
    assert fork
    share = replays[0].settings.at / last
    assert fork["x"] + fork["width"] / 2 == pytest.approx(plot["x"] + share * plot["width"], abs=1.5)


def test_a_replay_is_chosen_hidden_and_undone_by_keys(forked: Path, opened: Opener, replays: list[nm.Replay]) -> None:
    tab = opened(forked)
    choice = tab.locator(".second select")
    expect(choice.locator("option")).to_have_text(["hidden", *(one.title for one in replays)])
    first = choice.input_value()
    assert first == "0"  # shown at first
    choice.focus()
    tab.keyboard.press("ArrowDown")
    address(tab, r"r=0\.1\b")
    both(tab.locator(".second"), replays[1], -1)
    tab.keyboard.press("Control+z")
    expect(choice).to_have_value("0")
    tab.keyboard.press("ArrowUp")
    address(tab, "r=(&|$)")
    expect(tab.locator(".timeline")).to_have_count(0)
    expect(opened(forked, address(tab)).locator(".timeline")).to_have_count(0)
    tab.keyboard.press("ArrowDown")
    choice.blur()
    tab.keyboard.press("7")
    expect(tab.locator("#tab-training")).to_be_focused()
    tab.keyboard.press(",")
    expect(tab.locator("#otherwise")).to_be_visible()
    step = tab.evaluate("microscope.lab.step(0, microscope.lab.frames - 2)")
    nearest = int(np.abs(np.subtract(replays[0].settings.steps, step)).argmin())
    expect(tab.locator(".second .note")).to_contain_text(f"at step {replays[0].settings.steps[nearest]},")
    both(tab.locator(".second"), replays[0], nearest)


def test_a_unit_that_no_replay_lost_has_the_python_that_makes_one(
    forked: Path, opened: Opener, run: nm.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab = opened(forked, "#s=0.0.4")
    tab.get_by_text("If this unit had been lost in training").click()
    text = tab.locator(".card details[open] pre").inner_text()
    assert "--ablate layers.0:4" in text
    made: list[nm.Replay] = []

    def replay(*given: Any, **more: Any) -> nm.Replay:
        made.append(nm.replays.replay(*given, folder=tmp_path / "made", data=DATA, **more | {"branches": 1}))
        return made[0]

    monkeypatch.chdir(run.folder.parent)
    monkeypatch.setattr(nm, "replay", replay)
    monkeypatch.setattr(nm.explorer, "write", lambda *given: None)
    exec(text)
    assert made[0].settings.at in run.kept_states
    assert made[0].title.startswith("Ablate layers.0 unit 4, from step")
    assert len(made[0].settings.nulls) == 5


def test_the_python_of_a_view_opens_its_replay(
    forked: Path, opened: Opener, folder: Path, replays: list[nm.Replay], capsys: pytest.CaptureFixture[str]
) -> None:
    text = panel(opened(forked, "#r=0.1"), "Python").locator("pre").inner_text()
    exec(text.replace('Path(".")', f"Path({str(folder)!r})"), {})
    printed = capsys.readouterr().out
    assert all(f"{claim.verdict} {claim.sentence}" in printed for claim in nm.replays.claims(replays[1]))


def pictures(network: dict[str, Any]) -> tuple[list[int], np.ndarray]:
    stored = network["influence"]["images"]
    raw = np.frombuffer(zlib.decompress(base64.b64decode(stored["pixels"])), np.uint8)
    return stored["number"], raw.reshape(len(stored["number"]), 4, 4)


def test_influence_of_the_page_is_that_of_the_library(folder: Path, results: list[Any]) -> None:
    estimate, found, _ = results
    (network,) = payload([nm.Run.open(folder / "taught")], influence=results[:2], data=DATA)["networks"]
    number, pixels = pictures(network)
    asked = network["influence"]["asked"]
    assert [one["name"] for one in asked] == estimate["target"].values.tolist()
    assert [one["sign"] for one in asked] == [1, 1, -1, 1, 0]
    assert [None if one["image"] is None else number[one["image"]] for one in asked] == [0, 3, 4, None, None]
    for one in asked:
        values = estimate.sel(target=one["name"]).values
        (own,) = one["estimates"]
        order = np.argsort(-values, kind="stable")
        assert [number[i] for i in own["raise"]["images"]] == [i for i in order[:8] if values[i] > 0]
        assert [number[i] for i in own["lower"]["images"]] == [i for i in order[::-1][:8] if values[i] < 0]
        np.testing.assert_allclose(own["raise"]["values"], values[order[:8]], rtol=1e-5)
        for place in own["raise"]["images"]:
            np.testing.assert_array_equal(pixels[place], DATA.train.images[number[place]])
        mean = found["effect"].sel(target=one["name"]).mean("seed").values
        (groups,) = one["groups"]
        np.testing.assert_allclose(
            [group["effect"] for group in groups["raise"]], [e for e in np.sort(mean)[:3] if e < 0], rtol=1e-5
        )
        for group in groups["lower"]:
            at = int(np.abs(mean - group["effect"]).argmin())
            members = np.flatnonzero(found["left_out"].values[at])
            assert group["size"] == len(members) == 10
            assert [number[i] for i in group["images"]] == members[:8].tolist()
    (verified,) = network["influence"]["verified"]
    assert verified["methods"] == found["estimate"].values.tolist()
    np.testing.assert_allclose(verified["value"], found["agreement"], rtol=1e-5)
    np.testing.assert_allclose(verified["nullHigh"], found["agreement_null_high"], rtol=1e-5)
    assert verified["ceiling"] == pytest.approx(float(found["ceiling"]), rel=1e-5)
    assert [one["sentence"] for one in verified["claims"]] == [one.sentence for one in nm.influence.claims(found)]


def test_the_images_that_helped_and_harmed_are_on_the_page(taught: Path, opened: Opener, results: list[Any]) -> None:
    estimate, found, _ = results
    tab = opened(taught)
    tab.get_by_role("button", name="Which training images taught").click()
    place = tab.locator("#influence")
    expect(place).to_be_visible()
    choice = place.locator("select")
    for name, helped in (("margin of image 0", 1), ("loss of image 4", -1)):
        choice.select_option(name)
        values = helped * estimate.sel(target=name).values
        order = np.argsort(-values, kind="stable")
        for kind, expected in (("helped", order[:8]), ("harmed", order[::-1][:8])):
            images = place.locator(f'.estimate [data-kind="{kind}"] canvas')
            expect(images).to_have_count(8)
            labels = [image.get_attribute("aria-label") or "" for image in images.all()]
            numbers = [int(label.split(",")[0].removeprefix("training image ")) for label in labels]
            assert numbers == expected.tolist()
    choice.select_option("layers.0 unit 2")
    expect(place.locator('.estimate [data-kind="raised"] h4')).to_have_text("Raised it most")
    address(tab, r"h=4\b")
    tab.get_by_role("button", name="Undo").click()
    expect(choice).to_have_value("2")
    sentences = [one.sentence for one in nm.influence.claims(found)]
    expect(place.locator(".verified .claim .sentence")).to_have_text(sentences)
    for method, value in zip(found["estimate"].values, found["agreement"].values, strict=True):
        shown = place.locator(f'.verified [data-method="{method}"] .value').first
        expect(shown).to_have_text(f"{value:.2f}".replace("-", "−"))


def test_an_image_of_the_page_is_shown_from_there(taught: Path, opened: Opener, folder: Path) -> None:
    probed = nm.Run.open(folder / "taught").probe_indices.tolist()
    tab = opened(taught, "#v=training")
    options = tab.locator("#influence select option")
    for i, number in enumerate((0, 3, 4)):
        tab.locator("#influence select").select_option(index=i)
        if number in probed:
            expect(tab.locator(".said")).to_contain_text(f"Image {probed.index(number)}:")
    expect(options).to_have_count(5)


def test_a_refused_question_tells_its_reason_and_no_agreement(
    refused: Path, opened: Opener, results: list[Any]
) -> None:
    place = opened(refused, "#v=training").locator("#influence")
    assert results[2].attrs["reason"]
    expect(place.locator(".loud")).to_have_text(
        f"Whether estimates agree with retraining is not asked: {results[2].attrs['reason']}."
    )
    expect(place.locator(".method, .claim, .group")).to_have_count(0)


def test_influence_of_something_else_is_refused(folder: Path, results: list[Any]) -> None:
    run = nm.Run.open(folder / "taught")
    write = functools.partial(payload, [run], data=DATA)
    with pytest.raises(DataError, match="89 training images, and made up has 90"):
        write(influence=results[0].isel(example=slice(0, 89)))
    with pytest.raises(DataError, match=r"influence has dim_0; give results of nm\.influence\.estimate"):
        write(influence=xr.DataArray(np.zeros(3)))
    with pytest.raises(DataError, match=r"influence has no values; give results of nm"):
        write(influence=[xr.Dataset()])


def test_of_many_targets_the_page_shows_the_first(folder: Path) -> None:
    run = nm.Run.open(folder / "taught")
    many = nm.influence.estimate(run, Prediction(tuple(range(30))), method="last", data=DATA)
    twice = xr.concat([many, many.assign_coords(target=[f"other {i}" for i in range(30)])], "target")
    told = payload([run], influence=twice, data=DATA)["networks"][0]["influence"]
    assert (len(told["asked"]), told["all"]) == (30, 60)


CUT = """() => [...document.querySelectorAll('.bands text')].filter(text => {
    const [own, picture] = [text, text.closest('svg')].map(one => one.getBoundingClientRect());
    return own.left < picture.left || own.right > picture.right + 0.5;
}).map(text => text.textContent)"""
"""Words that the edge of their picture cuts."""

VIEWS = {
    "first sight": "",
    "unit": "#s=0.0.2",
    "other unit": "#s=0.0.4&o=lost",
    "panel": "#v=training",
    "hidden": "#r=&v=training",
}


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (900, "dark"), (360, "dark")])
def test_experiments_are_accessible_and_fit(
    forked: Path, taught: Path, refused: Path, opened: Opener, width: int, scheme: str
) -> None:
    for page, views in (
        (forked, VIEWS),
        (taught, {"influence": "#v=training&h=2"}),
        (refused, {"refused": "#v=training"}),
    ):
        for name, state in views.items():
            tab = opened(page, state, width=width, scheme=scheme)
            if name in ("panel", "influence"):
                opened_up(tab)
            tab.evaluate("document.querySelector('.time').style.position = 'static'")
            assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            over = tab.evaluate(
                "(aside => aside.scrollWidth - aside.clientWidth)(document.querySelector('.inspector'))"
            )
            assert over <= 0, (name, over)
            if name == "panel":
                expect(tab.locator("#otherwise .legend .value").first).to_be_visible()
            assert tab.evaluate(CUT) == [], name
            check_axe(tab, name)


def test_no_word_of_theirs_is_outside_the_dictionary(forked: Path, taught: Path, refused: Path, opened: Opener) -> None:
    found = {
        f"{page.name}{state}": foreign(opened_up(opened(page, f"?pseudo{state}")))
        for page in (forked, taught, refused)
        for state in ("", "#v=training", "#s=0.0.2", "#s=0.0.4", "#v=training&t=0")
    }
    assert {name: texts for name, texts in found.items() if texts} == {}
