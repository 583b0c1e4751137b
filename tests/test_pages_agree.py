"""Report, explorer, missions and command line say of every network, layer and unit what `findings` say, claim by claim."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import neural_microscope as nm
from command_line import microscope
from elements import Elements
from neural_microscope import demonstration
from neural_microscope import report as reports
from neural_microscope.analysis.findings import findings
from neural_microscope.analysis.look import FirstLook, first_look
from neural_microscope.claim import Claim
from neural_microscope.explorer.payload import payload
from neural_microscope.report import html
from undrawn import draw_nothing

Said = Mapping[str, tuple[str, str]]
"""The claim's id -> (verdict, sentence)."""

CONFIGS: dict[str, Any] = {
    "mlp": nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)),
    "cnn": nm.CNNConfig(image_shape=(8, 8), channels=(4,), head=(8,)),
}


def record(folder: Path) -> None:
    """Two small networks on the digits; what is found in them is kept beside them."""
    looks = []
    for name, config in CONFIGS.items():
        recorder = nm.Recorder(folder / name, nm.RecordConfig(per_octave=1, every_epoch=False))
        training = nm.TrainConfig(epochs=6, learning_rate=3e-3)
        nm.train(nm.models.build(config, 0), nm.data.load("digits"), training, observers=[recorder])
        looks.append(first_look(nm.Run.open(folder / name)))
    (folder / "looks.pickle").write_bytes(pickle.dumps(looks))


@pytest.fixture(scope="module")
def folder(shared: Any) -> Path:
    made: Path = shared("agreeing", record)
    return made


@pytest.fixture(scope="module")
def looks(folder: Path) -> list[FirstLook]:
    found: list[FirstLook] = pickle.loads((folder / "looks.pickle").read_bytes())
    return found


@pytest.fixture(scope="module")
def found(looks: list[FirstLook]) -> list[Claim]:
    return findings(looks)


@pytest.fixture(scope="module")
def data(looks: list[FirstLook]) -> dict[str, Any]:
    return payload(looks, snapshots=1)


@pytest.fixture(scope="module")
def report(folder: Path, looks: list[FirstLook], tmp_path_factory: pytest.TempPathFactory) -> Elements:
    """The command's output about the runs; they are not looked at again, and the pictures are not drawn."""
    path = tmp_path_factory.mktemp("reported") / "report.html"
    known = {look.run.folder: look for look in looks}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reports, "looked", lambda runs, progress: [known[run.folder] for run in runs])
        draw_nothing(patch)
        ended = microscope("report", *(folder / name for name in CONFIGS), "--output", path)
    assert ended.returncode == 0, ended.stderr
    return Elements(path.read_text("utf-8"))


def said_by(found: list[Claim]) -> Said:
    return {claim.id: (claim.verdict, claim.sentence) for claim in found}


def plain(claim: Claim) -> dict[str, Any]:
    """As it stands in a page."""
    made: dict[str, Any] = json.loads(json.dumps(claim.to_json()))
    return made


def claims_in(network: dict[str, Any]) -> list[dict[str, Any]]:
    return list(json.loads(zlib.decompress(base64.b64decode(network["claims"]))))


def test_claims_are_told_apart_by_their_ids_and_some_are_shown(found: list[Claim]) -> None:
    assert len(said_by(found)) == len(found)
    assert {claim.verdict for claim in found} >= {"shown", "not shown"}
    assert {claim.unit is None for claim in found} == {True, False}


def test_the_explorers_data_hold_every_claim_and_no_other(data: dict[str, Any], found: list[Claim]) -> None:
    assert [plain(claim) for claim in found] == [claim for network in data["networks"] for claim in claims_in(network)]


def test_the_report_holds_every_claim_and_beside_them_descriptions_alone(report: Elements, found: list[Claim]) -> None:
    expected = {claim.id: {k: v for k, v in plain(claim).items() if k not in html.DERIVED} for claim in found}
    for claim in found:  # the place decides a sentence of the evidence
        expected[claim.id] |= {} if claim.place is None else {"place": claim.place}
    assert {key: claim for key, claim in report.stored.items() if not claim["describes"]} == expected


def test_the_report_shows_every_claim_with_its_verdict_wherever_it_stands(report: Elements, found: list[Claim]) -> None:
    verdicts = [(ids[0], text.partition(",")[0]) for ids, text in report.of_class("verdict") if len(ids) == 1]
    assert set(verdicts) == {(claim.id, claim.verdict) for claim in found}
    sentences = {ids[0]: text for ids, text in report.of_class("sentence")}
    for claim in found:
        if claim.unit is None:
            assert sentences[claim.id][1:] == claim.sentence[1:], claim.id


