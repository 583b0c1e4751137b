"""Pages that contradicted themselves or their numbers: each kind that was found is a test of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import xarray as xr

import neural_microscope as nm
from elements import Elements
from neural_microscope.analysis.findings import findings
from neural_microscope.analysis.look import FirstLook
from neural_microscope.claim import Claim, judge
from neural_microscope.explorer.missions import missions
from neural_microscope.explorer.page import front_end
from neural_microscope.measure import MEASURES, rules
from neural_microscope.statistics import halves


@pytest.fixture(scope="module")
def elements(page: Path) -> Elements:
    return Elements(page.read_text("utf-8"))


@pytest.fixture(scope="module")
def stored(elements: Elements) -> dict[str, dict[str, Any]]:
    return elements.stored


@pytest.fixture(scope="module")
def words(elements: Elements) -> str:
    """All that a reader sees."""
    return "\n".join(text for above, text in elements.texts if above[-1][0] not in ("style", "script"))


def rule(name: str) -> Any:
    return next(one for _, one in rules() if one.name == name)


# Sentences about units, their number, and "no unit".


def test_the_units_that_are_counted_and_named_are_those_whose_own_claims_are_shown(
    elements: Elements, stored: dict[str, dict[str, Any]]
) -> None:
    about = [c for c in stored.values() if rule_of_units(c)]
    counted = [c for c in about if c["unit"] is None]
    assert {c["numbers"]["shown"] > 0 for c in counted} == {True, False}
    for one in counted:
        units = [c for c in about if c["unit"] is not None and place(c) == place(one)]
        shown = [c["unit"] for c in units if c["shown"]]
        assert (one["numbers"]["shown"], one["numbers"]["asked"]) == (len(shown), len(units))
        assert one["shown"] == bool(shown)
        assert re.findall(r"\d+", str(one["numbers"]["units"])) == [str(u) for u in shown][: 12 * (len(shown) <= 12)]
    told = {ids[0] for ids, _ in elements.of_class("sentence") if stored[ids[0]]["unit"] is not None}
    assert told
    assert all(stored[key]["shown"] for key in told)


def rule_of_units(claim: dict[str, Any]) -> bool:
    return claim["rule"] in ("a unit matters", "a unit prefers a class")


def place(claim: dict[str, Any]) -> tuple[str, str, str]:
    return claim["network"], claim["hook_point"], claim["rule"]


# One number for one question.


def test_a_number_in_a_sentence_is_the_one_that_is_compared_with_its_null(stored: dict[str, dict[str, Any]]) -> None:
    compared = [c for c in stored.values() if "compared" in c["numbers"]]
    assert len({c["rule"] for c in compared}) == 5
    for claim in compared:
        values = re.findall(r"\{(\w+):", claim["yes"] + claim["no"])
        assert {*values} <= {claim["effect"], "compared"}, claim["id"]


def test_the_row_about_test_accuracy_shows_the_test_accuracy(
    elements: Elements, stored: dict[str, dict[str, Any]]
) -> None:
    chips = [(stored[ids[0]], text.strip()) for ids, text in elements.of_class("chip")]
    about = [(c, text) for c, text in chips if c["rule"] == "the network generalizes" and text]
    assert len(about) == 2
    for claim, text in about:
        assert text == f"{100 * claim['numbers']['accuracy']:.2f}%"


# The order in which classes are learned.


def test_the_order_in_which_classes_are_learned_is_told_once_for_each_network(
    words: str, stored: dict[str, dict[str, Any]]
) -> None:
    claims = [c for c in stored.values() if c["rule"] == "classes are learned at different times"]
    assert [c["network"] for c in claims] == ["MLP", "CNN"]
    order = r"half of their images learned: (class[\w, ]+) \(step [\d,]+\); last: (class[\w, ]+) \("
    assert {*re.findall(order, words)} == {(c["numbers"]["firsts"], c["numbers"]["lasts"]) for c in claims}


def test_what_an_untrained_network_predicts_for_everything_is_not_the_class_learned_first() -> None:
    """Class 0 has all its images right at step 0; of the others 2 comes first; where classes tie, all are named."""
    one = _order([0.0, 30.0, 4.0, 9.0])
    assert (
        one.sentence
        == "some classes are learned earlier than others (an image's class explains 100.0% of the variance in when it is learned)."
    )
    assert "First to have half of their images learned: class 2 (step 4); last: class 1 (step 30)." in one.reasons
    tie = _order([0.0, 30.0, 4.0, 4.0])
    assert (
        "First to have half of their images learned: classes 2 and 3 (step 4); last: class 1 (step 30)." in tie.reasons
    )
    assert (
        "All classes reach 50%; class 0 has half at initialization, so the share of variance leaves it out."
        in tie.reasons
    )
    assert "1 class never reaches 50%; class 0 has half" in _order([0.0, np.nan, 4.0, 9.0]).reasons


def _order(times: list[float]) -> Claim:
    at = np.array(times)
    labels = np.repeat(np.arange(4), 25)
    table = xr.Dataset(
        {"class_learned_at": ("class", at), "learned_at": ("example", at[labels])}, {"label": ("example", labels)}
    )
    run = SimpleNamespace(steps=[0, 4, 9, 30])
    look = type("Look", (), {"run": run, "__getitem__": lambda self, name: table})()
    (claim,) = judge(rule("classes are learned at different times").claims(look), len(rules()))
    assert claim.shown
    return claim


# Other measures beside the selectivity index.


@pytest.mark.parametrize(
    ("rho", "said"),
    [
        (
            (-0.42, -0.23, -0.10),
            "0 of 3 other measures of selectivity (a, b, c) rank the units as the selectivity index does",
        ),
        (
            (0.42, 0.9, 0.02),
            "2 of 3 other measures of selectivity (a, b, c) rank the units as the selectivity index does",
        ),
    ],
)
def test_measures_rank_units_like_the_selectivity_index_only_where_their_correlation_is_positive_and_beyond_chance(
    rho: tuple[float, ...], said: str
) -> None:
    names = ["selectivity", "a", "b", "c"]
    values = np.eye(4)
    values[0, 1:] = values[1:, 0] = rho
    dims = ("measure", "measure_b")
    columns = {"agreement": values, "agreement_null_low": -0.2 + 0 * values, "agreement_null_high": 0.2 + 0 * values}
    table = xr.Dataset({name: (dims, one) for name, one in columns.items()}, {dim: names for dim in dims})
    look = type("Look", (), {"axis": "unit", "__getitem__": lambda self, name: table})()
    (claim,) = MEASURES["selectivity.agreement"].descriptions[0].claims(look)
    assert claim.sentence.startswith(said)
    least, most = (f"{end:.2f}".replace("-", "−") for end in (min(rho), max(rho)))
    assert f"(rank correlations {least} to {most})" in claim.sentence
    other_way = sum(one < -0.2 for one in rho)
    assert (f"{other_way} rank them the other way round" in claim.sentence) == bool(other_way)


# Ink, and what a unit's pictures show.


def test_channels_that_see_nothing_but_ink_prefer_no_class(tmp_path: Path) -> None:
    """Images of class 0 have the most ink, so channels of an untrained network answer to them most; so do those of any other."""
    digits = nm.data.load("digits")
    sides = [
        replace(one, images=(one.images * np.where(one.labels == 0, 1.0, 0.4)[:, None, None]).astype(np.uint8))
        for one in (digits.train, digits.test)
    ]
    model = nm.CNN(nm.CNNConfig(image_shape=(8, 8), channels=(6,), head=()))
    record = nm.RecordConfig(per_octave=0, every_epoch=False)
    inked = nm.data.Dataset("ink", *sides)
    nm.train(model, inked, nm.TrainConfig(epochs=0), observers=[nm.Recorder(tmp_path / "run", record)])
    told = [c for c in findings(nm.Run.open(tmp_path / "run")) if c.rule == "a unit prefers a class"]
    alone = [c for c in told if c.unit is not None and c.numbers["auc"] > 0.8 and c.numbers["auc_null_high"] < 0.65]
    assert {c.numbers["preferred"] for c in alone} == {0}, "as many images at random are no null for ink"
    assert not [claim.sentence for claim in told if claim.shown]


def test_a_units_class_stands_beside_the_class_of_its_top_activating_images(
    page: Path, stored: dict[str, dict[str, Any]], looks: list[FirstLook]
) -> None:
    """If the two differ, a reader sees both; no picture of a mean image says a third."""
    differ = 0
    text = page.read_text("utf-8")
    for look in looks:
        for layer in look.layers:
            acts = layer.trained.transpose("example", ...).values
            for claim in (
                c for c in stored.values() if place(c) == (look.name, layer.hook_point, "a unit prefers a class")
            ):
                if claim["unit"] is None or not claim["numbers"]["top_images"]:
                    continue
                number = claim["numbers"]
                best = np.argsort(-acts[:, claim["unit"]], kind="stable")[: number["top_images"]]
                counts = np.bincount(look.run.probe.labels[best], minlength=10)
                assert counts[number["top"]] == number["top_of"] == counts.max()
                differ += number["top"] != number["preferred"]
                row = re.search(rf'<tr data-claim="[^"]*{re.escape(claim["id"])}[^"]*">.*?</tr>', text)
                assert row is not None
                assert f"<td>{number['preferred']}</td>" in row[0]
                assert f"<td>{number['top']} ({number['top_of']} of {number['top_images']})</td>" in row[0]
    assert differ


# What is not shown.


SAMENESS = r"no (better|worse|different|more|less)\b|\bthe same as\b|is the same|does what|as (good|well) as|\bequal to\b|no effect (on|of)"
"""Words that would make a claim of a null that was not rejected."""


def test_a_null_that_is_not_rejected_never_becomes_a_claim_of_sameness(
    words: str, stored: dict[str, dict[str, Any]]
) -> None:
    for claim in (c for c in stored.values() if not c["describes"]):
        assert re.search(r"not shown|^no .* (is|are) shown", claim["no"]), claim["no"]
        assert not re.search(SAMENESS, claim["yes"] + claim["no"] + claim["evidence"]), claim["id"]
    assert not re.search(SAMENESS, words), re.findall(f".{{40}}(?:{SAMENESS}).{{20}}", words)
    assert not re.search(r"no (better|worse) (a|than)|does what|the same thing|many times over", front_end()[0])


# Missions.


@pytest.mark.parametrize("more", [0, 1])
def test_a_mission_whose_answer_several_units_share_is_not_asked(
    more: int, looks: list[FirstLook], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without unit 1, and without unit 2, five images of class 4 are misclassified as 9: no question; it is one where unit 2 has more."""
    layer = looks[0].layers[-1]
    labels = layer.run.probe.labels
    parts = [half[labels[half] == 4] for half in halves(labels)]
    read = np.tile(labels, (layer.size + 1, 1))
    for fours in parts:
        read[:, fours[0]] = 9
        for unit, wrong in ((1, 5), (2, 5 + more)):
            read[1 + unit, fours[1 : 1 + wrong]] = 9
    base, *ablated = np.eye(10)[read]
    planted = xr.Dataset(
        {"base": (("example", "class"), base), "ablated": (("unit", "example", "class"), np.array(ablated))},
        {"label": ("example", labels)},
    )
    monkeypatch.setattr("neural_microscope.explorer.missions.ablated_logits", lambda *given: planted)
    asked = [one for one in missions([(0, layer)], []) if one["kind"] == "confused"]
    assert [(one["unit"], one["classes"], one["counts"][0][2]) for one in asked] == [(2, [4, 9], 6)] * more


