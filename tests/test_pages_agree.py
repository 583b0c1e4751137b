"""Every page about a run says of every network, layer and unit what `findings` say, claim by claim."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

import neural_microscope as nm
from neural_microscope.analysis.findings import findings
from neural_microscope.claim import Claim
from neural_microscope.explorer.payload import payload

Said = Mapping[str, tuple[str, str]]
"""The claim's id -> (verdict, sentence)."""

CONFIGS: dict[str, Any] = {
    "mlp": nm.MLPConfig(image_shape=(8, 8), hidden=(12, 6)),
    "cnn": nm.CNNConfig(image_shape=(8, 8), channels=(4,), head=(8,)),
}


def record(folder: Path) -> None:
    for name, config in CONFIGS.items():
        recorder = nm.Recorder(folder / name, nm.RecordConfig(per_octave=1, every_epoch=False))
        training = nm.TrainConfig(epochs=6, learning_rate=3e-3)
        nm.train(nm.models.build(config, 0), nm.data.load("digits"), training, observers=[recorder])


@pytest.fixture(scope="module")
def runs(shared: Any) -> list[nm.Run]:
    folder = shared("agreeing", record)
    return [nm.Run.open(folder / name) for name in CONFIGS]


@pytest.fixture(scope="module")
def found(runs: list[nm.Run]) -> list[Claim]:
    return findings(runs)


def said_by(found: list[Claim]) -> Said:
    return {claim.id: (claim.verdict, claim.sentence) for claim in found}


def test_claims_are_told_apart_by_their_ids_and_some_are_shown(found: list[Claim]) -> None:
    assert len(said_by(found)) == len(found)
    assert {claim.verdict for claim in found} >= {"shown", "not shown"}
    assert {claim.unit is None for claim in found} == {True, False}


def test_the_explorers_data_hold_every_claim(runs: list[nm.Run], found: list[Claim]) -> None:
    claims = [
        claim
        for network in payload(runs, snapshots=1)["networks"]
        for claim in json.loads(zlib.decompress(base64.b64decode(network["claims"])))
    ]
    assert {claim["id"]: (claim["verdict"], claim["sentence"]) for claim in claims} == said_by(found)
    assert [json.loads(json.dumps(claim.to_json())) for claim in found] == claims


@pytest.mark.browser
def test_the_explorers_cards_and_networks_say_what_is_found(
    runs: list[nm.Run], found: list[Claim], browser: Browser, tmp_path: Path
) -> None:
    path = nm.explorer.write(runs, tmp_path / "explorer.html", snapshots=1)
    tab = browser.new_context(offline=True).new_page()
    tab.goto(path.as_uri())
    tab.locator("html[data-ready]").wait_for(state="attached")
    tab.evaluate("document.querySelectorAll('.network > details').forEach(one => { one.open = true; })")
    expected = said_by(found)
    assert shown(tab, ".network") == {claim.id: expected[claim.id] for claim in found if claim.unit is None}
    for network, layer, unit in ((0, 0, 3), (0, 1, 5), (1, 0, 1), (1, 1, 7)):
        tab.evaluate("state => { location.hash = state; }", f"#s={network}.{layer}.{unit}")
        name = (
            f"{list(CONFIGS)[network].upper()}/layers.{layer}/{('unit', 'channel')[(network, layer) == (1, 0)]}-{unit}/"
        )
        tab.locator(f'.card [data-claim^="{name}"]').first.wait_for()
        assert shown(tab, ".card") == {key: said for key, said in expected.items() if key.startswith(name)}
    tab.context.close()


def shown(tab: Page, where: str) -> Said:
    """What a part of the explorer shows: sentences there begin with a capital."""
    rows = tab.locator(f"{where} .claim").evaluate_all(
        "all => all.map(one => [one.dataset.claim, one.querySelector('.mark').innerText, one.querySelector('.sentence').innerText])"
    )
    return {key: (verdict, sentence[0].lower() + sentence[1:]) for key, verdict, sentence in rows}
