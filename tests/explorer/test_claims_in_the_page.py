"""Cards and missions show the library's measures and the judged claims, each number in its place, and decide nothing."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from in_page import panel
from playwright.sync_api import Locator, Page, expect

import neural_microscope as nm
from looked_at import Shared, claimed, looks_in
from neural_microscope.analysis.look import FirstLook, LayerLook
from neural_microscope.explorer.missions import missions
from neural_microscope.explorer.page import document, front_end
from neural_microscope.explorer.payload import payload
from neural_microscope.statistics import halves, p_values
from neural_microscope.wording import probability

Opener = Callable[..., Page]


@pytest.fixture(scope="module")
def looks(shared: Shared) -> list[FirstLook]:
    return looks_in(claimed(shared))


@pytest.fixture(scope="module")
def digits(looks: list[FirstLook]) -> list[nm.Run]:
    return [look.run for look in looks]


@pytest.fixture(scope="module")
def data(looks: list[FirstLook]) -> dict[str, Any]:
    return payload(looks, snapshots=2)


@pytest.fixture(scope="module")
def page(data: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(data, tmp_path_factory.mktemp("claims") / "page.html")


def written(data: dict[str, Any], path: Path) -> Path:
    path.write_text(document({**data, "title": "claims"}, *front_end()), "utf-8")
    return path


def claims_in(network: dict[str, Any]) -> list[dict[str, Any]]:
    return list(json.loads(zlib.decompress(base64.b64decode(network["claims"]))))


def numbers(text: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text.replace("−", "-").replace(",", ""))]


def test_the_null_of_a_card_is_the_tables_words_with_the_draws_it_took(data: dict[str, Any]) -> None:
    cards = [one for network in data["networks"] for layer in network["measures"].values() for one in layer]
    words = {one["null"] for one in cards if one["id"] == "selectivity.class_selectivity/auc"}
    assert [re.findall(r"\d+ shuffles", text) for text in words] == [["500 shuffles"]]
    assert not any("{" in one["null"] for one in cards)


@pytest.mark.browser
def test_every_value_interval_and_null_of_a_card_is_in_its_place(
    page: Path, digits: list[nm.Run], opened: Opener
) -> None:
    tab = opened(page)
    for network, run in enumerate(digits):
        for place, layer in enumerate(name for name in run.hook_points if name.endswith("hook_post")):
            tables = {
                "selectivity.class_selectivity": nm.analysis.selectivity.class_selectivity(run.activations(layer)),
                "causal.ablate_all": nm.analysis.causal.ablate_all(run.model(), run.probe, layer),
            }
            unit = int(np.nan_to_num(tables["causal.ablate_all"]["loss_increase"].values).argmax())
            tab.evaluate("state => { location.hash = state; }", f"#s={network}.{place}.{unit}")
            tab.locator(
                ".card h2", has_text=re.compile(rf"{layer.removesuffix('.hook_post')} · \w+ {unit}$")
            ).wait_for()
            shown = {one.get_attribute("data-measure"): one for one in tab.locator(".card .measure").all()}
            names = ("selectivity.class_selectivity/auc", "selectivity.class_selectivity/selectivity")
            assert set(shown) == {*names, "causal.ablate_all/loss_increase", "causal.ablate_all/accuracy_drop"}
            for name, one in shown.items():
                table, variable = tables[str(name).split("/")[0]], str(name).split("/")[1]
                ends = ("", "_low", "_high", "_null_low", "_null_high", "_p")
                value, *rest = (float(table[f"{variable}{end}"][unit]) for end in ends)
                low, high, null_low, null_high, p = rest
                where = (network, layer, unit, name)
                # nats have three decimals, points one, indices two
                size, digits = {"loss_increase": (1, 3), "accuracy_drop": (100, 1)}.get(variable, (1, 2))
                close = {"rel": 0, "abs": 0.51 * 10**-digits + 1e-4}
                assert numbers(one.locator("strong.value").inner_text()) == pytest.approx([size * value], **close), (
                    where
                )
                interval = numbers(re.sub(r"95%", "", one.locator(".interval").inner_text()))
                assert interval == pytest.approx([size * low, size * high], **close), where
                found = numbers(one.locator(".null-band").inner_text())
                assert found == pytest.approx([size * null_low, size * null_high], **close), where
                about = table[f"{variable}_p"].attrs
                expected = probability(p, about.get("floor", 0.0), about.get("draws", 0))
                assert one.locator(".odds").inner_text() == expected, where
                columns = [table[f"{variable}{end}"].values for end in ("", "_null_low", "_null_high")]
                band_is_drawn(one, value, null_low, null_high, np.nanmin(columns), np.nanmax(columns))


def band_is_drawn(one: Locator, value: float, low: float, high: float, least: float, most: float) -> None:
    """Band and dot lie on one scale, from the layer's least value or end of a null to its highest, 152 pixels wide."""
    left, width, dot = (
        float(one.locator(part).get_attribute(name) or "nan")
        for part, name in ((".onnull rect", "x"), (".onnull rect", "width"), (".onnull circle", "cx"))
    )
    found = [left, width, dot]
    wide = 152 / (most - least)
    assert found == pytest.approx(
        [4 + wide * (low - least), max(2, wide * (high - low)), 4 + wide * (value - least)], abs=0.01
    )


