"""A claim's words, numbers and verdict."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from neural_microscope.claim import Claim, by_rate, judge
from neural_microscope.claim import tested as combined
from neural_microscope.wording import fill, probability, tied

ONE = Claim(
    rule="a unit matters",
    measure="causal.ablate_all",
    network="MLP",
    hook_point="layers.0.hook_post",
    unit=19,
    yes="ablating unit {unit:,} raises the loss by {loss:3} nats.",
    no="unit {unit:,} is not shown to matter: the loss {loss:rises3} nats.",
    numbers={"unit": 19, "loss": 0.0214},
    effect="loss",
    evidence="",
    null="random directions",
    p=0.001,
    n=1,
    units="nats",
    critical=lambda level: 2 * level,
)


def test_the_sentence_is_chosen_by_the_verdict_and_its_sign_by_the_number() -> None:
    shown, not_shown = judge([ONE], 1)[0], judge([replace(ONE, p=0.2, numbers={"unit": 19, "loss": -0.0124})], 1)[0]
    assert shown.sentence == "ablating unit 19 raises the loss by 0.021 nats."
    assert not_shown.sentence == "unit 19 is not shown to matter: the loss falls by 0.012 nats."
    assert (shown.verdict, not_shown.verdict) == ("shown", "not shown")
    assert replace(ONE, describes=True).verdict == "description"
    assert shown.id == "MLP/layers.0/unit-19/a-unit-matters"


def test_a_claim_that_is_not_shown_names_the_smallest_effect_that_would_have_been() -> None:
    claim = judge([replace(ONE, p=0.2)], 5)[0]
    assert claim.least == pytest.approx(2 * 0.05 / 5)
    assert claim.reasons.endswith("1 image. It would have been shown at 0.020 nats or above.")
    band = replace(ONE, p=0.2, numbers={**ONE.numbers, "loss_null_low": 0.5, "loss_null_high": 0.6})
    assert judge([band], 5)[0].reasons.endswith("It would have been shown at 0.020 nats or below.")
    both = replace(band, critical=lambda level: (70 * level, 2 * level))
    assert judge([both], 5)[0].reasons.endswith(
        "It would have been shown at 0.020 nats or below, or at 0.700 nats or above."
    )
    one_side = judge([replace(band, critical=lambda level: (math.inf, 2 * level))], 5)[0]
    assert one_side.reasons.endswith("It would have been shown at 0.020 nats or below."), "no effect on its own side"
    assert math.isinf(judge([replace(band, critical=lambda level: (math.inf, math.inf))], 5)[0].least)
    # In a fixed sequence it is one of several conditions.
    every = (
        " The units of a layer are tested in the order of their effect on one half of the images, until one fails; those after it count as "
        "not shown."
    )
    small = replace(ONE, p=0.2, place=0, numbers={**ONE.numbers, "loss": 0.012})
    assert judge([small], 5)[0].reasons.endswith("1 image. Alone it would have to exceed 0.020 nats." + every)
    assert judge([replace(ONE, p=0.2, place=0)], 5)[0].reasons.endswith("1 image." + every), "it exceeds that"
    few = judge([replace(ONE, p=0.2, floor=0.02, draws=49)], 5)[0]
    assert few.reasons.endswith(
        "This test could not have shown any effect: the null reaches too far, or has too few draws."
    ), "so few draws allow no less"


def test_a_p_that_only_the_correction_lifts_above_5_percent_is_named() -> None:
    said = "p is below 0.05 before the correction, not after it."
    assert said in judge([replace(ONE, p=0.02)], 5)[0].reasons
    assert said not in judge([replace(ONE, p=0.2)], 5)[0].reasons
    assert said not in judge([replace(ONE, p=0.001)], 5)[0].reasons


def test_classes_that_tie_are_all_named_unless_they_are_many() -> None:
    assert tied([6]) == "class 6"
    assert tied([2, 5, 8]) == "classes 2, 5 and 8"
    assert tied(range(9)) == "9 classes"
    assert fill("{a:is|are} {b:is|are} {c:is|are}", {"a": 1, "b": 0, "c": 2}) == "is are are"


def test_a_p_at_its_floor_is_a_bound() -> None:
    assert probability(1 / 21, 1 / 21, 20) == "p ≤ 0.0477 (20 draws)"
    assert probability(0.1, 1 / 21, 20) == "p = 0.100"
    assert probability(1e-9) == "p < 0.001"
    assert probability(math.nan) == "p not defined"


def test_the_null_with_the_largest_p_is_named() -> None:
    words = {"yes": "", "no": "", "numbers": {}, "effect": "", "evidence": "", "null": "", "n": 1}
    claim = combined(p={"random directions": 0.01, "untrained networks": 0.2, "shuffled labels": 0.03}, **words)
    assert (claim.p, claim.decisive) == (0.2, "untrained networks")
    undefined = combined(p={"random directions": 0.01, "shuffled labels": math.nan}, **words)
    assert math.isnan(undefined.p)
    assert undefined.decisive == "shuffled labels"
    assert combined(p=0.01, **words).decisive == ""
    assert replace(claim, corrected=1.0).odds == "p = 0.200 against untrained networks, corrected p = 1.000"
    assert " against " not in replace(ONE, corrected=1.0).odds


def test_words_of_numbers() -> None:
    given = {"a": -0.5, "n": 1, "m": 1000, "s": 0.9797, "nan": math.nan}
    text = "{a:1} {n:#image} {m:#image} {s:2%} {nan:2} {m:step} {a:g} {a:rises1} {s:rises1}"
    assert fill(text, given) == "−0.5 1 image 1,000 images 97.97% – step 1,000 −0.5 falls by 0.5 rises by 1.0"
    small = {"a": 0.0004, "b": -0.0005, "zero": 0.0}
    assert (
        fill("{a:rises3}, {b:rises3}, {zero:rises3}", small)
        == "rises by less than 0.001, falls by 0.001, rises by less than 0.001"
    )
    assert fill("{a:upto3}, {s:upto3}, {zero:upto3}", given | small) == "below 0.001, up to 0.980, below 0.001"
    band = {"low": math.nan, "high": math.nan}
    assert (
        fill("95% interval {low:2} to {high:2}; chance 0.1.", band) == "95% interval not defined (too few); chance 0.1."
    )


def test_a_page_makes_a_false_claim_as_rarely_as_declared_and_only_where_its_draws_allow() -> None:
    rng = np.random.default_rng(0)
    sizes = {"a": 1, "b": 1, "c": 40, "d": 3}
    pages = 0
    for _ in range(1500):
        raw = [replace(ONE, rule=rule, p=p, critical=None) for rule, n in sizes.items() for p in rng.random(n)]
        pages += any(claim.shown for claim in judge(raw, len(sizes)))
    assert 0.03 < pages / 1500 < 0.066
    claims = judge([replace(ONE, p=math.nan), ONE], 1)
    assert [claim.shown for claim in claims] == [False, True]
    assert claims[1].tests == 1, "what can't be tested is no test"


def test_chance_seeds() -> None:
    assert [by_rate(n) for n in (1, 2, 5, 20)] == [0, 1, 1, 3]


def test_a_fixed_sequence_stops_at_the_first_failure_and_counts_hook_points_not_units() -> None:
    ps = [0.004, 0.001, 0.2, 1e-9]
    claims = judge([replace(ONE, unit=u, p=p, place=u, critical=None) for u, p in enumerate(ps)], 10)
    assert [c.shown for c in claims] == [True, True, False, False]
    assert [c.corrected for c in claims] == [pytest.approx(0.04), pytest.approx(0.04), 1, 1]
    two = [replace(ONE, hook_point=h, unit=0, p=0.004, place=0, critical=None) for h in ("a", "b")]
    assert [c.corrected for c in judge(two, 10)] == [pytest.approx(0.08)] * 2


def test_a_share_and_its_percentage_are_rounded_alike() -> None:
    """0.4915 is a little less than that as a binary number, a hundred times as much is not."""
    assert fill("{x:1%}, {x:g}, {x:3}", {"x": 0.4915}) == "49.2%, 0.492, 0.492"
    assert [fill("{x:0}", {"x": x}) for x in (0.5, 1.5, 2.5)] == ["1", "2", "3"]


def test_a_rounded_number_keeps_its_zeros_and_an_exact_one_has_none() -> None:
    assert [fill("{x:g}", {"x": x}) for x in (0.46998, 0.425, 45.96, 0.9999)] == ["0.470", "0.425", "46.0", "1.00"]
    assert [fill("{x:g}", {"x": x}) for x in (0.5, 1.0, 100.2, 1797.3, 0.003)] == ["0.5", "1", "100", "1,797", "0.003"]