# Words beside numbers.


def test_a_rise_or_fall_agrees_with_the_sign_of_its_number(words: str, stored: dict[str, dict[str, Any]]) -> None:
    assert not re.search(r"(rises?|raises|falls?|increases|shrinks|costs)[^.]{0,40} by −", words)
    assert "raises the loss by −" not in words
    for claim in (c for c in stored.values() if c["rule"] == "a unit matters" and c["unit"] is not None):
        assert claim["numbers"]["loss"] > 0 or not claim["shown"], claim["id"]


def test_a_p_at_its_floor_is_a_bound_with_its_draws(elements: Elements, stored: dict[str, dict[str, Any]]) -> None:
    at_floor = 0
    for ids, text in elements.of_class("reasons"):
        claim = stored[ids[0]]
        if claim["draws"] and claim["p"] is not None:
            bound = f"≤ {np.ceil(claim['floor'] * 1e4) / 1e4:.3g} ({claim['draws']:,} draws)"
            assert (bound in text) == (claim["p"] <= claim["floor"] * (1 + 1e-9)), text
            at_floor += bound in text
    assert at_floor
    assert not re.search(r"p = 0\.0(48|476)\b", "".join(text for _, text in elements.of_class("reasons")))


def test_one_of_a_thing_is_singular(words: str) -> None:
    assert not re.search(r"\b1 (images|units|channels|seeds|draws|networks|epochs|snapshots|classes|points)\b", words)
    assert not re.search(r"\b(?:0|[2-9]|\d\d+) (image|unit|channel|seed|draw|network|epoch)\b(?! of)", words)


def test_that_there_is_one_seed_is_said_once(words: str) -> None:
    assert words.count("One seed") == 1
    assert words.count("replicated") == 1