@pytest.mark.browser
def test_a_claim_names_the_null_that_decides_and_explains_all_of_them(
    page: Path, data: dict[str, Any], opened: Opener
) -> None:
    claims = [one for one in claims_in(data["networks"][0]) if one["rule"] == "a unit matters"]
    claim = next(one for one in claims if one["decisive"])
    layer = data["networks"][0]["layers"].index(claim["hook_point"])
    shown = opened(page, f"#s=0.{layer}.{claim['unit']}").locator(f".claim[data-claim='{claim['id']}']")
    shown.locator("summary").click()
    assert shown.locator(".decisive button").inner_text() == claim["decisive"]
    assert shown.locator(".decisive").inner_text().startswith(f"p is against {claim['decisive']}")
    assert shown.get_by_role("tooltip", include_hidden=True).text_content() == claim["null"]


@pytest.mark.browser
def test_the_page_shows_a_verdict_as_it_is_given_and_decides_nothing(
    data: dict[str, Any], opened: Opener, tmp_path: Path
) -> None:
    """With verdicts that no rule gave, each part of the page says what its claims say."""
    network = data["networks"][0]
    claims = claims_in(network)
    for claim in claims:
        turned_to = {"shown": "not shown", "not shown": "shown"}[claim["verdict"]]
        claim["verdict"] = "description" if claim["rule"] == "a unit matters" else turned_to
        claim["sentence"] = f"turned: {claim['sentence']}"
    packed = base64.b64encode(zlib.compress(json.dumps(claims).encode())).decode()
    turned = {**data, "networks": [{**network, "claims": packed}]}
    mission = next(one for one in network["missions"] if one["kind"] == "lost")
    layer, unit = mission["layer"], mission["unit"]
    tab = opened(written(turned, tmp_path / "page.html"), f"#s=0.{layer}.{unit}&q=0")
    expected = {claim["id"]: claim["verdict"] for claim in claims}
    said = ""
    tab.locator(".card .claim").first.wait_for()
    for where in (".card", ".outcome"):
        if where == ".outcome":
            panel(tab, "Missions")
            tab.locator(".mission input[type=number]").fill("0")
            tab.locator(".mission button", has_text="Commit").click()
            tab.locator(".outcome").wait_for()
            tab.locator(".outcome summary", has_text="Claims").click()
        shown = tab.locator(f"{where} .claim").all()
        assert shown
        for one in shown:
            assert one.get_attribute("data-verdict") == expected[str(one.get_attribute("data-claim"))]
            assert one.locator(".mark").inner_text() == one.get_attribute("data-verdict")
            assert one.locator(".sentence").inner_text().startswith("Turned: ")
        said += tab.locator(where).inner_text()
    assert not re.search(
        r"chance|beyond|significan|matters by itself\b(?!: without)",
        re.sub(r"Turned: .*|It lies beyond shuffled labels .*? on\.", "", said),
    )


