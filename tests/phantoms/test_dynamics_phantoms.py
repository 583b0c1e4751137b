"""The instruments of dynamics and predictions read what is planted, are silent where nothing is, and speak where something is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from neural_microscope.phantoms import dynamics, predictions
from neural_microscope.phantoms.instrument import Instrument

INSTRUMENTS = dynamics.INSTRUMENTS + predictions.INSTRUMENTS
BY_CHANCE = {
    "top singular value of weights",
    "stable rank of weights",
    "classes learnt at different times",
    "place of a class in the order",
    "calibration error",
    "Brier score",
}
"""Those whose claim is a test; the others are exact."""


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_an_instrument_reads_the_planted_truth(instrument: Instrument) -> None:
    for seed in range(3):
        truth, measured = instrument.read(seed)
        assert abs(measured - truth) <= instrument.tolerance


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda i: i.name)
def test_an_instrument_is_silent_on_empty_phantoms(instrument: Instrument) -> None:
    alarms = np.mean([instrument.alarm(1000 + seed) for seed in range(50)])
    assert alarms <= (0.14 if instrument.name in BY_CHANCE else 0)  # 7 of 50 or fewer come in 99.7 % of tests at 5 %


@pytest.mark.parametrize(
    ("alarm", "planted"),
    [
        (dynamics.activity_alarm, {"density": 0.5}),
        (dynamics.lives_alarm, {"died": 3}),
        (dynamics.histogram_alarm, {"density": 0.5}),
        (dynamics.flow_alarm, {"ratio": 1e-3}),
        (dynamics.class_alarm, {"learnt": 2}),
        (dynamics.top_alarm, {"strength": 20.0}),
        (dynamics.rank_alarm, {"strength": 20.0}),
        (dynamics.sharpness_alarm, {"black": False}),
        (predictions.margin_alarm, {"margin": 1e-3}),
        (predictions.confusion_alarm, {"count": 1}),
        (predictions.forgetting_alarm, {"lapses": 1}),
        (predictions.between_alarm, {"later": 2}),
        (predictions.order_alarm, {"later": 2}),
        (predictions.calibration_alarm, {"sharpened": 4.0}),
        (predictions.brier_alarm, {"sharpened": 4.0}),
    ],
)
def test_an_alarm_fires_where_something_is_planted(alarm: Callable[..., bool], planted: dict[str, float]) -> None:
    assert all(alarm(seed, **planted) for seed in range(5))


def test_every_instrument_has_its_own_name() -> None:
    assert len({i.name for i in INSTRUMENTS}) == len(INSTRUMENTS)
    assert {i.name for i in INSTRUMENTS} >= BY_CHANCE