def test_a_mission_counts_and_cites_what_the_claims_of_its_units_say(data: dict[str, Any], found: list[Claim]) -> None:
    known = {claim.id: claim for claim in found}
    kinds = []
    for network in data["networks"]:
        labels = data["images"]["labels"]
        for mission in network["missions"]:
            hook_point = network["layers"][mission["layer"]]
            here = [c for c in found if (c.network, c.hook_point) == (network["name"], hook_point)]
            losses = {c.unit: c for c in here if c.rule == "a unit matters" and c.unit is not None}
            assert mission["claims"] == [
                c.id
                for c in here
                if c.unit in (None, mission["unit"])
                and c.rule in ("a unit matters", "selectivity and effect go together")
                and (mission["kind"] == "selective" or c.rule == "a unit matters")
            ]
            assert {known[key].hook_point for key in mission["claims"]} == {hook_point}
            kinds.append(mission["kind"])
            if mission["kind"] == "selective":
                said = [losses[unit].numbers["loss"] for unit in mission["units"]]
                assert mission["loss"] == pytest.approx(said, rel=1e-5)
            if mission["kind"] == "lost":
                numbers = losses[mission["unit"]].numbers
                (label,) = mission["classes"]
                lost = sum(half[mission["unit"]] for half in mission["counts"])
                assert (label, lost / labels.count(label)) == (numbers["class"], pytest.approx(numbers["drop"]))
    assert {*kinds} >= {"lost", "selective"}


def test_the_command_line_prints_what_is_shown_first_in_the_report(looks: list[FirstLook], report: Elements) -> None:
    named = [replace(look, name=name.upper()) for look, name in zip(looks, CONFIGS, strict=True)]
    printed = demonstration.told(named)
    claims = {
        (f"{c['network']} {c['hook_point'].removesuffix('.hook_post')}".strip(), text[1:]): c["verdict"]
        for (key,), text in report.of_class("sentence")
        for c in [report.stored[key]]
    }
    assert len(printed) > 5
    for line in printed:
        where, _, sentence = line.partition(": ")
        assert claims[where, sentence[1:]] == "shown", line


@pytest.mark.browser
def test_the_explorers_cards_and_networks_say_what_is_found_card_by_card(
    looks: list[FirstLook], found: list[Claim], browser: Browser, tmp_path: Path
) -> None:
    path = nm.explorer.write(looks, tmp_path / "explorer.html", snapshots=1)
    tab = browser.new_context(offline=True).new_page()
    tab.goto(f"{path.as_uri()}#v=confusion")
    tab.locator("html[data-ready]").wait_for(state="attached")
    tab.locator(".inspector .claims").first.wait_for(state="attached")
    tab.evaluate("document.querySelectorAll('.inspector details').forEach(one => { one.open = true; })")
    expected = said_by(found)
    assert shown(tab, ".inspector") == {claim.id: expected[claim.id] for claim in found if claim.unit is None}
    cards: dict[str, tuple[str, str]] = {}
    for network, look in enumerate(looks):
        for place, layer in enumerate(look.layers):
            for unit in range(layer.size):
                tab.evaluate("state => { location.hash = state; }", f"#s={network}.{place}.{unit}")
                tab.locator(f'.card[aria-label="Card of {layer.axis} {unit}"]').wait_for()
                name = f"{look.name}/{layer.short}/{layer.axis}-{unit}/"
                tab.locator(f'.card [data-claim^="{name}"]').first.wait_for()
                said = shown(tab, ".card")
                assert said == {key: one for key, one in expected.items() if key.startswith(name)}
                cards |= said
    assert cards == {claim.id: expected[claim.id] for claim in found if claim.unit is not None}
    tab.context.close()


def shown(tab: Page, where: str) -> Said:
    """The text of a part of the explorer: sentences there begin with a capital."""
    rows = tab.locator(f"{where} .claim").evaluate_all(
        "all => all.map(one => [one.dataset.claim, one.querySelector('.mark').innerText, one.querySelector('.sentence').innerText])"
    )
    return {key: (verdict, sentence[0].lower() + sentence[1:]) for key, verdict, sentence in rows}


PAGES = """
import sys
from pathlib import Path
import neural_microscope as nm
runs, out = [nm.Run.open(path) for path in sys.argv[2:]], Path(sys.argv[1])
nm.report.write(runs, out / "report.html")
nm.explorer.write(runs, out / "explorer.html", snapshots=2)
"""


@pytest.mark.slow
def test_two_processes_that_hash_otherwise_give_the_same_bytes_of_page(folder: Path, tmp_path: Path) -> None:
    made = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        out.mkdir()
        subprocess.run(
            [sys.executable, "-c", PAGES, str(out), *(str(folder / name) for name in CONFIGS)],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            timeout=600,
        )
        made.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
    assert set(made[0]) == {"report.html", "explorer.html"}
    assert made[0] == made[1]