@pytest.mark.browser
def test_a_module_has_measures_and_no_verdict(tmp_path: Path, opened: Opener) -> None:
    def module() -> Any:
        from torch import nn

        return nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 10))

    recorder = nm.Recorder(tmp_path / "run", nm.RecordConfig(per_octave=0, every_epoch=False, probe_size=60))
    nm.train(module(), nm.data.load("digits"), nm.TrainConfig(epochs=1), observers=[recorder])
    run = nm.Run.open(tmp_path / "run")
    tab = opened(nm.explorer.write([run], tmp_path / "page.html", models=[module()]), "#s=0.1.0")
    card = tab.locator(".card")
    expect(card.locator('[data-measure="causal.ablate_all/loss_increase"] .null-band')).to_have_count(1)
    expect(card).to_contain_text("No claims are made: the run records a Sequential")
    assert tab.locator(".claim").count() == 0


@pytest.mark.browser
def test_random_units_are_drawn_from_the_whole_layer_or_it_is_said_that_they_cannot_be(
    page: Path, opened: Opener
) -> None:
    tab = opened(page)
    drawn = tab.evaluate(
        """() => Array.from({length: 4000}, (_, draw) => microscope.lab.elsewhere(
            Array.from({length: 13}, (_, unit) => ({network: 0, layer: 0, unit, kind: 'zero', value: 0})), draw)
            .map(item => item.unit))"""
    )
    assert all(len(set(units)) == 13 for units in drawn)
    shares = np.bincount(np.ravel(drawn), minlength=24) / 4000
    np.testing.assert_allclose(shares, 13 / 24, atol=0.05)  # those that were chosen are as likely as the others
    alone = tab.evaluate(
        """() => Array.from({length: 3}, (_, draw) => microscope.lab.elsewhere(
            [{network: 1, layer: 0, unit: 2, kind: 'zero', value: 0}], draw)[0].unit)"""
    )
    assert sorted(alone) == [0, 1, 3]  # each other unit of four once

    def words(units: int, network: int = 0, layer: int = 1) -> str:
        changes = "_".join(f"{network}.{layer}.{unit}z" for unit in range(units))
        tab.evaluate("state => { location.hash = state; }", f"#c={changes}&v=confusion")
        place = tab.locator(".panel .effect:not([aria-busy]) .chance:not(:has-text('…'))")
        these = "this change" if units == 1 else f"these {units} changes"
        expect(tab.locator(".panel .effect", has_text=f"with {these} (")).to_have_count(1)
        place.wait_for(timeout=60_000)
        return str(place.inner_text())

    assert words(6) == "No other set of this size exists, so there is no null."
    assert words(5) == "Only 5 other sets of this size exist: too few for a null."
    assert re.fullmatch(
        r"As many random units in their place: \S+ to \S+ points \(10 draws\)\. "
        r"A drop at least as large: p [=≤] [\d.]+( \(10 draws\))?\.",
        words(3),
    )
    assert re.match(
        r"Each of the 3 other units in its place: \S+ to \S+ points \(3 draws\)",
        words(1, 1, 0),
    )
    many = words(13, layer=0)
    drop, drops = tab.evaluate(
        """async () => {
            const {lab} = microscope, last = lab.models[0].last;
            const items = Array.from({length: 13}, (_, unit) => ({network: 0, layer: 0, unit, kind: 'zero', value: 0}));
            const of = async changed => (await lab.evaluators[0].answers(last, lab.changes(0, changed, last))).accuracy;
            const before = await of([]);
            const drops = [];
            for (let draw = 0; draw < 10; draw++) drops.push(before - await of(lab.elsewhere(items, draw)));
            return [before - await of(items), drops]; }"""
    )
    low, high = numbers(many.split("in their place: ")[1].split(" points")[0])
    assert low < high  # not one draw again and again
    assert [low, high] == pytest.approx([-100 * max(drops), -100 * min(drops)], abs=0.051)
    p = float(p_values(np.array(drop), np.array(drops)))
    assert many.endswith(f"A drop at least as large: {probability(p, 1 / 11, 10)}.")


@pytest.mark.browser
def test_p_in_the_page_is_the_librarys_to_the_letter(page: Path, opened: Opener) -> None:
    tab, rng = opened(page), np.random.default_rng(0)
    for _ in range(20):
        draws = rng.integers(0, 8, 10) / 300
        values = [*draws[:3], 0.3, -0.1, 1e-3, draws[0] + 1e-15]
        found = tab.evaluate(
            "([values, draws]) => values.map(value => microscope.pValue(value, draws))", [values, draws.tolist()]
        )
        expected = p_values(np.array(values), np.tile(draws[:, None], len(values)))
        np.testing.assert_array_equal(found, expected)
    for draws in (1, 3, 10):
        ps = [(1 + k) / (1 + draws) for k in range(draws + 1)]
        said = tab.evaluate("([ps, draws]) => ps.map(p => microscope.probability(p, draws))", [ps, draws])
        assert said == [probability(p, 1 / (1 + draws), draws) for p in ps]


@pytest.mark.browser
def test_a_mission_shows_the_counts_of_both_halves_and_where_it_can_be_seen(
    page: Path, data: dict[str, Any], opened: Opener
) -> None:
    asked = data["networks"][0]["missions"]
    assert {one["kind"] for one in asked} >= {"lost", "selective"}
    tab = opened(page)
    tab.evaluate("microscope.lab.claims[0].forEach(claim => { claim.verdict = 'shown'; })")  # so that all are asked
    for number, mission in enumerate(asked):
        panel(tab, "Missions")
        tab.locator(".guide li button.link").nth(number).click()
        place, unit = tab.locator(".mission"), mission["unit"]
        if mission["kind"] == "selective":
            order = np.argsort([-loss for loss in mission["loss"]])
            rank = int(np.flatnonzero(order == mission["units"].index(unit))[0]) + 1
            guess = 0 if rank == 1 else 1 if rank <= len(order) / 2 else 2
            place.locator("input[type=radio]").nth(guess).check()
            rows = [[mission[name][i] for name in ("units", "loss", "selectivity")] for i in order]
            said = [f"number {rank} of {len(order)}", f"Unit {unit} has the highest class selectivity"]
        else:
            place.locator("input[type=number]").fill(str(unit))
            before = mission.get("before", [0, 0])
            order = sorted(range(len(mission["counts"][0])), key=lambda i: (-mission["counts"][0][i], i))
            rows = [[i, *(before[half] + mission["counts"][half][i] for half in (0, 1))] for i in order]
            (first, second), (n, m) = rows[order.index(unit)][1:], mission["images"]
            said = [f"without it {first} of {n} images", f"On the other half: {second} of {m}"]
        place.get_by_role("button", name="Commit").click()
        outcome = place.locator(".outcome")
        outcome.wait_for()
        assert outcome.get_attribute("data-right") == "true"
        for words in said:
            assert words in outcome.locator("p").first.inner_text()
        shown = [one.get_attribute("data-claim") for one in outcome.locator(".claim").all()]
        assert shown == mission["claims"]
        assert shown
        outcome.get_by_text("Results").click()
        outcome.locator("tbody tr").first.wait_for()
        table = [numbers(row) for row in outcome.locator("tbody tr").all_inner_texts()]
        for row, expected in zip(table, rows, strict=True):
            assert row == pytest.approx(expected, abs=0.0051)
        outcome.get_by_role("button", name="See it in the network: ablate it").click()
        tab.locator(".card h2", has_text=re.compile(rf"unit {unit}$")).wait_for()


def seen(run: nm.Run, right: np.ndarray, selectivity: np.ndarray) -> LayerLook:
    """A layer in which ablating each unit makes images right or wrong as planted, [unit, example]."""
    n = len(right)
    effects = xr.Dataset(
        {"right_change": (("unit", "example"), right), "loss_increase": ("unit", np.arange(n) / 10)},
        coords={"label": ("example", run.probe.labels)},
    )
    tables = {
        "causal.ablate_all": effects,
        "selectivity.class_selectivity": xr.Dataset({"selectivity": ("unit", selectivity)}),
    }
    return LayerLook(run, tables, "layers.1.hook_post")


def test_a_unit_is_chosen_on_one_half_and_counted_on_both(digits: list[nm.Run]) -> None:
    run = digits[0]
    labels = run.probe.labels
    choose, judge = halves(labels)
    right = np.zeros((6, len(labels)))
    fives = labels == 5
    right[2, choose[fives[choose]][:9]] = -1
    right[4, choose[fives[choose]][:8]] = -1
    right[2, judge[fives[judge]][:5]] = -1
    right[2, judge[fives[judge]][5]] = 1
    right[4, judge[fives[judge]][:3]] = -1
    found = missions([(1, seen(run, right, np.array([0.1, 0.5, 0.3, np.nan, 0.2, 0.4])))], [])
    lost = next(one for one in found if one["kind"] == "lost")
    assert (lost["layer"], lost["unit"], lost["classes"]) == (1, 2, [5])
    assert lost["counts"] == [[0, 0, 9, 0, 8, 0], [0, 0, 4, 0, 3, 0]]
    assert lost["images"] == [int(fives[choose].sum()), int(fives[judge].sum())]
    selective = next(one for one in found if one["kind"] == "selective")
    assert (selective["unit"], selective["units"]) == (1, [0, 1, 2, 4, 5])


def test_a_question_on_which_the_halves_disagree_is_not_asked(digits: list[nm.Run]) -> None:
    run = digits[0]
    fives = run.probe.labels == 5
    right = np.zeros((6, len(fives)))
    for half, unit in zip(halves(run.probe.labels), (2, 4), strict=True):
        right[unit, half[fives[half]][:9]] = -1
        right[6 - unit, half[fives[half]][:8]] = -1
    assert "lost" not in [one["kind"] for one in missions([(1, seen(run, right, np.zeros(6)))], [])]


def test_a_question_whose_answer_several_units_share_is_not_asked(digits: list[nm.Run]) -> None:
    run = digits[0]
    right = np.zeros((6, len(run.probe)))
    right[1:4, run.probe.labels == 5] = -1
    kinds = [one["kind"] for one in missions([(1, seen(run, right, np.array([0.1, 0.5, 0.5, 0.2, 0, 0])))], [])]
    assert "lost" not in kinds
    assert "selective" not in kinds


def test_confused_classes_and_the_unit_between_them_are_counted_from_the_network(
    digits: list[nm.Run], data: dict[str, Any]
) -> None:
    run, network = digits[0], data["networks"][0]
    labels, (choose, judge) = run.probe.labels, halves(run.probe.labels)
    model = run.model()

    def taken(unit: int | None) -> np.ndarray:
        hooks = [] if unit is None else [("layers.1.hook_post", nm.interventions.zero(unit=unit))]
        with model.hooks(hooks):
            read = nm.evaluate(model, run.probe).logits.argmax(1).numpy()
        return np.array([[((labels == a) & (read == b)).sum() for b in range(10)] for a in range(10)]), read

    matrix, base = taken(None)
    both = np.triu(matrix + matrix.T, 1)
    a, b = np.unravel_index(both.argmax(), both.shape)
    ablated = [taken(unit)[1] for unit in range(6)]
    counts = [
        [
            int((((labels == a) & (r == b)) | ((labels == b) & (r == a)))[half].sum())
            - int((((labels == a) & (base == b)) | ((labels == b) & (base == a)))[half].sum())
            for r in ablated
        ]
        for half in (choose, judge)
    ]
    best, second = max(counts[0]), max(counts[1])
    alone = counts[0].count(best) == counts[1].count(second) == 1 and counts[0].index(best) == counts[1].index(second)
    asked = [one for one in network["missions"] if one["kind"] == "confused"]
    assert len(asked) == (best > 0 and alone)
    for one in asked:
        assert one["classes"] == [a, b]
        assert one["counts"] == counts
        assert one["unit"] == counts[0].index(best)


def test_a_look_and_a_run_give_the_same_bytes_of_page(looks: list[FirstLook], tmp_path: Path) -> None:
    look = looks[1]
    pages = [
        nm.explorer.write([given], tmp_path / f"{i}.html", snapshots=2).read_bytes()
        for i, given in enumerate((look, nm.Run.open(look.run.folder)))
    ]
    assert pages[0] == pages[1]
